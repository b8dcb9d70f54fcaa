"""Opening the ledger: made, upgraded, locked down to its owner; or only looked at, without one byte changed (design §9, §12).

SQLite is used in WAL mode with `synchronous=FULL`: what was committed survives a power cut. A writer begins with `BEGIN IMMEDIATE`, so
that two writers meet at the door and not half-way.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, StaticPool
from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_random

from migrate.errors import LedgerError
from migrate.ledger import mysql, revisions
from migrate.ledger.schema import metadata
from migrate.ledger.settings import LedgerSettings

__all__ = ["Ledger", "LedgerSettings", "is_busy"]

_T = TypeVar("_T")

WHERE: Final = "[ledger] url"
BUSY: Final = timedelta(minutes=2)
_NEEDED: Final = 64 << 10
"""Bytes that SQLite takes beside the database before it writes anything: its -shm file grows by 32 KiB."""
_LOOK_UP: Final = timedelta(seconds=0.2)
"""How long a wait for SQLite's one writer goes on before Python may heed a signal: none gets through while SQLite itself waits."""
_DRIVERS: Final = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_EXTRAS: Final = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}


@dataclass(frozen=True, slots=True)
class Ledger:
    """An open ledger. `begin` is one write transaction, `read` one consistent look; any thread may use either.

    `described` names the database without a password. A ledger that was opened read-only refuses `begin`. If opening it upgraded it,
    `upgraded_from` is the revision it had, and `kept` the copy of the file as it was (SQLite).
    """

    engine: sa.Engine
    described: str
    readonly: bool = False
    upgraded_from: str | None = None
    kept: Path | None = None
    _seen: _Seen | None = None
    _scratch: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def open(cls, settings: LedgerSettings, *, create: bool) -> Ledger:
        """The ledger, brought up to the tables of this version; with `create` a missing one is made.

        An older SQLite file is copied to `<file>.<revision>.bak` before it is upgraded.
        Raises LedgerError if it is missing, cannot be reached or written, or was written by a newer version.
        """
        url = _url(settings)
        path = _path(url)
        if path is not None:
            _prepare(path, create=create)
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
        """The ledger to look at, for a dry run, status and reports: nothing is written, not one byte, and no file appears beside it.

        A ledger that does not exist yet is an empty one. Raises LedgerError as `open` does, and for one that needs an upgrade.
        """
        url = _url(settings)
        path = _path(url)
        if path is None:
            ledger = cls._connected(url, readonly=True)
        elif path.exists() and path.stat().st_size:
            ledger = _look_at(path, describe(url))
        else:
            return _empty(describe(url))
        try:
            with ledger.explained(), ledger.engine.connect() as connection:
                found = revisions.current(connection)
        except BaseException:
            ledger.close()
            raise
        if found == revisions.HEAD:
            return ledger
        ledger.close()
        if found is None and path is None:
            return _empty(describe(url))
        raise revisions.mismatch(found, describe(url))

    @classmethod
    def _connected(cls, url: sa.URL, *, readonly: bool = False) -> Ledger:
        if url.get_backend_name() not in mysql.BACKENDS:
            return cls(_engine(url, readonly=readonly), describe(url), readonly=readonly)
        asking = cls(_engine(mysql.unasked(url), poolclass=NullPool), describe(url))
        with asking.explained(), _options_explained():
            served = mysql.served(asking.engine, asking.described)
        return cls(_engine(served), describe(url), readonly=readonly)

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """One write transaction, committed at the end, rolled back by an exception."""
        if self.readonly:
            raise LedgerError("was opened to be read only", where=WHERE)
        with self.explained(), self.engine.execution_options(migrate_writes=True).begin() as connection:
            yield connection

    def write(self, work: Callable[[sa.Connection], _T]) -> _T:
        """What `work` returns from one write transaction of its own, begun afresh if a database broke it off in favour of another one.

        So `work` does nothing that cannot be taken back.
        """
        for attempt in Retrying(
            retry=retry_if_exception(_is_broken_off), stop=stop_after_attempt(10), wait=wait_random(0, 0.1), reraise=True
        ):
            with attempt, self.begin() as connection:
                done = work(connection)
        return done

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """One consistent look at the ledger. Raises LedgerError if the file was written while it was looked at without a lock."""
        with self.explained(), self.engine.connect() as connection:
            yield connection
        if self._seen is not None:
            self._seen.check(self.described)

    def apart(self, patience: timedelta) -> sa.Engine:
        """The same database through connections of its own, which wait no longer than `patience` for another writer."""
        return _engine(self.engine.url, busy=patience, poolclass=NullPool)

    def hurried(self, patience: timedelta) -> Ledger:
        """The same ledger, for whoever waits no longer than `patience` for another writer at a time; to be closed by itself."""
        return replace(self, engine=_engine(self.engine.url, busy=patience))

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()
        if self._scratch is not None:
            self._scratch.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """A database's refusal becomes a LedgerError that says what to do; our own mistakes stay as they are."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            explained = _explain_sqlite(error, self.described)
            if explained is None:
                raise
            raise explained from error
        except DBAPIError as error:
            if not isinstance(error, OperationalError | sa.exc.DatabaseError) or isinstance(error, sa.exc.IntegrityError):
                raise
            explained = _explain(error, self.described, self.engine.url)
            if explained is None:
                raise
            raise explained from error


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a file looked like when it was opened without locks; if it looks different afterwards, what was read cannot be trusted."""

    path: Path
    size: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> _Seen:
        stat = path.stat()
        return cls(path, stat.st_size, stat.st_mtime_ns)

    def check(self, described: str) -> None:
        if self != _Seen.of(self.path):
            raise LedgerError(f"{described} was written while it was read; what was read is not shown.", where=WHERE, hint="Try again.")


