"""What the ledger has about one account: its changes, its letters, its exemption and pause, and what people decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

import sqlalchemy as sa

from migrate.ledger import account_lookup, bounces, exemptions, recorded_changes
from migrate.ledger.states import LetterState
from migrate.outbox import account_letters

_DECIDED: Final[dict[tuple[LetterState, LetterState], str]] = {
    ("failed", "queued"): "resend",
    ("uncertain", "queued"): "resend",
    ("uncertain", "sent"): "settle",
}
"""A letter's change of state that a person decides → the word for the decision."""
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
    """A letter of a notice. `changed_at` is when it reached its state, `sent_at` the same if that state is `sent`; `reply` is the mail
    server's last reply.

    `told_cutoff` is the cutoff that the letter names; None for confirmations. `tenure` tells people apart who had the same id one after the
    other.
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

    `about` is the reference of the letter, the last day of the exception, or the address; `owner` answers for an exception. `by` and
    `reason` are None for a removal or a clearing from before the ledger kept them.
    """

    at: datetime
    by: str | None
    decision: str
    about: str
    reason: str | None
    owner: str | None = None


def words_in(text: str) -> tuple[str, ...]:
    """Splits methods as the ledger stores them (words with commas between them)."""
    return tuple(text.split(",")) if text else ()


def in_force(connection: sa.Connection, kind: exemptions.Kind, campaign_id: int, account_id: str, today: date) -> InForce | None:
    """The exemption or pause in force today that ends last; None if there is none."""
    granted = exemptions.granted(connection, kind, campaign_id, [account_id])  # sorted by last day
    return InForce(granted[-1].until, granted[-1].owner, granted[-1].reason) if granted and granted[-1].until >= today else None


def changes(connection: sa.Connection, campaign_id: int, account_id: str) -> tuple[Change, ...]:
    """Every change of the account, the oldest first."""
    rows = recorded_changes.of_account(connection, campaign_id, account_id)
    return tuple(Change(**{**row, "had": words_in(row["had"]), "has": words_in(row["has"])}) for row in rows)


def notices(connection: sa.Connection, campaign_id: int, account_id: str) -> tuple[Notice, ...]:
    """Every letter about the account, the oldest first."""
    return tuple(_notice(dict(row)) for row in account_letters.of_account(connection, campaign_id, account_id))


def decisions(connection: sa.Connection, campaign_id: int, account_id: str) -> tuple[Decision, ...]:
    """Every decision of a person on the account or its letters, the oldest first."""
    decided = [
        Decision(move.at, move.actor, _DECIDED[move.before, move.after], move.reference, move.reason)
        for move in account_letters.moves(connection, campaign_id, account_id, _DECIDED.keys())
    ]
    for kind, word in _COMMANDS.items():
        for removed in (False, True):
            for each in exemptions.granted(connection, kind, campaign_id, [account_id], removed=removed):
                about = each.until.isoformat()
                decided.append(Decision(each.created_at, each.created_by, word, about, each.reason, each.owner))
                if each.removed_at:
                    decided.append(Decision(each.removed_at, each.removed_by, f"{word} remove", about, each.removed_reason, each.owner))
    addresses = set(account_letters.addresses(connection, campaign_id, account_id))
    if primary := account_lookup.primary_address(connection, campaign_id, account_id):
        addresses.add(primary)
    decided += [
        Decision(each.at, each.by, "bounces clear", each.address, each.reason)
        for each in bounces.cleared(connection, campaign_id, addresses)
    ]
    return tuple(sorted(decided, key=lambda decision: decision.at))


def _notice(row: dict[str, Any]) -> Notice:
    settled = row.pop("settled_at")
    said = {"to": row.pop("address"), "sent_at": settled if row["state"] == "sent" else None, "told_cutoff": row["told_cutoff"] or None}
    return Notice(**row | said)
