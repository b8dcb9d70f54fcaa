"""The rows of a read beside those of the read before: what is word for word the same needs no second look.

A source mostly returns its rows in the order it had the day before. So the rows are set beside each other as they come, block by
block; a row that moved too far is simply taken for a changed one, and found to be the same later, at the price of a look.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate.spill import Sorted

_SLACK: Final = 16384
"""How far a row may have moved between two reads, in rows, and still be recognised."""
_POSITION: Final = "position"
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4")


def as_table(raw: pd.DataFrame) -> pa.Table | None:
    """A raw frame as Arrow columns, or None if it holds something that has no column type of its own."""
    found: dict[str, pa.Array] = {}
    for name in raw.columns:
        try:
            array = pa.array(raw[name], from_pandas=True)
        except (pa.ArrowException, UnicodeEncodeError, TypeError, ValueError, OverflowError):
            return None
        if isinstance(array, pa.ChunkedArray):
            array = array.combine_chunks()
        if pa.types.is_null(array.type):
            array = array.cast(pa.large_string())
        kind = array.type
        if not (pa.types.is_large_string(kind) or pa.types.is_primitive(kind)):
            return None
        found[name] = array
    return pa.table(found)


class Rows:
    """The rows of one read, kept in `path` for the next one, beside those that the read before kept in `before`.

    `unchanged` counts the rows that are the same as before; `missing` (complete once `close` was called) has the `account_id` of every
    row of before without a same one now.
    """

    def __init__(self, path: Path, before: Path | None = None, doubled: Iterable[int] = ()) -> None:
        self.path = path
        self.unchanged = 0
        self.missing = Sorted(path.with_suffix(".missing"))
        self._out: pa.ipc.RecordBatchFileWriter | None = None
        self._schema: pa.Schema | None = None
        self._before = (
            None if before is None or not before.stat().st_size else _Before(before, np.array(sorted(doubled), dtype="int64"), self.missing)
        )

    def same(self, table: pa.Table | None, rows: int) -> np.ndarray:
        """True for those of the next `rows` rows that were the same in the read before. Each of its rows is found at most once."""
        if table is None or self._before is None or not self._fits(table) or not table.schema.equals(self._before.schema):
            return np.zeros(rows, dtype=bool)
        found = self._before.same(table)
        self.unchanged += int(found.sum())
        return found

    def keep(self, table: pa.Table | None, which: np.ndarray) -> bool:
        """Keeps some of a block's rows for the next read. False if they could not be kept, because they are of another kind."""
        if table is None or not self._fits(table):
            return False
        if self._out is None:
            self._schema = table.schema
            self._out = pa.ipc.new_file(str(self.path), table.schema, options=_OPTIONS)
        self._out.write_table(table if which.all() else table.filter(pa.array(which)))
        return True

    def _fits(self, table: pa.Table) -> bool:
        return self._schema is None or table.schema.equals(self._schema)

    def close(self) -> None:
        if self._out is not None:
            self._out.close()
        if self._before is not None:
            self._before.close()
        self.missing.close()

    def find(self, ids: pa.Array) -> pd.DataFrame:
        """The kept rows of some accounts, as raw as they were read."""
        if self._out is None:
            return pd.DataFrame()
        reader = pa.ipc.open_file(pa.OSFile(str(self.path)))
        found = []
        for i in range(reader.num_record_batches):
            batch = reader.get_batch(i)
            found.append(batch.filter(pc.fill_null(pc.is_in(batch.column("account_id"), ids), False)))
        rows: pd.DataFrame = pa.Table.from_batches(found, reader.schema).to_pandas()
        return rows


class _Before:
    """The rows of the read before, looked at through a window that moves along with the read of now."""

    def __init__(self, path: Path, doubled: np.ndarray, missing: Sorted) -> None:
        self._reader = pa.ipc.open_file(pa.OSFile(str(path)))
        self.schema = self._reader.schema
        self._compared = [name for name in self.schema.names if name != _POSITION]
        self._doubled, self._missing = doubled, missing
        self._next = 0
        self._window = self.schema.empty_table()
        self._used = np.zeros(0, dtype=bool)
        self._start = 0  # where the row after the last one found stands in the window

    def same(self, table: pa.Table) -> np.ndarray:
        self._reach(table.num_rows)
        here = self._window.slice(self._start, table.num_rows)
        if here.num_rows == table.num_rows and here["account_id"].equals(table["account_id"]):
            found = _alike(table, here, self._compared)
            self._used[self._start : self._start + table.num_rows] = found
            self._start += table.num_rows
        else:
            found = self._search(table)
        self._retire(self._start - _SLACK)
        return found

    def _search(self, table: pa.Table) -> np.ndarray:
        """The same rows, wherever they stand in the window."""
        found = np.zeros(table.num_rows, dtype=bool)
        ids = self._window["account_id"].combine_chunks()
        places = pc.index_in(table["account_id"].combine_chunks(), ids, skip_nulls=True)
        at = pc.fill_null(places, -1).to_numpy(zero_copy_only=False)
        times = np.bincount(at[at >= 0], minlength=len(ids))
        rows = np.flatnonzero((at >= 0) & (times[at] == 1) & ~self._used[at] if len(ids) else np.zeros(len(at), dtype=bool))
        if not len(rows):
            return found
        there = at[rows]
        alike = _alike(table.take(rows), self._window.take(there), self._compared)
        found[rows[alike]] = True
        self._used[there[alike]] = True
        self._start = int(there.max()) + 1
        return found

    def _reach(self, rows: int) -> None:
        """Lets the window reach so many rows beyond the last one found, and the slack."""
        more = [self._window]
        held = self._window.num_rows - self._start
        while held < rows + _SLACK and self._next < self._reader.num_record_batches:
            batch = self._reader.get_batch(self._next)
            self._next += 1
            if len(self._doubled):
                batch = batch.filter(pa.array(~np.isin(batch.column(_POSITION).to_numpy(), self._doubled)))
            more.append(pa.Table.from_batches([batch]))
            held += batch.num_rows
        if len(more) > 1:
            self._window = pa.concat_tables(more)
            self._used = np.concatenate([self._used, np.zeros(self._window.num_rows - len(self._used), dtype=bool)])

    def _retire(self, rows: int) -> None:
        """Lets go of the window's first rows; those that were not found are missing."""
        if rows <= 0:
            return
        gone = self._window.slice(0, rows).select(["account_id"]).filter(pa.array(~self._used[:rows]))
        self._missing.add(gone)
        self._window, self._used, self._start = self._window.slice(rows), self._used[rows:], self._start - rows

    def close(self) -> None:
        while True:
            self._retire(self._window.num_rows)
            self._start = 0
            self._reach(1)
            if not self._window.num_rows:
                return


def _alike(table: pa.Table, other: pa.Table, columns: list[str]) -> np.ndarray:
    """True where two tables have the same values, row by row; a missing value is the same as a missing one."""
    found = np.ones(table.num_rows, dtype=bool)
    for name in columns:
        mine, theirs = table[name], other[name]
        if mine.equals(theirs):
            continue
        equal = pc.equal(mine, theirs)
        both = pc.and_(pc.is_null(mine), pc.is_null(theirs))
        found &= pc.coalesce(equal, both).to_numpy(zero_copy_only=False).astype(bool) if equal.null_count else np.asarray(equal)
    return found
