"""The first tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None

# A migration is a record: it spells its tables out and never follows what the schema becomes later.
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")

_ACCOUNT_TYPES = (
    "person", "service", "shared", "break_glass", "guest",
)  # fmt: skip
_AT_CUTOFF = (
    "unaffected", "unknown", "loses_second_step", "locked_out", "must_re_enrol", "unaffected_but_surprised",
)  # fmt: skip
_OUTCOMES = (
    "rejected", "queued", "inactive", "exempt_sso", "exempt", "not_reminded", "nothing_due", "too_soon", "paused", "no_address",
    "bad_address", "domain_not_allowed", "bounced", "unrenderable", "not_in_plan", "held",
)  # fmt: skip
_STANDINGS = (
    "inactive", "exempt_sso", "exempt", "migrated", "sms_fallback", "sms_default", "sms_only", "unknown", "no_second_step",
)  # fmt: skip
_CHANGES = (
    "two_step_disabled", "authenticator_enabled", "authenticator_removed", "sms_enabled", "sms_removed", "authenticator_changed",
    "reclassified", "cutoff_removal", "gone", "returned",
)  # fmt: skip
_KINDS = (
    "announcement", "reminder", "final_reminder", "cutoff_passed", "change_confirmation", "check_up", "cutoff_moved", "manager_digest",
    "run_summary",
)  # fmt: skip
_LETTER_STATES = (
    "queued", "sending", "sent", "failed", "uncertain", "withdrawn",
)  # fmt: skip


_BYTE_BY_BYTE: dict[str, Any] = {
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


def _one_of(name: str, column: str, words: tuple[str, ...]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=op.f(name))


def _table(name: str, *parts: SchemaItem, **options: Any) -> None:
    """A table in which MySQL and MariaDB compare all text byte for byte, whatever the database's default is."""
    op.create_table(name, *parts, **options, **_BYTE_BY_BYTE)


