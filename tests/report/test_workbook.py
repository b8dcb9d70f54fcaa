import csv
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from report.conftest import SUMMARY, FrameChronicle, record

from migrate.report import evidence, tables, workbook
from migrate.report.settings import ReportsSettings

Told = Callable[..., FrameChronicle]


@pytest.fixture
def sheets(tmp_path: Path) -> Callable[[FrameChronicle], tuple[Any, Path]]:
    def render(chronicle: FrameChronicle) -> tuple[Any, Path]:
        found = evidence.write(chronicle, ReportsSettings(dir=tmp_path / "reports", formats=("csv", "xlsx")), SUMMARY)
        assert found is not None
        return openpyxl.load_workbook(found.folder / "report.xlsx"), found.folder

    return render


def meant(cell: str, of: str) -> Any:
    """What a CSV field is in a spreadsheet, whose time has milliseconds."""
    if not cell:
        return None
    if of == "instant":
        moment = datetime.fromisoformat(cell).replace(tzinfo=None)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    if of == "date":
        return datetime.fromisoformat(cell)
    return {"boolean": lambda: cell == "true", "integer": lambda: int(cell), "number": lambda: float(cell)}.get(of, lambda: cell)()


def test_the_sheets_are_the_tables_in_order_with_frozen_headers_and_filters(sheets: Any, chronicle: FrameChronicle) -> None:
    book, _ = sheets(chronicle)
    assert book.sheetnames == ["Summary", "Moves", "Action list", "Accounts", "Notices", "Changes", "Exemptions", "Rejected", "Columns"]
    assert {sheet.freeze_panes for sheet in book} == {"B2"}
    assert book["Accounts"].auto_filter.ref == "A1:AH12"


def test_every_cell_of_every_sheet_is_the_one_in_the_csv(sheets: Any, chronicle: FrameChronicle) -> None:
    book, folder = sheets(chronicle)
    for table in tables.TABLES:
        with (folder / f"{table.name}.csv").open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        shown = list(book[table.title].iter_rows(values_only=True))
        assert list(shown[0]) == header
        of = list(table.columns.values())
        assert [list(row) for row in shown[1:]] == [[meant(cell, kind) for cell, kind in zip(row, of, strict=True)] for row in rows]


def test_no_cell_is_a_formula_or_a_link(sheets: Any, chronicle: FrameChronicle) -> None:
    book, _ = sheets(chronicle)
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not [cell.value for cell in cells if cell.data_type == "f" or cell.hyperlink]
    assert '\'=HYPERLINK("http://evil.example";"x")' in [cell.value for cell in cells]


def test_instants_dates_numbers_and_truths_are_real(sheets: Any, chronicle: FrameChronicle) -> None:
    book, _ = sheets(chronicle)
    header, _, bob = list(book["Accounts"].iter_rows(max_row=3))
    found = {name.value: cell for name, cell in zip(header, bob, strict=True)}
    assert found["cutoff"].value == datetime(2024, 2, 1, 8)
    assert found["next_stage_on"].value == datetime(2024, 1, 18)
    assert (found["cutoff"].number_format, found["next_stage_on"].number_format) == ("yyyy-mm-dd hh:mm:ss", "yyyy-mm-dd")
    assert (found["days_left"].value, found["privileged"].value, found["certain"].value) == (30, True, True)
    assert book["Summary"]["D2"].number_format == "0.0%"


def test_a_table_that_is_too_long_is_left_to_its_file_and_the_sheet_says_so(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "ROWS", 60)
    chronicle = told(records=tuple(record(f"p{n:02}") for n in range(61)), mail=(), earlier=(), new=())
    for formats, elsewhere in (
        (("csv", "xlsx"), "all of them are in accounts.csv"),
        (("csv", "parquet", "xlsx"), "all of them are in accounts.csv and accounts.parquet"),
        (("parquet", "xlsx"), "all of them are in accounts.parquet"),
        (("xlsx",), "`migrate report --format csv` writes them"),
    ):
        found = evidence.write(chronicle, ReportsSettings(dir=tmp_path / "reports", formats=formats), SUMMARY)
        assert found is not None
        sheet = openpyxl.load_workbook(found.folder / "report.xlsx")["Accounts"]
        assert sheet["A1"].value == f"61 rows, and a sheet has 60 at most: {elsewhere}."
        assert [cell.value for cell in sheet["A"][1:]] == ["account_id"]
        assert sheet.freeze_panes == "B3"
        assert sheet.auto_filter.ref == "A2:AH3"


def test_a_sheet_has_a_hundred_thousand_rows_at_most() -> None:
    assert workbook.ROWS == 100_000


def test_a_table_that_just_fits_a_sheet_is_whole(sheets: Any, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "ROWS", 5)
    book, _ = sheets(told(records=tuple(record(f"p{n}") for n in range(5)), mail=(), earlier=(), new=()))
    assert [cell.value for cell in book["Accounts"]["A"]] == ["account_id", "p0", "p1", "p2", "p3", "p4"]


def test_text_longer_than_a_cell_is_cut_and_time_before_spreadsheets_is_text(sheets: Any, told: Told) -> None:
    from report.conftest import instant

    person = record("ann", outcome_reason="x" * 40_000, standing_since=instant("1850-01-01T00:00:00Z"))
    book, _ = sheets(told(records=(person,), mail=()))
    header, row = list(book["Accounts"].iter_rows(values_only=True))
    found = dict(zip(header, row, strict=True))
    assert len(found["outcome_reason"]) == 32_767
    assert found["standing_since"] == "1850-01-01T00:00:00Z"
