"""The ledger's tables (design §9). The database keeps the rules: keys, CHECKs on every word, each constraint named.

* An instant is a BIGINT of microseconds since 1970-01-01T00:00Z on every database: exact, sortable, without a zone to lose, and
  read into numpy a million at a time. `UtcInstant` makes it an aware UTC datetime on the Python side.
* Identifiers and addresses compare byte for byte, so that a range of ids is the same range on every database.
* Text that comes from the directory and is never a key is unbounded: no long name may break a run half-way.
* `account` is the present, `account_history` the versions it had; version *v* of an account held from `since_run` until `until_run`.
  `account_outcome` has the outcomes that an account had while nothing else in it changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

from migrate.core.accounts import ACCOUNT_TYPES
from migrate.core.kinds import MANDATORY
from migrate.core.standing import AT_CUTOFF, DESTINATIONS, STANDINGS
from migrate.core.words import CHANGES, OUTCOMES
from migrate.ledger.states import STATES

NOTICE_KINDS: Final = (
    "announcement", "reminder", "final_reminder", "cutoff_passed", "change_confirmation", "check_up", "cutoff_moved", "manager_digest",
    "run_summary",
)  # fmt: skip
CHANGE_STATES: Final = ("recorded", "open", "confirmed", "unsaid")
"""`recorded`: nobody is to be told; `open`: its confirmation does not exist yet; `confirmed`: it does; `unsaid`: given up."""

RUN_STATES: Final = ("recorded", "completed")
ROLES: Final = ("primary", "notification", "previous")
PURPOSES: Final = ("run", "report")

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class UtcInstant(TypeDecorator[datetime]):
    """An aware UTC datetime, kept as BIGINT microseconds since the epoch.

    A naive datetime is refused: its instant is a guess. An int is taken for microseconds, as whole columns arrive.
    """

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | int | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002
        return micros(value) if isinstance(value, datetime) else value

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else EPOCH + timedelta(microseconds=value)


def micros(instant: datetime) -> int:
    """Whole microseconds since the epoch; raises ValueError for a datetime without a zone."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone")
    return (instant - EPOCH) // _MICROSECOND


metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

# SQLite numbers rows by itself only in a column of type INTEGER.
_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# What MySQL calls TEXT ends after 64 KB.
_Text = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def _exact(length: int) -> TypeEngine[str]:
    """Text that compares byte for byte. SQLite does by default; MySQL's and MariaDB's plain `_bin` would ignore trailing spaces."""
    return (
        sa.String(length)
        .with_variant(sa.String(length, collation="C"), "postgresql")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_0900_bin"), "mysql")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_nopad_bin"), "mariadb")
    )


