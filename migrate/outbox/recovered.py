"""Letters that another ledger sent, as its evidence lists them: each counts as told here, so that none goes twice (design §12)."""

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
"""The reason with which a letter of this ledger gets the state that it had in another one."""
_ON_THE_WAY: Final[tuple[LetterState, ...]] = ("queued", "claimed", "sending", "uncertain", "sent")
_TOLD: Final = {"sent": "sent", "queued": "uncertain", "claimed": "uncertain", "sending": "uncertain", "uncertain": "uncertain"}
"""State in the evidence → what it is to whoever must not send it again: what waited then may have been sent since."""


class Listed(NamedTuple):
    """A letter in the evidence (`found_in`): its newest state there, and when it reached it. `cutoff` is the one that its account had then,
    as in a notice's key; None where the evidence does not say it."""

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
    """A change in the evidence: what the account had after it, and whether it has a confirmation, or is of a kind that has none."""

    account_id: str
    has: str
    seen_at: datetime
    confirmed: bool


def take_over(connection: sa.Connection, campaign_id: int, letters: Iterable[Listed], told_cutoff: str, *, by: str) -> tuple[int, int]:
    """Take what evidence lists for told, in the caller's transaction; how many letters were told before, and how many of this ledger's own
    got the state that they had there.

    Of a letter that this ledger has too and has not settled, the evidence knows better. Confirmations that it does not have are left out:
    the change may be seen again here (`take_over_changes`). `told_cutoff` is what those named of which the evidence says no cutoff.
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
    """Keep for the next run which accounts were told of each of their changes (oldest first), and what they had then."""
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
    """A run has recorded what it saw: what comes now is new."""
    connection.execute(sa.delete(confirmed_before).where(confirmed_before.c.campaign_id == campaign_id))


def _counted(letters: Iterable[Listed]) -> frozenset[str]:
    """The references of the reminders that stand in the way of another one like them; where one failed, mail is tried again."""
    listed = pd.DataFrame(letters, columns=Listed._fields)
    stand = listed["kind"].isin(frozenset(NOTICE_KINDS) - MANDATORY) & in_the_way(listed["state"], listed["reason"], same_address=False)
    return frozenset(listed.loc[stand, "reference"])


def _settle(connection: sa.Connection, own: Any, there: Listed, by: str) -> int:
    """Bring a letter of this ledger to where it is by the evidence, a state after the other; 1 if it moved.

    Mandatory mail that may not have been sent stays where it is: it is sent once at least.
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
