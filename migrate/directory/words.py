"""Method words: which of ours a source's word means, and how a text of several words is taken apart (design §4).

A word is looked up whatever its case, and whether it is written with spaces, hyphens or underscores (`SMS-OTP` is `sms_otp`).
Four tables, the later one winning: the aliases below, our own vocabulary, the directory's built-in words, and the operator's
`[directory.methods]`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from migrate.accounts import METHODS, methods_of

RULES: Final = 1
"""Raised whenever `MethodWords.read` takes the same text apart differently: recorded methods are then `reclassified`, not mailed."""

NO_STEP: Final = "none"
"""What a word may mean besides a method: no second step at all, so nothing is registered by it."""

LIST_SEPARATOR: Final = "\x1f"
"""Stands between the words of a list value; inside a word it cannot occur, because no source writes a unit separator."""

ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "sms": ("text", "texts", "text message", "sms otp", "otp sms", "sms code", "mobile sms", "sms text", "text sms", "sms mfa"),
    "voice": ("call", "phone call", "voice call", "telephone call", "voice mobile", "office phone", "alternate mobile phone", "landline"),
    "phone": ("mobile phone", "mobile", "telephone", "phone number", "cell phone", "sms or call", "sms or voice"),
    "totp": (
        "authenticator", "authenticator app", "totp app", "otp app", "app", "software token", "soft token", "software oath token",
        "software token mfa", "google authenticator", "token software totp", "time based otp", "hotp",
    ),
    "push": (
        "microsoft authenticator", "microsoft authenticator app", "authenticator push", "push notification", "mobile push", "duo push",
        "okta verify", "okta verify push",
    ),
    "passkey": (
        "passkeys", "fido", "fido2", "fido 2", "webauthn", "web authn", "fido2 webauthn", "u2f", "fido u2f", "security key",
        "security keys", "fido2 security key", "platform", "windows hello", "windows hello for business", "touch id", "face id",
    ),
    "hardware_otp": ("hardware token", "hard token", "hardware oath token", "oath token", "yubikey otp", "yubikey", "rsa token", "securid"),
    "certificate": ("cert", "smart card", "smartcard", "piv", "x509", "certificate based authentication"),
    "email_otp": ("email", "e mail", "mail", "email code", "email link", "email authentication"),
    "backup_code": ("backup codes", "recovery code", "recovery codes", "scratch code", "scratch codes", "printed codes"),
    "unknown": ("enabled", "on", "active", "yes", "true", "2fa", "mfa", "2sv", "external"),
    NO_STEP: (
        "password", "passphrase", "security question", "security questions", "temporary pass", "temporary access pass", "no", "off",
        "false", "disabled", "inactive", "null", "n/a", "-",
    ),
}  # fmt: skip
"""Our word → what others call it. The last row lists words that are no second step: they register nothing and are not counted."""

_JOINTS = re.compile(r"[\s_-]+")
_SEPARATORS = re.compile(r"[,;|]")


def spelling(word: str) -> str:
    """The form under which a word is looked up: no case, one space for any run of spaces, hyphens and underscores."""
    return _JOINTS.sub(" ", word).strip().casefold() or word.strip()


COMMON: Final[dict[str, str]] = {
    spelling(alias): ours for ours, aliases in ALIASES.items() for alias in aliases
} | {spelling(word): word for word in (*METHODS, NO_STEP)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """What a method text says: the methods as a bit set, the words nobody knows as they were spelt, or why it cannot be read."""

    methods: int = 0
    unknown: tuple[str, ...] = ()
    unreadable: str | None = None


class MethodWords:
    """The words of one directory; `read` remembers what it has read, since a directory repeats a few texts a million times."""

    _KEEP = 50_000

    def __init__(self, builtin: Mapping[str, str], configured: Mapping[str, str]) -> None:
        own = {spelling(word): ours for word, ours in builtin.items()}
        self._known = COMMON | own | {spelling(word): ours for word, ours in configured.items()}
        self._longest = max(len(word.split()) for word in self._known)
        self._read: dict[str, Reading] = {}

    def digest(self, *sources: object) -> str:
        """12 hex characters over the words, the rules for taking texts apart, and which columns the words come from."""
        told = json.dumps([RULES, sorted(self._known.items()), sources], sort_keys=True, ensure_ascii=True)
        return sha256(told.encode()).hexdigest()[:12]

    def method(self, word: str) -> str | None:
        """Our word for one of theirs, `NO_STEP`, or None if nobody knows it."""
        return self._known.get(spelling(word))

    def read(self, text: str) -> Reading:
        """The methods a text names: a JSON array, a PostgreSQL array such as `{sms,totp}`, or words between `,` `;` `|` or spaces.

        A piece between `,` `;` `|` that is no known word, such as `sms security key`, is split at its spaces if that leaves known
        words only (the longest first); otherwise the whole piece is one unknown word.
        """
        if (found := self._read.get(text)) is None:
            if len(self._read) >= self._KEEP:
                self._read.clear()
            found = self._read[text] = self._parse(text.strip(" \t\r\n\f\v\xa0"))
        return found

    def _parse(self, text: str) -> Reading:
        if LIST_SEPARATOR in text:
            return self._look_up(text.split(LIST_SEPARATOR))
        if text.startswith("["):
            try:
                words = json.loads(text)
            except (ValueError, RecursionError):
                return Reading(unreadable="is a broken JSON array")
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                return Reading(unreadable="is a JSON array of something else than words")
            return self._look_up(words)
        if text.startswith("{"):
            if not text.endswith("}") or any(mark in text[1:-1] for mark in "{}:"):
                return Reading(unreadable="is neither words nor an array of words")
            return self._look_up(word.strip().strip('"') for word in text[1:-1].split(","))
        return self._look_up(part for piece in _SEPARATORS.split(text) for part in self._parts(piece))

    def _parts(self, piece: str) -> list[str]:
        if self.method(piece) is not None:
            return [piece]
        tokens, parts = piece.split(), []
        while tokens:
            for length in range(min(self._longest, len(tokens)), 0, -1):
                if self.method(phrase := " ".join(tokens[:length])) is not None:
                    parts.append(phrase)
                    del tokens[:length]
                    break
            else:
                return [piece]
        return parts

    def _look_up(self, words: Iterable[str]) -> Reading:
        methods, unknown = set(), []
        for word in words:
            if not (word := word.strip()):
                continue
            ours = self.method(word)
            if ours is None:
                methods.add("other")
                unknown.append(word)
            elif ours != NO_STEP:
                methods.add(ours)
        return Reading(methods_of(frozenset(methods)), tuple(dict.fromkeys(unknown)))
