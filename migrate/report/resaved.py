"""Reads a table of ours that a spreadsheet may have saved again, and compares it by values instead of bytes (design §13).

Saving changes quotes, line ends, the separator, the encoding, the order of rows and columns; it adds empty columns, writes false as FALSE
and 007 as 7. None of that changes the mark of a row (`marks`). Any other change does, and the caller finds it by the mark.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from migrate.errors import GuardError
from migrate.files import texts
from migrate.report import cells
from migrate.report.cells import Cells, CellType

if TYPE_CHECKING:
    import pandas as pd

LINE: Final = "line"
"""The column with the number of the line in which a row ends."""

_SEPARATORS: Final = ",;\t|"
_CHUNK: Final = 10_000
_NUMBER: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,4})?")
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


def as_text(cells_of: Cells, columns: Mapping[str, CellType]) -> pd.DataFrame:
    """A table as the text that its CSV has; a missing value is ''."""
    import pandas as pd
    import pyarrow.compute as pc

    return pd.DataFrame(
        {name: pc.fill_null(cells.written(cells_of.table[name], of), "").to_pandas().astype("str") for name, of in columns.items()},
        columns=list(columns),
    )


def marks(text: pd.DataFrame, columns: Mapping[str, CellType]) -> list[str]:
    """The mark of each row, 32 hex digits. Rows with the same values have the same mark, however they were saved."""
    values = [[value(cell) for cell in text[name].tolist()] for name in columns]
    return [hashlib.sha256("\x1f".join(row).encode()).hexdigest()[:32] for row in zip(*values, strict=True)]


def value(cell: str) -> str:
    """The value of a cell, without the apostrophe that keeps it from being a formula; numbers and true and false are spelt in one way."""
    bare = cell.strip().lstrip("'").strip()
    if _NUMBER.fullmatch(bare):
        return _plain(bare)
    return bare.lower() if bare.lower() in ("true", "false") else bare


def read(path: Path, columns: Mapping[str, CellType]) -> Iterator[pd.DataFrame]:
    """The rows of a file as text, with the given columns and `LINE`, some thousand at a time.

    Raises GuardError if the file cannot be read, lacks a column, or has text in a column that is not one of ours.
    """
    try:
        with path.open(encoding=_encoding(path), errors="replace", newline="") as file:
            yield from _rows(file, path, columns)
    except OSError as error:
        raise GuardError(f"cannot be read: {error.strerror or error}.", where=str(path)) from None
    except csv.Error as error:
        raise GuardError(f"cannot be read as CSV: {error}.", where=str(path), hint="Save it as CSV again.") from None


def _rows(file: TextIO, path: Path, columns: Mapping[str, CellType]) -> Iterator[pd.DataFrame]:
    import pandas as pd

    texts.fields_of_any_length()
    first, skipped = file.readline(), 1
    if first.lower().startswith("sep="):  # some spreadsheets write their separator here, and hide the line
        first, skipped = file.readline(), 2
    separator = max(_SEPARATORS, key=first.count)
    header = [name.strip() for name in next(csv.reader([first], delimiter=separator), [])]
    if missing := [name for name in columns if name not in header]:
        raise GuardError(f"has no column {', '.join(missing)}.", where=str(path), hint="Keep the first line, and save it as CSV.")
    places = {name: header.index(name) for name in columns}
    reader = csv.reader(file, delimiter=separator, strict=True)
    while chunk := list(islice(((reader.line_num + skipped, row) for row in reader), _CHUNK)):
        rows = [(line, row + [""] * (len(header) - len(row))) for line, row in chunk if any(cell.strip() for cell in row)]
        for line, row in rows:
            _nothing_beside(row, places, header, path, line)
        text = {name: pd.Series([row[place] for _, row in rows], dtype="str") for name, place in places.items()}
        yield pd.DataFrame(text | {LINE: pd.Series([line for line, _ in rows], dtype="int64")})


def _nothing_beside(row: list[str], places: Mapping[str, int], header: list[str], path: Path, line: int) -> None:
    """Raises GuardError for text in other columns: a remark that nobody reads must not be taken for a decision."""
    ours = set(places.values())
    for place, cell in enumerate(row):
        if cell.strip() and place not in ours:
            name = header[place] if place < len(header) and header[place] else f"number {place + 1}"
            raise GuardError(
                f"line {line} says {cell.strip()[:60]!r} in column {name}, which is not a column of ours.",
                where=str(path),
                hint="Only deleting a row has an effect; delete the row, or the column.",
            )


def _encoding(path: Path) -> str:
    """The encoding of a file: UTF-16 if it begins so, UTF-8 if all of it is valid, else the one that an older Excel saves in."""
    with path.open("rb") as file:
        if file.read(2) in _UTF16:
            return "utf-16"
    try:
        with path.open(encoding="utf-8") as text:
            while text.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _plain(number: str) -> str:
    """A number in one spelling, exact however long it is."""
    sign, digits, exponent = Decimal(number).as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits)).lstrip("0")
    stripped = text.rstrip("0")
    return f"{'-' if sign and text else ''}{stripped or '0'}e{exponent + len(text) - len(stripped) if text else 0}"
