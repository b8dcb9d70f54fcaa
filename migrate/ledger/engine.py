"""Opens the ledger: creates it, upgrades it and keeps it private to its owner; or opens it read-only (design §9, §12).

SQLite is used in WAL mode with `synchronous=FULL`: what was committed survives a power cut. A writer begins with `BEGIN IMMEDIATE`, so
that it waits for another writer before it has read anything, and does not fail half-way.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool, StaticPool
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random

from migrate.errors import LedgerError, NoLedgerError
from migrate.ledger import database_errors, mysql, postgresql, revisions, sqlite
from migrate.ledger.database_errors import WHERE, driver_explained, is_broken_off, options_explained
from migrate.ledger.schema import metadata
from migrate.ledger.settings import LedgerSettings
from migrate.process.prefetch import meanwhile
from migrate.settings import DRIVER_EXTRAS, DRIVERS

__all__ = ["Ledger", "LedgerSettings"]

_T = TypeVar("_T")

PATIENCE: Final = timedelta(minutes=2)
"""How long a connection waits for another writer."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """An open ledger. `begin` is one write transaction, `read` one consistent read; any thread may use either.

    `described` names the database without a password. A ledger that was opened read-only refuses `begin`. If `open` upgraded the ledger,
    `upgraded_from` is the revision before, and `kept` the copy of the file before (SQLite).
    """

    engine: sa.Engine
    described: str
    readonly: bool = False
    upgraded_from: str | None = None
    kept: Path | None = None
    _seen: sqlite.Seen | None = None
    _scratch: ExitStack | None = None
    _checkpoints: list[Future[None]] = field(default_factory=list)

    @classmethod
    def open(cls, settings: LedgerSettings, *, create: bool) -> Ledger:
        """Opens the ledger and upgrades it to the tables of this version; with `create` a missing one is created.

        An older SQLite file is copied to `<file>.<revision>.bak` before it is upgraded.
        Raises LedgerError if it is missing, cannot be reached or written, or was written by a newer version.
        """
        url = _url(settings)
        path = _path(url)
        if path is not None:
            sqlite.prepare(path, create=create)
        ledger = cls._connected(url)
        try:
            with ledger.explained():
                found, kept = _upgrade(ledger.engine, path, create=create)
        except BaseException:
            ledger.close()
            raise
        return replace(ledger, upgraded_from=found, kept=kept)

    @classmethod
    def open_readonly(cls, settings: LedgerSettings) -> Ledger:
        """Opens the ledger read-only, for a dry run, status and reports: no byte changes, and no file appears beside it.

        A ledger that does not exist yet reads as an empty one. Raises LedgerError as `open` does, and for one that needs an upgrade.
        """
        url = _url(settings)
        path = _path(url)
        if path is None:
            ledger = cls._connected(url, readonly=True)
        elif sqlite.exists(path):
            engine, seen, scratch = sqlite.open_readonly(path, PATIENCE)
            ledger = cls(engine, describe(url), readonly=True, _seen=seen, _scratch=scratch)
        else:
            return _empty(describe(url))
        try:
            with ledger.explained(), ledger.engine.connect() as connection:
                found = revisions.current(connection)
                bare = found is None and (path is None or not sa.inspect(connection).get_table_names())
        except BaseException:
            ledger.close()
            raise
        if found == revisions.HEAD:
            return ledger
        ledger.close()
        if bare:
            return _empty(describe(url))
        raise revisions.mismatch(found, describe(url))

    @classmethod
    def _connected(cls, url: sa.URL, *, readonly: bool = False) -> Ledger:
        if url.get_backend_name() not in mysql.BACKENDS:
            return cls(_engine(url, readonly=readonly), describe(url), readonly=readonly)
        probe = cls(_engine(mysql.probe_url(url), poolclass=NullPool), describe(url))
        with probe.explained(), options_explained():
            known = mysql.server_url(probe.engine, probe.described)
        return cls(_engine(known), describe(url), readonly=readonly)

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """One write transaction, committed at the end, rolled back by an exception."""
        if self.readonly:
            raise LedgerError("was opened read-only.", where=WHERE)
        with self.explained(), self.engine.execution_options(migrate_writes=True).begin() as connection:
            yield connection

    def write(self, work: Callable[[sa.Connection], _T]) -> _T:
        """Calls `work` in a write transaction of its own and returns what it returns.

        If the database ends the transaction in favour of another one (a deadlock), `work` is called again in a new one. So `work` may
        have no effect outside the database.
        """
        for attempt in Retrying(
            retry=retry_if_exception(is_broken_off), stop=stop_after_attempt(10), wait=wait_random(0, 0.1), reraise=True
        ):
            with attempt, self.begin() as connection:
                done = work(connection)
        return done

    def write_much(self, work: Callable[[sa.Connection], _T]) -> _T:
        """Like `write`, for a transaction that changes many pages. After its commit SQLite copies them from the WAL into the file (a
        checkpoint), which takes as long again. Here a thread does that while the caller goes on; `close` waits for the thread."""
        path = _path(self.engine.url)
        if path is None:
            return self.write(work)
        engine = self.apart(PATIENCE)
        sa.event.listen(engine, "connect", sqlite.without_checkpoints)
        done = replace(self, engine=engine).write(work)
        self._checkpoints.append(meanwhile(lambda: sqlite.checkpoint(path)))
        return done

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent read of the ledger. Raises LedgerError if a file that is read without a lock was written meanwhile."""
        with self.explained(), self.engine.connect() as connection:
            yield connection
        if self._seen is not None:
            self._seen.check(self.described)

    @contextmanager
    def read_through(self) -> Iterator[sa.Connection]:
        """Like `read`, for somebody who reads a large part of the ledger once."""
        with self.read() as connection, sqlite.few_pages(connection):
            yield connection

    def apart(self, patience: timedelta) -> sa.Engine:
        """An engine of its own for the same database; its connections wait at most `patience` for another writer."""
        return _engine(self.engine.url, busy=patience, poolclass=NullPool)

    def with_patience(self, patience: timedelta) -> Ledger:
        """The same ledger through an engine that waits at most `patience` for another writer. The caller closes it."""
        return replace(self, engine=_engine(self.engine.url, busy=patience))

    def close(self) -> None:
        """Closes every connection."""
        wait(self._checkpoints)
        self.engine.dispose()
        if self._scratch is not None:
            self._scratch.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns a database's error into a LedgerError that says what to do. Our own mistakes (bugs) stay as they are."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            told = database_errors.explained_sqlite(error, self.described)
            if told is None:
                raise
            raise told from error
        except DBAPIError as error:
            if isinstance(error, sa.exc.IntegrityError):
                raise
            told = database_errors.explained(error, self.described, self.engine.url)
            if told is None:
                raise
            raise told from error


