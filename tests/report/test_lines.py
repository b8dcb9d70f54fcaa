"""Lines of CSV, beside those that a writer without any haste would write."""

import io
from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from migrate.report import cells, lines

COLUMNS: dict[str, cells.CellType] = {"id": "text", "word": "word", "flag": "boolean", "at": "instant", "note": "text", "count": "integer"}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.sampled_from(["", ",", '"', "\n", "=1,2", 'say "x"', "Zoë"])
ROW = st.tuples(
    st.none() | TEXT,
    st.none() | st.sampled_from(["sms_only", "sms,totp"]),
    st.none() | st.booleans(),
    st.none() | st.sampled_from([datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, 0, 0, 0, 50, tzinfo=UTC)]),
    st.none() | TEXT,
    st.none() | st.integers(-5, 5),
)


def field(value: object) -> str:
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, datetime):
        text = value.isoformat().replace("+00:00", "Z")
    return '"' + text.replace('"', '""') + '"' if any(char in text for char in ',"\r\n') else text


@given(st.lists(ROW, min_size=1, max_size=12), st.sets(st.sampled_from(list(COLUMNS))), st.integers(1, 4))
def test_the_same_bytes_are_written_whichever_columns_are_short(rows: list[tuple[object, ...]], short: set[str], times: int) -> None:
    rows = rows * times
    made = {name: pa.array([row[at] for row in rows], cells.arrow(of)) for at, (name, of) in enumerate(COLUMNS.items())}
    table = pa.table({name: column.dictionary_encode() if name in short else column for name, column in made.items()})
    out = io.BytesIO()
    assert lines.write(out, map(cells.Cells, [table, table.slice(0, 0), table.slice(1)]), COLUMNS) == 2 * len(rows) - 1
    expected = [",".join(map(field, row)) + "\n" for row in (tuple(COLUMNS), *rows, *rows[1:])]
    assert out.getvalue().decode() == "".join(expected)


@given(st.lists(st.none() | TEXT, max_size=12), st.integers(1, 3))
def test_text_is_made_safe_alike_whether_it_is_short_or_not(texts: list[str | None], times: int) -> None:
    column = pa.array(texts * times, pa.large_string())
    short = cells.safe(column.dictionary_encode())
    assert pa.types.is_dictionary(short.type)
    assert short.to_pylist() == cells.safe(column).to_pylist()
    assert short.to_pylist() == [
        text if text is None else cells.safe(pa.array([text], pa.large_string()))[0].as_py() for text in texts * times
    ]
