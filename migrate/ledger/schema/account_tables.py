"""Accounts: their current and earlier versions, their outcomes, and the changes of their methods."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from migrate.core.accounts import ACCOUNT_TYPES
from migrate.core.standing import AT_CUTOFF, DESTINATIONS, STANDINGS
from migrate.core.words import CHANGES, OUTCOMES
from migrate.ledger.schema.column_types import LongText, UtcInstant, exact, metadata, of_campaign, of_run, one_of

CHANGE_STATES: Final = ("recorded", "open", "confirmed", "unsaid")
"""`recorded`: needs no confirmation; `open`: its confirmation is not queued yet; `confirmed`: it is; `unsaid`: it will never be."""


def _record() -> list[sa.Column[Any] | sa.CheckConstraint]:
    """The columns of `migrate.core.accounts.RECORD_COLUMNS`, with methods as words, so that an auditor can read them."""
    return [
        sa.Column("account_id", exact(255), nullable=False),
        sa.Column("tenure", sa.Integer, nullable=False),
        sa.Column("username", LongText),
        sa.Column("email", LongText),
        sa.Column("notification_emails", LongText, nullable=False),
        sa.Column("display_name", LongText),
        sa.Column("given_name", LongText),
        sa.Column("locale", LongText),
        sa.Column("department", LongText),
        sa.Column("manager_email", LongText),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("federated", sa.Boolean, nullable=False),
        sa.Column("account_type", sa.String(16), nullable=False),
        sa.Column("privileged", sa.Boolean, nullable=False),
        sa.Column("methods", sa.String(200), nullable=False),
        sa.Column("default_method", sa.String(32)),
        sa.Column("last_used_method", sa.String(32)),
        sa.Column("last_used_at", UtcInstant),
        sa.Column("methods_changed_at", UtcInstant),
        sa.Column("may_enrol", sa.String(200)),
        sa.Column("in_policy", sa.Boolean),
        sa.Column("groups", LongText, nullable=False),
        sa.Column("phone", LongText),
        sa.Column("basis", sa.String(128), nullable=False),
        sa.Column("wave", sa.String(100), nullable=False),
        sa.Column("fixed_wave", sa.String(100)),
        sa.Column("wave_basis", sa.String(16)),
        sa.Column("cutoff", UtcInstant, nullable=False),
        sa.Column("standing", sa.String(32), nullable=False),
        sa.Column("standing_since", UtcInstant, nullable=False),
        sa.Column("migrated_at", UtcInstant),
        sa.Column("at_cutoff", sa.String(32), nullable=False),
        sa.Column("compliant", sa.Boolean, nullable=False),
        sa.Column("certain", sa.Boolean, nullable=False),
        sa.Column("destination", sa.String(16), nullable=False),
        sa.Column("reminded", sa.Boolean, nullable=False),
        sa.Column("exempt_until", sa.String(10)),
        sa.Column("outcome", sa.String(32)),
        sa.Column("outcome_reason", LongText),
        sa.Column("first_seen_at", UtcInstant, nullable=False),
        sa.Column("gone_at", UtcInstant),
        sa.Column("change_count", sa.Integer, nullable=False),
        one_of("account_type", ACCOUNT_TYPES),
        one_of("standing", STANDINGS),
        one_of("at_cutoff", AT_CUTOFF),
        one_of("destination", DESTINATIONS),
        one_of("outcome", OUTCOMES),
    ]


account = sa.Table(
    "account",
    metadata,
    of_campaign(),
    *_record(),
    of_run("since_run"),
    sa.PrimaryKeyConstraint("campaign_id", "account_id"),
    # Clustered by id: the run reads and rewrites ranges of ids in order.
    sqlite_with_rowid=False,
)

account_history = sa.Table(
    "account_history",
    metadata,
    # The key's columns come first: else the integrity_check of SQLite 3.40 calls them missing in a WITHOUT ROWID table.
    of_campaign(),
    of_run("until_run"),
    *_record(),
    of_run("since_run"),
    # Clustered by the superseding run: the versions that a run supersedes lie together at the end, in order of id. Clustered by account,
    # each would lie on a page of its own, and a run would write as much again as for the accounts. A search goes run by run.
    sa.PrimaryKeyConstraint("campaign_id", "until_run", "account_id"),
    sqlite_with_rowid=False,
)
"""Superseded versions; append-only. A version held in every run from `since_run` up to, not including, `until_run`."""

account_outcome = sa.Table(
    "account_outcome",
    metadata,
    of_campaign(),
    of_run(),
    sa.Column("account_id", exact(255), nullable=False),
    sa.Column("outcome", sa.String(32), nullable=False),
    sa.Column("outcome_reason", LongText),
    one_of("outcome", OUTCOMES),
    # Clustered by run, as the history is, for the same reason.
    sa.PrimaryKeyConstraint("campaign_id", "run_seq", "account_id"),
    sqlite_with_rowid=False,
)
"""The outcome of an account from `run_seq` on, if nothing else in the account changed: a sent letter does not change what an account is.

It holds until the account has a newer version, or a newer row here. `migrate.ledger.outcomes` reads the current one.
"""

change = sa.Table(
    "change",
    metadata,
    of_campaign(),
    sa.Column("account_id", exact(255), nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("tenure", sa.Integer, nullable=False),
    sa.Column("change", sa.String(32), nullable=False),
    sa.Column("mailed", sa.Boolean, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("seen_at", UtcInstant, nullable=False),
    of_run(),
    sa.Column("had", sa.String(200), nullable=False),
    sa.Column("has", sa.String(200), nullable=False),
    sa.Column("closed_at", UtcInstant),
    sa.PrimaryKeyConstraint("campaign_id", "account_id", "seq"),
    # `change` is a reserved word in MySQL, and nothing quotes it in a CHECK that is text.
    sa.CheckConstraint(sa.column("change").in_([sa.literal_column(f"'{word}'") for word in CHANGES]), name="change"),
    one_of("state", CHANGE_STATES),
    sa.Index(
        "ix_change_open",
        "campaign_id",
        "state",
        "account_id",
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    ),
    sa.Index("ix_change_run", "run_seq"),
)