def describe(url: sa.URL) -> str:
    """A database's name for people, without user, password or options."""
    if path := _path(url):
        return str(path)
    place = f" at {url.host}" if url.host else ""
    return f"the {url.get_backend_name()} database {url.database or '(default)'}{place}"


def is_busy(error: BaseException) -> bool:
    """True if a database refused only because somebody else is writing."""
    cause = getattr(error, "orig", error)
    if isinstance(cause, sqlite3.OperationalError):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(cause, "sqlstate", None) in ("55P03", "40001", "40P01") or mysql.code(cause) in mysql.BUSY


def _is_broken_off(error: BaseException) -> bool:
    """True if a server ended a transaction because it and another one waited for each other. SQLite has one writer, and never does."""
    cause = getattr(error.__cause__, "orig", None)
    return getattr(cause, "sqlstate", None) in ("40001", "40P01") or mysql.code(cause) == mysql.DEADLOCK


def _url(settings: LedgerSettings) -> sa.URL:
    try:
        url = sa.make_url(settings.url)
    except (ArgumentError, ValueError):
        # The text is not repeated, nor is the cause: it may hold a password.
        raise LedgerError(
            "is not a database URL.", where=WHERE, hint='Write it as "sqlite:///migrate.db" or "postgresql://user@host/name".'
        ) from None
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    if url.get_backend_name() not in ("sqlite", *_EXTRAS):
        raise LedgerError(
            f"names {url.get_backend_name()!r}, which cannot hold a ledger.", where=WHERE, hint="Use sqlite, postgresql or mariadb."
        )
    if url.get_backend_name() == "sqlite" and (not url.database or url.database == ":memory:" or url.database.startswith("file:")):
        raise LedgerError("names no file.", where=WHERE, hint='Write it as "sqlite:///migrate.db".')
    return url


def _path(url: sa.URL) -> Path | None:
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _prepare(path: Path, *, create: bool) -> None:
    """Make the file, readable by its owner alone, before SQLite would make it with the umask's rights."""
    if path.exists():
        if path.is_dir():
            raise LedgerError(f"{path} is a folder, not a file.", where=WHERE, hint="Name a file in it.")
        return
    if not create:
        raise LedgerError(f"there is no ledger at {path} yet.", where=WHERE, hint="`migrate run` makes it.")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise LedgerError(
            f"cannot make {path}: {(error.strerror or 'refused').lower()}.",
            where=WHERE,
            hint=f"`mkdir -p {path.parent}`, or name another place." if not path.parent.exists() else "Name a place that can be written.",
        ) from error


