"""What one text of a letter may cost: steps, processor time, and the size of everything a template makes of it.

A template is an operator's program, and the sandbox of Jinja bounds neither its loops nor what `*`, `center` or `format` make. Here each
loop, call, operator and filter is counted, and what would make something large is refused before it is made. A template that overdoes it
gets a `TooMuchError`, by the line, long before memory or patience is used up.
"""

from __future__ import annotations

import functools
import re
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

OUTPUT: Final = 1 << 20
"""Characters of a text of a letter."""
VALUE: Final = 1 << 18
"""Characters of a single value in a template."""
_MADE: Final = 1 << 24
"""Characters and items of all the values that are made for one text."""
STEPS: Final = 20_000
"""Turns of loops, calls and filters, all together."""
SECONDS: Final = 2.0
"""Of processor time."""
_LARGE: Final = 1 << 12
_WIDEST: Final = 10_000
"""Characters to which something is filled up, and the like."""
_WRAPPED: Final = 1 << 14
"""Characters of what `wordwrap` is given: it may take 11 seconds for `VALUE` of them, and nothing can end it before."""
_BITS: Final = 10_000
"""Of a number."""
_JOINED: Final = 64
"""Parts that `~` joins at once."""
_SPELT_OUT: Final = 8
"""Items of a list in a template that are not counted."""

_WIDE: Final = (
    "center", "ljust", "rjust", "zfill", "expandtabs", "to_bytes", "indent", "round", "batch", "slice", "wordwrap", "tojson",
)  # fmt: skip
"""Filters and methods that are told how wide, how long or how many."""
_NUMBER: Final = re.compile(r"\d+")
_STARRED: Final = re.compile(r"%[^%a-zA-Z]*\*")


class TooMuchError(jinja2.TemplateRuntimeError):
    """A template would make a text that is too large, or go on for too long."""


class _Budget(threading.local):
    """What is left of the text that a thread is making; nothing is counted while it makes none."""

    on = False
    steps = 0
    made = 0
    until = 0.0


_budget: Final = _Budget()


@contextmanager
def one_text() -> Iterator[None]:
    """Within it one text is made."""
    _budget.on, _budget.steps, _budget.made = True, STEPS, _MADE
    _budget.until = time.thread_time() + SECONDS
    try:
        yield
    finally:
        _budget.on = False


def step() -> bool:
    """Counts a step; true, so that it can stand in a condition."""
    if _budget.on:
        _budget.steps -= 1
        if _budget.steps < 0:
            raise TooMuchError(f"it takes more than {STEPS:,} turns of loops, calls and filters")
        if not _budget.steps % 64:
            _in_time()
    return True


def _in_time() -> None:
    if time.thread_time() > _budget.until:
        raise TooMuchError(f"it takes more than {SECONDS:.0f} seconds")


def _charge(size: int, most: int = VALUE) -> None:
    """Counts something of a size that was made, or is going to be."""
    if size > most:
        raise TooMuchError(f"it would make a text of more than {most:,} characters")
    if _budget.on:
        _budget.made -= size
        if _budget.made < 0:
            raise TooMuchError(f"its values have more than {_MADE:,} characters in all")
        if size > _LARGE:  # whatever is done with it next may take its time
            _in_time()


def weigh(*values: object) -> int:
    """About how many characters values have when they are printed, lists to their depth; TooMuchError beyond `VALUE`."""
    total, waiting = 0, list(values)
    if len(values) == 1 and isinstance(values[0], str) and len(values[0]) <= VALUE:
        return len(values[0])
    while waiting:
        value = waiting.pop()
        if isinstance(value, (str, bytes)):
            total += len(value)
        elif isinstance(value, dict):
            total += 1 + len(value)
            waiting += [*value.keys(), *value.values()] if total <= VALUE else []
        elif isinstance(value, (list, tuple, set, frozenset)):
            total += 1 + len(value)
            waiting += value if total <= VALUE else []
        elif isinstance(value, range):
            total += len(value)
        elif isinstance(value, int):
            total += 1 + value.bit_length() // 3
        else:
            total += 1
        if total > VALUE:
            raise TooMuchError(f"it would make a text of more than {VALUE:,} characters")
    return total


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
        """What a template, a macro or a block printed."""
        size, kept = 0, []
        for part in parts:
            size += len(part)
            if size > OUTPUT:
                error = TooMuchError(f"it would make a text of more than {OUTPUT:,} characters")
                if isinstance(parts, Generator):
                    parts.throw(error)  # so that it is told by the line
                raise error
            kept.append(part)
        _charge(size, OUTPUT)
        return "".join(kept)

    @staticmethod
    def sized(value: Any) -> Any:
        """A value that was made without a call."""
        _charge(len(value) if hasattr(value, "__len__") else 1)
        return value

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """`+`, `*`, `**` and `%`."""
        match operator:
            case "+" if not (isinstance(left, (int, float)) and isinstance(right, (int, float))):
                _charge(weigh(left, right))
            case "*":
                _charge(_product(left, right))
            case "**" if isinstance(left, int) and isinstance(right, int) and abs(left).bit_length() * right > _BITS:
                raise TooMuchError("it would make a number of more than 3,000 digits")
            case "%" if isinstance(left, (str, bytes)):
                _formatting(str(left), (right,))
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        if called is step:
            return step()
        step()
        if called in self.messages:
            _formatting("".join(str(each) for each in args[:2]), kwargs.values())
        if isinstance(owner := getattr(called, "__self__", None), (str, bytes, int)):
            _before(getattr(called, "__name__", ""), owner, args, kwargs)
            return _after(super().call(context, called, *args, **kwargs))
        return super().call(context, called, *args, **kwargs)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        made = super().wrap_str_format(value)
        if made is None:
            return None

        @functools.wraps(made)
        def formatted(*args: Any, **kwargs: Any) -> str:
            step()
            _formatting(str(value.__self__), (*args, kwargs))
            return made(*args, **kwargs)

        return formatted


