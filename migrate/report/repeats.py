"""Repeats: a column with few different values is processed once for each value, not once for each row.

Such a column is an Arrow dictionary: its distinct values, and for each row the number of its value.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEAD: Final = 1024
"""So many rows decide whether a column has few different values. A wrong guess costs time only."""
_ROOM: Final = 2**62


@dataclass(frozen=True, slots=True)
class Combinations:
    """The different combinations of values in some columns: for each row the number of its combination, and for each combination one row
    that has it."""

    number: NDArray[np.int64]
    row: NDArray[np.int64]

    @property
    def counts(self) -> list[int]:
        """How many rows have each combination."""
        found: list[int] = np.bincount(self.number, minlength=len(self.row)).tolist()
        return found

    def values(self, column: pa.Array) -> list[Any]:
        """The value of one of the columns in each combination; an instant is given in microseconds."""
        here = plain(column.take(pa.array(self.row)))
        return list((here.cast(pa.int64()) if pa.types.is_timestamp(here.type) else here).to_pylist())


def whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as one array instead of chunks."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return column.combine_chunks() if column.num_chunks else pa.nulls(0, column.type)


def shortened(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column as one array, and as a dictionary if it has few different values."""
    found = whole(column)
    if is_short(found):
        return found
    head = found.slice(0, _HEAD)
    return found if 2 * len(pc.unique(head)) > len(head) else dictionary(found)


def is_short(column: pa.Array) -> bool:
    """Whether a column is a dictionary."""
    return bool(pa.types.is_dictionary(column.type))


def dictionary(column: pa.Array) -> pa.DictionaryArray:
    """A column as a dictionary, however many different values it has."""
    return column if is_short(column) else pc.dictionary_encode(column)


def plain(column: pa.Array) -> pa.Array:
    """A column with its values in place, not as a dictionary."""
    return column.dictionary_decode() if is_short(column) else column


def with_values(column: pa.DictionaryArray, values: pa.Array) -> pa.DictionaryArray:
    """A dictionary whose values are replaced by as many others."""
    if values is column.dictionary:
        return column
    return pa.DictionaryArray.from_arrays(column.indices, values, safe=False)


def where(chosen: NDArray[np.bool_], value: pa.Scalar) -> pa.DictionaryArray:
    """A column with one value in the chosen rows, and null in the others."""
    values = pa.array([value.as_py()] if value.is_valid else [], value.type)
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(chosen), "int32"), mask=~(chosen & value.is_valid)), values)


def among(column: pa.Array, words: Collection[str]) -> NDArray[np.bool_]:
    """True for the rows whose value is one of some words."""
    short = dictionary(column)
    values = np.array([*(word in words for word in short.dictionary.to_pylist()), False])
    return values[_numbers(short)]


def combinations(columns: Sequence[pa.Array]) -> Combinations:
    """The combinations of values in one or more columns; null counts as a value."""
    number, span = np.zeros(len(columns[0]), "int64"), 1
    for column in columns:
        short = dictionary(column)
        size = len(short.dictionary) + 1
        if span > _ROOM // size:
            number, span = _renumbered(number)
        number, span = number * size + _numbers(short), span * size
    number, span = _renumbered(number)
    row = np.empty(span, "int64")
    row[number] = np.arange(len(number))
    return Combinations(number, row)


def _numbers(column: pa.DictionaryArray) -> NDArray[np.int32]:
    """The number of each row's value; null gets a number after all others."""
    missing = pa.scalar(len(column.dictionary), column.indices.type)
    found: NDArray[np.int32] = pc.fill_null(column.indices, missing).to_numpy()
    return found


def _renumbered(number: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    seen = pc.dictionary_encode(pa.array(number))
    return seen.indices.to_numpy().astype("int64"), len(seen.dictionary)
