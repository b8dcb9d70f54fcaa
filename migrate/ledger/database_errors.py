"""Turns an error of a database into a sentence that says what to do."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from migrate.errors import LedgerError
from migrate.ledger import mysql, server_errors
from migrate.settings import DRIVER_EXTRAS

WHERE: Final = "[ledger] url"
_NEEDED: Final = 64 << 10
"""Free bytes that SQLite needs beside the database before it writes anything: its -shm file grows by 32 KiB."""


def is_busy(error: BaseException) -> bool:
    """Whether a database refused only because another connection is writing."""
    cause = getattr(error, "orig", error)
    if isinstance(cause, sqlite3.OperationalError):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return getattr(cause, "sqlstate", None) in ("55P03", "40001", "40P01") or mysql.code(cause) in mysql.BUSY


def is_broken_off(error: BaseException) -> bool:
    """Whether the database ended a transaction in favour of another one: a deadlock, or a serialization failure of PostgreSQL. SQLite has
    one writer, and never does. `error` is the LedgerError of `Ledger.explained`; its cause is the database's error."""
    cause = getattr(error.__cause__, "orig", None)
    return getattr(cause, "sqlstate", None) in ("40001", "40P01") or mysql.code(cause) == mysql.DEADLOCK


@contextmanager
def driver_explained(url: sa.URL) -> Iterator[None]:
    """Raises LedgerError with what to install if the driver is missing."""
    try:
        yield
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        extra = DRIVER_EXTRAS.get(url.get_backend_name(), "postgres")
        raise LedgerError(
            f"the driver for {url.drivername} is not installed.", where=WHERE, hint=f"Type: pip install 'sms-migrate[{extra}]'"
        ) from error


@contextmanager
def options_explained() -> Iterator[None]:
    """Raises LedgerError for a wrong option in a URL. PyMySQL reads them when it connects, the other drivers when the engine is made."""
    try:
        yield
    except (ArgumentError, TypeError, ValueError):
        raise LedgerError(
            "has an option that the driver does not know.", where=WHERE, hint="Remove what follows the question mark."
        ) from None
    except OSError as error:
        raise LedgerError(
            f"has an option that names a file, and it cannot be read: {error.strerror or error}.",
            where=WHERE,
            hint="Look at what follows the question mark.",
        ) from None


def explained(error: DBAPIError, described: str, url: sa.URL) -> LedgerError | None:
    """A database's error as a LedgerError; None if it is our own mistake, which must show as a bug."""
    cause = error.orig
    if isinstance(cause, sqlite3.DatabaseError):
        return explained_sqlite(cause, described)
    if is_busy(error):
        return LedgerError(f"{described} is busy: another program is writing.", where=WHERE, hint="Try again in a minute.")
    return server_errors.explained(error, described, url)


def explained_sqlite(cause: sqlite3.DatabaseError, described: str) -> LedgerError | None:
    """As `explained`, for an error of SQLite's own driver."""
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_ERROR and server_errors.of_a_ledger(str(cause)):
        return server_errors.missing(described, str(cause))
    if code == sqlite3.SQLITE_IOERR and _is_full(Path(described)):
        code = sqlite3.SQLITE_FULL
    sentences: dict[int, tuple[str, str]] = {
        sqlite3.SQLITE_FULL: (
            f"the disk that holds {described} is full, so the last change was not written.",
            "Make room and type the same command again; nothing is sent twice.",
        ),
        sqlite3.SQLITE_NOTADB: (f"{described} is not a SQLite database.", "Name another file, or move that one away."),
        sqlite3.SQLITE_CORRUPT: (
            f"{described} is damaged.",
            f"Put a backup in its place; `sqlite3 {described} .recover` saves what is left.",
        ),
        sqlite3.SQLITE_READONLY: read_only(described),
        sqlite3.SQLITE_PERM: (f"{described} cannot be opened.", "Give this account access to the file and to its folder."),
        sqlite3.SQLITE_CANTOPEN: (f"{described} cannot be opened.", "Give this account access to the file and to its folder."),
        sqlite3.SQLITE_IOERR: (f"the disk that holds {described} reports an error.", "Look at the disk, then run again."),
        sqlite3.SQLITE_BUSY: (f"{described} is busy: another program is writing.", "Try again in a minute."),
        sqlite3.SQLITE_PROTOCOL: (f"{described} is busy: another program is writing.", "Try again in a minute."),
        sqlite3.SQLITE_NOMEM: (f"there is not enough memory to use {described}.", "End other programs, then run again."),
        sqlite3.SQLITE_LOCKED: (f"{described} is busy: another program is writing.", "Try again in a minute."),
    }
    found = sentences.get(code)
    return None if found is None else LedgerError(found[0], where=WHERE, hint=found[1])


def read_only(described: str) -> tuple[str, str]:
    """The sentence and the hint for a file that cannot be written."""
    return f"{described} cannot be written.", "Give this account write access to the file and to its folder."


def _is_full(path: Path) -> bool:
    """Whether the disk is full. SQLite says so only of the database; for the files beside it, it reports an input/output error."""
    try:
        return shutil.disk_usage(path.parent).free < _NEEDED
    except OSError:
        return False
