"""Letters on which a person decides whether they are sent again, each with its account, and what else was written to those people."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final, NamedTuple

import sqlalchemy as sa

from migrate.ledger.moves import batches
from migrate.ledger.mysql import through
from migrate.ledger.schema import ENDED, UNSETTLED, account, indexed, letter, notice
from migrate.ledger.states import LetterState
from migrate.words import CONFIRMATION

_STANDS: Final = ("queued", "sending", "sent", "uncertain")


class Candidate(NamedTuple):
    """A letter, and the account it was written to as it is now. `tenure` is that of the letter, `account_tenure` that of the account."""

    letter_id: int
    notice_id: int
    account_id: str
    kind: str
    occasion: str
    address: str
    reference: str
    state: LetterState
    reply: str | None
    ends: datetime | None
    tenure: int
    account_tenure: int
    standing: str
    compliant: bool
    gone_at: datetime | None
    email: str | None


class Other(NamedTuple):
    """A reminder of an account that was sent, may have been, or is about to be."""

    letter_id: int
    notice_id: int
    account_id: str
    tenure: int
    occasion: str
    address: str
    state: LetterState


_COLUMNS: Final = (
    letter.c.id, letter.c.notice_id, letter.c.account_id, letter.c.kind, letter.c.occasion, letter.c.address, letter.c.reference,
    letter.c.state, letter.c.reply, letter.c.ends, notice.c.tenure, account.c.tenure.label("account_tenure"), account.c.standing,
    account.c.compliant, account.c.gone_at, account.c.email,
)  # fmt: skip
_THEIRS: Final = sa.and_(account.c.campaign_id == letter.c.campaign_id, account.c.account_id == letter.c.account_id)
_WHOLE: Final = sa.select(*_COLUMNS).select_from(letter.join(notice, letter.c.notice_id == notice.c.id).join(account, _THEIRS))


def one(connection: sa.Connection, letter_id: int) -> Candidate:
    """The letter with an id."""
    return Candidate._make(connection.execute(_WHOLE.where(letter.c.id == letter_id)).one())


def those(connection: sa.Connection, letters: Collection[int], state: LetterState) -> list[Candidate]:
    """Those of some letters (ids) that are in a state."""
    parts = (_WHOLE.where(letter.c.id.in_(some), letter.c.state == state) for some in batches(sorted(letters)))
    return [Candidate._make(row) for part in parts for row in connection.execute(part)]


def found(
    connection: sa.Connection,
    campaign_id: int,
    state: LetterState,
    *,
    reply: str | None = None,
    kind: str | None = None,
    since: datetime | None = None,
) -> list[int]:
    """Ids of the letters of a campaign that got into a state, at or after an instant: of a kind, and with words in the server's last
    reply, whatever their case and the blanks between them."""
    mine = [letter.c.campaign_id == campaign_id, indexed(ENDED if state in ENDED else UNSETTLED), letter.c.state == state]
    mine += [] if kind is None else [letter.c.kind == kind]
    mine += [] if since is None else [letter.c.settled_at >= since]
    wanted = sa.select(letter.c.id, letter.c.reply).where(*mine).order_by(letter.c.id)
    rows = connection.execute(wanted)
    # Not by the database: each folds other letters than the next one.
    words = None if reply is None else _folded(reply)
    return [id_ for id_, said in rows if words is None or words in _folded(said or "")]


def others(connection: sa.Connection, campaign_id: int, accounts: Iterable[str]) -> list[Other]:
    """The reminders of some accounts that stand, in order of id."""
    columns = (letter.c.id, letter.c.notice_id, letter.c.account_id, notice.c.tenure, letter.c.occasion, letter.c.address, letter.c.state)
    wanted = (
        sa.select(*columns)
        .select_from(letter.join(notice, letter.c.notice_id == notice.c.id))
        .where(letter.c.campaign_id == campaign_id, letter.c.kind != CONFIRMATION, letter.c.state.in_(_STANDS))
    )
    parts = (through(wanted.where(letter.c.account_id.in_(ids)), letter, "ix_letter_account") for ids in batches(sorted(set(accounts))))
    return sorted(Other._make(row) for part in parts for row in connection.execute(part))


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
