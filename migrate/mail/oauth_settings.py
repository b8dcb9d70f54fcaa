"""`[mail.smtp.oauth]`: who issues the mail server's tokens, and how the application proves its identity (design §16)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, SecretStr, model_validator

from migrate.mail.addresses import checked
from migrate.oauth.fields import ClientId, Pem, SecretUrl, Tenant, one_proof
from migrate.settings import Settings

_OF: Final = {
    "microsoft": ("tenant", "client_id", "client_secret", "certificate", "federated_token_file"),
    "google": ("service_account", "subject"),
}
_PROOFS: Final = ("certificate", "client_secret", "federated_token_file")


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


class OAuthSettings(Settings):
    """`[mail.smtp.oauth]`. `certificate` is the text of a PEM file with both its parts, `service_account` that of Google's JSON file."""

    provider: Literal["microsoft", "google"]
    tenant: Tenant | None = None
    client_id: ClientId | None = None
    client_secret: SecretStr | None = None
    certificate: Pem | None = None
    federated_token_file: Path | None = None
    service_account: Annotated[SecretStr, AfterValidator(_key_file)] | None = None
    subject: Annotated[str, AfterValidator(checked)] | None = None
    token_url: SecretUrl | None = None

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
        one_proof([name for name in _PROOFS if getattr(self, name) is not None], _PROOFS)
        return self
