"""Campaigns, their runs, the lock that keeps a campaign to one run at a time, and the rows of the directory that a run rejected."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from migrate.ledger.schema.column_types import Id, LongText, UtcInstant, exact, metadata, of_campaign, of_run, one_of

RUN_STATES: Final = ("recorded", "completed")
PURPOSES: Final = ("run", "report")

campaign = sa.Table(
    "campaign",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", exact(100), nullable=False),
    sa.Column("secret", sa.String(64), nullable=False),
    sa.Column("created_at", UtcInstant, nullable=False),
    sa.UniqueConstraint("name"),
)
"""`secret` is 64 random hex digits, the key of the references and of the MAC of plans, so that nobody outside can forge one."""

run = sa.Table(
    "run",
    metadata,
    sa.Column("seq", Id, primary_key=True),
    sa.Column("run_id", sa.String(40), nullable=False),
    of_campaign(),
    sa.Column("as_of", UtcInstant, nullable=False),
    sa.Column("started_at", UtcInstant, nullable=False),
    sa.Column("finished_at", UtcInstant),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("baseline", sa.Boolean, nullable=False),
    sa.Column("read", sa.BigInteger, nullable=False),
    sa.Column("rejected", sa.BigInteger, nullable=False),
    sa.Column("basis", sa.String(128), nullable=False),
    sa.Column("directory", LongText, nullable=False),
    sa.Column("directory_fingerprint", sa.String(128), nullable=False),
    sa.Column("directory_read_at", UtcInstant, nullable=False),
    sa.Column("opens", sa.String(10), nullable=False),
    sa.Column("cutoff", UtcInstant, nullable=False),
    sa.Column("timezone", sa.String(64), nullable=False),
    sa.Column("config_digest", sa.String(128), nullable=False),
    sa.Column("mail_digest", sa.String(128), nullable=False),
    sa.Column("counts", LongText, nullable=False),
    sa.Column("evidence", LongText),
    sa.Column("evidence_at", UtcInstant),
    sa.Column("manifest_digest", sa.String(128)),
    sa.Column("tool_version", sa.String(40), nullable=False),
    one_of("state", RUN_STATES),
    sa.UniqueConstraint("run_id"),
    sa.Index("ix_run_campaign", "campaign_id", "seq"),
    sqlite_autoincrement=True,
)
"""A run whose decisions were recorded. One that failed before its commit leaves no row. `counts` is JSON: word → count, by subject."""

rejection = sa.Table(
    "rejection",
    metadata,
    of_run(),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("account_id", LongText),
    sa.Column("rejection", LongText, nullable=False),
    sa.PrimaryKeyConstraint("run_seq", "position"),
)
"""A rejected row of the directory: its position in the source, its account id if it has one, and the reason."""

run_lock = sa.Table(
    "run_lock",
    metadata,
    sa.Column("campaign_name", exact(100), nullable=False),
    sa.Column("purpose", sa.String(16), nullable=False),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("acquired_at", UtcInstant, nullable=False),
    sa.Column("lease_until", UtcInstant, nullable=False),
    sa.PrimaryKeyConstraint("campaign_name", "purpose"),
    one_of("purpose", PURPOSES),
)
