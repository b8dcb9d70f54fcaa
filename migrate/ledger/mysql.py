"""What MariaDB and MySQL need to hold a ledger (design §9).

Every session is strict, holds all of Unicode and never commits by itself, whatever the server's settings are. A writer works in READ
COMMITTED: the server's default, REPEATABLE READ, also locks the gaps between letters, and workers would wait for each other. A reader gets
one snapshot.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from migrate.errors import LedgerError

BACKENDS: Final = ("mysql", "mariadb")
CONNECT: Final[dict[str, Any]] = {"charset": "utf8mb4", "autocommit": False}
"""The options of a connection that a URL cannot change."""

DEADLOCK: Final = 1213
BUSY: Final = (DEADLOCK, 1205)  # 1205: the wait for a lock took too long
_CHECK_REFUSED: Final = (4025, 3819)  # MariaDB's number and MySQL's

# The first MariaDB with SKIP LOCKED, and the first MySQL with a collation that compares bytes.
_OLDEST: Final = {"mariadb": (10, 6), "mysql": (8, 0, 17)}


def probe_url(url: sa.URL) -> sa.URL:
    """The URL for a first connection, before we know which of the two servers answers."""
    return url.set(drivername=url.drivername.replace("mariadb", "mysql", 1))


def server_url(engine: sa.Engine, described: str) -> sa.URL:
    """The URL that suits the server that answers: people also write `mysql://` for a MariaDB, whose collations have other names.

    Raises LedgerError if the server is too old.
    """
    with engine.connect():
        dialect: Any = engine.dialect
        kind, version = "mariadb" if dialect.is_mariadb else "mysql", tuple(dialect.server_version_info)
    numbers = tuple(part for part in version if isinstance(part, int))
    if numbers < _OLDEST[kind]:
        name, needed = {"mariadb": "MariaDB", "mysql": "MySQL"}[kind], ".".join(map(str, _OLDEST[kind]))
        found = ".".join(map(str, numbers))
        raise LedgerError(
            f"{described} is on {name} {found}.", where="[ledger] url", hint=f"A ledger needs {name} {needed} or newer, or PostgreSQL."
        )
    return engine.url.set(drivername=engine.url.drivername.replace("mysql", kind, 1))


def configure(engine: sa.Engine, patience: timedelta) -> None:
    """Sets up every session of an engine. Only a transaction that is marked `migrate_writes` can write."""

    variables = {
        "sql_mode": "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
        "foreign_key_checks": 1,
        "innodb_lock_wait_timeout": max(1, round(patience.total_seconds())),
    }
    if engine.dialect.name == "mariadb":
        # MariaDB turns a long IN list into a join, which may read, and lock, every letter.
        variables["in_predicate_conversion_threshold"] = 0
    session = "SET " + ", ".join(f"SESSION {name} = {value}" for name, value in variables.items())

    def connected(connection: Any, _: ConnectionPoolEntry) -> None:
        with connection.cursor() as cursor:
            cursor.execute(session)
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")

    def begins(connection: sa.Connection) -> None:
        if not connection.get_execution_options().get("migrate_writes"):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    def refused(context: sa.engine.ExceptionContext) -> sa.exc.IntegrityError | None:
        # The drivers report a violated CHECK as an operational error, as if the server were out of order.
        if code(context.original_exception) not in _CHECK_REFUSED:
            return None
        return sa.exc.IntegrityError(context.statement, context.parameters, context.original_exception)

    sa.event.listen(engine, "handle_error", refused, retval=True)
    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "begin", begins)


def through(statement: sa.Select[Any], table: sa.Table, index: str) -> sa.Select[Any]:
    """The statement with a hint that makes it find its rows by one index.

    These servers lock every row that a statement reads, not only those that it returns: with another index a worker would lock, or wait
    for, letters that are not its own. Other databases do not get the hint.
    """
    for backend in BACKENDS:
        statement = statement.with_hint(table, f"FORCE INDEX ({index})", dialect_name=backend)
    return statement


def code(error: BaseException | None) -> int | None:
    """The number that the server or the driver gave an error; None if it has none."""
    first = error.args[0] if error is not None and error.args else None
    return first if isinstance(first, int) else None
