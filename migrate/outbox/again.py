"""Reads the letters on which a person decides whether to send them again, each with its account, and the other reminders of these
people."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

import sqlalchemy as sa

from migrate.core.words import STANDS
from migrate.ledger.listed import BATCH
from migrate.ledger.mysql import through
from migrate.ledger.schema import ENDED, UNSETTLED, account, indexed, letter, mandatory, notice
from migrate.ledger.states import LetterState


class Candidate(NamedTuple):
    """A letter, and its account as it is now. `tenure` is the letter's and `account_tenure` the account's; `told_cutoff` is the cutoff that
    the letter names ('' for a confirmation), and `cutoff` the account's."""

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
    told_cutoff: str
    cutoff: datetime


class Other(NamedTuple):
    """A reminder to an account that was sent, may have been sent, or is going to be."""

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
    account.c.compliant, account.c.gone_at, account.c.email, notice.c.told_cutoff, account.c.cutoff,
)  # fmt: skip
_THEIRS: Final = sa.and_(account.c.campaign_id == letter.c.campaign_id, account.c.account_id == letter.c.account_id)
_WHOLE: Final = sa.select(*_COLUMNS).select_from(letter.join(notice, letter.c.notice_id == notice.c.id).join(account, _THEIRS))


def one(connection: sa.Connection, letter_id: int) -> Candidate:
    """The letter with this id."""
    return Candidate._make(connection.execute(_WHOLE.where(letter.c.id == letter_id)).one())


def found(
    connection: sa.Connection,
    campaign_id: int,
    state: LetterState,
    *,
    reply: str | None = None,
    kind: str | None = None,
    since: datetime | None = None,
    among: Collection[int] | None = None,
) -> list[Candidate]:
    """The letters of a campaign in a state, in order of id: those of a `kind`, settled at or after `since`, with the words `reply` in the
    server's last reply (case and spaces do not matter), and with an id `among` these; None: any."""
    mine = [letter.c.campaign_id == campaign_id, indexed(ENDED if state in ENDED else UNSETTLED), letter.c.state == state]
    mine += [] if kind is None else [letter.c.kind == kind]
    mine += [] if since is None else [letter.c.settled_at >= since]
    rows = map(Candidate._make, connection.execute(_WHOLE.where(*mine).order_by(letter.c.id)).all())
    # Compared here: databases differ in which letters they take for the same in upper and lower case.
    words, these = None if reply is None else _folded(reply), None if among is None else frozenset(among)
    return [row for row in rows if (these is None or row.letter_id in these) and (words is None or words in _folded(row.reply or ""))]


def others(connection: sa.Connection, campaign_id: int, state: LetterState, accounts: Collection[str]) -> list[Other]:
    """The reminders that stand (`STANDS`) of some accounts, in order of id. Each of these accounts has a letter in `state`."""
    columns = (letter.c.id, letter.c.notice_id, letter.c.account_id, notice.c.tenure, letter.c.occasion, letter.c.address, letter.c.state)
    wanted = (
        sa.select(*columns)
        .select_from(letter.join(notice, letter.c.notice_id == notice.c.id))
        .where(letter.c.campaign_id == campaign_id, ~mandatory(letter), letter.c.state.in_(STANDS))
    )
    if len(accounts) <= BATCH:
        wanted = through(wanted.where(letter.c.account_id.in_(sorted(accounts))), letter, "ix_letter_account")
    else:
        theirs = letter.alias()
        wanted = wanted.where(
            letter.c.account_id.in_(sa.select(theirs.c.account_id).where(theirs.c.campaign_id == campaign_id, theirs.c.state == state))
        )
    rows = map(Other._make, connection.execute(wanted).all())
    return sorted(row for row in rows if row.account_id in accounts)


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
