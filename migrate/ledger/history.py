"""What was known of accounts at an earlier run, from the ledger alone (design §9, §14)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pandas as pd
import sqlalchemy as sa

from migrate.accounts import RECORD_COLUMNS
from migrate.ledger.frames import fetch
from migrate.ledger.schema import account, account_history, letter_event

CHUNK: Final = 20_000


def accounts_as_of(
    connection: sa.Connection, campaign_id: int | None, run_seq: int, *, low: str | None = None, high: str | None = None, chunk: int = CHUNK
) -> Iterator[pd.DataFrame]:
    """`RECORD_COLUMNS` of the accounts as a run left them, in order of id, a chunk of at most `chunk` rows at a time.

    `[low, high)` bounds the ids, byte by byte; None is no bound. Memory does not grow with the number of accounts.
    """
    seen: str | None = None
    while True:
        frame = fetch(connection, _accounts(campaign_id, run_seq, low, high, seen, chunk), RECORD_COLUMNS)
        if not frame.empty:
            seen = str(frame["account_id"].iloc[-1])
            yield frame
        if len(frame) < chunk:
            return


def last_event(connection: sa.Connection) -> int:
    """The number of the last event of any letter, 0 before there is one. Unlike instants, numbers never go back."""
    return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(letter_event.c.id), 0))).scalar_one())


def _accounts(campaign_id: int | None, run_seq: int, low: str | None, high: str | None, seen: str | None, chunk: int) -> sa.Select[Any]:
    def versions(table: sa.Table, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
        t = table.c
        bounds = [t.account_id >= low] if low is not None else []
        bounds += [t.account_id < high] if high is not None else []
        bounds += [t.account_id > seen] if seen is not None else []
        return sa.select(*(t[name] for name in RECORD_COLUMNS)).where(t.campaign_id == campaign_id, t.since_run <= run_seq, *where, *bounds)

    both = versions(account).union_all(versions(account_history, account_history.c.until_run > run_seq)).subquery()
    return sa.select(*both.c).order_by(both.c.account_id).limit(chunk)
