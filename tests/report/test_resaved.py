"""A table that was saved again says the same, or it does not."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import GuardError
from migrate.report import cells, lines, resaved
from migrate.report.cells import CellType

COLUMNS: dict[str, CellType] = {"id": "text", "kind": "word", "left": "integer", "held": "boolean"}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ROWS = st.lists(st.tuples(TEXT, st.sampled_from(["a", "b"]), st.integers(-99, 99), st.booleans()), max_size=6)


def typed(rows: list[tuple[str, str, int, bool]]) -> cells.Cells:
    return cells.typed(pd.DataFrame(rows, columns=list(COLUMNS)).astype({"id": "str", "left": "int64", "held": "bool"}), COLUMNS)


def read(path: Path) -> pd.DataFrame:
    return pd.concat([pd.DataFrame(columns=[*COLUMNS, resaved.LINE]), *resaved.read(path, COLUMNS)])


def saved(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


@given(rows=ROWS, separator=st.sampled_from(",;\t|"), end=st.sampled_from(["\n", "\r\n"]), quoting=st.sampled_from([0, 1]))
def test_a_table_read_back_has_the_marks_it_was_written_with(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, int, bool]], separator: str, end: str, quoting: int
) -> None:
    table = typed(rows)
    wanted = resaved.marks(resaved.as_text(table, COLUMNS), COLUMNS)
    ours, theirs = io.BytesIO(), io.StringIO(newline="")
    lines.write(ours, [table], COLUMNS)
    again = csv.writer(theirs, delimiter=separator, lineterminator=end, quoting=quoting)
    again.writerows(csv.reader(io.StringIO(ours.getvalue().decode(), newline="")))
    path = saved(tmp_path_factory.mktemp("saved") / "t.csv", theirs.getvalue())
    assert resaved.marks(read(path), COLUMNS) == wanted


@given(before=ROWS, after=ROWS)
def test_rows_that_say_something_else_have_other_marks(before: list, after: list) -> None:
    said = [
        {tuple(resaved.value(str(cell)) for cell in row) for row in resaved.as_text(typed(rows), COLUMNS).values}
        for rows in (before, after)
    ]
    marked = [set(resaved.marks(resaved.as_text(typed(rows), COLUMNS), COLUMNS)) for rows in (before, after)]
    assert len(marked[0] & marked[1]) == len(said[0] & said[1])


@pytest.mark.parametrize(
    ("was", "now"),
    [("007", "7"), ("1e5", "100000"), ("30", "30.0"), ("'=1+1", "=1+1"), ("'+15", "15"), ("false", "FALSE"), ("0", "-0"), ("ada", " ada ")],
)
def test_what_a_spreadsheet_makes_of_a_cell_says_the_same(was: str, now: str) -> None:
    assert resaved.value(was) == resaved.value(now)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("12345678901234567", "1.23457E+16"), ("12345678901234567", "12345678901234568"), ("1" * 40, "1" * 39 + "2"), ("-3", "3"),
        ("ada", "Ada"), ("T-30", "T-3"), ("5", ""), ("10", "1"), ("0.1", "0.01"),
    ],
)  # fmt: skip
def test_a_cell_that_lost_something_says_another_thing(was: str, now: str) -> None:
    assert resaved.value(was) != resaved.value(now)


def test_empty_rows_and_columns_are_no_rows_and_columns(tmp_path: Path) -> None:
    path = saved(tmp_path / "t.csv", "id,kind,left,held,,\nada,a,1,true,,\n,,,,,\n\nbea,b\n")
    found = read(path)
    assert found["id"].tolist() == ["ada", "bea"]
    assert found["held"].tolist() == ["true", ""]
    assert found[resaved.LINE].tolist() == [2, 5]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no column id, kind, left, held"),
        ("id,kind,left\nada,a,1\n", "has no column held"),
        ("id,kind,left,held\nada,a,1,true,no!\n", "line 2 says 'no!' in column number 5"),
        ("note,id,kind,left,held\nstop,ada,a,1,true\n", "line 2 says 'stop' in column note"),
        ('id,kind,left,held\n"ada,a,1,true\nbea,a,1,true\n', "cannot be read as CSV: unexpected end of data"),
    ],
)
def test_a_file_that_is_not_the_table_any_more_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(GuardError) as refused:
        read(saved(tmp_path / "t.csv", text))
    assert says in str(refused.value)


def test_a_long_table_is_read_in_pieces(tmp_path: Path) -> None:
    path = saved(tmp_path / "t.csv", "id,kind,left,held\n" + "ada,a,1,true\n" * 25_000)
    assert [len(part) for part in resaved.read(path, COLUMNS)] == [10_000, 10_000, 5_000]
