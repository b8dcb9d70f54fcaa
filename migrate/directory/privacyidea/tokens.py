"""Whose tokens there are, and which of them sign somebody in: types of privacyIDEA's as words of methods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from migrate.directory.vocabulary import NO_STEP
from migrate.directory.words import MethodWords

Key = tuple[str, str]
"""A user's resolver, and the id in it."""
_READY: Final = ("", "enrolled")
_UNRESOLVED: Final = "**resolver error**"
"""What the server writes for the name of an owner whom it could not look up."""
_HARDWARE: Final = "hardware token"
_CODES: Final = frozenset({"totp", "hotp", "daypassword"})
"""Types of tokens that are an app, or a device on which the code is shown: `info.tokenkind` says which."""
_WEAK: Final = frozenset({"sms", "voice", "phone", "email_otp", "backup_code", NO_STEP})
"""Methods of which no new one is told as a change of the authenticator."""


class Token(NamedTuple):
    """One token of somebody. `word` is None if it signs nobody in; `made` and `used` are instants, of `used` the last good sign-in."""

    owner: Key
    username: str
    word: str | None
    made: datetime | None
    used: datetime | None
    phone: str | None


@dataclass(slots=True)
class Owned:
    """What somebody has: words of methods, when the newest authenticator came, what was used last and when, and a number for texts."""

    username: str
    words: list[str] = field(default_factory=list)
    changed: datetime | None = None
    used: datetime | None = None
    used_word: str | None = None
    phone: str | None = None


class Tokens:
    """The tokens of a realm, each once, as it was read last. `at` is the server's time, by which tokens end.

    `unresolved` are resolvers of which the server says that it could not look an owner up; whose the token is cannot be told then.
    """

    def __init__(self, realm: str, words: MethodWords, at: datetime) -> None:
        self.unresolved: set[str] = set()
        self._realm, self._words, self._at = realm, words, at
        self._each: dict[str, Token | None] = {}

    def __len__(self) -> int:
        """How many were read, whoever has them."""
        return len(self._each)

    def add(self, page: Iterable[Mapping[str, Any]]) -> None:
        """Adds a page."""
        for row in page:
            self._each[row["serial"]] = self._read(row)

    def orphans(self) -> Counter[str]:
        """By resolver, how many tokens are of people whom it does not know, or not any more."""
        return Counter(token.owner[0] for token in self._each.values() if token is not None and not token.username)

    def owners(self) -> dict[Key, Owned]:
        """What each person of the realm has, who has a token of any kind."""
        found: dict[Key, Owned] = {}
        for token in self._each.values():
            if token is None:
                continue
            owned = found.setdefault(token.owner, Owned(token.username))
            owned.username = owned.username or token.username
            if token.word is not None:
                self._count(owned, token, token.word)
        return found

    def _count(self, owned: Owned, token: Token, word: str) -> None:
        owned.words.append(word)
        method = self._words.method(word)
        if token.made is not None and method not in _WEAK and (owned.changed is None or token.made > owned.changed):
            owned.changed = token.made
        if token.used is not None and method != NO_STEP and (owned.used is None or token.used > owned.used):
            owned.used, owned.used_word = token.used, word
        owned.phone = owned.phone or token.phone

    def _read(self, row: Mapping[str, Any]) -> Token | None:
        """A token, or None if it is nobody's, or somebody's of another realm. Of somebody who is gone there is no realm."""
        owner, resolver = _text(row.get("user_id")), _text(row.get("resolver"))
        if row.get("username") == _UNRESOLVED:
            self.unresolved.add(resolver)
        if not owner or _text(row.get("user_realm")).casefold() not in ("", self._realm):
            return None
        told = row.get("info")
        info: Mapping[str, Any] = told if isinstance(told, dict) else {}
        word = self._word(row, info)
        made = [at for at in (_instant(info.get("creation_date")), _instant(info.get("assignment_date"))) if at is not None]
        phone = _text(info.get("phone")) if word is not None and self._words.method(word) == "sms" else ""
        used = _instant(info.get("last_auth"))
        return Token((resolver, owner), _text(row.get("username")), word, max(made, default=None), used, phone or None)

    def _word(self, row: Mapping[str, Any], info: Mapping[str, Any]) -> str | None:
        """Their word for a token that can sign in; one that is not active, revoked, locked, over or not rolled out to the end is none."""
        state = row.get("rollout_state")
        if row.get("active") is False or row.get("revoked") is True or row.get("locked") is True:
            return None
        if state is not None and _text(state).strip().casefold() not in _READY:
            return None
        begins, ends = _instant(info.get("validity_period_start")), _instant(info.get("validity_period_end"))
        if (ends is not None and ends < self._at) or (begins is not None and begins > self._at):
            return None
        kind = _text(row.get("tokentype")).strip()
        return _HARDWARE if kind.casefold() in _CODES and _text(info.get("tokenkind")).casefold() == "hardware" else kind or "unknown"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _instant(value: Any) -> datetime | None:
    """An instant with its zone, in any of the forms in which the server writes one; None for anything else."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        return found.astimezone(UTC) if found is not None and found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
