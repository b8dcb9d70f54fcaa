"""The identity of a ledger, the evidence of other ledgers that was accepted, and the letters that were sent according to it."""

import secrets
import time
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

revision = "0010"
down_revision = "0009"

_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_0900_bin",
    "mariadb_engine": "InnoDB", "mariadb_charset": "utf8mb4", "mariadb_collate": "utf8mb4_nopad_bin",
}  # fmt: skip
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def _exact(length: int) -> TypeEngine[str]:
    return (
        sa.String(length)
        .with_variant(sa.String(length, collation="C"), "postgresql")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_0900_bin"), "mysql")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_nopad_bin"), "mariadb")
    )


def upgrade() -> None:
    """Creates the tables and gives the ledger its identity; the evidence of earlier runs does not have it."""
    op.create_table(
        "identity",
        sa.Column("ledger_id", sa.String(32), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("runs_after", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("ledger_id", name="pk_identity"),
        **_OPTIONS,
    )
    made = sa.table("identity", sa.column("ledger_id"), sa.column("since"), sa.column("runs_after"))
    op.execute(sa.insert(made).values(ledger_id=secrets.token_hex(16), since=time.time_ns() // 1000, runs_after=0))
    op.create_table(
        "accepted_evidence",
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("run_id", _exact(40), nullable=False),
        sa.Column("found_in", _TEXT, nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=False),
        sa.Column("accepted_by", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "digest", name="pk_accepted_evidence"),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_accepted_evidence_campaign_id"),
        **_OPTIONS,
    )
    op.create_table(
        "told_before",
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("account_id", _exact(255), nullable=False),
        sa.Column("reference", _exact(8), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("occasion", sa.String(40), nullable=False),
        sa.Column("told_cutoff", sa.String(40), nullable=False),
        sa.Column("address", _exact(320), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", _TEXT),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.Column("found_in", _TEXT, nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "account_id", "reference", name="pk_told_before"),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_told_before_campaign_id"),
        **_OPTIONS,
    )
    op.create_table(
        "confirmed_before",
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("account_id", _exact(255), nullable=False),
        sa.Column("has", sa.String(200), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "account_id", name="pk_confirmed_before"),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_confirmed_before_campaign_id"),
        **_OPTIONS,
    )
