"""What PostgreSQL needs to hold a ledger, and what is different behind a pooler such as PgBouncer (design §9, docs/ledger.md).

Every write and every look is one transaction, and nothing is left in a session for the next one: no lock, no setting, no cursor. So it does
not matter if each transaction gets another session, as a pooler does in transaction mode, but for one thing: statements that the driver
prepares in one session, to run them faster, are not in the next.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

CONNECT: Final[dict[str, Any]] = {"client_encoding": "utf8"}
"""What a URL may not change: a database of another encoding says itself what it cannot hold."""


def configure(engine: sa.Engine, patience: timedelta) -> None:
    """Set up every session of an engine: a writer waits so long for another one."""
    sa.event.listen(engine, "connect", _prepare_nothing_behind_a_pooler)
    sa.event.listen(engine, "begin", _patient(patience))


def _prepare_nothing_behind_a_pooler(connection: Any, _: ConnectionPoolEntry) -> None:
    """A pooler tells a client of a process number of its own, and not of the server's that works for it.

    Prepared statements are worth keeping elsewhere: without them a letter costs PostgreSQL 40 % more, and us 20 % more.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.pg_backend_pid()")
        (serving,) = cursor.fetchone()
    connection.rollback()
    if serving != connection.info.backend_pid:
        connection.prepare_threshold = None


def _patient(patience: timedelta) -> Callable[[sa.Connection], None]:
    """Of itself PostgreSQL waits for a lock as long as somebody holds it, be it a process that was stopped."""

    def begin(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("migrate_writes"):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {max(1, round(patience.total_seconds() * 1000))}")

    return begin
