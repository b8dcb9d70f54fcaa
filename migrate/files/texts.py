"""Reads text that an operator wrote: files and environment variables, as editors and shells leave them.

All such text is read here, so that a byte order mark is never taken for a character, and a file in another encoding is refused with the
same words everywhere.
"""

from __future__ import annotations

import csv
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE
from pathlib import Path
from typing import Final

_FIELD: Final = (1 << 31) - 1
_MARK: Final = "\ufeff"
# The mark of UTF-32 begins with that of UTF-16.
_OTHERS: Final = (
    (BOM_UTF32_LE, "UTF-32"),
    (BOM_UTF32_BE, "UTF-32"),
    (BOM_UTF16_LE, "UTF-16"),
    (BOM_UTF16_BE, "UTF-16"),
)


class NotTextError(ValueError):
    """Bytes are no UTF-8 text. The message is the end of a sentence and says nothing of the content."""


def fields_of_any_length() -> None:
    """Lets `csv` read fields of any length, as this program may write them. By default a field of more than 131,072 characters is an error,
    which would end a run after its letters were sent and before its reports."""
    csv.field_size_limit(_FIELD)


def decoded(content: bytes) -> str:
    """UTF-8 bytes as text, without a byte order mark; line ends stay. Raises NotTextError for any other encoding."""
    if other := next((name for mark, name in _OTHERS if content.startswith(mark)), None):
        raise NotTextError(f"is {other} and not UTF-8 text. Save it as UTF-8")
    content = content.removeprefix(BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise NotTextError(f"is not UTF-8 text (line {line}). Save it as UTF-8") from None
    if "\0" in text:
        # UTF-16 without a mark is valid UTF-8 if all its characters are ASCII.
        raise NotTextError("is not UTF-8 text: there are null bytes in it, as in UTF-16. Save it as UTF-8")
    return text


def read(path: Path) -> str:
    """The text of a file, without a byte order mark, each line end as LF. Raises NotTextError and OSError."""
    return decoded(path.read_bytes()).replace("\r\n", "\n").replace("\r", "\n")


def read_value(path: Path) -> str:
    """The one value that a file holds: all its text without a byte order mark and the line breaks at the end. Raises NotTextError and
    OSError."""
    return value(decoded(path.read_bytes()))


def value(text: str) -> str:
    """A value without a byte order mark before it and line breaks after it; blanks are kept.

    Raises NotTextError if it came from bytes that are not UTF-8 (a variable of the environment).
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotTextError("is not UTF-8 text. Set it in UTF-8") from None
    return text.removeprefix(_MARK).rstrip("\r\n")
