"""Types of settings: who an application is, how it proves its identity, and where the proof may be sent."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from migrate.oauth.loopback import is_loopback

_TENANT: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_EVERYBODYS: Final = frozenset({"common", "organizations", "consumers"})
_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9._-]+")


def _tenant(value: str) -> str:
    if value.lower() in _EVERYBODYS or not _TENANT.fullmatch(value):
        raise ValueError(f"{value!r} is no tenant of one's own; write its domain, such as contoso.onmicrosoft.com, or its id")
    return value


def _client_id(value: str) -> str:
    if not _CLIENT_ID.fullmatch(value):
        raise ValueError(f"{value!r} is no id of an application; it is the application (client) id of its registration")
    return value


def _pem(value: SecretStr) -> SecretStr:
    """Accepts an empty value: a secret is empty if it is not needed, because letters go into a folder."""
    text = value.get_secret_value()
    if text and not ("PRIVATE KEY-----" in text and "-----BEGIN CERTIFICATE-----" in text):
        raise ValueError('is no private key with its certificate, both in PEM form; write { file = "app.pem" }')
    return value


def _secret_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        fits = safe and bool(parts.hostname) and parts.username is None and parts.port != 0 and not parts.fragment
    except ValueError:
        fits = False
    if not fits or not all("!" <= character <= "~" for character in value):
        raise ValueError("is no address that a secret may be sent to; write https://host/…, or http:// to this machine, without a user")
    return value


Tenant = Annotated[str, AfterValidator(_tenant)]
"""A tenant of Entra ID: one of its domains, or its id."""
ClientId = Annotated[str, AfterValidator(_client_id)]
"""The application (client) id of a registration."""
Pem = Annotated[SecretStr, AfterValidator(_pem)]
"""The text of a PEM file with a private key and its certificate."""
SecretUrl = Annotated[str, AfterValidator(_secret_url)]
"""An address to which a secret may be sent: https, or this machine."""


def one_proof(given: Iterable[str], proofs: Iterable[str]) -> None:
    """Raises ValueError unless exactly one of the `proofs` is `given`."""
    given = list(given)
    if len(given) != 1:
        found = f"{' and '.join(given)} are set" if given else "there is none of them"
        raise ValueError(f"the application proves itself by one of {', '.join(proofs)}, and {found}")
