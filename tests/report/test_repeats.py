"""Columns in which values repeat, and the combinations of several."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.report import repeats

ROWS = st.lists(st.tuples(st.none() | st.sampled_from("abc"), st.none() | st.booleans(), st.none() | st.integers(0, 40)), max_size=60)


def columns(rows: list[tuple[Any, ...]], short: bool) -> list[pa.Array]:
    made = [pa.array([row[at] for row in rows], of) for at, of in enumerate((pa.large_string(), pa.bool_(), pa.int64()))]
    return [each.dictionary_encode() for each in made] if short else made


@pytest.mark.parametrize("room", [repeats._ROOM, 50])
@given(ROWS, st.booleans())
def test_rows_have_one_combination_exactly_if_they_are_alike_in_every_column(room: int, rows: list[tuple[Any, ...]], short: bool) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(repeats, "_ROOM", room)
        found = repeats.combinations(columns(rows, short))
    assert [rows[found.row[number]] for number in found.number] == rows
    assert len(found.row) == len(set(rows))
    assert found.counts == [rows.count(rows[at]) for at in found.row]


def test_a_column_is_shortened_if_its_values_repeat_and_not_otherwise() -> None:
    assert repeats.is_short(repeats.shortened(pa.array(["a", None, "a", None])))
    assert repeats.is_short(repeats.shortened(pa.chunked_array([pa.array([None, None], pa.string()), pa.array(["a", "a"])])))
    assert not repeats.is_short(repeats.shortened(pa.array(["a", "b", "c", "a"])))


def test_a_column_without_a_row_is_in_one_piece_whatever_its_type() -> None:
    for of in (pa.string(), pa.dictionary(pa.int32(), pa.timestamp("us", tz="UTC"))):
        assert len(repeats.whole(pa.chunked_array([], of))) == 0


def test_a_missing_word_is_among_no_words() -> None:
    for column in (pa.array(["a", None, "b"]), pa.array(["a", None, "b"]).dictionary_encode()):
        assert repeats.among(column, ("a", "c")).tolist() == [True, False, False]


def test_where_nothing_is_chosen_or_there_is_no_value_nothing_stands() -> None:
    chosen = np.array([True, False])
    assert repeats.where(chosen, pa.scalar("x")).to_pylist() == ["x", None]
    assert repeats.where(chosen, pa.scalar(None, pa.date32())).to_pylist() == [None, None]
