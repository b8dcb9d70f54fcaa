"""The directory as it was read: a private file, walked in order of account id.

A read arrives in whatever order the source has. Each frame is sorted by id (byte by byte, which for UTF-8 is also how
Python compares text) and spilled; afterwards the spilled pieces are
merged an id range at a time. So memory does not grow with the directory, the order of the source decides nothing, all rows of one id
meet in one range, and the ledger's rows of the same range can be set beside them (docs/decisions/0002).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate.accounts import ACCOUNT_COLUMNS, ADDRESS_SEPARATOR, ROW_COLUMNS

REJECTED_COLUMNS: Final[dict[str, str]] = {"account_id": "str", "position": "int64", "rejection": "str"}
_BATCH = 2048
_RANGE = 24576


class Spill:
    """Frames of one schema, written to a private file and read back in order, without holding them all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._schema: pa.Schema | None = None

    def append(self, frame: pd.DataFrame, batch: int | None = None) -> None:
        """Adds a frame, as one batch or in batches of a size; the first one fixes the columns and dtypes."""
        table = pa.Table.from_pandas(frame, preserve_index=False)
        if self._writer is None:
            self._schema = table.schema
            self._writer = pa.ipc.new_file(str(self.path), table.schema)
        # A frame put together from others is in pieces, and a table without rows has none: both would lose the count of frames.
        whole = table.cast(self._schema).combine_chunks()
        for piece in whole.to_batches(max_chunksize=batch) or [pa.RecordBatch.from_pylist([], self._schema)]:
            self._writer.write_batch(piece)
        self.rows += len(frame)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def reader(self) -> pa.ipc.RecordBatchFileReader:
        return pa.ipc.open_file(pa.OSFile(str(self.path)))

    def frames(self) -> Iterator[pd.DataFrame]:
        """The frames as they were appended (or their batches)."""
        if self._writer is None:
            return
        reader = self.reader()
        for i in range(reader.num_record_batches):
            yield reader.get_batch(i).to_pandas()


@dataclass(frozen=True, slots=True)
class Range:
    """The rows whose id lies in [low, high); None is no bound. `accounts` has `ACCOUNT_COLUMNS` and unique ids, sorted;
    `rejected` has `REJECTED_COLUMNS`, rows that share an id with another included."""

    low: str | None
    high: str | None
    accounts: pd.DataFrame
    rejected: pd.DataFrame


