"""The templates and settings that letters were composed with; each text is kept once, under its digest."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from migrate.ledger.schema import artefact


def known(connection: sa.Connection, digest: str) -> bool:
    """Whether a text is kept."""
    return connection.execute(sa.select(artefact.c.digest).where(artefact.c.digest == digest)).first() is not None


def content(connection: sa.Connection, digest: str) -> str | None:
    """The text with a digest; None if it is not kept."""
    return connection.execute(sa.select(artefact.c.content).where(artefact.c.digest == digest)).scalar()


def keep(connection: sa.Connection, digest: str, kind: str, content: str, now: datetime) -> None:
    """Keeps a text, unless it is kept already. Raises IntegrityError if another process keeps the same one at this moment."""
    if not known(connection, digest):
        connection.execute(sa.insert(artefact).values(digest=digest, kind=kind, content=content, first_used_at=now))
