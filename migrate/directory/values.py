"""Reads single values: yes or no, a type of account, a language, a list of addresses. `translate` calls these functions for the distinct
values of a column.

For a value that cannot be read they raise ValueError; its text is the end of a sentence that begins with the column and the value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from migrate import outside
from migrate.core.accounts import ACCOUNT_TYPES, ADDRESS_SEPARATOR
from migrate.directory import lists
from migrate.directory.method_words import spelling

CONTROL: Final = re.compile(outside.pattern(outside.IN_NO_NAME))
"""Characters that end a line, control a terminal or change the direction of writing: C0 and C1 controls, line and paragraph separators,
and the bidirectional controls."""

SHOWN: Final = 60
"""How many characters of a source's text are repeated in a reason or a count."""

_DIGITS: Final = 10**40  # beyond any id; a Decimal may hold numbers whose digits would fill the memory
_YES: Final = frozenset({
    "true", "t", "yes", "y", "on", "1", "1.0", "x", "✓", "✔", "✔️", "☑", "☑️", "✅", "√",
    "vrai", "oui", "o", "wahr", "ja", "j", "verdadero", "si", "sí", "s", "vero", "sì", "verdadeiro", "sim", "waar", "prawda", "tak",
    "enabled",
})  # fmt: skip
"""Values that mean yes in every column: words of programs, ticks, and words of French, German, Spanish, Italian, Portuguese, Dutch and
Polish spreadsheets."""
_NO: Final = frozenset({
    "false", "f", "no", "n", "off", "0", "0.0", "-", "–", "—", "✗", "✘", "☐", "❌",
    "faux", "non", "falsch", "nein", "falso", "não", "nao", "onwaar", "nee", "fałsz", "falsz", "nie",
    "disabled",
})  # fmt: skip

_SPELT: Final[dict[str, tuple[str, ...]]] = {
    "person": ("person", "member", "member user", "user", "human", "employee", "personal", "user mailbox"),
    "guest": ("guest", "guest user", "external", "external user"),
    "service": ("service", "service account", "service principal", "bot", "robot", "application"),
    "shared": ("shared", "shared mailbox", "shared account", "room", "room mailbox", "resource", "equipment mailbox"),
    "break_glass": ("break glass", "emergency", "emergency access"),
}
_ACCOUNT_TYPES: Final = {spelling(theirs): ours for ours, each in _SPELT.items() for theirs in each}

_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:-([A-Za-z]{4}))?(?:-([A-Za-z]{2}|[0-9]{3}))?((?:-(?:[A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*)")
_TAG_LENGTH: Final = 35  # RFC 5646 §4.4.1: no registered tag needs more


def harmless(text: str, most: int = SHOWN) -> str:
    """A source's text for a reason: without control characters, and cut to `most` characters."""
    return outside.cut(CONTROL.sub(" ", text[: 2 * most]).strip(), most)


def plain(value: object) -> str:
    """A value as text: whole numbers without a point, instants in ISO 8601, bytes as UTF-8 or else hexadecimal.

    A lone surrogate, which cannot be stored, becomes NUL, and so counts as a control character.
    """
    match value:
        case str():
            return "".join("\x00" if "\ud800" <= each <= "\udfff" else each for each in value)
        case bytes() | bytearray() | memoryview():
            raw = bytes(value)
            try:
                return raw.decode()
            except UnicodeDecodeError:
                return raw.hex()
        case bool():
            return str(value).lower()
        case float() | Decimal():
            number = Decimal(value)
            return str(int(number)) if number.is_finite() and abs(number) < _DIGITS and number == int(number) else str(value)
        case datetime() | date():
            return value.isoformat()
        case list() | tuple() | dict():
            return plain(json.dumps(value, default=_inside, ensure_ascii=False))
        case set() | frozenset():
            return plain(sorted(value, key=str))
        case _ if hasattr(value, "tolist"):  # Arrow and NumPy hand over arrays and scalars of their own
            return plain(value.tolist())
        case _:
            return plain(str(value))


def _inside(value: object) -> object:
    """A value inside a list that JSON has no type for: an array within an array as a list, everything else as text."""
    return value.tolist() if hasattr(value, "tolist") else plain(value)


def yes_or_no(value: object) -> bool | None:
    """True or False, in any spelling that sources use; None for no value."""
    if isinstance(value, (bytes, bytearray, memoryview)) and set(raw := bytes(value)) <= {0, 1}:  # MySQL's BIT
        return any(raw) if raw else None
    word = plain(value).strip().casefold()
    if word in _YES:
        return True
    if word in _NO:
        return False
    if not word or _null(word):
        return None
    raise ValueError("is neither yes nor no")


def _null(word: str) -> bool:
    """True for a text that programs write instead of null."""
    return word.casefold() == "none" or lists.missing(word)


def flag(value: object, bit: int) -> bool | None:
    """Whether a bit of a whole number is set; None for no value."""
    word = plain(value).strip()
    if not word or _null(word):
        return None
    if not word.isascii() or not word.removeprefix("-").isdigit():
        raise ValueError("is no whole number of flags")
    return bool(int(word) & bit)


def account_type(text: str) -> str | None:
    """One of `ACCOUNT_TYPES`; None for no value."""
    if not text.strip() or _null(text.strip()):
        return None
    if (ours := _ACCOUNT_TYPES.get(spelling(text))) is None:
        raise ValueError(f"is no type of account ({', '.join(ACCOUNT_TYPES)})")
    return ours


def language_tag(text: str) -> str | None:
    """A locale such as `de_DE.UTF-8` or `zh-hans-cn` as a BCP 47 tag (case by RFC 5646 §2.1.1); None if it is no locale."""
    tag = re.split(r"[.@]", text.strip())[0].replace("_", "-")
    match = _LANGUAGE.fullmatch(tag)
    if not match or len(tag) > _TAG_LENGTH:
        return None
    language, script, region, variants = match.groups()
    parts = [language.lower(), script.title() if script else "", region.upper() if region else "", *variants.lower().split("-")]
    return "-".join(part for part in parts if part)


def addresses(text: str) -> str:
    """A list of addresses, in any form that `lists.items` reads or with spaces between them, as one address a line, each once.

    Addresses are checked later; a list that cannot be read becomes malformed addresses. Raises LostListError.
    """
    listed = lists.items(text)
    if listed.lost:
        raise LostListError
    if listed.unreadable is not None and not listed.items:
        return _lines(text.split())
    return _lines(one for item in listed.items for one in ([item] if listed.exact else item.split()))


def names(text: str) -> str:
    """A list of names, such as groups, in any form that `lists.items` reads, as one name a line, each once. Raises LostListError."""
    listed = lists.items(text)
    if listed.lost:
        raise LostListError
    return _lines(listed.items if listed.unreadable is None else [text])


class LostListError(ValueError):
    """The export wrote something else in place of the list."""


def _lines(each: Iterable[str]) -> str:
    return ADDRESS_SEPARATOR.join(dict.fromkeys(CONTROL.sub("\ufffd", one.strip()) for one in each if one.strip()))
