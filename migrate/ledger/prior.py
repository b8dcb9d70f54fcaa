"""What the ledger remembers, an id range at a time: the side of a run that only reads.

A range is `[low, high)` of account ids, byte by byte; None is no bound. A dry run reads exactly as a run does, through the same methods.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from migrate.accounts import RECORD_COLUMNS
from migrate.ledger import schema
from migrate.ledger.frames import fetch
from migrate.plan import CONFIRMATION, LAST_TOLD_COLUMNS, OPEN_COLUMNS, TOLD_COLUMNS, WAITING_COLUMNS, Mailed

Bound = str | None


class Prior:
    """The memory of one campaign, as one connection sees it. `campaign_id` is None before its first run: everything is empty then."""

    def __init__(self, connection: sa.Connection, campaign: str) -> None:
        self._connection = connection
        row = connection.execute(sa.select(schema.campaign.c.id).where(schema.campaign.c.name == campaign)).first()
        self.campaign_id: int | None = None if row is None else int(row.id)

    def accounts(self, low: Bound, high: Bound) -> pd.DataFrame:
        """`RECORD_COLUMNS` of the range, in order of id, the accounts that are gone included."""
        a = schema.account.c
        return self._fetch(
            sa.select(*(a[name] for name in RECORD_COLUMNS)).where(*self._within(a, low, high)).order_by(a.account_id), RECORD_COLUMNS
        )

    def known(self) -> int:
        """How many accounts the last accepted read had."""
        a = schema.account.c
        there = sa.select(sa.func.count()).select_from(schema.account).where(a.campaign_id == self.campaign_id, a.gone_at.is_(None))
        return int(self._connection.execute(there).scalar_one())

    def mailed(self, low: Bound, high: Bound, occasion: str | None) -> Mailed:
        """What was mailed in the range: the letters of `occasion` (the stage that counts now), the last letter, and what still waits."""
        letter, notice = schema.letter.c, schema.notice.c
        joined = schema.letter.join(schema.notice, letter.notice_id == notice.id)
        within = self._within(letter, low, high)
        told = (
            sa.select(letter.account_id, notice.tenure, notice.told_cutoff, letter.address, letter.state, letter.reason)
            .select_from(joined)
            .where(*within, letter.occasion == (occasion or ""))
        )
        last = (
            sa.select(letter.account_id, notice.tenure, sa.func.max(letter.settled_at).label("last_told_at"))
            .select_from(joined)
            .where(*within, letter.kind != CONFIRMATION, letter.state.in_(("sent", "uncertain")))
            .group_by(letter.account_id, notice.tenure)
        )
        waiting = (
            sa.select(letter.id.label("letter_id"), letter.account_id, notice.tenure, letter.occasion, notice.told_cutoff)
            .select_from(joined)
            .where(*within, letter.kind != CONFIRMATION, letter.state == "queued")
        )
        return Mailed(self._fetch(told, TOLD_COLUMNS), self._fetch(last, LAST_TOLD_COLUMNS), self._fetch(waiting, WAITING_COLUMNS))

    def open_changes(self, low: Bound, high: Bound) -> pd.DataFrame:
        """`OPEN_COLUMNS` of the mailed changes that have no confirmation yet."""
        c = schema.change.c
        return self._fetch(
            sa.select(*(c[name] for name in OPEN_COLUMNS)).where(*self._within(c, low, high), c.state == "open"), OPEN_COLUMNS
        )

    def earlier_addresses(self, first_id: str, last_id: str, since: datetime) -> pd.DataFrame:
        """`account_id`, `tenure`, `email`, `notification_emails` of versions that were superseded at or after an instant, of the accounts
        from one id to another, both included."""
        h, run = schema.account_history.c, schema.run.c
        first = sa.select(sa.func.min(run.seq)).where(run.campaign_id == self.campaign_id, run.as_of >= since).scalar_subquery()
        columns = {"account_id": "str", "tenure": "int32", "email": "str", "notification_emails": "str"}
        there = (h.campaign_id == self.campaign_id, h.account_id.between(first_id, last_id), h.until_run >= first)
        return self._fetch(sa.select(*(h[name] for name in columns)).where(*there).distinct(), columns)

    def exceptions(self, table: sa.Table, today: date) -> pd.Series:
        """Account id → the last day (ISO) of the longest exemption or pause (`table`) that is in force on a day."""
        t = table.c
        found = self._connection.execute(
            sa.select(t.account_id, sa.func.max(t.until))
            .where(t.campaign_id == self.campaign_id, t.removed_at.is_(None), t.until >= today.isoformat())
            .group_by(t.account_id)
        ).all()
        return pd.Series(dict(tuple(row) for row in found), dtype="str")

    def bounced(self, now: datetime) -> frozenset[str]:
        """Addresses (lower case) that mail servers declared dead, and that nobody cleared since."""
        b = schema.bounce.c
        dead = sa.select(b.address).where(b.campaign_id == self.campaign_id, b.hard, b.until > now, b.cleared_at.is_(None))
        return frozenset(address.lower() for (address,) in self._connection.execute(dead))

    def last_run(self) -> sa.Row[Any] | None:
        """The campaign's latest recorded run."""
        run = schema.run
        return self._connection.execute(
            sa.select(run).where(run.c.campaign_id == self.campaign_id).order_by(run.c.seq.desc()).limit(1)
        ).first()

    def _within(self, columns: Any, low: Bound, high: Bound) -> list[sa.ColumnElement[bool]]:
        bounds = [columns.account_id >= low] if low is not None else []
        bounds += [columns.account_id < high] if high is not None else []
        return [columns.campaign_id == self.campaign_id, *bounds]

    def _fetch(self, statement: sa.Select[Any], columns: dict[str, str]) -> pd.DataFrame:
        return fetch(self._connection, statement, columns)
