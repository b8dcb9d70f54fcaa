"""Reads the ledger as it was at an earlier run or instant (design §9, §14). For letters `migrate.outbox.letters_as_of` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

import pandas as pd
import sqlalchemy as sa

from migrate.core.accounts import RECORD_COLUMNS
from migrate.ledger import exemptions, outcomes
from migrate.ledger.exemptions import Kind
from migrate.ledger.frames import as_frame, fetch, pages
from migrate.ledger.listed import batches
from migrate.ledger.schema import account, account_history, bounce, change, letter_event, rejection, run

CHUNK: Final = 20_000


def accounts_as_of(
    connection: sa.Connection, campaign_id: int | None, run_seq: int, *, low: str | None = None, high: str | None = None, chunk: int = CHUNK
) -> Iterator[pd.DataFrame]:
    """`RECORD_COLUMNS` of the accounts as a run left them, in order of id, a chunk of at most `chunk` rows at a time.

    `[low, high)` bounds the ids, byte by byte; None is no bound. Memory does not grow with the number of accounts.
    """
    while True:
        beyond = connection.execute(_beyond(campaign_id, low, high, chunk)).scalar()
        until = high if beyond is None else beyond
        newest = outcomes.newest(campaign_id, partial(_bounds, low=low, high=until), run_seq)
        found = outcomes.fetched(connection, _accounts(campaign_id, run_seq, low, until), newest)
        if found.num_rows:
            yield as_frame(found, RECORD_COLUMNS)
        if beyond is None:
            return
        low = beyond


def superseded(
    connection: sa.Connection,
    campaign_id: int,
    held_at: int,
    until: Sequence[int],
    low: str | None,
    high: str | None,
    columns: dict[str, str],
) -> pd.DataFrame:
    """The versions that were current at the run `held_at` and that one of the runs `until` superseded, in order of id.

    Only accounts with an id above `low` and up to `high` count; None is no bound. `columns` of `RECORD_COLUMNS` are name → dtype.
    """
    c = account_history.c
    bounds = ([c.account_id > low] if low is not None else []) + ([c.account_id <= high] if high is not None else [])
    wanted = sa.select(*(c[name] for name in columns))
    wanted = wanted.where(c.campaign_id == campaign_id, c.until_run.in_(until), c.since_run <= held_at, *bounds)
    return fetch(connection, wanted.order_by(c.account_id), columns)


def known_at(connection: sa.Connection, campaign_id: int, run_seq: int, ids: Sequence[str]) -> frozenset[str]:
    """The ids among `ids` that were recorded at the end of a run."""
    known: set[str] = set()
    for some in batches(ids):
        for table, still in ((account, []), (account_history, [account_history.c.until_run > run_seq])):
            c = table.c
            mine = (c.campaign_id == campaign_id, c.account_id.in_(some), c.since_run <= run_seq, *still)
            known.update(connection.execute(sa.select(c.account_id).where(*mine)).scalars())
    return frozenset(known)


def changes_of(connection: sa.Connection, campaign_id: int, run_seq: int, columns: dict[str, str], chunk: int) -> Iterator[pd.DataFrame]:
    """The changes that a run saw, in order of account and sequence number, at most `chunk` at a time. `columns` are name → dtype and have
    `account_id` and `seq`."""
    c = change.c
    wanted = sa.select(*(c[name] for name in columns)).where(c.campaign_id == campaign_id, c.run_seq == run_seq)
    return pages(connection, wanted, columns, {"account_id": c.account_id, "seq": c.seq}, chunk)


def rejections_of(connection: sa.Connection, run_seq: int, columns: dict[str, str], chunk: int) -> Iterator[pd.DataFrame]:
    """The rows that a run rejected, in order of their position, at most `chunk` at a time. `columns` are name → dtype, with `position`."""
    c = rejection.c
    wanted = sa.select(*(c[name] for name in columns)).where(c.run_seq == run_seq)
    return pages(connection, wanted, columns, {"position": c.position}, chunk)


def granted_by(connection: sa.Connection, kind: Kind, campaign_id: int, at: datetime, columns: dict[str, str]) -> pd.DataFrame:
    """The exemptions or pauses that were granted up to an instant, the oldest first; `columns` are name → dtype.

    The columns `removed_…` are missing for one that was taken back only after the instant.
    """
    e = exemptions.TABLES[kind].c
    removed = e.removed_at <= at
    selected = (sa.case((removed, e[name])).label(name) if name.startswith("removed_") else e[name] for name in columns)
    wanted = sa.select(*selected).where(e.campaign_id == campaign_id, e.created_at <= at).order_by(e.id)
    return fetch(connection, wanted, columns)


def dead_at(connection: sa.Connection, campaign_id: int, at: datetime) -> frozenset[str]:
    """The addresses (lower case) that counted as dead at an instant: marked by a mail server, and not cleared by a person."""
    b = bounce.c
    in_force = (b.campaign_id == campaign_id, b.hard, b.seen_at <= at, b.until > at)
    wanted = sa.select(b.address).where(*in_force, sa.or_(b.cleared_at.is_(None), b.cleared_at > at))
    return frozenset(address.lower() for address in connection.execute(wanted).scalars())


def last_event(connection: sa.Connection) -> int:
    """The number of the latest event of any letter; 0 if there is none. Unlike instants, these numbers never go back."""
    return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(letter_event.c.id), 0))).scalar_one())


def events_until(connection: sa.Connection, number: int) -> int | None:
    """How many events of letters there are up to a number. None for SQLite: it commits them in the order of their numbers, so that none can
    appear among those that were read."""
    if connection.dialect.name == "sqlite":
        return None
    return int(connection.execute(sa.select(sa.func.count()).select_from(letter_event).where(letter_event.c.id <= number)).scalar_one())


def _within(table: sa.Table, campaign_id: int | None, low: str | None, high: str | None) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.campaign_id == campaign_id, *_bounds(table.c, low, high))


def _bounds(of: Any, low: str | None, high: str | None) -> list[sa.ColumnElement[bool]]:
    return ([of.account_id >= low] if low is not None else []) + ([of.account_id < high] if high is not None else [])


def _beyond(campaign_id: int | None, low: str | None, high: str | None, chunk: int) -> sa.Select[Any]:
    """Selects the first id after a chunk, if there is one. `account` has all ids: who has earlier versions has a current one as well."""
    within = _within(account, campaign_id, low, high)
    return sa.select(account.c.account_id).where(within).order_by(account.c.account_id).offset(chunk).limit(1)


def _accounts(campaign_id: int | None, run_seq: int, low: str | None, high: str | None) -> sa.Select[Any]:
    later = sa.select(run.c.seq).where(run.c.campaign_id == campaign_id, run.c.seq > run_seq)

    def versions(table: sa.Table, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
        return sa.select(*outcomes.version(table)).where(_within(table, campaign_id, low, high), table.c.since_run <= run_seq, *where)

    both = versions(account).union_all(versions(account_history, account_history.c.until_run.in_(later))).subquery()
    return sa.select(*both.c).order_by(both.c.account_id)
