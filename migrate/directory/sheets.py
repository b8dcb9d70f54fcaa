"""Typed files of the `csv` directory: Parquet, read a batch of rows at a time, and sheets of an XLSX workbook, read row by row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from zipfile import ZipFile

from migrate.directory.artefacts import HOLLOW
from migrate.directory.bounds import CELL, PARQUET_LIMITS, PATH, SHEET_ROWS, check_parquet, check_workbook, is_part_of, parts, too_much
from migrate.directory.columns import OPENING, Candidate, locate
from migrate.directory.interface import DirectorySettings, near
from migrate.errors import DirectoryError

if TYPE_CHECKING:
    import pandas as pd

_NOWHERE: Final = (1 << 30, 0)
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")


def parquet_frames(path: Path, settings: DirectorySettings, chunk_rows: int) -> Iterator[pd.DataFrame]:
    """The raw frames of a Parquet file."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, **PARQUET_LIMITS) as file:
            present = file.schema_arrow.names
            place_of = locate(settings, present, source=str(path))
            wanted = list(dict.fromkeys(present[i] for i in place_of.values()))
            check_parquet(path, file.metadata, set(wanted))
            texts = _texts(file.schema, set(wanted))
        with parquet.ParquetFile(path, read_dictionary=texts, **PARQUET_LIMITS) as file:
            position = 0
            for batch in file.iter_batches(batch_size=chunk_rows, columns=wanted):
                for part in parts(path, batch):
                    held = part.to_pandas(integer_object_nulls=True)
                    frame = pd.DataFrame({name: held[present[i]] for name, i in place_of.items()})
                    frame["position"] = range(position + 1, position + len(frame) + 1)
                    position += len(frame)
                    yield frame
    except (pa.ArrowException, UnicodeError, OverflowError) as error:
        said = str(error).partition("\n")[0]
        raise DirectoryError(f"{path} is no complete Parquet file ({said}).", where=PATH, hint="Copy or export it again.") from error


def _texts(schema: Any, wanted: set[str]) -> list[str]:
    """The paths of the text columns. They are read as dictionaries, so that a text is held once, however many rows have it."""
    columns = [schema.column(i) for i in range(len(schema))]
    return [each.path for each in columns if each.physical_type == "BYTE_ARRAY" and is_part_of(each.path, wanted)]


