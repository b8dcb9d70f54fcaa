"""The revision of a ledger's tables, and the upgrade to that of this version. Alembic is imported only for an upgrade."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from migrate.errors import LedgerError
from migrate.ledger import mysql

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0014"
"""The revision that this version of the tool needs: the newest file in `migrations/versions`."""

_WHERE: Final = "[ledger] url"
_ADVISORY_LOCK: Final = 0x6D696772617465  # "migrate"
_PATIENCE: Final = 120  # seconds
_MARK: Final = "unfinished_upgrade"


def current(connection: sa.Connection) -> str | None:
    """The revision of a ledger; None if the database holds no ledger."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def config() -> Config:
    """Alembic's configuration, made here so that no file has to be found beside the installed package."""
    from alembic.config import Config

    made = Config()
    # ConfigParser reads a per cent sign as an interpolation.
    made.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    return made


def require_older(found: str, described: str) -> None:
    """Raises LedgerError unless this version knows the revision `found`, and so can upgrade it."""
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}
    if found not in known:
        raise mismatch(found, described)


def upgrade(connection: sa.Connection) -> None:
    """Upgrades a ledger to `HEAD` in the caller's transaction. A second program that upgrades the same ledger waits for the first."""
    from alembic import command

    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    made = config()
    made.attributes["connection"] = connection
    with _marked(connection) if connection.dialect.name in mysql.BACKENDS else nullcontext():
        command.upgrade(made, "head")


@contextmanager
def _marked(connection: sa.Connection) -> Iterator[None]:
    """Marks an upgrade in progress, because MySQL and MariaDB commit each table by itself.

    The mark is a table of one row, which is dropped at the end. If it is still there, an earlier upgrade was broken off half-way, and the
    ledger must not be upgraded once more. A second program waits for the first.
    """
    database = str(connection.execute(sa.select(sa.func.database())).scalar_one())
    # The name of a lock holds for the whole server, and has at most 64 characters.
    lock = "migrate-" + hashlib.sha256(database.encode()).hexdigest()[:32]
    if not connection.execute(sa.select(sa.func.get_lock(lock, _PATIENCE))).scalar():
        raise LedgerError(f"another program is upgrading {database}.", where=_WHERE, hint="Try again in a minute.")
    try:
        found = current(connection)
        if sa.inspect(connection).has_table(_MARK):
            reached = connection.execute(sa.text(f"SELECT revision FROM {_MARK}")).scalar()  # noqa: S608 - a word of ours
            if reached not in (None, found):
                raise LedgerError(
                    f"an upgrade of the tables in {database} was broken off half-way.",
                    where=_WHERE,
                    hint="Put the backup from before it in its place; a ledger that was never used: DROP DATABASE and CREATE DATABASE.",
                )
            connection.exec_driver_sql(f"DROP TABLE {_MARK}")
        connection.exec_driver_sql(f"CREATE TABLE {_MARK} AS SELECT '{HEAD}' AS revision")
        yield
        connection.exec_driver_sql(f"DROP TABLE {_MARK}")
    finally:
        with suppress(DBAPIError):
            connection.execute(sa.select(sa.func.release_lock(lock)))


def mismatch(found: str | None, described: str) -> LedgerError:
    """The error for a ledger whose tables are not those of this version."""
    if found is None:
        return LedgerError(f"{described} is a database, but not a ledger.", where=_WHERE, hint="Name another one.")
    if found < HEAD:
        return LedgerError(
            f"{described} was written by an older version (tables {found}).",
            where=_WHERE,
            hint="`migrate ledger upgrade` upgrades it, after keeping a copy; so does `migrate run`.",
        )
    return LedgerError(
        f"{described} was written by a newer version (tables {found}, this one knows {HEAD}).",
        where=_WHERE,
        hint="Type: pip install -U sms-migrate",
    )
