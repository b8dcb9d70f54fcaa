"""Okta: the report "MFA Usage", which has a row a factor of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from migrate.directory.method_words import MethodWords
from migrate.directory.profiles.interface import BESIDE, Profile, told_apart_by
from migrate.directory.vocabulary import NO_STEP

if TYPE_CHECKING:
    import pandas as pd

_LOGIN: Final = ("Login", "User login", "Username")
_USED: Final = ("Last Used_ISO8601", "Last Used", "Last Used ISO8601")
_ENROLLED: Final = ("Last Enrolled_ISO8601", "Last Enrolled", "Last Enrolled ISO8601")
_STATUS: Final = BESIDE + "status"


def _second_steps(frame: pd.DataFrame, words: MethodWords) -> pd.DataFrame:
    """Removes the methods of factors that are not active, and the times of factors that are no second step, such as the password."""
    if "methods" not in frame:
        return frame
    from migrate.directory.text import as_text, trimmed

    methods = as_text(frame["methods"])
    if _STATUS in frame:
        status = trimmed(as_text(frame[_STATUS])).str.casefold()
        methods = methods.where(status.isna() | (status == "active"))
    step = methods.map(lambda text: words.method(text) != NO_STEP, na_action="ignore").eq(True)
    times = {name: as_text(frame[name]).where(step) for name in ("last_used_at", "methods_changed_at") if name in frame}
    return frame.assign(methods=methods, **times)


MFA_USAGE = Profile(
    name="okta-mfa-usage",
    what='Okta, report "MFA Usage": a row a factor',
    signs=(_LOGIN, ("MFA Factor", "Factor"), ("MFA Factor", *_USED, *_ENROLLED)),
    tells=("Each factor of a person, text messages told from apps.", "When each factor was enrolled and used last."),
    cannot=(
        "People without any factor: they are not in the report, so that the list of people must come from elsewhere.",
        "Who is disabled, who signs in through SSO, and addresses other than the login.",
        "Factors that the policy has switched off: Okta leaves them out.",
    ),
    aliases={
        "account_id": ("User ID", "Okta ID", "Okta user ID", "id"),
        "username": _LOGIN,
        "email": ("Email", "Primary email"),
        "display_name": ("User", "User name", "Name"),
        "methods": ("MFA Factor", "Factor", "Factor type"),
        "last_used_at": _USED,
        "methods_changed_at": _ENROLLED,
    },
    resorts={
        "account_id": (_LOGIN, told_apart_by("login")),
        "email": (_LOGIN, "letters go to the login, which need not be a mailbox"),
    },
    beside={"status": ("Factor status", "Enrollment status")},
    vendor="okta",
    rows="methods",
    people=False,
    absent="none",
    join="a list of users, for who exists, who is disabled, and addresses",
    finish=_second_steps,
)  # fmt: skip
