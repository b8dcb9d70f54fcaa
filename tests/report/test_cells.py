import csv
import io
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.report import cells, lines

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def made_safe(text: str) -> str:
    return str(cells.safe(pa.array([text], pa.large_string()))[0].as_py())


@pytest.mark.parametrize(
    "formula",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "  =1+1",
        '"=1+1"',
        "'=1",
        "\t=1+1",
        "\r=1",
        "＝1+1",
        "＋1",
        "－1",
        "＠x",
        "\u00a0=1",
        "\u200b=1",
        "\ufeff=1",
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_gets_an_apostrophe(formula: str) -> None:
    assert made_safe(formula).startswith("'")


@pytest.mark.parametrize("plain", ["", "Anna", "a=b", "1-2", "O'Neill", "ann@example.com", "••••12", "Ångström", "李雷", '"quoted"'])
def test_an_ordinary_cell_is_left_alone(plain: str) -> None:
    assert made_safe(plain) == plain


def test_line_breaks_and_tabs_become_one_space() -> None:
    assert made_safe("Anna\r\nBcc: x\ty\u2028z\x85ä") == "Anna Bcc: x y z ä"


def test_control_and_bidirectional_characters_are_removed() -> None:
    assert made_safe("A\x00n\x1bn\x7fa\u202egnp\u2066\u2069\u200f.\x9bexe") == "Annagnp.exe"


def test_a_control_character_cannot_hide_a_formula() -> None:
    assert made_safe("\x01=1+1") == "'=1+1"


def test_missing_cells_stay_missing_among_formulas() -> None:
    assert cells.safe(pa.array([None, "=1", "a\nb"], pa.large_string())).to_pylist() == [None, "'=1", "a b"]


@given(TEXT)
def test_a_safe_cell_is_no_formula_and_one_apostrophe_less_is_the_text(text: str) -> None:
    safe = made_safe(text)
    assert safe.lstrip(" \"'")[:1] not in {*"=+-@"} or safe.startswith("'")
    assert not any(char in safe for char in "\n\r\t\x00\x0b\x0c\u202e")
    if text.isprintable():
        assert text in (safe, safe[1:])


@given(st.lists(st.tuples(st.none() | TEXT, st.none() | TEXT), min_size=1, max_size=8))
def test_what_is_written_is_what_a_csv_reader_reads(rows: list[tuple[str | None, str | None]]) -> None:
    columns: dict[str, cells.CellType] = {"one": "text", "two": "text"}
    table = cells.typed(pd.DataFrame(rows, columns=list(columns)).astype("str"), columns)
    out = io.BytesIO()
    assert lines.write(out, [table], columns) == len(rows)
    read = list(csv.reader(io.StringIO(out.getvalue().decode(), newline=""), strict=True))
    assert read[0] == ["one", "two"]
    assert read[1:] == [[cell or "" for cell in row.values()] for row in table.table.to_pylist()]


def test_fields_are_quoted_only_where_they_must_be() -> None:
    columns: dict[str, cells.CellType] = {"a": "word", "b": "word"}
    frame = pd.DataFrame({"a": ["plain", "a,b", 'say "x"', "two\nlines"], "b": [None, "", " ", "z"]}, dtype="str")
    out = io.BytesIO()
    lines.write(out, [cells.typed(frame, columns)], columns)
    assert out.getvalue() == b'a,b\nplain,\n"a,b",\n"say ""x""", \n"two\nlines",z\n'


@given(st.lists(st.none() | st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)), min_size=1, max_size=8))
def test_instants_are_iso_8601_with_microseconds_only_where_they_are_not_zero(moments: list[datetime | None]) -> None:
    frame = pd.DataFrame({"at": pd.Series(moments, dtype="datetime64[us]").dt.tz_localize("UTC")})
    columns: dict[str, cells.CellType] = {"at": "instant"}
    written = cells.written(cells.typed(frame, columns).table["at"], "instant").to_pylist()
    assert written == [moment and moment.isoformat() + "Z" for moment in moments]


def test_every_type_has_its_way_of_being_written() -> None:
    columns: dict[str, cells.CellType] = {"b": "boolean", "i": "integer", "n": "number", "d": "date", "w": "word"}
    frame = pd.DataFrame(
        {
            "b": [True, False],
            "i": pd.Series([-3, None], dtype="Int64"),
            "n": [0.25, 1],
            "d": pd.Series(["2024-02-29", None], dtype="str"),
            "w": pd.Series(["-x", None], dtype="str"),
        }
    )
    table = cells.typed(frame, columns)
    assert table.table.schema == cells.schema(columns)
    out = io.BytesIO()
    lines.write(out, [table], columns)
    assert out.getvalue().decode() == "b,i,n,d,w\ntrue,-3,0.25,2024-02-29,-x\nfalse,,1,,\n"


def test_the_bytes_of_a_slice_are_those_of_its_rows() -> None:
    columns: dict[str, cells.CellType] = {"at": "instant", "w": "word"}
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    frame = pd.DataFrame(
        {"at": pd.Series([moment + timedelta(seconds=s) for s in range(3)]).astype("datetime64[us, UTC]"), "w": list("abc")}
    )
    table = cells.typed(frame.astype({"w": "str"}), columns)
    whole = lines.records(table, columns)
    bounds, body = lines.bounds(whole), lines.body(whole)
    assert bytes(body[bounds[1] : bounds[3]]) == bytes(lines.body(lines.records(cells.Cells(table.table.slice(1)), columns)))
    assert bytes(body[bounds[0] : bounds[1]]) == b"2024-01-01T00:00:00Z,a\n"
