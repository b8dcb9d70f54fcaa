"""report.xlsx: the tables as sheets, with frozen headers, filters, real dates and numbers, and no cell that a spreadsheet would run."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from migrate import outside
from migrate.errors import ReportError
from migrate.files import texts
from migrate.report.cells import CellType
from migrate.report.chronicle import Chronicle
from migrate.report.tables import ACCOUNTS, Table

if TYPE_CHECKING:
    from xlsxwriter import Workbook  # type: ignore[import-untyped]

SHEETS: Final = ("summary", "moves", "action-list", "accounts", "notices", "changes", "exemptions", "rejected", "columns")
"""The tables in the order of their sheets."""

ROWS: Final = 100_000
"""A sheet has at most so many rows. Spreadsheets open longer tables slowly and nobody scrolls so far: the sheet then names the file."""

_TEXT_LENGTH: Final = 32_767
_GUESSES: Final = ("strings_to_formulas", "strings_to_urls", "strings_to_numbers")
_FORMATS: Final[dict[str, str]] = {"instant": "yyyy-mm-dd hh:mm:ss", "date": "yyyy-mm-dd", "number": "0.0%"}
_WIDTHS: Final[dict[str, int]] = {"text": 24, "word": 18, "boolean": 11, "integer": 11, "number": 9, "instant": 20, "date": 12}


def available() -> None:
    """Raises ReportError if workbooks cannot be written on this machine."""
    if importlib.util.find_spec("xlsxwriter") is None:
        raise ReportError(
            "report.xlsx needs the library xlsxwriter, which is not installed.",
            where="[reports] formats",
            hint="Type: pip install xlsxwriter; or take 'xlsx' out of the formats.",
        )


def write(
    out: BinaryIO,
    chronicle: Chronicle,
    tables: Sequence[tuple[Table, Path, int]],
    scratch: Path,
    formats: Collection[str] = ("csv",),
) -> None:
    """Writes the workbook from the tables' CSV files, one row at a time; `scratch` is a folder for temporary files.

    `tables` are every table, its file and how many rows it has. `formats` are those of the evidence: the sheet of a table that is too long
    names the file with all its rows.
    """
    import xlsxwriter
    from xlsxwriter.exceptions import FileCreateError  # type: ignore[import-untyped]

    options = {"constant_memory": True, "tmpdir": str(scratch), **dict.fromkeys(_GUESSES, False)}
    book = xlsxwriter.Workbook(out, options)
    book.set_properties(
        {
            "title": f"{chronicle.terms.campaign}, {chronicle.terms.day(chronicle.run.as_of)}",
            "comments": f"Run {chronicle.run.run_id}. This workbook holds personal data.",
            "created": chronicle.evidence_at.astimezone(UTC).replace(tzinfo=None),
        }
    )
    written = {table.name: (table, path, count) for table, path, count in tables}
    for name in SHEETS:
        _sheet(book, *written[name], formats)
    try:
        book.close()
    except FileCreateError as error:
        raise OSError(*error.args[0].args) from error


def _elsewhere(table: Table, written: Collection[str]) -> str:
    """The text that says which file has a table that is too long for a sheet."""
    files = [f"{table.name}.csv"] if "csv" in written else []
    files += ["accounts.parquet"] if "parquet" in written and table is ACCOUNTS else []
    return f"all of them are in {' and '.join(files)}" if files else "`migrate report --format csv` writes them"


def _sheet(book: Workbook, table: Table, path: Path, count: int, among: Collection[str]) -> None:
    sheet = book.add_worksheet(table.title, worksheet_class=_of_plain_text())
    formats = {of: book.add_format({"num_format": shown}) for of, shown in _FORMATS.items()}
    columns = list(table.columns.items())
    for at, (_, of) in enumerate(columns):
        sheet.set_column(at, at, _WIDTHS[of])
    room, row = count, 0
    if count > ROWS:
        note = f"{count:,} rows, and a sheet has {ROWS:,} at most: {_elsewhere(table, among)}."
        sheet.write_string(row, 0, note, book.add_format({"bold": True, "font_color": "#B35900"}))
        room, row = 0, row + 1
    for at, (name, _) in enumerate(columns):
        sheet.write_string(row, at, name, book.add_format({"bold": True, "bottom": 1}))
    sheet.freeze_panes(row + 1, 1)
    sheet.autofilter(row, 0, row + max(room, 1), len(columns) - 1)
    for fields in islice(_records(path), room):
        row += 1
        for at, (text, (_, of)) in enumerate(zip(fields, columns, strict=True)):
            if text:
                _cell(sheet, row, at, text, of, formats.get(of))


def _of_plain_text() -> type[Any]:
    """A worksheet class that writes text unchanged. xlsxwriter would take a text between <r> and </r> for its own markup. Of two escapes
    that share an underscore (`_x0041_x0042_`) it would leave the second as it is, and a spreadsheet reads that as a character."""
    from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

    class Plain(Worksheet):  # type: ignore[misc]
        @staticmethod
        def _escape_control_characters(data: str) -> str:
            return outside.workbook(data)

        def _xml_rich_inline_string(self, string: str, attributes: list[tuple[str, str]]) -> None:
            self._xml_inline_string(string, False, attributes)

    return Plain


def _cell(sheet: Any, row: int, at: int, text: str, of: CellType, shown: Any) -> None:
    if of == "boolean":
        sheet.write_boolean(row, at, text == "true")
    elif of in ("integer", "number"):
        sheet.write_number(row, at, float(text), shown)
    elif of in ("instant", "date") and text >= "1900":  # the dates of a spreadsheet begin in 1900
        moment = datetime.fromisoformat(text).replace(tzinfo=None) if of == "instant" else date.fromisoformat(text)
        sheet.write_datetime(row, at, moment, shown)
    else:
        sheet.write_string(row, at, outside.cut(text, _TEXT_LENGTH))


def _records(path: Path) -> Iterator[list[str]]:
    texts.fields_of_any_length()
    with path.open(encoding="utf-8", newline="") as file:
        yield from islice(csv.reader(file), 1, None)
