"""The outcome of an account: that of its version, or the newest one that it had since while nothing else in it changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from migrate.accounts import RECORD_COLUMNS
from migrate.ledger.schema import account_outcome, run

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
    """`RECORD_COLUMNS` of versions of accounts (`table`), with the outcome that holds; to be selected from `joined`."""
    return [holding(table, said, name) if name in ("outcome", "outcome_reason") else table.c[name] for name in RECORD_COLUMNS]


def holding(table: sa.Table, said: sa.Subquery, name: str) -> sa.ColumnElement[Any]:
    """`outcome` or `outcome_reason` as it holds."""
    return sa.case((said.c.account_id.is_(None), table.c[name]), else_=said.c[name]).label(name)


def joined(table: sa.Table, said: sa.Subquery) -> sa.FromClause:
    """Versions of accounts beside the newest outcomes (`newest`): those of an earlier version hold no more."""
    return table.outerjoin(said, sa.and_(said.c.account_id == table.c.account_id, said.c.run_seq > table.c.since_run))