def _engine(url: sa.URL, *, readonly: bool = False, busy: timedelta = BUSY, poolclass: type[sa.Pool] = sa.QueuePool) -> sa.Engine:
    pooled: dict[str, Any] = {"max_overflow": -1} if poolclass is sa.QueuePool else {}
    with _options_explained(), _driver_explained(url):
        if url.get_backend_name() == "sqlite":
            engine = sa.create_engine(url, connect_args={"timeout": busy.total_seconds()}, poolclass=poolclass, **pooled)
            sa.event.listen(engine, "connect", _configure_sqlite)
            sa.event.listen(engine, "begin", _patient_sqlite(busy))
            return engine
        options: dict[str, Any] = {"pool_pre_ping": True, "poolclass": poolclass} | pooled
        if readonly and url.get_backend_name() == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "execution_options": {"postgresql_readonly": True}}
        if url.get_backend_name() in mysql.BACKENDS:
            engine = sa.create_engine(url, connect_args=mysql.CONNECT, **options)
            mysql.configure(engine, busy)
            return engine
        engine = sa.create_engine(url, **options)
        sa.event.listen(engine, "begin", _patient_postgres(busy))
        return engine


@contextmanager
def _driver_explained(url: sa.URL) -> Iterator[None]:
    try:
        yield
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        extra = _EXTRAS.get(url.get_backend_name(), "postgres")
        raise LedgerError(
            f"the driver for {url.drivername} is not installed.", where=WHERE, hint=f"Type: pip install 'sms-migrate[{extra}]'"
        ) from error


@contextmanager
def _options_explained() -> Iterator[None]:
    """PyMySQL looks at the options of a URL when it connects, the others when the engine is made."""
    try:
        yield
    except (ArgumentError, TypeError, ValueError):
        raise LedgerError(
            "has an option that the driver does not know.", where=WHERE, hint="Remove what follows the question mark."
        ) from None


def _configure_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    # The driver's own BEGIN comes too late (at the first write); with None it leaves transactions to `_begin_sqlite`.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    # A run's inserts land all over the unique indexes; in SQLite's own 2 MB they would be read again and again.
    connection.execute("PRAGMA cache_size = -49152")
    # What a statement would undo if it failed half-way goes to a file otherwise: page by page, and never read again.
    connection.execute("PRAGMA temp_store = MEMORY")


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _patient_sqlite(busy: timedelta) -> Callable[[sa.Connection], None]:
    """A writer waits at the door, in short waits one after the other, so that whoever asks it to end is heard."""
    short = min(_LOOK_UP, busy)

    def begin(connection: sa.Connection) -> None:
        if not connection.get_execution_options().get("migrate_writes"):
            _begin_sqlite(connection)
            return
        until = time.monotonic() + busy.total_seconds()
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {_milliseconds(short)}")
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as error:
                if not is_busy(error) or time.monotonic() >= until:
                    raise
            else:
                break
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {_milliseconds(busy)}")

    return begin


