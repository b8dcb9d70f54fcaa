"""Whether the database itself is undamaged; and what all checks share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import sqlalchemy as sa

from migrate.ledger import schema

Check = Callable[[sa.Connection], Iterable[str]]
"""Finds faults, and returns a sentence for each."""


def rows(connection: sa.Connection, statement: sa.Select[Any], sentence: str) -> Iterator[str]:
    """The sentence for each row of a statement; it names the columns in braces."""
    return (sentence.format(**row) for row in connection.execute(statement).mappings())


def _integrity(connection: sa.Connection) -> Iterator[str]:
    if connection.dialect.name == "sqlite":
        try:
            said = connection.exec_driver_sql("PRAGMA integrity_check").scalars()
            yield from (line for line in said if line != "ok")
        except sa.exc.DatabaseError as error:
            # A file may be too damaged to be checked to the end.
            yield str(error.orig)


def _foreign_keys(connection: sa.Connection) -> Iterator[str]:
    for table in schema.metadata.sorted_tables:
        for key in table.foreign_keys:
            parent = key.column.table.alias()
            here, there = key.parent, parent.c[key.column.name]
            lost = sa.select(here.label("value")).where(here.is_not(None), ~sa.exists().where(there == here)).distinct()
            yield from rows(connection, lost, f"{table.name}.{here.name} is {{value}}, which no row of {key.column.table.name} has")


CHECKS: Final[dict[str, tuple[str, Check]]] = {
    "integrity": ("the database file is not damaged", _integrity),
    "foreign-keys": ("every row to which another row refers exists", _foreign_keys),
}
