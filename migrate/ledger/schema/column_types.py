"""The types of the tables' columns (instant, identifier, long text), and the columns and rules that tables share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator, TypeEngine

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class UtcInstant(TypeDecorator[datetime]):
    """An aware UTC datetime, kept as BIGINT microseconds since the epoch.

    A naive datetime is refused: its instant would be a guess. An int counts as microseconds: whole columns arrive as such.
    """

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | int | None, dialect: sa.Dialect) -> int | None:  # noqa: ARG002
        return micros(value) if isinstance(value, datetime) else value

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        return None if value is None else EPOCH + timedelta(microseconds=value)


def micros(instant: datetime) -> int:
    """Whole microseconds since the epoch; raises ValueError for a datetime without a zone."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone")
    return (instant - EPOCH) // _MICROSECOND


metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

# SQLite numbers rows by itself only in a column of type INTEGER.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# MySQL's TEXT holds 64 KB at most.
LongText = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def exact(length: int) -> TypeEngine[str]:
    """Text that compares byte for byte. SQLite's does by default. MySQL's and MariaDB's plain `_bin` ignores trailing spaces."""
    return (
        sa.String(length)
        .with_variant(sa.String(length, collation="C"), "postgresql")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_0900_bin"), "mysql")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_nopad_bin"), "mariadb")
    )


def one_of(column: str, words: Iterable[str]) -> sa.CheckConstraint:
    """The rule that a column holds one of some words. It joins comparisons by OR: a list (`IN`) costs more, see migration 0014."""
    return sa.CheckConstraint(" OR ".join(f"{column} = '{word}'" for word in words), name=column)


def of_campaign() -> sa.Column[int]:
    """The column that says which campaign a row belongs to."""
    return sa.Column("campaign_id", Id, sa.ForeignKey("campaign.id"), nullable=False)


def of_run(name: str = "run_seq", *, nullable: bool = False) -> sa.Column[int]:
    """A column that names a run by its number."""
    return sa.Column(name, Id, sa.ForeignKey("run.seq"), nullable=nullable)