def upgrade() -> None:
    """Creates every table of the first ledger."""
    _table(
        "artefact",
        sa.Column("digest", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("content", _TEXT, nullable=False),
        sa.Column("first_used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_artefact"),
    )
    _table(
        "campaign",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", _exact(100), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_campaign"),
        sa.UniqueConstraint("name", name="uq_campaign_name"),
    )
    _table(
        "run_lock",
        sa.Column("campaign_name", _exact(100), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("acquired_at", sa.BigInteger(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        _one_of("ck_run_lock_purpose", "purpose", ("run", "report")),
        sa.PrimaryKeyConstraint("campaign_name", "purpose", name="pk_run_lock"),
    )
    _table(
        "bounce",
        sa.Column("id", _ID, nullable=False),
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("address", _exact(320), nullable=False),
        sa.Column("hard", sa.Boolean(), nullable=False),
        sa.Column("code", _TEXT, nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("cleared_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_bounce_campaign_id"),
        sa.PrimaryKeyConstraint("id", name="pk_bounce"),
    )
    op.create_index("ix_bounce_address", "bounce", ["campaign_id", "address"])
    _table(
        "exemption",
        sa.Column("id", _ID, nullable=False),
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("account_id", _exact(255), nullable=False),
        sa.Column("until", sa.String(length=10), nullable=False),
        sa.Column("owner", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _TEXT, nullable=False),
        sa.Column("removed_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_exemption_campaign_id"),
        sa.PrimaryKeyConstraint("id", name="pk_exemption"),
    )
    op.create_index("ix_exemption_account", "exemption", ["campaign_id", "account_id"])
    _table(
        "pause",
        sa.Column("id", _ID, nullable=False),
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("account_id", _exact(255), nullable=False),
        sa.Column("until", sa.String(length=10), nullable=False),
        sa.Column("owner", _TEXT, nullable=False),
        sa.Column("reason", _TEXT, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", _TEXT, nullable=False),
        sa.Column("removed_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_pause_campaign_id"),
        sa.PrimaryKeyConstraint("id", name="pk_pause"),
    )
    op.create_index("ix_pause_account", "pause", ["campaign_id", "account_id"])
    _table(
        "plan",
        sa.Column("digest", sa.String(length=128), nullable=False),
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("approved_at", sa.BigInteger(), nullable=False),
        sa.Column("approved_by", _TEXT, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("detail", _TEXT, nullable=False),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_plan_campaign_id"),
        sa.PrimaryKeyConstraint("digest", name="pk_plan"),
    )
    _table(
        "run",
        sa.Column("seq", _ID, nullable=False),
        sa.Column("run_id", sa.String(length=40), nullable=False),
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("baseline", sa.Boolean(), nullable=False),
        sa.Column("read", sa.BigInteger(), nullable=False),
        sa.Column("rejected", sa.BigInteger(), nullable=False),
        sa.Column("basis", sa.String(length=128), nullable=False),
        sa.Column("directory", _TEXT, nullable=False),
        sa.Column("directory_fingerprint", sa.String(length=128), nullable=False),
        sa.Column("directory_read_at", sa.BigInteger(), nullable=False),
        sa.Column("opens", sa.String(length=10), nullable=False),
        sa.Column("cutoff", sa.BigInteger(), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("config_digest", sa.String(length=128), nullable=False),
        sa.Column("mail_digest", sa.String(length=128), nullable=False),
        sa.Column("counts", _TEXT, nullable=False),
        sa.Column("evidence", _TEXT),
        sa.Column("evidence_at", sa.BigInteger()),
        sa.Column("manifest_digest", sa.String(length=128)),
        sa.Column("tool_version", sa.String(length=40), nullable=False),
        _one_of("ck_run_state", "state", ("recorded", "completed")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_run_campaign_id"),
        sa.PrimaryKeyConstraint("seq", name="pk_run"),
        sa.UniqueConstraint("run_id", name="uq_run_run_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_run_campaign", "run", ["campaign_id", "seq"])
    _table(
        "account",
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("account_id", _exact(255), nullable=False),
        sa.Column("tenure", sa.Integer(), nullable=False),
        sa.Column("username", _TEXT),
        sa.Column("email", _TEXT),
        sa.Column("notification_emails", _TEXT, nullable=False),
        sa.Column("display_name", _TEXT),
        sa.Column("given_name", _TEXT),
        sa.Column("locale", _TEXT),
        sa.Column("department", _TEXT),
        sa.Column("manager_email", _TEXT),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("federated", sa.Boolean(), nullable=False),
        sa.Column("account_type", sa.String(length=16), nullable=False),
        sa.Column("privileged", sa.Boolean(), nullable=False),
        sa.Column("methods", sa.String(length=200), nullable=False),
        sa.Column("default_method", sa.String(length=32)),
        sa.Column("methods_changed_at", sa.BigInteger()),
        sa.Column("phone", _TEXT),
        sa.Column("basis", sa.String(length=128), nullable=False),
        sa.Column("wave", sa.String(length=100), nullable=False),
        sa.Column("cutoff", sa.BigInteger(), nullable=False),
        sa.Column("standing", sa.String(length=32), nullable=False),
        sa.Column("standing_since", sa.BigInteger(), nullable=False),
        sa.Column("migrated_at", sa.BigInteger()),
        sa.Column("at_cutoff", sa.String(length=32), nullable=False),
        sa.Column("compliant", sa.Boolean(), nullable=False),
        sa.Column("reminded", sa.Boolean(), nullable=False),
        sa.Column("exempt_until", sa.String(length=10)),
        sa.Column("outcome", sa.String(length=32)),
        sa.Column("outcome_reason", _TEXT),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("gone_at", sa.BigInteger()),
        sa.Column("change_count", sa.Integer(), nullable=False),
        sa.Column("since_run", _ID, nullable=False),
        _one_of("ck_account_account_type", "account_type", _ACCOUNT_TYPES),
        _one_of("ck_account_at_cutoff", "at_cutoff", _AT_CUTOFF),
        _one_of("ck_account_outcome", "outcome", _OUTCOMES),
        _one_of("ck_account_standing", "standing", _STANDINGS),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_account_campaign_id"),
        sa.ForeignKeyConstraint(["since_run"], ["run.seq"], name="fk_account_since_run"),
        sa.PrimaryKeyConstraint("campaign_id", "account_id", name="pk_account"),
        sqlite_with_rowid=False,
    )
    _table(
        "account_history",
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("account_id", _exact(255), nullable=False),
        sa.Column("tenure", sa.Integer(), nullable=False),
        sa.Column("username", _TEXT),
        sa.Column("email", _TEXT),
        sa.Column("notification_emails", _TEXT, nullable=False),
        sa.Column("display_name", _TEXT),
        sa.Column("given_name", _TEXT),
        sa.Column("locale", _TEXT),
        sa.Column("department", _TEXT),
        sa.Column("manager_email", _TEXT),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("federated", sa.Boolean(), nullable=False),
        sa.Column("account_type", sa.String(length=16), nullable=False),
        sa.Column("privileged", sa.Boolean(), nullable=False),
        sa.Column("methods", sa.String(length=200), nullable=False),
        sa.Column("default_method", sa.String(length=32)),
        sa.Column("methods_changed_at", sa.BigInteger()),
        sa.Column("phone", _TEXT),
        sa.Column("basis", sa.String(length=128), nullable=False),
        sa.Column("wave", sa.String(length=100), nullable=False),
        sa.Column("cutoff", sa.BigInteger(), nullable=False),
        sa.Column("standing", sa.String(length=32), nullable=False),
        sa.Column("standing_since", sa.BigInteger(), nullable=False),
        sa.Column("migrated_at", sa.BigInteger()),
        sa.Column("at_cutoff", sa.String(length=32), nullable=False),
        sa.Column("compliant", sa.Boolean(), nullable=False),
        sa.Column("reminded", sa.Boolean(), nullable=False),
        sa.Column("exempt_until", sa.String(length=10)),
        sa.Column("outcome", sa.String(length=32)),
        sa.Column("outcome_reason", _TEXT),
        sa.Column("first_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("gone_at", sa.BigInteger()),
        sa.Column("change_count", sa.Integer(), nullable=False),
        sa.Column("since_run", _ID, nullable=False),
        sa.Column("until_run", _ID, nullable=False),
        _one_of("ck_account_history_account_type", "account_type", _ACCOUNT_TYPES),
        _one_of("ck_account_history_at_cutoff", "at_cutoff", _AT_CUTOFF),
        _one_of("ck_account_history_outcome", "outcome", _OUTCOMES),
        _one_of("ck_account_history_standing", "standing", _STANDINGS),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_account_history_campaign_id"),
        sa.ForeignKeyConstraint(["since_run"], ["run.seq"], name="fk_account_history_since_run"),
        sa.ForeignKeyConstraint(["until_run"], ["run.seq"], name="fk_account_history_until_run"),
        sa.PrimaryKeyConstraint("campaign_id", "account_id", "since_run", name="pk_account_history"),
        sqlite_with_rowid=False,
    )
    _table(
        "change",
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("account_id", _exact(255), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("tenure", sa.Integer(), nullable=False),
        sa.Column("change", sa.String(length=32), nullable=False),
        sa.Column("mailed", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("run_seq", _ID, nullable=False),
        sa.Column("had", sa.String(length=200), nullable=False),
        sa.Column("has", sa.String(length=200), nullable=False),
        sa.Column("closed_at", sa.BigInteger()),
        # A reserved word in MySQL, and nothing quotes it in a CHECK that is text.
        sa.CheckConstraint(sa.column("change").in_([sa.literal_column(f"'{word}'") for word in _CHANGES]), name=op.f("ck_change_change")),
        _one_of("ck_change_state", "state", ("recorded", "open", "confirmed", "unsaid")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_change_campaign_id"),
        sa.ForeignKeyConstraint(["run_seq"], ["run.seq"], name="fk_change_run_seq"),
        sa.PrimaryKeyConstraint("campaign_id", "account_id", "seq", name="pk_change"),
    )
    op.create_index(
        "ix_change_open",
        "change",
        ["campaign_id", "state", "account_id"],
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
    op.create_index("ix_change_run", "change", ["run_seq"])
    _table(
        "notice",
        sa.Column("id", _ID, nullable=False),
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("account_id", _exact(255), nullable=False),
        sa.Column("tenure", sa.Integer(), nullable=False),
        sa.Column("occasion", sa.String(length=40), nullable=False),
        sa.Column("told_cutoff", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("change_seq", sa.Integer()),
        sa.Column("run_seq", _ID, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("language", sa.String(length=40), nullable=False),
        sa.Column("standing", sa.String(length=32)),
        sa.Column("days_left", sa.Integer()),
        sa.Column("facts", _TEXT, nullable=False),
        _one_of("ck_notice_kind", "kind", _KINDS),
        _one_of("ck_notice_standing", "standing", _STANDINGS),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_notice_campaign_id"),
        sa.ForeignKeyConstraint(["run_seq"], ["run.seq"], name="fk_notice_run_seq"),
        sa.PrimaryKeyConstraint("id", name="pk_notice"),
        sa.UniqueConstraint("campaign_id", "account_id", "tenure", "occasion", "told_cutoff", name="uq_notice_key"),
    )
    _table(
        "rejection",
        sa.Column("run_seq", _ID, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("account_id", _TEXT),
        sa.Column("rejection", _TEXT, nullable=False),
        sa.ForeignKeyConstraint(["run_seq"], ["run.seq"], name="fk_rejection_run_seq"),
        sa.PrimaryKeyConstraint("run_seq", "position", name="pk_rejection"),
    )
    _table(
        "letter",
        sa.Column("id", _ID, nullable=False),
        sa.Column("notice_id", _ID, nullable=False),
        sa.Column("campaign_id", _ID, nullable=False),
        sa.Column("account_id", _exact(255), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("occasion", sa.String(length=40), nullable=False),
        sa.Column("address", _exact(320), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("reference", sa.CHAR(length=8), nullable=False),
        sa.Column("message_id", _exact(255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", _TEXT),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("resent", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.String(length=255)),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("not_before", sa.BigInteger()),
        sa.Column("ends", sa.BigInteger()),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("last_told_at", sa.BigInteger(), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger()),
        sa.Column("settled_at", sa.BigInteger()),
        sa.Column("reply", _TEXT),
        sa.Column("subject", _TEXT),
        sa.Column("mail_digest", sa.String(length=128)),
        sa.Column("language", sa.String(length=40)),
        sa.Column("standing", sa.String(length=32)),
        sa.Column("days_left", sa.Integer()),
        sa.Column("facts", _TEXT),
        _one_of("ck_letter_kind", "kind", _KINDS),
        _one_of("ck_letter_role", "role", ("primary", "notification", "previous")),
        _one_of("ck_letter_standing", "standing", _STANDINGS),
        _one_of("ck_letter_state", "state", _LETTER_STATES),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaign.id"], name="fk_letter_campaign_id"),
        sa.ForeignKeyConstraint(["notice_id"], ["notice.id"], name="fk_letter_notice_id"),
        sa.PrimaryKeyConstraint("id", name="pk_letter"),
        sa.UniqueConstraint("message_id", name="uq_letter_message_id"),
        sa.UniqueConstraint("notice_id", "address", name="uq_letter_address"),
        sa.UniqueConstraint("reference", name="uq_letter_reference"),
    )
    op.create_index("ix_letter_account", "letter", ["campaign_id", "account_id", "occasion"])
    op.create_index(
        "ix_letter_claim",
        "letter",
        ["campaign_id", "state", "priority", "last_told_at", "queued_at", "id", "not_before", "ends"],
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_letter_ends",
        "letter",
        ["campaign_id", "state", "ends"],
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index("ix_letter_settled", "letter", ["campaign_id", "settled_at"])
    op.create_index(
        "ix_letter_unsettled",
        "letter",
        ["campaign_id", "state", "lease_until"],
        sqlite_where=sa.text("state IN ('sending', 'uncertain')"),
        postgresql_where=sa.text("state IN ('sending', 'uncertain')"),
    )
    _table(
        "letter_event",
        sa.Column("id", _ID, nullable=False),
        sa.Column("letter_id", _ID, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("run_seq", _ID),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("from_state", sa.String(length=16)),
        sa.Column("to_state", sa.String(length=16), nullable=False),
        sa.Column("reason", _TEXT),
        sa.Column("reply", _TEXT),
        _one_of("ck_letter_event_from_state", "from_state", _LETTER_STATES),
        _one_of("ck_letter_event_to_state", "to_state", _LETTER_STATES),
        sa.ForeignKeyConstraint(["letter_id"], ["letter.id"], name="fk_letter_event_letter_id"),
        sa.ForeignKeyConstraint(["run_seq"], ["run.seq"], name="fk_letter_event_run_seq"),
        sa.PrimaryKeyConstraint("id", name="pk_letter_event"),
    )
    op.create_index("ix_letter_event_at", "letter_event", ["at"])
    op.create_index("ix_letter_event_letter", "letter_event", ["letter_id", "id"])
