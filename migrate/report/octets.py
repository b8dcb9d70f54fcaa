"""Octets: what can be said of a column of text by the octets that it is made of, before any cell is looked at by itself."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

_CONTROL: Final = bytes([*range(0x20), 0x7F])
_SPECIAL: Final = b'",\r\n'
_FIRST: Final = b" \"'`=+-@"


def _table(octets: bytes, *, beyond_ascii: bool = False) -> bytes:
    """A table for `bytes.translate` that marks some octets."""
    return bytes(each in octets or (beyond_ascii and each > 0x7F) for each in range(256))


_UNUSUAL: Final = _table(_CONTROL, beyond_ascii=True)
_QUOTED: Final = _table(_SPECIAL)
_BEGINS: Final = np.frombuffer(_table(_FIRST), dtype=bool)


def doubtful(text: pa.Array) -> pa.Array | None:
    """True for the cells (`large_string`) that are not plain ASCII without control characters, or begin like a formula, a quote or a
    space; None if there are none."""
    ends, data = _parts(text)
    found = _marked(ends, data, _UNUSUAL)
    starts = ends[:-1][ends[:-1] < ends[1:]]
    begins = _BEGINS[np.frombuffer(data, "uint8")[starts]]
    if begins.any():
        rows = np.zeros(len(text), dtype=bool)
        rows[ends[:-1] < ends[1:]] = begins
        found = rows if found is None else found | rows
    return None if found is None else pa.array(found)


def special(text: pa.Array) -> pa.Array | None:
    """True for the cells (`large_string`) that hold a comma, a quote or a line break; None if there are none."""
    found = _marked(*_parts(text), _QUOTED)
    return None if found is None else pa.array(found)


def _marked(ends: np.ndarray, data: bytes, table: bytes) -> np.ndarray | None:
    """True for the cells that hold an octet which the table marks; None if there are none."""
    marks = data.translate(table)
    if 1 not in marks:
        return None
    before = np.concatenate([[0], np.cumsum(np.frombuffer(marks, "uint8"), dtype="int32")])
    found: np.ndarray = before[ends[1:]] > before[ends[:-1]]
    return found


def _parts(text: pa.Array) -> tuple[np.ndarray, bytes]:
    """Where each cell begins in the data, and, last, where it ends; and the data, all cells end to end."""
    _, places, data = text.buffers()
    if not len(text) or data is None:
        return np.zeros(len(text) + 1, "int64"), b""
    ends: np.ndarray = np.frombuffer(places, "int64")[text.offset : text.offset + len(text) + 1]
    return ends - int(ends[0]), bytes(memoryview(data)[ends[0] : ends[-1]])
