"""The rights that an administrator of privacyIDEA needs, what fails without them, and the policy that grants them (docs/privacyidea.md).

Rights are actions of a policy of scope admin (documentation of privacyIDEA, "Admin policies"). No right to write is ever asked for.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from migrate.directory.privacyidea.settings import PrivacyIdeaSettings
from migrate.directory.web.client import RefusedError
from migrate.errors import DirectoryError, NotConsentedError
from migrate.outside import log


@dataclass(frozen=True, slots=True)
class Need:
    """A right that is needed. `what`: the data read. `action`: the action of an admin policy. `breaks`: what fails without."""

    what: str
    action: str
    breaks: str


USERS: Final = Need("the users of the realm", "userlist", "nobody can be read")
TOKENS: Final = Need(
    "the tokens of the realm", "tokenlist", "the server lists no token, as if nobody had a second step, and says that all is well"
)
_READING: Final = frozenset({USERS.action, TOKENS.action})
_ALL: Final = "*"
_HARMLESS: Final = (
    "read", "list", "hide_", "auditlog", "getserial", "clienttype", "system_documentation", "sms_gateways",
    "_hashlib", "_timestep", "_otplen", "_2step", "otp_pin", "force_server", "force_attribute", "trusted_Attestation",
)  # fmt: skip
"""Parts of the names of actions that only read, or that limit other rights."""


def needed(settings: PrivacyIdeaSettings) -> tuple[Need, ...]:
    """The rights that these settings need."""
    return (USERS, TOKENS) if settings.users else (TOKENS,)


def missing(rights: Collection[str], settings: PrivacyIdeaSettings) -> tuple[Need, ...]:
    """The needed rights that an administrator with these `rights` lacks in every realm."""
    return tuple(need for need in needed(settings) if need.action not in rights and _ALL not in rights)


def writing(rights: Collection[str]) -> list[str]:
    """The rights that allow more than reading."""
    if _ALL in rights:
        return ["everything (*)"]
    return sorted(right for right in rights if right not in _READING and not any(part in right for part in _HARMLESS))


def policy(settings: PrivacyIdeaSettings, who: str) -> str:
    """The policy that grants `who` the right to read, as a sentence without a full stop."""
    actions = ", ".join(need.action for need in needed(settings))
    return (
        f'Add a policy under Config, Policies: scope "admin", action "{actions}", admin "{who}", realm "{settings.realm}", no resolver '
        "and no user (docs/privacyidea.md)"
    )


def lacking(need: Need, settings: PrivacyIdeaSettings, who: str) -> NotConsentedError:
    """The error for a missing right."""
    return NotConsentedError(
        f"{who} may not list {need.what} {settings.realm}: the right {need.action} is missing, without which {need.breaks}. "
        "Nothing was changed.",
        where="[directory] realm",
        hint=f"{policy(settings, who)}; then type `migrate check`.",
    )


def refusal(error: RefusedError, need: Need | None, settings: PrivacyIdeaSettings, who: str) -> DirectoryError:
    """The error that ends the read after the server refused a call; `need` is None for calls that every administrator may make."""
    said = log(f"{error.status} {error.code}".strip())
    if error.status == 401:
        hint = "Look whether the administrator is still there; then type `migrate check`."
        if settings.token is not None:
            hint = "A token of POST /auth ends after an hour: set username and password in its place, or a new one."
        return DirectoryError(
            f"privacyIDEA does not take the token of {who} ({said}). Nothing was changed.",
            where="[directory] token" if settings.token is not None else "[directory] username",
            hint=hint,
        )
    if error.status == 403 and need is not None:
        return lacking(need, settings, who)
    hint = "Try again later; if it stays, docs/privacyidea.md lists what is read."
    if error.status in (404, 405):
        hint = "Look whether url is the address of privacyIDEA itself, as a browser has it before /auth."
    return DirectoryError(
        f"privacyIDEA refuses {need.what if need is not None else 'the realms'}: it answers {said}. Nothing was changed.",
        where="[directory] url",
        hint=hint,
    )
