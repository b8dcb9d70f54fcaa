"""The words of the tables in plain English, as the pages show them. A page shows the table's own word beside each, so that it can be
found in the files."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Final

MEANINGS: Final = {
    "inactive": "cannot sign in",
    "exempt_sso": "signs in through SSO",
    "exempt": "has an exemption",
    "migrated": "authenticator, no text messages",
    "sms_fallback": "authenticator, text messages as a fallback",
    "sms_default": "authenticator, but text messages by default",
    "sms_only": "text messages only",
    "unknown": "a second step that is not known",
    "no_second_step": "no second step",
}
"""Standing → what the account has."""

NO_DESTINATION: Final = "no_destination"
HARMS: Final[dict[str, tuple[str, str]]] = {
    NO_DESTINATION: (
        "cannot obey: the directory lets them register nothing that stays",
        "could not obey: the directory let them register nothing that stays",
    ),
    "locked_out": ("will be locked out", "were locked out"),
    "must_re_enrol": ("must set up a second step anew at their next sign-in", "had to set up a second step anew"),
    "loses_second_step": ("will lose their second step", "lost their second step"),
    "unaffected_but_surprised": (
        "will be surprised: text messages stop, their authenticator works",
        "were surprised: text messages stopped, their authenticator works",
    ),
    "unknown": ("cannot be told: nobody knows their second step", "cannot be told: nobody knew their second step"),
    "unaffected": (
        "nothing happens on the day, and they still have no second step",
        "nothing happened, and they still have no second step",
    ),
}
"""What the cutoff does to people who must still move, worst first: as said before the cutoff, and from it on."""
HURT: Final = ("locked_out", "must_re_enrol", "loses_second_step")
"""Those effects of the cutoff that end the use of an account or of its second step."""

ON_THE_DAY: Final[dict[str, tuple[str, str]]] = {
    "locked_out": ("locked out", "locked out"),
    "must_re_enrol": ("must set up anew", "had to set up anew"),
    "loses_second_step": ("loses the second step", "lost the second step"),
    "unaffected_but_surprised": ("text messages stop, the app works", "text messages stopped, the app works"),
    "unknown": ("cannot be told", "cannot be told"),
    "unaffected": ("nothing", "nothing"),
}
"""The same for one account, in a cell."""

BECAUSE: Final = {
    "no_address": "no address in the directory",
    "bad_address": "an address that is none",
    "bounced": "the mail server called the address dead",
    "failed": "the last letter failed",
    "domain_not_allowed": "[safety] allowed_domains leaves the domain out",
    "unrenderable": "the letter could not be composed",
}
"""Why mail does not reach somebody."""

STATES: Final = {"sent": "sent", "queued": "waiting", "failed": "failed", "uncertain": "in doubt", "withdrawn": "withdrawn"}
"""The states of letters, in the order of columns; claimed and sending letters count as waiting."""

KINDS: Final = {
    "announcement": "announcement",
    "reminder": "reminder",
    "final_reminder": "final reminder",
    "cutoff_passed": "after the cutoff",
    "cutoff_moved": "the date moved",
    "change_confirmation": "confirmation of a change",
}

TYPES: Final = {
    "person": "people",
    "service": "services",
    "shared": "shared accounts",
    "break_glass": "break-glass accounts",
    "guest": "guests",
}
ONE_TYPE: Final = {"service": "service", "shared": "shared account", "break_glass": "break-glass account", "guest": "guest"}

WHYS: Final[dict[str, tuple[str, str]]] = {
    "reclassified": ("are judged by other rules or words now", "is judged by other rules or words now"),
    "switched": ("moved to a method that stays", "moved to a method that stays"),
    "went back": ("went back to text messages, or lost their second step", "went back to text messages, or lost the second step"),
    "joined": ("are new in the directory", "is new in the directory"),
    "left": ("left the directory", "left the directory"),
    "returned": ("came back to the directory", "came back to the directory"),
    "disabled": ("cannot sign in any more", "cannot sign in any more"),
    "enabled": ("can sign in again", "can sign in again"),
    "default changed": ("use another of their methods first", "uses another method first"),
    "exempted": ("have an exemption now", "has an exemption now"),
    "exemption ended": ("have no exemption any more", "has no exemption any more"),
    "to SSO": ("sign in through SSO now", "signs in through SSO now"),
    "from SSO": ("do not sign in through SSO any more", "does not sign in through SSO any more"),
}
"""Why the number moved: a word of moves.csv → the sentence for several people and for one. Causes that change what a word means come
first."""


def day(on: date | None) -> str:
    """A day as people write it: 1 Feb 2027."""
    return f"{on.day} {on:%b %Y}" if on else ""


def many(count: int, one: str, more: str = "") -> str:
    """A number and what it counts: '1 person', '1,200 people'."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def people(count: int) -> str:
    """So many people."""
    return many(count, "person", "people")


NO_LANGUAGE: Final = "?"


@lru_cache(maxsize=4096)
def tag(locale: str) -> str:
    """The language of a locale, `de` for `de-AT`; `NO_LANGUAGE` for text that is no locale, '' for ''."""
    from babel import Locale, UnknownLocaleError

    code = locale.replace("_", "-").partition("-")[0].strip().lower()
    try:
        return code and Locale.parse(code).language
    except (ValueError, UnknownLocaleError):
        return NO_LANGUAGE


def language(code: str) -> str:
    """A language (`tag`) in English."""
    from babel import Locale

    if code in ("", NO_LANGUAGE):
        return "not said" if not code else "a word that is no language"
    return Locale.parse(code).get_display_name("en") or code