def _one_of(column: str, words: Iterable[str]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


def _campaign() -> sa.Column[int]:
    return sa.Column("campaign_id", _Id, sa.ForeignKey("campaign.id"), nullable=False)


def _run(name: str = "run_seq", *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, _Id, sa.ForeignKey("run.seq"), nullable=nullable)


campaign = sa.Table(
    "campaign",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("name", _exact(100), nullable=False),
    sa.Column("secret", sa.String(64), nullable=False),
    sa.Column("created_at", UtcInstant, nullable=False),
    sa.UniqueConstraint("name"),
)
"""`secret` is 32 random hex digits; it keys the references, so that nobody outside can make one up."""

run = sa.Table(
    "run",
    metadata,
    sa.Column("seq", _Id, primary_key=True),
    sa.Column("run_id", sa.String(40), nullable=False),
    _campaign(),
    sa.Column("as_of", UtcInstant, nullable=False),
    sa.Column("started_at", UtcInstant, nullable=False),
    sa.Column("finished_at", UtcInstant),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("baseline", sa.Boolean, nullable=False),
    sa.Column("read", sa.BigInteger, nullable=False),
    sa.Column("rejected", sa.BigInteger, nullable=False),
    sa.Column("basis", sa.String(128), nullable=False),
    sa.Column("directory", _Text, nullable=False),
    sa.Column("directory_fingerprint", sa.String(128), nullable=False),
    sa.Column("directory_read_at", UtcInstant, nullable=False),
    sa.Column("opens", sa.String(10), nullable=False),
    sa.Column("cutoff", UtcInstant, nullable=False),
    sa.Column("timezone", sa.String(64), nullable=False),
    sa.Column("config_digest", sa.String(128), nullable=False),
    sa.Column("mail_digest", sa.String(128), nullable=False),
    sa.Column("counts", _Text, nullable=False),
    sa.Column("evidence", _Text),
    sa.Column("evidence_at", UtcInstant),
    sa.Column("manifest_digest", sa.String(128)),
    sa.Column("tool_version", sa.String(40), nullable=False),
    _one_of("state", RUN_STATES),
    sa.UniqueConstraint("run_id"),
    sa.Index("ix_run_campaign", "campaign_id", "seq"),
    sqlite_autoincrement=True,
)
"""A run whose decisions were recorded. One that failed before its commit leaves no row. `counts` is JSON: word → count, by subject."""


def _record() -> list[sa.Column[Any] | sa.CheckConstraint]:
    """The columns of `migrate.core.accounts.RECORD_COLUMNS`, with methods as words so that an auditor can read them."""
    return [
        sa.Column("account_id", _exact(255), nullable=False),
        sa.Column("tenure", sa.Integer, nullable=False),
        sa.Column("username", _Text),
        sa.Column("email", _Text),
        sa.Column("notification_emails", _Text, nullable=False),
        sa.Column("display_name", _Text),
        sa.Column("given_name", _Text),
        sa.Column("locale", _Text),
        sa.Column("department", _Text),
        sa.Column("manager_email", _Text),
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
        sa.Column("groups", _Text, nullable=False),
        sa.Column("phone", _Text),
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
        sa.Column("outcome_reason", _Text),
        sa.Column("first_seen_at", UtcInstant, nullable=False),
        sa.Column("gone_at", UtcInstant),
        sa.Column("change_count", sa.Integer, nullable=False),
        _one_of("account_type", ACCOUNT_TYPES),
        _one_of("standing", STANDINGS),
        _one_of("at_cutoff", AT_CUTOFF),
        _one_of("destination", DESTINATIONS),
        _one_of("outcome", OUTCOMES),
    ]


account = sa.Table(
    "account",
    metadata,
    _campaign(),
    *_record(),
    _run("since_run"),
    sa.PrimaryKeyConstraint("campaign_id", "account_id"),
    # Clustered by id: the run reads and rewrites ranges of ids in order.
    sqlite_with_rowid=False,
)

account_history = sa.Table(
    "account_history",
    metadata,
    # The key's columns first: SQLite 3.40 takes those of its WITHOUT ROWID tables for missing otherwise, in an integrity_check.
    _campaign(),
    _run("until_run"),
    *_record(),
    _run("since_run"),
    # Clustered by the run that superseded them: a run's lie together, in order of id, at the end. By account each would lie in a page of
    # its own, and a run would write as much again as for the accounts themselves. Whoever looks for an account asks for it run by run.
    sa.PrimaryKeyConstraint("campaign_id", "until_run", "account_id"),
    sqlite_with_rowid=False,
)
"""Superseded versions; append-only. A version held in every run from `since_run` up to, not including, `until_run`."""

account_outcome = sa.Table(
    "account_outcome",
    metadata,
    _campaign(),
    _run(),
    sa.Column("account_id", _exact(255), nullable=False),
    sa.Column("outcome", sa.String(32), nullable=False),
    sa.Column("outcome_reason", _Text),
    _one_of("outcome", OUTCOMES),
    # Clustered by run, as the history is, and for the same reason.
    sa.PrimaryKeyConstraint("campaign_id", "run_seq", "account_id"),
    sqlite_with_rowid=False,
)
"""The outcome of an account from `run_seq` on, where nothing else in it changed: a letter that was sent makes no other account of anybody.

It holds until the account has a newer version, or a newer row here. Whoever reads an account's outcome reads it through
`migrate.ledger.outcomes`.
"""

change = sa.Table(
    "change",
    metadata,
    _campaign(),
    sa.Column("account_id", _exact(255), nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("tenure", sa.Integer, nullable=False),
    sa.Column("change", sa.String(32), nullable=False),
    sa.Column("mailed", sa.Boolean, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("seen_at", UtcInstant, nullable=False),
    _run(),
    sa.Column("had", sa.String(200), nullable=False),
    sa.Column("has", sa.String(200), nullable=False),
    sa.Column("closed_at", UtcInstant),
    sa.PrimaryKeyConstraint("campaign_id", "account_id", "seq"),
    # `change` is a reserved word in MySQL, where a CHECK is text that nobody quotes for us.
    sa.CheckConstraint(sa.column("change").in_([sa.literal_column(f"'{word}'") for word in CHANGES]), name="change"),
    _one_of("state", CHANGE_STATES),
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

rejection = sa.Table(
    "rejection",
    metadata,
    _run(),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("account_id", _Text),
    sa.Column("rejection", _Text, nullable=False),
    sa.PrimaryKeyConstraint("run_seq", "position"),
)
"""A row of the directory that could not be an account, where it stood in the source, and why."""

notice = sa.Table(
    "notice",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    _campaign(),
    sa.Column("account_id", _exact(255), nullable=False),
    sa.Column("tenure", sa.Integer, nullable=False),
    sa.Column("occasion", sa.String(40), nullable=False),
    sa.Column("told_cutoff", sa.String(40), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("change_seq", sa.Integer),
    _run(),
    sa.Column("created_at", UtcInstant, nullable=False),
    sa.Column("language", sa.String(40), nullable=False),
    sa.Column("standing", sa.String(32)),
    sa.Column("days_left", sa.Integer),
    sa.Column("facts", _Text, nullable=False),
    _one_of("kind", NOTICE_KINDS),
    _one_of("standing", STANDINGS),
    sa.UniqueConstraint("campaign_id", "account_id", "tenure", "occasion", "told_cutoff", name="uq_notice_key"),
)
"""A decision to tell one account one thing once. `facts` is JSON: what the letter says, as it was known when it was decided."""

UNSETTLED: Final = ("claimed", "sending", "uncertain")
ENDED: Final = ("sent", "failed", "withdrawn")


def _partly(states: Sequence[str]) -> dict[str, Any]:
    """Makes an index hold the letters in some states alone, where a database can: SQLite and PostgreSQL."""
    listed = ", ".join(f"'{state}'" for state in states)
    where = sa.text(f"state IN ({listed})")
    return {"sqlite_where": where, "postgresql_where": where}


letter = sa.Table(
    "letter",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("notice_id", _Id, sa.ForeignKey("notice.id"), nullable=False),
    _campaign(),
    sa.Column("account_id", _exact(255), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("occasion", sa.String(40), nullable=False),
    sa.Column("address", _exact(320), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("reference", sa.CHAR(8), nullable=False),
    sa.Column("message_id", _exact(255), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", _Text),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("resent", sa.Boolean, nullable=False),
    sa.Column("owner", sa.String(255)),
    sa.Column("lease_until", UtcInstant),
    sa.Column("not_before", UtcInstant),
    sa.Column("ends", UtcInstant),
    sa.Column("priority", sa.SmallInteger, nullable=False),
    sa.Column("last_told_at", UtcInstant, nullable=False),
    sa.Column("queued_at", UtcInstant, nullable=False),
    sa.Column("claimed_at", UtcInstant),
    sa.Column("settled_at", UtcInstant),
    sa.Column("reply", _Text),
    sa.Column("subject", _Text),
    sa.Column("mail_digest", sa.String(128)),
    sa.Column("language", sa.String(40)),
    sa.Column("standing", sa.String(32)),
    sa.Column("days_left", sa.Integer),
    sa.Column("facts", _Text),
    sa.Column("message_digest", sa.String(64)),
    _one_of("kind", NOTICE_KINDS),
    _one_of("role", ROLES),
    _one_of("state", STATES),
    _one_of("standing", STANDINGS),
    sa.UniqueConstraint("notice_id", "address", name="uq_letter_address"),
    sa.UniqueConstraint("reference"),
    sa.UniqueConstraint("message_id"),
    sa.Index(
        "ix_letter_claim",
        "campaign_id",
        "state",
        "priority",
        "last_told_at",
        "queued_at",
        "id",
        "not_before",
        "ends",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    ),
    sa.Index(
        "ix_letter_ends",
        "campaign_id",
        "state",
        "ends",
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    ),
    sa.Index("ix_letter_unsettled", "campaign_id", "state", "lease_until", **_partly(UNSETTLED)),
    sa.Index("ix_letter_ended", "campaign_id", "state", **_partly(ENDED)),
    sa.Index("ix_letter_account", "campaign_id", "account_id", "occasion"),
)
"""A notice's letter to one address.

* `last_told_at` is the epoch for an account that was never told: those told least recently go first, on every database alike.
* `language`, `standing`, `days_left` and `facts` are null while the notice's own hold; a letter that was queued by a later decision
  than its notice (put back, or at a new address) carries those of that decision.
* `owner` and `lease_until` are of a letter that is claimed or sending; `claimed_at` is when a worker last began with it.
* `subject`, `mail_digest` and `message_digest` are of the last try: its subject, the templates it was composed with, and the SHA-256 of the
  message that was handed over (null where none was kept).
* `resent` is true once an uncertain confirmation went back into the queue by itself.
"""


def indexed(states: Sequence[str]) -> sa.ColumnElement[bool]:
    """That a letter is in one of the states of an index (`UNSETTLED`, `ENDED`), in the index's own words.

    SQLite compares them: with a parameter in their place it would look at every letter.
    """
    return written_out(letter.c.state, states)


def written_out(column: sa.ColumnElement[str], words: Iterable[str]) -> sa.ColumnElement[bool]:
    """That a column holds one of some words of ours. They stand in the statement itself, which is then the same text at every call."""
    return column.in_([sa.literal_column(f"'{word}'") for word in words])


def mandatory(of: sa.Table) -> sa.ColumnElement[bool]:
    """That a letter or notice is of a kind that nothing holds back."""
    return written_out(of.c.kind, sorted(MANDATORY))


WAITS: Final = ((letter.c.state == "queued",), (indexed(UNSETTLED), letter.c.state == "claimed"))
"""That no word of a letter was spoken yet, a condition for each index that knows it."""

letter_event = sa.Table(
    "letter_event",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("letter_id", _Id, sa.ForeignKey("letter.id"), nullable=False),
    sa.Column("at", UtcInstant, nullable=False),
    _run(nullable=True),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("from_state", sa.String(16)),
    sa.Column("to_state", sa.String(16), nullable=False),
    sa.Column("reason", _Text),
    sa.Column("reply", _Text),
    _one_of("from_state", STATES),
    _one_of("to_state", STATES),
    sa.Index("ix_letter_event_letter", "letter_id", "id"),
    sa.Index("ix_letter_event_at", "at"),
)
"""Every state a letter ever had; append-only, written in the transaction that changed the state."""


def _exception(name: str) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("id", _Id, primary_key=True),
        _campaign(),
        sa.Column("account_id", _exact(255), nullable=False),
        sa.Column("until", sa.String(10), nullable=False),
        sa.Column("owner", _Text, nullable=False),
        sa.Column("reason", _Text, nullable=False),
        sa.Column("created_at", UtcInstant, nullable=False),
        sa.Column("created_by", _Text, nullable=False),
        sa.Column("removed_at", UtcInstant),
        sa.Column("removed_by", _Text),
        sa.Column("removed_reason", _Text),
        sa.Index(f"ix_{name}_account", "campaign_id", "account_id"),
    )


exemption = _exception("exemption")
"""A time-limited, owned, reasoned exception for an account; `until` is its last day (ISO date).

`removed_by` and `removed_reason` are null for one that was taken back before the ledger kept them.
"""

pause = _exception("pause")
"""No reminders to an account up to and including the day `until`."""

bounce = sa.Table(
    "bounce",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    _campaign(),
    sa.Column("address", _exact(320), nullable=False),
    sa.Column("hard", sa.Boolean, nullable=False),
    sa.Column("code", _Text, nullable=False),
    sa.Column("reply", _Text),
    sa.Column("seen_at", UtcInstant, nullable=False),
    sa.Column("until", UtcInstant, nullable=False),
    sa.Column("cleared_at", UtcInstant),
    sa.Column("cleared_by", _Text),
    sa.Column("cleared_reason", _Text),
    sa.Index("ix_bounce_address", "campaign_id", "address"),
)
"""A mail server called an address dead: its status code, and its words (null where they were not kept).

A row is never changed but for the three columns that say when, by whom and why a person cleared it.
"""

plan = sa.Table(
    "plan",
    metadata,
    sa.Column("digest", sa.String(128), primary_key=True),
    _campaign(),
    sa.Column("approved_at", UtcInstant, nullable=False),
    sa.Column("approved_by", _Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("detail", _Text, nullable=False),
)

artefact = sa.Table(
    "artefact",
    metadata,
    sa.Column("digest", sa.String(128), primary_key=True),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("content", _Text, nullable=False),
    sa.Column("first_used_at", UtcInstant, nullable=False),
)
"""Each template, catalogue and mail setting that was ever used, once, so that a sent text can be composed again."""

run_lock = sa.Table(
    "run_lock",
    metadata,
    sa.Column("campaign_name", _exact(100), nullable=False),
    sa.Column("purpose", sa.String(16), nullable=False),
    sa.Column("owner", sa.String(255), nullable=False),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("acquired_at", UtcInstant, nullable=False),
    sa.Column("lease_until", UtcInstant, nullable=False),
    sa.PrimaryKeyConstraint("campaign_name", "purpose"),
    _one_of("purpose", PURPOSES),
)

rate_slot = sa.Table(
    "rate_slot",
    metadata,
    sa.Column("server", _exact(300), primary_key=True),
    sa.Column("next_at", UtcInstant, nullable=False),
)
"""When the next letter may go to a mail server (`host:port`), of all campaigns and workers of this ledger; on the real clock."""

rate_count = sa.Table(
    "rate_count",
    metadata,
    sa.Column("server", _exact(300), nullable=False),
    sa.Column("minute", UtcInstant, nullable=False),
    sa.Column("letters", sa.Integer, nullable=False),
    sa.PrimaryKeyConstraint("server", "minute"),
)
"""How many letters went to a mail server in the minute that begins at `minute`, kept for a day, where a day has a limit."""

identity = sa.Table(
    "identity",
    metadata,
    sa.Column("ledger_id", sa.String(32), primary_key=True),
    sa.Column("since", UtcInstant, nullable=False),
    sa.Column("runs_after", sa.BigInteger, nullable=False),
)
"""One row: 32 random hex digits that this ledger is known by in its evidence. Runs are numbered from above `runs_after`."""

accepted_evidence = sa.Table(
    "accepted_evidence",
    metadata,
    _campaign(),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("run_id", _exact(40), nullable=False),
    sa.Column("found_in", _Text, nullable=False),
    sa.Column("accepted_at", UtcInstant, nullable=False),
    sa.Column("accepted_by", _Text, nullable=False),
    sa.PrimaryKeyConstraint("campaign_id", "digest"),
)
"""Evidence of runs that this ledger does not know, which a person accepted beside it: the SHA-256 of its description (a manifest, or that
of an image), and where it was found."""

told_before = sa.Table(
    "told_before",
    metadata,
    _campaign(),
    sa.Column("account_id", _exact(255), nullable=False),
    sa.Column("reference", _exact(8), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("occasion", sa.String(40), nullable=False),
    sa.Column("told_cutoff", sa.String(40), nullable=False),
    sa.Column("address", _exact(320), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", _Text),
    sa.Column("told_at", UtcInstant, nullable=False),
    sa.Column("found_in", _Text, nullable=False),
    sa.PrimaryKeyConstraint("campaign_id", "account_id", "reference"),
)
"""Letters that another ledger sent, by the evidence that was accepted: each counts as told, and is never sent again.

`state` is sent; uncertain, if that ledger may have sent it after the evidence was written; or withdrawn, by a reviewer.
"""

confirmed_before = sa.Table(
    "confirmed_before",
    metadata,
    _campaign(),
    sa.Column("account_id", _exact(255), nullable=False),
    sa.Column("has", sa.String(200), nullable=False),
    sa.Column("seen_at", UtcInstant, nullable=False),
    sa.PrimaryKeyConstraint("campaign_id", "account_id"),
)
"""Accounts whose every change up to `seen_at`, when they had the methods `has`, another ledger confirmed, by the evidence accepted.
It is for the next run that records, which sees those changes as one, and takes the rows away."""
