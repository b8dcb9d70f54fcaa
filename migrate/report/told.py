"""What each account was told: how many notices, and the last one. Carried from one evidence to the next.

A letter that was settled does not move any more. So the evidence of a day reads only the letters that moved since the evidence before
(`Chronicle.letters`, which notices.csv lists as well), and brings what that evidence knew (`Carried`) up to date with them. The cost of a
day does not grow with the letters of a campaign. What is carried lies beside the cache of the last read, and the ledger knows its digest;
without it all letters of every account are read, and the result is the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate import files
from migrate.files.digests import file_digest
from migrate.files.spill import Sorted
from migrate.report.tables import TOLD_COLUMNS

SCHEMA: Final = pa.schema(
    [
        ("account_id", pa.large_string()),
        ("tenure", pa.int64()),
        ("notices_sent", pa.int64()),
        ("last_notice", pa.large_string()),
        ("last_notice_at", pa.timestamp("us", tz="UTC")),
        ("last_notice_state", pa.large_string()),
        ("queued_at", pa.timestamp("us", tz="UTC")),
        ("aside", pa.bool_()),
        ("reference", pa.large_string()),
    ]
)
"""What an account was told, in the last `tenure` of its id that had a letter. `queued_at`, `aside` (not to the primary address) and
`reference` are those of the last notice; by them a later letter is compared with it."""
NOBODY: Final = SCHEMA.empty_table()
DIGEST: Final = "told"
"""Where the counts of a run have the digest of what its evidence left."""
FORMAT: Final = 1
"""Raised whenever `Carried` is made or read differently: older ones are then not used."""
MADE: Final = "notices"
"""What the mark of the folder says it is."""

_ARRIVED: Final = ("sent", "uncertain")
_FACTS, _ROWS = "told.json", "told.arrow"
_LATEST_FIRST: Final = {"account_id": True, "queued_at": False, "aside": True, "reference": True}
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4")

Letters = Counter[tuple[str, str, str]]
"""How many letters there are, by kind, occasion and state."""


def updated(before: pa.Table, letters: pd.DataFrame) -> pa.Table:
    """What accounts were told (`SCHEMA`), in order of id, after some of their letters moved.

    `before` is what they had been told; `letters` (`TOLD_COLUMNS`) are all letters that moved since. Letters to an earlier person with the
    same id do not count. The last notice is the letter queued last. Of letters queued together it is the one to the primary address, then
    the one whose reference comes first, so that the answer never depends on the order of rows.
    """
    if letters.empty:
        return before
    ids = before["account_id"]
    concerned = pc.is_in(ids, pa.array(letters["account_id"].unique(), ids.type))
    were = before.filter(concerned).to_pandas().astype({"account_id": "str"})
    tenure = pd.concat([were[["account_id", "tenure"]], letters[["account_id", "tenure"]]]).groupby("account_id")["tenure"].max()
    were = were[were["tenure"].eq(were["account_id"].map(tenure))]
    letters = letters[letters["tenure"].eq(letters["account_id"].map(tenure))]
    more = letters["state"].isin(_ARRIVED).astype("int64") - letters["was"].isin(_ARRIVED).astype("int64")
    counts = pd.concat([were.set_index("account_id")["notices_sent"], more.groupby(letters["account_id"]).sum()]).groupby(level=0).sum()
    candidates = letters.assign(
        last_notice=letters["kind"] + " " + letters["occasion"],
        last_notice_at=letters["changed_at"],
        last_notice_state=letters["state"],
        aside=letters["role"].ne("primary"),
        notices_sent=0,
    )
    # `Series.isin` would turn each of the letters' references into an Arrow value of its own.
    moved = pc.is_in(pa.array(were["reference"], pa.large_string()), pa.array(letters["reference"], pa.large_string()))
    still = were[~moved.to_numpy(zero_copy_only=False)]
    both = pd.concat([each for each in (still, candidates[SCHEMA.names]) if len(each)])
    latest = both.sort_values(list(_LATEST_FIRST), ascending=list(_LATEST_FIRST.values())).drop_duplicates("account_id")
    latest = latest.assign(notices_sent=latest["account_id"].map(counts))
    now = pa.concat_tables([before.filter(pc.invert(concerned)), pa.Table.from_pandas(latest, SCHEMA, preserve_index=False)])
    return now.take(pc.sort_indices(now["account_id"]))


@dataclass(frozen=True, slots=True)
class Carried:
    """What the evidence before knew of all accounts.

    * `rows`: the file of the accounts that had a letter (`SCHEMA`), in order of id. `digest`: its SHA-256.
    * `letters`: how many letters there were.
    * `events`: how many events of letters there were up to the last one that counted. If the ledger has another number of them by now, an
      event was committed later than one with a higher number, and what is carried lacks it. None where that cannot happen.
    """

    rows: Path
    digest: str
    letters: Letters
    events: int | None

    def facts(self) -> str:
        """The text of told.json; equal for equal contents."""
        letters = sorted([*words, count] for words, count in self.letters.items() if count)
        return json.dumps({"format": FORMAT, "rows": self.digest, "letters": letters, "events": self.events}, sort_keys=True)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, in order of id."""
        with pa.OSFile(str(self.rows)) as file:
            reader = pa.ipc.open_file(file)
            for i in range(reader.num_record_batches):
                yield reader.get_batch(i)

    def keep(self, folder: Path) -> str | None:
        """Puts it in the folder where the next evidence finds it; the digest by which it does. None if it cannot be written: the next
        evidence does without."""
        text = self.facts().encode()
        with contextlib.suppress(OSError), files.making(folder, MADE) as side:
            side.take(self.rows, _ROWS)
            with side.create(side.path / _FACTS) as file:
                file.write(text)
            side.replace(compared=False)
            return hashlib.sha256(text).hexdigest()
        return None


