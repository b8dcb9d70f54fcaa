"""How many letters went to a mail server in each minute of the last day, and when the next one may go."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

revision = "0008"
down_revision = "0007"

_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_0900_bin",
    "mariadb_engine": "InnoDB", "mariadb_charset": "utf8mb4", "mariadb_collate": "utf8mb4_nopad_bin",
}  # fmt: skip


def _exact(length: int) -> TypeEngine[str]:
    return (
        sa.String(length)
        .with_variant(sa.String(length, collation="C"), "postgresql")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_0900_bin"), "mysql")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_nopad_bin"), "mariadb")
    )


def upgrade() -> None:
    """Creates the tables; `rate_slot` takes over the rows of `pace`. Letters sent before are not counted: their server is not known."""
    op.create_table(
        "rate_slot",
        sa.Column("server", _exact(300), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("server", name="pk_rate_slot"),
        **_OPTIONS,
    )
    op.execute(sa.text("INSERT INTO rate_slot (server, next_at) SELECT server, next_at FROM pace"))
    op.drop_table("pace")
    op.create_table(
        "rate_count",
        sa.Column("server", _exact(300), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("letters", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("server", "minute", name="pk_rate_count"),
        **_OPTIONS,
    )
