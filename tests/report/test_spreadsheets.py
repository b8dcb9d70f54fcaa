"""What other programs read in the files: pandas, openpyxl and LibreOffice find texts, dates and numbers, and nothing to run."""

from __future__ import annotations

import csv
import io
import random
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from report.conftest import SUMMARY, FrameChronicle, instant, record
from spreadsheet import LibreOffice

from migrate.report import cells, evidence, lines, tables
from migrate.report.settings import ReportsSettings

Country = Callable[[str], LibreOffice]
BEGIN = "=+-@＝＋－＠﹦﹢﹣﹫"
PASSED_OVER = " \t\r\n\u00a0\u3000\u2003\u200b\ufeff\"'`"
PIECES = st.text(st.sampled_from(f"{BEGIN}{PASSED_OVER};|,a1(İ李"), min_size=1, max_size=9)
COLUMNS: dict[str, cells.CellType] = {"account_id": "text", "display_name": "text"}


def written(texts: list[str]) -> bytes:
    frame = pd.DataFrame({"account_id": texts, "display_name": texts[::-1]}, dtype="str")
    out = io.BytesIO()
    lines.write(out, [cells.typed(frame, COLUMNS)], COLUMNS)
    return out.getvalue()


def would_run(cell: str) -> bool:
    """Whether a spreadsheet, however it is set, may take a cell for a formula."""
    return cell.lstrip("".join(char for char in PASSED_OVER if char != "'"))[:1] in {*BEGIN}


@given(st.lists(PIECES, min_size=1, max_size=30))
def test_whatever_stands_before_a_formula_pandas_reads_no_cell_that_would_run(texts: list[str]) -> None:
    raw = written(texts)
    frame = pd.read_csv(io.BytesIO(raw), dtype="str", keep_default_na=False)
    assert list(csv.reader(io.StringIO(raw.decode(), newline=""), strict=True))[1:] == frame.to_numpy().tolist()
    for cell in frame["account_id"]:
        assert not any(would_run(part) for part in [cell, *re.split("[;|]", cell)])
        assert not set("\t\r\n\ufeff") & set(cell)


def test_libreoffice_runs_none_of_them_whatever_separates_its_cells(libreoffice: Country, tmp_path: Path) -> None:
    draw = random.Random(7)
    texts = [head + begin + "1+1" for head in ("", *PASSED_OVER, " \t", '" ', "a;", "a| ", "a;\u3000") for begin in BEGIN]
    texts += ["".join(draw.choices(f"{BEGIN}{PASSED_OVER};|,a1", k=6)) + "1+1" for _ in range(300)]
    (tmp_path / "names.csv").write_bytes(written(texts))
    (tmp_path / "control.csv").write_text("a,b\n=1+1,x;=2+2\n")
    peer = libreoffice("en-US")
    assert "formula" in {kind for rows in peer.read(tmp_path / "control.csv", ",").values() for row in rows for _, kind in row}
    for separator in ",;\t|":
        found = [cell for rows in peer.read(tmp_path / "names.csv", separator).values() for row in rows for cell in row]
        assert len(found) > len(texts)
        assert [text for text, kind in found if kind == "formula"] == []


PEOPLE = (
    record("007", display_name="Jürgen Größe", department="Ärzte", standing_since=instant("2023-08-01T14:00:00Z"), phone="••••12"),
    record("1E5", display_name="李雷", department="営業部", privileged=True),
    record("00000000000000000042", display_name="Zoë \U0001f469\u200d\U0001f4bb", exempt_until="2024-03-01"),
)
ALL = ("csv", "parquet", "xlsx")


def test_leading_zeros_names_and_dates_are_what_they_are_in_every_program(libreoffice: Country, tmp_path: Path) -> None:
    chronicle = FrameChronicle(records=PEOPLE, mail=(), earlier=(), new=())
    found = evidence.write(chronicle, ReportsSettings(dir=tmp_path / "reports", formats=ALL), SUMMARY)
    assert found is not None
    ids, names = [person["account_id"] for person in PEOPLE], [person["display_name"] for person in PEOPLE]
    frame = pd.read_csv(found.folder / "accounts.csv", dtype={"account_id": "str"}, parse_dates=["cutoff", "standing_since"])
    assert frame["account_id"].tolist() == ids
    assert frame["display_name"].tolist() == names
    assert frame["cutoff"].dt.tz is not None
    assert frame["cutoff"].iloc[0] == pd.Timestamp("2024-02-01T08:00:00Z")
    sheet = openpyxl.load_workbook(found.folder / "report.xlsx")["Accounts"]
    header, *rows = list(sheet.iter_rows(values_only=True))
    first = dict(zip(header, rows[0], strict=True))
    assert [row[header.index("account_id")] for row in rows] == ids
    assert (first["cutoff"], first["standing_since"]) == (datetime(2024, 2, 1, 8), datetime(2023, 8, 1, 14))
    sheets = libreoffice("de-DE").read(found.folder / "report.xlsx")
    shown = sheets["Accounts"]
    at = {name: [cell[0] for cell in shown[0]].index(name) for name in ("account_id", "display_name", "department", "cutoff", "days_left")}
    assert [row[at["account_id"]] for row in shown[1:]] == [(account_id, "text") for account_id in ids]
    assert [row[at["display_name"]] for row in shown[1:]] == [(name, "text") for name in names]
    assert [row[at["department"]][0] for row in shown[1:]] == ["Ärzte", "営業部", "Sales"]
    days, kind = shown[1][at["cutoff"]]
    assert kind == "value"
    assert abs(datetime(1899, 12, 30) + timedelta(days=float(days)) - datetime(2024, 2, 1, 8)) < timedelta(milliseconds=1)
    assert shown[1][at["days_left"]][1] == "value"


def test_parquet_has_the_very_values_of_every_column_of_the_csv_in_its_type(chronicle: FrameChronicle, tmp_path: Path) -> None:
    found = evidence.write(chronicle, ReportsSettings(dir=tmp_path / "reports", formats=ALL), SUMMARY)
    assert found is not None
    twin = pq.read_table(found.folder / "accounts.parquet")
    assert twin.schema.equals(cells.schema(tables.ACCOUNTS.columns))
    with (found.folder / "accounts.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    for name, of in tables.ACCOUNTS.columns.items():
        told = cells.written(pa.chunked_array(twin[name].chunks), of).to_pylist()
        assert [value if value is not None else "" for value in told] == [row[name] for row in rows], name
