"""A table for outcomes that change while nothing else in the account does; such a change makes no new version of the account."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0012"
down_revision = "0011"

_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_0900_bin",
    "mariadb_engine": "InnoDB", "mariadb_charset": "utf8mb4", "mariadb_collate": "utf8mb4_nopad_bin",
}  # fmt: skip
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
_ACCOUNT = (
    sa.String(255)
    .with_variant(sa.String(255, collation="C"), "postgresql")
    .with_variant(mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_0900_bin"), "mysql")
    .with_variant(mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_nopad_bin"), "mariadb")
)
_OUTCOMES = (
    "rejected", "queued", "inactive", "exempt_sso", "exempt", "not_reminded", "no_destination", "nothing_due",
    "too_soon", "paused", "no_address", "bad_address", "domain_not_allowed", "bounced", "unrenderable", "not_in_plan",
    "held",
)  # fmt: skip


def upgrade() -> None:
    """Creates the table; outcomes recorded before stay in the versions of the accounts, and hold there."""
    listed = ", ".join(f"'{word}'" for word in _OUTCOMES)
    op.create_table(
        "account_outcome",
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("run_seq", _ID, nullable=False),
        sa.Column("account_id", _ACCOUNT, nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("outcome_reason", _TEXT),
        sa.CheckConstraint(f"outcome IN ({listed})", name=op.f("ck_account_outcome_outcome")),
        sa.PrimaryKeyConstraint("campaign_id", "run_seq", "account_id", name="pk_account_outcome"),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_account_outcome_campaign_id"),
        sa.ForeignKeyConstraint(["run_seq"], ["run.seq"], name="fk_account_outcome_run_seq"),
        sqlite_with_rowid=False,
        **_OPTIONS,
    )
