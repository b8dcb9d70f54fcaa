"""Text from outside on its way out: one function for each place that text leaves for, and a type that only it makes.

Names of accounts, columns, tables and files, the words of databases and mail servers: somebody else wrote them, perhaps to do harm. They
are kept as they are, and made fit where they leave: for a terminal (`terminal`), JSON (`json_text`), a letter and its headers (`letter`,
`header`), a log or the ledger (`log`), a page (`page`). Columns of reports are made fit whole, in `migrate.report.cells`, by the patterns
that stand here. What writes to one of these places takes its type and no other, so that mypy finds text that was not made fit.

Values that came from a file or from the environment are kept back besides: whatever is printed names where they came from instead.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NewType

TerminalText = NewType("TerminalText", str)
"""One line that drives no terminal, looks like no two lines, and has nothing in it that cannot be seen."""
JsonText = NewType("JsonText", str)
"""JSON in which everything that would drive a terminal is escaped; it reads as the values that it was made of."""
LetterText = NewType("LetterText", str)
"""A part of a sentence of a letter: one line without a link."""
HeaderText = NewType("HeaderText", str)
"""The value of a mail header, folded if it has to be."""
LogText = NewType("LogText", str)
"""One short printable line."""

Ranges = tuple[tuple[int, int], ...]

BREAKS: Final[Ranges] = ((0x09, 0x0D), (0x1C, 0x1E), (0x85, 0x85), (0x2028, 0x2029))
"""What ends a line or jumps to a column, wherever text is shown."""
CONTROLS: Final[Ranges] = ((0x00, 0x1F), (0x7F, 0x9F))
TURNING: Final[Ranges] = ((0x61C, 0x61C), (0x200E, 0x200F), (0x202A, 0x202E), (0x2066, 0x2069))
"""Turn the direction of writing, so that what is read is not what stands there."""
IN_NO_NAME: Final[Ranges] = (*BREAKS, *CONTROLS, *TURNING)
"""Taken out of what a directory says, whatever its column."""
NO_CHARACTERS: Final[Ranges] = ((0xFFFE, 0xFFFF),)
"""Which XML, and so a workbook, cannot hold."""
HALVES: Final[Ranges] = ((0xD800, 0xDFFF),)
"""Halves of characters: no encoding can write them."""
MARKS: Final[Ranges] = ((0xFEFF, 0xFEFF), (0x2060, 0x2064), (0x206A, 0x206F), (0xFFF9, 0xFFFB))
"""Cannot be seen, and belong to no name."""
JOINERS: Final[Ranges] = ((0x200C, 0x200D), (0xFE00, 0xFE0F), (0xE0020, 0xE007F), (0xE0100, 0xE01EF))
"""Choose between forms of the characters beside them, in emoji and in names: 👩‍💻."""
UNSEEN: Final[Ranges] = (
    *MARKS,
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200B), (0x2065, 0x2065)),
    *((0x2800, 0x2800), (0x3164, 0x3164), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE001F)),
    *((0xE0080, 0xE00FF), (0xE01F0, 0xE0FFF)),
)
"""Take no room, or leave it blank: two texts that differ in them look the same."""


def pattern(*ranges: Ranges) -> str:
    """The class of the characters in some ranges, as Python's `re` writes it."""
    return "[" + "".join(f"\\U{first:08x}-\\U{last:08x}" for each in ranges for first, last in each) + "]"


def re2(*ranges: Ranges) -> str:
    """The same as RE2 writes it, which Arrow uses; halves of characters it does not know."""
    return "[" + "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for each in ranges for first, last in each) + "]"


FORMULA: Final = r"[=+\-@＝＋－＠﹦﹢﹣﹫]"
"""What a formula begins with."""
PASSED_OVER: Final = r"""[\s\p{Z}\p{Cf}"'`]*"""
"""What a spreadsheet, or one of its settings, passes over before a formula (RE2)."""
SEPARATORS: Final = r"[;|]"
"""Where somebody's spreadsheet may end a cell of ours though we do not; a tab and a line break are in no cell, and a cell with a comma is
in quotation marks."""

