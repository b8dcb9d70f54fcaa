"""The real clock, by which leases of letters and locks are judged, whatever a run takes for its `as_of` (design §12).

With a database server it is the server's, so that hosts whose clocks differ agree; with SQLite it is the host's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

from migrate.ledger import mysql

Clock = Callable[[sa.Connection], datetime]

# Both are the time of the statement: that of the transaction may be long ago where a row was waited for.
_POSTGRESQL: Final = sa.text("SELECT clock_timestamp()")
_MYSQL: Final = sa.text("SELECT UTC_TIMESTAMP(6)")


def _now() -> datetime:
    return datetime.now(UTC)


def real_now(connection: sa.Connection) -> datetime:
    """The time now (UTC), as the database knows it."""
    backend = connection.dialect.name
    if backend == "postgresql":
        told: datetime = connection.execute(_POSTGRESQL).scalar_one()
        return told.astimezone(UTC)
    if backend in mysql.BACKENDS:
        told = connection.execute(_MYSQL).scalar_one()
        return told.replace(tzinfo=UTC)
    return _now()
