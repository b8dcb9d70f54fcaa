"""Writing down what a run decided: the recording half of the one transaction in which a run compares and plans."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from itertools import repeat
from typing import Any, Final

import pandas as pd
import sqlalchemy as sa

from migrate.core.accounts import RECORD_COLUMNS
from migrate.core.changes import CHANGE_COLUMNS
from migrate.ledger import campaigns, schema
from migrate.ledger.frames import columns, rows

_NEAR: Final = 1024
"""Accounts in order of id are superseded so many at a time: their rows lie in the same pages, which are at hand then for every step."""


def campaign_id(connection: sa.Connection, name: str, now: datetime, secret: str | None = None) -> int:
    """The id of a campaign, which is created if this is its first run, with a `secret` that was set aside for it or a new one."""
    found = campaigns.find(connection, name)
    if found is None:
        connection.execute(sa.insert(schema.campaign).values(name=name, secret=secret or secrets.token_hex(32), created_at=now))
        found = campaigns.find(connection, name)
        assert found is not None  # it was just made
    return found


def any_account(connection: sa.Connection, campaign: int) -> bool:
    """Whether anything is recorded of anybody."""
    c = schema.account.c
    return connection.execute(sa.select(c.account_id).where(c.campaign_id == campaign).limit(1)).first() is not None


def accounts(connection: sa.Connection, campaign: int, run_seq: int, records: pd.DataFrame, *, all_new: bool = False) -> None:
    """Rows (`RECORD_COLUMNS`) that differ from what is recorded: the version before goes to the history, this one takes its place.

    With `all_new` nothing is recorded of any of them.
    """
    if records.empty:
        return
    a, kept = schema.account, [*(schema.account.c[name] for name in RECORD_COLUMNS), schema.account.c.since_run]
    insert = _inserting(connection, a, records[list(RECORD_COLUMNS)], campaign_id=campaign, since_run=run_seq)
    if all_new:
        insert(slice(None))
        return
    every = records["account_id"].tolist()
    for start in range(0, len(every), _NEAR):
        these = slice(start, start + _NEAR)
        mine = sa.and_(a.c.campaign_id == campaign, a.c.account_id.in_(every[these]))
        superseded = sa.select(a.c.campaign_id, *kept, sa.literal(run_seq)).where(mine)
        into = sa.insert(schema.account_history).from_select(["campaign_id", *RECORD_COLUMNS, "since_run", "until_run"], superseded)
        connection.execute(into)
        connection.execute(sa.delete(a).where(mine))
        insert(these)


def outcomes(connection: sa.Connection, campaign: int, run_seq: int, records: pd.DataFrame) -> None:
    """The outcomes (`account_id`, `outcome`, `outcome_reason`) of accounts in which nothing else differs from what is recorded."""
    _insert(connection, schema.account_outcome, records, campaign_id=campaign, run_seq=run_seq)


def changes(connection: sa.Connection, campaign: int, run_seq: int, seen: pd.DataFrame, *, mail: bool = True) -> None:
    """Changes (`CHANGE_COLUMNS`). Those of a mailed kind are open until their confirmation exists; with `mail` false none is."""
    state = pd.Series("recorded", index=seen.index, dtype="str")
    if mail:
        state = state.mask(seen["mailed"], "open")
    _insert(connection, schema.change, seen[list(CHANGE_COLUMNS)].assign(state=state), campaign_id=campaign, run_seq=run_seq)


def close(connection: sa.Connection, campaign: int, which: pd.DataFrame, state: str, now: datetime) -> int:
    """Closes open changes (`account_id`, `seq`) as `confirmed` or `unsaid`, or as `recorded` if another change tells of them; how many were
    open."""
    if which.empty:
        return 0
    c = schema.change.c
    this = sa.and_(c.campaign_id == campaign, c.account_id == sa.bindparam("id"), c.seq == sa.bindparam("n"), c.state == "open")
    found = [{"id": account_id, "n": int(seq)} for account_id, seq in zip(which["account_id"], which["seq"], strict=True)]
    return connection.execute(
        sa.update(schema.change).where(this).values(state=state, closed_at=None if state == "recorded" else now), found
    ).rowcount


def rejections(connection: sa.Connection, run_seq: int, rejected: pd.DataFrame) -> None:
    """Rows that are no account: `account_id` (or missing), `position`, `rejection`."""
    _insert(connection, schema.rejection, rejected[["account_id", "position", "rejection"]], run_seq=run_seq)


def knows_artefact(connection: sa.Connection, digest: str) -> bool:
    """Whether a text is kept by its digest."""
    a = schema.artefact
    return connection.execute(sa.select(a.c.digest).where(a.c.digest == digest)).first() is not None


def artefact(connection: sa.Connection, digest: str, kind: str, content: str, now: datetime) -> None:
    """Keeps a text once, by its digest."""
    if not knows_artefact(connection, digest):
        connection.execute(sa.insert(schema.artefact).values(digest=digest, kind=kind, content=content, first_used_at=now))


def _insert(connection: sa.Connection, table: sa.Table, frame: pd.DataFrame, **same: Any) -> None:
    """Inserts a frame; the same values stand in every row. Instants go in as the integers they are kept as."""
    if len(frame):
        _inserting(connection, table, frame, **same)(slice(None))


def _inserting(connection: sa.Connection, table: sa.Table, frame: pd.DataFrame, **same: Any) -> Callable[[slice], None]:
    """`_insert` in parts: inserts the rows of a slice."""
    names = [*frame.columns, *same]
    if connection.dialect.name == "sqlite":
        # Its driver takes the values as they are: between the two SQLAlchemy would only go through all of them again.
        listed = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in names)
        statement = f"INSERT INTO {table.name} ({listed}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - our own names
        tuples = list(zip(*columns(frame), *(repeat(value) for value in same.values())))  # noqa: B905

        def write(part: slice) -> None:
            connection.exec_driver_sql(statement, tuples[part])

        return write
    values = {name: sa.bindparam(name, type_=_raw(table.c[name].type)) for name in names}
    dicts = [row | same for row in rows(frame)]

    def insert(part: slice) -> None:
        connection.execute(sa.insert(table).values(values), dicts[part])

    return insert


def _raw(kind: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    return sa.BigInteger() if isinstance(kind, schema.UtcInstant) else kind
