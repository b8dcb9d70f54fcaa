"""Letters by the account they are about."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import sqlalchemy as sa

from migrate.ledger.account_lookup import same_text
from migrate.ledger.schema import UtcInstant, account, letter, letter_event, mandatory, notice
from migrate.ledger.states import RESENT, LetterState

_TOLD: Final = ("sent", "uncertain")


class Move(NamedTuple):
    """A letter's change of state: when, by which run, worker or person (`actor`), and why. `reference` names the letter."""

    at: datetime
    actor: str
    before: LetterState
    after: LetterState
    reference: str
    reason: str | None


def of_account(connection: sa.Connection, campaign_id: int, account_id: str) -> Sequence[sa.RowMapping]:
    """Every letter about an account, the oldest first: `reference`, `kind`, `occasion`, `state`, `address`, `settled_at`, `told_cutoff`,
    `role`, `tenure`, `subject`, `queued_at`, `changed_at` (when it got into its state), `reason`, `reply`, `attempts`."""
    event, c = letter_event.c, letter.c
    changed_at = sa.select(sa.func.max(event.at)).where(event.letter_id == c.id).scalar_subquery()
    columns = (
        c.reference, c.kind, c.occasion, c.state, c.address, c.settled_at, notice.c.told_cutoff, c.role, notice.c.tenure, c.subject,
        c.queued_at, sa.type_coerce(changed_at, UtcInstant).label("changed_at"), c.reason, c.reply, c.attempts,
    )  # fmt: skip
    wanted = sa.select(*columns).select_from(letter.join(notice, c.notice_id == notice.c.id))
    wanted = wanted.where(c.campaign_id == campaign_id, c.account_id == account_id).order_by(c.queued_at, c.id)
    return connection.execute(wanted).mappings().all()


def moves(connection: sa.Connection, campaign_id: int, account_id: str, wanted: Collection[tuple[LetterState, LetterState]]) -> list[Move]:
    """The wanted moves (from which state to which) of an account's letters, in the order in which they were made.

    A confirmation that went back into the queue by itself is left out.
    """
    event, c = letter_event.c, letter.c
    either = [sa.and_(event.from_state == before, event.to_state == after) for before, after in wanted]
    by_itself = sa.and_(event.to_state == "queued", event.reason == RESENT)
    found = (
        sa.select(event.at, event.actor, event.from_state, event.to_state, c.reference, event.reason)
        .select_from(letter_event.join(letter, event.letter_id == c.id))
        .where(c.campaign_id == campaign_id, c.account_id == account_id, sa.or_(*either), ~by_itself)
    )
    return [Move(*row) for row in connection.execute(found.order_by(event.id))]


def addresses(connection: sa.Connection, campaign_id: int, account_id: str) -> frozenset[str]:
    """Every address that was written to about an account."""
    wanted = sa.select(letter.c.address).where(letter.c.campaign_id == campaign_id, letter.c.account_id == account_id)
    return frozenset(connection.execute(wanted).scalars())


def accounts_written_to(connection: sa.Connection, campaign_id: int, address: str) -> frozenset[str]:
    """The ids of the accounts that letters to an address were about; the address compares without regard to case."""
    wanted = sa.select(letter.c.account_id).where(letter.c.campaign_id == campaign_id, same_text(letter.c.address, address))
    return frozenset(connection.execute(wanted).scalars())


def accounts_told(connection: sa.Connection, campaign_id: int | None) -> int:
    """How many accounts that are not gone were told of the campaign: a letter about them was sent or is uncertain. Mandatory mail does not
    count: a confirmation says what its reader did, and digests and summaries are about no account."""
    c, a = letter.c, account.c
    told = (c.campaign_id == campaign_id, c.state.in_(_TOLD), sa.not_(mandatory(letter)), a.gone_at.is_(None))
    joined = letter.join(account, sa.and_(a.campaign_id == c.campaign_id, a.account_id == c.account_id))
    wanted = sa.select(sa.func.count(c.account_id.distinct())).select_from(joined).where(*told)
    return int(connection.execute(wanted).scalar_one())