class Workbook:
    """A sheet of an XLSX workbook."""

    def __init__(self, path: Path, sheet: str | None, header: int | None) -> None:
        self._path = path
        self._sheet = sheet
        self._row = header
        self.header = f"row {header or 1}"
        """The place where the header was looked for."""
        self.taken = 0
        """The characters of all records given so far."""

    def records(self) -> Iterator[list[Any]]:
        """The sheet's records, the header first; empty rows, which spreadsheets leave behind, are skipped.

        A cell whose formula has no stored value is `HOLLOW`.
        """
        with self._opened() as book:
            sheet = self._chosen(book)
            fields = 0
            for number, record in self._rows(sheet):
                if not fields and self._row is not None and number != self._row:
                    if number < self._row:
                        continue
                    record = [""]  # the configured header row is empty; the next row is not taken for the header
                if not fields:
                    fields = len(record)
                    self.header = f"row {self._row or number} of the sheet {sheet.title!r}"
                # A sheet stores no empty cells at the end of a row, so a short row is complete.
                self.taken += sum(len(value) for value in record if isinstance(value, str))
                yield record + [None] * (fields - len(record))

    def candidates(self) -> Iterator[Candidate]:
        """Each of the first rows as a candidate for the header: first those of the sheet that is read, then those of the others."""
        with self._opened() as book:
            chosen = self._chosen(book)
            for sheet in (chosen, *(each for each in book.worksheets if each.title != chosen.title)):
                said: dict[str, int | str] = {} if sheet.title == chosen.title else {"sheet": sheet.title}
                sheet.reset_dimensions()
                for number, row in enumerate(sheet.iter_rows(max_row=OPENING, values_only=True), start=1):
                    if any(value is not None for value in row):
                        at: dict[str, int | str] = {"header": number} if number > 1 or not said or self._row is not None else {}
                        yield Candidate(f"row {number} of the sheet {sheet.title!r}", said | at, row)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            from openpyxl import load_workbook  # type: ignore[import-untyped]
        except ImportError as error:
            hint = "Install it: pip install 'sms-migrate[xlsx]'"
            raise DirectoryError("reading a workbook needs openpyxl.", where=PATH, hint=hint) from error
        try:
            check_workbook(self._path)
            book = load_workbook(self._path, read_only=True, data_only=True)
            try:
                yield book
            finally:
                book.close()
        except (DirectoryError, OSError):
            raise
        except Exception as error:
            # openpyxl may raise any kind of exception for a damaged file, so all are reported with one sentence.
            said = str(error).partition("\n")[0] or type(error).__name__
            hint = "Save it again as .xlsx, without a password."
            raise DirectoryError(f"{self._path} is no complete workbook ({said}).", where=PATH, hint=hint) from error

    def _chosen(self, book: Any) -> Any:
        if self._sheet is not None and self._sheet not in book.sheetnames:
            raise DirectoryError(
                f"{self._path} has no sheet {self._sheet!r}; {near(self._sheet, book.sheetnames)}", where="[directory] sheet"
            )
        return book[self._sheet] if self._sheet is not None else book.worksheets[0]

    def _rows(self, sheet: Any) -> Iterator[tuple[int, list[Any]]]:
        """The rows that are not empty, with their numbers."""
        sheet.reset_dimensions()  # the size that a file states may be wrong, and rows beyond it would be left out
        hollow = _hollow(self._path, sheet._worksheet_path)  # noqa: SLF001 - openpyxl has no public name for the sheet's part
        row_at, at = next(hollow, _NOWHERE)
        for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
            record = list(row)
            while row_at <= number:
                if row_at == number:
                    record.extend([None] * (at - len(record)))
                    record[at - 1] = HOLLOW
                row_at, at = next(hollow, _NOWHERE)
            while record and record[-1] is None:
                record.pop()
            if number > SHEET_ROWS:
                raise too_much(f"{self._path} has more than {SHEET_ROWS:,} rows in a sheet.", "Save it as a CSV file.")
            if record:
                for value in record:
                    if isinstance(value, str) and len(value) > CELL:
                        raise too_much(f"a cell of {self._path} is longer than {CELL:,} characters, which no cell is.", "Save it again.")
                yield number, record


def _hollow(path: Path, part: str) -> Iterator[tuple[int, int]]:
    """Row and column of each formula without a stored value, in the sheet's order; openpyxl reads such cells as empty.

    Programs that write workbooks without calculating them leave such formulas. An empty text is a value: `t="str"` with an empty `v`.
    """
    from openpyxl.utils.cell import coordinate_to_tuple  # type: ignore[import-untyped]
    from openpyxl.xml.functions import iterparse  # type: ignore[import-untyped]

    with ZipFile(path) as archive:
        with archive.open(part) as raw:
            if not _has_formulas(raw):
                return
        with archive.open(part) as raw:
            number = 0
            data = None
            for event, element in iterparse(raw, events=("start", "end")):
                tag = _local(element)
                if event == "start":
                    data = element if tag == "sheetData" else data
                elif tag == "row" and data is not None:
                    number = int(float(element.get("r", number + 1)))
                    for column, cell in enumerate(element, start=1):
                        if len(cell) and _local(cell[0]) == "f" and not _stored(cell):  # in a cell, the formula comes first
                            yield number, coordinate_to_tuple(cell.get("r"))[1] if cell.get("r") else column
                    data.clear()


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _stored(cell: Any) -> bool:
    return any(_local(each) == "v" and (each.text or cell.get("t") == "str") for each in cell)


def _has_formulas(raw: IO[bytes]) -> bool:
    end = b""
    while block := raw.read(1 << 18):
        if _FORMULA.search(end + block):
            return True
        end = block[-40:]
    return False
