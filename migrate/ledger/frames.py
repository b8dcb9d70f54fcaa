"""Converts rows of the ledger to pandas frames and back, a whole column at a time.

From SQLite the rows come as one text: SQLite writes them as CSV, and Arrow reads that. No Python object is made for any value, which would
take most of the time, and the GIL is released while SQLite writes and Arrow reads. Other databases give rows of Python objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import sqlalchemy as sa

from migrate.core.accounts import INSTANT, methods_of, methods_text

_METHOD_SETS = ("methods", "had", "has")
_ARROW: Final = {True: pa.large_string(), False: pa.int64()}
"""Of raw values: whether they are text → their type."""
_TYPES: Final = {
    "str": pa.large_string(),
    "bool": pa.bool_(),
    "boolean": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    INSTANT: pa.timestamp("us", tz="UTC"),
}
"""dtype → the type of a column."""


def fetch(
    connection: sa.Connection, statement: sa.Select[Any], columns: dict[str, str], given: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """The statement's rows as a frame of the given columns and dtypes; the statement selects them in that order.

    `given`: the values of its parameters. A statement without ORDER BY is much faster on SQLite.
    """
    return as_frame(fetch_table(connection, statement, columns, given), columns)


def as_frame(table: pa.Table, columns: dict[str, str]) -> pd.DataFrame:
    """Columns of a table of `fetch_table` as a frame of the given dtypes."""
    return pd.DataFrame({name: _series(table[name], dtype) for name, dtype in columns.items()})


def fetch_table(
    connection: sa.Connection, statement: sa.Select[Any], columns: dict[str, str], given: Mapping[str, Any] | None = None
) -> pa.Table:
    """`fetch` as Arrow columns. Instants are read as integers and method sets as text, and converted a column at a time."""
    raw = statement.with_only_columns(
        *(sa.type_coerce(column, _raw(column.type)).label(column.name) for column in statement.selected_columns)
    )
    read = _from_sqlite if connection.dialect.name == "sqlite" else _from_rows
    values = read(connection, raw, columns, given or {})
    return pa.table({name: _converted(name, dtype, column) for (name, dtype), column in zip(columns.items(), values, strict=True)})


def _from_rows(
    connection: sa.Connection, statement: sa.Select[Any], columns: dict[str, str], given: Mapping[str, Any]
) -> list[pa.ChunkedArray]:
    """The raw values of each column: text, or integers."""
    rows = connection.execute(statement, given).all()
    values = (
        [pa.chunked_array([pa.array(each)]) for each in zip(*rows, strict=True)]
        if rows
        else [pa.chunked_array([], pa.null())] * len(columns)
    )
    return [each.cast(_ARROW[_is_text(name, dtype)]) for (name, dtype), each in zip(columns.items(), values, strict=True)]


def _from_sqlite(
    connection: sa.Connection, statement: sa.Select[Any], columns: dict[str, str], given: Mapping[str, Any]
) -> list[pa.ChunkedArray]:
    """`_from_rows` by way of CSV. A text is in single quotes (`''` is a quote in it), a missing text is NULL, a missing number is nothing.

    `printf` ends a text at a NUL. No text of the ledger has one: control characters are taken out where a text comes in (design §4).
    """
    texts = [_is_text(name, dtype) for name, dtype in columns.items()]
    line = sa.func.printf(",".join("%Q" if text else "%s" for text in texts) + "\n", *statement.subquery().c)
    try:
        written: bytes | None = connection.execute(sa.select(sa.cast(sa.func.group_concat(line, ""), sa.LargeBinary)), given).scalar()
    except sa.exc.DataError:  # more than a gigabyte: SQLite has no longer texts
        return _from_rows(connection, statement, columns, given)
    kinds = {name: _ARROW[text] for name, text in zip(columns, texts, strict=True)}
    if written is None:
        return [pa.chunked_array([], kind) for kind in kinds.values()]
    table = pa.csv.read_csv(
        pa.BufferReader(written),
        read_options=pa.csv.ReadOptions(use_threads=False, block_size=len(written) + 1, column_names=list(columns)),
        parse_options=pa.csv.ParseOptions(quote_char="'", newlines_in_values=True, ignore_empty_lines=False),
        convert_options=pa.csv.ConvertOptions(
            column_types=kinds, null_values=["NULL", ""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    return list(table.columns)


def pages(
    connection: sa.Connection, statement: sa.Select[Any], columns: dict[str, str], key: Mapping[str, sa.Column[Any]], size: int
) -> Iterator[pd.DataFrame]:
    """The statement's rows as frames (`fetch`) of at most `size` rows, in the order of `key`; at least one, which may be empty.

    `key` names the columns of the frame that identify a row, each with its column of the database.
    """
    page = statement
    while True:
        frame = fetch(connection, page.order_by(*key.values()).limit(size), columns)
        yield frame
        if len(frame) < size:
            return
        last = {name: frame[name].iloc[-1:].tolist()[0] for name in key}
        page = statement.where(_beyond(list(key.values()), list(last.values())))


def _beyond(key: Sequence[sa.Column[Any]], last: Sequence[Any]) -> sa.ColumnElement[bool]:
    """The condition that a row comes after the row whose key is `last`."""
    same = [column == value for column, value in zip(key, last, strict=True)]
    return sa.or_(*(sa.and_(*same[:at], column > value) for at, (column, value) in enumerate(zip(key, last, strict=True))))


def _raw(kind: sa.types.TypeEngine[Any]) -> sa.types.TypeEngine[Any]:
    return sa.BigInteger() if isinstance(kind, sa.types.TypeDecorator) else sa.Integer() if isinstance(kind, sa.Boolean) else kind


def _is_text(name: str, dtype: str) -> bool:
    """Whether the ledger keeps a column as text; all others are integers."""
    return dtype == "str" or name in _METHOD_SETS


def _converted(name: str, dtype: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Raw ledger values as values of the dtype."""
    if name not in _METHOD_SETS:
        return values.cast(_TYPES[dtype])
    coded = values.combine_chunks().dictionary_encode()
    known = [methods_of(tuple(word for word in words.split(",") if word)) for words in coded.dictionary.to_pylist()]
    return pa.chunked_array([pa.array(known, _TYPES[dtype]).take(coded.indices)])


