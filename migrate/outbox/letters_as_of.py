"""Letters as they were at a moment of the past, worked out from their events (design §14)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from migrate.ledger.frames import fetch, pages
from migrate.ledger.schema import UtcInstant, letter, letter_event, notice
from migrate.ledger.states import UNSENT

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class PointInTime:
    """A moment in the life of a ledger: an instant, and the number of the last letter event before it where that was written down.

    The number goes before the instant, since a clock may be set back between two events.
    """

    at: datetime
    event: int | None = None

    def before(self, event: sa.FromClause) -> sa.ColumnElement[bool]:
        """The condition that an event (of `letter_event`) happened by then."""
        return event.c.at <= self.at if self.event is None else event.c.id <= self.event

    def after(self, event: sa.FromClause) -> sa.ColumnElement[bool]:
        """The condition that an event happened later."""
        return event.c.at > self.at if self.event is None else event.c.id > self.event


@dataclass(frozen=True, slots=True)
class LettersAsOf:
    """The letters of a campaign at a moment.

    Columns are asked for by name → dtype: those of the letter, and `letter_id`, `tenure`, `changed_at` (when it got into the state it had).
    `state`, `reason`, `reply`, `attempts`, `queued_at`, `settled_at` and `subject` are as of the moment, `was` is the state at an earlier
    one.
    """

    connection: sa.Connection
    campaign_id: int
    until: PointInTime

    def of_accounts(self, first: str, last: str, columns: dict[str, str]) -> pd.DataFrame:
        """The letters of the accounts whose ids lie between two ids, those included."""
        return fetch(self.connection, self._letters(columns).where(letter.c.account_id.between(first, last)), columns)

    def moved_or_waiting(self, since: PointInTime | None, columns: dict[str, str], chunk: int) -> Iterator[pd.DataFrame]:
        """The letters that changed state after an earlier moment (None: ever), and those that waited; at most `chunk` at a time."""
        last = letter_event.alias()

        def later(event: sa.FromClause) -> sa.ColumnElement[bool]:
            return sa.true() if since is None else since.after(event)

        moved = sa.select(letter_event.c.letter_id).where(later(letter_event))
        # A letter that waited then either still does, or has moved since.
        wanted = self._letters(columns, last, since).where(sa.or_(letter.c.id.in_(moved), letter.c.state.in_(UNSENT)))
        wanted = wanted.where(sa.or_(later(last), last.c.to_state.in_(UNSENT)))
        return pages(self.connection, wanted, columns, {"letter_id": letter.c.id}, chunk)

    def sent(self, columns: dict[str, str], chunk: int) -> Iterator[pd.DataFrame]:
        """The letters that were sent, or may have been; at most `chunk` at a time."""
        last = letter_event.alias()
        wanted = self._letters(columns, last).where(last.c.to_state.in_(("sent", "uncertain")))
        return pages(self.connection, wanted, columns, {"letter_id": letter.c.id}, chunk)

    def _letters(self, names: Iterable[str], last: sa.FromClause | None = None, since: PointInTime | None = None) -> sa.Select[Any]:
        """The letters that were queued by then. The events of each are looked up by themselves: the ranges asked for are small.

        `last` stands for the event by which a letter came into the state it had, `since` is the earlier moment of `was`.
        """
        event, last = letter_event.alias(), letter_event.alias() if last is None else last
        until = (event.c.letter_id == letter.c.id, self.until.before(event))
        newest = sa.select(sa.func.max(event.c.id)).where(*until).scalar_subquery()
        columns = {
            "letter_id": letter.c.id,
            "tenure": notice.c.tenure,
            "state": last.c.to_state,
            "was": self._state_at(since),
            "reason": last.c.reason,
            "reply": last.c.reply,
            "attempts": sa.select(sa.func.count()).where(*until, event.c.to_state == "sending").scalar_subquery(),
            "queued_at": sa.type_coerce(sa.select(sa.func.min(event.c.at)).where(*until).scalar_subquery(), UtcInstant),
            "settled_at": sa.case((last.c.to_state.in_(UNSENT), None), else_=last.c.at),
            "changed_at": last.c.at,
            # The subject is of the last try: only a letter that was sent by then cannot have been tried again since.
            "subject": sa.case((last.c.to_state == "sent", letter.c.subject)),
        }
        # Without the letter's id SQLAlchemy's MySQL dialect would see no join, and warn of a cartesian product.
        this = sa.and_(last.c.id == newest, last.c.letter_id == letter.c.id)
        return (
            sa.select(*((columns[name] if name in columns else letter.c[name]).label(name) for name in names))
            .select_from(letter.join(notice, letter.c.notice_id == notice.c.id).join(last, this))
            .where(letter.c.campaign_id == self.campaign_id)
        )

    @staticmethod
    def _state_at(moment: PointInTime | None) -> sa.ColumnElement[Any]:
        """A letter's state at a moment; null if it was not queued yet, or without a moment."""
        if moment is None:
            return sa.null()
        event = letter_event.alias()
        then = sa.select(event.c.to_state).where(event.c.letter_id == letter.c.id, moment.before(event))
        return then.order_by(event.c.id.desc()).limit(1).scalar_subquery()
