"""Converts rows of the ledger to pandas frames and back, a whole column at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from migrate.core.accounts import INSTANT, methods_bits, methods_text

_METHOD_SETS = ("methods", "had", "has")
_NEVER = int(np.iinfo("int64").min)
"""The integer that is numpy's missing instant (NaT)."""


def fetch(connection: sa.Connection, statement: sa.Select[Any], columns: dict[str, str]) -> pd.DataFrame:
    """The statement's rows as a frame of the given columns and dtypes; the statement selects them in that order.

    Instants are read as integers and method sets as text, and converted a column at a time, not value by value.
    """
    raw = statement.with_only_columns(
        *(sa.type_coerce(column, _raw(column.type)).label(column.name) for column in statement.selected_columns)
    )
    result = connection.execute(raw)
    # SQLite's driver returns plain tuples of the values we need; SQLAlchemy would wrap each of them in a row object.
    rows = result.cursor.fetchall() if connection.dialect.name == "sqlite" else result.all()
    result.close()
    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return pd.DataFrame({name: series(name, dtype, column) for (name, dtype), column in zip(columns.items(), values, strict=True)})


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


def series(name: str, dtype: str, values: tuple[Any, ...]) -> pd.Series:
    """A column of raw ledger values as a pandas column."""
    if name in _METHOD_SETS:
        return methods_bits(pd.Series(values, dtype="str"))
    if dtype == INSTANT:
        micros = np.array([_NEVER if v is None else v for v in values], dtype="int64")
        return pd.Series(micros.view("datetime64[us]")).dt.tz_localize("UTC")
    if dtype == "str":
        return pd.Series(pd.array(pa.array(values, pa.large_string()), dtype="str"))
    return pd.Series(values, dtype=dtype)


def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame as rows for `executemany`, as the ledger keeps them: missing is None, instants are microseconds, method sets are words."""
    return [dict(zip(frame.columns, values, strict=True)) for values in zip(*columns(frame), strict=True)]


def columns(frame: pd.DataFrame) -> list[list[Any]]:
    """A frame's columns, as the ledger keeps their values."""
    return [_plain(name, frame[name]) for name in frame.columns]


def _plain(name: str, column: pd.Series) -> list[Any]:
    if name in _METHOD_SETS:
        return methods_text(column).tolist()
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biu":
        return column.tolist()
    # Arrow makes Python values of a column, with None for what is missing, faster than pandas does.
    values = pa.array(column, from_pandas=True)
    listed: list[Any] = (pc.cast(values, pa.int64()) if pa.types.is_timestamp(values.type) else values).to_pylist()
    return listed
