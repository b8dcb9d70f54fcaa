"""The ledger in a SQLite file: creates it, sets up its connections and copies it; or opens it read-only (design §9, §12)."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from migrate import files
from migrate.errors import LedgerError, NoLedgerError
from migrate.ledger.database_errors import WHERE, is_busy, read_only

_SHORT_WAIT: Final = timedelta(seconds=0.2)
"""How long SQLite itself waits for another writer at a time: Python handles no signal while SQLite waits."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Size and time of a file that was opened without locks. If they differ afterwards, what was read cannot be trusted."""

    path: Path
    size: int
    changed_ns: int

    @classmethod
    def of(cls, path: Path) -> Seen:
        stat = path.stat()
        return cls(path, stat.st_size, stat.st_mtime_ns)

    def check(self, described: str) -> None:
        if self != Seen.of(self.path):
            raise LedgerError(f"{described} was written while it was read; what was read is not shown.", where=WHERE, hint="Try again.")


def exists(path: Path) -> bool:
    """Whether there is a file of a ledger. An empty file is none: SQLite would take it for a database without tables."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def beside(path: Path) -> tuple[Path, Path]:
    """The files that SQLite keeps beside a file in WAL mode."""
    wal, shm = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    return wal, shm


def exposed(path: Path) -> str | None:
    """A sentence about the files of a ledger that other users than the owner may read or write; None if there are none.

    We report the rights and do not change them: the owner decides who else has access, and access lists show in these bits as well.
    """
    path, found = Path(os.path.realpath(path)), []
    for each in (path, *beside(path)) if os.name == "posix" else ():
        with contextlib.suppress(OSError):
            mode = stat.S_IMODE(each.stat().st_mode)
            if mode & 0o077:
                found.append((str(each), f"{mode:04o}"))
    if not found:
        return None
    said = ", ".join(f"{name} (mode {mode})" for name, mode in found)
    hint = " ".join(shlex.quote(name) for name, _ in found)
    return f"others than its owner have rights to the ledger, which holds personal data: {said}. Type: chmod 600 {hint}"


def prepare(path: Path, *, create: bool) -> None:
    """Creates the file, readable by its owner alone, before SQLite would create it with the rights of the umask.

    The file gets its name only once SQLite's header is in it, so an empty file is not ours, and is refused. A file that cannot be written
    is refused before SQLite opens it: SQLite would create the files beside it just as read-only and leave them there, where they hinder
    the next process that may write.
    """
    path = Path(os.path.realpath(path))  # also follows a link to a file that does not exist yet
    if path.exists():
        if path.is_dir():
            raise LedgerError(f"{path} is a folder, not a file.", where=WHERE, hint="Name a file in it.")
        if not exists(path):
            raise LedgerError(
                f"{path} is empty (0 bytes), which no ledger ever is.",
                where=WHERE,
                hint=f"Put the newest backup in its place; if this is the campaign's first run, `rm {path}` and run again.",
            )
        for each in (path, *beside(path)):
            if _is_read_only(each):
                said, hint = read_only(str(each))
                raise LedgerError(said, where=WHERE, hint=hint)
        return
    if not create:
        raise NoLedgerError(f"there is no ledger at {path} yet.", where=WHERE, hint="`migrate run` makes it.")
    try:
        _make(path)
    except FileExistsError:
        return
    except OSError as error:
        raise LedgerError(
            f"cannot make {path}: {(error.strerror or 'refused').lower()}.",
            where=WHERE,
            hint=f"`mkdir -p {path.parent}`, or name another place." if not path.parent.exists() else "Name a place that can be written.",
        ) from error


def _make(path: Path) -> None:
    """Creates a file with SQLite's header and nothing else in it. Raises FileExistsError if there is one by now."""
    with files.work_folder(path.parent, "ledger", path.name) as work:
        work.create(path.name).close()
        with contextlib.closing(sqlite3.connect(work.path / path.name)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        work.hand_over(path.name, path.parent, path.name)


def _is_read_only(path: Path) -> bool:
    """Whether a file exists and cannot be written. A file that another process removes or creates at this moment does not count."""
    try:
        before = path.stat()
        return not os.access(path, os.W_OK) and os.path.samestat(before, path.stat())
    except FileNotFoundError:
        return False


def configure(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    """Sets up a new connection."""
    # The driver's own BEGIN comes too late (at the first write); with None it leaves transactions to `begin`.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    # A run inserts all over the unique indexes; in SQLite's default cache of 2 MB their pages would be read again and again.
    connection.execute("PRAGMA cache_size = -49152")
    # By default SQLite writes to a file, page by page, what it would need to undo a statement, and hardly ever reads it.
    connection.execute("PRAGMA temp_store = MEMORY")


@contextmanager
def few_pages(connection: sa.Connection) -> Iterator[None]:
    """Until the end of the context, a connection to SQLite keeps few pages in memory: pages that are read once are of no use there."""
    if connection.dialect.name != "sqlite":
        yield
        return
    size = connection.exec_driver_sql("PRAGMA cache_size").scalar_one()
    connection.exec_driver_sql("PRAGMA cache_size = -2048")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"PRAGMA cache_size = {size}")


def without_checkpoints(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    """Sets up a connection whose commits leave all pages in the WAL. Another connection has to `checkpoint` them."""
    connection.execute("PRAGMA wal_autocheckpoint = 0")


def checkpoint(path: Path) -> None:
    """Copies committed pages from the WAL into the file, as far as no reader needs the old ones. If it fails, a later one does it."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def begin(connection: sa.Connection) -> None:
    """Begins a read transaction."""
    connection.exec_driver_sql("BEGIN")


def patient(busy: timedelta) -> Callable[[sa.Connection], None]:
    """Begins a transaction. A writer waits for another one in many short waits, so that Python can handle a signal in between."""
    short = min(_SHORT_WAIT, busy)

    def begin_patiently(connection: sa.Connection) -> None:
        if not connection.get_execution_options().get("migrate_writes"):
            _wait(connection, busy)
            begin(connection)
            return
        until = time.monotonic() + busy.total_seconds()
        _wait(connection, short)
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as error:
                if not is_busy(error) or time.monotonic() >= until:
                    raise
            else:
                break  # once it has the lock, a writer waits for nobody

    return begin_patiently


def _wait(connection: sa.Connection, busy: timedelta) -> None:
    """Sets how long the connection waits for another writer; only if it changed, because a delivery writes hundreds of times a second."""
    if connection.info.get("busy") != busy:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {milliseconds(busy)}")
        connection.info["busy"] = busy


def milliseconds(duration: timedelta) -> int:
    """A duration as databases take it."""
    return round(duration.total_seconds() * 1000)


def use_wal(path: Path, busy: timedelta) -> None:
    """Sets WAL mode. Of two processes that change the journal mode at once, SQLite refuses one without a wait, so we try again."""
    connection = sqlite3.connect(path, timeout=busy.total_seconds())
    patiently = Retrying(retry=retry_if_exception(is_busy), stop=stop_after_delay(busy), wait=wait_random(0, 0.1), reraise=True)
    try:
        patiently(connection.execute, "PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def keep_copy(path: Path, revision: str) -> Path:
    """Copies the file by SQLite's own backup, so that the copy also has what is still in the WAL. Returns the copy's path."""
    wanted = f"{path.name}.{revision}.bak"
    try:
        with files.work_folder(path.parent, "copy of a ledger", wanted) as work:
            with work.create(wanted) as file:
                source, target = sqlite3.connect(path), sqlite3.connect(work.path / wanted)
                try:
                    source.backup(target)
                finally:
                    source.close()
                    target.close()
                os.fsync(file.fileno())
            for name in files.free(path.parent, wanted):  # an earlier copy stays
                with suppress(files.NotOursError):
                    work.hand_over(wanted, path.parent, name)
                    os.fsync(work.base)
                    return path.with_name(name)
    except OSError as error:
        said = f"{path} could not be copied before its upgrade: {error.strerror or error}."
        raise LedgerError(said, where=WHERE, hint="Make room and make the folder writable for this user; nothing was changed.") from error
    raise AssertionError("there is always another number")


def open_readonly(path: Path, busy: timedelta) -> tuple[sa.Engine, Seen | None, ExitStack]:
    """Opens a file so that no byte of it, or of a file beside it, changes. Returns the engine; its `Seen`, where the file is read without
    locks; and what removes the copy, where a copy is read.

    In WAL mode even a reader writes: it creates the -shm file, or sets its mark in it. Without a WAL everything is in the file itself,
    which is read as immutable (`Seen` notices if it changed all the same). With a WAL and its -shm file, the -shm file is opened read-only.
    A WAL without its -shm file can be read only by a process that may write, so a copy of both files is read.
    """
    path = Path(os.path.realpath(path))  # SQLite keeps its files beside the target of a link
    wal, shm, journal = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal"))
    seen, kept = None, ExitStack()
    if wal.exists() and shm.exists():
        database, options = path, "mode=ro&readonly_shm=1"
    elif exists(wal) or journal.exists():
        try:
            scratch = kept.enter_context(files.scratch())
            for part in (path, wal, journal):
                with suppress(FileNotFoundError):  # another process may close the ledger, and SQLite remove a file, at this moment
                    shutil.copyfile(part, scratch / part.name)
        except OSError as error:
            kept.close()
            said = f"{path} must be copied to be read, and could not be: {error.strerror or error}."
            raise LedgerError(said, where="TMPDIR", hint="Set it to a folder that can be written, and has room.") from error
        database, options = scratch / path.name, "mode=rw"
    else:
        database, options, seen = path, "mode=ro&immutable=1", Seen.of(path)
    uri = f"file:{quote(str(database.absolute()))}?{options}"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(uri, uri=True, timeout=busy.total_seconds(), check_same_thread=False)
        connection.execute("PRAGMA query_only = ON")
        return connection

    engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.QueuePool, max_overflow=-1)
    sa.event.listen(engine, "connect", _leave_transactions_to_us)
    sa.event.listen(engine, "begin", begin)
    return engine, seen, kept


def _leave_transactions_to_us(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
