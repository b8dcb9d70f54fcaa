"""Works out, before it is made, how large the result of a template's operator, filter or method would be. TooMuchError if it is too
large."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from migrate.mail.template_limits import VALUE, TooMuchError, charge, in_time, step, weigh

BITS: Final = 10_000
"""Bits of a number."""
_WIDEST: Final = 10_000
"""Characters to which a filter may fill a text up, and other numbers that it is given."""
_WRAPPED: Final = 1 << 14
"""Characters that `wordwrap` may be given: it can take 11 seconds for `VALUE` of them, and cannot be interrupted."""
_WIDE: Final = (
    "center", "ljust", "rjust", "zfill", "expandtabs", "to_bytes", "indent", "round", "batch", "slice", "wordwrap", "tojson",
)  # fmt: skip
"""Filters and methods that are told how wide, how long or how many."""
_NUMBER: Final = re.compile(r"\d+")
_STARRED: Final = re.compile(r"%[^%a-zA-Z]*\*")


def check_call(name: str, value: Any, args: Iterable[Any], kwargs: dict[str, Any]) -> None:
    """Counts what a filter or a method would make. Raises TooMuchError if that is too large."""
    given = [*args, *kwargs.values()]
    if not given and name not in _WIDE:
        charge(weigh(value))
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
        case "join" if isinstance(value, (str, bytes)):  # the method of a text, which puts the text between the items
            size += sum(map(_length, given)) * len(value)
        case "join":
            size += _length(value) * max(texts, default=0)
        case "translate":
            size += _length(value) * size
        case "format":
            check_format(str(value), given)
    charge(size)


def _wrapping(size: int) -> int:
    if size > _WRAPPED:
        raise TooMuchError(f"wordwrap is given more than {_WRAPPED:,} characters")
    in_time()
    return size


def _count(value: Any, what: Any) -> int:
    return str(value).count(str(what))


def _length(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") else 0


def counted_result(made: Any) -> Any:
    """Counts what a filter or a method made; the result. The items of an iterator count as steps, when they are taken."""
    if isinstance(made, Iterator):
        return _each(made)
    charge(_length(made))
    return made


def _each(items: Iterator[Any]) -> Iterator[Any]:
    for item in items:
        step()
        charge(_length(item))
        yield item


def product(left: Any, right: Any) -> int:
    """The least size of a product. Raises TooMuchError for a number that is too long to compute."""
    if isinstance(left, int) and isinstance(right, int):
        if left.bit_length() + right.bit_length() > BITS:
            raise TooMuchError("it would make a number of more than 3,000 digits")
        return 1
    for one, other in ((left, right), (right, left)):
        if isinstance(other, int) and isinstance(one, (str, bytes, list, tuple)):
            return weigh(one) * max(other, 0)
    return 1


def check_format(pattern: str, given: Iterable[Any]) -> None:
    """Counts what a format pattern would make. Raises TooMuchError if that is too large, or if a width is computed and cannot be read
    there."""
    if _STARRED.search(pattern) or re.search(r"\{[^{}]*\{", pattern.replace("{{", "")):
        raise TooMuchError("a width in a pattern is worked out, and not written there")
    widest = max([int(each) for each in _NUMBER.findall(pattern[:VALUE]) if len(each) < 20], default=0)
    places = pattern.count("%") + pattern.count("{")
    if places and (widest > _WIDEST or any(len(each) >= 20 for each in _NUMBER.findall(pattern))):
        raise TooMuchError(f"a pattern has a width of more than {_WIDEST:,}")
    charge(len(pattern) + places * (weigh(*given) + widest))
