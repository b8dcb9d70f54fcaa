"""Inserts many rows with as little work for each as a database allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import count
from typing import Any

import sqlalchemy as sa

from migrate.ledger import schema
from migrate.ledger.listed import BATCH

Insert = Callable[[slice], None]
"""Inserts the rows of a slice."""


def inserting(
    connection: sa.Connection, table: sa.Table, same: Mapping[str, Any], varying: Mapping[str, Sequence[Any]], length: int
) -> Insert:
    """Returns a function that inserts the rows of a slice.

    `same`: column → the value that it has in every row; `varying`: column → its values in each of the `length` rows. Values are as the
    ledger keeps them: instants are microseconds.
    """
    if connection.dialect.name == "sqlite":
        return _into_sqlite(connection, table, same, varying, length)
    values = {name: sa.bindparam(name, type_=_raw(table.c[name].type)) for name in [*same, *varying]}
    every = zip(*varying.values(), strict=True) if varying else [()] * length
    rows = [{**same, **dict(zip(varying, each, strict=True))} for each in every]

    def write(part: slice) -> None:
        connection.execute(sa.insert(table).values(values), rows[part])

    return write


def _into_sqlite(
    connection: sa.Connection, table: sa.Table, same: Mapping[str, Any], varying: Mapping[str, Sequence[Any]], length: int
) -> Insert:
    """`inserting` with few, long statements: many rows go into one, and a column of `same` is one parameter.

    At each execution, also at each one of `executemany`, the driver releases the GIL and then waits to get it back, and it copies each
    parameter. SQLAlchemy is passed over: it would loop over all values once more, and the driver takes them as they are.
    """
    listed = ", ".join(map(connection.dialect.identifier_preparer.quote, [*same, *varying]))
    width, at_once = len(varying), BATCH // (len(same) + len(varying))

    @cache
    def statement(rows: int) -> str:
        numbers = count(len(same) + 1)
        fixed = [f"?{number}" for number in range(1, len(same) + 1)]
        row = (", ".join([*fixed, *(f"?{next(numbers)}" for _ in varying)]) for _ in range(rows))
        return f"INSERT INTO {table.name} ({listed}) VALUES ({'), ('.join(row)})"  # noqa: S608 - our own names

    def write(part: slice) -> None:
        begin, end, _ = part.indices(length)
        for start in range(begin, end, at_once):
            stop = min(start + at_once, end)
            flat: list[Any] = [None] * (width * (stop - start))
            for place, column in enumerate(varying.values()):
                flat[place::width] = column[start:stop]
            connection.exec_driver_sql(statement(stop - start), (*same.values(), *flat))

    return write


def _raw(kind: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    return sa.BigInteger() if isinstance(kind, schema.UtcInstant) else kind
