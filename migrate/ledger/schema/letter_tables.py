"""Notices, letters, the history of their states, the letters counted by mail server, and the texts that letters are composed with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa

from migrate.core.kinds import MANDATORY
from migrate.core.standing import STANDINGS
from migrate.ledger.schema.column_types import Id, LongText, UtcInstant, exact, metadata, of_campaign, of_run, one_of
from migrate.ledger.states import STATES

NOTICE_KINDS: Final = (
    "announcement", "reminder", "final_reminder", "cutoff_passed", "change_confirmation", "check_up", "cutoff_moved", "manager_digest",
    "run_summary",
)  # fmt: skip
ROLES: Final = ("primary", "notification", "previous")

notice = sa.Table(
    "notice",
    metadata,
    sa.Column("id", Id, primary_key=True),
    of_campaign(),
    sa.Column("account_id", exact(255), nullable=False),
    sa.Column("tenure", sa.Integer, nullable=False),
    sa.Column("occasion", sa.String(40), nullable=False),
    sa.Column("told_cutoff", sa.String(40), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("change_seq", sa.Integer),
    of_run(),
    sa.Column("created_at", UtcInstant, nullable=False),
    sa.Column("language", sa.String(40), nullable=False),
    sa.Column("standing", sa.String(32)),
    sa.Column("days_left", sa.Integer),
    sa.Column("facts", LongText, nullable=False),
    one_of("kind", NOTICE_KINDS),
    one_of("standing", STANDINGS),
    sa.UniqueConstraint("campaign_id", "account_id", "tenure", "occasion", "told_cutoff", name="uq_notice_key"),
)
"""A decision to tell one account one thing once. `facts` is JSON: the values that the letter prints, as of the decision."""

UNSETTLED: Final = ("claimed", "sending", "uncertain")
"""The states of the index `ix_letter_unsettled`: a worker has the letter, or nobody knows what became of it. An `uncertain` letter has a
`settled_at` all the same."""
ENDED: Final = ("sent", "failed", "withdrawn")
"""The states of the index `ix_letter_ended`: a letter leaves them only if it is queued again."""


def _partly(states: Sequence[str]) -> dict[str, Any]:
    """The options by which an index holds only letters in some states. SQLite and PostgreSQL support that."""
    listed = ", ".join(f"'{state}'" for state in states)
    where = sa.text(f"state IN ({listed})")
    return {"sqlite_where": where, "postgresql_where": where}


letter = sa.Table(
    "letter",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("notice_id", Id, sa.ForeignKey("notice.id"), nullable=False),
    of_campaign(),
    sa.Column("account_id", exact(255), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("occasion", sa.String(40), nullable=False),
    sa.Column("address", exact(320), nullable=False),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("reference", sa.CHAR(8), nullable=False),
    sa.Column("message_id", exact(255), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", LongText),
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
    sa.Column("reply", LongText),
    sa.Column("subject", LongText),
    sa.Column("mail_digest", sa.String(128)),
    sa.Column("language", sa.String(40)),
    sa.Column("standing", sa.String(32)),
    sa.Column("days_left", sa.Integer),
    sa.Column("facts", LongText),
    sa.Column("message_digest", sa.String(64)),
    one_of("kind", NOTICE_KINDS),
    one_of("role", ROLES),
    one_of("state", STATES),
    one_of("standing", STANDINGS),
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

* `last_told_at` is the epoch for an account that was never told: on every database, accounts told least recently go first.
* `language`, `standing`, `days_left` and `facts` are null while those of the notice hold. A letter that a later decision queued (put back,
  or at a new address) has the values of that decision.
* Only a letter that is claimed or sending has `owner` and `lease_until`; `claimed_at` is when a worker last began with it.
* `subject`, `mail_digest` and `message_digest` are of the last try: its subject, the digest of its templates, and the SHA-256 of the
  message as the mail server got it (null if the ledger did not keep it).
* `resent` is true once an uncertain confirmation went back into the queue by itself.
"""


def indexed(states: Sequence[str]) -> sa.ColumnElement[bool]:
    """The condition that a letter is in one of the states of an index (`UNSETTLED`, `ENDED`), written exactly as in the index.

    SQLite compares the texts; with a parameter instead, it would not use the index and read every letter.
    """
    return written_out(letter.c.state, states)


def written_out(column: sa.ColumnElement[str], words: Iterable[str]) -> sa.ColumnElement[bool]:
    """The condition that a column is one of some words of ours, without parameters, so that the statement is the same at every call."""
    return column.in_([sa.literal_column(f"'{word}'") for word in words])


def mandatory(of: sa.Table) -> sa.ColumnElement[bool]:
    """The condition that a letter or notice is of a kind that nothing holds back."""
    return written_out(of.c.kind, sorted(MANDATORY))


WAITS: Final = ((letter.c.state == "queued",), (indexed(UNSETTLED), letter.c.state == "claimed"))
"""The conditions that no worker has begun with a letter: one for each index that finds such letters."""

letter_event = sa.Table(
    "letter_event",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("letter_id", Id, sa.ForeignKey("letter.id"), nullable=False),
    sa.Column("at", UtcInstant, nullable=False),
    of_run(nullable=True),
    sa.Column("actor", sa.String(255), nullable=False),
    sa.Column("from_state", sa.String(16)),
    sa.Column("to_state", sa.String(16), nullable=False),
    sa.Column("reason", LongText),
    sa.Column("reply", LongText),
    one_of("from_state", STATES),
    one_of("to_state", STATES),
    sa.Index("ix_letter_event_letter", "letter_id", "id"),
    sa.Index("ix_letter_event_at", "at"),
)
"""The transitions of each letter; append-only, inserted in the transaction that changes the state."""

rate_slot = sa.Table(
    "rate_slot",
    metadata,
    sa.Column("server", exact(300), primary_key=True),
    sa.Column("next_at", UtcInstant, nullable=False),
)
"""When the next letter of any campaign or worker of this ledger may go to a mail server (`host:port`); by the real clock."""

rate_count = sa.Table(
    "rate_count",
    metadata,
    sa.Column("server", exact(300), nullable=False),
    sa.Column("minute", UtcInstant, nullable=False),
    sa.Column("letters", sa.Integer, nullable=False),
    sa.PrimaryKeyConstraint("server", "minute"),
)
"""How many letters went to a mail server in the minute that begins at `minute`. Counted if a day has a limit, and kept for a day."""

artefact = sa.Table(
    "artefact",
    metadata,
    sa.Column("digest", sa.String(128), primary_key=True),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("content", LongText, nullable=False),
    sa.Column("first_used_at", UtcInstant, nullable=False),
)
"""Each template, catalogue and mail setting that was ever used, kept once, so that a sent text can be composed again."""
