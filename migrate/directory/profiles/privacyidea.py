"""privacyIDEA: the list of tokens, a row a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from migrate.directory.method_words import MethodWords
from migrate.directory.profiles.interface import BESIDE, Profile, told_apart_by
from migrate.directory.profiles.making import joined_names, said

if TYPE_CHECKING:
    import pandas as pd

_READY: Final = ("", "enrolled", "none", "null")


def _in_use(frame: pd.DataFrame, _: MethodWords) -> pd.DataFrame:
    """Removes the methods of tokens that cannot be used: inactive, revoked, locked, or with an unfinished rollout."""
    from migrate.directory.text import as_text, trimmed

    frame = joined_names(frame, "given_name", BESIDE + "family")
    if "methods" not in frame:
        return frame
    methods = as_text(frame["methods"])
    for name, good in (("active", "yes"), ("revoked", "no"), ("locked", "no")):
        if BESIDE + name in frame:
            state = said(frame[BESIDE + name])
            methods = methods.where(state.isna() | (state == good))
    if BESIDE + "rollout" in frame:
        rollout = trimmed(as_text(frame[BESIDE + "rollout"])).fillna("").str.casefold()
        methods = methods.where(rollout.isin(_READY))
    return frame.assign(methods=methods)


TOKENS = Profile(
    name="privacyidea-tokens",
    what="privacyIDEA, list of tokens: a row a token",
    signs=(("serial",), ("tokentype", "Token type"), ("username", "user_id", "user")),
    tells=(
        "Each token of a person, text messages told from apps.",
        "Tokens that are disabled, revoked, locked or not rolled out do not count."),
    cannot=(
        "People without a token: they are not in the list, so that the list of people must come from elsewhere.",
        "Who is disabled, addresses and languages, unless the resolver's attributes were exported with the tokens.",
        "What a RADIUS or a remote token asks for: it is `unknown`.",
        "Other realms than those of the node that was asked.",
    ),
    aliases={
        "account_id": ("user_id", "userid", "User ID"),
        "username": ("username", "user", "User name"),
        "email": ("email", "mail"),
        "given_name": ("givenname", "given_name"),
        "methods": ("tokentype", "Token type", "type"),
    },
    resorts={"account_id": (("username", "user", "User name"), told_apart_by("username"))},
    beside={
        "active": ("active",), "revoked": ("revoked",), "locked": ("locked",), "rollout": ("rollout_state", "Rollout state"),
        "family": ("surname",),
    },
    vendor="privacyidea",
    rows="methods",
    people=False,
    absent="none",
    nobody=("account_id",),
    join="a list of users, for who exists, who is disabled, and addresses",
    finish=_in_use,
)  # fmt: skip
