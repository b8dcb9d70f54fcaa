"""Sanitises text that somebody else wrote, where it leaves this program: one function for each kind of output.

Names of accounts, columns, tables and files, and messages of databases and mail servers may have been written to do harm. They are stored
as they are, and sanitised for the output they go to: a terminal (`terminal`), JSON (`json_text`), a letter and its headers (`letter`,
`header`), a log or the ledger (`log`), a page (`page`), a workbook (`workbook`). Whole columns of reports are sanitised in
`migrate.report.cells`, by the patterns of this module. Each function returns a type of its own, and the code that writes takes only that
type, so that mypy finds text that was not sanitised.

Values from `{ env = … }` and `{ file = … }` in the configuration are masked as well (`keep_back`): the place they came from is printed
instead.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NewType

TerminalText = NewType("TerminalText", str)
"""One line without control characters, line breaks or invisible characters."""
JsonText = NewType("JsonText", str)
"""JSON in which control characters and invisible characters are escaped; parsed, it gives the same values."""
LetterText = NewType("LetterText", str)
"""A part of a sentence of a letter: one line without a link."""
HeaderText = NewType("HeaderText", str)
"""The value of a mail header, folded if it has to be."""
LogText = NewType("LogText", str)
"""One short printable line."""

Ranges = tuple[tuple[int, int], ...]

BREAKS: Final[Ranges] = ((0x09, 0x0D), (0x1C, 0x1E), (0x85, 0x85), (0x2028, 0x2029))
"""Line breaks and tabs."""
CONTROLS: Final[Ranges] = ((0x00, 0x1F), (0x7F, 0x9F))
BIDIRECTIONAL: Final[Ranges] = ((0x61C, 0x61C), (0x200E, 0x200F), (0x202A, 0x202E), (0x2066, 0x2069))
"""Bidirectional controls: they change the direction of writing, so that text looks different from what it is."""
IN_NO_NAME: Final[Ranges] = (*BREAKS, *CONTROLS, *BIDIRECTIONAL)
"""Removed from every column that is read from a directory."""
NONCHARACTERS: Final[Ranges] = ((0xFFFE, 0xFFFF),)
"""Not allowed in XML, and so not in a workbook."""
SURROGATES: Final[Ranges] = ((0xD800, 0xDFFF),)
"""No encoding can write them."""
MARKS: Final[Ranges] = ((0xFEFF, 0xFEFF), (0x2060, 0x2064), (0x206A, 0x206F), (0xFFF9, 0xFFFB))
"""Invisible, and in no name."""
JOINERS: Final[Ranges] = ((0x200C, 0x200D), (0xFE00, 0xFE0F), (0xE0020, 0xE007F), (0xE0100, 0xE01EF))
"""Choose between forms of the characters beside them, in emoji and in names: 👩‍💻."""
UNSEEN: Final[Ranges] = (
    *MARKS,
    *((0xAD, 0xAD), (0x34F, 0x34F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200B), (0x2065, 0x2065)),
    *((0x2800, 0x2800), (0x3164, 0x3164), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE001F)),
    *((0xE0080, 0xE00FF), (0xE01F0, 0xE0FFF)),
)
"""Invisible or blank: two texts that differ only in these look the same."""


def pattern(*ranges: Ranges) -> str:
    """A regular expression (Python's `re`) for one character of some ranges."""
    return "[" + "".join(f"\\U{first:08x}-\\U{last:08x}" for each in ranges for first, last in each) + "]"


def re2(*ranges: Ranges) -> str:
    """The same for RE2, which Arrow uses. RE2 takes no `SURROGATES`."""
    return "[" + "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for each in ranges for first, last in each) + "]"


FORMULA: Final = r"[=+\-@＝＋－＠﹦﹢﹣﹫]"
"""The characters with which a formula begins."""
PASSED_OVER: Final = r"""[\s\p{Z}\p{Cf}"'`]*"""
"""Characters that a spreadsheet may ignore before a formula (RE2)."""
SEPARATORS: Final = r"[;|]"
"""Characters at which some spreadsheets end a cell. Our cells hold no tab or line break, and are quoted if they hold a comma."""

