"""The changes of accounts' methods, as runs recorded them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from migrate.ledger.schema import change


def of_account(connection: sa.Connection, campaign_id: int, account_id: str) -> Sequence[sa.RowMapping]:
    """Every change of an account, the oldest first: `change`, `seen_at`, `seq`, `tenure`, `had` and `has` (methods as words with commas
    between them), `mailed`, `state`."""
    c = change.c
    wanted = sa.select(c.change, c.seen_at, c.seq, c.tenure, c.had, c.has, c.mailed, c.state)
    return connection.execute(wanted.where(c.campaign_id == campaign_id, c.account_id == account_id).order_by(c.seq)).mappings().all()


def count(connection: sa.Connection, campaign_id: int | None, state: str) -> int:
    """How many changes of a campaign are in a state."""
    c = change.c
    wanted = sa.select(sa.func.count()).select_from(change).where(c.campaign_id == campaign_id, c.state == state)
    return int(connection.execute(wanted).scalar_one())
