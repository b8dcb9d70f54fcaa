"""The `csv` directory: accounts from an exported file. CSV, TSV (also gzipped), Parquet or an XLSX sheet, by the ending of its name.

Every value of a text file stays text: "NA" is a surname, and "007" is no number. Position 1 is the first record after the header.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO, TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from migrate.directory.bounds import PART, PATH, RECORDS
from migrate.directory.columns import locate, misplaced, names_of
from migrate.directory.interface import Directory, DirectorySettings
from migrate.directory.textfile import TextFile
from migrate.directory.values import harmless
from migrate.errors import DirectoryError

if TYPE_CHECKING:
    import pandas as pd

    from migrate.directory.sheets import Workbook


class CsvSettings(DirectorySettings):
    """`[directory]` with `kind = "csv"`. By default `delimiter` and `encoding` are detected, `sheet` is the first sheet of a workbook, and
    `header`, the number of the line or row of the header, is the first that is not blank."""

    kind: Literal["csv"] = "csv"
    path: str = Field(min_length=1)
    delimiter: str | None = Field(None, min_length=1, max_length=1)
    encoding: str | None = None
    sheet: str | None = None
    header: int | None = Field(None, ge=1)

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str | None) -> str | None:
        if encoding is not None:
            try:
                TextIOWrapper(BytesIO(), encoding=encoding)  # fails for codecs such as `base64`, which encode no text
            except (LookupError, ValueError):
                raise ValueError(f"{encoding!r} is no encoding of text; common ones are 'utf-8', 'utf-16' and 'cp1252'") from None
        return encoding


class CsvDirectory(Directory):
    """Reads an export."""

    kind = "csv"
    Settings = CsvSettings

    chunk_rows: ClassVar[int] = 25_000

    settings: CsvSettings
    _caveats: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"the file {self.settings.path}"

    def frames(self) -> Iterator[pd.DataFrame]:
        self._caveats = ()
        path = Path(self.settings.path)
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            hint = "Correct the path; a relative one starts at the configuration file's folder."
            raise DirectoryError(f"{path} {what}.", where=PATH, hint=hint)
        with _errors_reworded(path):
            match path.suffix.casefold():
                case ".parquet":
                    from migrate.directory.sheets import parquet_frames

                    yield from parquet_frames(path, self.settings, self.chunk_rows)
                case ".xlsx" | ".xlsm":
                    from migrate.directory.sheets import Workbook

                    yield from self._frames(Workbook(path, self.settings.sheet, self.settings.header), spreadsheet=True)
                case ".xls" | ".ods":
                    raise DirectoryError(f"{path} is in a format that cannot be read.", where=PATH, hint="Save it as .xlsx or .csv.")
                case _:
                    yield from self._frames(TextFile(path, self.settings), spreadsheet=False)

    def caveats(self) -> tuple[str, ...]:
        """What was read in another way than it is written, a sentence each; complete once `frames` is exhausted."""
        return self._caveats

    def as_of(self) -> datetime | None:
        """The UTC instant at which the file was last modified: it shows the state of that time. None if that is not known."""
        try:
            return datetime.fromtimestamp(Path(self.settings.path).stat().st_mtime, UTC)
        except (OSError, OverflowError, ValueError):
            return None

    def _frames(self, source: TextFile | Workbook, *, spreadsheet: bool) -> Iterator[pd.DataFrame]:
        import pandas as pd

        from migrate.directory import artefacts
        from migrate.directory.text import column

        records: Iterator[list[Any]] = source.records()
        names, place_of = self._header(source, records)
        id_at, width = place_of["account_id"], len(names)
        trailing = False
        position = bare = 0
        first = ""
        while chunk := self._chunk(source, records):
            if position == 0 and (trailing := artefacts.surplus(chunk, width)):
                name = Path(self.settings.path).name
                self._caveats = (f"every row of {name} has one empty field more than the header: it was read without it",)
            if trailing:
                for record in chunk:
                    if len(record) == width + 1 and record[-1] in ("", None):
                        record.pop()
            reasons = dict(artefacts.squared(chunk, width, id_at, position + 1))
            columns = list(zip(*chunk, strict=True))
            frame = artefacts.cleared(pd.DataFrame({name: column(columns[i]) for name, i in place_of.items()}))
            artefacts.judge(frame, reasons, chunk, names, id_at, position + 1, spreadsheet=spreadsheet)
            for at in artefacts.bare(frame, chunk, reasons):
                first = first or f"row {position + at + 1} ({harmless(str(chunk[at][id_at]))})"
                bare += 1
            frame["rejection"] = pd.Series(reasons, index=range(len(frame)), dtype="str")
            frame["position"] = range(position + 1, position + len(frame) + 1)
            position += len(frame)
            yield frame
        if 0 < bare <= position / 2:
            what = (
                f"{bare:,} rows of {Path(self.settings.path).name} hold" if bare > 1 else f"1 row of {Path(self.settings.path).name} holds"
            )
            which = "they were read as accounts" if bare > 1 else "it was read as an account"
            self._caveats += (f"{what} an id and nothing else, such as {first}: {which}",)

    def _chunk(self, source: TextFile | Workbook, records: Iterator[list[Any]]) -> list[list[Any]]:
        """The records of the next chunk; fewer than usual if they are long."""
        chunk: list[list[Any]] = []
        begun = source.taken
        while len(chunk) < self.chunk_rows and source.taken - begun < PART:
            some = list(islice(records, min(RECORDS, self.chunk_rows - len(chunk))))
            if not some:
                break
            chunk += some
        return chunk

    def _header(self, source: TextFile | Workbook, records: Iterator[list[Any]]) -> tuple[list[str], dict[str, int]]:
        """The names in the header, and our columns among them (`locate`)."""
        path = self.settings.path
        header = next(records, None)
        names = names_of(header or ())
        try:
            if header is None and self.settings.header is not None:
                raise DirectoryError(f"{path} has no {source.header}.", where="[directory] header", hint="Correct it, or take it away.")
            if header is None:
                raise DirectoryError(f"{path} is empty; not even a header is there.", where=PATH, hint="Export it again.")
            return names, locate(self.settings, names, source=path)
        except DirectoryError as error:
            raise misplaced(self.settings, error, names, source.candidates(), place=source.header, source=path) from None


@contextmanager
def _errors_reworded(path: Path) -> Iterator[None]:
    """Turns errors of reading a file into a DirectoryError of one paragraph."""
    try:
        yield
    except MemoryError as error:
        raise DirectoryError(f"{path} takes more memory than there is.", where=PATH, hint="Look at what wrote it.") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DirectoryError(f"{path} is no complete gzip file ({error}).", where=PATH, hint="Copy or export it again.") from error
    except OSError as error:
        what = error.strerror or str(error).partition("\n")[0]
        raise DirectoryError(f"{path} cannot be read: {what}.", where=PATH, hint="Check the file and its permissions.") from error