def _series(values: pa.ChunkedArray, dtype: str) -> pd.Series:
    if dtype == "str":
        return pd.Series(pd.array(values, dtype="str"))
    if dtype == INSTANT:
        return pd.Series(values.to_pandas())
    return pd.Series(values.to_pandas() if dtype == "boolean" else values.to_numpy(), dtype=dtype)


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame as rows for `executemany`, as the ledger keeps them: missing is None, instants are microseconds, method sets are words."""
    same, varying = divided(frame)
    every = zip(*varying.values(), strict=True) if varying else [()] * len(frame)
    return [same | dict(zip(varying, values, strict=True)) for values in every]


def divided(frame: pd.DataFrame) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """A frame's values, as the ledger keeps them: of each column in which all are the same, that value; of each other, all values."""
    arrow = {name: pa.array(frame[name], from_pandas=True) for name in frame.columns}
    same = {name for name, values in arrow.items() if _all_the_same(values)}
    plain = {name: _plain(name, values[:1] if name in same else values) for name, values in arrow.items()}
    return {name: plain[name][0] for name in arrow if name in same}, {name: plain[name] for name in arrow if name not in same}


def _all_the_same(values: pa.Array) -> bool:
    """Whether all values are the same, and there is one."""
    if not len(values) or values.null_count:
        return bool(len(values)) and values.null_count == len(values)
    same: bool = pc.all(pc.equal(values, values[0])).as_py()
    return same


def _plain(name: str, values: pa.Array) -> list[Any]:
    """Values as the ledger keeps them. Arrow makes Python values of a column, with None for what is missing, faster than pandas does."""
    if name in _METHOD_SETS:
        return methods_text(values.to_pandas()).tolist()
    if not values.null_count and pa.types.is_integer(values.type):
        return list(values.to_numpy().tolist())
    listed: list[Any] = (pc.cast(values, pa.int64()) if pa.types.is_timestamp(values.type) else values).to_pylist()
    return listed