def describe(url: sa.URL) -> str:
    """A database's name for people, without user, password or options."""
    if path := _path(url):
        return str(path)
    place = f" at {url.host}" if url.host else ""
    return f"the {url.get_backend_name()} database {url.database or '(default)'}{place}"


def _url(settings: LedgerSettings) -> sa.URL:
    try:
        url = sa.make_url(settings.url)
    except (ArgumentError, ValueError):
        # Neither the text nor the cause is shown: the URL may hold a password.
        raise LedgerError(
            "is not a database URL.", where=WHERE, hint='Write it as "sqlite:///migrate.db" or "postgresql://user@host/name".'
        ) from None
    url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
    if url.get_backend_name() not in ("sqlite", *DRIVER_EXTRAS):
        raise LedgerError(
            f"names {url.get_backend_name()!r}, which cannot hold a ledger.", where=WHERE, hint="Use sqlite, postgresql or mariadb."
        )
    if url.get_backend_name() == "sqlite" and (not url.database or url.database == ":memory:" or url.database.startswith("file:")):
        raise LedgerError("names no file.", where=WHERE, hint='Write it as "sqlite:///migrate.db".')
    return url


def _path(url: sa.URL) -> Path | None:
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _engine(url: sa.URL, *, readonly: bool = False, busy: timedelta = PATIENCE, poolclass: type[sa.Pool] = sa.QueuePool) -> sa.Engine:
    pooled: dict[str, Any] = {"max_overflow": -1} if poolclass is sa.QueuePool else {}
    with options_explained(), driver_explained(url):
        if url.get_backend_name() == "sqlite":
            engine = sa.create_engine(url, connect_args={"timeout": busy.total_seconds()}, poolclass=poolclass, **pooled)
            sa.event.listen(engine, "connect", sqlite.configure)
            sa.event.listen(engine, "begin", sqlite.patient(busy))
            return engine
        options: dict[str, Any] = {"pool_pre_ping": True, "poolclass": poolclass} | pooled
        if readonly and url.get_backend_name() == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "execution_options": {"postgresql_readonly": True}}
        if url.get_backend_name() in mysql.BACKENDS:
            engine = sa.create_engine(url, connect_args=mysql.CONNECT, **options)
            mysql.configure(engine, busy)
            return engine
        engine = sa.create_engine(url, connect_args=postgresql.CONNECT, **options)
        postgresql.configure(engine, busy)
        return engine


def _upgrade(engine: sa.Engine, path: Path | None, *, create: bool) -> tuple[str | None, Path | None]:
    """Upgrades the tables to this version. Returns the revision before and the copy of the file; None for what there was not."""
    if path is not None:
        sqlite.use_wal(path, PATIENCE)
    with engine.connect() as connection:
        found = revisions.current(connection)
    if found == revisions.HEAD:
        return None, None
    described = describe(engine.url)
    if found is None and not create:
        raise NoLedgerError(f"there is no ledger in {described} yet.", where=WHERE, hint="`migrate run` makes it.")
    kept = None
    if found is not None:
        revisions.require_older(found, described)
        if path is not None:
            kept = sqlite.keep_copy(path, found)
    with engine.execution_options(migrate_writes=True).begin() as connection:
        revisions.upgrade(connection)
    return found, kept


def _empty(described: str) -> Ledger:
    """An empty ledger, as before the first run: every table, no row, in memory only."""
    engine = sa.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    metadata.create_all(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    return Ledger(engine, described, readonly=True)
