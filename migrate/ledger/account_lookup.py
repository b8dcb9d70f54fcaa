"""Finds accounts by id or name, and reads what the last run recorded of one account."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from migrate.core.accounts import ADDRESS_SEPARATOR
from migrate.ledger import outcomes
from migrate.ledger.listed import batches
from migrate.ledger.schema import account, account_history, rejection, run


def known(connection: sa.Connection, campaign_id: int, accounts: Collection[str]) -> frozenset[str]:
    """The ids among `accounts` that any run of the campaign has read."""
    a = account.c
    parts = (sa.select(a.account_id).where(a.campaign_id == campaign_id, a.account_id.in_(ids)) for ids in batches(sorted(accounts)))
    return frozenset(account_id for part in parts for account_id in connection.execute(part).scalars())


def named(connection: sa.Connection, campaign_id: int, name: str) -> frozenset[str]:
    """The ids of accounts whose username or one of whose addresses is `name`, now or in an earlier version; case does not matter."""
    folded = name.lower()
    found = set()
    for table in (account, account_history):
        c = table.c
        others = c.notification_emails
        # In a list of addresses SQL also finds the name inside a longer address; the comparison below is exact.
        inside = sa.or_(others.contains(name, autoescape=True), sa.func.lower(others).contains(folded, autoescape=True))
        wanted = sa.select(c.account_id, c.username, c.email, c.notification_emails)
        wanted = wanted.where(c.campaign_id == campaign_id, sa.or_(same_text(c.username, name), same_text(c.email, name), inside))
        for account_id, username, email, notified in connection.execute(wanted):
            if folded in {str(each).lower() for each in (username, email, *notified.split(ADDRESS_SEPARATOR))}:
                found.add(account_id)
    return frozenset(found)


def same_text(column: sa.ColumnElement[str], text: str) -> sa.ColumnElement[bool]:
    """The condition that a column is a text, whatever the case. A database may lower-case ASCII only, so the text as it is also counts."""
    return sa.or_(column == text, sa.func.lower(column) == text.lower())


def record(connection: sa.Connection, campaign_id: int, account_id: str) -> sa.RowMapping:
    """`RECORD_COLUMNS` of an account that the campaign has read, with its current outcome."""
    a = account.c
    newest = outcomes.newest(campaign_id, lambda of: [of.account_id == account_id])
    wanted = sa.select(*outcomes.record(account, newest)).select_from(outcomes.joined(account, newest))
    return connection.execute(wanted.where(a.campaign_id == campaign_id, a.account_id == account_id)).mappings().one()


def cutoff(connection: sa.Connection, campaign_id: int, account_id: str) -> datetime:
    """The cutoff (UTC) that an account had at its last read."""
    a = account.c
    wanted = sa.select(a.cutoff).where(a.campaign_id == campaign_id, a.account_id == account_id)
    found: datetime = connection.execute(wanted).scalar_one()
    return found


def primary_address(connection: sa.Connection, campaign_id: int, account_id: str) -> str | None:
    """The primary address of an account; None if it has none."""
    a = account.c
    wanted = sa.select(a.email).where(a.campaign_id == campaign_id, a.account_id == account_id)
    found: str | None = connection.execute(wanted).scalar_one()
    return found


def last_rejection(connection: sa.Connection, campaign_id: int, account_id: str) -> str | None:
    """Why the last run rejected the row of an account; None if it did not."""
    last = sa.select(sa.func.max(run.c.seq)).where(run.c.campaign_id == campaign_id).scalar_subquery()
    r = rejection.c
    wanted = sa.select(r.rejection).where(r.run_seq == last, r.account_id == account_id).order_by(r.position).limit(1)
    return connection.execute(wanted).scalar()
