"""Facts: everything a letter says about its account (design §10).

They are stored with the notice, so that a letter says what was true when it was decided on, and can be composed again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from migrate.outside import LetterText, shared_letter

METHOD_LABELS: Final[dict[str, str]] = {
    "sms": "text message (SMS)",
    "voice": "phone call",
    "phone": "phone (text message or call)",
    "totp": "authenticator app",
    "push": "approval in an authenticator app",
    "passkey": "passkey or security key",
    "hardware_otp": "hardware code token",
    "certificate": "certificate",
    "email_otp": "code by email",
    "backup_code": "backup codes",
    "unknown": "a second step that we cannot name",
    "other": "another method",
    "external": "second step of another provider",
}
"""What people call a method; one label for each of `migrate.core.accounts.METHODS`."""
_ARTICLES: Final = {"push": "an ", "totp": "an ", "backup_code": "", "unknown": "", "other": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of an account when a notice is decided.

    `standing`, `methods`, `default_method`, `change` and `had` (the methods before the change) are words of the glossary; `phone` is
    masked; `seen_at` is the UTC instant of the read that saw the change. `change`, `seen_at` and `had` belong to confirmations, and so does
    `cutoff`, of an account whose own is not the campaign's (other letters name the one of their notice); `earlier_cutoff` is what a
    correction corrects. Both are UTC instants.
    """

    username: str
    standing: str
    methods: tuple[str, ...] = ()
    display_name: str | None = None
    given_name: str | None = None
    locale: str | None = None
    default_method: str | None = None
    phone: str | None = None
    change: str | None = None
    seen_at: datetime | None = None
    had: tuple[str, ...] = ()
    cutoff: datetime | None = None
    earlier_cutoff: datetime | None = None

    @property
    def greeting_name(self) -> LetterText:
        """The name to greet with, fit for a letter; '' if none is left."""
        return shared_letter(self.given_name or "") or shared_letter(self.display_name or "")

    def to_json(self) -> str:
        """One line of JSON; equal facts give equal text."""
        known = {name: value for name in _NAMES if (value := getattr(self, name)) not in (None, ())}
        known |= {name: known[name].astimezone(UTC).isoformat() for name in _INSTANTS & known.keys()}
        return json.dumps(known, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Facts:
        """The inverse of `to_json`. Facts that this version does not know are left out. ValueError for a text that is none of ours."""
        try:
            read = json.loads(text)
        except RecursionError:
            raise ValueError("is no text of facts") from None
        if not isinstance(read, dict) or not read.keys() >= _REQUIRED:
            raise ValueError("is no text of facts")
        known: dict[str, Any] = read
        if not known.keys() <= _KNOWN:
            known = {name: value for name, value in known.items() if name in _KNOWN}
        for several in ("methods", "had"):
            if several in known:
                if not isinstance(known[several], list):
                    raise ValueError(f"{several} is no list")
                known[several] = tuple(known[several])
        if not all(isinstance(word, str) for value in known.values() for word in (value if isinstance(value, tuple) else (value,))):
            raise ValueError("holds something that is no text")
        known |= {name: datetime.fromisoformat(known[name]) for name in _INSTANTS & known.keys()}
        return cls(**known)


_NAMES: Final = tuple(field.name for field in fields(Facts))
_KNOWN: Final = frozenset(_NAMES)
_INSTANTS: Final = frozenset({"seen_at", "cutoff", "earlier_cutoff"})
_REQUIRED: Final = frozenset({"username", "standing"})


def label(method: str) -> str:
    """What people call a method; a word that is not in the vocabulary is its own label."""
    return METHOD_LABELS.get(method, method)


def one(method: str) -> str:
    """The label as a sentence has it: 'an authenticator app'."""
    return f"{_ARTICLES.get(method, 'a ')}{label(method)}"


def listed(items: Iterable[str], word: str = "and") -> str:
    """Items as English lists them: 'a', 'a and b', 'a, b and c'; '' for none."""
    *first, last = tuple(items) or ("",)
    return f"{', '.join(first)} {word} {last}" if first else last
