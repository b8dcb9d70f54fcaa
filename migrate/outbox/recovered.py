"""Takes over the letters of another ledger from its evidence: they count as told here, so that no letter goes twice (design §12)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from typing import Any, Final, NamedTuple

import pandas as pd
import sqlalchemy as sa

from migrate.core.already_told import in_the_way
from migrate.core.kinds import MANDATORY
from migrate.core.words import CONFIRMATION
from migrate.ledger.listed import batches
from migrate.ledger.schema import NOTICE_KINDS, confirmed_before, letter, told_before
from migrate.ledger.states import LetterState
from migrate.outbox.transitions import IDLE, move

_REASON: Final = "recovered"
"""The reason of the events that bring a letter of this ledger to its state in the other one."""
_ON_THE_WAY: Final[tuple[LetterState, ...]] = ("queued", "claimed", "sending", "uncertain", "sent")
_TOLD: Final = {"sent": "sent", "queued": "uncertain", "claimed": "uncertain", "sending": "uncertain", "uncertain": "uncertain"}
"""State in the evidence → state here. A letter that waited then may have been sent since, so it is `uncertain`."""


class Listed(NamedTuple):
    """A letter in the evidence (`found_in`): its newest state there, reached `at`. `cutoff` is its account's at that time, written as in a
    notice's key; None if the evidence does not have it."""

    account_id: str
    kind: str
    occasion: str
    address: str
    reference: str
    state: str
    reason: str | None
    at: datetime
    found_in: str
    cutoff: str | None = None


class Seen(NamedTuple):
    """A change in the evidence: the methods that the account had after it, and whether it was `confirmed` or needs no confirmation."""

    account_id: str
    has: str
    seen_at: datetime
    confirmed: bool


def take_over(connection: sa.Connection, campaign_id: int, letters: Iterable[Listed], told_cutoff: str, *, by: str) -> tuple[int, int]:
    """Records the letters in the evidence as told, in the caller's transaction. Returns how many letters of the other ledger now count as
    told, and how many of this ledger's own letters got their state from the evidence.

    If this ledger has a letter too and has not settled it, the evidence wins. Confirmations that this ledger does not have are left out:
    their change may be seen again here (`take_over_changes`). `told_cutoff` stands in for a cutoff that the evidence does not have.
    """
    listed = {each.reference: each for each in letters}
    counted = _counted(listed.values())
    own: dict[str, Any] = {}
    for some in batches(sorted(listed)):
        columns = (letter.c.reference, letter.c.id, letter.c.state, letter.c.kind)
        own |= {row.reference: row for row in connection.execute(sa.select(*columns).where(letter.c.reference.in_(some)))}
    settled = sum(_settle(connection, own[each.reference], each, by) for each in listed.values() if each.reference in own)
    had = set(connection.execute(sa.select(told_before.c.reference).where(told_before.c.campaign_id == campaign_id)).scalars())
    rows = [
        {
            "campaign_id": campaign_id,
            "account_id": each.account_id,
            "reference": each.reference,
            "kind": each.kind,
            "occasion": each.occasion,
            "told_cutoff": each.cutoff or told_cutoff,
            "address": each.address,
            "state": "withdrawn" if each.state == "withdrawn" else _TOLD[each.state],
            "reason": each.reason,
            "told_at": each.at,
            "found_in": each.found_in,
        }
        for each in listed.values()
        if each.reference not in own and each.reference not in had and each.reference in counted
    ]
    if rows:
        connection.execute(sa.insert(told_before), rows)
    return len(rows), settled


def take_over_changes(connection: sa.Connection, campaign_id: int, changes: Iterable[Seen], letters: Iterable[Listed]) -> None:
    """Records for the next run the accounts that got a confirmation of every change, and their methods then. `changes` are oldest first."""
    states: dict[str, tuple[str, str]] = {each.reference: (each.account_id, each.state) for each in letters if each.kind == CONFIRMATION}
    reached, unsaid = {}, {account_id for account_id, state in states.values() if state != "sent"}
    for each in changes:
        reached[each.account_id] = each
        if not each.confirmed:
            unsaid.add(each.account_id)
    said = {account_id for account_id, _ in states.values()} - unsaid
    connection.execute(sa.delete(confirmed_before).where(confirmed_before.c.campaign_id == campaign_id))
    rows = [
        {"account_id": each.account_id, "has": each.has, "seen_at": each.seen_at} for each in reached.values() if each.account_id in said
    ]
    if rows:
        connection.execute(sa.insert(confirmed_before), [row | {"campaign_id": campaign_id} for row in rows])


def changes_done(connection: sa.Connection, campaign_id: int) -> None:
    """Forgets what `take_over_changes` recorded. Called when a run has recorded the directory: later changes are new."""
    connection.execute(sa.delete(confirmed_before).where(confirmed_before.c.campaign_id == campaign_id))


def _counted(letters: Iterable[Listed]) -> frozenset[str]:
    """The references of the reminders after which the same reminder must not go again. Failed ones are not among them."""
    listed = pd.DataFrame(letters, columns=Listed._fields)
    stand = listed["kind"].isin(frozenset(NOTICE_KINDS) - MANDATORY) & in_the_way(listed["state"], listed["reason"], same_address=False)
    return frozenset(listed.loc[stand, "reference"])


def _settle(connection: sa.Connection, own: Any, there: Listed, by: str) -> int:
    """Brings a letter of this ledger to its state in the evidence, step by step; 1 if it moved.

    Mandatory mail that may not have been sent stays as it is, so that it is sent at least once.
    """
    if own.state in ("queued", "claimed") and there.state == "withdrawn":
        values = IDLE | {"settled_at": there.at}
        return len(move(connection, [own.id], own.state, "withdrawn", at=there.at, actor=by, reason=there.reason or _REASON, values=values))
    wanted = _TOLD.get(there.state)
    if wanted is None or own.state not in _ON_THE_WAY or (wanted == "uncertain" and own.kind in MANDATORY):
        return 0
    steps = _ON_THE_WAY[_ON_THE_WAY.index(own.state) : _ON_THE_WAY.index(wanted) + 1]
    held = {"owner": by, "lease_until": there.at}
    for before, after in pairwise(steps):
        ends = {"claimed": held, "sending": held | {"claimed_at": there.at}}.get(after, IDLE | {"settled_at": there.at})
        tried = {"attempts": letter.c.attempts + 1} if after == "uncertain" else {}
        move(connection, [own.id], before, after, at=there.at, actor=by, reason=_REASON, values=ends | tried)
    return 1 if len(steps) > 1 else 0