class _Generator(CodeGenerator):
    """Counts what is made by the language itself: joined, sliced and spelt out."""

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
    """Makes every turn of a loop and every use of a macro, a block or a template a step."""

    def counted(line: int) -> nodes.Call:
        return nodes.Call(nodes.ImportedName(f"{__name__}.step", lineno=line), [], [], None, None, lineno=line)

    each: list[Any] = [tree, *tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block))]
    for found in each:
        found.body.insert(0, nodes.ExprStmt(counted(found.lineno), lineno=found.lineno))
        if isinstance(found, nodes.For) and found.test is not None:
            found.test = nodes.And(counted(found.lineno), found.test, lineno=found.lineno)


def _printed(value: Any) -> Any:
    """A value that is about to be printed."""
    if not isinstance(value, str):
        _charge(weigh(value))
    return value


def _counted(name: str, made: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that counts; what it was marked with goes on being said of it."""
    passed = 1 if hasattr(made, "jinja_pass_arg") else 0

    @functools.wraps(made)
    def counted(*args: Any, **kwargs: Any) -> Any:
        step()
        before, (value, *others) = args[:passed], args[passed:]
        if name == "join" and not hasattr(value, "__len__"):
            value = list(value)
        _before(name, value, others, kwargs)
        return _after(made(*before, value, *others, **kwargs))

    return counted


def _before(name: str, value: Any, args: Iterable[Any], kwargs: dict[str, Any]) -> None:
    """Refuses a filter or a method that would make something too large of a value."""
    given = [*args, *kwargs.values()]
    if not given and name not in _WIDE:
        _charge(weigh(value))
        return
    numbers = [abs(each) for each in given if isinstance(each, int)]
    texts = [len(each) for each in given if isinstance(each, (str, bytes))]
    widest = max(numbers, default=0)
    if widest > _WIDEST and name in _WIDE:
        raise TooMuchError(f"{name} is given {widest:,}, and {_WIDEST:,} is the most")
    size = weigh(value, *given)
    match name:
        case "expandtabs" | "indent":
            size += (1 + _count(value, "\n") + _count(value, "\t")) * max([widest, *texts], default=0)
        case "tojson":
            size += size * widest
        case "wordwrap":
            size += _wrapping(size) * max(texts, default=0)
        case "replace" if len(given) > 1:
            size += _count(value, given[0]) * _length(given[1])
        case "join" if isinstance(value, (str, bytes)):  # the method: the value stands between the others
            size += sum(map(_length, given)) * len(value)
        case "join":
            size += _length(value) * max(texts, default=0)
        case "translate":
            size += _length(value) * size
        case "format":
            _formatting(str(value), given)
    _charge(size)


def _wrapping(size: int) -> int:
    if size > _WRAPPED:
        raise TooMuchError(f"wordwrap is given more than {_WRAPPED:,} characters")
    if _budget.on:
        _in_time()
    return size


def _count(value: Any, what: Any) -> int:
    return str(value).count(str(what))


def _length(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") else 0


def _after(made: Any) -> Any:
    """What a filter or a method made; the items of what makes them one by one are steps."""
    if isinstance(made, Iterator):
        return _each(made)
    _charge(_length(made))
    return made


def _each(items: Iterator[Any]) -> Iterator[Any]:
    for item in items:
        step()
        _charge(_length(item))
        yield item


def _product(left: Any, right: Any) -> int:
    """The size of a product, at least; TooMuchError for a number that is too long to be worked out."""
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > _BITS:
            raise TooMuchError("it would make a number of more than 3,000 digits")
        return 1
    for one, other in ((left, right), (right, left)):
        if isinstance(other, int) and isinstance(one, (str, bytes, list, tuple)):
            return weigh(one) * max(other, 0)
    return 1


def _formatting(pattern: str, given: Iterable[Any]) -> None:
    """Refuses a pattern that would make something too large of what it is given, or whose widths are not to be seen in it."""
    if _STARRED.search(pattern) or re.search(r"\{[^{}]*\{", pattern.replace("{{", "")):
        raise TooMuchError("a width in a pattern is worked out, and not written there")
    widest = max([int(each) for each in _NUMBER.findall(pattern[:VALUE]) if len(each) < 20], default=0)
    places = pattern.count("%") + pattern.count("{")
    if places and (widest > _WIDEST or any(len(each) >= 20 for each in _NUMBER.findall(pattern))):
        raise TooMuchError(f"a pattern has a width of more than {_WIDEST:,}")
    _charge(len(pattern) + places * (weigh(*given) + widest))
