"""Assigns tokens to their owners, and turns the types of tokens that can sign somebody in into words for methods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from migrate.directory.method_words import MethodWords
from migrate.directory.vocabulary import NO_STEP

Key = tuple[str, str]
"""A user's resolver, and the user's id in it."""
_READY: Final = ("", "enrolled")
_UNRESOLVED: Final = "**resolver error**"
"""What the server writes in place of the name of an owner whom it could not look up."""
_HARDWARE: Final = "hardware token"
_CODES: Final = frozenset({"totp", "hotp", "daypassword"})
"""Types of tokens that are either an app or a hardware device that shows a code; `info.tokenkind` says which."""
_WEAK: Final = frozenset({"sms", "voice", "phone", "email_otp", "backup_code", NO_STEP})
"""Methods whose new tokens do not count as a new authenticator."""


class Token(NamedTuple):
    """A token of a user. `word`: the word for its method, None if it cannot be used to sign in. `made`: when it was made. `used`: the last
    successful sign-in with it."""

    owner: Key
    username: str
    word: str | None
    made: datetime | None
    used: datetime | None
    phone: str | None


@dataclass(slots=True)
class Owned:
    """What a user has by all tokens: words of methods, when the newest authenticator was added, which one was used last and when, and a
    telephone number for texts."""

    username: str
    words: list[str] = field(default_factory=list)
    changed: datetime | None = None
    used: datetime | None = None
    used_word: str | None = None
    phone: str | None = None


class Tokens:
    """The tokens of a realm, each once, as it was read last. `at`: the server's time, by which tokens expire.

    `unresolved`: resolvers in which the server could not look up an owner; the owner of such a token is not known.
    """

    def __init__(self, realm: str, words: MethodWords, at: datetime) -> None:
        self.unresolved: set[str] = set()
        self._realm, self._words, self._at = realm, words, at
        self._each: dict[str, Token | None] = {}

    def __len__(self) -> int:
        """How many tokens were read, with or without an owner."""
        return len(self._each)

    def add(self, page: Iterable[Mapping[str, Any]]) -> None:
        """Adds a page of tokens."""
        for row in page:
            self._each[row["serial"]] = self._read(row)

    def orphans(self) -> Counter[str]:
        """By resolver, how many tokens belong to users that the resolver does not have (any more)."""
        return Counter(token.owner[0] for token in self._each.values() if token is not None and not token.username)

    def owners(self) -> dict[Key, Owned]:
        """Every user of the realm that has a token of any kind → what the user has."""
        owned_by: dict[Key, Owned] = {}
        for token in self._each.values():
            if token is None:
                continue
            owned = owned_by.setdefault(token.owner, Owned(token.username))
            owned.username = owned.username or token.username
            if token.word is not None:
                self._count(owned, token, token.word)
        return owned_by

    def _count(self, owned: Owned, token: Token, word: str) -> None:
        owned.words.append(word)
        method = self._words.method(word)
        if token.made is not None and method not in _WEAK and (owned.changed is None or token.made > owned.changed):
            owned.changed = token.made
        if token.used is not None and method != NO_STEP and (owned.used is None or token.used > owned.used):
            owned.used, owned.used_word = token.used, word
        owned.phone = owned.phone or token.phone

    def _read(self, row: Mapping[str, Any]) -> Token | None:
        """A token; None if it has no owner, or an owner of another realm. For an owner who was deleted the server gives no realm."""
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
        """Their word for the type of a token; None if the token cannot be used: inactive, revoked, locked, expired or not fully rolled
        out."""
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
    """An instant with its zone, in any of the forms that the server writes; None for anything else."""
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
        return instant.astimezone(UTC) if instant is not None and instant.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
