"""The tenant's authentication methods policy: which accounts may use or register which methods (entra.md 2.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from migrate.directory.entra.ids import IdSet, packed

EVERYBODY: Final = "all_users"
COMPLETE: Final = "migrationComplete"
_RETIRED: Final = ("sms", "voice")
_ENROLS: Final = {
    "fido2": "passkey",
    "microsoftauthenticator": "push",
    "softwareoath": "totp",
    "hardwareoath": "hardware_otp",
    "sms": "sms",
    "voice": "voice",
    "email": "email_otp",
}
"""Configuration of the policy → the method that people may register by it. Certificates are issued to people, so they are not here."""
_STRONG: Final = frozenset({"passkey", "push", "totp", "hardware_otp", "external"})
_EXTERNAL: Final = "externalauthenticationmethodconfiguration"


@dataclass(frozen=True, slots=True)
class Scope:
    """The accounts that a configuration applies to. `sure` is false if one of its groups could not be read."""

    on: bool
    everybody: bool = False
    included: IdSet = field(default_factory=IdSet)
    excluded: IdSet = field(default_factory=IdSet)
    sure: bool = True

    def covers(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each id whether the configuration applies, and whether that is certain. Exclusions win over inclusions."""
        if not self.on:
            return np.zeros(len(ids), bool), np.ones(len(ids), bool)
        out = self.excluded.has(ids)
        inside = (np.ones(len(ids), bool) if self.everybody else self.included.has(ids)) & ~out
        return inside, np.full(len(ids), self.sure) | out


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy. `scopes`: method → the scope of each of its configurations. `complete`: no legacy settings allow more. `campaign`: a
    sentence about Microsoft's own registration campaign. `restricted`: only listed or attested models of passkeys are allowed."""

    scopes: Mapping[str, tuple[Scope, ...]]
    complete: bool
    campaign: str = ""
    restricted: bool = False

    def may_enrol(self, ids: np.ndarray) -> list[list[str] | None]:
        """The methods that each account may register; None where that is not known."""
        methods: list[list[str]] = [[] for _ in ids]
        known = np.ones(len(ids), bool)
        for method, scopes in self.scopes.items():
            yes, sure = _any(scopes, ids)
            known &= sure
            for place in np.flatnonzero(yes):
                methods[place].append(method)
        # Until the migration to this policy is complete, legacy settings may let people register an app even if this policy does not.
        return [words if sure and (self.complete or _STRONG & set(words)) else None for words, sure in zip(methods, known, strict=True)]

    def in_policy(self, ids: np.ndarray, per_user: Sequence[str | None]) -> list[bool | None]:
        """Whether each account may still use a telephone; None where that is not known. `per_user`: the state of per-user MFA, if read."""
        yes, sure = _any([scope for method in _RETIRED for scope in self.scopes.get(method, ())], ids)
        return [self._still(*each) for each in zip(yes.tolist(), sure.tolist(), per_user, strict=True)]

    def _still(self, yes: bool, sure: bool, per_user: str | None) -> bool | None:
        if yes:
            return True
        if not self.complete:  # per-user MFA has its own setting for telephones
            return {"enabled": True, "enforced": True, "disabled": False if sure else None}.get(per_user or "")
        return False if sure else None


