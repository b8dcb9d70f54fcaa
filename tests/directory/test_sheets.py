"""Workbooks as people have them: titles, other sheets, formulas, errors, and what a spreadsheet does to an id."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import openpyxl
import pandas as pd
import pytest
import xlsxwriter

from migrate.directory import Directory, open_directory, settings_model
from migrate.directory.testing import assert_contract, assert_unreadable

HEAD = ["account_id", "email", "methods"]
ADA = ["ada", "ada@b.test", "sms"]
BOB = ["bob", "bob@b.test", "totp"]

Book = Callable[..., Directory]


@pytest.fixture
def book(tmp_path: Path) -> Book:
    """A `csv` directory of a workbook with the given sheets; a text that begins with `=` is a formula without a stored value."""

    def make(sheets: dict[str, list[list[Any]]], **settings: Any) -> Directory:
        book = openpyxl.Workbook()
        book.remove(book.active)
        for title, rows in sheets.items():
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(row)
        book.save(tmp_path / "u.xlsx")
        return opened(tmp_path / "u.xlsx", **settings)

    return make


def opened(path: Path, **settings: Any) -> Directory:
    return open_directory(settings_model("csv")(kind="csv", path=str(path), **settings))


def rows_of(directory: Directory) -> pd.DataFrame:
    return assert_contract(lambda: directory)


def ids(directory: Directory) -> list[str]:
    rows = rows_of(directory)
    assert rows["rejection"].isna().all(), rows["rejection"].tolist()
    return rows["account_id"].tolist()


def reasons(directory: Directory) -> list[str]:
    return rows_of(directory)["rejection"].fillna("").tolist()


TITLES: list[list[Any]] = [["MFA registration report"], ["Exported", datetime(2024, 1, 2, tzinfo=None)], []]


def test_title_rows_above_the_header_are_told_with_the_setting(book: Book) -> None:
    sheets = {"Report": [*TITLES, HEAD, ADA]}
    error = assert_unreadable(lambda: book(sheets))
    assert (error.where, error.hint) == ("[directory] header", "Write header = 4.")
    assert "row 1 of the sheet 'Report' of " in error.what
    assert "but row 4 of the sheet 'Report' is." in error.what
    assert ids(book(sheets, header=4)) == ["ada"]


def test_title_rows_do_not_widen_or_narrow_the_rows(book: Book) -> None:
    assert ids(book({"S": [["a", "b", "c", "d", "e"], HEAD, ADA, [*BOB[:2]]]}, header=2)) == ["ada", "bob"]


@pytest.mark.parametrize("header", [1, 3, 5, 9])
def test_a_header_in_the_wrong_row_is_told_with_the_right_one(book: Book, header: int) -> None:
    error = assert_unreadable(lambda: book({"S": [["Report"], HEAD, [], ADA, BOB]}, header=header))
    assert f"row {header}" in error.what
    assert error.hint == "Write header = 2."


def test_the_sheet_that_fits_is_told(book: Book) -> None:
    sheets = {"About": [["Report of the day"]], "All users": [HEAD, ADA]}
    error = assert_unreadable(lambda: book(sheets))
    assert (error.where, error.hint) == ("[directory] sheet", 'Write sheet = "All users".')
    assert ids(book(sheets, sheet="All users")) == ["ada"]


def test_the_sheet_and_the_row_that_fit_are_told(book: Book) -> None:
    sheets = {"About": [["Report of the day"]], "Users": [*TITLES, HEAD, ADA]}
    error = assert_unreadable(lambda: book(sheets))
    assert error.hint == 'Write sheet = "Users" and header = 4.'
    assert ids(book(sheets, sheet="Users", header=4)) == ["ada"]


def test_a_header_that_was_set_for_another_sheet_is_set_right(book: Book) -> None:
    error = assert_unreadable(lambda: book({"About": [["Report"], [], ["of the day"]], "Users": [HEAD, ADA]}, header=3))
    assert error.hint == 'Write sheet = "Users" and header = 1.'


def test_for_an_empty_sheet_the_one_that_fits_is_told(book: Book) -> None:
    error = assert_unreadable(lambda: book({"Sheet1": [], "Users": [HEAD, ADA]}))
    assert "is empty" in error.what
    assert error.hint == 'Write sheet = "Users".'


def test_where_no_row_fits_a_title_is_told_from_what_may_be_the_header(book: Book) -> None:
    error = assert_unreadable(lambda: book({"About": [["Report"]], "Users": [["Id", "Mail", "Factors"], ADA]}))
    assert "none of the columns account_id, email, methods" in error.what
    assert "If its header is row 1 of the sheet 'Users' (Id, Mail, Factors), write sheet = \"Users\"" in (error.hint or "")


def test_a_formula_without_a_stored_value_is_unreadable(book: Book) -> None:
    sheet = [
        [*HEAD, "enabled", "cost"],
        ["a", "=B9", "sms", True],
        ["b", "b@b.test", '="sms"', "=TRUE()"],
        ["c", "c@b.test", "sms", True, "=1+1"],
    ]
    hollow = "a formula without a stored value; open the file in a spreadsheet program and save it"
    assert reasons(book({"S": sheet})) == [f"email: {hollow}", f"enabled: {hollow}; methods: {hollow}", ""]


def test_an_id_that_is_a_formula_without_a_stored_value_is_no_id(book: Book) -> None:
    found = rows_of(book({"S": [HEAD, ["=A9", "a@b.test", "sms"], [], ["=A10"], BOB]}))
    assert found["account_id"].fillna("").tolist() == ["", "", "bob"]
    assert [reason.partition(":")[0] for reason in found["rejection"].fillna("")] == ["account_id", "account_id", ""]


def test_a_method_column_that_is_a_formula_without_a_stored_value_is_unreadable(book: Book) -> None:
    directory = book({"S": [["account_id", "email", "has_sms"], ["a", "a@b.test", "=1=1"]]}, method_columns={"sms": "has_sms"})
    assert reasons(directory)[0].startswith("sms: a formula without a stored value")


def test_a_header_that_is_a_formula_without_a_stored_value_is_no_name(book: Book) -> None:
    assert "no column 'methods'" in str(assert_unreadable(lambda: book({"S": [["account_id", "email", "=A9"], ADA]})))


def test_stored_values_of_formulas_are_read(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "written.xlsx") as written:
        sheet = written.add_worksheet()
        sheet.write_row(0, 0, [*HEAD, "enabled", "department"])
        sheet.write_row(1, 0, ADA)
        sheet.write_formula(2, 0, "=A9", value="bob")
        sheet.write_formula(2, 1, "=B9", value="bob@b.test")
        sheet.write_formula(2, 2, "=C9", value="totp")
        sheet.write_formula(2, 3, "=D9", value=False)
        sheet.write_formula(2, 4, '=IF(A9="","",1)', value="no text")
        sheet.write_formula(3, 0, "=A10", value=7)
        sheet.write_string(3, 1, "=1+1")
    with ZipFile(tmp_path / "written.xlsx") as before, ZipFile(tmp_path / "u.xlsx", "w") as after:
        for name in before.namelist():  # a formula whose value is a text of no characters, as Excel stores it
            after.writestr(name, before.read(name).replace(b"<v>no text</v>", b"<v></v>"))
    rows = rows_of(opened(tmp_path / "u.xlsx"))
    assert rows["rejection"].isna().all()
    assert rows["account_id"].tolist() == ["ada", "bob", "7"]
    assert (rows["email"].tolist(), rows["enabled"].tolist()) == (["ada@b.test", "bob@b.test", "=1+1"], [True, False, True])
    assert rows["department"].isna().all()


def test_the_errors_of_a_sheet_are_unreadable(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "u.xlsx") as written:
        sheet = written.add_worksheet()
        sheet.write_row(0, 0, [*HEAD, "cost"])
        for row, error in enumerate(["#N/A", "#REF!", "#NAME?", "#DIV/0!", "#VALUE!"], start=1):
            sheet.write_row(row, 0, [f"u{row}", "x@b.test"])
            sheet.write_formula(row, 2, "=VLOOKUP(A1,Z:Z,1)", value=error)
        sheet.write_row(6, 0, BOB)
        sheet.write_formula(6, 3, "=1/0", value="#DIV/0!")
    said = "is an error of a spreadsheet, no value"
    assert reasons(opened(tmp_path / "u.xlsx")) == [
        f"methods: '#N/A' {said}", f"methods: '#REF!' {said}", f"methods: '#NAME?' {said}", f"methods: '#DIV/0!' {said}",
        f"methods: '#VALUE!' {said}", "",
    ]  # fmt: skip


@pytest.mark.parametrize("number", [10**15, 1234567890123456, 1.23456789012346e17, -(10**15)])
def test_an_id_that_is_a_number_of_more_than_15_digits_is_rejected_as_rounded(book: Book, number: float) -> None:
    found = reasons(book({"S": [HEAD, [number, "a@b.test", "sms"], BOB]}))
    assert found == [f"account_id: {number:.0f} is a number of more than 15 digits, which a spreadsheet rounds; keep ids as text", ""]


def test_an_id_of_as_many_digits_as_text_and_a_shorter_number_are_kept(book: Book) -> None:
    assert ids(book({"S": [HEAD, ["1234567890123456789", "a@b.test"], [999_999_999_999_999, "b@b.test"], [7.0, "c@b.test"]]})) == [
        "1234567890123456789", "999999999999999", "7",
    ]  # fmt: skip


def test_a_long_number_that_is_no_id_is_read(book: Book) -> None:
    assert ids(book({"S": [[*HEAD, "phone", "department"], [*ADA, 49555123456789012, 10**17]]})) == ["ada"]


@pytest.mark.parametrize("value", ["1.00517E+11", "1,00517E+11"])
def test_a_text_in_scientific_notation_is_no_id_in_a_sheet_either(book: Book, value: str) -> None:
    assert reasons(book({"S": [HEAD, [value, "a@b.test", "sms"]]})) == [
        f"account_id: {value} is a number that a spreadsheet rounded; export ids as text"
    ]


def test_an_id_that_became_a_date_is_rejected(book: Book) -> None:
    assert reasons(book({"S": [HEAD, [date(2024, 3, 1), "a@b.test", "sms"]]}))[0].startswith("account_id: 2024-03-01")


@pytest.mark.parametrize("total", [["Total users: 2"], ["Total", 2], ["Total:", None, 2], [None, "Summe: 2"], ["(2 rows)"]])
def test_a_row_of_totals_is_no_account(book: Book, total: list[Any]) -> None:
    found = reasons(book({"S": [HEAD, ADA, BOB, [], total]}))
    assert found[:2] == ["", ""]
    assert "is a line of totals, no account" in found[2]


def test_a_row_of_dashes_is_no_account(book: Book) -> None:
    assert reasons(book({"S": [HEAD, ["-----", "-----", "-----"], ADA]})) == ["a line of dashes, no account", ""]


def test_rows_beyond_the_size_that_a_sheet_says_of_itself_are_read(book: Book, tmp_path: Path) -> None:
    book({"S": [HEAD, ADA, BOB]})
    with ZipFile(tmp_path / "u.xlsx") as whole, ZipFile(tmp_path / "small.xlsx", "w") as small:
        for name in whole.namelist():
            small.writestr(name, re.sub(rb'<dimension ref="[^"]+"', b'<dimension ref="A1"', whole.read(name)))
    assert ids(opened(tmp_path / "small.xlsx")) == ["ada", "bob"]


def test_formulas_are_found_far_down_a_sheet_and_among_empty_rows(book: Book) -> None:
    rows: list[list[Any]] = [[f"u{i}", "x@b.test", "sms"] if i % 3 else [] for i in range(3000)]
    rows[2500] = ["last", "=B1", "sms"]
    found = rows_of(book({"S": [HEAD, *rows]}))
    assert found.loc[found["rejection"].notna(), "account_id"].tolist() == ["last"]


def test_a_workbook_speaks_of_the_moment_it_was_last_modified(book: Book, tmp_path: Path) -> None:
    directory: Any = book({"S": [HEAD, ADA]})
    assert directory.as_of() == datetime.fromtimestamp((tmp_path / "u.xlsx").stat().st_mtime, UTC)
    assert ids(directory) == ["ada"]
    assert directory.caveats() == ()
