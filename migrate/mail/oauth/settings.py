"""`[mail.smtp.oauth]`: whose token the mail server takes, and how the application proves to be itself (design §16)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from migrate.mail.addresses import problem
from migrate.mail.loopback import is_loopback
from migrate.settings import Settings

_TENANT: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
_EVERYBODYS: Final = frozenset({"common", "organizations", "consumers"})
_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9._-]+")
_OF: Final = {
    "microsoft": ("tenant", "client_id", "client_secret", "certificate", "federated_token_file"),
    "google": ("service_account", "subject"),
}
_PROOFS: Final = ("certificate", "client_secret", "federated_token_file")


def _tenant(value: str) -> str:
    if value.lower() in _EVERYBODYS or not _TENANT.fullmatch(value):
        raise ValueError(f"{value!r} is no tenant of one's own; write its domain, such as contoso.onmicrosoft.com, or its id")
    return value


def _client_id(value: str) -> str:
    if not _CLIENT_ID.fullmatch(value):
        raise ValueError(f"{value!r} is no id of an application; it is the application (client) id of its registration")
    return value


def _pem(value: SecretStr) -> SecretStr:
    """Empty is the value that is not needed because letters go into a folder."""
    text = value.get_secret_value()
    if text and not ("PRIVATE KEY-----" in text and "-----BEGIN CERTIFICATE-----" in text):
        raise ValueError('is no private key with its certificate, both in PEM form; write { file = "mail.pem" }')
    return value


def _key_file(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text:
        return value
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not {"client_email", "private_key"} <= told.keys():
        raise ValueError('is no key of a service account, as Google gives it in a JSON file; write { file = "service-account.json" }')
    return value


def _mailbox(value: str) -> str:
    if reason := problem(value):
        raise ValueError(f"{value!r} is no mail address: {reason}")
    return value


def _token_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        fits = safe and bool(parts.hostname) and parts.username is None and parts.port != 0 and not parts.fragment
    except ValueError:
        fits = False
    if not fits or not all("!" <= character <= "~" for character in value):
        raise ValueError("is no address that a secret may be sent to; write https://host/…, or http:// to this machine, without a user")
    return value


class OAuthSettings(Settings):
    """`[mail.smtp.oauth]`. `certificate` is the text of a PEM file with both its parts, `service_account` that of Google's JSON file."""

    provider: Literal["microsoft", "google"]
    tenant: Annotated[str, AfterValidator(_tenant)] | None = None
    client_id: Annotated[str, AfterValidator(_client_id)] | None = None
    client_secret: SecretStr | None = None
    certificate: Annotated[SecretStr, AfterValidator(_pem)] | None = None
    federated_token_file: Path | None = None
    service_account: Annotated[SecretStr, AfterValidator(_key_file)] | None = None
    subject: Annotated[str, AfterValidator(_mailbox)] | None = None
    token_url: Annotated[str, AfterValidator(_token_url)] | None = Field(None)

    @model_validator(mode="after")
    def _what_its_provider_wants(self) -> OAuthSettings:
        for provider, names in _OF.items():
            foreign = [name for name in names if provider != self.provider and getattr(self, name) is not None]
            if foreign:
                raise ValueError(f'{foreign[0]} belongs to provider = "{provider}"; take it away')
        if self.provider == "google":
            if self.service_account is None:
                raise ValueError('service_account is missing; write service_account = { file = "service-account.json" }')
            return self
        for name in ("tenant", "client_id"):
            if getattr(self, name) is None:
                raise ValueError(f"{name} is missing; it is shown with the application's registration in the Entra admin center")
        proofs = [name for name in _PROOFS if getattr(self, name) is not None]
        if len(proofs) != 1:
            found = f"{' and '.join(proofs)} are set" if proofs else "there is none of them"
            raise ValueError(f"the application proves itself by one of {', '.join(_PROOFS)}, and {found}")
        return self
