"""What one text of a letter may cost: steps, processor time, and the size of everything that its template makes.

A template is an operator's program, and Jinja's sandbox bounds neither its loops nor what `*`, `center` or `format` make. So every loop,
call, operator and filter is counted here, and `sizes` refuses what would be too large before it is made. `sandbox` puts both into Jinja.
A template that exceeds the budget gets a `TooMuchError` with the line, long before memory or patience is used up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import jinja2

OUTPUT: Final = 1 << 20
"""Characters of one text of a letter."""
VALUE: Final = 1 << 18
"""Characters of a single value in a template."""
_MADE: Final = 1 << 24
"""Characters and items of all the values that are made for one text."""
STEPS: Final = 20_000
"""Turns of loops, calls and filters, all together."""
SECONDS: Final = 2.0
"""Processor time of one text."""
_LARGE: Final = 1 << 12
"""Characters of a value after which the time is looked at: whatever is done with the value next may take long."""


class TooMuchError(jinja2.TemplateRuntimeError):
    """A template would make a text that is too large, or go on for too long."""


class _Budget(threading.local):
    """What a thread may still spend on the text that it is making. While it makes none (`on` is false), nothing is counted."""

    on = False
    steps = 0
    made = 0
    until = 0.0


_budget: Final = _Budget()


@contextmanager
def one_text() -> Iterator[None]:
    """Within it this thread makes one text: its budget starts full, and is counted down."""
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
            in_time()
    return True


def in_time() -> None:
    """Raises TooMuchError if the text's processor time is used up."""
    if _budget.on and time.thread_time() > _budget.until:
        raise TooMuchError(f"it takes more than {SECONDS:.0f} seconds")


def charge(size: int, most: int = VALUE) -> None:
    """Counts a value of so many characters or items that was made, or is about to be made. Raises TooMuchError."""
    if size > most:
        raise TooMuchError(f"it would make a text of more than {most:,} characters")
    if _budget.on:
        _budget.made -= size
        if _budget.made < 0:
            raise TooMuchError(f"its values have more than {_MADE:,} characters in all")
        if size > _LARGE:
            in_time()


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
