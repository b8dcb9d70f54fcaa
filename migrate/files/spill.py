"""Frames kept in private files instead of memory while a run works on them.

A `Spill` gives its frames back in the order in which they came. A `Sorted` gives the rows of any range of account ids: what comes is
gathered into pieces of at least `_GATHERED` rows; each piece is sorted by id and written in batches of `BATCH` rows; and the first id of
each batch is remembered. To get a range, the batches that overlap it are read from each piece. So memory holds one piece at a time while
rows come; and when they are asked for, one range at a time, and a batch of each piece: if ids come in no order, a batch of each piece has
rows of several ranges, and it is read once for all of them if they are asked for one after the other.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate import files
from migrate.errors import DirectoryError
from migrate.process.prefetch import meanwhile

BATCH: Final = 512
"""How many rows a batch of a sorted piece has. A batch of each piece is in memory while ranges are read."""
_GATHERED: Final = 65536
"""How many rows are sorted together, at least."""
_IN_ORDER: Final = 32768
"""The same for rows that come nearly in order."""
_HELD: Final = 16384
"""Up to this many rows stay in memory instead of going to a file."""
_GOLDEN: Final = 0.618034
"""By this ratio pieces are marked at different places of their batches. If ids are spread evenly, the first ids of all pieces lie close
together, and would divide the rows into large ranges and tiny ones."""
_TOGETHER: Final = 16
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


@dataclass(frozen=True, slots=True)
class _Piece:
    """A sorted piece: the number of its first batch, the first id of each of its batches, and its last id."""

    start: int
    firsts: list[str]
    last: str

    def between(self, low: str | None, high: str | None) -> range:
        """The numbers of the batches that may have rows whose id lies in [low, high)."""
        if low is not None and self.last < low:
            return range(0)
        begin = 0 if low is None else max(0, bisect_left(self.firsts, low) - 1)
        end = len(self.firsts) if high is None else bisect_left(self.firsts, high)
        return range(self.start + begin, self.start + end)


class _Reading(threading.local):
    """What a thread has open: a reader, and of each piece (the number of its first batch) the last batch read, with its number, unless it
    has no rows for the next range."""

    def __init__(self) -> None:
        self.reader: pa.ipc.RecordBatchFileReader | None = None
        self.last: dict[int, tuple[int, pa.RecordBatch]] = {}


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
        self._pieces: list[_Piece] = []
        self._marks: list[str] = []  # one id of each batch
        self._batches = 0
        self._held: list[pa.RecordBatch] = []
        self._reading = _Reading()
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
        self._pieces.append(_Piece(self._batches, firsts, ids[-1].as_py()))
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
        reading = self._reading
        if reading.reader is None:
            reading.reader = self._spill.reader()
        return reading.reader.get_batch(number)

    def _part(self, piece: _Piece, number: int, low: str | None, high: str | None) -> pa.RecordBatch:
        """The rows of a batch whose id lies in [low, high)."""
        last = self._reading.last.get(piece.start)
        batch = last[1] if last and last[0] == number else self._batch(number)
        begin, end = _bounds(batch, low, high)
        if end < batch.num_rows:
            self._reading.last[piece.start] = number, batch
        else:
            self._reading.last.pop(piece.start, None)
        return batch.slice(begin, end - begin)

    def cuts(self, rows: int) -> list[str]:
        """Ids that divide the rows into ranges of about `rows` rows."""
        return sorted(set(sorted(self._marks)[:: max(1, rows // BATCH)][1:]))

    def between(self, low: str | None, high: str | None) -> pa.Table | None:
        """The rows whose id lies in [low, high), sorted within each piece only. None for a bound means no bound; the result is None if
        there are no such rows."""
        parts = [self._part(piece, number, low, high) for piece in self._pieces for number in piece.between(low, high)]
        if not any(part.num_rows for part in parts):
            return None
        # The rows are copied, since a slice would keep the whole batch in memory. Of one slice alone Arrow makes no copy.
        return pa.Table.from_batches([*parts, parts[0].slice(0, 0)]).combine_chunks()

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
    begin, end = _bounds(batch, low, high)
    return batch.slice(begin, end - begin)


def _bounds(batch: pa.RecordBatch, low: str | None, high: str | None) -> tuple[int, int]:
    return 0 if low is None else _place(batch, low), batch.num_rows if high is None else _place(batch, high)


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
