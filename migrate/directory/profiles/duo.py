"""Duo: the users of the Admin Panel as CSV, and the file that users are imported from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from migrate.directory.method_words import MethodWords
from migrate.directory.profiles.interface import BESIDE, Profile, told_apart_by
from migrate.directory.profiles.making import joined_names

if TYPE_CHECKING:
    import pandas as pd

_DEVICES: Final = range(1, 9)


def _devices(frame: pd.DataFrame, _: MethodWords) -> pd.DataFrame:
    """Makes methods from devices: `unknown` for whoever has a telephone, which may get texts or have the app; `hardware_otp` for whoever
    has tokens alone. A user with the status bypass has no methods."""
    from migrate.directory.text import as_text, trimmed

    frame = joined_names(frame, "given_name", BESIDE + "family")
    numbered = {
        kind: [trimmed(as_text(frame[name])).notna() for n in _DEVICES if (name := f"{BESIDE}{kind}{n}") in frame]
        for kind in ("phone", "token")
    }
    told = any(name == "methods" or name.startswith("methods.") for name in frame.columns)
    if not told and any(numbered.values()):
        import pandas as pd

        none = pd.Series(False, index=frame.index)
        phone = pd.concat(numbered["phone"], axis=1).any(axis=1) if numbered["phone"] else none
        token = pd.concat(numbered["token"], axis=1).any(axis=1) if numbered["token"] else none
        words_of = pd.Series(None, index=frame.index, dtype="str")
        frame = frame.assign(methods=words_of.mask(token, "hardware_otp").mask(phone, "unknown"))
    if "enabled" in frame:
        bypassed = trimmed(as_text(frame["enabled"])).str.casefold() == "bypass"
        for name in [name for name in frame.columns if name == "methods" or name.startswith("methods.")]:
            frame = frame.assign(**{name: as_text(frame[name]).mask(bypassed)})
    return frame


USERS = Profile(
    name="duo-users",
    what="Duo, users of the Admin Panel as CSV, or the file they are imported from",
    signs=(
        ("username",),
        ("is_enrolled", "Enrolled", "Enrollment status", "phone1", "token1"),
        ("status", "realname", "Full name", "user_id"),
    ),
    tells=("Who there is, with address and status.", "Whether anybody is enrolled, or has a telephone or a token."),
    cannot=(
        "Whether a telephone has the app or receives text messages: both are `unknown`, and nobody counts as compliant by it.",
        "The language, the department and SSO.",
        "Duo publishes no description of this file, and its header was not seen: the columns are those of the Admin API and of the import.",
    ),
    aliases={
        "account_id": ("user_id", "User ID"),
        "username": ("username", "User name"),
        "email": ("email", "Email address"),
        "display_name": ("realname", "Full name", "Name"),
        "given_name": ("firstname", "First name"),
        "enabled": ("status",),
        "last_sign_in_at": ("last_login", "Last login"),
        "methods": ("methods", "Authentication methods", "Factors"),
    },
    resorts={"account_id": (("username", "User name"), told_apart_by("username"))},
    method_columns={"unknown": ("is_enrolled", "Enrolled", "Enrollment status")},
    beside={"family": ("lastname", "Last name")} | {f"{kind}{n}": (f"{kind}{n}",) for kind in ("phone", "token") for n in _DEVICES},
    vendor="duo",
    makes_methods=tuple(f"{kind}{n}" for kind in ("phone", "token") for n in _DEVICES),
    yes_no={"enabled": (("active", "bypass", "locked out"), ("disabled", "pending deletion", "trash"))},
    nothing=frozenset({"never"}),
    caveats=("Duo does not tell here whether a telephone has the app or receives texts; nobody counts as compliant by a telephone",),
    finish=_devices,
)  # fmt: skip
