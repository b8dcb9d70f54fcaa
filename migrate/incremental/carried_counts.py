"""Counts accounts that carry over, in Arrow columns, as `migrate.core` counts accounts in frames."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrate.core.accounts import ADDRESS_SEPARATOR, METHODS
from migrate.core.standing import found_in

_FOUND_IN: Final = np.array([found_in(word) for word in METHODS], "int32")
"""For each of `METHODS` the methods (bits) any of which makes it a default that is registered."""


def not_registered(defaults: pa.ChunkedArray, methods: pa.ChunkedArray) -> int:
    """`standing.default_not_registered`, counted in Arrow columns."""
    if defaults.null_count == len(defaults):
        return 0
    place = pc.index_in(defaults, pa.array(METHODS, defaults.type))
    named = pc.is_valid(place).to_numpy()
    any_of = _FOUND_IN[pc.fill_null(place, 0).to_numpy()]
    return int((named & (any_of != 0) & (any_of & methods.to_numpy() == 0)).sum())


def more_addresses_than(emails: pa.ChunkedArray, lists: pa.ChunkedArray, most: int) -> int:
    """`changes.more_addresses_than`, counted in Arrow columns."""
    several = pc.fill_null(pc.greater(pc.binary_length(lists), 0), False)
    if not pc.any(several).as_py():
        return 0
    primary = pc.cast(pc.is_valid(emails.filter(several)), pa.int32())
    listed = pc.cast(pc.count_substring(lists.filter(several), ADDRESS_SEPARATOR), pa.int32())
    return pc.sum(pc.greater(pc.add(primary, listed), most - 1)).as_py() or 0


def how_often(words: pa.ChunkedArray) -> dict[str, int]:
    """Word → how often it is there."""
    return {each["values"]: each["counts"] for each in pc.value_counts(words).to_pylist()}