def _patient_postgres(busy: timedelta) -> Callable[[sa.Connection], None]:
    """Of itself PostgreSQL waits for a lock as long as somebody holds it, be it a process that was stopped."""

    def begin(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("migrate_writes"):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {max(1, _milliseconds(busy))}")

    return begin


def _milliseconds(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)


def _upgrade(engine: sa.Engine, path: Path | None, *, create: bool) -> tuple[str | None, Path | None]:
    """Brings the tables to this version; the older revision and the copy of the file, if there were any."""
    if path is not None:
        _use_wal(path)
    with engine.connect() as connection:
        found = revisions.current(connection)
    if found == revisions.HEAD:
        return None, None
    described = describe(engine.url)
    if found is None and not create:
        raise LedgerError(f"there is no ledger in {described} yet.", where=WHERE, hint="`migrate run` makes it.")
    kept = None
    if found is not None:
        revisions.require_older(found, described)
        if path is not None:
            kept = _keep_copy(path, found)
    with engine.execution_options(migrate_writes=True).begin() as connection:
        revisions.upgrade(connection)
    return found, kept


def _use_wal(path: Path) -> None:
    """SQLite turns one of two away at once who both change a file's journal, so it is asked again here."""
    connection = sqlite3.connect(path, timeout=BUSY.total_seconds())
    patiently = Retrying(retry=retry_if_exception(is_busy), stop=stop_after_delay(BUSY), wait=wait_random(0, 0.1), reraise=True)
    try:
        patiently(connection.execute, "PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def _keep_copy(path: Path, revision: str) -> Path:
    """A copy of the file as it was, through SQLite's own backup so that what still stands in the WAL is in it."""
    kept, growing = path.with_name(f"{path.name}.{revision}.bak"), path.with_name(f"{path.name}.{revision}.bak-part")
    growing.unlink(missing_ok=True)
    os.close(os.open(growing, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    source, target = sqlite3.connect(path), sqlite3.connect(growing)
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()
    growing.replace(kept)
    return kept


def _look_at(path: Path, described: str) -> Ledger:
    """A SQLite file opened so that no byte of it or beside it changes.

    Even a reader writes in WAL mode: it makes the -shm file, or writes its mark there. Without a WAL everything stands in the file
    itself, read as if it could not change (and `_Seen` notices if it did). With a WAL and its -shm, the -shm is read only. A WAL whose -shm
    is gone can be read only by somebody who may write, so a copy of both is.
    """
    wal, shm, journal = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal"))
    seen = scratch = None
    if wal.exists() and shm.exists():
        database, options = path, "mode=ro&readonly_shm=1"
    elif (wal.exists() and wal.stat().st_size) or journal.exists():
        scratch = tempfile.TemporaryDirectory(prefix="migrate-")
        for part in (path, wal, journal):
            if part.exists():
                shutil.copyfile(part, Path(scratch.name) / part.name)
        database, options = Path(scratch.name) / path.name, "mode=rw"
    else:
        database, options, seen = path, "mode=ro&immutable=1", _Seen.of(path)
    uri = f"file:{quote(str(database.absolute()))}?{options}"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY.total_seconds(), check_same_thread=False)
        connection.execute("PRAGMA query_only = ON")
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool, max_overflow=-1)
    sa.event.listen(engine, "connect", _leave_transactions_to_us)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return Ledger(engine, described, readonly=True, _seen=seen, _scratch=scratch)


def _leave_transactions_to_us(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None


def _empty(described: str) -> Ledger:
    """The ledger before the first run: every table, no row, in memory only."""
    engine = sa.create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    metadata.create_all(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    return Ledger(engine, described, readonly=True)


def _explain(error: DBAPIError, described: str, url: sa.URL) -> LedgerError | None:
    """A database's refusal as a sentence, or None for one that is our own mistake (and should be seen as a bug)."""
    cause = error.orig
    if isinstance(cause, sqlite3.DatabaseError):
        return _explain_sqlite(cause, described)
    if is_busy(error):
        return LedgerError(f"{described} is busy: another program is writing.", where=WHERE, hint="Try again in a minute.")
    number = mysql.code(cause)
    if not isinstance(error, OperationalError):
        return None
    said = " ".join(str(cause if number is None or cause is None else cause.args[-1]).split())
    if url.password:
        said = said.replace(str(url.password), "…")
    return LedgerError(f"cannot use {described}: {said}", where=WHERE, hint="`migrate check` tries it again.")


def _is_full(path: Path) -> bool:
    """SQLite calls a disk full only where it writes the database; where it makes the files beside it, the disk just fails."""
    try:
        return shutil.disk_usage(path.parent).free < _NEEDED
    except OSError:
        return False


def _explain_sqlite(cause: sqlite3.DatabaseError, described: str) -> LedgerError | None:
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_IOERR and _is_full(Path(described)):
        code = sqlite3.SQLITE_FULL
    sentences: dict[int, tuple[str, str]] = {
        sqlite3.SQLITE_FULL: (
            f"the disk that holds {described} is full, and what was to be written there was not.",
            "Make room and type the same command again; nothing is sent twice.",
        ),
        sqlite3.SQLITE_NOTADB: (f"{described} is not a SQLite database.", "Name another file, or move that one away."),
        sqlite3.SQLITE_CORRUPT: (
            f"{described} is damaged.",
            f"Put a backup in its place; `sqlite3 {described} .recover` saves what is left.",
        ),
        sqlite3.SQLITE_READONLY: (f"{described} cannot be written.", "Give this account write access to the file and to its folder."),
        sqlite3.SQLITE_PERM: (f"{described} cannot be opened.", "Give this account access to the file and to its folder."),
        sqlite3.SQLITE_CANTOPEN: (f"{described} cannot be opened.", "Give this account access to the file and to its folder."),
        sqlite3.SQLITE_IOERR: (f"the disk that holds {described} fails.", "Look at the disk, then run again."),
        sqlite3.SQLITE_BUSY: (f"{described} is busy: another program is writing.", "Try again in a minute."),
        sqlite3.SQLITE_LOCKED: (f"{described} is busy: another program is writing.", "Try again in a minute."),
    }
    found = sentences.get(code)
    return None if found is None else LedgerError(found[0], where=WHERE, hint=found[1])
