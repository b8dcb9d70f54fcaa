"""Google Workspace: the users of the Admin console, and those that GAM prints. Neither says which second step somebody has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from migrate.directory.method_words import MethodWords
from migrate.directory.profiles.interface import BESIDE, Profile, told_apart_by
from migrate.directory.profiles.making import either, joined_names

if TYPE_CHECKING:
    import pandas as pd

_CANNOT: Final = (
    "Which second step it is: Google tells that one is on, and not whether it is text messages, so nobody counts as compliant by it.",
    "Who signs in through SSO.",
)
_CAVEAT: Final = "Google tells that a second step is on and not which: text messages cannot be told, and nobody counts as compliant by it"
_NEVER: Final = frozenset({"never", "never logged in", "never signed in"})


def _names(frame: pd.DataFrame, _: MethodWords) -> pd.DataFrame:
    return joined_names(frame, "given_name", BESIDE + "family")


USERS = Profile(
    name="google-users",
    what="Google Workspace, users of the Admin console",
    signs=(("Email Address", "Email Address [Required]"), ("2sv Enrolled", "2-Step Verification Enrolled")),
    tells=("Who there is, with address, department and manager.", "Whether any second step is on.", "Who is suspended or archived."),
    vendor="google",
    cannot=_CANNOT,
    aliases={
        "account_id": ("User ID", "Unique ID"),
        "username": ("Email Address",),
        "email": ("Email Address",),
        "given_name": ("First Name",),
        "department": ("Department",),
        "manager_email": ("Manager Email",),
        "enabled": ("Status",),
        "last_sign_in_at": ("Last Sign In",),
    },
    resorts={
        "account_id": (
            ("Email Address",),
            told_apart_by("address"),
        )
    },
    method_columns={"unknown": ("2sv Enrolled", "2-Step Verification Enrolled")},
    beside={"family": ("Last Name",)},
    yes_no={"enabled": (("Active",), ("Suspended", "Archived", "Deleted", "Blocked"))},
    nothing=_NEVER,
    caveats=(_CAVEAT,),
    finish=_names,
)


def _gam(frame: pd.DataFrame, _: MethodWords) -> pd.DataFrame:
    """Suspended and archived accounts are disabled, guests get the type guest, and both kinds of administrators are privileged."""
    made: dict[str, Any] = {}
    if "enabled" not in frame and (combined := either(frame, BESIDE + "suspended", BESIDE + "archived")) is not None:
        made["enabled"] = combined.map({"yes": "no", "no": "yes"}).fillna(combined).astype("str")
    if "privileged" not in frame and (combined := either(frame, BESIDE + "admin", BESIDE + "delegated")) is not None:
        made["privileged"] = combined
    if "account_type" not in frame and (combined := either(frame, BESIDE + "guest")) is not None:
        made["account_type"] = combined.map({"yes": "guest", "no": "person"}).fillna(combined).astype("str")
    return joined_names(frame.assign(**made), "given_name", BESIDE + "family")


GAM = Profile(
    name="gam-users",
    what="Google Workspace, `gam print users allfields`",
    signs=(("primaryEmail",), ("isEnrolledIn2Sv",)),
    tells=("Who there is, with address, department and language.", "Whether any second step is on.", "Who is suspended or archived."),
    vendor="google",
    cannot=_CANNOT,
    aliases={
        "account_id": ("id",),
        "username": ("primaryEmail",),
        "email": ("primaryEmail",),
        "display_name": ("name.fullName", "name.displayName"),
        "given_name": ("name.givenName",),
        "locale": ("languages.0.languageCode",),
        "department": ("organizations.0.department",),
        "manager_email": ("relations.0.value",),
        "last_sign_in_at": ("lastLoginTime",),
    },
    resorts={
        "account_id": (("primaryEmail",), told_apart_by("address"))
    },
    method_columns={"unknown": ("isEnrolledIn2Sv",)},
    beside={
        "suspended": ("suspended",), "archived": ("archived",), "admin": ("isAdmin",), "delegated": ("isDelegatedAdmin",),
        "guest": ("isGuestUser",), "family": ("name.familyName",),
    },
    nothing=_NEVER,
    caveats=(_CAVEAT,),
    finish=_gam,
)  # fmt: skip
