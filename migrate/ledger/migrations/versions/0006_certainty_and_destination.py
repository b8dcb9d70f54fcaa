"""The method an account used last, those it may register, whether it is certain, whether it can move, and the outcome if it cannot."""

import re
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

revision = "0006"
down_revision = "0005"

_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
_TABLES = ("account", "account_history")
_OUTCOMES = (
    "rejected", "queued", "inactive", "exempt_sso", "exempt", "not_reminded", "no_destination", "nothing_due", "too_soon", "paused",
    "no_address", "bad_address", "domain_not_allowed", "bounced", "unrenderable", "not_in_plan", "held",
)  # fmt: skip
_DESTINATIONS = ("yes", "no", "unknown")
_NULLABLE: dict[str, TypeEngine[Any]] = {
    "last_used_method": sa.String(32), "last_used_at": sa.BigInteger(), "may_enrol": sa.String(200), "in_policy": sa.Boolean(),
}  # fmt: skip
_FILLED: dict[str, TypeEngine[Any]] = {"groups": _TEXT, "certain": sa.Boolean(), "destination": sa.String(16)}
_CERTAIN = "methods NOT LIKE '%unknown%' AND methods NOT LIKE '%other%'"
"""No other method's word contains one of these."""


def upgrade() -> None:
    """Adds the columns. For accounts recorded before, `certain` follows from their methods; the other columns are unknown."""
    for table in _TABLES:
        if op.get_bind().dialect.name == "sqlite":
            _make_anew(table)
        else:
            _alter(table)


def _check(column: str, words: tuple[str, ...]) -> str:
    listed = ", ".join(f"'{word}'" for word in words)
    return f"{column} IN ({listed})"


def _alter(table: str) -> None:
    for name, kind in (_NULLABLE | _FILLED).items():
        op.add_column(table, sa.Column(name, kind, nullable=True))
    rows = sa.table(table, *(sa.column(name) for name in ("methods", *_FILLED)))
    known = sa.and_(rows.c.methods.not_like("%unknown%"), rows.c.methods.not_like("%other%"))
    certain = sa.case((known, sa.true()), else_=sa.false())
    op.execute(sa.update(rows).values({"groups": sa.literal(""), "certain": certain, "destination": sa.literal("unknown")}))
    for name, kind in _FILLED.items():
        op.alter_column(table, name, existing_type=kind, nullable=False)
    op.drop_constraint(op.f(f"ck_{table}_outcome"), table, type_="check")
    op.create_check_constraint(op.f(f"ck_{table}_outcome"), table, sa.text(_check("outcome", _OUTCOMES)))
    op.create_check_constraint(op.f(f"ck_{table}_destination"), table, sa.text(_check("destination", _DESTINATIONS)))


def _make_anew(table: str) -> None:
    """Replaces the table, because SQLite cannot change a CHECK. The new columns come before the first constraint."""
    connection = op.get_bind()
    kept = sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :name")
    made: str = connection.execute(kept, {"name": table}).scalar_one()
    names = [column["name"] for column in sa.inspect(connection).get_columns(table)]
    compiled = {name: kind.compile(dialect=connection.dialect) for name, kind in (_NULLABLE | _FILLED).items()}
    added = "".join(f'"{name}" {kind}' + (" NOT NULL, " if name in _FILLED else ", ") for name, kind in compiled.items())
    outcome = f"CONSTRAINT ck_{table}_outcome CHECK ({_check('outcome', _OUTCOMES)})"
    destination = f"CONSTRAINT ck_{table}_destination CHECK ({_check('destination', _DESTINATIONS)})"
    made, constraints = re.subn(rf"CONSTRAINT ck_{table}_outcome CHECK \(outcome IN \([^)]*\)\)", f"{outcome}, {destination}", made)
    made, columns = re.subn(r"CONSTRAINT", f"{added}CONSTRAINT", made, count=1)
    if (constraints, columns) != (1, 1):
        raise AssertionError(f"no CHECK of outcomes is in: {made}")
    was = f"{table}_was"
    op.rename_table(table, was)
    connection.exec_driver_sql(made)
    listed = ", ".join(f'"{name}"' for name in (*names, *_FILLED))
    same = ", ".join(f'"{name}"' for name in names)
    order = "campaign_id, account_id" if table == "account" else "campaign_id, until_run, account_id"
    old = f"SELECT {same}, '', {_CERTAIN}, 'unknown' FROM {was} ORDER BY {order}"  # noqa: S608 - names of ours
    connection.exec_driver_sql(f"INSERT INTO {table} ({listed}) {old}")
    op.drop_table(was)
