"""Microsoft Entra ID: the report of registered methods, and the list of users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from migrate.directory.lists import items
from migrate.directory.method_words import MethodWords
from migrate.directory.profiles.interface import BESIDE, Profile, told_apart_by
from migrate.directory.values import plain, yes_or_no
from migrate.directory.vocabulary import NO_STEP

if TYPE_CHECKING:
    import pandas as pd

_UPN: Final = ("userPrincipalName", "User principal name", "UPN", "UserPrincipal")
_SYSTEM_ON, _SYSTEM, _PREFERRED = (BESIDE + name for name in ("system_on", "system", "preferred"))


def _default_method(frame: pd.DataFrame, words: MethodWords) -> pd.DataFrame:
    """Makes the default method: the system's preferred method where that is enabled, else the user's own preference.

    If that method is unknown there is no default (Learn, "userRegistrationDetails resource type").
    """
    if "default_method" in frame or not ({_SYSTEM, _PREFERRED} & set(frame)):
        return frame
    import pandas as pd

    nothing = pd.Series(None, index=frame.index, dtype=object)
    rows = zip(*(frame.get(name, nothing).astype(object) for name in (_SYSTEM_ON, _SYSTEM, _PREFERRED)), strict=True)
    return frame.assign(default_method=pd.Series([first_choice(words, *row) for row in rows], index=frame.index, dtype="str"))


def first_choice(words: MethodWords, switched_on: object, system: object, preferred: object) -> str | None:
    """The method that is asked for first, as it is spelt: the `system`'s choice if that is `switched_on`, else what the user `preferred`.
    None if that word is unknown: the next method in the list is not the first choice."""
    try:
        by_system = not _missing(switched_on) and yes_or_no(switched_on) is True
    except ValueError:
        return None
    text = system if by_system else preferred
    return None if _missing(text) else _first_known(words, plain(text))


def _missing(value: object) -> bool:
    return value is None or value != value


def _first_known(words: MethodWords, text: str) -> str | None:
    first = next((word for word in items(text).items if words.method(word) != NO_STEP), None)
    return first if first is not None and words.method(first) is not None else None


REGISTRATION = Profile(
    name="entra-registration",
    what="Microsoft Entra ID, user registration details (portal, Graph or PowerShell)",
    signs=(_UPN, ("methodsRegistered", "Methods registered", "Registered methods")),
    tells=(
        "Which methods everybody has registered; where the export has a column for it, which one is asked for first.",
        "Who is a guest, and who holds an administrator role.",
    ),
    cannot=(
        "Whether a mobile phone is used for text messages or for calls: it is `phone`, which is retired as soon as `sms` is.",
        "Disabled accounts: they are not in the report.",
        "Addresses, departments and languages: join the list of users.",
        "When somebody changed a method: `lastUpdatedDateTime` is when Microsoft refreshed the row, up to 36 hours late, and is not read.",
        "Whether the second step of a federated domain is done elsewhere.",
    ),
    aliases={
        "account_id": ("id", "userId", "User ID", "objectId", "Object ID", "User object ID", "Id"),
        "username": _UPN,
        "email": ("mail",),
        "display_name": ("userDisplayName", "User display name", "displayName", "Display name", "Name"),
        "account_type": ("userType", "User type"),
        "privileged": ("isAdmin", "Is admin", "Admin"),
        "methods": ("methodsRegistered", "Methods registered", "Registered methods"),
    },
    resorts={
        "account_id": (_UPN, told_apart_by("user principal name")),
        "email": (_UPN, "letters go to the user principal name, which need not be a mailbox"),
    },
    beside={
        "system_on": ("isSystemPreferredAuthenticationMethodEnabled", "System preferred authentication method enabled"),
        "system": ("systemPreferredAuthenticationMethods", "System preferred authentication methods", "System preferred method"),
        "preferred": (
            "userPreferredMethodForSecondaryAuthentication", "defaultMfaMethod", "Default multifactor authentication method",
            "Default multi-factor authentication method", "Default authentication method", "Default method", "User preferred method",
        ),
    },
    vendor="entra",
    types={"member": "person", "guest": "guest"},
    people=False,
    caveats=("the report of Entra ID may be up to 36 hours older than the file",),
    join="entra-users, for addresses, disabled accounts and languages",
    finish=_default_method,
)  # fmt: skip

USERS = Profile(
    name="entra-users",
    what="Microsoft Entra ID, list of users (portal download, Graph or PowerShell)",
    signs=(_UPN, ("objectId", "Object ID", "id", "User ID"), ("accountEnabled", "Account enabled", "userType", "User type", "mail")),
    tells=("Who there is, with address, department and language.", "Who is disabled, and who is a guest."),
    cannot=("Methods: join the user registration details.", "Whether somebody signs in through SSO."),
    aliases={
        "account_id": ("id", "objectId", "Object ID", "User ID", "User object ID"),
        "username": _UPN,
        "email": ("mail", "Email", "Primary email", "Email address"),
        "display_name": ("displayName", "Display name", "Name"),
        "given_name": ("givenName", "First name", "Given name"),
        "locale": ("preferredLanguage", "Preferred language"),
        "department": ("department",),
        "enabled": ("accountEnabled", "Account enabled"),
        "account_type": ("userType", "User type"),
        "last_sign_in_at": ("lastSignInDateTime", "signInActivity.lastSignInDateTime", "Last sign-in"),
    },
    resorts={"email": (_UPN, "letters go to the user principal name, which need not be a mailbox")},
    types={"member": "person", "guest": "guest"},
    join="entra-registration, for the methods",
)
