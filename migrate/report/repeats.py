"""Repeats: columns in which the same few values stand again and again are looked at once a value, not once a row.

Such a column travels as an Arrow dictionary: its distinct values, and for each row the number of one of them.
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
"""So many rows tell whether the values of a column repeat. Where they mislead, the same is found out more slowly."""
_ROOM: Final = 2**62


@dataclass(frozen=True, slots=True)
class Combinations:
    """The different combinations of values in some columns: for each row the number of its combination, and for each combination a row
    that has it."""

    number: NDArray[np.int64]
    row: NDArray[np.int64]

    @property
    def counts(self) -> list[int]:
        """How many rows have each."""
        found: list[int] = np.bincount(self.number, minlength=len(self.row)).tolist()
        return found

    def values(self, column: pa.Array) -> list[Any]:
        """What one of the columns holds in each; an instant as microseconds."""
        here = plain(column.take(pa.array(self.row)))
        return list((here.cast(pa.int64()) if pa.types.is_timestamp(here.type) else here).to_pylist())


def whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return column.combine_chunks() if column.num_chunks else pa.nulls(0, column.type)


def shortened(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column in one piece, and as a dictionary if its values repeat."""
    found = whole(column)
    if is_short(found):
        return found
    head = found.slice(0, _HEAD)
    return found if 2 * len(pc.unique(head)) > len(head) else dictionary(found)


def is_short(column: pa.Array) -> bool:
    """True of a dictionary."""
    return bool(pa.types.is_dictionary(column.type))


def dictionary(column: pa.Array) -> pa.DictionaryArray:
    """A column as a dictionary, whether its values repeat or not."""
    return column if is_short(column) else pc.dictionary_encode(column)


def plain(column: pa.Array) -> pa.Array:
    """A column with its values in it."""
    return column.dictionary_decode() if is_short(column) else column


def with_values(column: pa.DictionaryArray, values: pa.Array) -> pa.DictionaryArray:
    """A dictionary with other values in the place of its own, as many."""
    if values is column.dictionary:
        return column
    return pa.DictionaryArray.from_arrays(column.indices, values, safe=False)


def where(chosen: NDArray[np.bool_], value: pa.Scalar) -> pa.DictionaryArray:
    """A column that has one value in the chosen rows, and none in the others."""
    values = pa.array([value.as_py()] if value.is_valid else [], value.type)
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(chosen), "int32"), mask=~(chosen & value.is_valid)), values)


def among(column: pa.Array, words: Collection[str]) -> NDArray[np.bool_]:
    """True for the rows whose word is one of some."""
    short = dictionary(column)
    values = np.array([*(word in words for word in short.dictionary.to_pylist()), False])
    return values[_numbers(short)]


def combinations(columns: Sequence[pa.Array]) -> Combinations:
    """The combinations of one column or more; a missing value is a value here."""
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
    """The number of each row's value; that of a missing one comes after all others."""
    missing = pa.scalar(len(column.dictionary), column.indices.type)
    found: NDArray[np.int32] = pc.fill_null(column.indices, missing).to_numpy()
    return found


def _renumbered(number: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    seen = pc.dictionary_encode(pa.array(number))
    return seen.indices.to_numpy().astype("int64"), len(seen.dictionary)
