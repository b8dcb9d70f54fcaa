"""The rows of one read, kept in a private file and given back in order of account id, a range of ids at a time.

A read arrives in the order of the source. It is written in sorted pieces (`migrate.files.spill.Sorted`), and a range is read from all of
them. So memory does not grow with the directory, the order of the source does not matter, all rows of one id are in one range, and the
range can be compared with the ledger's records of the same range (docs/decisions/0002).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate.core.accounts import ACCOUNT_COLUMNS, ROW_COLUMNS
from migrate.files.spill import Sorted, Spill

REJECTED_COLUMNS: Final[dict[str, str]] = {"account_id": "str", "position": "int64", "rejection": "str"}
UNREADABLE: Final = "whether they are accounts"
"""What rows of one id differ in, if one of them cannot be read."""
RANGE: Final = 24576
"""About how many rows are decided together."""


@dataclass(frozen=True, slots=True)
class Range:
    """The rows whose id lies in [low, high); None is no bound.

    `accounts`: `ACCOUNT_COLUMNS`, sorted by id, each id once. `rejected`: `REJECTED_COLUMNS`, also of rows that share an id with another
    row. `plain`: aligned with `accounts`; true if the account's record may be reused at the next read when its raw row is the same
    (`migrate.incremental`). `doubled`: positions of rows that would be plain but share an id.
    """

    low: str | None
    high: str | None
    accounts: pd.DataFrame
    rejected: pd.DataFrame
    plain: pd.Series
    doubled: tuple[int, ...] = ()


class Snapshot:
    """One complete read. `take` reads to the end, or raises the directory's error; nothing is decided before it returns."""

    def __init__(self, folder: Path) -> None:
        self._named = Sorted(folder / "snapshot.arrow")
        self._nameless = Spill(folder / "nameless.arrow")
        self.rows = 0

    @classmethod
    def take(cls, frames: Iterable[pd.DataFrame], folder: Path) -> Snapshot:
        """Reads frames of `ROW_COLUMNS`, and maybe `plain`, to the end, and keeps them in `folder`, which should be private."""
        snapshot = cls(folder)
        for frame in frames:
            snapshot._add(frame)
        snapshot._named.close()
        snapshot._nameless.close()
        return snapshot

    def _add(self, frame: pd.DataFrame) -> None:
        self.rows += len(frame)
        nameless = frame["account_id"].isna()
        if nameless.any():
            self._nameless.append(frame.loc[nameless, list(REJECTED_COLUMNS)])
            frame = frame[~nameless]
        self._named.append(frame if "plain" in frame else frame.assign(plain=False))

    def nameless(self) -> Iterator[pd.DataFrame]:
        """The rejected rows that have no id, `REJECTED_COLUMNS`."""
        return self._nameless.frames()

    def cuts(self) -> list[str]:
        """Ids that divide the read into ranges."""
        return self._named.cuts(RANGE)

    def between(self, low: str | None, high: str | None) -> pa.Table | None:
        """The rows of a range (`ROW_COLUMNS`, `plain`), as they were read; None if there is none."""
        return self._named.between(low, high)

    def ranges(self) -> Iterator[Range]:
        """The whole read, an id range at a time, lowest ids first; together the ranges cover every possible id."""
        cuts = self.cuts()
        for low, high in zip([None, *cuts], [*cuts, None], strict=True):
            yield settled(low, high, self.between(low, high))

    def holders(self, wanted: frozenset[str]) -> pd.DataFrame:
        """`account_id`, `folded` of the rows whose primary address is one of the `wanted` ones (lower case); rejected rows count, too."""
        return pd.concat([holding(None, wanted), *(holding(batch, wanted) for batch in self._named.batches())]).drop_duplicates()


def holding(batch: pa.RecordBatch | None, wanted: frozenset[str], among: pa.Array | None = None) -> pd.DataFrame:
    """`account_id`, `folded` of the rows of a batch (where `among` is true) whose primary address is one of the wanted ones.

    Notification addresses do not count: their owner chooses them, and could name somebody else's address to keep a confirmation from it.
    """
    none = pd.DataFrame({"account_id": pd.Series(dtype="str"), "folded": pd.Series(dtype="str")})
    if batch is None or not wanted:
        return none
    folded = pc.utf8_lower(batch.column("email"))
    hit = pc.is_in(folded, pa.array(wanted, folded.type), skip_nulls=True)
    hit = hit if among is None else pc.and_(hit, among)
    holders = pa.table({"account_id": batch.column("account_id"), "folded": folded}).filter(hit).to_pandas()
    return none if holders.empty else holders.astype("str")


def settled(low: str | None, high: str | None, rows: pa.Table | None) -> Range:
    """The rows of a range (`ROW_COLUMNS`, `plain`) as accounts and rejected rows."""
    if rows is None:
        blank = pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in ROW_COLUMNS.items()})
        return Range(low, high, blank[list(ACCOUNT_COLUMNS)], blank[list(REJECTED_COLUMNS)], pd.Series(dtype="bool"))
    read = rows.sort_by([("account_id", "ascending"), ("position", "ascending")]).to_pandas()
    # Arrow gives a nullable boolean column back as objects.
    read = read.astype({name: dtype for name, dtype in ROW_COLUMNS.items() if dtype == "boolean"})
    frame = _settle_duplicates(read)
    accepted = frame["rejection"].isna()
    accounts = frame.loc[accepted, list(ACCOUNT_COLUMNS)].reset_index(drop=True)
    return Range(
        low,
        high,
        accounts,
        frame.loc[~accepted, list(REJECTED_COLUMNS)].reset_index(drop=True),
        plain=frame.loc[accepted, "plain"].reset_index(drop=True),
        doubled=tuple(read.loc[read["plain"] & ~frame["plain"], "position"].tolist()),
    )


def _first_of(positions: pd.Series) -> str:
    return ", ".join(map(str, positions.iloc[:5])) + ", …" * (len(positions) > 5)


def _settle_duplicates(frame: pd.DataFrame) -> pd.DataFrame:
    """Rejects rows that share an id: of equal rows all but the first, of rows that differ all. So row order never decides (design §4)."""
    twice = frame["account_id"].duplicated(keep=False)
    if not twice.any():
        return frame
    group = frame[twice]
    first = group.groupby("account_id")["position"].transform("min").astype("int64")
    differ = group["account_id"].map(_differing_columns(group)).astype("str")
    others = group.groupby("account_id")["position"].transform(_first_of).astype("str")
    reason = group["rejection"].copy()
    reason = reason.mask(differ.notna() & reason.isna(), "rows " + others + " have this account_id and differ in " + differ)
    reason = reason.mask(differ.isna() & reason.isna() & (group["position"] != first), "the same as row " + first.astype("str"))
    rejection = frame["rejection"].where(~twice, reason.reindex(frame.index)).astype("str")
    return frame.assign(rejection=rejection, plain=frame["plain"] & ~twice)


def _differing_columns(group: pd.DataFrame) -> pd.Series:
    """Account id → the names of the columns in which its rows differ; without ids whose rows are equal."""
    parts = []
    accepted = group[group["rejection"].isna()]
    for name in ACCOUNT_COLUMNS:
        several = accepted.drop_duplicates(["account_id", name])["account_id"]
        ids = several[several.duplicated()].unique()
        parts.append(pd.Series(name, index=ids, dtype="str"))
    broken = group.drop_duplicates(["account_id", "rejection"])["account_id"]
    parts.append(pd.Series(UNREADABLE, index=broken[broken.duplicated()].unique(), dtype="str"))
    return pd.concat(parts).groupby(level=0, sort=False).agg(", ".join).astype("str")
