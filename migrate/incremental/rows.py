"""Finds the rows that are exactly the same as in the last read, before anything is translated.

What goes in: the raw rows of this read, a block at a time, and the file of raw rows that the last read kept. What comes out: for each row,
whether the last read had the same one (`Rows.same`); the ids of the rows that are missing now (`Rows.missing`); and the file for the next
read (`Rows.keep`).

Most sources return their rows in the same order every day. So the two reads are compared in one pass: a window over the old rows moves
along with the new rows, and a row is looked for in the window by its `account_id`. A row that moved further than the window reaches counts
as changed. That is only slower: it is translated and decided like a changed row, with the same result.
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
"""By how many rows a row may have moved between two reads and still be recognised."""
_RUN: Final = 32
"""Rows are cut out as slices, without a copy, if consecutive ones form runs of at least this many on average."""
_ROW: Final = 4096
"""Bytes that the rows of a block may have on average."""
_SMALL: Final = 1 << 20
"""A block of at most this many bytes is kept even if its rows are longer than `_ROW`."""
_POSITION: Final = "position"
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4")


def as_table(raw: pd.DataFrame) -> pa.Table | None:
    """A raw frame as Arrow columns. None if a column's values are neither text nor of another simple type, as lists are, or if its rows
    are too long to hold thousands of them in memory: such a frame is not compared."""
    columns: dict[str, pa.Array] = {}
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
        columns[name] = array
    table = pa.table(columns)
    return table if table.nbytes <= max(_ROW * table.num_rows, _SMALL) else None


class Rows:
    """The raw rows of one read, compared with those of the last read and kept for the next one.

    `path`: the file to keep them in. `before`: the file that the last read kept. `unfit`: positions of rows in `before` that count as
    changed in any case, because something about them is odd. `unchanged` counts the rows that are the same as before; `missing` (complete
    after `close`) has the `account_id` of every row in `before` that no row of this read is the same as.
    """

    def __init__(self, path: Path, before: Path | None = None, unfit: np.ndarray | None = None) -> None:
        self.path = path
        self.unchanged = 0
        self.missing = Sorted(path.with_suffix(".missing"))
        self._out: pa.ipc.RecordBatchFileWriter | None = None
        self._schema: pa.Schema | None = None
        self._before = _Before(before, unfit, self.missing) if before is not None and before.stat().st_size else None

    def same(self, table: pa.Table | None, rows: int) -> np.ndarray:
        """For the next `rows` rows of this read (`table`): True where the last read had the same row. No old row is matched twice."""
        if table is None or self._before is None or not self._fits(table) or not table.schema.equals(self._before.schema):
            return np.zeros(rows, dtype=bool)
        same = self._before.same(table)
        self.unchanged += int(same.sum())
        return same

    def keep(self, table: pa.Table | None) -> bool:
        """Keeps a block of rows for the next read. False if its columns are not those of the first block, so that it cannot be kept."""
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
        """The SHA-256 of the kept file; call `close` first."""
        return self._digest.result()

    def find(self, ids: pa.Array) -> pd.DataFrame:
        """The kept rows of some accounts, raw, as they were read."""
        if self._out is None:
            return pd.DataFrame()
        reader = pa.ipc.open_file(pa.OSFile(str(self.path)))
        batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
        wanted = [batch.filter(pc.fill_null(pc.is_in(batch.column("account_id"), ids), False)) for batch in batches]
        rows: pd.DataFrame = pa.Table.from_batches(wanted, reader.schema).to_pandas()
        return rows


class _Before:
    """The rows of the last read, seen through a window (`_window`) that moves along with the rows of this read.

    `_used`: which rows of the window were matched. `_start`: the row of the window where the next new row is expected. A row that leaves
    the window unmatched is `missing`.
    """

    def __init__(self, path: Path, unfit: np.ndarray | None, missing: Sorted) -> None:
        self._reader = pa.ipc.open_file(pa.OSFile(str(path)))
        self.schema = self._reader.schema
        self._compared = [name for name in self.schema.names if name != _POSITION]
        self._unfit, self._missing = unfit, missing
        self._next = 0
        self._window = self.schema.empty_table()
        self._used = np.zeros(0, dtype=bool)
        self._start = 0

    def same(self, table: pa.Table) -> np.ndarray:
        """True for the rows of `table` that are the same as an old row; moves the window on."""
        self._extend(table.num_rows)
        same = np.zeros(table.num_rows, dtype=bool)
        places = self._places(table["account_id"].combine_chunks())
        rows = np.flatnonzero(places >= 0)
        if len(rows):
            same[rows] = equal_rows(picked(table, rows), picked(self._window, places[rows]), self._compared)
            self._used[places[same]] = True
            # New rows after the last one with a place have most likely replaced as many old rows.
            self._start = min(int(places[rows[-1]]) + table.num_rows - int(rows[-1]), self._window.num_rows)
        self._drop(self._start - _SLACK)
        return same

    def _places(self, ids: pa.Array) -> np.ndarray:
        """For each id the row of the window that has the same id and is not used yet, or -1; no row is given twice.

        First the ids are compared with the window row by row, from `_start` on: that finds nearly all of them. The rest is looked up.
        """
        window = self._window["account_id"]
        here = window.slice(self._start, len(ids))
        same = pc.fill_null(pc.equal(ids.slice(0, len(here)), here), False).to_numpy()
        places = np.full(len(ids), -1)
        places[: len(here)][same] = np.flatnonzero(same) + self._start
        free = ~self._used
        placed = np.flatnonzero(places >= 0)
        places[placed[~free[places[placed]]]] = -1
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

    def _extend(self, rows: int) -> None:
        """Reads old rows until the window reaches `rows` rows and the slack beyond `_start`. Unfit rows are left out."""
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

    def _drop(self, rows: int) -> None:
        """Drops the window's first rows; those that were not matched are missing."""
        if rows <= 0:
            return
        unmatched = self._window.slice(0, rows).select(["account_id"]).filter(pa.array(~self._used[:rows]))
        self._missing.add(unmatched)
        self._window, self._used, self._start = self._window.slice(rows), self._used[rows:], self._start - rows

    def close(self) -> None:
        """Drops all rows that are left."""
        while True:
            self._drop(self._window.num_rows)
            self._start = 0
            self._extend(1)
            if not self._window.num_rows:
                return


def picked(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """The rows of a table with these indices, in that order; slices of the table, without a copy, if they form long runs."""
    begins = np.flatnonzero(np.diff(rows, prepend=rows[0] - 2) != 1)
    if len(begins) > len(rows) // _RUN:
        return table.take(rows)
    ends = [*begins[1:], len(rows)]
    return pa.concat_tables([table.slice(int(rows[begin]), int(end - begin)) for begin, end in zip(begins, ends, strict=True)])


def equal_rows(table: pa.Table, other: pa.Table, columns: list[str]) -> np.ndarray:
    """True where a row of one table has the same values as the row of the other with the same number; missing equals missing."""
    same = np.ones(table.num_rows, dtype=bool)
    for name in columns:
        mine, theirs = table[name], other[name]
        if mine.equals(theirs):
            continue
        equal = pc.equal(mine, theirs)
        both = pc.and_(pc.is_null(mine), pc.is_null(theirs))
        same &= pc.coalesce(equal, both).to_numpy(zero_copy_only=False).astype(bool) if equal.null_count else np.asarray(equal)
    return same
