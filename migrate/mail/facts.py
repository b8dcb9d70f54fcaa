"""Facts: everything a letter says about its account (design §10).

They are stored with the notice: a letter says what was true when it was decided, and can be composed again later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Final

from babel import Locale
from babel.lists import format_list
from pydantic import TypeAdapter

from migrate.mail.languages import ENGLISH, Catalogue
from migrate.outside import LetterText, shared_letter

_ENGLISH: Final = Catalogue(ENGLISH)


def N_(message: str) -> str:  # noqa: N802 - so called everywhere: it marks what is translated when it is printed
    """The message unchanged. Babel collects messages for the catalogues by this function's name."""
    return message


METHOD_LABELS: Final[dict[str, str]] = {
    "sms": N_("text message (SMS)"),
    "voice": N_("phone call"),
    "phone": N_("phone (text message or call)"),
    "totp": N_("authenticator app"),
    "push": N_("approval in an authenticator app"),
    "passkey": N_("passkey or security key"),
    "hardware_otp": N_("hardware code token"),
    "certificate": N_("certificate"),
    "email_otp": N_("code by email"),
    "backup_code": N_("backup codes"),
    "unknown": N_("a second step that we cannot name"),
    "other": N_("another method"),
    "external": N_("second step of another provider"),
}
"""What people call a method; one label for each of `migrate.core.accounts.METHODS`."""
_IN_A_SENTENCE: Final = {
    "sms": N_("a text message (SMS)"),
    "voice": N_("a phone call"),
    "phone": N_("a phone (text message or call)"),
    "totp": N_("an authenticator app"),
    "push": N_("an approval in an authenticator app"),
    "passkey": N_("a passkey or security key"),
    "hardware_otp": N_("a hardware code token"),
    "certificate": N_("a certificate"),
    "email_otp": N_("a code by email"),
    "external": N_("a second step of another provider"),
}
"""The label with its article, for methods whose label takes one."""
BY_PHONE: Final[dict[str, tuple[str, ...]]] = {
    "sms": (N_("text message"),),
    "voice": (N_("phone call"),),
    "phone": (N_("text message"), N_("phone call")),
}
"""Method → the ways in which its codes come by phone, as in 'codes by text message'."""

_write: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of an account when a notice is decided.

    `standing`, `methods`, `default_method`, `change` and `had` (the methods before the change) are words of the glossary. `phone` is
    masked. All instants are UTC. Only confirmations have `change`, `had`, `seen_at` (when the directory was read and the change seen) and
    `cutoff` (the account's own, where it is not the campaign's); other letters take the cutoff of their notice. Only corrections have
    `earlier_cutoff`, the cutoff that an earlier letter named.
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
        """The name to greet with, cleaned for a letter; '' if there is none."""
        return shared_letter(self.given_name or "") or shared_letter(self.display_name or "")

    def to_json(self) -> str:
        """One line of JSON; equal facts give equal text."""
        known = {name: value for name in _NAMES if (value := getattr(self, name)) not in (None, ())}
        known |= {name: known[name].astimezone(UTC).isoformat() for name in known.keys() & _INSTANTS}
        return _write(known)

    @classmethod
    def from_json(cls, text: str) -> Facts:
        """The inverse of `to_json`. Ignores facts that this version does not know. Raises ValueError if `to_json` cannot have written the
        text."""
        return _STORED.validate_json(text, strict=True)


_STORED: Final = TypeAdapter(Facts)
_NAMES: Final = tuple(field.name for field in fields(Facts))
_INSTANTS: Final = ("seen_at", "cutoff", "earlier_cutoff")


def label(method: str, say: Catalogue = _ENGLISH) -> str:
    """What people call a method, in a catalogue's language; an unknown word is its own label."""
    return say.gettext(METHOD_LABELS.get(method, method))


def with_article(method: str, say: Catalogue = _ENGLISH) -> str:
    """The label with its article, as in a sentence: 'an authenticator app'."""
    return say.gettext(_IN_A_SENTENCE[method]) if method in _IN_A_SENTENCE else label(method, say)


def listed(items: Iterable[str], word: str = "and", language: Locale | None = None) -> str:
    """Items as a language lists them: in English 'a', 'a and b', 'a, b and c'; '' for none. `word` is "and" or "or"."""
    each = tuple(items) or ("",)
    if language is not None and language.language != ENGLISH:
        return format_list(each, "or" if word == "or" else "standard", locale=language)
    *first, last = each
    return f"{', '.join(first)} {word} {last}" if first else last
