"""The permission that each read of Graph needs, and what is not known without it (docs/entra.md, "What it may read").

The documentation of each call names the least permission. No permission to write is ever asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from migrate.directory.entra.settings import EntraSettings
from migrate.directory.web.client import RefusedError
from migrate.errors import DirectoryError, NoLicenceError, NotConsentedError
from migrate.outside import log

NO_PREMIUM: Final = "Authentication_RequestFromNonPremiumTenantOrB2CTenant"
EXPIRED_PAGE: Final = frozenset({"Directory_ExpiredPageToken", "DirectoryPageTokenNotFoundException"})


@dataclass(frozen=True, slots=True)
class Need:
    """A permission that is needed. `what`: the data read. `permissions`: one of them is enough (the least first). `breaks`: what fails
    without. `premium`: a licence P1 or P2 is needed."""

    what: str
    permissions: tuple[str, ...]
    breaks: str
    premium: bool = False


USERS: Final = Need("the users", ("User.Read.All",), "nobody can be read")
REPORT: Final = Need("the report of registered methods", ("AuditLog.Read.All",), "nobody's methods are known", premium=True)
DOMAINS: Final = Need("the domains", ("Domain.Read.All",), "people who sign in through SSO cannot be told from others")
POLICY: Final = Need(
    "the policy of authentication methods",
    ("Policy.Read.AuthenticationMethod", "Policy.Read.All"),
    "who may use text messages, and who may register a passkey, is not known (in_policy, may_enrol)",
)
MEMBERS: Final = Need(
    "the members of groups",
    ("GroupMember.Read.All",),
    "policies that are for groups cannot be told (in_policy, may_enrol), nor [directory] groups",
)
ROLES: Final = Need("the directory roles", ("RoleManagement.Read.Directory",), "who holds a role of [directory] roles is not known")
PHONES: Final = Need(
    "the telephones of accounts", ("UserAuthMethod-Phone.Read.All", "UserAuthenticationMethod.Read.All"), "the detail phones cannot be read"
)
METHODS: Final = Need(
    "the methods of accounts", ("UserAuthenticationMethod.Read.All",), "methods cannot be read of account after account, without the report"
)
PER_USER_MFA: Final = Need("the per-user MFA of accounts", ("Policy.Read.All",), "the detail per_user_mfa cannot be read")
SIGN_INS: Final = Need("the sign-ins", ("AuditLog.Read.All",), "the detail sign_ins cannot be read", premium=True)


def needed(settings: EntraSettings) -> tuple[tuple[Need, bool], ...]:
    """What is needed for these settings, and whether a read ends without it."""
    wanted = [(USERS, True), (REPORT, True), (DOMAINS, True), (POLICY, False), (MEMBERS, bool(settings.groups))]
    if settings.roles:
        wanted.append((ROLES, True))
    details = {"phones": PHONES, "per_user_mfa": PER_USER_MFA, "sign_ins": SIGN_INS}
    return (*wanted, *((details[name], True) for name in settings.detail))


def granted(need: Need, roles: Iterable[str]) -> bool:
    """Whether the roles of a token are enough for a need; a permission to write the same data is, too."""
    held = set(roles)
    return any(name in held or name.replace(".Read.", ".ReadWrite.") in held for name in need.permissions)


def writing(roles: Iterable[str]) -> list[str]:
    """The roles of a token that allow more than reading."""
    return sorted(role for role in roles if "Write" in role or "Send" in role or "Manage.All" in role or role.endswith(".AccessAsUser.All"))


def how_to_grant(need: Need, settings: EntraSettings) -> str:
    """How an administrator grants it, as a sentence without a full stop."""
    name = need.permissions[0]
    if settings.managed_identity:
        return f"Assign the app role {name} of Microsoft Graph to the managed identity (docs/entra.md)"
    return f"Add the application permission {name} of Microsoft Graph, and let an administrator consent at {settings.consent_address}"


def refusal(error: RefusedError, need: Need, settings: EntraSettings) -> DirectoryError:
    """The error that ends the read after Graph refused something."""
    if error.code == NO_PREMIUM:
        return NoLicenceError(
            f"{settings.tenant} has no Entra ID P1 or P2, and without it Graph does not give {need.what}. Nothing was changed.",
            where="[directory] tenant",
            hint=(
                'Read the methods of account after account with detail = ["phones"], or join an export that has them with '
                "[[directory.join]]; docs/entra.md has both."
                if need is REPORT
                else "Take what needs it out of [directory] detail."
            ),
        )
    if error.status == 403:
        return NotConsentedError(
            f"Graph refuses {need.what} ({error.code or 403}): the application lacks {' or '.join(need.permissions)}, without which "
            f"{need.breaks}. Nothing was changed.",
            where="[directory] client_id",
            hint=f"{how_to_grant(need, settings)}; then type `migrate check`.",
        )
    said = log(f"{error.status} {error.code}".strip())
    hint = (
        "Look at [directory] client_id and tenant."
        if error.status == 401
        else "Try again later; if it stays, docs/entra.md lists what is read."
    )
    return DirectoryError(f"Graph refuses {need.what}: it answers {said}. Nothing was changed.", where="[directory]", hint=hint)
