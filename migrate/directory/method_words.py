"""Method words: translates the words of a source to ours, and reads texts of several words (design §4).

A word is looked up without regard to case, spaces, hyphens, underscores, dots, colons, slashes, parentheses and camelCase, so
`microsoftAuthenticatorPush` is `microsoft authenticator push`. There are four tables, of which the later one wins: `vocabulary`, our own
words, those of the directory, and the operator's `[directory.methods]`. A word in none of them is unknown as a whole: `TOTP disabled` and
`passkey...` are never the method they begin with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from unicodedata import normalize

from migrate.core.accounts import METHODS, methods_of
from migrate.directory import lists
from migrate.directory.vocabulary import ALIASES, NO, NO_STEP, ONLY_THERE, VENDORS, YES

RULES: Final = 3
"""To be raised whenever `MethodWords.read` reads the same text differently: changes of methods are then `reclassified` and not mailed."""

_JOINTS: Final = re.compile(r"[\s_\-‐‑–.:/()\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
"""Characters that join words, and invisible ones."""
_CUT_OFF: Final = re.compile(r"\.\.|…")
"""How a word ends that was cut because a printed table was too narrow (PowerShell and psql write `...` or `…`)."""
_KINDS: Final = frozenset({"app", "authenticator", "onetimepasscode", "oath", "oathtoken"})
"""Words for a method that, after the name of another one, say of which kind that one is: `Voice one-time passcode`, `Email app`. They are
in the form of `spelling`."""
_OF_ANOTHER_KIND: Final = frozenset({"sms", "voice", "phone", "email_otp", "backup_code", NO_STEP})
"""The methods that such a word would turn into an authenticator."""
_DASHES: Final = frozenset("-‐‑–—−")


def spelling(word: str) -> str:
    """The form under which a word is looked up: in lower case, without spaces and the marks that join words."""
    return _JOINTS.sub("", word if word.isascii() else normalize("NFKC", word)).casefold() or word.strip()


def _spelt(words: Mapping[str, Iterable[str]]) -> dict[str, str]:
    return {spelling(theirs): ours for ours, each in words.items() for theirs in each}


_NO: Final = frozenset(map(spelling, NO))
_YES: Final = frozenset(map(spelling, YES))
_FIRST_FACTORS: Final = frozenset(spelling(word) for each in (ALIASES, *VENDORS.values()) for word in each.get(NO_STEP, ()))
"""Words such as `password`: no second step, but they do not say that there is none."""

COMMON: Final[dict[str, str]] = {
    **{word: ours for name, each in VENDORS.items() for word, ours in _spelt(each).items()
       if word not in {spelling(only) for only in ONLY_THERE.get(name, ())}},
    **_spelt(ALIASES),
    **dict.fromkeys(_YES, "unknown"),
    **dict.fromkeys(_NO, NO_STEP),
    **{spelling(word): word for word in (*METHODS, NO_STEP)},
}  # fmt: skip
"""The words that are understood in every source: spelling → ours."""

LONGEST: Final = max(len(theirs.split()) for each in (ALIASES, *VENDORS.values()) for words in each.values() for theirs in words)
"""How many parts between spaces a known word may have at most."""


def vendor_words(name: str) -> dict[str, str]:
    """The words of one product: theirs → ours, as in a table `[directory.methods]`."""
    return {theirs: ours for ours, each in VENDORS[name].items() for theirs in each}


@dataclass(frozen=True, slots=True)
class Reading:
    """A method text, read: the methods as a bit set; the `unknown` words as they were spelt; or `unreadable`, why it cannot be read. `lost`
    is true if it cannot be read because the export wrote something else in its place.
    """

    methods: int = 0
    unknown: tuple[str, ...] = ()
    unreadable: str | None = None
    lost: bool = False


def says_registered(text: str) -> bool | None:
    """Whether a word says of a method that it is registered: `enrolled`, `Not set up`; None for a word that says neither."""
    word = spelling(text)
    return True if word in _YES else False if word in _NO else None


class MethodWords:
    """The words of one directory. `read` caches its results, since a directory repeats a few texts a million times."""

    _KEEP = 50_000
    _LONG = 1_000
    """Longer texts are not cached: many of them would fill the memory."""

    def __init__(self, builtin: Mapping[str, str], configured: Mapping[str, str]) -> None:
        own = {**builtin, **configured}
        self._known = COMMON | {spelling(word): ours for word, ours in builtin.items()}
        self._known |= {spelling(word): ours for word, ours in configured.items()}
        self._longest = max(LONGEST, *(len(word.split()) for word in own)) if own else LONGEST
        self._read: dict[str, Reading] = {}

    def digest(self, *sources: object) -> str:
        """A digest (12 hex characters) of the words, the rules by which texts are read, and the columns that the words come from."""
        told = json.dumps([RULES, sorted(self._known.items()), sources], sort_keys=True, ensure_ascii=True)
        return sha256(told.encode()).hexdigest()[:12]

    def method(self, word: str) -> str | None:
        """Our word for one of theirs; `NO_STEP` if it is no second step; None if it is unknown, or was cut off."""
        if _CUT_OFF.search(word) or word.count("(") > word.count(")") or _dashed(word):
            return None
        return self._known.get(spelling(word))

    def read(self, text: str) -> Reading:
        """The methods that a text names: a list in any form that `lists.items` reads; words may also be separated by spaces.

        An item that is no known word, such as `sms security key`, is split at its spaces, trying longer words first. It is split only if
        every part is a known word, no part says that there is no method, and no part may describe the method before it (`email app`).
        Otherwise the whole item is one unknown word.
        """
        if len(text) > self._LONG:
            return self._parse(text)
        if (reading := self._read.get(text)) is None:
            if len(self._read) >= self._KEEP:
                self._read.clear()
            reading = self._read[text] = self._parse(text)
        return reading

    def _parse(self, text: str) -> Reading:
        listed = lists.items(text)
        if listed.unreadable is not None:
            return Reading(unreadable=listed.unreadable, lost=listed.lost)
        words = [word for item in listed.items for word in (self._inside(item) if listed.exact else self._parts(item))]
        if any(map(self._says_no, words)) and any(self.method(word) != NO_STEP for word in words):
            words = [" ".join(text.split())]  # it is not clear which of the words the no belongs to
        return self._look_up(words)

    def _says_no(self, word: str) -> bool:
        return spelling(word) in _NO and self.method(word) == NO_STEP

    def _inside(self, item: str) -> list[str]:
        """The words of an item of an exact list: the item itself, unless it is a list of known words."""
        if self.method(item) is None:
            parts = lists.split(item)
            if len(parts) > 1 and all(self.method(part) is not None and not self._says_no(part) for part in parts):
                return parts
        return [item]

    def _parts(self, piece: str) -> list[str]:
        if self.method(piece) is not None:
            return [piece]
        tokens, parts, before = piece.split(), list[str](), ""
        if tokens and _joint(tokens[-1]):
            return [piece]
        while tokens:
            for length in range(min(self._longest, len(tokens)), 0, -1):
                if any(map(_joint, tokens[: length - 1])):
                    continue
                if (ours := self.method(phrase := " ".join(tokens[:length]))) is not None:
                    if ours == NO_STEP and not _joint(phrase) and spelling(phrase) not in _FIRST_FACTORS:
                        return [piece]
                    if before in _OF_ANOTHER_KIND and spelling(phrase) in _KINDS:
                        return [piece]
                    parts.append(phrase)
                    before = before if _joint(phrase) else ours
                    del tokens[:length]
                    break
            else:
                return [piece]
        methods = [part for part in parts if spelling(part) not in _YES and not _joint(part)]
        return methods or [piece]

    def _look_up(self, words: Iterable[str]) -> Reading:
        methods, unknown = set(), []
        for word in words:
            ours = self.method(word)
            if ours is None:
                methods.add("other")
                unknown.append(word)
            elif ours != NO_STEP:
                methods.add(ours)
        return Reading(methods_of(frozenset(methods)), tuple(dict.fromkeys(unknown)))


def _dashed(word: str) -> bool:
    """True for a word with a dash in place of a value after it: `TOTP: -` says no."""
    end = len(word)
    while end and not word[end - 1].isalnum():
        end -= 1
    return end > 0 and not _DASHES.isdisjoint(word[end:])


def _joint(phrase: str) -> bool:
    """True for a dash that only separates words."""
    return not _JOINTS.sub("", phrase)
