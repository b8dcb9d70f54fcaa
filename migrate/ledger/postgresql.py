"""What PostgreSQL needs to hold a ledger, and what is different behind a pooler such as PgBouncer (design §9, docs/ledger.md).

Every write and every read is one transaction, and leaves nothing in its session for the next one: no lock, no setting, no cursor. So each
transaction may get another session, as from a pooler in transaction mode. The one exception is a statement that the driver prepares in a
session to run it faster: the next session does not have it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

CONNECT: Final[dict[str, Any]] = {"client_encoding": "utf8"}
"""The options of a connection that a URL cannot change. A database of another encoding reports by itself what it cannot hold."""


def configure(engine: sa.Engine, patience: timedelta) -> None:
    """Sets up every session of an engine. A writer waits at most `patience` for another one."""
    sa.event.listen(engine, "connect", _prepare_nothing_behind_a_pooler)
    sa.event.listen(engine, "begin", _patient(patience))


def _prepare_nothing_behind_a_pooler(connection: Any, _: ConnectionPoolEntry) -> None:
    """Switches prepared statements off behind a pooler: it reports a process number of its own, which is not that of the server's process.

    Elsewhere they are worth their while: without them a letter costs PostgreSQL 40 % more time, and us 20 % more.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.pg_backend_pid()")
        (serving,) = cursor.fetchone()
    connection.rollback()
    if serving != connection.info.backend_pid:
        connection.prepare_threshold = None


def _patient(patience: timedelta) -> Callable[[sa.Connection], None]:
    """By default PostgreSQL waits for a lock without end, even if a stopped process holds it."""

    def begin(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("migrate_writes"):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {max(1, round(patience.total_seconds() * 1000))}")

    return begin
