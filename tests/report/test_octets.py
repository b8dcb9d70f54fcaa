"""What the octets of a column say before its cells are looked at: never that a cell needs no look that does."""

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from migrate.report import cells, octets

CELLS = st.lists(
    st.none()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["=1", " =1", '"-x', "plain", "a,b", "\x01@", "\u200b＝x"]),
    max_size=12,
)


def column(texts: list[str | None]) -> pa.Array:
    return pa.array(texts, pa.large_string())


@given(CELLS)
@example([])
@example([None, None])
@example(["", "", "=1"])
def test_a_cell_that_is_not_doubtful_stays_as_it_is(texts: list[str | None]) -> None:
    doubtful = octets.doubtful(column(texts))
    doubts = [False] * len(texts) if doubtful is None else doubtful.to_pylist()
    assert doubtful is None or any(doubts)
    closely = [cells.safe(column([text if text is None else text + "\x01"]))[0].as_py() for text in texts]
    assert [was == now or doubt for was, now, doubt in zip(texts, closely, doubts, strict=True)] == [True] * len(texts)


@given(CELLS)
@example([])
def test_special_cells_are_those_with_a_comma_a_quote_or_a_line_break(texts: list[str | None]) -> None:
    special = octets.special(column(texts))
    expected = [any(char in (text or "") for char in ',"\r\n') for text in texts]
    assert special is None if not any(expected) else special.to_pylist() == expected


@given(CELLS, st.integers(0, 12), st.integers(0, 12))
def test_a_part_of_a_column_is_a_column(texts: list[str | None], start: int, length: int) -> None:
    part, alone = column(texts).slice(start, length), column(texts[start : start + length])
    for asked in (octets.doubtful, octets.special):
        found, expected = asked(part), asked(alone)
        assert (found and found.to_pylist()) == (expected and expected.to_pylist())


def test_ordinary_text_is_never_doubtful() -> None:
    assert octets.doubtful(column(["Anna", None, "a=b", "O'Neill", "ann@example.com", ""])) is None
