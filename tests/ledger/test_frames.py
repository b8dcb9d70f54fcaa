"""Reading the ledger as frames, whole or in pages."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from migrate.core.accounts import INSTANT, methods_of
from migrate.ledger.frames import fetch, pages
from migrate.ledger.schema import UtcInstant

CHANGE = sa.Table("change", sa.MetaData(), sa.Column("account_id", sa.String), sa.Column("seq", sa.Integer))
COLUMNS = {"account_id": "str", "seq": "int64"}
KEY = {"account_id": CHANGE.c.account_id, "seq": CHANGE.c.seq}


def read(rows: list[tuple[str, int]], size: int) -> list[list[tuple[str, int]]]:
    """The rows of each page that a table with these rows is read in."""
    with sa.create_engine("sqlite://").begin() as connection:
        CHANGE.create(connection)
        connection.execute(sa.insert(CHANGE), [{"account_id": account_id, "seq": seq} for account_id, seq in rows] or [{}])
        wanted = sa.select(CHANGE.c.account_id, CHANGE.c.seq).where(CHANGE.c.seq.is_not(None))
        return [list(page.itertuples(index=False, name=None)) for page in pages(connection, wanted, COLUMNS, KEY, size)]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-2, 4)), unique=True, max_size=12), st.integers(1, 5))
def test_pages_of_any_size_have_every_row_once_in_the_order_of_their_key(rows: list[tuple[str, int]], size: int) -> None:
    found = read(rows, size)
    assert [row for page in found for row in page] == sorted(rows)
    assert {len(page) for page in found[:-1]} <= {size}


@pytest.mark.parametrize("rows", [0, 3])
def test_the_last_page_may_be_empty(rows: int) -> None:
    assert read([("a", seq) for seq in range(rows)], 3)[-1] == []


TEXTS = st.one_of(
    st.none(),
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00")),
    st.sampled_from(["", "NULL", "'", "''", ",", "\n", "\r\n", '"', "%s"]),
)
KINDS = sa.Table(
    "kinds",
    sa.MetaData(),
    sa.Column("methods", sa.String, nullable=False),
    sa.Column("text", sa.Text),
    sa.Column("yes", sa.Boolean, nullable=False),
    sa.Column("maybe", sa.Boolean),
    sa.Column("at", UtcInstant),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("last", sa.Text),
)
OF_KINDS = {"methods": "int32", "text": "str", "yes": "bool", "maybe": "boolean", "at": INSTANT, "number": "int64", "last": "str"}
ROWS = st.lists(
    st.tuples(
        st.sampled_from([("", 0), ("sms", methods_of(("sms",))), ("sms,totp", methods_of(("sms", "totp")))]),
        TEXTS,
        st.booleans(),
        st.one_of(st.none(), st.booleans()),
        st.one_of(st.none(), st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))),
        st.integers(-(2**63), 2**63 - 1),
        TEXTS,
    ),
    max_size=8,
)


def fetched(rows: Sequence[tuple[Any, ...]], most: int | None = None) -> list[tuple[Any, ...]]:
    """Rows of `KINDS` as they come back from SQLite, missing values as None; of which no text may have more than `most` bytes."""
    with sa.create_engine("sqlite://").begin() as connection:
        KINDS.create(connection)
        for row in rows:
            connection.execute(sa.insert(KINDS).values(dict(zip(OF_KINDS, row, strict=True))))
        if most is not None:
            connection.connection.driver_connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, most)
        frame = fetch(connection, sa.select(*KINDS.c), OF_KINDS)
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == OF_KINDS
        return [tuple(None if pd.isna(value) else value for value in row) for row in frame.itertuples(index=False, name=None)]


@given(ROWS)
def test_a_row_of_any_values_comes_back_as_it_was_stored(rows: list[tuple[Any, ...]]) -> None:
    stored = [(words, *rest) for (words, _), *rest in rows]
    assert fetched(stored) == [(bits, *rest) for (_, bits), *rest in rows]


def test_rows_that_are_too_long_for_one_text_of_sqlite_come_one_by_one() -> None:
    row = ("", "x" * 5000, True, None, None, 1, None)
    assert fetched([row] * 4, most=12_000) == [(0, *row[1:])] * 4
