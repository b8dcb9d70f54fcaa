"""Which variants of a test run every time, and which only in `make soak`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet


def soak(*values: object) -> ParameterSet:
    """A variant that only `make soak` runs."""
    return pytest.param(*values, marks=pytest.mark.soak)


def some(often: int, values: Iterable[object]) -> list[ParameterSet]:
    """The first `often` values run every time, the others only in `make soak`."""
    return [_joined(value, rare=number >= often) for number, value in enumerate(values)]


def covering(*axes: Iterable[object]) -> list[ParameterSet]:
    """Every combination of the values of several axes. As many run every time as it takes to meet each value of each axis once; the others
    only in `make soak`."""
    lists = [list(axis) for axis in axes]
    often = {tuple(number % len(values) for values in lists) for number in range(max(map(len, lists)))}
    return [
        _joined(*(values[number] for values, number in zip(lists, numbers, strict=True)), rare=numbers not in often)
        for numbers in itertools.product(*(range(len(values)) for values in lists))
    ]


def _joined(*parts: Any, rare: bool) -> ParameterSet:
    sets = [part if isinstance(part, ParameterSet) else pytest.param(part) for part in parts]
    marks = [mark for each in sets for mark in each.marks]
    return pytest.param(*(value for each in sets for value in each.values), marks=[*marks, pytest.mark.soak] if rare else marks)