LONGEST_LINE: Final = 10_000
"""Characters of a printed line: more than any sentence of ours has."""
LONGEST_NAME: Final = 80
"""Characters of somebody's name in a letter."""
LONGEST_LOG: Final = 300

_BREAKS: Final = re.compile(pattern(BREAKS) + "+")
_CONTROL: Final = re.compile(pattern(CONTROLS, HALVES, ((0x2028, 0x2029),)))
_JOINERS: Final = re.compile(pattern(JOINERS))
_UNFIT: Final = re.compile(pattern(CONTROLS, TURNING, NO_CHARACTERS, HALVES, UNSEEN, ((0x2028, 0x2029),)))
_HEAPED: Final = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_STACKED: Final = re.compile(f"({_HEAPED}{{4}}){_HEAPED}+")
"""Marks that are heaped on one character, over the lines above and below."""
_LINK: Final = re.compile(r"(?i)//|\bwww\.(?=\w)|\w\.[a-z]{2,}[/:](?=\w)")
_LINK_MARKS: Final = re.compile(r"[.:/]+")
_NO_LETTER: Final = re.compile(pattern(CONTROLS, TURNING, NO_CHARACTERS, HALVES, MARKS))
_ESCAPE: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
_NO_PAGE: Final = re.compile(pattern(((0x00, 0x08), (0x0B, 0x1F), (0x7F, 0x9F)), TURNING, NO_CHARACTERS, HALVES))


def is_one_line(text: str) -> bool:
    """Whether a text has neither a line break nor a control character in it, so that it can stand in a header."""
    return text.isprintable() or not _CONTROL.search(text)


def one_line(text: str) -> str:
    """With a space for every line break and tab: what is quoted in a sentence of ours must not look like the next sentence."""
    return text if text.isprintable() else _BREAKS.sub(" ", text)


def cut(text: str, longest: int) -> str:
    """At most so many characters, the last of them '…' if there were more; no mark is taken from the letter that it belongs to."""
    if len(text) <= longest:
        return text
    kept = text[: longest - 1]
    while kept and unicodedata.combining(text[len(kept)]):
        kept = kept[:-1]
    return kept.rstrip() + "…"


def terminal(text: str) -> TerminalText:
    """A line as a terminal gets it: no control, direction or invisible character (a `\ufffd` stands for each), no value that is kept back,
    not endless."""
    text = _BEHIND.masked(text)
    if text.isascii() and text.isprintable() and len(text) <= LONGEST_LINE:
        return TerminalText(text)
    text = cut(_JOINERS.sub("", _BREAKS.sub(" ", text)), LONGEST_LINE)
    return TerminalText(_STACKED.sub(r"\1", _UNFIT.sub("\ufffd", text)))


