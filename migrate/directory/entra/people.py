"""Turns users of Graph into raw rows, with what is known of each (entra.md 2.5)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from migrate.directory.entra.detail import LastUse
from migrate.directory.entra.ids import IdSet, packed
from migrate.directory.entra.policy import Policy
from migrate.directory.entra.registration import Registered, Registration
from migrate.directory.entra.settings import EntraSettings
from migrate.directory.method_words import MethodWords

if TYPE_CHECKING:
    import pandas as pd

INTERNAL_GUEST: Final = "entra:internal guest"
SIGN_IN_BY_SMS: Final = "entra:SMS sign-in"
THIS_DEVICE: Final = "entra:this device only"
"""Groups that we add to accounts. An internal guest is a guest whose account is of this tenant: the retirement treats it as a member. A
user who signs in by SMS has no password. A passkey of one device is no second step on any other device."""

_PROPERTIES: Final = (
    "id", "userPrincipalName", "mail", "proxyAddresses", "displayName", "givenName", "accountEnabled", "userType", "externalUserState",
    "department", "usageLocation", "preferredLanguage",
)  # fmt: skip
ACTIVITY: Final = "signInActivity"
MANAGER: Final = "manager($select=id,displayName,mail)"


@dataclass(slots=True)
class Known:
    """What is read of the tenant before its users. `registered` is None if methods come from a join."""

    registered: Registered | None
    federated: frozenset[str] = frozenset()
    policy: Policy | None = None
    groups: Mapping[str, IdSet] = field(default_factory=dict)
    holders: IdSet = field(default_factory=IdSet)
    per_user_mfa: Mapping[str, Sequence[str]] = field(default_factory=dict)
    last_use: Mapping[str, LastUse] = field(default_factory=dict)


@dataclass(slots=True)
class Noticed:
    """Counts of users, for the caveats."""

    unlisted: int = 0
    federated_with_telephone: int = 0


def selected(settings: EntraSettings, *, activity: bool) -> str:
    """The properties of users to ask for (`$select`)."""
    further = [column.theirs for column in settings.columns.values()]
    return ",".join(dict.fromkeys([*_PROPERTIES, *further, *([ACTIVITY] if activity else [])]))


def frame(
    users: list[dict[str, Any]], known: Known, settings: EntraSettings, words: MethodWords, noticed: Noticed, position: int
) -> pd.DataFrame:
    """A page of users as a raw frame (`Directory.frames`); the first user has this position. Raises ValueError for other JSON."""
    import pandas as pd

    from migrate.directory.text import column

    ids = packed([each.get("id") for each in users])
    enabled = [each.get("accountEnabled") is not False for each in users]
    registered = known.registered.of(ids, enabled) if known.registered is not None else None
    columns: dict[str, list[Any]] = {name: [read(each) for each in users] for name, read in _READ.items()}
    columns |= {ours: [_other(each.get(set_so.theirs)) for each in users] for ours, set_so in settings.columns.items()}
    columns["federated"] = ["yes" if _is_federated(each, known.federated) else "no" for each in users]
    columns["groups"] = _groups(users, ids, registered, known, words)
    columns["privileged"] = _yes_no(known.holders.has(ids).tolist())
    if registered is not None:
        _methods(columns, registered, enabled, noticed)
    if known.policy is not None:
        per_user = [next(iter(known.per_user_mfa.get(name, ())), None) for name in columns["account_id"]]
        columns["in_policy"] = _yes_no(known.policy.in_policy(ids, per_user))
        columns["may_enrol"] = [None if each is None else json.dumps(each) for each in known.policy.may_enrol(ids)]
    if known.last_use:
        used = [known.last_use.get(name) for name in columns["account_id"]]
        columns["last_used_method"] = [each and each.method for each in used]
        columns["last_used_at"] = [each and each.at for each in used]
    return pd.DataFrame({name: column(values) for name, values in columns.items()}).assign(position=range(position, position + len(users)))


def _methods(columns: dict[str, list[Any]], registered: list[Registration | str | None], enabled: list[bool], noticed: Noticed) -> None:
    """Adds methods, the default and whether a user is an administrator; counts for the caveats."""
    each = [one if isinstance(one, Registration) else None for one in registered]
    columns["methods"] = ['["unknown"]' if one is None else json.dumps(list(one.words)) for one in each]
    columns["default_method"] = [one and one.default for one in each]
    columns["privileged"] = [
        "yes" if holds == "yes" or (one is not None and one.admin) else "no" for holds, one in zip(columns["privileged"], each, strict=True)
    ]
    columns["rejection"] = [one if isinstance(one, str) else None for one in registered]
    noticed.unlisted += sum(one is None and on for one, on in zip(registered, enabled, strict=True))
    noticed.federated_with_telephone += sum(
        one is not None and one.has_telephone and says == "yes" for one, says in zip(each, columns["federated"], strict=True)
    )


def _groups(
    users: list[dict[str, Any]], ids: np.ndarray, registered: list[Registration | str | None] | None, known: Known, words: MethodWords
) -> list[str]:
    names: list[list[str]] = [[] for _ in users]
    for name, members in known.groups.items():
        for place in np.flatnonzero(members.has(ids)):
            names[place].append(name)
    for at, user in enumerate(users):
        if _is_guest(user) and not _is_external(user):
            names[at].append(INTERNAL_GUEST)
        one = registered[at] if registered is not None else None
        if isinstance(one, Registration):
            names[at] += [SIGN_IN_BY_SMS] * one.signs_in_by_sms + [THIS_DEVICE] * one.only_on_this_device(words)
    return [json.dumps(each) for each in names]


def _yes_no(values: Iterable[bool | None]) -> list[str | None]:
    return [None if value is None else "yes" if value else "no" for value in values]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _other(value: Any) -> str | None:
    """A property that the configuration names: text, or a list of texts."""
    return json.dumps([each for each in value if isinstance(each, str)]) if isinstance(value, list) else _text(value)


def _is_guest(user: Mapping[str, Any]) -> bool:
    return str(user.get("userType")).casefold() == "guest"


def _is_external(user: Mapping[str, Any]) -> bool:
    """Whether a user signs in at another organisation: was invited, as a guest or as a member. An internal guest was not."""
    return bool(user.get("externalUserState"))


def _is_federated(user: Mapping[str, Any], domains: frozenset[str]) -> bool:
    name = _text(user.get("userPrincipalName")) or ""
    return not _is_external(user) and name.rpartition("@")[2].casefold() in domains


def _email(user: Mapping[str, Any]) -> str | None:
    """`mail`, or the primary one of the proxy addresses; never the sign-in name, which need not be a mailbox."""
    if mail := _text(user.get("mail")):
        return mail
    addresses = [each for each in user.get("proxyAddresses") or () if isinstance(each, str)]
    return next((each.removeprefix("SMTP:") for each in addresses if each.startswith("SMTP:")), None)


def _manager(user: Mapping[str, Any]) -> str | None:
    manager = user.get("manager")
    return _text(manager.get("mail")) if isinstance(manager, dict) else None


def _locale(user: Mapping[str, Any]) -> str | None:
    """The preferred language, or the language of the user's country if it has only one."""
    return _text(user.get("preferredLanguage")) or _language_of(_text(user.get("usageLocation")) or "")


