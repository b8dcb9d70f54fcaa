"""The state `claimed`: a worker holds the letter and has not begun with it. Letters that are `sending` stay so."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_STATES = (
    "queued", "claimed", "sending", "sent", "failed", "uncertain", "withdrawn",
)  # fmt: skip
_CHECKED = (("letter", "state"), ("letter_event", "from_state"), ("letter_event", "to_state"))
_TABLES = ("letter", "letter_event")
_UNSETTLED = sa.text("state IN ('claimed', 'sending', 'uncertain')")


def upgrade() -> None:
    """Adds the state to the CHECKs, and to the index of the letters that a worker holds."""
    if op.get_bind().dialect.name == "sqlite":
        _make_anew()
        return
    for table, column in _CHECKED:
        op.drop_constraint(op.f(f"ck_{table}_{column}"), table, type_="check")
        op.create_check_constraint(op.f(f"ck_{table}_{column}"), table, sa.text(_check(column)))
    if op.get_bind().dialect.name == "postgresql":  # elsewhere the index holds letters in every state
        op.drop_index("ix_letter_unsettled", "letter")
        op.create_index("ix_letter_unsettled", "letter", ["campaign_id", "state", "lease_until"], postgresql_where=_UNSETTLED)


def _check(column: str) -> str:
    listed = ", ".join(f"'{state}'" for state in _STATES)
    return f"{column} IN ({listed})"


def _make_anew() -> None:
    """Replaces both tables, because SQLite cannot change a CHECK, and a renamed table takes the references to it along."""
    connection = op.get_bind()
    kept = sa.text("SELECT sql FROM sqlite_master WHERE tbl_name = :name AND type = :type AND sql IS NOT NULL ORDER BY rowid")
    made = {table: connection.execute(kept, {"name": table, "type": "table"}).scalar_one() for table in _TABLES}
    indexes = [sql for table in _TABLES for sql in connection.execute(kept, {"name": table, "type": "index"}).scalars()]
    for table, column in _CHECKED:
        check = f"CONSTRAINT ck_{table}_{column} CHECK ({_check(column)})"
        made[table], found = re.subn(rf"CONSTRAINT ck_{table}_{column} CHECK \({column} IN \([^)]*\)\)", check, made[table])
        if found != 1:
            raise AssertionError(f"no CHECK of {column} is in: {made[table]}")
    for table in _TABLES:
        op.rename_table(table, f"{table}_was")
    for table in _TABLES:
        connection.exec_driver_sql(made[table])
        names = ", ".join(f'"{column["name"]}"' for column in sa.inspect(connection).get_columns(table))
        connection.exec_driver_sql(f"INSERT INTO {table} ({names}) SELECT {names} FROM {table}_was ORDER BY id")  # noqa: S608 - ours
    for table in reversed(_TABLES):
        op.drop_table(f"{table}_was")
    for sql in indexes:
        connection.exec_driver_sql(re.sub(r"state IN \('sending', 'uncertain'\)", _UNSETTLED.text, sql))
