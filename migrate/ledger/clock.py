"""The real clock: leases of letters and locks end by it, whatever the `as_of` of a run is (design §12).

With a database server it is the server's clock, so that hosts with different clocks agree; with SQLite it is the host's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

from migrate.ledger import mysql

LedgerClock = Callable[[sa.Connection], datetime]

# The time of the statement. The transaction may have begun long before, if it waited for a row.
_POSTGRESQL: Final = sa.text("SELECT clock_timestamp()")
_MYSQL: Final = sa.text("SELECT UTC_TIMESTAMP(6)")


def _now() -> datetime:
    return datetime.now(UTC)


def real_now(connection: sa.Connection) -> datetime:
    """The time now (UTC), as the database knows it."""
    backend = connection.dialect.name
    if backend == "postgresql":
        now: datetime = connection.execute(_POSTGRESQL).scalar_one()
        return now.astimezone(UTC)
    if backend in mysql.BACKENDS:
        now = connection.execute(_MYSQL).scalar_one()
        return now.replace(tzinfo=UTC)
    return _now()
