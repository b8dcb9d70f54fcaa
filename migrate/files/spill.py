"""Frames kept in private files instead of memory while a run works on them.

A `Spill` gives its frames back in the order in which they came. A `Sorted` gives the rows of any range of account ids: what comes is
gathered into pieces of at least `_GATHERED` rows; each piece is sorted by id and written in batches of `BATCH` rows; and the first id of
each batch is remembered. To get a range, the batches that overlap it are read from each piece. So memory holds one piece at a time while
rows come, and one range at a time when they are asked for.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate import files
from migrate.errors import DirectoryError
from migrate.process.prefetch import meanwhile

BATCH: Final = 2048
"""How many rows a batch of a sorted piece has."""
_GATHERED: Final = 65536
"""How many rows are sorted together, at least."""
_IN_ORDER: Final = 32768
"""The same for rows that come nearly in order."""
_HELD: Final = 16384
"""Up to this many rows stay in memory instead of going to a file."""
_GOLDEN: Final = 0.618034
"""By this ratio pieces are marked at different places of their batches. If ids are spread evenly, the first ids of all pieces lie close
together, and would divide the rows into large ranges and tiny ones."""
_TOGETHER: Final = 4
"""How many batches `Sorted.tables` gives at a time."""


class Spill:
    """Frames of one schema, written to a private file and read back in order, without holding them all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._schema: pa.Schema | None = None

    def append(self, frame: pd.DataFrame) -> None:
        """Adds a frame as one batch; the first one fixes the columns and dtypes."""
        self.write(pa.Table.from_pandas(frame, preserve_index=False))

    def write(self, table: pa.Table, batch: int | None = None) -> None:
        """Adds a table as one batch, or in batches of `batch` rows."""
        if self._writer is None:
            self._schema = table.schema
            self._writer = pa.ipc.new_file(str(self.path), table.schema)
        # One batch for each frame, also for a table in several chunks or without rows: `frames` gives back as many as were appended.
        whole = table.cast(self._schema).combine_chunks()
        for piece in whole.to_batches(max_chunksize=batch) or [pa.RecordBatch.from_pylist([], self._schema)]:
            self._writer.write_batch(piece)
        self.rows += table.num_rows

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def reader(self) -> pa.ipc.RecordBatchFileReader:
        return pa.ipc.open_file(pa.OSFile(str(self.path)))

    def frames(self) -> Iterator[pd.DataFrame]:
        """The frames as they were appended; of a table that was written in batches, a frame for each batch."""
        if self._writer is None:
            return
        reader = self.reader()
        for i in range(reader.num_record_batches):
            yield reader.get_batch(i).to_pandas()