LONGEST_LINE: Final = 10_000
"""How many characters a printed line has at most: more than any of our sentences."""
LONGEST_NAME: Final = 80
"""How many characters a name in a letter has at most."""
LONGEST_LOG: Final = 300
"""How many characters a line in a log or the ledger has at most."""

_BREAKS: Final = re.compile(pattern(BREAKS) + "+")
_CONTROL: Final = re.compile(pattern(CONTROLS, SURROGATES, ((0x2028, 0x2029),)))
_JOINERS: Final = re.compile(pattern(JOINERS))
_UNFIT: Final = re.compile(pattern(CONTROLS, BIDIRECTIONAL, NONCHARACTERS, SURROGATES, UNSEEN, ((0x2028, 0x2029),)))
_HEAPED: Final = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_STACKED: Final = re.compile(f"({_HEAPED}{{4}}){_HEAPED}+")
"""More than four combining marks on one character, which would cover the lines above and below."""
_LINK: Final = re.compile(r"(?i)//|\bwww\.(?=\w)|\w\.[a-z]{2,}[/:](?=\w)")
_LINK_MARKS: Final = re.compile(r"[.:/]+")
_NO_LETTER: Final = re.compile(pattern(CONTROLS, BIDIRECTIONAL, NONCHARACTERS, SURROGATES, MARKS))
_ESCAPE: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
_NO_PAGE: Final = re.compile(pattern(((0x00, 0x08), (0x0B, 0x1F), (0x7F, 0x9F)), BIDIRECTIONAL, NONCHARACTERS, SURROGATES))


def is_one_line(text: str) -> bool:
    """Whether a text has no line break and no control character, so that it can be a header."""
    return text.isprintable() or not _CONTROL.search(text)


def one_line(text: str) -> str:
    """The text with a space for every line break and tab, so that what we quote does not look like a sentence of ours."""
    return text if text.isprintable() else _BREAKS.sub(" ", text)


def cut(text: str, longest: int) -> str:
    """The text cut to at most `longest` characters, the last of which is then '…'; a letter is not parted from its combining marks."""
    if len(text) <= longest:
        return text
    kept = text[: longest - 1]
    while kept and unicodedata.combining(text[len(kept)]):
        kept = kept[:-1]
    return kept.rstrip() + "…"


def terminal(text: str) -> TerminalText:
    """A line for a terminal: every control, direction or invisible character is replaced by `\ufffd`, values that are kept back are masked,
    and the line is cut to `LONGEST_LINE`."""
    text = _MASKS.masked(text)
    if text.isascii() and text.isprintable() and len(text) <= LONGEST_LINE:
        return TerminalText(text)
    text = cut(_JOINERS.sub("", _BREAKS.sub(" ", text)), LONGEST_LINE)
    return TerminalText(_STACKED.sub(r"\1", _UNFIT.sub("\ufffd", text)))


