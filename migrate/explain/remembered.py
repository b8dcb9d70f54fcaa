"""What the ledger remembers of one account: its changes, its letters, what is granted to it, and what people decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import sqlalchemy as sa

from migrate.ledger import bounces, exemptions, schema
from migrate.ledger.states import RESENT, LetterState

_DECIDED: Final = {("failed", "queued"): "resend", ("uncertain", "queued"): "resend", ("uncertain", "sent"): "settle"}
"""The moves of a letter that a person decides, and how."""
_COMMANDS: Final[dict[exemptions.Kind, str]] = {"exemption": "exempt", "pause": "pause"}


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the account's methods. `state` is `recorded` (nobody is to be told), `open`, `confirmed` or `unsaid`."""

    change: str
    seen_at: datetime
    seq: int
    tenure: int
    had: tuple[str, ...]
    has: tuple[str, ...]
    mailed: bool
    state: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A letter of a notice. `changed_at` is when it got into its state, `sent_at` the same if that is `sent`; `reply` is the server's
    last words.

    `told_cutoff` is the instant the letter names; None for confirmations. `tenure` tells whose it was where an id was used again.
    """

    reference: str
    kind: str
    occasion: str
    state: LetterState
    to: str
    sent_at: datetime | None
    told_cutoff: str | None
    role: str
    tenure: int
    subject: str | None
    queued_at: datetime
    changed_at: datetime
    reason: str | None
    reply: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class InForce:
    """An exemption or a pause that is in force; `until` is its last day."""

    until: date
    owner: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided, and when: `resend`, `settle`, `exempt`, `pause`, `exempt remove`, `pause remove` or `bounces clear`.

    `about` is the reference of the letter, the last day of the exception, or the address; `owner` answers for an exception. Who took one
    back or cleared an address, and why, is None where that was before the ledger kept it.
    """

    at: datetime
    by: str | None
    decision: str
    about: str
    reason: str | None
    owner: str | None = None


def words_in(text: str) -> tuple[str, ...]:
    """Methods as the ledger writes them, as words."""
    return tuple(text.split(",")) if text else ()


def in_force(connection: sa.Connection, table: sa.Table, campaign_id: int, account_id: str, today: date) -> InForce | None:
    """The exemption or pause (`table`) that lasts longest of those in force today."""
    t = table.c
    mine = sa.select(t.until, t.owner, t.reason).where(t.campaign_id == campaign_id, t.account_id == account_id, t.removed_at.is_(None))
    row = connection.execute(mine.where(t.until >= today.isoformat()).order_by(t.until.desc(), t.id.desc()).limit(1)).first()
    return None if row is None else InForce(date.fromisoformat(row.until), row.owner, row.reason)


def changes(connection: sa.Connection, campaign_id: int, account_id: str) -> tuple[Change, ...]:
    """Every change of the account, the oldest first."""
    c = schema.change.c
    mine = sa.select(c.change, c.seen_at, c.seq, c.tenure, c.had, c.has, c.mailed, c.state)
    rows = connection.execute(mine.where(c.campaign_id == campaign_id, c.account_id == account_id).order_by(c.seq)).mappings()
    return tuple(Change(**{**row, "had": words_in(row["had"]), "has": words_in(row["has"])}) for row in rows)


def notices(connection: sa.Connection, campaign_id: int, account_id: str) -> tuple[Notice, ...]:
    """Every letter about the account, the oldest first."""
    letter, notice, event = schema.letter.c, schema.notice.c, schema.letter_event.c
    moved = sa.select(sa.func.max(event.at)).where(event.letter_id == letter.id).scalar_subquery()
    columns = (
        letter.reference, letter.kind, letter.occasion, letter.state, letter.address.label("to"), letter.settled_at, notice.told_cutoff,
        letter.role, notice.tenure, letter.subject, letter.queued_at, sa.type_coerce(moved, schema.UtcInstant).label("changed_at"),
        letter.reason, letter.reply, letter.attempts,
    )  # fmt: skip
    joined = schema.letter.join(schema.notice, letter.notice_id == notice.id)
    wanted = sa.select(*columns).select_from(joined).where(letter.campaign_id == campaign_id, letter.account_id == account_id)
    rows = connection.execute(wanted.order_by(letter.queued_at, letter.id)).mappings()
    return tuple(_notice(dict(row)) for row in rows)


def decisions(connection: sa.Connection, campaign_id: int, account_id: str) -> tuple[Decision, ...]:
    """Every decision of a person on the account or its letters, the oldest first."""
    letter, event = schema.letter.c, schema.letter_event.c
    moves = [sa.and_(event.from_state == before, event.to_state == after) for before, after in _DECIDED]
    by_itself = sa.and_(event.to_state == "queued", event.reason == RESENT)
    wanted = (
        sa.select(event.at, event.actor, event.from_state, event.to_state, letter.reference, event.reason)
        .select_from(schema.letter_event.join(schema.letter, event.letter_id == letter.id))
        .where(letter.campaign_id == campaign_id, letter.account_id == account_id, sa.or_(*moves), ~by_itself)
    )
    found = [
        Decision(row.at, row.actor, _DECIDED[row.from_state, row.to_state], row.reference, row.reason)
        for row in connection.execute(wanted.order_by(event.id))
    ]
    for kind, word in _COMMANDS.items():
        for removed in (False, True):
            for each in exemptions.granted(connection, kind, campaign_id, [account_id], removed=removed):
                about = each.until.isoformat()
                found.append(Decision(each.created_at, each.created_by, word, about, each.reason, each.owner))
                if each.removed_at:
                    found.append(Decision(each.removed_at, each.removed_by, f"{word} remove", about, each.removed_reason, each.owner))
    found += [
        Decision(each.at, each.by, "bounces clear", each.address, each.reason)
        for each in bounces.cleared(connection, campaign_id, _addresses(connection, campaign_id, account_id))
    ]
    return tuple(sorted(found, key=lambda decision: decision.at))


def _addresses(connection: sa.Connection, campaign_id: int, account_id: str) -> set[str]:
    """The primary address of the account, and every address that was written to about it."""
    a, to = schema.account.c, schema.letter.c
    now = sa.select(a.email).where(a.campaign_id == campaign_id, a.account_id == account_id, a.email.is_not(None))
    then = sa.select(to.address).where(to.campaign_id == campaign_id, to.account_id == account_id)
    return {address for part in (now, then) for address in connection.execute(part).scalars()}


def _notice(row: dict[str, Any]) -> Notice:
    settled = row.pop("settled_at")
    return Notice(**row | {"sent_at": settled if row["state"] == "sent" else None, "told_cutoff": row["told_cutoff"] or None})
