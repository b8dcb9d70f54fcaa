"""The identity of this ledger, and what a person accepted from the evidence of other ledgers."""

from __future__ import annotations

import sqlalchemy as sa

from migrate.ledger.schema.column_types import LongText, UtcInstant, exact, metadata, of_campaign

identity = sa.Table(
    "identity",
    metadata,
    sa.Column("ledger_id", sa.String(32), primary_key=True),
    sa.Column("since", UtcInstant, nullable=False),
    sa.Column("runs_after", sa.BigInteger, nullable=False),
)
"""One row: 32 random hex digits that identify this ledger in its evidence. Runs get numbers above `runs_after`."""

accepted_evidence = sa.Table(
    "accepted_evidence",
    metadata,
    of_campaign(),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("run_id", exact(40), nullable=False),
    sa.Column("found_in", LongText, nullable=False),
    sa.Column("accepted_at", UtcInstant, nullable=False),
    sa.Column("accepted_by", LongText, nullable=False),
    sa.PrimaryKeyConstraint("campaign_id", "digest"),
)
"""Accepted evidence of runs that this ledger does not have: the SHA-256 of the manifest (or of the file that names the run of a cache), and
the place where it was found."""

told_before = sa.Table(
    "told_before",
    metadata,
    of_campaign(),
    sa.Column("account_id", exact(255), nullable=False),
    sa.Column("reference", exact(8), nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("occasion", sa.String(40), nullable=False),
    sa.Column("told_cutoff", sa.String(40), nullable=False),
    sa.Column("address", exact(320), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("reason", LongText),
    sa.Column("told_at", UtcInstant, nullable=False),
    sa.Column("found_in", LongText, nullable=False),
    sa.PrimaryKeyConstraint("campaign_id", "account_id", "reference"),
)
"""Letters that another ledger sent, according to accepted evidence: what they say counts as told, and they are never sent again.

`state` is `sent`; `uncertain` if that ledger may have sent it after the evidence was written; or `withdrawn`, by a reviewer.
"""

confirmed_before = sa.Table(
    "confirmed_before",
    metadata,
    of_campaign(),
    sa.Column("account_id", exact(255), nullable=False),
    sa.Column("has", sa.String(200), nullable=False),
    sa.Column("seen_at", UtcInstant, nullable=False),
    sa.PrimaryKeyConstraint("campaign_id", "account_id"),
)
"""Accounts of which another ledger confirmed every change up to `seen_at`, according to accepted evidence; they had the methods `has` then.
The next run that records sees those changes as one, and deletes the rows."""