def find(folder: Path, digest: str) -> Carried | None:
    """What an evidence with this digest left in the folder; None if it is not there any more, or was damaged."""
    try:
        text = (folder / _FACTS).read_bytes()
        if hashlib.sha256(text).hexdigest() != digest:  # checked before it is parsed: it may be damaged
            return None
        facts: dict[str, Any] = json.loads(text)
        rows = folder / _ROWS
        if facts["format"] != FORMAT or file_digest(rows) != facts["rows"]:
            return None
        letters = Counter({(kind, occasion, state): count for kind, occasion, state, count in facts["letters"]})
        return Carried(rows, facts["rows"], letters, facts["events"])
    except OSError:
        return None


class Told:
    """What all accounts were told by the instant of an evidence, while it is written.

    `before` is what the evidence before left; without it `letters_of` gives all letters of accounts (`Chronicle.letters_of`). First `add`
    takes the letters that moved since the evidence before, then `of` gives the accounts, range by range in order of id, and writes them for
    the next evidence.
    """

    def __init__(self, before: Carried | None, letters_of: Callable[[str, str], pd.DataFrame], scratch: Path) -> None:
        self._before, self._letters_of = before, letters_of
        self._known = _InOrder(self._before.batches()) if self._before else None
        self._moved = Sorted(scratch / "moved.arrow")
        self._path = scratch / _ROWS
        self._out = pa.ipc.new_file(str(self._path), SCHEMA, options=_OPTIONS)
        self.letters: Letters = Counter(self._before.letters if self._before else {})
        """How many letters there are; complete once all accounts were given."""

    def add(self, letters: pd.DataFrame) -> None:
        """Takes letters that moved (`TOLD_COLUMNS` and others)."""
        if self._before and len(letters):
            self._moved.append(letters[list(TOLD_COLUMNS)])
            self._count(letters)

    def added(self) -> None:
        """Says that all letters were added."""
        self._moved.close()

    def of(self, first: str, last: str) -> pa.Table:
        """What the accounts with ids from `first` to `last`, both included, were told (`SCHEMA`). Ranges must come in order of id."""
        if self._known is None:
            letters = self._letters_of(first, last)
            self._count(letters)
            rows = updated(NOBODY, letters)
        else:
            moved = self._moved.between(first, f"{last}\0")  # no id lies between the two
            rows = self._known.until(last)
            rows = rows if moved is None else updated(rows, moved.to_pandas())
        self._out.write_table(rows)
        return rows

    def end(self, events: int | None) -> Carried:
        """What the next evidence may carry on from; its file lies in the scratch folder. `events` as in `Carried`."""
        self._out.close()
        return Carried(self._path, file_digest(self._path), self.letters, events)

    def _count(self, letters: pd.DataFrame) -> None:
        for state, sign in (("was", -1), ("state", 1)):
            counted = letters[["kind", "occasion", state]].value_counts().reset_index()
            for kind, occasion, became, count in counted.itertuples(index=False, name=None):
                self.letters[kind, occasion, became] += sign * count


class _InOrder:
    """Reads rows that are in order of id, part by part: each `until` goes on where the one before ended."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._held: pa.RecordBatch | None = next(batches, None)

    def until(self, last: str) -> pa.Table:
        """The next rows, up to and including the id `last`."""
        taken = []
        while self._held is not None:
            ids = self._held.column("account_id")
            end = bisect_right(ids, last, key=lambda id_: id_.as_py())
            taken.append(self._held.slice(0, end))
            if end < len(ids):
                self._held = self._held.slice(end)
                break
            self._held = next(self._batches, None)
        return pa.Table.from_batches(taken, SCHEMA)
