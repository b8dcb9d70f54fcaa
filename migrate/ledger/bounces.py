"""Addresses that a mail server called unknown or disabled, and that are left alone for a while (design §11).

Addresses compare without regard to case, as a run compares them. A mark is never changed but for the columns that say when, by whom and
why it was cleared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from migrate.ledger.moves import BATCH, batches
from migrate.ledger.schema import account, bounce
from migrate.standing import OUT_OF_SCOPE

_CHUNK: Final = 50_000
"""Rows of accounts that are looked at at a time."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An address that counts as dead: `since` when (the first mark in force), `until` when (the last), and the `code` and `reply` of the
    server's last word on it; `reply` is None where it was not kept."""

    address: str
    since: datetime
    until: datetime
    code: str
    reply: str | None


@dataclass(frozen=True, slots=True)
class Cleared:
    """An address that a person said takes mail after all. `by` and `reason` are None where that was before the ledger kept them."""

    address: str
    at: datetime
    by: str | None
    reason: str | None


def marked(
    connection: sa.Connection, campaign_id: int, now: datetime, *, since: datetime | None = None, addresses: Collection[str] | None = None
) -> list[Mark]:
    """The addresses that count as dead, each once, in the order in which they were first marked.

    With `since` only by the marks made at or after that instant; with `addresses` only those of them that are named.
    """
    found: dict[str, Mark] = {}
    for row in _in_force(connection, campaign_id, now, since, addresses):
        key = row.address.lower()
        before = found.get(key)
        first, last = (before.since, max(before.until, row.until)) if before else (row.seen_at, row.until)
        found[key] = Mark(before.address if before else row.address, first, last, row.code, row.reply)
    return list(found.values())


def clear(
    connection: sa.Connection,
    campaign_id: int,
    now: datetime,
    *,
    by: str,
    reason: str,
    since: datetime | None = None,
    addresses: Collection[str] | None = None,
) -> list[Mark]:
    """The addresses take mail after all, and are mailed again: what `marked` says of them until now."""
    done = marked(connection, campaign_id, now, since=since, addresses=addresses)
    if done:
        rows = [row.id for row in _in_force(connection, campaign_id, now, since, addresses)]
        for some in batches(rows):
            these = sa.update(bounce).where(bounce.c.id.in_(some))
            connection.execute(these.values(cleared_at=now, cleared_by=by, cleared_reason=reason))
    return done


def cleared(connection: sa.Connection, campaign_id: int, addresses: Collection[str]) -> list[Cleared]:
    """The decisions by which marks of some addresses were cleared, the oldest first."""
    b = bounce.c
    folded = {address.lower() for address in addresses}
    wanted = sa.select(b.address, b.cleared_at, b.cleared_by, b.cleared_reason).where(
        b.campaign_id == campaign_id, b.cleared_at.is_not(None)
    )
    rows = [row for part in _named(b.address, addresses) for row in connection.execute(wanted.where(part))]
    mine = {Cleared(row.address, row.cleared_at, row.cleared_by, row.cleared_reason) for row in rows if row.address.lower() in folded}
    return sorted(mine, key=lambda each: (each.at, each.address))


def holders(connection: sa.Connection, campaign_id: int, addresses: Collection[str]) -> list[tuple[str, str]]:
    """`account_id` and primary address of everybody in the directory who has one of the addresses."""
    a = account.c
    folded = {address.lower() for address in addresses}
    wanted = sa.select(a.account_id, a.email).where(a.campaign_id == campaign_id, a.gone_at.is_(None))
    return [
        (row.account_id, row.email)
        for part in _named(a.email, addresses)
        for row in connection.execute(wanted.where(part))
        if row.email.lower() in folded
    ]


def reminded(
    connection: sa.Connection, campaign_id: int, remind: Collection[str], addresses: Collection[str] | None = None
) -> Iterator[Sequence[tuple[str, str | None]]]:
    """`account_id` and primary address of the accounts that are reminded, whether or not a stage is due: those whose standing is in
    `remind`, and from the cutoff on whoever was reminded before it and is not compliant. A part at a time, in order of id.

    With `addresses` only those who have one of them.
    """
    a = account.c
    carried_over = sa.and_(a.reminded, sa.not_(a.compliant), a.standing.not_in(sorted(OUT_OF_SCOPE)))
    theirs = (a.campaign_id == campaign_id, a.gone_at.is_(None), sa.or_(a.standing.in_(sorted(remind)), carried_over))
    wanted = sa.select(a.account_id, a.email).where(*theirs).order_by(a.account_id)
    folded = None if addresses is None else {address.lower() for address in addresses}
    for part in [sa.true()] if addresses is None else _named(a.email, addresses):
        rows = connection.execute(wanted.where(part), execution_options={"yield_per": _CHUNK})
        for some in rows.partitions():
            yield [(id_, email) for id_, email in some if folded is None or email.lower() in folded]


class _Row(NamedTuple):
    id: int
    address: str
    seen_at: datetime
    until: datetime
    code: str
    reply: str | None


def _in_force(
    connection: sa.Connection, campaign_id: int, now: datetime, since: datetime | None, addresses: Collection[str] | None
) -> list[_Row]:
    """Marks in force, the first made first."""
    b = bounce.c
    mine = [b.campaign_id == campaign_id, b.hard, b.until > now, b.cleared_at.is_(None)]
    mine += [] if since is None else [b.seen_at >= since]
    wanted = sa.select(*(b[name] for name in _Row._fields)).where(*mine)
    parts = [wanted] if addresses is None else [wanted.where(part) for part in _named(b.address, addresses)]
    found = [_Row._make(row) for part in parts for row in connection.execute(part)]
    folded = None if addresses is None else {address.lower() for address in addresses}
    return sorted((row for row in found if folded is None or row.address.lower() in folded), key=lambda row: (row.seen_at, row.id))


def _named(column: sa.Column[Any], addresses: Collection[str]) -> Iterator[sa.ColumnElement[bool]]:
    """Conditions that between them find every row with one of the addresses, once, and a few more: a database may fold ASCII alone."""
    spelt: dict[str, set[str]] = {}
    for address in addresses:
        spelt.setdefault(address.lower(), set()).add(address)
    for some in batches(sorted(spelt), BATCH // 2):
        exactly = sorted(set().union(*(spelt[folded] for folded in some)))
        yield sa.or_(column.in_(exactly), sa.func.lower(column).in_(some))
