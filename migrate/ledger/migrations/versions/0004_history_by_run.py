"""Superseded versions of accounts are stored in the order in which they were superseded."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_TABLE = "account_history"
_KEY = "PRIMARY KEY (campaign_id, until_run, account_id)"


def upgrade() -> None:
    """Gives the table its new primary key."""
    backend = op.get_bind().dialect.name
    if backend == "sqlite":
        _make_anew()
    elif backend == "postgresql":
        op.execute(f"ALTER TABLE {_TABLE} DROP CONSTRAINT pk_{_TABLE}, ADD CONSTRAINT pk_{_TABLE} {_KEY}")
    else:
        op.execute(f"ALTER TABLE {_TABLE} DROP PRIMARY KEY, ADD {_KEY}")


def _make_anew() -> None:
    """Replaces the table, because SQLite can change neither the primary key nor the order of the rows, which is that of the key. The new
    table differs from the old one by the key only, whose columns come first."""
    connection = op.get_bind()
    kept = sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name")
    made: str = connection.execute(kept, {"name": _TABLE}).scalar_one()
    last, first = "\tuntil_run INTEGER NOT NULL, \n", "\taccount_id "
    for was, becomes in ((last, ""), (first, last + first), ("PRIMARY KEY (campaign_id, account_id, since_run)", _KEY)):
        if made.count(was) != 1:
            raise AssertionError(f"{was!r} is not in: {made}")
        made = made.replace(was, becomes)
    columns = ", ".join(column["name"] for column in sa.inspect(connection).get_columns(_TABLE))
    op.rename_table(_TABLE, f"{_TABLE}_was")
    connection.exec_driver_sql(made)
    in_order = f"SELECT {columns} FROM {_TABLE}_was ORDER BY campaign_id, until_run, account_id"  # noqa: S608 - names of ours
    op.execute(f"INSERT INTO {_TABLE} ({columns}) {in_order}")
    op.drop_table(f"{_TABLE}_was")
