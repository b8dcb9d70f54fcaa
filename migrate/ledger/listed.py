"""Many rows given to a statement as one parameter, a JSON text, so that it is one and the same statement however many they are.

SQLAlchemy writes an IN list afresh for every length of it, and a server plans it afresh; for a hand of letters both took longer than the
rows themselves. MariaDB and MySQL keep the IN list: they lock what they look at, and only such a list keeps them to it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

BATCH: Final = 5_000
"""Values in one IN list: below the limits of every database, above the point where the round trips count."""
LISTED: Final = "listed"
"""The name of the parameter that holds the rows."""
_IDS: Final = "ids"

_T = TypeVar("_T")
Columns = tuple[sa.ColumnElement[Any], ...]


def listing(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as their parameter; values are text, numbers and None (an instant is a number, as it is kept)."""
    return json.dumps(list(rows), separators=(",", ":"))


def columns_of(backend: str, *columns: sa.Column[Any]) -> Columns:
    """The values of such rows in a statement, one after the other; each is of the type of the column it is for."""
    rows = _ROWS[backend]
    return tuple(rows(at, column) for at, column in enumerate(columns))


def among(backend: str, column: sa.Column[int]) -> sa.ColumnElement[bool]:
    """Whether a column's value is one of those given with `ids`."""
    if backend == "sqlite":
        return column.in_(sa.select(*columns_of(backend, column)))
    if backend == "postgresql":
        # It takes such an array for a few, and JSON for a hundred: then it may rather read all of a table.
        return column == sa.any_(sa.bindparam(_IDS, type_=sa.ARRAY(sa.BigInteger)))
    return column.in_(sa.bindparam(_IDS, expanding=True))


def ids(backend: str, given: Sequence[int]) -> dict[str, Any]:
    """The parameter of `among`."""
    return {LISTED: listing((id_,) for id_ in given)} if backend == "sqlite" else {_IDS: list(given)}


_GIVEN: Final = sa.bindparam(LISTED, type_=sa.Text)
_SQLITE: Final = sa.func.json_each(_GIVEN).table_valued("value", name=LISTED)
# Taken apart once, where `json` would be read again for every value.
_POSTGRES: Final = sa.func.jsonb_array_elements(sa.cast(_GIVEN, JSONB)).table_valued("value", name=LISTED)

_ROWS: Final[dict[str, Callable[[int, sa.Column[Any]], sa.ColumnElement[Any]]]] = {
    "sqlite": lambda at, column: sa.func.json_extract(_SQLITE.c.value, sa.literal_column(f"'$[{at}]'"), type_=column.type),
    "postgresql": lambda at, column: sa.cast(_POSTGRES.c.value.op("->>")(sa.literal_column(str(at))), column.type),
}
BACKENDS: Final = tuple(_ROWS)
"""The databases that take rows so."""


def batches(values: Sequence[_T], size: int | None = None) -> Iterator[Sequence[_T]]:
    """The values in slices of a size (`BATCH`)."""
    size = size or BATCH
    for start in range(0, len(values), size):
        yield values[start : start + size]
