"""Checks on the bytes of a whole column of text, which find the few cells that must be processed one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEPARATES: Final = b";|"
"""Bytes at which some spreadsheets split a cell, though we do not (`outside.SEPARATORS`)."""
_SPECIAL: Final = b'",\r\n'
_BEGINS: Final = np.isin(np.arange(256), np.frombuffer(b" \"'`=+-@", "uint8"))
"""True for the bytes with which a formula may begin, and for those that a spreadsheet skips before one."""


def doubtful(text: pa.Array) -> pa.Array | None:
    """True for the cells (`large_string`) that may have to be changed: those that are not plain ASCII or have control characters, have a
    separator (`SEPARATES`), or begin like a formula, with a quote or a space. None if there are none."""
    ends, data = _parts(text)
    # Plain bytes are those from space to tilde. Bytes below the space wrap around to large numbers.
    marks = data - np.uint8(0x20) > 0x7E - 0x20
    for octet in SEPARATES:
        marks |= data == octet
    found = _marked(ends, marks)
    there = ends[:-1] < ends[1:]
    begins = _BEGINS[data[ends[:-1][there]]]
    if begins.any():
        rows = np.zeros(len(text), dtype=bool)
        rows[there] = begins
        found = rows if found is None else found | rows
    return None if found is None else pa.array(found)


def special(text: pa.Array) -> pa.Array | None:
    """True for the cells (`large_string`) that have a comma, a quote or a line break; None if there are none."""
    ends, data = _parts(text)
    marks = [each for each in (data == octet for octet in _SPECIAL) if each.any()]
    found = _marked(ends, np.logical_or.reduce(marks)) if marks else None
    return None if found is None else pa.array(found)


def _marked(ends: NDArray[np.int64], marks: NDArray[np.bool_]) -> NDArray[np.bool_] | None:
    """True for the cells that have a marked byte; None if there are none."""
    if not marks.any():
        return None
    before = np.concatenate([[0], np.cumsum(marks, dtype="int64")])
    found: NDArray[np.bool_] = before[ends[1:]] > before[ends[:-1]]
    return found


def _parts(text: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """The byte offset at which each cell begins, and, last, the one at which the last cell ends; and the bytes of all cells end to end."""
    _, places, data = text.buffers()
    if not len(text) or data is None:
        return np.zeros(len(text) + 1, "int64"), np.zeros(0, "uint8")
    ends = np.frombuffer(places, "int64")[text.offset : text.offset + len(text) + 1]
    return ends - ends[0], np.frombuffer(data, "uint8")[ends[0] : ends[-1]]
