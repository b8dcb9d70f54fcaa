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


def first(count: int, values: Iterable[object]) -> list[ParameterSet]:
    """So many of the values, the first ones, run every time; the others only in `make soak`."""
    return [_variant(value, always=number < count) for number, value in enumerate(values)]


def covering(*axes: Iterable[object]) -> list[ParameterSet]:
    """Every combination of the values of several axes. As many run every time as it takes to meet each value of each axis once; the others
    only in `make soak`."""
    lists = [list(axis) for axis in axes]
    always = {tuple(number % len(values) for values in lists) for number in range(max(map(len, lists)))}
    return [
        _variant(*(values[number] for values, number in zip(lists, numbers, strict=True)), always=numbers in always)
        for numbers in itertools.product(*(range(len(values)) for values in lists))
    ]


def _variant(*parts: Any, always: bool) -> ParameterSet:
    sets = [part if isinstance(part, ParameterSet) else pytest.param(part) for part in parts]
    marks = [mark for each in sets for mark in each.marks]
    return pytest.param(*(value for each in sets for value in each.values), marks=marks if always else [*marks, pytest.mark.soak])
