"""Recall: the chronicle that the ledger tells (design §9, §14). Nothing here depends on what happened after `evidence_at`.

What came before or after is told by the number of a letter's event where a run wrote it down (`LAST_EVENT` in its counts): the clock by
which instants were taken may have been set back in between.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from migrate.directory.snapshot import REJECTED_COLUMNS
from migrate.incremental import Records
from migrate.ledger import history, runs, schema
from migrate.ledger.frames import fetch
from migrate.ledger.listed import batches
from migrate.ledger.runs import Run
from migrate.ledger.schema import account, account_history, bounce, change, exemption, letter, letter_event, notice, pause, rejection, run
from migrate.report.chronicle import Day
from migrate.report.helpdesk import SENT_COLUMNS
from migrate.report.moves import STOOD_COLUMNS, WALKED
from migrate.report.tables import CHANGE_COLUMNS, EXEMPTION_COLUMNS, LETTER_COLUMNS, TOLD_COLUMNS, WAITING
from migrate.report.terms import Terms

if TYPE_CHECKING:
    import pandas as pd

LAST_EVENT: Final = "last_event"
_CHUNK: Final = 20_000
_WEEK: Final = timedelta(days=7)
_TOGETHER: Final = 16_384
"""So many accounts at a time: a row group of accounts.parquet, and what memory the reports of a run take."""


def evenly(parts: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows in the same order, so many at a time; none is empty. Wherever they come from, a file of them has the same bytes."""
    held: pa.Table | None = None
    for part in parts:
        held = pa.concat_tables([held, part]) if held else part
        del part  # or it stays in memory until the next one is there
        while held.num_rows >= rows:
            yield held.slice(0, rows)
            held = held.slice(rows)
    if held:
        yield held


