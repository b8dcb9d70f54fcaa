"""The known exports by name, for `profile = "…"` in `[directory]` or `[[directory.join]]`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Final

from migrate.directory.profiles.interface import BESIDE, Profile, form

PROFILES: Final[dict[str, str]] = {
    "entra-registration": "entra:REGISTRATION",
    "entra-users": "entra:USERS",
    "okta-mfa-usage": "okta:MFA_USAGE",
    "google-users": "google:USERS",
    "gam-users": "google:GAM",
    "duo-users": "duo:USERS",
    "aws-credential-report": "aws:CREDENTIAL_REPORT",
    "privacyidea-tokens": "privacyidea:TOKENS",
    "keycloak-users": "keycloak:USERS",
}


def profile(name: str) -> Profile:
    """The profile with a name of `PROFILES`."""
    module, constant = PROFILES[name].split(":")
    loaded: Profile = getattr(import_module(f"{__name__}.{module}"), constant)
    return loaded


def recognised(header: Iterable[str]) -> Profile | None:
    """The known export that has such a header, None if there is none."""
    header = list(header)
    return next((known for known in map(profile, PROFILES) if known.fits(header)), None)


__all__ = ["BESIDE", "PROFILES", "Profile", "form", "profile", "recognised"]