@cache
def _language_of(country: str) -> str | None:
    from babel.languages import get_official_languages

    if len(country) != 2 or not country.isalpha():
        return None
    spoken = get_official_languages(country.upper(), de_facto=True)
    return f"{spoken[0]}-{country.upper()}" if len(spoken) == 1 else None


def _last_sign_in(user: Mapping[str, Any]) -> str | None:
    activity = user.get(ACTIVITY)
    if not isinstance(activity, dict):
        return None
    times = [
        activity.get("lastSuccessfulSignInDateTime") or activity.get("lastSignInDateTime"),
        activity.get("lastNonInteractiveSignInDateTime"),
    ]
    return max((each for each in times if isinstance(each, str)), default=None)


_READ: Final = {
    "account_id": lambda user: _text(user.get("id")),
    "username": lambda user: _text(user.get("userPrincipalName")),
    "email": _email,
    "display_name": lambda user: _text(user.get("displayName")),
    "given_name": lambda user: _text(user.get("givenName")),
    "locale": _locale,
    "department": lambda user: _text(user.get("department")),
    "manager_email": _manager,
    "enabled": lambda user: "no" if user.get("accountEnabled") is False else "yes",
    "account_type": lambda user: "guest" if _is_external(user) else "person",
    "last_sign_in_at": _last_sign_in,
}
"""Our column → the function that reads it from a user."""
