"""Proves that templates only print their personal values, so that a letter may be rendered once and filled in (docs/decisions/0008).

A template only prints a *personal* value if it prints it, joins it to other text, or asks whether it is there, and does nothing else with
it. Then two letters that differ in personal values alone differ only where those are printed. The proof reads the templates' syntax trees.
In doubt it fails: a template that measures, cuts, compares or changes a personal value is rendered for each letter.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, TypeVar

from jinja2 import nodes

from migrate.mail.languages import only_places
from migrate.mail.person import OF_ACCOUNT, OF_LETTER

_NodeT = TypeVar("_NodeT", bound=nodes.Node)

MESSAGES: Final = ("_", "gettext", "ngettext")
"""The functions that look a message up in the catalogue of the letter's language."""
_ASKED: Final = ("defined", "undefined", "none")
_OF_LOOP: Final = ("index", "index0", "revindex", "revindex0", "first", "last", "length")
_STATEMENTS: Final = (nodes.Output, nodes.Block, nodes.Template, nodes.If, nodes.Scope)
_OTHER_TEMPLATES: Final = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
_BEYOND: Final = (nodes.FilterBlock, nodes.EvalContextModifier)
"""Blocks that change everything printed inside them, or how it is escaped."""


_KEPT: Final = 256
"""Answers that are kept: many more than there are kinds of letters."""


class _LooksCloserError(Exception):
    """A template does something with a personal value that depends on the value."""


@lru_cache(maxsize=_KEPT)
def only_prints(trees: tuple[nodes.Template, ...]) -> bool:
    """Whether the templates of one letter only print its personal values.

    The answer is kept for each set of trees: composers share their trees (`migrate.mail.templates`), and nobody changes one.
    """
    reading = _Reading(trees)
    try:
        reading.read()
    except _LooksCloserError:
        return False
    return True


