"""What was known of accounts at an earlier run, from the ledger alone (design §9, §14)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import pandas as pd
import sqlalchemy as sa

from migrate.ledger import outcomes
from migrate.ledger.schema import account, account_history, letter_event, run

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
        said = outcomes.newest(campaign_id, partial(_bounds, low=low, high=until), run_seq)
        frame = outcomes.fetched(connection, _accounts(campaign_id, run_seq, low, until), said)
        if not frame.empty:
            yield frame
        if beyond is None:
            return
        low = beyond


def last_event(connection: sa.Connection) -> int:
    """The number of the last event of any letter, 0 before there is one. Unlike instants, numbers never go back."""
    return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(letter_event.c.id), 0))).scalar_one())


def _within(table: sa.Table, campaign_id: int | None, low: str | None, high: str | None) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.campaign_id == campaign_id, *_bounds(table.c, low, high))


def _bounds(of: Any, low: str | None, high: str | None) -> list[sa.ColumnElement[bool]]:
    return ([of.account_id >= low] if low is not None else []) + ([of.account_id < high] if high is not None else [])


def _beyond(campaign_id: int | None, low: str | None, high: str | None, chunk: int) -> sa.Select[Any]:
    """The first id after a chunk, if there are more than that: whoever has earlier versions has one that holds now."""
    within = _within(account, campaign_id, low, high)
    return sa.select(account.c.account_id).where(within).order_by(account.c.account_id).offset(chunk).limit(1)


def _accounts(campaign_id: int | None, run_seq: int, low: str | None, high: str | None) -> sa.Select[Any]:
    later = sa.select(run.c.seq).where(run.c.campaign_id == campaign_id, run.c.seq > run_seq)

    def versions(table: sa.Table, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
        return sa.select(*outcomes.version(table)).where(_within(table, campaign_id, low, high), table.c.since_run <= run_seq, *where)

    both = versions(account).union_all(versions(account_history, account_history.c.until_run.in_(later))).subquery()
    return sa.select(*both.c).order_by(both.c.account_id)
