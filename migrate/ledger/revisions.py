"""Which tables a ledger has, and how it gets the ones of this version. Alembic is imported only where there is something to upgrade."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from migrate.errors import LedgerError

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0002"
"""The revision this version of the tool works with; the newest file in `migrations/versions`."""

_ADVISORY_LOCK: Final = 0x6D696772617465  # "migrate"


def current(connection: sa.Connection) -> str | None:
    """The revision of a ledger, or None where there is none."""
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
    """Raises LedgerError unless `found` is a revision this version knows how to upgrade."""
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}
    if found not in known:
        raise mismatch(found, described)


def upgrade(connection: sa.Connection) -> None:
    """Bring a ledger to `HEAD` in the caller's transaction. Two programs that upgrade one server at once wait for each other."""
    from alembic import command

    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    made = config()
    made.attributes["connection"] = connection
    command.upgrade(made, "head")


def mismatch(found: str | None, described: str) -> LedgerError:
    """The error for a ledger whose tables are not those of this version."""
    where = "[ledger] url"
    if found is None:
        return LedgerError(f"{described} is a database, but not a ledger.", where=where, hint="Name another one.")
    if found < HEAD:
        return LedgerError(
            f"{described} was written by an older version (tables {found}).",
            where=where,
            hint="`migrate run` upgrades it, after keeping a copy.",
        )
    return LedgerError(
        f"{described} was written by a newer version (tables {found}, this one knows {HEAD}).",
        where=where,
        hint="Type: pip install -U sms-migrate",
    )