class _Reading:
    """Follows personal values through the templates of a letter. `_personal` are the names that may hold one, in any of the templates."""

    def __init__(self, trees: tuple[nodes.Template, ...]) -> None:
        self._trees = trees
        self._macros = {macro.name for macro in self._all(nodes.Macro)} | set(self._imported_names())
        self._modules = {found.target for found in self._all(nodes.Import)}
        parameters = {name.name for macro in self._all(nodes.Macro) for name in macro.args}
        self._personal = {*OF_LETTER, "varargs", "kwargs", *parameters, *self._macros}

    def _all(self, kind: type[_NodeT]) -> Iterator[_NodeT]:
        for tree in self._trees:
            yield from tree.find_all(kind)

    def _imported_names(self) -> Iterator[str]:
        for found in self._all(nodes.FromImport):
            for name in found.names:
                yield name if isinstance(name, str) else name[1]

    def read(self) -> None:
        """Reads the templates again and again, until no further name turns out to be personal. Raises _LooksCloserError."""
        before = -1
        while before != len(self._personal):
            before = len(self._personal)
            for tree in self._trees:
                self._holds(tree)

    def _holds(self, node: nodes.Node) -> bool:
        """Whether an expression may hold a personal value. Raises _LooksCloserError if it does more with one than print it.

        A node is decided by the method of its class, where there is one: `_getattr` for `Getattr`. Of any other node no child may hold a
        personal value, except in statements (`_STATEMENTS`).
        """
        computed = isinstance(node, _OTHER_TEMPLATES) and not isinstance(node.template, nodes.Const)
        if computed or isinstance(node, _BEYOND):
            raise _LooksCloserError
        found = getattr(self, f"_{type(node).__name__.lower()}", None)
        if found is not None:
            return bool(found(node))
        held = [self._holds(child) for child in node.iter_child_nodes()]
        if any(held) and not isinstance(node, _STATEMENTS):
            raise _LooksCloserError
        return False

    def _any(self, *parts: nodes.Node | None) -> bool:
        # A list, not a generator: every part must be read, also after one that holds a personal value.
        held = [self._holds(part) for part in parts if part is not None]
        return any(held)

    def _plain(self, *parts: nodes.Node | None) -> bool:
        """False. Raises _LooksCloserError if a part may hold a personal value."""
        if self._any(*parts):
            raise _LooksCloserError
        return False

    def _name(self, node: nodes.Name) -> bool:
        if node.name == "account":
            raise _LooksCloserError  # the whole account; `_getattr` handles account.name and the like
        return node.name in self._personal

    def _getattr(self, node: nodes.Getattr) -> bool:
        if isinstance(node.node, nodes.Name):
            match node.node.name:
                case "account":
                    return node.attr in OF_ACCOUNT
                case "loop" if node.attr not in _OF_LOOP:
                    raise _LooksCloserError
                case name if name in self._modules:
                    return True
        return self._plain(node.node)

    def _call(self, node: nodes.Call) -> bool:
        if _is_method(node, "strip"):
            assert isinstance(node.node, nodes.Getattr)
            return self._holds(node.node.node)
        if self._is_message(node):
            self._plain(*node.args)
            return self._any(*(each.value for each in node.kwargs))
        arguments = (*node.args, *(each.value for each in node.kwargs), node.dyn_args, node.dyn_kwargs)
        if self._is_macro(node.node):
            self._any(*arguments)
        else:
            self._plain(node.node, *arguments)
        return True

    def _is_message(self, node: nodes.Call) -> bool:
        """Whether this looks up a message that only prints its values; translations are checked for the same when they are read."""
        if not isinstance(node.node, nodes.Name) or node.node.name not in MESSAGES or node.node.name in self._personal:
            return False
        said = node.args[: 2 if node.node.name == "ngettext" else 1]
        return not (node.dyn_args or node.dyn_kwargs) and all(
            isinstance(each, nodes.Const) and isinstance(each.value, str) and only_places(each.value) for each in said
        )

    def _is_macro(self, callee: nodes.Node) -> bool:
        if isinstance(callee, nodes.Name):
            return callee.name in self._macros
        return isinstance(callee, nodes.Getattr) and isinstance(callee.node, nodes.Name) and callee.node.name in self._modules

    def _concat(self, node: nodes.Concat) -> bool:
        return self._any(*node.nodes)

    def _add(self, node: nodes.Add) -> bool:
        return self._any(node.left, node.right)

    def _or(self, node: nodes.Or) -> bool:
        return self._any(node.left, node.right)

    def _and(self, node: nodes.And) -> bool:
        return self._any(node.left, node.right)

    def _not(self, node: nodes.Not) -> bool:
        self._holds(node.node)
        return False

    def _condexpr(self, node: nodes.CondExpr) -> bool:
        self._holds(node.test)
        return self._any(node.expr1, node.expr2)

    def _test(self, node: nodes.Test) -> bool:
        if node.name in _ASKED and not node.args:
            self._holds(node.node)
            return False
        return self._plain(*node.iter_child_nodes())

    def _filter(self, node: nodes.Filter) -> bool:
        if node.name in ("default", "d") and not node.dyn_args and not node.dyn_kwargs:
            return self._any(node.node, *node.args, *(each.value for each in node.kwargs))
        return self._plain(*node.iter_child_nodes())

    def _assign(self, node: nodes.Assign) -> bool:
        if self._holds(node.node):
            self._set(node.target)
        else:
            self._holds(node.target)
        return False

    def _assignblock(self, node: nodes.AssignBlock) -> bool:
        if node.filter is not None:
            raise _LooksCloserError
        self._set(node.target)
        self._any(*node.body)
        return False

    def _with(self, node: nodes.With) -> bool:
        for target, value in zip(node.targets, node.values, strict=True):
            if self._holds(value):
                self._set(target)
        self._any(*node.body)
        return False

    def _for(self, node: nodes.For) -> bool:
        lines = node.iter
        if _is_method(lines, "splitlines"):
            assert isinstance(lines, nodes.Call) and isinstance(lines.node, nodes.Getattr)
            if self._holds(lines.node.node):
                self._set(node.target)
        else:
            self._plain(lines)
        self._any(node.test, *node.body, *node.else_)
        return False

    def _macro(self, node: nodes.Macro) -> bool:
        self._any(*node.defaults, *node.body)
        return False

    def _callblock(self, node: nodes.CallBlock) -> bool:
        self._any(node.call, *node.defaults, *node.body)
        for name in node.args:
            self._set(name)
        return False

    def _set(self, target: nodes.Node) -> None:
        if not isinstance(target, nodes.Name) or target.name == "account":
            raise _LooksCloserError
        self._personal.add(target.name)


def _is_method(node: nodes.Node, name: str) -> bool:
    """Whether this calls the method of that name, without arguments."""
    return (
        isinstance(node, nodes.Call)
        and isinstance(node.node, nodes.Getattr)
        and node.node.attr == name
        and not (node.args or node.kwargs or node.dyn_args or node.dyn_kwargs)
    )
