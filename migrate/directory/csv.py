"""The `csv` directory: an export in a file. CSV, TSV (also gzipped), Parquet or an XLSX sheet, told apart by the file's name.

Text files are read as text throughout: "NA" is a surname and "007" no number. Position 1 is the first record after the header.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder, lookup
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final, Literal, cast

from pydantic import Field, field_validator

from migrate.directory.columns import locate
from migrate.directory.interface import Directory, DirectorySettings
from migrate.errors import DirectoryError

if TYPE_CHECKING:
    import pandas as pd

PATH: Final = "[directory] path"
DELIMITERS: Final = ",;\t|"
FIELD_CHARACTERS: Final = 1 << 20
"""A field longer than this is a quotation mark that nobody closed, not a value."""

_BOMS: Final = ((BOM_UTF8, "utf-8-sig"), (BOM_UTF16_LE, "utf-16"), (BOM_UTF16_BE, "utf-16"))


class CsvSettings(DirectorySettings):
    """`[directory]` with `kind = "csv"`. `delimiter` is found out and `encoding` is UTF-8 (or what a byte order mark says) by default;
    `sheet` is the first one of a workbook by default."""

    kind: Literal["csv"] = "csv"
    path: str = Field(min_length=1)
    delimiter: str | None = Field(None, min_length=1, max_length=1)
    encoding: str | None = None
    sheet: str | None = None

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str | None) -> str | None:
        if encoding is not None:
            try:
                lookup(encoding)
            except LookupError:
                raise ValueError(f"{encoding!r} is no encoding; common ones are 'utf-8', 'utf-16' and 'cp1252'") from None
        return encoding


class CsvDirectory(Directory):
    """Reads an export."""

    kind = "csv"
    Settings = CsvSettings

    chunk_rows: ClassVar[int] = 25_000

    settings: CsvSettings

    def describe(self) -> str:
        return f"the file {self.settings.path}"

    def frames(self) -> Iterator[pd.DataFrame]:
        path = Path(self.settings.path)
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            hint = "Correct the path; a relative one starts at the configuration file's folder."
            raise DirectoryError(f"{path} {what}.", where=PATH, hint=hint)
        with _told(path):
            match path.suffix.casefold():
                case ".parquet":
                    from migrate.directory.sheets import parquet_frames

                    yield from parquet_frames(path, self.settings, self.chunk_rows)
                case ".xlsx" | ".xlsm":
                    from migrate.directory.sheets import xlsx_records

                    yield from self._frames(xlsx_records(path, self.settings.sheet))
                case ".xls" | ".ods":
                    raise DirectoryError(f"{path} is in a format that cannot be read.", where=PATH, hint="Save it as .xlsx or .csv.")
                case _:
                    yield from self._frames(self._records(path))

    def _records(self, path: Path) -> Iterator[list[str]]:
        """The file's records, the header first."""
        csv.field_size_limit(FIELD_CHARACTERS)
        with _bytes(path) as raw:
            encoding = self.settings.encoding or "utf-8"
            start = raw.read(4)
            encoding = next((found for bom, found in _BOMS if start.startswith(bom)), encoding)
        with _bytes(path) as raw, TextIOWrapper(raw, encoding=encoding, newline="") as text:
            try:
                delimiter = self.settings.delimiter or ("\t" if ".tsv" in path.suffixes else _sniffed(text))
                records = csv.reader(text, delimiter=delimiter, strict=True)
                yield from (record for record in records if record)
            except UnicodeError as error:
                line = _undecodable_line(path, encoding)
                raise DirectoryError(
                    f"line {line} of {path} is not {encoding}.",
                    where="[directory] encoding",
                    hint='Name the file\'s encoding there; Excel for Windows writes "cp1252".',
                ) from error
            except csv.Error as error:
                raise DirectoryError(
                    f"{path} cannot be taken apart near line {records.line_num} ({error}): a quotation mark is not closed or not doubled, "
                    "or the file was cut off.",
                    where=PATH,
                    hint="Export it again, or name its delimiter in [directory] delimiter.",
                ) from error

    def _frames(self, records: Iterator[list[Any]]) -> Iterator[pd.DataFrame]:
        import pandas as pd

        from migrate.directory.text import column

        header = next(records, None)
        if header is None:
            raise DirectoryError(f"{self.settings.path} is empty; not even a header is there.", where=PATH, hint="Export it again.")
        names = [str(name if name is not None else "").strip() for name in header]
        found = locate(self.settings, names, source=self.settings.path)
        position = 0
        while chunk := list(islice(records, self.chunk_rows)):
            reasons = [None if len(record) == len(names) else _ragged(len(record), len(names)) for record in chunk]
            for record, reason in zip(chunk, reasons, strict=True):
                if reason is not None:
                    _square(record, len(names), found["account_id"])
            columns = list(zip(*chunk, strict=True))
            frame = pd.DataFrame({name: column(columns[i]) for name, i in found.items()})
            frame["rejection"] = pd.Series(reasons, dtype="str")
            frame["position"] = range(position + 1, position + len(frame) + 1)
            position += len(frame)
            yield frame


def _ragged(fields: int, expected: int) -> str:
    return f"{fields} fields where the header has {expected}"


def _square(record: list[Any], fields: int, id_at: int) -> None:
    """Make a ragged record as long as the header.

    Which field is which is no longer certain: in a record with a field too many, only a first field is still what it seems.
    """
    if len(record) > fields:
        kept = record[0] if id_at == 0 else ""
        record[:] = [""] * fields
        record[id_at] = kept
    else:
        record.extend([""] * (fields - len(record)))


def _bytes(path: Path) -> IO[bytes]:
    if path.suffix.casefold() == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return path.open("rb")


def _sniffed(text: TextIOWrapper) -> str:
    """The delimiter that takes the header apart into the most names."""
    header = next((line for line in iter(text.readline, "") if line.strip()), "")
    text.seek(0)
    bare = re.sub(r'"[^"]*"', "", header)
    return max(DELIMITERS, key=bare.count)


def _undecodable_line(path: Path, encoding: str) -> int:
    """The number of the first line with bytes that are not in the encoding."""
    decoder, line = getincrementaldecoder(encoding)(), 1
    with _bytes(path) as raw:
        while block := raw.read(1 << 16):
            try:
                line += decoder.decode(block).count("\n")
            except UnicodeDecodeError as error:
                return line + error.object[: error.start].decode(encoding, "replace").count("\n")
            except UnicodeError:  # what UTF-16 says of a file without a byte order mark
                return line
    return line


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turns what goes wrong while a file is read into one paragraph."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DirectoryError(f"{path} is no complete gzip file ({error}).", where=PATH, hint="Copy or export it again.") from error
    except OSError as error:
        what = error.strerror or str(error).partition("\n")[0]
        raise DirectoryError(f"{path} cannot be read: {what}.", where=PATH, hint="Check the file and its permissions.") from error
