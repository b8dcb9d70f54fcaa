"""Sorts the rows of the action list without holding them in memory.

Rows arrive part by part, each part sorted by all keys, and from part to part in order of the last key (the account id). So rows with the
same first keys only need to be appended to each other: all are written to one scratch file, and copied out key by key.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from migrate.report import accounts, cells, lines, tables

if TYPE_CHECKING:
    import pyarrow as pa


class Spool:
    """The rows of the action list while they are sorted: no destination first, privileged, nearest cutoff, department (missing last),
    id."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch.open("x+b")
        self._pieces: dict[Hashable, list[tuple[int, int]]] = {}
        self._end = 0
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._scratch.close()

    def add(self, rows: pa.Table) -> None:
        """Takes some rows of `accounts.action_rows`, whose ids are greater than those of all earlier parts."""
        if not rows.num_rows:
            return
        columns = tables.ACTION_LIST.columns
        records = lines.records(cells.safely(rows, columns), columns)
        bounds, body = lines.bounds(records), lines.body(records)
        self._scratch.write(body)
        found, keys = accounts.action_keys(rows)
        cuts = (np.flatnonzero(np.diff(found.number)) + 1).tolist()
        for first, after in zip([0, *cuts], [*cuts, rows.num_rows], strict=True):
            begin, end = bounds[first] - bounds[0], bounds[after] - bounds[0]
            self._pieces.setdefault(keys[found.number[first]], []).append((self._end + begin, end - begin))
        self._end += len(body)
        self.rows += rows.num_rows

    def write(self, out: lines.Out) -> int:
        """Writes the whole table in order; returns how many rows."""
        out.write(lines.header(tables.ACTION_LIST.columns))
        for _, pieces in sorted(self._pieces.items(), key=_order):
            for offset, length in pieces:
                self._scratch.seek(offset)
                out.write(self._scratch.read(length))
        return self.rows


def _order(piece: tuple[Any, Any]) -> Any:
    return piece[0]
