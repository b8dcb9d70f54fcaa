"""Addresses that a mail server called unknown or disabled, and that are left alone for a while (design §11)."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from migrate.ledger.schema import bounce


def clear(connection: sa.Connection, campaign_id: int, address: str, now: datetime) -> str | None:
    """The address takes mail after all: it is mailed again. What the server had last called it, or None if it did not count as dead.

    The rows stay, with `cleared_at`; a run compares addresses without regard to case, and so does this.
    """
    b = bounce.c
    same = sa.or_(b.address == address, sa.func.lower(b.address) == address.lower())  # a database may fold ASCII alone
    mine = (b.campaign_id == campaign_id, same, b.hard, b.until > now, b.cleared_at.is_(None))
    code = connection.execute(sa.select(b.code).where(*mine).order_by(b.id.desc()).limit(1)).scalar()
    if code is not None:
        connection.execute(sa.update(bounce).where(*mine).values(cleared_at=now))
    return code
