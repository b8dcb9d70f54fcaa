"""Recall: a chronicle that is read from the ledger (design §9, §14). Nothing in it depends on what happened after `evidence_at`.

Letter events are ordered by their numbers where a run recorded one (`LAST_EVENT` in its counts), and not by their instants: the clock may
have been set back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from migrate.directory.snapshot import REJECTED_COLUMNS
from migrate.incremental import Records
from migrate.ledger import history, runs
from migrate.ledger.runs import Run
from migrate.outbox.letters_as_of import LettersAsOf, PointInTime
from migrate.process.prefetch import ahead
from migrate.report import told
from migrate.report.chronicle import Chronicle, Day
from migrate.report.helpdesk import SENT_COLUMNS
from migrate.report.moves import SUPERSEDED_COLUMNS, WALKED
from migrate.report.tables import CHANGE_COLUMNS, EXEMPTION_COLUMNS, LETTER_COLUMNS, TOLD_COLUMNS
from migrate.report.terms import Terms
from migrate.report.told import Carried

if TYPE_CHECKING:
    import pandas as pd

LAST_EVENT: Final = "last_event"
_CHUNK: Final = 20_000
_WEEK: Final = timedelta(days=7)
_TOGETHER: Final = 16_384
"""So many accounts are processed together. It is the size of a row group of accounts.parquet, and decides how much memory the reports
take."""


def evenly(parts: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in the same order, in tables of `rows` rows; only the last has fewer, and none is empty. So a file made of them has
    the same bytes wherever the rows come from."""
    held: pa.Table | None = None
    for part in parts:
        held = pa.concat_tables([held, part]) if held else part
        del part  # else it stays in memory until the next part is read
        while held.num_rows >= rows:
            yield held.slice(0, rows)
            held = held.slice(rows)
    if held:
        yield held


