"""The rows of a read beside those of the read before: what is word for word the same needs no second look.

A source mostly returns its rows in the order it had the day before. So the rows are set beside each other as they come, block by
block; a row that moved too far is simply taken for a changed one, and found to be the same later, at the price of a look.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate.files.digests import file_digest
from migrate.files.spill import Sorted
from migrate.process.prefetch import meanwhile

_SLACK: Final = 16384
"""How far a row may have moved between two reads, in rows, and still be recognised."""
_RUN: Final = 32
"""How long runs of rows must be on average to be worth cutting out one by one."""
_ROW: Final = 4096
"""Bytes that a row may have on average."""
_SMALL: Final = 1 << 20
"""Bytes of a block that is kept, however long its rows are."""
_POSITION: Final = "position"
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4")


def as_table(raw: pd.DataFrame) -> pa.Table | None:
    """A raw frame as Arrow columns, or None if it holds something that has no column type of its own, or rows that are too long to be held
    beside each other by the thousand."""
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
    table = pa.table(found)
    return table if table.nbytes <= max(_ROW * table.num_rows, _SMALL) else None


class Rows:
    """The rows of one read, kept in `path` for the next one, beside those that the read before kept in `before`, of which those at the
    positions `unfit` need a second look whatever happens.

    `unchanged` counts the rows that are the same as before; `missing` (complete once `close` was called) has the `account_id` of every
    row of before without a same one now.
    """

    def __init__(self, path: Path, before: Path | None = None, unfit: np.ndarray | None = None) -> None:
        self.path = path
        self.unchanged = 0
        self.missing = Sorted(path.with_suffix(".missing"))
        self._out: pa.ipc.RecordBatchFileWriter | None = None
        self._schema: pa.Schema | None = None
        self._before = _Before(before, unfit, self.missing) if before is not None and before.stat().st_size else None

    def same(self, table: pa.Table | None, rows: int) -> np.ndarray:
        """True for those of the next `rows` rows that were the same in the read before. Each of its rows is found at most once."""
        if table is None or self._before is None or not self._fits(table) or not table.schema.equals(self._before.schema):
            return np.zeros(rows, dtype=bool)
        found = self._before.same(table)
        self.unchanged += int(found.sum())
        return found

    def keep(self, table: pa.Table | None) -> bool:
        """Keeps a block of rows for the next read. False if they could not be kept, because they are of another kind."""
        if table is None or not self._fits(table):
            return False
        if self._out is None:
            self._schema = table.schema
            self._out = pa.ipc.new_file(str(self.path), table.schema, options=_OPTIONS)
        self._out.write_table(table)
        return True

    def _fits(self, table: pa.Table) -> bool:
        return self._schema is None or table.schema.equals(self._schema)

    def close(self) -> None:
        if self._out is not None:
            self._out.close()
        if self._before is not None:
            self._before.close()
        self.missing.close()
        self.path.touch()
        self._digest = meanwhile(lambda: file_digest(self.path))

    def digest(self) -> str:
        """The SHA-256 of the file that is kept, once it is closed."""
        return self._digest.result()

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

    def __init__(self, path: Path, unfit: np.ndarray | None, missing: Sorted) -> None:
        self._reader = pa.ipc.open_file(pa.OSFile(str(path)))
        self.schema = self._reader.schema
        self._compared = [name for name in self.schema.names if name != _POSITION]
        self._unfit, self._missing = unfit, missing
        self._next = 0
        self._window = self.schema.empty_table()
        self._used = np.zeros(0, dtype=bool)
        self._start = 0  # where the next row is looked for first

    def same(self, table: pa.Table) -> np.ndarray:
        self._reach(table.num_rows)
        found = np.zeros(table.num_rows, dtype=bool)
        places = self._places(table["account_id"].combine_chunks())
        rows = np.flatnonzero(places >= 0)
        if len(rows):
            found[rows] = _alike(_picked(table, rows), _picked(self._window, places[rows]), self._compared)
            self._used[places[found]] = True
            # Rows after the last one found have most likely taken the places of others.
            self._start = min(int(places[rows[-1]]) + table.num_rows - int(rows[-1]), self._window.num_rows)
        self._retire(self._start - _SLACK)
        return found

    def _places(self, ids: pa.Array) -> np.ndarray:
        """Where in the window the row of each id stands, or -1; no place twice."""
        window = self._window["account_id"]
        here = window.slice(self._start, len(ids))
        same = pc.fill_null(pc.equal(ids.slice(0, len(here)), here), False).to_numpy()
        places = np.full(len(ids), -1)
        places[: len(here)][same] = np.flatnonzero(same) + self._start
        free = ~self._used
        found = np.flatnonzero(places >= 0)  # and of a window without a row, none
        places[found[~free[places[found]]]] = -1
        free[places[places >= 0]] = False
        rest = np.flatnonzero(places < 0)
        if not len(rest):
            return places
        moved = ids.take(rest)
        those = np.flatnonzero(pc.is_in(window, moved, skip_nulls=True).to_numpy() & free)
        at = pc.index_in(moved, window.take(those).combine_chunks(), skip_nulls=True)
        known = pc.is_valid(at).to_numpy(zero_copy_only=False)
        moved_to = those[pc.drop_null(at).to_numpy()]
        once = np.bincount(moved_to, minlength=len(free))[moved_to] == 1
        places[rest[known][once]] = moved_to[once]
        return places

    def _reach(self, rows: int) -> None:
        """Lets the window reach so many rows beyond the last one found, and the slack."""
        more = [self._window]
        held = self._window.num_rows - self._start
        while held < rows + _SLACK and self._next < self._reader.num_record_batches:
            batch = self._reader.get_batch(self._next)
            self._next += 1
            if self._unfit is not None and len(self._unfit):
                batch = batch.filter(pa.array(~np.isin(batch.column(_POSITION).to_numpy(), self._unfit)))
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


def _picked(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Some rows of a table, in that order; without a copy where they stand in long runs."""
    begins = np.flatnonzero(np.diff(rows, prepend=rows[0] - 2) != 1)
    if len(begins) > len(rows) // _RUN:
        return table.take(rows)
    ends = [*begins[1:], len(rows)]
    return pa.concat_tables([table.slice(int(rows[begin]), int(end - begin)) for begin, end in zip(begins, ends, strict=True)])


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
