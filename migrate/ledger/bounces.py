"""Addresses that a mail server called unknown or disabled, and that get no letter for a while (design §11).

Addresses compare without regard to case, as in a run. Of a row of `bounce`, only the columns that say when, by whom and why it was cleared
ever change.
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
"""How many rows of accounts are fetched at once."""


@dataclass(frozen=True, slots=True)
class DeadAddress:
    """An address that counts as dead, from `since` (when the first mark in force was made) until `until` (when the last one ends). `code`
    and `reply` are the server's latest; `reply` is None where the ledger did not keep it."""

    address: str
    since: datetime
    until: datetime
    code: str
    reply: str | None


@dataclass(frozen=True, slots=True)
class Cleared:
    """A person's decision that an address takes mail after all. `by` and `reason` are None if it was made before the ledger kept them."""

    address: str
    at: datetime
    by: str | None
    reason: str | None


def dead_addresses(
    connection: sa.Connection, campaign_id: int, now: datetime, *, since: datetime | None = None, addresses: Collection[str] | None = None
) -> list[DeadAddress]:
    """The addresses that count as dead, each once, in the order of their first marks.

    `since` leaves out marks made before that instant; `addresses` leaves out all other addresses.
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
) -> list[DeadAddress]:
    """Clears what `dead_addresses` would return, so that the addresses are mailed again, and returns them.

    A mark that somebody else clears at the same moment is left out.
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
    """The decisions that cleared marks of some addresses, the oldest first."""
    b = bounce.c
    folded = {address.lower() for address in addresses}
    wanted = sa.select(b.address, b.cleared_at, b.cleared_by, b.cleared_reason).where(
        b.campaign_id == campaign_id, b.cleared_at.is_not(None)
    )
    rows = connection.execute(wanted).all()
    mine = {Cleared(row.address, row.cleared_at, row.cleared_by, row.cleared_reason) for row in rows if row.address.lower() in folded}
    return sorted(mine, key=lambda each: (each.at, each.address))


def holders(connection: sa.Connection, campaign_id: int, addresses: Collection[str]) -> list[tuple[str, str]]:
    """`account_id` and primary address of every account in the directory whose primary address is one of `addresses`, in any case."""
    a = account.c
    folded = {address.lower() for address in addresses}
    there = (a.campaign_id == campaign_id, a.gone_at.is_(None), _may_be_one_of(a.email, addresses))
    with connection.execute(sa.select(a.account_id, a.email).where(*there), execution_options={"yield_per": _CHUNK}) as found:
        return [(row.account_id, row.email) for row in found if row.email.lower() in folded]


def reminded(
    connection: sa.Connection, campaign_id: int, remind: Collection[str], addresses: Collection[str] | None = None
) -> Iterator[Sequence[tuple[str, str | None]]]:
    """`account_id` and primary address of the accounts that are reminded, whether or not a stage is due, in batches, in order of id.

    Reminded are the accounts whose standing is in `remind` and, from the cutoff on, those that were reminded before it and are still not
    compliant. With `addresses`, accounts with another primary address are left out.
    """
    a = account.c
    theirs = (a.campaign_id == campaign_id, a.gone_at.is_(None), account_counts.reminded(remind))
    wanted = sa.select(a.account_id, a.email).where(*theirs).order_by(a.account_id)
    if addresses is not None:
        wanted = wanted.where(_may_be_one_of(a.email, addresses))
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
    """Marks in force, the oldest first. Python compares the addresses: a database may lower-case ASCII only."""
    b = bounce.c
    mine = [b.campaign_id == campaign_id, b.hard, b.until > now, b.cleared_at.is_(None)]
    mine += [] if since is None else [b.seen_at >= since]
    wanted = sa.select(*(b[name] for name in _Row._fields)).where(*mine).order_by(b.seen_at, b.id)
    folded = None if addresses is None else {address.lower() for address in addresses}
    found = map(_Row._make, connection.execute(wanted).all())
    return [row for row in found if folded is None or row.address.lower() in folded]


def _summed(rows: Sequence[_Row]) -> list[DeadAddress]:
    found: dict[str, DeadAddress] = {}
    for row in rows:
        before = found.get(row.address.lower())
        address, since, until = (
            (before.address, before.since, max(before.until, row.until)) if before else (row.address, row.seen_at, row.until)
        )
        found[row.address.lower()] = DeadAddress(address, since, until, row.code, row.reply)
    return list(found.values())


def _may_be_one_of(column: sa.Column[Any], addresses: Collection[str]) -> sa.ColumnElement[bool]:
    """True for every row with one of the addresses, whatever the case; true for other rows as well where the database cannot decide."""
    folded = sorted({address.lower() for address in addresses})
    if len(folded) > BATCH or not all(address.isascii() for address in folded):
        return column.is_not(None)
    return sa.func.lower(column).in_(folded)
