"""Passes many rows to a statement as one parameter, a JSON text, so that the statement is the same for any number of rows.

For an IN list of another length SQLAlchemy writes, and a server plans, another statement; for a batch of letters both took longer than
the rows themselves. MariaDB and MySQL get an IN list all the same: they lock every row they read, and only with a list do they read no
other rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

BATCH: Final = 5_000
"""Values in one IN list: below the limits of every database, and enough that round trips hardly count."""
LISTED: Final = "listed"
"""The name of the parameter that holds the rows."""
_IDS: Final = "ids"

_T = TypeVar("_T")
Columns = tuple[sa.ColumnElement[Any], ...]


def listing(rows: Iterable[Sequence[Any]]) -> str:
    """The text of the parameter that holds some rows; values are text, numbers (also instants, as the ledger keeps them) and None."""
    return json.dumps(list(rows), separators=(",", ":"))


def in_list(column: sa.Column[Any], name: str) -> sa.ColumnElement[bool]:
    """The condition that a column's value is one of the list that is passed as the parameter `name`.

    `column.in_(values)` makes SQLAlchemy keep the values in a reference cycle, which Python's collector clears late: a large run would have
    every account id in memory.
    """
    return column.in_(sa.bindparam(name, expanding=True))


def columns_of(backend: str, *columns: sa.Column[Any]) -> Columns:
    """The columns of the rows in a statement; each has the type of the table's column in its place."""
    rows = _ROWS[backend]
    return tuple(rows(at, column) for at, column in enumerate(columns))


def among(backend: str, column: sa.Column[int]) -> sa.ColumnElement[bool]:
    """The condition that a column's value is one of those passed with `ids`."""
    if backend == "sqlite":
        return column.in_(sa.select(*columns_of(backend, column)))
    if backend == "postgresql":
        # PostgreSQL assumes a few values in an array, but a hundred in a JSON text, and then may read the whole table.
        return column == sa.any_(sa.bindparam(_IDS, type_=sa.ARRAY(sa.BigInteger)))
    return in_list(column, _IDS)


def ids(backend: str, given: Sequence[int]) -> dict[str, Any]:
    """The parameter of `among`."""
    return {LISTED: listing((id_,) for id_ in given)} if backend == "sqlite" else {_IDS: list(given)}


_GIVEN: Final = sa.bindparam(LISTED, type_=sa.Text)
_SQLITE: Final = sa.func.json_each(_GIVEN).table_valued("value", name=LISTED)
# `jsonb` is parsed once; `json` would be parsed again for every value.
_POSTGRES: Final = sa.func.jsonb_array_elements(sa.cast(_GIVEN, JSONB)).table_valued("value", name=LISTED)

_ROWS: Final[dict[str, Callable[[int, sa.Column[Any]], sa.ColumnElement[Any]]]] = {
    "sqlite": lambda at, column: sa.func.json_extract(_SQLITE.c.value, sa.literal_column(f"'$[{at}]'"), type_=column.type),
    "postgresql": lambda at, column: sa.cast(_POSTGRES.c.value.op("->>")(sa.literal_column(str(at))), column.type),
}
BACKENDS: Final = tuple(_ROWS)
"""The databases to which rows are passed in this way."""


def batches(values: Sequence[_T], size: int | None = None) -> Iterator[Sequence[_T]]:
    """The values in slices of at most `size` (default: `BATCH`)."""
    size = size or BATCH
    for start in range(0, len(values), size):
        yield values[start : start + size]
