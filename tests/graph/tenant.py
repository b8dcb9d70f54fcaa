"""A tenant that lives: people who register methods, lose roles and become guests, and a report that is 36 hours behind them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

LAG = timedelta(hours=36)
GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"
ROLES = {
    "Global Administrator": GLOBAL_ADMINISTRATOR,
    "User Administrator": "fe930be7-5e62-47db-91af-98c3a49a38b1",
    "Helpdesk Administrator": "729827e3-9c14-49f7-bb1b-9608f156bbb8",
}
TELEPHONES = {"mobilePhone": "mobile", "alternateMobilePhone": "alternateMobile", "officePhone": "office"}
_KINDS = {
    "microsoftAuthenticatorPush": "microsoftAuthenticator", "softwareOneTimePasscode": "softwareOath",
    "hardwareOneTimePasscode": "hardwareOath",
    "fido2SecurityKey": "fido2", "passKeyDeviceBound": "fido2", "passKeySynced": "fido2", "passKeyDeviceBoundAuthenticator": "fido2",
    "windowsHelloForBusiness": "windowsHelloForBusiness", "macOsSecureEnclaveKey": "platformCredential", "email": "email",
    "temporaryAccessPass": "temporaryAccessPass", "externalAuthMethod": "external", "qrCode": "qrCodePin",
}  # fmt: skip
"""Word of the report → type of `authenticationMethod`."""


def instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def guid(number: int, kind: str = "a0000000") -> str:
    return str(uuid.UUID(f"{kind}-0000-4000-8000-{number:012x}"))


@dataclass(slots=True)
class Person:
    id: str
    upn: str
    mail: str | None
    display_name: str
    given_name: str | None = None
    enabled: bool = True
    user_type: str = "Member"
    external: str | None = None
    department: str | None = None
    usage_location: str | None = None
    language: str | None = None
    manager: str | None = None
    other_mails: list[str] = field(default_factory=list)
    company: str | None = None
    methods: list[str] = field(default_factory=list)
    default: str = "none"
    system_preferred: list[str] = field(default_factory=list)
    system_on: bool = False
    number: str = ""
    sms_sign_in: bool = False
    per_user_mfa: str = "disabled"
    created: datetime = datetime(2021, 3, 1, 8, tzinfo=UTC)
    signed_in: list[tuple[datetime, str]] = field(default_factory=list)
    past: list[tuple[datetime, tuple[str, ...], str]] = field(default_factory=list)
    """When which methods and default came, the oldest first."""


@dataclass(slots=True)
class Group:
    id: str
    name: str
    members: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)


class Tenant:
    """`licensed`: P1. `consented`: the permissions of the application. `opted_out`, `migration`, `policy`: as Graph has them."""

    def __init__(self, domain: str = "contoso.onmicrosoft.com", number: int = 1) -> None:
        self.id = guid(number, "f0000000")
        self.domain = domain
        self.domains = {domain: "Managed"}
        self.people: dict[str, Person] = {}
        self.groups: dict[str, Group] = {}
        self.holders: dict[str, set[str]] = {role: set() for role in ROLES.values()}
        self.licensed = True
        self.opted_out = False
        self.now = datetime(2026, 11, 28, 6, tzinfo=UTC)
        self.migration: str | None = "migrationComplete"
        self.campaign: dict[str, Any] = {
            "state": "default", "snoozeDurationInDays": 1, "enforceRegistrationAfterAllowedSnoozes": False, "excludeTargets": [],
            "includeTargets": [{"id": "all_users", "targetType": "group", "targetedAuthenticationMethod": "fido2"}],
        }  # fmt: skip
        self.configurations: dict[str, dict[str, Any]] = {}
        for name in ("Fido2", "MicrosoftAuthenticator", "Sms", "Voice", "SoftwareOath"):
            self.allow(name)

    def advance(self, **time: float) -> None:
        """Lets time pass."""
        self.now += timedelta(**time)

    def add(self, person: Person) -> Person:
        person.past.append((person.created, tuple(person.methods), person.default))
        self.people[person.id] = person
        return person

    def group(self, name: str, *members: Person, groups: tuple[Group, ...] = ()) -> Group:
        made = Group(guid(len(self.groups) + 1, "c0000000"), name, {each.id for each in members}, {each.id for each in groups})
        self.groups[made.id] = made
        return made

    def registers(self, person: Person, *words: str, default: str | None = None) -> None:
        """Somebody registers methods now, in words of the report."""
        person.methods = list(dict.fromkeys([*person.methods, *words]))
        self._moved(person, default)

    def removes(self, person: Person, *words: str, default: str | None = None) -> None:
        """Somebody takes methods away now."""
        person.methods = [word for word in person.methods if word not in words]
        self._moved(person, default)

    def allow(
        self, name: str, *, on: bool = True, include: tuple[Any, ...] = ("all_users",), exclude: tuple[Any, ...] = (), **more: Any
    ) -> None:
        """A configuration of the policy, for everybody or for groups."""

        def target(each: Any) -> dict[str, Any]:
            kind = "user" if isinstance(each, Person) else "group"
            return {"id": getattr(each, "id", each), "targetType": kind}

        kind = name[0].lower() + name[1:]
        self.configurations[name] = {
            "@odata.type": f"#microsoft.graph.{kind}AuthenticationMethodConfiguration", "id": name,
            "state": "enabled" if on else "disabled",
            "includeTargets": [target(each) | {"isRegistrationRequired": False} for each in include],
            "excludeTargets": [target(each) for each in exclude], **more,
        }  # fmt: skip

    def members(self, group: str, seen: frozenset[str] = frozenset()) -> set[str]:
        """The people in a group, and in those in it."""
        if group in seen:
            return set()
        found = self.groups[group]
        return found.members.union(*(self.members(each, seen | {group}) for each in found.groups))

    def _moved(self, person: Person, default: str | None) -> None:
        person.default = person.default if default is None else default
        person.past.append((self.now, tuple(person.methods), person.default))

    # What Graph shows of it.

    def users(self) -> list[Person]:
        return list(self.people.values())

    def user(self, person: Person, names: list[str], *, manager: bool) -> dict[str, Any]:
        guest = person.external is not None
        whole = {
            "id": person.id, "userPrincipalName": person.upn, "mail": person.mail, "otherMails": person.other_mails,
            "proxyAddresses": [f"SMTP:{person.mail}"] if person.mail and not guest else [], "displayName": person.display_name,
            "givenName": person.given_name, "surname": None, "accountEnabled": person.enabled, "userType": person.user_type,
            "externalUserState": person.external, "department": person.department, "companyName": person.company,
            "usageLocation": person.usage_location, "preferredLanguage": person.language, "onPremisesSyncEnabled": None,
            "createdDateTime": instant(person.created), "assignedLicenses": [],
        }  # fmt: skip
        found = {name: whole[name] for name in names if name in whole}
        if "signInActivity" in names and person.signed_in:
            last = instant(max(at for at, _ in person.signed_in))
            found["signInActivity"] = {
                "lastSignInDateTime": last,
                "lastNonInteractiveSignInDateTime": None,
                "lastSuccessfulSignInDateTime": last,
            }
        if manager and person.manager in self.people:
            boss = self.people[person.manager]
            found["manager"] = {"@odata.type": "#microsoft.graph.user", "id": boss.id, "displayName": boss.display_name, "mail": boss.mail}
        return found

    def reported(self) -> list[Person]:
        """Who has a row in the report: enabled people who were there when it was refreshed."""
        return [each for each in self.people.values() if each.enabled and each.created <= self.now - LAG]

    def report_row(self, person: Person) -> dict[str, Any]:
        at = self.now - LAG
        _, methods, default = next(each for each in reversed(person.past) if each[0] <= at)
        strong = any(word not in ("email", "securityQuestion", "appPassword", "qrCode") for word in methods)
        admin = any(person.id in held for held in self.holders.values())
        return {
            "id": person.id, "userPrincipalName": person.upn, "userDisplayName": person.display_name, "isAdmin": admin,
            "isSsprRegistered": bool(methods), "isSsprEnabled": True, "isSsprCapable": bool(methods), "isMfaRegistered": strong,
            "isMfaCapable": strong, "isPasswordlessCapable": any("ass" in word for word in methods), "lastUpdatedDateTime": instant(at),
            "methodsRegistered": list(methods), "isSystemPreferredAuthenticationMethodEnabled": person.system_on,
            "systemPreferredAuthenticationMethods": person.system_preferred, "userPreferredMethodForSecondaryAuthentication": default,
            "userType": person.user_type.lower(),
        }  # fmt: skip

    def telephones(self, person: Person) -> list[dict[str, Any]]:
        words = [word for word in TELEPHONES if word in person.methods]
        ready = "ready" if person.sms_sign_in else "notAllowedByPolicy"
        return [
            {"id": guid(number, "31790000"), "phoneNumber": person.number or f"+1 202555{number:04d}", "phoneType": TELEPHONES[word],
             "smsSignInState": ready if word == "mobilePhone" else "notSupported"}
            for number, word in enumerate(words, 1)
        ]  # fmt: skip

    def methods(self, person: Person) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = [{"@odata.type": "#microsoft.graph.passwordAuthenticationMethod", "id": guid(0, "28c10000")}]
        found += [{"@odata.type": "#microsoft.graph.phoneAuthenticationMethod", **each} for each in self.telephones(person)]
        kinds = dict.fromkeys(_KINDS[word] for word in person.methods if word in _KINDS)
        return found + [{"@odata.type": f"#microsoft.graph.{kind}AuthenticationMethod", "id": kind} for kind in kinds]

    def policy(self, *, beta: bool) -> dict[str, Any]:
        return {
            "id": "authenticationMethodsPolicy", "policyMigrationState": self.migration,
            "registrationEnforcement": {"authenticationMethodsRegistrationCampaign": self.campaign},
            "authenticationMethodConfigurations": list(self.configurations.values()),
            **({"optOutSettings": {"passkeyDynamicMigration": True}} if beta and self.opted_out else {}),
        }  # fmt: skip

    def sign_ins(self, since: datetime) -> list[dict[str, Any]]:
        """The newest first."""
        every = [(at, person, how) for person in self.people.values() for at, how in person.signed_in if at >= since]
        return [
            {"id": guid(number, "d0000000"), "createdDateTime": instant(at), "userId": person.id, "isInteractive": True,
             "status": {"errorCode": 0}, "authenticationDetails": [
                 {"authenticationStepDateTime": instant(at), "authenticationMethod": "Password", "succeeded": True,
                  "authenticationMethodDetail": "Password in the cloud"},
                 {"authenticationStepDateTime": instant(at + timedelta(seconds=12)), "authenticationMethod": how, "succeeded": True,
                  "authenticationMethodDetail": person.number or "+1 XXXXXXXX42"}]}
            for number, (at, person, how) in enumerate(sorted(every, key=lambda each: each[0], reverse=True))
        ]  # fmt: skip
