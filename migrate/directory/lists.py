"""Reads lists, for every source and every column that holds one (design §4, Lists).

A source writes a list as its own type, as JSON, as a PostgreSQL array, as Python prints it, or as text with commas, semicolons, `|` or line
breaks between the items. All forms give the same items. Null items and empty ones are dropped, so `[null]` is an empty list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

LIST_SEPARATOR: Final = "\x1f"
"""Separates the items of a list that had a type of its own in the source; no source writes a unit separator inside an item."""

LOST: Final = "is what an export writes in place of a list that it lost: join the list to text before exporting"
"""Why a text such as `System.Object[]` cannot be read."""

_NO_WORDS: Final = "is a list of something else than words"

NULLS: Final = frozenset({
    "", "null", "nan", "none", "nat", "nil", "undefined", "<na>", "<null>", "<none>", "(null)", "(none)", "[null]", "\\n", "n/a", "#n/a",
    "[]", "{}", "()", "-", "--", "---", "–", "—",
})  # fmt: skip
"""Items that mean no value, in lower case."""

_EMPTY: Final = NULLS & {"none", "<none>", "(none)", "[]", "{}", "()"}
"""Those of `NULLS` that mean an empty list; the others mean that it is not known."""

_BLANKS: Final = " \t\r\n\f\v\xa0\ufeff"
_SEPARATORS: Final = re.compile("[,;|\r\n\v\f\x85\u2028\u2029，；｜、،؛]|<br */?>")
_BULLET: Final = re.compile(r"[•◦▪‣●]\s+")
_BOUNDS: Final = re.compile(r"(?:\[-?\d+:-?\d+\])+=(?=\{)")
"""The bounds that PostgreSQL writes before an array whose first index is not 1."""
_NESTED: Final = re.compile(r"[\[\]{}]")
_QUOTED: Final = re.compile(r"""(?:[ubUB]?)(?:"((?:[^"\\]|\\.|"")*)"|'((?:[^'\\]|\\.|'')*)')\s*""", re.DOTALL)
_IN_QUOTES: Final = re.compile(r"""\"((?:[^\"]|\"\")*)\"|'([^']*)'""")
"""A text that is quoted as a whole; not a list whose first and last items are quoted."""
_ESCAPED: Final = re.compile(r"""\\(.)|""|''""", re.DOTALL)
_CALL: Final = re.compile(r"(?:array|frozenset|set|tuple|list|deque)\((.*?)(?:,\s*(?:dtype|maxlen)=[^()]*)?\)", re.DOTALL)
_OBJECT: Final = (
    r"(?:(?!microsoft\.graph\.\w*authenticationmethod\b)"
    r"(?:deserialized\.)?(?:system\.|microsoft\.(?:online|graph|open|azure|powershell|activedirectory|management|exchange)\.)"
    r"[\w.`+]+(?:\[[^\]]*\])*"
    r"|\[object \w+\]|@\{[^}]*\}|array"
    r"|\[L[\w.$]+;@[0-9a-f]+|java\.[\w.$]+@[0-9a-f]+|<[^<>]* at 0x[0-9a-f]+>|array\(0x[0-9a-f]+\)|#<array:0x[^>]*>)"
)
_LOST: Final = re.compile(rf"{_OBJECT}(?:[\s,;|]+{_OBJECT})*", re.IGNORECASE)
"""What PowerShell, JavaScript, Java, Python, Perl and Ruby print for an object instead of its content."""


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a text. `exact`: the text itself shows where each item begins and ends. `unreadable`: why it is no list of words.
    `lost`: the export wrote something else in place of the list."""

    items: tuple[str, ...] = ()
    exact: bool = False
    unreadable: str | None = None
    lost: bool = False


def items(text: str) -> Items:
    """The items of a list in any of the forms, in order, with duplicates."""
    if LIST_SEPARATOR in text:
        return _kept(text.split(LIST_SEPARATOR), exact=True)
    text = _BOUNDS.sub("", text.strip(_BLANKS))
    if (quoted := _IN_QUOTES.fullmatch(text)) is not None:
        text = (quoted[1] if quoted[1] is not None else quoted[2]).replace('""', '"').strip(_BLANKS)
    if _LOST.fullmatch(text):
        return Items(unreadable=LOST, lost=True)
    if (call := _CALL.fullmatch(text)) and (not call[1].strip() or call[1].lstrip()[0] in "[{('\""):
        text = call[1].strip() or "[]"
    match text[:1]:
        case "[":
            return _array(text, "]")
        case "{":
            return _array(text, "}")
        case "(" if text.endswith(")"):
            inner = text[1:-1].strip(_BLANKS)
            # A tuple as Python prints it; not `(sms), (totp)`, which only begins and ends with parentheses.
            if inner[:1] in ("'", '"') or ("," in inner and inner.find(")") >= inner.find("(")):
                return _listed(inner)
            text = text if "(" in inner else inner
    return _kept(_SEPARATORS.split(text), exact=False)


def missing(text: str) -> bool:
    """True for a text that means null; false for one that means an empty list."""
    word = text.strip(_BLANKS).casefold()
    return word in NULLS and word not in _EMPTY


def split(text: str) -> list[str]:
    """The parts of a text between commas, semicolons, `|` and line breaks, without those that mean no value."""
    return [item for piece in _SEPARATORS.split(text) if (item := _bare(piece)).casefold() not in NULLS]


def _bare(piece: str) -> str:
    piece = piece.strip(_BLANKS)
    if bullet := _BULLET.match(piece):
        piece = piece[bullet.end() :]
    return piece[1:-1].strip(_BLANKS) if len(piece) > 1 and piece[0] == piece[-1] and piece[0] in "\"'" else piece


def _kept(pieces: Iterable[str], *, exact: bool) -> Items:
    kept = tuple(item for piece in pieces if (item := piece.strip(_BLANKS) if exact else _bare(piece)).casefold() not in NULLS)
    if any(_LOST.fullmatch(item) for item in kept):
        return Items(unreadable=LOST, lost=True)
    return Items(kept, exact)


def _array(text: str, end: str) -> Items:
    """The items of a JSON or PostgreSQL array, or of a list or set as Python prints it."""
    try:
        parsed: Any = json.loads(text)
    except (ValueError, RecursionError):
        return _listed(text[1:-1]) if text.endswith(end) and len(text) > 1 else Items(unreadable="is a broken list: its end is missing")
    if isinstance(parsed, dict):
        return Items() if not parsed else Items(unreadable="is a JSON object, not a list of words")
    words = [item for item in parsed if item is not None and item == item]  # NaN is not itself
    listed = _kept((item for item in words if isinstance(item, str)), exact=True)
    return listed if all(isinstance(item, str) for item in words) else replace(listed, unreadable=_NO_WORDS)


def _listed(inner: str) -> Items:
    tokens = list(_tokens(inner))
    if None in tokens:
        return Items(unreadable=_NO_WORDS)
    return _kept((item for item in tokens if item is not None), exact=True)


def _tokens(inner: str) -> Iterator[str | None]:
    """The items between commas, quoted or not; None for a part that cannot be read. Between quoted items the comma may be missing, as NumPy
    writes them."""
    at = 0
    while at < len(inner):
        if inner[at].isspace() or inner[at] == ",":
            at += 1
        elif quoted := _QUOTED.match(inner, at):
            yield _ESCAPED.sub(lambda each: each[1] or each[0][0], quoted[1] if quoted[1] is not None else quoted[2] or "")
            at = quoted.end()
        else:
            end = inner.find(",", at)
            end = len(inner) if end < 0 else end
            bare = inner[at:end].strip()
            yield None if _NESTED.search(bare.removesuffix("[]")) else bare
            at = end
