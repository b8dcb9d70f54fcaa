"""Writes what a run decided, in the one transaction in which the run compares and plans."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd
import sqlalchemy as sa

from migrate.core.accounts import RECORD_COLUMNS
from migrate.core.changes import CHANGE_COLUMNS
from migrate.ledger import campaigns, schema
from migrate.ledger.frames import divided
from migrate.ledger.insertion import Insert, inserting
from migrate.ledger.listed import in_list

_AT_ONCE: Final = 1024
"""How many accounts, in order of id, are superseded at once: their rows share pages, which stay in the database's cache for every step."""
_VERSION: Final = ("campaign_id", *RECORD_COLUMNS, "since_run")
_MINE: Final = (schema.account.c.campaign_id == sa.bindparam("campaign"), in_list(schema.account.c.account_id, "ids"))
_INTO_HISTORY: Final = sa.insert(schema.account_history).from_select(
    [*_VERSION, "until_run"],
    sa.select(*(schema.account.c[name] for name in _VERSION), sa.bindparam("until", type_=sa.Integer)).where(*_MINE),
)
_SUPERSEDED: Final = sa.delete(schema.account).where(*_MINE)


def ensure_campaign(connection: sa.Connection, name: str, now: datetime, secret: str | None = None) -> int:
    """The id of a campaign. Its first run creates it, with `secret` if one was set aside for it, else with a new one."""
    found = campaigns.find(connection, name)
    if found is None:
        connection.execute(sa.insert(schema.campaign).values(name=name, secret=secret or secrets.token_hex(32), created_at=now))
        found = campaigns.find(connection, name)
        assert found is not None  # it was just made
    return found


def any_account(connection: sa.Connection, campaign: int) -> bool:
    """Whether any account of the campaign is recorded."""
    c = schema.account.c
    return connection.execute(sa.select(c.account_id).where(c.campaign_id == campaign).limit(1)).first() is not None


def record_accounts(connection: sa.Connection, campaign: int, run_seq: int, records: pd.DataFrame, *, all_new: bool = False) -> None:
    """Records rows (`RECORD_COLUMNS`) that differ from what is recorded: the current version moves to the history, the row replaces it.

    With `all_new` none of the accounts is recorded yet.
    """
    if records.empty:
        return
    insert = _inserting(connection, schema.account, records[list(RECORD_COLUMNS)], campaign_id=campaign, since_run=run_seq)
    if all_new:
        insert(slice(None))
        return
    every = records["account_id"].tolist()
    for start in range(0, len(every), _AT_ONCE):
        these = slice(start, start + _AT_ONCE)
        mine = {"campaign": campaign, "ids": every[these]}
        connection.execute(_INTO_HISTORY, mine | {"until": run_seq})
        connection.execute(_SUPERSEDED, mine)
        insert(these)


def record_outcomes(connection: sa.Connection, campaign: int, run_seq: int, records: pd.DataFrame) -> None:
    """Records outcomes (`account_id`, `outcome`, `outcome_reason`) of accounts in which nothing else changed."""
    _insert(connection, schema.account_outcome, records, campaign_id=campaign, run_seq=run_seq)


def record_changes(connection: sa.Connection, campaign: int, run_seq: int, seen: pd.DataFrame, *, mail: bool = True) -> None:
    """Records changes (`CHANGE_COLUMNS`). One of a mailed kind is open until its confirmation is queued; with `mail` false none is open."""
    state = pd.Series("recorded", index=seen.index, dtype="str")
    if mail:
        state = state.mask(seen["mailed"], "open")
    _insert(connection, schema.change, seen[list(CHANGE_COLUMNS)].assign(state=state), campaign_id=campaign, run_seq=run_seq)


def close_changes(connection: sa.Connection, campaign: int, which: pd.DataFrame, state: str, now: datetime) -> int:
    """Sets open changes (`account_id`, `seq`) to `confirmed` or `unsaid`, or to `recorded` if the confirmation of a later change covers
    them. Returns how many were open."""
    if which.empty:
        return 0
    c = schema.change.c
    this = sa.and_(c.campaign_id == campaign, c.account_id == sa.bindparam("id"), c.seq == sa.bindparam("n"), c.state == "open")
    found = [{"id": account_id, "n": int(seq)} for account_id, seq in zip(which["account_id"], which["seq"], strict=True)]
    return connection.execute(
        sa.update(schema.change).where(this).values(state=state, closed_at=None if state == "recorded" else now), found
    ).rowcount


def record_rejections(connection: sa.Connection, run_seq: int, rejected: pd.DataFrame) -> None:
    """Records rejected rows: `account_id` (may be missing), `position` in the source, `rejection` (the reason)."""
    _insert(connection, schema.rejection, rejected[["account_id", "position", "rejection"]], run_seq=run_seq)


def _insert(connection: sa.Connection, table: sa.Table, frame: pd.DataFrame, **same: Any) -> None:
    """Inserts a frame; the values of `same` stand in every row. Instants are inserted as the integers that the ledger keeps."""
    if len(frame):
        _inserting(connection, table, frame, **same)(slice(None))


def _inserting(connection: sa.Connection, table: sa.Table, frame: pd.DataFrame, **same: Any) -> Insert:
    """`_insert` in parts: returns a function that inserts the rows of a slice."""
    if connection.dialect.name == "sqlite":
        # The driver takes an integer faster than a bool, of which it makes one.
        frame = frame.astype({name: "int8" for name, dtype in frame.dtypes.items() if isinstance(dtype, np.dtype) and dtype.kind == "b"})
    alike, varying = divided(frame)
    return inserting(connection, table, alike | same, varying, len(frame))
