"""The records of all accounts, in order of id: what a run leaves for the next one, for its reports and for its fingerprint.

What goes in: the records that the run before left (`Records`, none in a first run), and the records that this run decided, in any order.
What comes out (`merge`): records in which a decided one replaces the one of the same id, and all others stay as they were; and the
fingerprint of the read, a SHA-256 over a digest of each account in order of id. A record that did not change keeps its digest, so that only
changed accounts are digested. Files are read and written a batch at a time, so memory does not grow with the number of accounts.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Final, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate import files
from migrate.core.accounts import RECORD_COLUMNS
from migrate.files.digests import Sealed, file_digest
from migrate.files.spill import Sorted, within
from migrate.incremental.account_digests import DIGEST, bytes_of, digests_beside, was_read
from migrate.incremental.rows import picked
from migrate.process.prefetch import ahead

BATCH: Final = 16384
"""How many records a batch has."""
_SMALL: Final = 2048
"""How many a batch of newer records has."""
_MOST: Final = 2
"""A batch that has grown to more than this many times the rows of one is divided."""
_FEW: Final = 0.02
"""Up to this share of records is put in its places one by one; to sort all of them is faster for more."""
_FILES: Final = 6
"""Into how many files all records are divided."""
_NEWER: Final = 0.1
"""Up to this share of all records is kept beside the others; if more are newer, all are written anew."""
_TYPES: Final = {
    "str": pa.string(),
    "bool": pa.bool_(),
    "boolean": pa.bool_(),
    "int32": pa.int32(),
    "datetime64[us, UTC]": pa.timestamp("us", tz="UTC"),
}
_DECIDED: Final = pa.schema([(name, _TYPES[dtype]) for name, dtype in RECORD_COLUMNS.items()] + [("plain", pa.bool_())])
SCHEMA: Final = _DECIDED.append(DIGEST)
"""`RECORD_COLUMNS`; `plain`, true if the record may be reused at the next read when the account's row is the same; and a `digest` of the
account as it was read, missing for accounts that were not read."""
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4")


@dataclass(frozen=True, slots=True)
class RecordFile:
    """A file of records, in order of id: how many there are, the first id of each of its batches, and its SHA-256."""

    path: Path
    rows: int
    firsts: tuple[str, ...]
    digest: str

    def whole(self) -> bool:
        """True if every byte is as it was written. Call this before anything else: Arrow may crash on a damaged file."""
        try:
            return file_digest(self.path) == self.digest
        except OSError:
            return False

    def batches(self, columns: Collection[str] = SCHEMA.names) -> Iterator[pa.RecordBatch]:
        """All records, or only some columns of them, in order of id."""
        fields = [i for i, name in enumerate(SCHEMA.names) if name in columns]
        # A batch is decompressed by one thread: its columns are so small that a pool of threads costs more than it saves.
        options = pa.ipc.IpcReadOptions(use_threads=False, included_fields=fields)
        with pa.OSFile(str(self.path)) as file:
            reader = pa.ipc.open_file(file, options=options)
            for i in range(reader.num_record_batches):
                yield reader.get_batch(i)


@dataclass(frozen=True, slots=True)
class Records:
    """The records of all accounts, in several files.

    The files of `base` have a range of ids each, lowest first. `newer` has those that were decided since: a record in it replaces the one
    of the same id in `base`, or is one more. On most days one account in a hundred has changed, and writing that one costs little beside
    writing all of them. Each run also writes one file of `base` anew, with what is newer in its range; the next one is number `turn`.
    """

    base: tuple[RecordFile, ...]
    newer: RecordFile | None = None
    turn: int = 0

    @property
    def rows(self) -> int:
        """How many records `base` has."""
        return sum(each.rows for each in self.base)

    @property
    def firsts(self) -> tuple[str, ...]:
        """The first ids of the batches of `base`: good bounds of ranges."""
        return tuple(first for each in self.base for first in each.firsts)

    def files(self) -> tuple[RecordFile, ...]:
        """All files, those of `base` first."""
        return (*self.base, self.newer) if self.newer else self.base

    def whole(self) -> bool:
        """True if every byte is as it was written. Call this before anything else."""
        return all(each.whole() for each in self.files())

    def ranges(self, cuts: Iterable[str]) -> Iterator[pa.Table]:
        """The records below the first of the ids `cuts`, from there to the second, and so on to the last record, each in no order."""
        base, newer = _Forward(self._of_base()), _Forward(self.newer.batches() if self.newer else iter(()))
        for high in [*cuts, None]:
            replaced, added = _amended(base.until(high), newer.until(high))
            yield pa.concat_tables([replaced, added])

    def batches(self, columns: Collection[str] = SCHEMA.names) -> Iterator[pa.RecordBatch]:
        """All records, or only some columns of them, in order of id."""
        if self.newer is None:
            yield from self._of_base(columns)
            return
        read, wanted = {"account_id", *columns}, [name for name in SCHEMA.names if name in columns]
        for both in _batches_overlaid(self._of_base(read), self.firsts, _Forward(self.newer.batches(read), read)):
            yield from both.select(wanted).combine_chunks().to_batches()

    def _of_base(self, columns: Collection[str] = SCHEMA.names) -> Iterator[pa.RecordBatch]:
        return chain.from_iterable(each.batches(columns) for each in self.base)

    def frames(self) -> Iterator[pd.DataFrame]:
        """All records, `RECORD_COLUMNS` and `plain`, in order of id."""
        return (batch.to_pandas() for batch in self.batches(_DECIDED.names))


class _Forward:
    """Batches that are in order of id, asked for range by range from the lowest id on; each is read once."""

    def __init__(self, batches: Iterator[pa.RecordBatch], columns: Collection[str] = SCHEMA.names) -> None:
        self._batches = batches
        self._schema = pa.schema([field for field in SCHEMA if field.name in columns])
        self._rest: pa.RecordBatch | None = None

    def until(self, high: str | None) -> pa.Table:
        """The rows from where the last call ended to the id `high`, which is not among them; None is the end."""
        found = []
        while (batch := self._rest or next(self._batches, None)) is not None:
            part = within(batch, None, high)
            found.append(part)
            self._rest = batch.slice(len(part)) if len(part) < len(batch) else None
            if self._rest is not None:
                break
        return pa.Table.from_batches(found, self._schema)


def _batches_overlaid(base: Iterator[pa.RecordBatch], firsts: Sequence[str], newer: _Forward) -> Iterator[pa.Table]:
    """Each batch of `base`, whose first ids are `firsts`, with what is newer in its range; the last one with all that is left."""
    for batch, high in zip(base, [*firsts[1:], None], strict=True):
        yield _overlaid(pa.Table.from_batches([batch]), newer.until(high))


@dataclass(frozen=True, slots=True)
class Whole:
    """The records of all accounts, and the fingerprint of the read.

    The fingerprint is a SHA-256 (hex) over the digests of all accounts that were read, in order of id. It does not depend on the kind of
    source, the order of its rows or the size of its chunks.
    """

    records: Records
    fingerprint: str


def merge(before: Records | None, decided: Sorted, shaped: Callable[[pa.Table], pa.Table], folder: Path) -> Whole:
    """The records `before`, with those that were `decided` now replacing or added to them; `folder` is for their files.

    `shaped` turns what was decided, a range of ids at a time, into what is to be recorded (`RECORD_COLUMNS`, `plain`).
    """
    newer = decided.rows + (before.newer.rows if before and before.newer else 0)
    if before and before.rows and newer <= before.rows * _NEWER:
        records = _amending(before, decided, shaped, folder)
        fingerprint = hashlib.sha256()
        for batch in records.batches([DIGEST.name]):
            fingerprint.update(bytes_of(batch.column(DIGEST.name)))
        return Whole(records, fingerprint.hexdigest())
    return _anew(before, decided, shaped, folder)


def restored(recorded: Iterable[pa.Table], rows: int, folder: Path) -> Records:
    """The records of all accounts, made of what the ledger holds.

    `recorded`: `RECORD_COLUMNS` of all accounts, a range of ids at a time, the lowest first; about so many `rows` in all. `folder` is for
    the files. The ledger does not know in which rows something was odd: every account that was read counts as plain.
    """

    def batches() -> Iterator[pa.RecordBatch]:
        for table in recorded:
            these = _in_order(table.append_column("plain", pa.array(was_read(table))))
            yield from _divided(_digested(these, SCHEMA.empty_table()), BATCH)

    return _written(batches(), rows, folder).records


def _anew(before: Records | None, decided: Sorted, shaped: Callable[[pa.Table], pa.Table], folder: Path) -> Whole:
    """Writes all records."""
    rows = (before.rows if before else 0) + decided.rows
    return _written(ahead(_merging(before, decided, shaped, BATCH)), rows, folder)


def _written(batches: Iterator[pa.RecordBatch], rows: int, folder: Path) -> Whole:
    """Writes the batches of all records, about so many `rows`, in order of id."""
    base, fingerprint = list[RecordFile](), hashlib.sha256()
    a_file = -(-rows // _FILES)
    more = next(batches, None)
    while more is not None:
        with _Writing(folder / f"records-{len(base)}.arrow") as out:
            while more is not None and (len(base) == _FILES - 1 or out.rows < a_file):
                fingerprint.update(bytes_of(more.column(DIGEST.name)))
                out.write(more)
                more = next(batches, None)
        base.append(out.written())
    return Whole(Records(tuple(base)), fingerprint.hexdigest())


def _amending(before: Records, decided: Sorted, shaped: Callable[[pa.Table], pa.Table], folder: Path) -> Records:
    """Writes what is newer, and one file of the base. The other files are linked into the folder, since another run may replace the cache
    that has them now."""
    newer, base = _Forward(_merging(before.newer, decided, shaped, _SMALL)), list[RecordFile]()
    with _Writing(folder / "newer.arrow") as beside:
        for number, file in enumerate(before.base):
            high = before.base[number + 1].firsts[0] if number + 1 < len(before.base) else None
            mine, path = newer.until(high), folder / f"records-{number}.arrow"
            if number == before.turn:
                with _Writing(path) as out:
                    for both in _batches_overlaid(file.batches(), file.firsts, _Forward(iter(mine.to_batches()))):
                        for batch in _divided(both, BATCH):
                            out.write(batch)
                base.append(out.written())
            else:
                files.link(file.path, path)
                base.append(replace(file, path=path))
                for batch in _divided(mine, _SMALL):
                    beside.write(batch)
    return Records(tuple(base), beside.written() if beside.rows else None, (before.turn + 1) % len(base))


class _Writing:
    """A new file of records. The file is complete at the end of the context."""

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self._path, self._firsts = path, list[str]()

    def __enter__(self) -> Self:
        self._file = Sealed(self._path.open("xb"))
        self._out = pa.ipc.new_file(pa.PythonFile(self._file, "w"), SCHEMA, options=_OPTIONS)
        return self

    def __exit__(self, *_: object) -> None:
        with self._file:
            self._out.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds a batch, which is not empty."""
        self._firsts.append(batch.column("account_id")[0].as_py())
        self.rows += batch.num_rows
        self._out.write_batch(batch)

    def written(self) -> RecordFile:
        return RecordFile(self._path, self.rows, tuple(self._firsts), self._file.hexdigest())