@dataclass(frozen=True)
class Recall:
    """A `Chronicle` of a recorded run, read from the ledger in chunks, so that memory does not grow with accounts, letters or changes.

    `last_event` numbers the last event of a letter that it tells of; None where nothing but `evidence_at` is known. `records` are what the
    run recorded of its accounts, where they are at hand. `beside` is the run that it is told beside, where that is not the one before.
    """

    connection: sa.Connection
    run: Run
    terms: Terms
    evidence_at: datetime
    last_event: int | None = None
    records: Records | None = None
    beside: Run | None = None

    @cached_property
    def previous(self) -> Run | None:
        if self.beside:
            return self.beside
        found = self.connection.execute(
            sa.select(sa.func.max(run.c.seq)).where(
                run.c.campaign_id == self.run.campaign_id, run.c.seq < self.run.seq, run.c.manifest_digest.is_not(None)
            )
        ).scalar()
        return None if found is None else runs.find(self.connection, found)

    def accounts(self) -> Iterator[tuple[pa.Table, pd.DataFrame]]:
        letters = self._letters(TOLD_COLUMNS)
        for records in evenly(self._recorded(), _TOGETHER):
            ids = records["account_id"]
            yield records, fetch(self.connection, letters.where(letter.c.account_id.between(ids[0].as_py(), ids[-1].as_py())), TOLD_COLUMNS)

    def _recorded(self) -> Iterator[pa.Table]:
        """`WALKED` of the accounts in order of id, a part at a time."""
        if self.records:
            yield from (pa.Table.from_batches([batch]) for batch in self.records.batches(WALKED))
        else:
            for frame in history.accounts_as_of(self.connection, self.run.campaign_id, self.run.seq, chunk=_CHUNK):
                yield pa.Table.from_pandas(frame[list(WALKED)], preserve_index=False)

    def stood(self, low: str | None, high: str | None) -> pd.DataFrame:
        c = account_history.c
        bounds = ([c.account_id > low] if low is not None else []) + ([c.account_id <= high] if high is not None else [])
        wanted = self._superseded(*(c[name] for name in STOOD_COLUMNS)).where(*bounds).order_by(c.account_id)
        return fetch(self.connection, wanted, STOOD_COLUMNS)

    def arrived(self, records: pa.Table) -> list[str]:
        since = [as_of for seq, as_of in self._runs if seq > self._before]
        seen = records["first_seen_at"]
        fresh: list[str] = records["account_id"].filter(pc.is_in(seen, pa.array(since, seen.type))).to_pylist()
        if not fresh or not {as_of for seq, as_of in self._runs if seq <= self._before} & set(since):
            return fresh
        # Days were played through again: an instant alone does not tell which run saw an account first.
        earlier: set[str] = set()
        for some in batches(fresh):
            for table, still in ((account, []), (account_history, [account_history.c.until_run > self._before])):
                c = table.c
                mine = (c.campaign_id == self.run.campaign_id, c.account_id.in_(some), c.since_run <= self._before, *still)
                earlier.update(self.connection.execute(sa.select(c.account_id).where(*mine)).scalars())
        return [each for each in fresh if each not in earlier]

    def letters(self) -> Iterator[pd.DataFrame]:
        moved = sa.select(letter_event.c.letter_id).where(self._after_previous(letter_event))
        last = letter_event.alias()
        # A letter that waited then either still does, or has moved since.
        concerned = self._letters(LETTER_COLUMNS, last).where(sa.or_(letter.c.id.in_(moved), letter.c.state.in_(WAITING)))
        concerned = concerned.where(sa.or_(self._after_previous(last), last.c.to_state.in_(WAITING)))
        seen = 0
        while True:
            frame = fetch(self.connection, concerned.where(letter.c.id > seen).order_by(letter.c.id).limit(_CHUNK), LETTER_COLUMNS)
            yield frame
            if len(frame) < _CHUNK:
                return
            seen = int(frame["letter_id"].iloc[-1])

    def sent(self) -> Iterator[pd.DataFrame]:
        last = letter_event.alias()
        wanted = self._letters(SENT_COLUMNS, last).where(last.c.to_state.in_(("sent", "uncertain"))).order_by(letter.c.id).limit(_CHUNK)
        seen = 0
        while True:
            frame = fetch(self.connection, wanted.where(letter.c.id > seen), SENT_COLUMNS)
            yield frame
            if len(frame) < _CHUNK:
                return
            seen = int(frame["letter_id"].iloc[-1])

    def changes(self) -> Iterator[pd.DataFrame]:
        c = change.c
        wanted = sa.select(*(c[name] for name in CHANGE_COLUMNS)).where(c.campaign_id == self.run.campaign_id, c.run_seq == self.run.seq)
        page = wanted.order_by(c.account_id, c.seq).limit(_CHUNK)
        while True:
            frame = fetch(self.connection, page, CHANGE_COLUMNS)
            yield frame
            if len(frame) < _CHUNK:
                return
            account_id, seq = frame["account_id"].iloc[-1], int(frame["seq"].iloc[-1])
            beyond = sa.or_(c.account_id > account_id, sa.and_(c.account_id == account_id, c.seq > seq))
            page = wanted.where(beyond).order_by(c.account_id, c.seq).limit(_CHUNK)

    def exemptions(self) -> pd.DataFrame:
        return self._granted(exemption)

    def pauses(self) -> pd.DataFrame:
        return self._granted(pause)

    def dead(self) -> frozenset[str]:
        b, at = bounce.c, self.evidence_at
        in_force = (b.campaign_id == self.run.campaign_id, b.hard, b.seen_at <= at, b.until > at)
        wanted = sa.select(b.address).where(*in_force, sa.or_(b.cleared_at.is_(None), b.cleared_at > at))
        return frozenset(address.lower() for address in self.connection.execute(wanted).scalars())

    def week(self) -> Recall | None:
        c, day = run.c, self.terms.day(self.run.as_of) - _WEEK
        mine = (c.campaign_id == self.run.campaign_id, c.seq < self.run.seq)
        runs_before = self.connection.execute(sa.select(c.seq, c.as_of).where(*mine).order_by(c.seq.desc()))
        found = next((seq for seq, as_of in runs_before if self.terms.day(as_of) <= day), None)
        return None if found is None or found == self._before else replace(self, beside=runs.find(self.connection, found))

    def _granted(self, table: sa.Table) -> pd.DataFrame:
        e = table.c
        # What was taken back later stood there then.
        removed = e.removed_at <= self.evidence_at
        columns = (sa.case((removed, e[name])).label(name) if name.startswith("removed_") else e[name] for name in EXEMPTION_COLUMNS)
        wanted = sa.select(*columns).where(e.campaign_id == self.run.campaign_id, e.created_at <= self.evidence_at)
        return fetch(self.connection, wanted.order_by(e.id), EXEMPTION_COLUMNS)

    def rejected(self) -> Iterator[pd.DataFrame]:
        c = rejection.c
        page = sa.select(*(c[name] for name in REJECTED_COLUMNS)).where(c.run_seq == self.run.seq).order_by(c.position).limit(_CHUNK)
        seen = 0
        while True:
            frame = fetch(self.connection, page.where(c.position > seen), REJECTED_COLUMNS)
            yield frame
            if len(frame) < _CHUNK:
                return
            seen = int(frame["position"].iloc[-1])

    def days(self) -> list[Day]:
        wanted = sa.select(run.c.as_of, run.c.counts).where(run.c.campaign_id == self.run.campaign_id, run.c.seq <= self.run.seq)
        found = {self.terms.day(as_of): json.loads(counts) for as_of, counts in self.connection.execute(wanted.order_by(run.c.seq))}
        return [Day(on, counts["standing"]) for on, counts in sorted(found.items()) if "standing" in counts]

    @cached_property
    def _before(self) -> int:
        """The number of the run before that left evidence, 0 if none did."""
        previous = self.previous
        return previous.seq if previous else 0

    @cached_property
    def _runs(self) -> list[tuple[int, datetime]]:
        """The campaign's runs up to this one: number and instant."""
        mine = (run.c.campaign_id == self.run.campaign_id, run.c.seq <= self.run.seq)
        return [(seq, as_of) for seq, as_of in self.connection.execute(sa.select(run.c.seq, run.c.as_of).where(*mine))]

    def _superseded(self, *columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """Of the versions that held in the evidence before, those that do not hold any more. A run's lie together, in order of id."""
        c, before = account_history.c, self._before
        since = [seq for seq, _ in self._runs if seq > before]
        return sa.select(*columns).where(c.campaign_id == self.run.campaign_id, c.until_run.in_(since), c.since_run <= before)

    def _after_previous(self, event: sa.FromClause) -> sa.ColumnElement[bool]:
        """True for events after those of the evidence before."""
        previous = self.previous
        if previous is None or previous.evidence_at is None:
            return sa.true()
        number = previous.counts.get(LAST_EVENT)
        return event.c.at > previous.evidence_at if number is None else event.c.id > number

    def _letters(self, names: Iterable[str], last: sa.FromClause | None = None) -> sa.Select[Any]:
        """Some of `LETTER_COLUMNS` as of `evidence_at`, each letter looked up by itself: the ranges asked for are small.

        `last` stands for the event by which each came into the state it had.
        """
        event, last = letter_event.alias(), letter_event.alias() if last is None else last
        told = event.c.at <= self.evidence_at if self.last_event is None else event.c.id <= self.last_event
        until = (event.c.letter_id == letter.c.id, told)
        newest = sa.select(sa.func.max(event.c.id)).where(*until).scalar_subquery()
        columns = {
            "letter_id": letter.c.id,
            "tenure": notice.c.tenure,
            "state": last.c.to_state,
            "reason": last.c.reason,
            "reply": last.c.reply,
            "attempts": sa.select(sa.func.count()).where(*until, event.c.to_state == "sending").scalar_subquery(),
            "queued_at": sa.type_coerce(sa.select(sa.func.min(event.c.at)).where(*until).scalar_subquery(), schema.UtcInstant),
            "settled_at": sa.case((last.c.to_state.in_(WAITING), None), else_=last.c.at),
            "changed_at": last.c.at,
            # Only a sent letter's subject can never become another one: any other may be tried again.
            "subject": sa.case((last.c.to_state == "sent", letter.c.subject)),
        }
        # The letter's id says nothing new, but SQLAlchemy's MySQL dialect would otherwise see no join and warn of a cartesian product.
        this = sa.and_(last.c.id == newest, last.c.letter_id == letter.c.id)
        return (
            sa.select(*((columns[name] if name in columns else letter.c[name]).label(name) for name in names))
            .select_from(letter.join(notice, letter.c.notice_id == notice.c.id).join(last, this))
            .where(letter.c.campaign_id == self.run.campaign_id)
        )