@dataclass(frozen=True)
class Recall:
    """A `Chronicle` of a recorded run, read from the ledger in parts, so that memory does not grow with accounts, letters or changes.

    `last_event` is the number of the last letter event that counts; None if only `evidence_at` is known. `records` are the run's own
    records of its accounts, if they are still there. `told_folder` is where the evidence before left what accounts had been told. `beside`
    is the run to compare with instead of the latest one before that left evidence.
    """

    connection: sa.Connection
    run: Run
    terms: Terms
    evidence_at: datetime
    last_event: int | None = None
    records: Records | None = None
    told_folder: Path | None = None
    beside: Run | None = None

    @cached_property
    def previous(self) -> Run | None:
        return self.beside or runs.last_with_evidence(self.connection, self.run.campaign_id, self.run.seq)

    def accounts(self) -> Iterator[pa.Table]:
        yield from evenly(self._recorded(), _TOGETHER)

    def carried(self) -> Carried | None:
        known = self.previous.counts.get(told.DIGEST) if self.previous else None
        found = told.find(self.told_folder, known) if known and self.told_folder else None
        last_event = self.previous.counts.get(LAST_EVENT) if self.previous else None
        if found is None or last_event is None or found.events != history.events_until(self.connection, last_event):
            return None
        return found

    def events(self) -> int | None:
        return history.events_until(self.connection, self.last_event or 0)

    def letters_of(self, first: str, last: str) -> pd.DataFrame:
        return self._letters.of_accounts(first, last, TOLD_COLUMNS)

    def _recorded(self) -> Iterator[pa.Table]:
        """`WALKED` of the accounts in order of id, part by part."""
        if self.records:
            yield from ahead(pa.Table.from_batches([batch]) for batch in self.records.batches(WALKED))
        else:
            for frame in history.accounts_as_of(self.connection, self.run.campaign_id, self.run.seq, chunk=_CHUNK):
                yield pa.Table.from_pandas(frame[list(WALKED)], preserve_index=False)

    def superseded(self, low: str | None, high: str | None) -> pd.DataFrame:
        until = [seq for seq, _ in self._runs if seq > self._before]
        return history.superseded(self.connection, self.run.campaign_id, self._before, until, low, high, SUPERSEDED_COLUMNS)

    def arrived(self, records: pa.Table) -> list[str]:
        since = [as_of for seq, as_of in self._runs if seq > self._before]
        seen = records["first_seen_at"]
        fresh: list[str] = records["account_id"].filter(pc.is_in(seen, pa.array(since, seen.type))).to_pylist()
        if not fresh or not {as_of for seq, as_of in self._runs if seq <= self._before} & set(since):
            return fresh
        # Two runs have the same `as_of` where a day was repeated: the instant alone does not tell which of them saw an account first.
        earlier = history.known_at(self.connection, self.run.campaign_id, self._before, fresh)
        return [each for each in fresh if each not in earlier]

    def letters(self) -> Iterator[pd.DataFrame]:
        return self._letters.moved_or_waiting(self._then, LETTER_COLUMNS, _CHUNK)

    def sent(self) -> Iterator[pd.DataFrame]:
        return self._letters.sent(SENT_COLUMNS, _CHUNK)

    def changes(self) -> Iterator[pd.DataFrame]:
        return history.changes_of(self.connection, self.run.campaign_id, self.run.seq, CHANGE_COLUMNS, _CHUNK)

    def exemptions(self) -> pd.DataFrame:
        return history.granted_by(self.connection, "exemption", self.run.campaign_id, self.evidence_at, EXEMPTION_COLUMNS)

    def pauses(self) -> pd.DataFrame:
        return history.granted_by(self.connection, "pause", self.run.campaign_id, self.evidence_at, EXEMPTION_COLUMNS)

    def dead(self) -> frozenset[str]:
        return history.dead_at(self.connection, self.run.campaign_id, self.evidence_at)

    def week(self) -> Recall | None:
        day = self.terms.day(self.run.as_of) - _WEEK
        earlier = (seq for seq, as_of in reversed(self._runs) if seq < self.run.seq and self.terms.day(as_of) <= day)
        found = next(earlier, None)
        return None if found is None or found == self._before else replace(self, beside=runs.find(self.connection, found))

    def rejected(self) -> Iterator[pd.DataFrame]:
        return history.rejections_of(self.connection, self.run.seq, REJECTED_COLUMNS, _CHUNK)

    def days(self) -> list[Day]:
        all_runs = runs.counts_by_instant(self.connection, self.run.campaign_id, self.run.seq)
        last_of_day = {self.terms.day(as_of): counts for as_of, counts in all_runs}
        return [Day(on, counts["standing"]) for on, counts in sorted(last_of_day.items()) if "standing" in counts]

    @cached_property
    def _before(self) -> int:
        """The number of the run of the evidence before; 0 if there is none."""
        previous = self.previous
        return previous.seq if previous else 0

    @cached_property
    def _runs(self) -> list[tuple[int, datetime]]:
        """The campaign's runs up to this one: number and instant."""
        return runs.instants(self.connection, self.run.campaign_id, self.run.seq)

    @property
    def _then(self) -> PointInTime | None:
        """The moment of the evidence before; None if there is none."""
        previous = self.previous
        if previous is None or previous.evidence_at is None:
            return None
        return PointInTime(previous.evidence_at, previous.counts.get(LAST_EVENT))

    @property
    def _letters(self) -> LettersAsOf:
        return LettersAsOf(self.connection, self.run.campaign_id, PointInTime(self.evidence_at, self.last_event))


def of_run(connection: sa.Connection, run: Run, at: datetime | None = None) -> Chronicle:
    """The chronicle of a recorded run as of `at`; by default as of its reports.

    The terms are those that the run recorded in `counts["terms"]` (`Terms.to_json`).
    """
    known = None if at else run.counts.get(LAST_EVENT)
    return Recall(connection, run, Terms.from_json(run.counts["terms"]), at or run.evidence_at or run.started_at, known)
