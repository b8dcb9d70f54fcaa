"""The outcome of an account: that of its version, or the newest one that it had since while nothing else in it changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import pandas as pd
import sqlalchemy as sa

from migrate.core.accounts import RECORD_COLUMNS
from migrate.ledger.frames import fetch
from migrate.ledger.schema import account_outcome, run

_OUTCOME: Final = ("outcome", "outcome_reason")
_SAID: Final = {"account_id": "str", "run_seq": "int64", "outcome": "str", "outcome_reason": "str"}

Within = Callable[[Any], Sequence[sa.ColumnElement[bool]]]
"""Columns → the condition that they are of some accounts, by `account_id`."""


def newest(campaign_id: int | None, within: Within, until: int | None = None) -> sa.Subquery:
    """`account_id`, `run_seq`, `outcome`, `outcome_reason`: the newest of some accounts, up to a run (None: the last one)."""
    o = account_outcome.c
    runs = sa.select(run.c.seq).where(run.c.campaign_id == campaign_id)
    # Run by run, as they are stored: the ids of one run stand together.
    told = sa.and_(o.campaign_id == campaign_id, o.run_seq.in_(runs if until is None else runs.where(run.c.seq <= until)), *within(o))
    place = sa.func.row_number().over(partition_by=o.account_id, order_by=o.run_seq.desc()).label("place")
    every = sa.select(o.account_id, o.run_seq, o.outcome, o.outcome_reason, place).where(told).subquery()
    return (
        sa.select(*(every.c[name] for name in ("account_id", "run_seq", "outcome", "outcome_reason"))).where(every.c.place == 1).subquery()
    )


def record(table: sa.Table, said: sa.Subquery) -> list[sa.ColumnElement[Any]]:
    """`RECORD_COLUMNS` of a version of one account (`table`), with the outcome that holds; to be selected from `joined`."""
    told = said.c.account_id.is_(None)
    return [
        sa.case((told, table.c[name]), else_=said.c[name]).label(name) if name in _OUTCOME else table.c[name] for name in RECORD_COLUMNS
    ]


def joined(table: sa.Table, said: sa.Subquery) -> sa.FromClause:
    """Versions of one account beside its newest outcome (`newest`): that of an earlier version holds no more.

    Of many accounts SQLite would look through all outcomes for each: `fetched` sets them beside each other itself.
    """
    return table.outerjoin(said, sa.and_(said.c.account_id == table.c.account_id, said.c.run_seq > table.c.since_run))


def fetched(connection: sa.Connection, versions: sa.Select[Any], said: sa.Subquery) -> pd.DataFrame:
    """`RECORD_COLUMNS` of `versions` (they select `version`), in their order, each with the outcome that holds by `said` (`newest`)."""
    found = fetch(connection, versions, {**RECORD_COLUMNS, "since_run": "int64"})
    told = fetch(connection, sa.select(*said.c), _SAID).set_index("account_id")
    if told.empty or found.empty:
        return found[list(RECORD_COLUMNS)]
    place = told.index.get_indexer(pd.Index(found["account_id"]))
    holds = (place >= 0) & (told["run_seq"].to_numpy()[place] > found["since_run"].to_numpy())
    for name in _OUTCOME:
        found[name] = found[name].mask(holds, pd.Series(told[name].array.take(place), index=found.index))
    return found[list(RECORD_COLUMNS)]


def version(table: sa.Table | sa.Subquery) -> list[sa.ColumnElement[Any]]:
    """What `fetched` wants to be selected of versions of accounts."""
    return [*(table.c[name] for name in RECORD_COLUMNS), table.c.since_run]
