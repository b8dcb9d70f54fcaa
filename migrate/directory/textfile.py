"""Text files of the `csv` directory: finds their encoding, header and delimiter, and reads their records."""

from __future__ import annotations

import csv
import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE, getincrementaldecoder
from collections.abc import Iterator
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import IO, Final, Protocol, cast

from migrate.directory.bounds import RECORDS, VALUE, Metered, metered
from migrate.directory.columns import OPENING, Candidate
from migrate.errors import DirectoryError

DELIMITERS: Final = ",;\t|"

# UTF-32 comes first: its byte order mark begins with that of UTF-16.
_MARKS: Final = (
    (BOM_UTF8, "utf-8-sig"),
    (BOM_UTF32_LE, "utf-32"),
    (BOM_UTF32_BE, "utf-32"),
    (BOM_UTF16_LE, "utf-16"),
    (BOM_UTF16_BE, "utf-16"),
)
_START: Final = 64
_TYPE = re.compile(r"\"?#TYPE\s", re.IGNORECASE)
_SEP = re.compile(r"\"?sep=(\\t|\t|[^\w\s\"])?\"?[,;|\t ]*[\r\n]*", re.IGNORECASE)


class Given(Protocol):
    """The settings for reading a text file; what is None is detected."""

    delimiter: str | None
    encoding: str | None
    header: int | None


class TextFile:
    """A text file with a header and one record a line; gzipped if its name ends in `.gz`."""

    def __init__(self, path: Path, given: Given) -> None:
        self._path = path
        self._given = given
        self.header = f"line {given.header or 1}"
        """The place where the header was looked for."""
        self.taken = 0
        """The bytes of all records given so far."""

    def records(self) -> Iterator[list[str]]:
        """The file's records, the header first; nothing if there is no header."""
        csv.field_size_limit(VALUE)  # a longer field means a quotation mark that is never closed
        encoding = self._encoding()
        before = 0
        with metered(self._path) as raw, TextIOWrapper(cast("IO[bytes]", raw), encoding=encoding, newline="") as text:
            try:
                header, before, separator = self._start(text)
                if header is None:
                    return
                self.header = f"line {before + 1}"
                if self._given.header and not header.strip("\r\n"):
                    yield [""]  # the configured header line is blank; the next line is not taken for the header
                records = csv.reader(chain([header], text), delimiter=self._delimiter(header, separator), strict=True)
                yield from self._together(raw, filter(None, records))
            except UnicodeError as error:
                line = _undecodable_line(self._path, encoding)
                raise DirectoryError(
                    f"line {line} of {self._path} is not {encoding}.",
                    where="[directory] encoding",
                    hint='Name the file\'s encoding there; Excel for Windows writes "cp1252".',
                ) from error
            except csv.Error as error:
                raise DirectoryError(
                    f"{self._path} cannot be taken apart near line {before + records.line_num} ({error}): a quotation mark is not closed "
                    "or not doubled, or the file was cut off.",
                    where="[directory] path",
                    hint="Export it again, or name its delimiter in [directory] delimiter.",
                ) from error

    def _together(self, source: Metered, records: Iterator[list[str]]) -> Iterator[list[str]]:
        """The records, with a limit on the bytes of the header, and of every few records after it."""
        few = 1
        source.allow()
        while some := list(islice(records, few)):
            self.taken = source.taken
            source.allow()
            yield from some
            few = RECORDS

    def candidates(self) -> Iterator[Candidate]:
        """Each of the first lines as a candidate for the header."""
        with (
            metered(self._path) as raw,
            TextIOWrapper(cast("IO[bytes]", raw), encoding=self._encoding(), errors="replace", newline="") as text,
        ):
            try:
                lines = list(islice(text, OPENING))
            except UnicodeError:  # an encoding such as `idna`, which cannot replace undecodable bytes
                return
        separator = _separator(lines[0]) if lines else None
        for at, line in enumerate(lines):
            if line.strip():
                try:
                    names = next(csv.reader(lines[at:], delimiter=self._delimiter(line, separator), strict=True))
                except csv.Error:
                    continue
                yield Candidate(f"line {at + 1}", {"header": at + 1}, names)

    def _encoding(self) -> str:
        """The encoding: by the byte order mark, else as configured, else a guess."""
        with metered(self._path) as raw:
            start = raw.read(_START)
        marked = next((encoding for mark, encoding in _MARKS if start.startswith(mark)), None)
        return marked or self._given.encoding or _unmarked(start)

    def _start(self, text: TextIOWrapper) -> tuple[str | None, int, str | None]:
        """The line of the header, the number of lines before it, and the delimiter that a `sep=` line among them names."""
        separator = None
        for before, line in enumerate(text):
            if before == 0:
                line = line.removeprefix("\ufeff")
            if self._given.header is not None:
                if before == self._given.header - 1:
                    return line, before, separator
                if before == 0:
                    separator = _separator(line)
            elif line.strip() and not _TYPE.match(line):
                if not _SEP.fullmatch(line):
                    return line, before, separator
                separator = _separator(line)
        return None, 0, None

    def _delimiter(self, header: str, separator: str | None) -> str:
        return self._given.delimiter or separator or ("\t" if ".tsv" in self._path.suffixes else _sniffed(header))


def _unmarked(start: bytes) -> str:
    """The encoding of a file without a byte order mark. It is UTF-16 if every other byte of the header is NUL."""
    even, odd = start[0::2].count(0), start[1::2].count(0)
    many = max(2, len(start) // 8)
    if odd >= many and odd > 4 * even:
        return "utf-16-le"
    if even >= many and even > 4 * odd:
        return "utf-16-be"
    return "utf-8"


def _separator(line: str) -> str | None:
    """The delimiter named by a line such as `sep=;`, which Excel reads and writes."""
    match = _SEP.fullmatch(line)
    return match[1].replace("\\t", "\t") if match and match[1] else None


def _sniffed(header: str) -> str:
    """The delimiter that divides the header into the most names."""
    bare = re.sub(r'"[^"]*"', "", header)
    return max(DELIMITERS, key=bare.count)


def _undecodable_line(path: Path, encoding: str) -> int:
    """The number of the first line with bytes that are not in the encoding."""
    decoder, line = getincrementaldecoder(encoding)(), 1
    with metered(path) as raw:
        while block := raw.read(1 << 16):
            raw.allow()
            try:
                line += decoder.decode(block).count("\n")
            except UnicodeDecodeError as error:
                return line + error.object[: error.start].count(b"\n")
            except UnicodeError:  # raised by UTF-16 for a file without a byte order mark
                return line
    return line
