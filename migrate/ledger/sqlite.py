"""The ledger in a SQLite file: made, configured, copied; or only looked at, without one byte changed (design §9, §12)."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
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
from migrate.ledger.refusals import WHERE, is_busy, read_only

_LOOK_UP: Final = timedelta(seconds=0.2)
"""How long a wait for SQLite's one writer goes on before Python may heed a signal: none gets through while SQLite itself waits."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a file looked like when it was opened without locks; if it looks different afterwards, what was read cannot be trusted."""

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
    """Whether there is a ledger's file; one without a byte in it is none: SQLite would take it for a database without tables."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def beside(path: Path) -> tuple[Path, Path]:
    """The files that SQLite keeps beside a file in WAL mode."""
    wal, shm = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))
    return wal, shm


def exposed(path: Path) -> str | None:
    """A sentence about a ledger that others than its owner may read or write, the files beside it too; None if nobody may.

    It is said and not mended: who else may is its owner's to decide, and access lists show in these bits as well.
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
    """Make the file, readable by its owner alone, before SQLite would make it with the umask's rights.

    It is never seen empty: it is given its name once SQLite's header stands in it. So an empty file is none of ours, and is refused. One
    that may not be written is refused before SQLite sees it: it would make its files beside it as read-only as that one, and leave them
    there, to be in the way of whoever may write again.
    """
    path = Path(os.path.realpath(path))  # a link that leads nowhere yet is followed as well
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
    """A new file with SQLite's header and nothing else in it; FileExistsError if there is one by now."""
    with files.work_folder(path.parent, "ledger", path.name) as work:
        work.create(path.name).close()
        with contextlib.closing(sqlite3.connect(work.path / path.name)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        work.hand_over(path.name, path.parent, path.name)


def _is_read_only(path: Path) -> bool:
    """Whether a file is there and may not be written; not one that is just being removed or made by who closes or opens the ledger."""
    try:
        before = path.stat()
        return not os.access(path, os.W_OK) and os.path.samestat(before, path.stat())
    except FileNotFoundError:
        return False


def configure(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    """What every connection is told when it is made."""
    # The driver's own BEGIN comes too late (at the first write); with None it leaves transactions to `begin`.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    # A run's inserts land all over the unique indexes; in SQLite's own 2 MB they would be read again and again.
    connection.execute("PRAGMA cache_size = -49152")
    # What a statement would undo if it failed half-way goes to a file otherwise: page by page, and never read again.
    connection.execute("PRAGMA temp_store = MEMORY")


def begin(connection: sa.Connection) -> None:
    """Begins a look."""
    connection.exec_driver_sql("BEGIN")


def patient(busy: timedelta) -> Callable[[sa.Connection], None]:
    """A writer waits at the door, in short waits one after the other, so that whoever asks it to end is heard."""
    short = min(_LOOK_UP, busy)

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
                break  # whoever writes waits for nobody any more

    return begin_patiently


def _wait(connection: sa.Connection, busy: timedelta) -> None:
    """How long the connection waits for another writer from now on; asked once, for a delivery writes hundreds of times a second."""
    if connection.info.get("busy") != busy:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {milliseconds(busy)}")
        connection.info["busy"] = busy


def milliseconds(duration: timedelta) -> int:
    """A duration as databases take it."""
    return round(duration.total_seconds() * 1000)


def use_wal(path: Path, busy: timedelta) -> None:
    """SQLite turns one of two away at once who both change a file's journal, so it is asked again here."""
    connection = sqlite3.connect(path, timeout=busy.total_seconds())
    patiently = Retrying(retry=retry_if_exception(is_busy), stop=stop_after_delay(busy), wait=wait_random(0, 0.1), reraise=True)
    try:
        patiently(connection.execute, "PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def keep_copy(path: Path, revision: str) -> Path:
    """A copy of the file as it was, through SQLite's own backup so that what still stands in the WAL is in it."""
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
        said = f"{path} is to be upgraded, and could not be copied first: {error.strerror or error}."
        raise LedgerError(said, where=WHERE, hint="Make room and make the folder writable for this user; nothing was changed.") from error
    raise AssertionError("there is always another number")


def looked_at(path: Path, busy: timedelta) -> tuple[sa.Engine, Seen | None, ExitStack]:
    """A file opened so that no byte of it or beside it changes; how it looked, and the folder of its copy, where that matters.

    Even a reader writes in WAL mode: it makes the -shm file, or writes its mark there. Without a WAL everything stands in the file
    itself, read as if it could not change (and `Seen` notices if it did). With a WAL and its -shm, the -shm is read only. A WAL whose -shm
    is gone can be read only by somebody who may write, so a copy of both is.
    """
    path = Path(os.path.realpath(path))  # beside which SQLite keeps its files
    wal, shm, journal = (path.with_name(path.name + suffix) for suffix in ("-wal", "-shm", "-journal"))
    seen, kept = None, ExitStack()
    if wal.exists() and shm.exists():
        database, options = path, "mode=ro&readonly_shm=1"
    elif (wal.exists() and wal.stat().st_size) or journal.exists():
        try:
            scratch = kept.enter_context(files.scratch())
            for part in (path, wal, journal):
                if part.exists():
                    shutil.copyfile(part, scratch / part.name)
        except OSError as error:
            kept.close()
            said = f"there is no room for a copy of {path}, which must be copied to be read: {error.strerror or error}."
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