class Snapshot:
    """One complete read. `take` reads to the end or passes the directory's error on; nothing is decided before it returns."""

    def __init__(self, folder: Path) -> None:
        self._sorted = Spill(folder / "snapshot.arrow")
        self._nameless = Spill(folder / "nameless.arrow")
        self._pieces: list[tuple[int, list[str]]] = []  # number of its first batch, and the first id of each of its batches
        self._batches = 0
        self._columns = _nothing_yet()
        self.rows = 0

    @classmethod
    def take(cls, frames: Iterable[pd.DataFrame], folder: Path) -> Snapshot:
        """Reads frames of `ROW_COLUMNS` to the end into `folder`, which should be private."""
        snapshot = cls(folder)
        for frame in frames:
            snapshot._add(frame)
        snapshot._sorted.close()
        snapshot._nameless.close()
        return snapshot

    def _add(self, frame: pd.DataFrame) -> None:
        self.rows += len(frame)
        nameless = frame["account_id"].isna()
        if nameless.any():
            self._nameless.append(frame.loc[nameless, list(REJECTED_COLUMNS)])
            frame = frame[~nameless]
        if frame.empty:
            return
        ids = pa.array(frame["account_id"], type=pa.large_string())
        frame = frame.take(pc.sort_indices(ids).to_numpy())
        self._pieces.append((self._batches, frame["account_id"].iloc[::_BATCH].tolist()))
        self._sorted.append(frame, batch=_BATCH)
        self._batches += -(-len(frame) // _BATCH)

    def nameless(self) -> Iterator[pd.DataFrame]:
        """The rejected rows that have no id, `REJECTED_COLUMNS`."""
        return self._nameless.frames()

    def ranges(self) -> Iterator[Range]:
        """The whole read, an id range at a time, lowest ids first; together the ranges cover every possible id.

        The fingerprint is complete once the last range was taken; to begin anew begins it anew.
        """
        self._columns = _nothing_yet()
        firsts = sorted(first for _, ids in self._pieces for first in ids)
        cuts = sorted(set(firsts[:: max(1, _RANGE // _BATCH)][1:]))
        reader = self._sorted.reader() if self._batches else None
        for low, high in zip([None, *cuts], [*cuts, None], strict=True):
            yield self._range(reader, low, high)

    def holders(self, wanted: frozenset[str]) -> pd.DataFrame:
        """Who has one of the wanted addresses (lower case) now: `account_id`, `folded`; rejected rows count as holders too."""
        found = [pd.DataFrame({"account_id": pd.Series(dtype="str"), "folded": pd.Series(dtype="str")})]
        reader = self._sorted.reader() if self._batches and wanted else None
        for i in range(self._batches if reader else 0):
            assert reader is not None
            batch = reader.get_batch(i).select(["account_id", "email", "notification_emails"]).to_pandas()
            listed = batch["notification_emails"].where(batch["notification_emails"] != "")
            several = listed.dropna().str.split(ADDRESS_SEPARATOR).explode()
            both = pd.concat([batch["email"], several]).dropna().astype("str").str.lower()
            both = both[both.isin(wanted)]
            found.append(pd.DataFrame({"account_id": batch["account_id"].reindex(both.index), "folded": both}))
        return pd.concat(found, ignore_index=True).drop_duplicates()

    def _range(self, reader: pa.ipc.RecordBatchFileReader | None, low: str | None, high: str | None) -> Range:
        batches = []
        for start, ids in self._pieces:
            begin = 0 if low is None else max(0, bisect_left(ids, low) - 1)
            end = len(ids) if high is None else bisect_left(ids, high)
            assert reader is not None
            batches += [self._slice(reader.get_batch(start + i), low, high) for i in range(begin, end)]
        if reader is None or not batches:
            blank = pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in ROW_COLUMNS.items()})
            return Range(low, high, blank[list(ACCOUNT_COLUMNS)], blank[list(REJECTED_COLUMNS)])
        table = pa.Table.from_batches(batches).sort_by([("account_id", "ascending"), ("position", "ascending")])
        frame = _settle_duplicates(table.to_pandas())
        accepted = frame["rejection"].isna()
        accounts = frame.loc[accepted, list(ACCOUNT_COLUMNS)].reset_index(drop=True)
        self._fold(accounts)
        return Range(low, high, accounts, frame.loc[~accepted, list(REJECTED_COLUMNS)].reset_index(drop=True))

    @staticmethod
    def _slice(batch: pa.RecordBatch, low: str | None, high: str | None) -> pa.RecordBatch:
        ids = batch.column("account_id")
        keep = pa.scalar(True)
        if low is not None:
            keep = pc.and_(keep, pc.greater_equal(ids, pa.scalar(low, ids.type)))
        if high is not None:
            keep = pc.and_(keep, pc.less(ids, pa.scalar(high, ids.type)))
        return batch.filter(keep) if isinstance(keep, pa.Array) else batch

    def _fold(self, accounts: pd.DataFrame) -> None:
        for name, (lengths, values) in self._columns.items():
            column = pa.array(accounts[name])
            if pa.types.is_large_string(column.type):
                lengths.update(pc.fill_null(pc.binary_length(column), -1).to_numpy(zero_copy_only=False).tobytes())
                values.update(_text_of(column))
            else:
                values.update(pc.fill_null(pc.cast(column, pa.int64()), -(2**63)).to_numpy(zero_copy_only=False).tobytes())

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of every accepted account in order of id, the same whatever the source's order and the size of its chunks."""
        whole = hashlib.sha256()
        for name, (lengths, values) in self._columns.items():
            whole.update(name.encode() + lengths.digest() + values.digest())
        return whole.hexdigest()


def _nothing_yet() -> dict[str, tuple[hashlib._Hash, hashlib._Hash]]:
    """Lengths and values apart, so that where one range ends and the next begins leaves no trace."""
    return {name: (hashlib.sha256(), hashlib.sha256()) for name in ACCOUNT_COLUMNS}


def _text_of(column: pa.Array) -> memoryview:
    """All texts of a column end to end, without a copy."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, dtype="int64")[column.offset : column.offset + len(column) + 1]
    return memoryview(data)[ends[0] : ends[-1]] if data is not None and len(column) else memoryview(b"")


def _settle_duplicates(frame: pd.DataFrame) -> pd.DataFrame:
    """Of rows with one id, equal ones count once and differing ones not at all: row order never decides (design §4)."""
    twice = frame["account_id"].duplicated(keep=False)
    if not twice.any():
        return frame
    group = frame[twice]
    first = group.groupby("account_id")["position"].transform("min").astype("int64")
    unlike = group.drop_duplicates([*ACCOUNT_COLUMNS, "rejection"])["account_id"].value_counts()
    differ = group["account_id"].map(unlike) > 1
    others = group.groupby("account_id")["position"].transform(lambda p: ", ".join(str(n) for n in p.iloc[:5])).astype("str")
    reason = group["rejection"].copy()
    reason = reason.mask(differ & reason.isna(), "rows " + others + " have this account_id and differ")
    reason = reason.mask(~differ & reason.isna() & (group["position"] != first), "the same as row " + first.astype("str"))
    return frame.assign(rejection=frame["rejection"].where(~twice, reason.reindex(frame.index)).astype("str"))
