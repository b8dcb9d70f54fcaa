"""Reads the outcome of an account: the newest in `account_outcome` if that is newer than its version, else the one in the version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from migrate.core.accounts import RECORD_COLUMNS
from migrate.ledger.frames import fetch_table
from migrate.ledger.schema import account_outcome, run

_OUTCOME: Final = ("outcome", "outcome_reason")
_NEWEST: Final = {"account_id": "str", "run_seq": "int64", "outcome": "str", "outcome_reason": "str"}

Within = Callable[[Any], Sequence[sa.ColumnElement[bool]]]
"""Takes the columns of a table, and returns the conditions on `account_id` that select some accounts."""


def newest(campaign_id: int | None, within: Within, until: int | None = None) -> sa.Subquery:
    """Selects `account_id`, `run_seq`, `outcome`, `outcome_reason`: the newest row of `account_outcome` for some accounts, up to the run
    `until` (None: the last one)."""
    o = account_outcome.c
    runs = sa.select(run.c.seq).where(run.c.campaign_id == campaign_id)
    # Run by run, as the table is stored: the ids of one run lie together.
    wanted = sa.and_(o.campaign_id == campaign_id, o.run_seq.in_(runs if until is None else runs.where(run.c.seq <= until)), *within(o))
    last = sa.select(o.account_id, sa.func.max(o.run_seq).label("run_seq")).where(wanted).group_by(o.account_id).subquery()
    each = account_outcome.alias().c
    that_one = sa.and_(each.campaign_id == campaign_id, each.run_seq == last.c.run_seq, each.account_id == last.c.account_id)
    columns = [each[name] for name in ("account_id", "run_seq", "outcome", "outcome_reason")]
    return sa.select(*columns).select_from(last).join(each.account_id.table, that_one).subquery()


def record(table: sa.Table, newest: sa.Subquery) -> list[sa.ColumnElement[Any]]:
    """`RECORD_COLUMNS` of one account (`table` has its version), with its current outcome; select them from `joined`."""
    in_version = newest.c.account_id.is_(None)
    return [
        sa.case((in_version, table.c[name]), else_=newest.c[name]).label(name) if name in _OUTCOME else table.c[name]
        for name in RECORD_COLUMNS
    ]


def joined(table: sa.Table, newest: sa.Subquery) -> sa.FromClause:
    """The version of one account, joined with its newest outcome (`newest`) if that is newer than the version.

    For many accounts SQLite would search all outcomes for each of them, so `fetched` joins them in Arrow.
    """
    return table.outerjoin(newest, sa.and_(newest.c.account_id == table.c.account_id, newest.c.run_seq > table.c.since_run))


def fetched(connection: sa.Connection, versions: sa.Select[Any], newest: sa.Subquery, given: Mapping[str, Any] | None = None) -> pa.Table:
    """`RECORD_COLUMNS` of `versions` (a select of the columns `version`), in their order, each with its current outcome. `given`: the
    values of parameters of both."""
    found = fetch_table(connection, versions, {**RECORD_COLUMNS, "since_run": "int64"}, given)
    since = fetch_table(connection, sa.select(*newest.c), _NEWEST, given)
    if since.num_rows and found.num_rows:
        now = since.take(pc.index_in(found["account_id"], since["account_id"].combine_chunks()))  # missing where there is none
        holds = pc.fill_null(pc.greater(now["run_seq"], found["since_run"]), False)
        for name in _OUTCOME:
            found = found.set_column(found.schema.get_field_index(name), name, pc.if_else(holds, now[name], found[name]))
    return found.select(list(RECORD_COLUMNS))


def version(table: sa.Table | sa.Subquery) -> list[sa.ColumnElement[Any]]:
    """The columns that `fetched` needs of a version."""
    return [*(table.c[name] for name in RECORD_COLUMNS), table.c.since_run]
