"""Typed files of the `csv` directory: Parquet, streamed by row batches, and the sheets of an XLSX workbook, streamed by rows."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

from migrate.directory.columns import locate
from migrate.directory.interface import DirectorySettings, near
from migrate.errors import DirectoryError

if TYPE_CHECKING:
    import pandas as pd

_PATH = "[directory] path"


def parquet_frames(path: Path, settings: DirectorySettings, chunk_rows: int) -> Iterator[pd.DataFrame]:
    """The raw frames of a Parquet file."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            present = file.schema_arrow.names
            found = locate(settings, present, source=str(path))
            wanted = list(dict.fromkeys(present[i] for i in found.values()))
            position = 0
            for batch in file.iter_batches(batch_size=chunk_rows, columns=wanted):
                held = batch.to_pandas(integer_object_nulls=True)
                frame = pd.DataFrame({name: held[present[i]] for name, i in found.items()})
                frame["position"] = range(position + 1, position + len(frame) + 1)
                position += len(frame)
                yield frame
    except pa.ArrowException as error:
        said = str(error).splitlines()[0]
        raise DirectoryError(f"{path} is no complete Parquet file ({said}).", where=_PATH, hint="Copy or export it again.") from error


def xlsx_records(path: Path, sheet: str | None) -> Iterator[list[Any]]:
    """The records of a sheet, the header first; wholly empty rows, which spreadsheets leave behind, are no records."""
    try:
        from openpyxl import load_workbook  # type: ignore[import-untyped]
        from openpyxl.utils.exceptions import InvalidFileException  # type: ignore[import-untyped]
    except ImportError as error:
        hint = "Install it: pip install 'sms-migrate[xlsx]'"
        raise DirectoryError("reading a workbook needs openpyxl.", where=_PATH, hint=hint) from error
    try:
        book = load_workbook(path, read_only=True, data_only=True)
        try:
            if sheet is not None and sheet not in book.sheetnames:
                raise DirectoryError(f"{path} has no sheet {sheet!r}; {near(sheet, book.sheetnames)}", where="[directory] sheet")
            yield from _filled(book[sheet] if sheet is not None else book.worksheets[0])
        finally:
            book.close()
    except (BadZipFile, InvalidFileException, ParseError, KeyError, ValueError, EOFError, zlib.error) as error:
        hint = "Save it again as .xlsx, without a password."
        raise DirectoryError(f"{path} is no complete workbook ({error}).", where=_PATH, hint=hint) from error


def _filled(sheet: Any) -> Iterator[list[Any]]:
    fields = 0
    for row in sheet.iter_rows(values_only=True):
        record = list(row)
        while record and record[-1] is None:
            record.pop()
        if record:
            fields = fields or len(record)
            # A sheet stores no empty cells at the end of a row: a short row is whole.
            yield record + [None] * (fields - len(record))
