"""A spreadsheet of exemptions: a CSV file with the columns `account_id`, `until`, `owner` and `reason`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from migrate.errors import ConfigError
from migrate.files import texts

COLUMNS: Final = ("account_id", "until", "owner", "reason")


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it was written; `number` is the line of the file in which it begins."""

    number: int
    account_id: str
    until: str
    owner: str
    reason: str


def read(path: Path) -> list[Line]:
    """Reads the lines of the file and leaves empty ones out. Fields are separated by commas or, as some spreadsheets write them, by
    semicolons; further columns are ignored.

    Raises ConfigError if the file cannot be read, or a column is missing.
    """
    try:
        return list(_lines(path, texts.decoded(path.read_bytes())))
    except texts.NotTextError as error:
        raise ConfigError(f"{error}.", where=str(path)) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}.", where=str(path), hint="Name the CSV file to import.") from error
    except csv.Error as error:
        raise ConfigError("is no CSV file.", where=str(path), hint="Save it as CSV.") from error


def _lines(path: Path, text: str) -> Iterator[Line]:
    texts.fields_of_any_length()
    header = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if header.count(";") > header.count(",") else ",", strict=True)
    names = [name.strip() for name in next(reader, [])]
    if missing := [name for name in COLUMNS if name not in names]:
        raise ConfigError(f"has no column {', '.join(missing)}.", where=str(path), hint=f"The first line must name {', '.join(COLUMNS)}.")
    places = [names.index(name) for name in COLUMNS]
    begins = reader.line_num + 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield Line(begins, *(cells[place] if place < len(cells) else "" for place in places))
        begins = reader.line_num + 1