def json_text(value: object, *, indent: int | None = 2, sort_keys: bool = False, default: Callable[[Any], Any] | None = None) -> JsonText:
    """Values as JSON. Control, direction and invisible characters are escaped, as in `\\u009b`; any parser gives the same values back."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, sort_keys=sort_keys, default=default, allow_nan=False)
    return escaped_json(text)


def escaped_json(text: str) -> JsonText:
    """JSON text, with the characters escaped that `json_text` escapes."""
    # Outside of strings JSON has no such characters but line ends.
    return JsonText(text if text.isascii() else _UNFIT.sub(_as_escape, text))


def _as_escape(found: re.Match[str]) -> str:
    if found[0] == "\n":
        return "\n"
    number = ord(found[0])
    if number < 0x10000:
        return f"\\u{number:04x}"
    return f"\\u{0xD7C0 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"


def letter(text: str, longest: int = LONGEST_NAME) -> LetterText:
    """Text of the directory for a letter: one line, no control or direction characters, no link, cut with '…'.

    The holder of an account, or an attacker who took it over, may have chosen the name. Mail programs turn anything that looks like a web
    address into a link, so the characters that make it look like one are removed.
    """
    if len(text) <= longest and text.isascii() and text.isprintable() and "  " not in text and not _has_link(text):
        return LetterText(text.strip())
    spaced = "".join(" " if character.isspace() else character for character in text[: 40 * longest])
    kept = _NO_LETTER.sub("", spaced)
    unlinked = _LINK_MARKS.sub(" ", kept) if _has_link(kept) else kept
    return LetterText(cut(" ".join(unlinked.split()), longest))


def _has_link(text: str) -> bool:
    # Every link has one of these, most names have none, and this is five times as fast as the regular expression.
    return ("/" in text or ":" in text or "www." in text.lower()) and _LINK.search(text) is not None


shared_letter: Final = lru_cache(maxsize=4096)(letter)
"""`letter` with a cache, for text that many people share: a given name, the last digits of a number."""


def header(text: str) -> HeaderText:
    """Text as the value of a mail header. Raises ValueError if it is not one line; it is not repaired, since a repaired address may be
    somebody else's."""
    if not is_one_line(text):
        raise ValueError("it has a line break or a control character in it")
    return HeaderText(text)


def log(text: bytes | str, longest: int = LONGEST_LOG) -> LogText:
    """A message of a server or a library for the ledger and logs: one line, printable, cut with '…'."""
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    if len(words) <= longest and words.isprintable() and "  " not in words:
        return LogText(words.strip())
    line = " ".join("".join(c if c.isprintable() else " " for c in words[: 10 * longest]).split())
    return LogText(line if len(line) <= longest else line[: longest - 1] + "…")


def workbook(text: str) -> str:
    """Text for the XML of a workbook, before XML escaping: without characters that XML does not allow, and with an underscore escaped where
    it begins what looks like an escape, as `_x0041_` does (ECMA-376, ST_Xstring)."""
    if type(text) is not str:  # the workbook library passes numbers, too
        return text
    if "_x" in text:
        text = _ESCAPE.sub("_x005F_", text)
    return text if text.isprintable() else _NO_PAGE.sub("", text)


def page(value: object) -> object:
    """A value that a template prints on a page, before HTML escaping: text loses control and direction characters, other values stay."""
    if type(value) is not str or value.isprintable():
        return value
    return _NO_PAGE.sub("", value)


class _Masks:
    """Values that must not be shown, and what is shown instead."""

    _LEAST: Final = 4
    """Shorter values are not masked: they occur in ordinary words."""
    _HEAD: Final = 12
    """The first characters of a value, by which it is found; so a value that was cut is masked, too."""

    def __init__(self) -> None:
        self._instead: dict[str, str] = {}

    def set(self, values: Mapping[str, str]) -> None:
        """Replaces all masks. `values`: a value that must not be shown → what is shown instead."""
        instead_of: dict[str, str] = {}
        for text, instead in values.items():
            lines = text.splitlines() if len(text.splitlines()) > 1 else []
            forms = {text, text.strip(), repr(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], _BREAKS.sub(" ", text), *lines}
            instead_of |= {form: instead for form in forms if len(form.strip()) >= self._LEAST}
        self._instead = dict(sorted(instead_of.items(), key=lambda item: -len(item[0])))

    def masked(self, text: str) -> str:
        """The text with every value replaced."""
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


_MASKS: Final = _Masks()


def keep_back(values: Mapping[str, str]) -> None:
    """Masks these values in all output from now on, each with the text it maps to. Values of earlier calls are no longer masked."""
    _MASKS.set(values)


def kept_back(value: object) -> Any:
    """The same value with every text masked that `keep_back` names, also in lists and mappings. Keys stay; a tuple becomes a list."""
    match value:
        case str():
            return _MASKS.masked(value)
        case Mapping():
            return {key: kept_back(each) for key, each in value.items()}
        case list() | tuple():
            return [kept_back(each) for each in value]
        case _:
            return value


def _is_word(text: str) -> bool:
    return bool(text) and text.replace("_", "a").isalnum()
