"""Campaigns by their names."""

from __future__ import annotations

import sqlalchemy as sa

from migrate.ledger.schema import campaign


def find(connection: sa.Connection, name: str) -> int | None:
    """The id of a campaign; None before its first run."""
    return connection.execute(sa.select(campaign.c.id).where(campaign.c.name == name)).scalar()


def secret(connection: sa.Connection, name: str) -> str | None:
    """The secret that keys a campaign's references and the MAC of its plans; None before its first run."""
    return connection.execute(sa.select(campaign.c.secret).where(campaign.c.name == name)).scalar()
