"""What people decided: exemptions, pauses, approved plans; and the addresses that mail servers called unknown or disabled."""

from __future__ import annotations

import sqlalchemy as sa

from migrate.ledger.schema.column_types import Id, LongText, UtcInstant, exact, metadata, of_campaign


def _exception(name: str) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("id", Id, primary_key=True),
        of_campaign(),
        sa.Column("account_id", exact(255), nullable=False),
        sa.Column("until", sa.String(10), nullable=False),
        sa.Column("owner", LongText, nullable=False),
        sa.Column("reason", LongText, nullable=False),
        sa.Column("created_at", UtcInstant, nullable=False),
        sa.Column("created_by", LongText, nullable=False),
        sa.Column("removed_at", UtcInstant),
        sa.Column("removed_by", LongText),
        sa.Column("removed_reason", LongText),
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
    sa.Column("id", Id, primary_key=True),
    of_campaign(),
    sa.Column("address", exact(320), nullable=False),
    sa.Column("hard", sa.Boolean, nullable=False),
    sa.Column("code", LongText, nullable=False),
    sa.Column("reply", LongText),
    sa.Column("seen_at", UtcInstant, nullable=False),
    sa.Column("until", UtcInstant, nullable=False),
    sa.Column("cleared_at", UtcInstant),
    sa.Column("cleared_by", LongText),
    sa.Column("cleared_reason", LongText),
    sa.Index("ix_bounce_address", "campaign_id", "address"),
)
"""One refusal of an address by a mail server: the status code, and the reply (null if the ledger did not keep it). If it is `hard`, the
server called the address unknown or disabled, and the address counts as dead.

Only the three columns that say when, by whom and why a person cleared the row ever change.
"""

plan = sa.Table(
    "plan",
    metadata,
    sa.Column("digest", sa.String(128), primary_key=True),
    of_campaign(),
    sa.Column("approved_at", UtcInstant, nullable=False),
    sa.Column("approved_by", LongText, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("detail", LongText, nullable=False),
)