def _divided(records: pa.Table, rows: int) -> list[pa.RecordBatch]:
    """The records in batches of about so many rows; none that is empty."""
    batches: list[pa.RecordBatch] = records.combine_chunks().to_batches(max_chunksize=None if len(records) <= _MOST * rows else rows)
    return [batch for batch in batches if batch.num_rows]


def _merging(
    before: Records | RecordFile | None, decided: Sorted, shaped: Callable[[pa.Table], pa.Table], rows: int
) -> Generator[pa.RecordBatch, None, None]:
    """The batches of a new file, in order of id, of about so many rows."""
    for records, new in _pairs(before, decided, rows):
        if new is not None:
            these = _in_order(shaped(new))
            records = _overlaid(records, _digested(these, records))
        yield from _divided(records, rows)


def _digested(these: pa.Table, before: pa.Table) -> pa.Table:
    return these.append_column(DIGEST, digests_beside(these, before))


def _in_order(decided: pa.Table) -> pa.Table:
    """What is to be recorded, in order of id."""
    these = decided.select(_DECIDED.names).cast(_DECIDED)
    return these.take(pc.sort_indices(these["account_id"]))


def _pairs(before: Records | RecordFile | None, decided: Sorted, rows: int) -> Iterator[tuple[pa.Table, pa.Table | None]]:
    """Range by range, lowest ids first: the records `before`, and those decided now, None if there are none. Without any before, a range
    has about so many rows."""
    if before is None or not before.firsts:
        cuts = decided.cuts(rows)
        for low, high in zip([None, *cuts], [*cuts, None], strict=True):
            yield SCHEMA.empty_table(), decided.between(low, high)
        return
    bounds = [None, *before.firsts[1:], None]
    for batch, low, high in zip(before.batches(), bounds, bounds[1:], strict=False):
        yield pa.Table.from_batches([batch]), decided.between(low, high)


