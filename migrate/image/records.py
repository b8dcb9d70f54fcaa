"""The records of all accounts as a run left them: in private files, column by column, in order of id."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate.accounts import ACCOUNT_COLUMNS, RECORD_COLUMNS
from migrate.spill import Sorted, within

BATCH: Final = 32768
_READ: Final = tuple(name for name in RECORD_COLUMNS if name in ACCOUNT_COLUMNS)
_TYPES: Final = {
    "str": pa.string(),
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "datetime64[us, UTC]": pa.timestamp("us", tz="UTC"),
}
SCHEMA: Final = pa.schema([(name, _TYPES[dtype]) for name, dtype in RECORD_COLUMNS.items()] + [("plain", pa.bool_())])
"""`RECORD_COLUMNS`, and whether the account's row in the image may stand for it at the next read."""
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4")


@dataclass(frozen=True, slots=True)
class Records:
    """A file of records, and the first id of each of its batches."""

    path: Path
    firsts: tuple[str, ...] = ()

    def between(self, low: str | None, high: str | None) -> pa.Table:
        """The records whose id lies in [low, high), in order of id; None is no bound."""
        if not self.firsts:
            return SCHEMA.empty_table()
        with pa.OSFile(str(self.path)) as file:
            reader = pa.ipc.open_file(file)
            here = [
                within(reader.get_batch(i), low, high)
                for i, first in enumerate(self.firsts)
                if (high is None or first < high) and (low is None or i + 1 == len(self.firsts) or self.firsts[i + 1] > low)
            ]
        return pa.Table.from_batches(here, SCHEMA)

    def batches(self, columns: Sequence[str] = SCHEMA.names) -> Iterator[pa.RecordBatch]:
        """All records, or only some columns of them, in order of id."""
        options = pa.ipc.IpcReadOptions(included_fields=[SCHEMA.get_field_index(name) for name in columns])
        if self.firsts:
            with pa.OSFile(str(self.path)) as file:
                reader = pa.ipc.open_file(file, options=options)
                for i in range(reader.num_record_batches):
                    yield reader.get_batch(i)

    def frames(self) -> Iterator[pd.DataFrame]:
        """All records, `RECORD_COLUMNS` and `plain`, in order of id."""
        return (batch.to_pandas() for batch in self.batches())


@dataclass(frozen=True, slots=True)
class Whole:
    """Every account as a run is to record it, and the fingerprint of the read: SHA-256 (hex) over every account that was read, in order of
    id, the same whatever the source, its order and the size of its chunks."""

    records: Records
    fingerprint: str


def merge(before: Records | None, decided: Sorted, shaped: Callable[[pa.Table], pa.Table], folder: Path) -> Whole:
    """The records of before, with those that were `decided` now (`SCHEMA`, `shaped` at last) in their place, in a file in `folder`."""
    cuts = sorted({*(before.firsts[1:] if before else ()), *decided.cuts(BATCH)})
    path, mark, firsts = folder / "records.arrow", _Fingerprint(), []
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, SCHEMA, options=_OPTIONS) as out:
        for low, high in zip([None, *cuts], [*cuts, None], strict=True):
            now = decided.between(low, high)
            whole = _merged(before.between(low, high) if before else SCHEMA.empty_table(), now and shaped(now))
            for batch in whole.combine_chunks().to_batches():
                firsts.append(batch.column("account_id")[0].as_py())
                out.write_batch(batch)
                mark.fold(batch)
    return Whole(Records(path, tuple(firsts)), mark.hexdigest())


def _merged(before: pa.Table, decided: pa.Table | None) -> pa.Table:
    if decided is None:
        return before
    decided = decided.select(SCHEMA.names).cast(SCHEMA)
    if before.num_rows:
        stay = pc.invert(pc.is_in(before["account_id"], decided["account_id"].combine_chunks()))
        decided = pa.concat_tables([before.filter(stay), decided])
    return decided.take(pc.sort_indices(decided["account_id"]))


class _Fingerprint:
    """Digests accounts a batch at a time. Lengths and values apart, so that where one batch ends and the next begins leaves no trace."""

    def __init__(self) -> None:
        self._columns = {name: (hashlib.sha256(), hashlib.sha256()) for name in _READ}

    def fold(self, batch: pa.RecordBatch) -> None:
        """Folds in the accounts of a batch that were read: not those that are gone, nor those whose row was rejected."""
        read = pc.and_(pc.is_null(batch.column("gone_at")), pc.not_equal(batch.column("outcome"), "rejected"))
        if not pc.all(read).as_py():
            batch = batch.filter(read)
        for name, (lengths, values) in self._columns.items():
            column = batch.column(name)
            if pa.types.is_string(column.type):
                lengths.update(pc.fill_null(pc.binary_length(column), -1).to_numpy(zero_copy_only=False))
                values.update(_text_of(column))
            else:
                values.update(pc.fill_null(pc.cast(column, pa.int64()), -(2**63)).to_numpy(zero_copy_only=False))

    def hexdigest(self) -> str:
        whole = hashlib.sha256()
        for name, (lengths, values) in self._columns.items():
            whole.update(name.encode() + lengths.digest() + values.digest())
        return whole.hexdigest()


def _text_of(column: pa.Array) -> memoryview:
    """All texts of a column end to end, without a copy."""
    _, offsets, data = column.buffers()
    if data is None or not len(column):
        return memoryview(b"")
    ends = np.frombuffer(offsets, dtype="int32")[column.offset : column.offset + len(column) + 1]
    return memoryview(data)[ends[0] : ends[-1]]
