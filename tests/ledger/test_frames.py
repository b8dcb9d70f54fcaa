"""Reading the ledger in pages."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from migrate.ledger.frames import pages

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