def _overlaid(records: pa.Table, newer: pa.Table) -> pa.Table:
    """Both tables as one, in order of id; of two records with the same id, the newer one. Both are in order, and have the same columns."""
    replaced, added = _amended(records, newer)
    if not replaced.num_rows or not added.num_rows:
        return added if added.num_rows else replaced
    if len(added) > len(replaced) * _FEW:
        both = pa.concat_tables([replaced, added])
        return both.take(pc.sort_indices(both["account_id"]))
    ids, rows = replaced["account_id"].combine_chunks(), np.arange(len(replaced))
    where = [bisect_left(ids, each, key=lambda held: held.as_py()) for each in added["account_id"].to_pylist()]
    return picked(pa.concat_tables([replaced, added]), np.insert(rows, where, len(rows) + np.arange(len(added))))


def _amended(records: pa.Table, newer: pa.Table) -> tuple[pa.Table, pa.Table]:
    """`records`, in which the `newer` ones replace those of the same ids; and the newer ones of other ids."""
    if not records.num_rows or not newer.num_rows:
        return records, newer
    place = pc.index_in(newer["account_id"], records["account_id"].combine_chunks())
    known = pc.is_valid(place)
    return _replaced(records, newer.filter(known), pc.drop_null(place)), newer.filter(pc.invert(known))


def _replaced(records: pa.Table, newer: pa.Table, places: pa.ChunkedArray) -> pa.Table:
    """`records` with the `newer` ones at these `places`.

    A column in which no record differs is not copied: most columns are such, and a copy costs as much for a few changed rows as for all.
    """
    rows = np.arange(records.num_rows)
    rows[places.to_numpy()] = records.num_rows + np.arange(len(places))
    columns = [
        column if new.equals(column.take(places)) else pa.chunked_array([*column.chunks, *new.chunks]).combine_chunks().take(rows)
        for column, new in zip(records.columns, newer.columns, strict=True)
    ]
    return pa.table(columns, schema=records.schema)