def _any(scopes: Iterable[Scope], ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each id whether one of the scopes certainly applies, and whether that answer is certain."""
    yes, sure = np.zeros(len(ids), bool), np.ones(len(ids), bool)
    for scope in scopes:
        inside, known = scope.covers(ids)
        yes |= inside & known
        sure &= known
    return yes, sure | yes


def groups_in(told: Mapping[str, Any]) -> list[str]:
    """The ids of the groups that the policy names."""
    ids = [
        target["id"]
        for configuration in _configurations(told)
        if configuration.get("state") == "enabled" and _method(configuration)
        for name in ("includeTargets", "excludeTargets")
        for target in _targets(configuration, name)
        if target["targetType"] == "group" and target["id"] != EVERYBODY
    ]
    return list(dict.fromkeys(ids))


def understood(told: Mapping[str, Any], members: Callable[[str], IdSet | None]) -> Policy:
    """The policy from Graph's JSON; `members` gives the members of a group, None if they cannot be read."""
    scopes: dict[str, tuple[Scope, ...]] = {}
    for configuration in _configurations(told):
        method, scope = _method(configuration), _scope(configuration, members)
        if method:
            scopes[method] = (*scopes.get(method, ()), scope)
        if method == "push" and configuration.get("isSoftwareOathEnabled") is True:
            scopes["totp"] = (*scopes.get("totp", ()), scope)
    passkeys = [each for each in _configurations(told) if _name(each) == "fido2"]
    return Policy(
        scopes,
        complete=told.get("policyMigrationState") == COMPLETE,  # it was null in a live tenant
        campaign=_campaign(told),
        restricted=any(each.get("state") == "enabled" and _restricted(each) for each in passkeys),
    )


def _configurations(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    configurations = told["authenticationMethodConfigurations"]
    if not isinstance(configurations, list) or not all(isinstance(each, dict) for each in configurations):
        raise ValueError("the policy has no configurations")
    return configurations


def _targets(configuration: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    return [each for each in configuration.get(name) or () if isinstance(each, dict) and isinstance(each.get("id"), str)]


def _name(configuration: Mapping[str, Any]) -> str:
    return str(configuration.get("id", "")).casefold()


def _method(configuration: Mapping[str, Any]) -> str | None:
    kind = str(configuration.get("@odata.type", "")).casefold()
    return "external" if kind.endswith(_EXTERNAL) else _ENROLS.get(_name(configuration))


def _scope(configuration: Mapping[str, Any], members: Callable[[str], IdSet | None]) -> Scope:
    on = configuration.get("state") == "enabled"
    if _name(configuration) == "fido2" and configuration.get("isSelfServiceRegistrationAllowed") is False:
        on = False
    if not on:
        return Scope(on=False)
    sure, everybody = True, False
    sets: dict[str, list[IdSet]] = {"includeTargets": [], "excludeTargets": []}
    for name, parts in sets.items():
        for target in _targets(configuration, name):
            if target["id"] == EVERYBODY:
                everybody = everybody or name == "includeTargets"
                continue
            some = IdSet([packed([target["id"]])]) if target.get("targetType") == "user" else members(target["id"])
            sure = sure and some is not None
            parts += [] if some is None else [some]
    return Scope(on, everybody, IdSet.united(sets["includeTargets"]), IdSet.united(sets["excludeTargets"]), sure)


def _restricted(configuration: Mapping[str, Any]) -> bool:
    """Whether every way to register a passkey is limited to listed models or requires attestation."""

    def narrow(each: Mapping[str, Any]) -> bool:
        keys = each.get("keyRestrictions") or {}
        listed = keys.get("isEnforced") is True and keys.get("enforcementType") == "allow"
        return listed or each.get("attestationEnforcement") == "registrationOnly" or each.get("isAttestationEnforced") is True

    profiles = [each for each in configuration.get("passkeyProfiles") or () if isinstance(each, dict)]
    return all(map(narrow, profiles)) if profiles else narrow(configuration)


def _campaign(told: Mapping[str, Any]) -> str:
    """What Microsoft's own registration campaign asks people to do, a sentence without a full stop."""
    campaign = (told.get("registrationEnforcement") or {}).get("authenticationMethodsRegistrationCampaign") or {}
    asked = sorted(
        {str(each.get("targetedAuthenticationMethod")) for each in campaign.get("includeTargets") or () if isinstance(each, dict)}
    )
    state = {"default": "managed by Microsoft", "enabled": "on", "disabled": "off"}.get(str(campaign.get("state")))
    if state is None:
        return ""
    asks = f", for {' and '.join(asked)}" if asked and state != "off" else ""
    return f"Microsoft's registration campaign is {state}{asks}" + (
        "" if state == "off" else ": people may have seen its prompt, and it is genuine"
    )
