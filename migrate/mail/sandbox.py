"""Jinja's sandbox with a budget (`budget`): it counts what a template does, and refuses what would make too much text."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable
from typing import Any, Final

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from migrate.mail import template_limits
from migrate.mail.sizes import BITS, check_call, check_format, counted_result, product
from migrate.mail.template_limits import OUTPUT, TooMuchError, charge, step, weigh

_JOINED: Final = 64
"""Parts that `~` joins at once."""
_SPELT_OUT: Final = 8
"""A list written out in a template is counted if it has more items than this."""


class Environment(ImmutableSandboxedEnvironment):
    """A sandbox in which every text has a budget (`one_text`)."""

    intercepted_binops = frozenset(("+", "*", "**", "%"))

    def __init__(self, **options: Any) -> None:
        super().__init__(finalize=_printed, **options)
        self.filters = {name: _counted(name, made) for name, made in self.filters.items()}
        del self.globals["lipsum"]  # it makes any number of paragraphs
        self.code_generator_class = _Generator
        self.messages: tuple[Callable[..., Any], ...] = ()

    def install_messages(self, gettext: Callable[..., str], ngettext: Callable[..., str]) -> None:
        """Gives templates `_`, `gettext` and `ngettext`, which count what they print."""
        self.add_extension("jinja2.ext.i18n")
        self.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
        self.messages = tuple(self.globals[name] for name in ("_", "gettext", "ngettext"))  # type: ignore[misc]

    def add_filter(self, name: str, made: Callable[..., Any]) -> None:
        """Gives templates a filter."""
        self.filters[name] = _counted(name, made)

    def _generate(self, source: nodes.Template, *arguments: Any, **options: Any) -> str:
        _count_turns(source)
        return super()._generate(source, *arguments, **options)

    @staticmethod
    def concat(parts: Iterable[str]) -> str:
        """Joins what a template, a macro or a block printed. Raises TooMuchError if it is too long."""
        size, kept = 0, []
        for part in parts:
            size += len(part)
            if size > OUTPUT:
                error = TooMuchError(f"it would make a text of more than {OUTPUT:,} characters")
                if isinstance(parts, Generator):
                    parts.throw(error)  # raised inside the template, so that the error has its line
                raise error
            kept.append(part)
        charge(size, OUTPUT)
        return "".join(kept)

    @staticmethod
    def sized(value: Any) -> Any:
        """Counts a value that was made without a call (`_Generator`); the value."""
        charge(len(value) if hasattr(value, "__len__") else 1)
        return value

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Counts `+`, `*`, `**` and `%` before they are computed."""
        match operator:
            case "+" if not (isinstance(left, (int, float)) and isinstance(right, (int, float))):
                charge(weigh(left, right))
            case "*":
                charge(product(left, right))
            case "**" if isinstance(left, int) and isinstance(right, int) and abs(left).bit_length() * right > BITS:
                raise TooMuchError("it would make a number of more than 3,000 digits")
            case "%" if isinstance(left, (str, bytes)):
                check_format(str(left), (right,))
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        if called is step:
            return step()
        step()
        if called in self.messages:
            check_format("".join(str(each) for each in args[:2]), kwargs.values())
        if isinstance(owner := getattr(called, "__self__", None), (str, bytes, int)):
            check_call(getattr(called, "__name__", ""), owner, args, kwargs)
            return counted_result(super().call(context, called, *args, **kwargs))
        return super().call(context, called, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        made = super().wrap_str_format(value)
        if made is None:
            return None

        @functools.wraps(made)
        def formatted(*args: Any, **kwargs: Any) -> str:
            step()
            check_format(str(value.__self__), (*args, kwargs))
            return made(*args, **kwargs)

        return formatted


class _Generator(CodeGenerator):
    """Generates code that counts values which the template language makes itself: by joining, by slicing, and as lists written out."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802 - so called by its caller
        if len(node.nodes) > _JOINED:
            self.fail(f"more than {_JOINED} values are joined with ~", node.lineno)
        self._sized(super().visit_Concat, node, frame)

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802
        if isinstance(node.arg, nodes.Slice):
            self._sized(super().visit_Getitem, node, frame)
        else:
            super().visit_Getitem(node, frame)

    def visit_List(self, node: nodes.List, frame: Frame) -> None:  # noqa: N802
        self._sized(super().visit_List, node, frame, len(node.items) > _SPELT_OUT)

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:  # noqa: N802
        self._sized(super().visit_Dict, node, frame, len(node.items) > _SPELT_OUT)

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:  # noqa: N802
        self._sized(super().visit_Tuple, node, frame, node.ctx == "load" and len(node.items) > _SPELT_OUT)

    def _sized(self, visit: Callable[[Any, Frame], None], node: nodes.Node, frame: Frame, counts: bool = True) -> None:
        self.write("environment.sized(" if counts else "")
        visit(node, frame)
        self.write(")" if counts else "")


def _count_turns(tree: nodes.Template) -> None:
    """Adds a call of `template_limits.step` to every loop, macro, block and template, so that each turn and each use counts as a step."""

    def counted(line: int) -> nodes.Call:
        return nodes.Call(nodes.ImportedName(f"{template_limits.__name__}.step", lineno=line), [], [], None, None, lineno=line)

    each: list[Any] = [tree, *tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block))]
    for found in each:
        found.body.insert(0, nodes.ExprStmt(counted(found.lineno), lineno=found.lineno))
        if isinstance(found, nodes.For) and found.test is not None:
            found.test = nodes.And(counted(found.lineno), found.test, lineno=found.lineno)


def _printed(value: Any) -> Any:
    """Counts a value that is about to be printed; the value."""
    if not isinstance(value, str):
        charge(weigh(value))
    return value


def _counted(name: str, made: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, made to count. It keeps the attributes by which Jinja knows what to pass."""
    passed = 1 if hasattr(made, "jinja_pass_arg") else 0

    @functools.wraps(made)
    def counted(*args: Any, **kwargs: Any) -> Any:
        step()
        before, (value, *others) = args[:passed], args[passed:]
        if name == "join" and not hasattr(value, "__len__"):
            value = list(value)
        check_call(name, value, others, kwargs)
        return counted_result(made(*before, value, *others, **kwargs))

    return counted