def json_text(value: object, *, indent: int | None = 2, sort_keys: bool = False, default: Callable[[Any], Any] | None = None) -> JsonText:
    """Values as JSON. What would drive a terminal, turn a line or stay unseen is written as `\\u009b`, which every reader reads back."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, sort_keys=sort_keys, default=default, allow_nan=False)
    return escaped_json(text)


def escaped_json(text: str) -> JsonText:
    """JSON that is written already, with everything escaped that `json_text` escapes."""
    # Outside its texts JSON has no such character but line ends.
    return JsonText(text if text.isascii() else _UNFIT.sub(_as_escape, text))


def _as_escape(found: re.Match[str]) -> str:
    if found[0] == "\n":
        return "\n"
    number = ord(found[0])
    if number < 0x10000:
        return f"\\u{number:04x}"
    return f"\\u{0xD7C0 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"


def letter(text: str, longest: int = LONGEST_NAME) -> LetterText:
    """Text of the directory as a letter may have it: one line, no control or direction characters, no link, cut with '…'.

    A name is the only part of a letter that its reader, or whoever took over the account, may have written; mail programs turn
    anything that looks like an address of a page into a link, so what makes it look so is taken out.
    """
    if len(text) <= longest and text.isascii() and text.isprintable() and "  " not in text and not _has_link(text):
        return LetterText(text.strip())
    spaced = "".join(" " if character.isspace() else character for character in text[: 40 * longest])
    kept = _NO_LETTER.sub("", spaced)
    unlinked = _LINK_MARKS.sub(" ", kept) if _has_link(kept) else kept
    return LetterText(cut(" ".join(unlinked.split()), longest))


def _has_link(text: str) -> bool:
    # Every link has one of these; most names have none, and to look for them takes a fifth of the time.
    return ("/" in text or ":" in text or "www." in text.lower()) and _LINK.search(text) is not None


shared_letter: Final = lru_cache(maxsize=4096)(letter)
"""`letter` for what many people share: a given name, the last digits of a number."""


def header(text: str) -> HeaderText:
    """Text as the value of a mail header. Raises ValueError if it is no line: to mend a header would send it to somebody else."""
    if not is_one_line(text):
        raise ValueError("it has a line break or a control character in it")
    return HeaderText(text)


def log(text: bytes | str, longest: int = LONGEST_LOG) -> LogText:
    """The words of a server or a library as a ledger and a log keep them: one line, printable, cut with '…'."""
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    if len(words) <= longest and words.isprintable() and "  " not in words:
        return LogText(words.strip())
    line = " ".join("".join(c if c.isprintable() else " " for c in words[: 10 * longest]).split())
    return LogText(line if len(line) <= longest else line[: longest - 1] + "…")


def workbook(text: str) -> str:
    """Text as the XML of a workbook holds it, before it is escaped as XML: without what XML cannot hold, and with an underscore that begins
    what looks like an escape (`_x0041_`) escaped itself (ECMA-376, ST_Xstring)."""
    if type(text) is not str:  # the workbook asks of numbers, too
        return text
    if "_x" in text:
        text = _ESCAPE.sub("_x005F_", text)
    return text if text.isprintable() else _NO_PAGE.sub("", text)


def page(value: object) -> object:
    """What a template prints on a page, before it is escaped: text without control and direction characters, all else as it is."""
    if type(value) is not str or value.isprintable():
        return value
    return _NO_PAGE.sub("", value)


class _KeptBack:
    """Values that must not be shown, and what is shown instead."""

    _LEAST: Final = 4
    """A value of a letter or two would blot out the sentence and hide nothing."""
    _HEAD: Final = 12
    """So much of a value gives it away where it was cut."""

    def __init__(self) -> None:
        self._instead: dict[str, str] = {}

    def set(self, values: Mapping[str, str]) -> None:
        """Values that must not be shown → what is shown instead."""
        found: dict[str, str] = {}
        for text, instead in values.items():
            lines = text.splitlines() if len(text.splitlines()) > 1 else []
            forms = {text, text.strip(), repr(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], _BREAKS.sub(" ", text), *lines}
            found |= {form: instead for form in forms if len(form.strip()) >= self._LEAST}
        self._instead = dict(sorted(found.items(), key=lambda item: -len(item[0])))

    def masked(self, text: str) -> str:
        for value, instead in self._instead.items():
            text = self._without(text, value, instead)
        return text

    def _without(self, text: str, value: str, instead: str) -> str:
        head, at = value[: self._HEAD], 0
        while (at := text.find(head, at)) >= 0:
            end = at + len(head)
            while end < len(text) and end - at < len(value) and text[end] == value[end - at]:
                end += 1
            within = len(value) < self._HEAD and (_is_word(text[at - 1 : at]) or _is_word(text[end : end + 1])) and _is_word(value)
            if not within:
                text = text[:at] + instead + text[end:]
                end = at + len(instead)
            at = end
        return text


_BEHIND: Final = _KeptBack()


def keep_back(values: Mapping[str, str]) -> None:
    """From now on these values are not printed; instead of each is printed what it maps to. Earlier ones are forgotten."""
    _BEHIND.set(values)


def kept_back(value: object) -> Any:
    """The same facts with no value in them that is kept back."""
    match value:
        case str():
            return _BEHIND.masked(value)
        case Mapping():
            return {key: kept_back(each) for key, each in value.items()}
        case list() | tuple():
            return [kept_back(each) for each in value]
        case _:
            return value


def _is_word(text: str) -> bool:
    return bool(text) and text.replace("_", "a").isalnum()
