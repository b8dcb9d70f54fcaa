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

from migrate.ledger import account_counts
from migrate.ledger.listed import BATCH, among, batches, ids
from migrate.ledger.schema import account, bounce

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
    return _summed(_in_force(connection, campaign_id, now, since, addresses))


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
    """The addresses take mail after all, and are mailed again: what `marked` says of them until now.

    A mark that somebody else clears at the same moment is theirs.
    """
    rows = _in_force(connection, campaign_id, now, since, addresses)
    backend = connection.dialect.name
    these = sa.update(bounce).where(among(backend, bounce.c.id)).values(cleared_at=now, cleared_by=by, cleared_reason=reason)
    there = sa.select(bounce.c.id).where(among(backend, bounce.c.id), bounce.c.cleared_at.is_(None)).with_for_update()
    ours: set[int] = set()
    for some in batches([row.id for row in rows]):
        if still := connection.execute(there, ids(backend, some)).scalars().all():
            connection.execute(these, ids(backend, still))
            ours |= set(still)
    return _summed([row for row in rows if row.id in ours])


def cleared(connection: sa.Connection, campaign_id: int, addresses: Collection[str]) -> list[Cleared]:
    """The decisions by which marks of some addresses were cleared, the oldest first."""
    b = bounce.c
    folded = {address.lower() for address in addresses}
    wanted = sa.select(b.address, b.cleared_at, b.cleared_by, b.cleared_reason).where(
        b.campaign_id == campaign_id, b.cleared_at.is_not(None)
    )
    rows = connection.execute(wanted).all()
    mine = {Cleared(row.address, row.cleared_at, row.cleared_by, row.cleared_reason) for row in rows if row.address.lower() in folded}
    return sorted(mine, key=lambda each: (each.at, each.address))


def holders(connection: sa.Connection, campaign_id: int, addresses: Collection[str]) -> list[tuple[str, str]]:
    """`account_id` and primary address of everybody in the directory who has one of the addresses."""
    a = account.c
    folded = {address.lower() for address in addresses}
    there = (a.campaign_id == campaign_id, a.gone_at.is_(None), _maybe(a.email, addresses))
    with connection.execute(sa.select(a.account_id, a.email).where(*there), execution_options={"yield_per": _CHUNK}) as found:
        return [(row.account_id, row.email) for row in found if row.email.lower() in folded]


def reminded(
    connection: sa.Connection, campaign_id: int, remind: Collection[str], addresses: Collection[str] | None = None
) -> Iterator[Sequence[tuple[str, str | None]]]:
    """`account_id` and primary address of the accounts that are reminded, whether or not a stage is due: those whose standing is in
    `remind`, and from the cutoff on whoever was reminded before it and is not compliant. A part at a time, in order of id.

    With `addresses` only those who have one of them.
    """
    a = account.c
    theirs = (a.campaign_id == campaign_id, a.gone_at.is_(None), account_counts.reminded(remind))
    wanted = sa.select(a.account_id, a.email).where(*theirs).order_by(a.account_id)
    if addresses is not None:
        wanted = wanted.where(_maybe(a.email, addresses))
    folded = None if addresses is None else {address.lower() for address in addresses}
    with connection.execute(wanted, execution_options={"yield_per": _CHUNK}) as found:
        for some in found.partitions():
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
    """Marks in force, the first made first. All are read and compared here: a database may fold ASCII alone."""
    b = bounce.c
    mine = [b.campaign_id == campaign_id, b.hard, b.until > now, b.cleared_at.is_(None)]
    mine += [] if since is None else [b.seen_at >= since]
    wanted = sa.select(*(b[name] for name in _Row._fields)).where(*mine).order_by(b.seen_at, b.id)
    folded = None if addresses is None else {address.lower() for address in addresses}
    found = map(_Row._make, connection.execute(wanted).all())
    return [row for row in found if folded is None or row.address.lower() in folded]


def _summed(rows: Sequence[_Row]) -> list[Mark]:
    found: dict[str, Mark] = {}
    for row in rows:
        before = found.get(row.address.lower())
        address, since, until = (
            (before.address, before.since, max(before.until, row.until)) if before else (row.address, row.seen_at, row.until)
        )
        found[row.address.lower()] = Mark(address, since, until, row.code, row.reply)
    return list(found.values())


def _maybe(column: sa.Column[Any], addresses: Collection[str]) -> sa.ColumnElement[bool]:
    """True for every row with one of the addresses, however it is spelt, and for more rows where the database cannot tell."""
    folded = sorted({address.lower() for address in addresses})
    if len(folded) > BATCH or not all(address.isascii() for address in folded):
        return column.is_not(None)
    return sa.func.lower(column).in_(folded)