class Sorted:
    """Frames with an `account_id`, added in any order; gives the rows of any range of ids.

    Ids are sorted by their UTF-8 bytes, which is the order in which Python compares text. A single small piece stays in memory. After
    `close` any thread may read.
    """

    def __init__(self, path: Path, *, in_order: bool = False) -> None:
        """`in_order`: the rows come nearly in order of id. Then small pieces overlap as little as large ones do, and each is written by a
        thread while the next one is gathered."""
        self._in_order = in_order
        self._spill = Spill(path)
        self._gathered: list[pa.Table] = []
        self._pieces: list[tuple[int, list[str]]] = []  # the number of the piece's first batch, and the first id of each of its batches
        self._marks: list[str] = []  # one id of each batch
        self._batches = 0
        self._held: list[pa.RecordBatch] = []
        self._readers = threading.local()
        self._writing: Future[None] | None = None
        self.schema: pa.Schema | None = None
        self.rows = 0

    def append(self, frame: pd.DataFrame) -> None:
        """Adds a frame; no id may be missing."""
        self.add(pa.Table.from_pandas(frame, preserve_index=False))

    def add(self, table: pa.Table) -> None:
        """Adds a table; no id may be missing."""
        if self._in_order and table.num_rows > _IN_ORDER:
            for start in range(0, table.num_rows, _IN_ORDER):
                self.add(table.slice(start, _IN_ORDER))
            return
        if not table.num_rows:
            return
        self.schema = self.schema or table.schema.remove_metadata()
        self._gathered.append(table.cast(self.schema))
        self.rows += table.num_rows
        if sum(each.num_rows for each in self._gathered) >= (_IN_ORDER if self._in_order else _GATHERED):
            self._write()

    def _write(self) -> None:
        """Writes what was gathered so far, or begins to, once the piece before it is written."""
        self._written()
        gathered, self._gathered = self._gathered, []
        self._writing = meanwhile(lambda: self._spill.write(self._piece(gathered), batch=BATCH))
        if not self._in_order:
            self._written()  # two large pieces take too much memory

    def _written(self) -> None:
        if self._writing is not None:
            self._writing.result()

    def _piece(self, gathered: list[pa.Table]) -> pa.Table:
        """Some rows, sorted: the next piece."""
        whole = pa.concat_tables(gathered).combine_chunks()
        whole = whole.take(pc.sort_indices(whole["account_id"]))
        ids = whole["account_id"]
        begin = int(len(self._pieces) * _GOLDEN % 1 * BATCH)
        firsts, marks = (ids.take(pa.array(range(at, whole.num_rows, BATCH), pa.int64())).to_pylist() for at in (0, begin))
        self._pieces.append((self._batches, firsts))
        self._marks += marks
        self._batches += -(-whole.num_rows // BATCH)
        return whole

    def close(self) -> None:
        """Ends adding; only now can rows be read."""
        if self._gathered and self._writing is None and self.rows <= _HELD:
            self._held = self._piece(self._gathered).to_batches(max_chunksize=BATCH)
            self._gathered = []
            return
        if self._gathered:
            self._write()
        self._written()
        self._spill.close()

    def _batch(self, number: int) -> pa.RecordBatch:
        """A batch by its number. Each thread has a reader of its own, so any thread may ask."""
        if self._held:
            return self._held[number]
        if not hasattr(self._readers, "mine"):
            self._readers.mine = self._spill.reader()
        return self._readers.mine.get_batch(number)

    def _part(self, number: int, low: str | None, high: str | None) -> pa.RecordBatch:
        """The rows of a batch whose id lies in [low, high). A small part is copied, since a slice would keep the whole batch in memory."""
        batch = self._batch(number)
        part = within(batch, low, high)
        return part if self._held or part.num_rows > batch.num_rows // 2 else part.take(pa.array(range(part.num_rows), pa.int32()))

    def cuts(self, rows: int) -> list[str]:
        """Ids that divide the rows into ranges of about `rows` rows."""
        return sorted(set(sorted(self._marks)[:: max(1, rows // BATCH)][1:]))

    def between(self, low: str | None, high: str | None) -> pa.Table | None:
        """The rows whose id lies in [low, high), sorted within each piece only. None for a bound means no bound; the result is None if
        there are no such rows."""
        parts = []
        for start, ids in self._pieces:
            begin = 0 if low is None else max(0, bisect_left(ids, low) - 1)
            end = len(ids) if high is None else bisect_left(ids, high)
            parts += [self._part(start + i, low, high) for i in range(begin, end)]
        return pa.Table.from_batches(parts) if any(part.num_rows for part in parts) else None

    def having(self, ids: pa.Array) -> set[str]:
        """Those of some ids that have a row here."""
        present: set[str] = set()
        for batch in self.batches():
            here = batch.column("account_id")
            present.update(here.filter(pc.is_in(here, ids.cast(here.type))).to_pylist())
        return present

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, a batch at a time, in no particular order."""
        return (self._batch(i) for i in range(self._batches))

    def tables(self) -> Iterator[pa.Table]:
        """All rows, a few thousand at a time, in no particular order."""
        for start in range(0, self._batches, _TOGETHER):
            yield pa.Table.from_batches([self._batch(i) for i in range(start, min(start + _TOGETHER, self._batches))])


def within(batch: pa.RecordBatch, low: str | None, high: str | None) -> pa.RecordBatch:
    """The rows whose id lies in [low, high), of a batch that is sorted by id."""
    begin = 0 if low is None else _place(batch, low)
    return batch.slice(begin, (batch.num_rows if high is None else _place(batch, high)) - begin)


def _place(batch: pa.RecordBatch, bound: str) -> int:
    """The first row of a sorted batch whose id is not less than `bound`."""
    return bisect_left(batch.column("account_id"), bound, key=lambda account_id: account_id.as_py())


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A private folder for spill files, removed on exit. Raises DirectoryError if it cannot be made."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(files.scratch())
        except OSError as error:
            raise DirectoryError(
                f"there is no folder to keep the directory in while it is read: {error.strerror or error}.",
                where="TMPDIR",
                hint="Set it to a folder that can be written, and has room.",
            ) from error
        yield folder
