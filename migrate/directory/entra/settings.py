"""`[directory]` of kind `entra`: the tenant, how the application signs in, and what is read besides users (design §16)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, Final, Literal, NamedTuple, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from migrate.directory.interface import DirectorySettings
from migrate.oauth.fields import ClientId, Pem, SecretUrl, Tenant, one_proof
from migrate.settings import OneLine

_PROOFS: Final = ("certificate", "client_secret", "federated_token_file", "managed_identity")
_OF_USERS: Final = ("username", "email", "notification_emails", "display_name", "given_name", "locale", "department")
_PROPERTY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")


class Cloud(NamedTuple):
    """The addresses of Graph and of the sign-in in one of Microsoft's clouds."""

    graph: str
    login: str


CLOUDS: Final = {
    "public": Cloud("https://graph.microsoft.com", "https://login.microsoftonline.com"),
    "usgov": Cloud("https://graph.microsoft.us", "https://login.microsoftonline.us"),
    "usgov_dod": Cloud("https://dod-graph.microsoft.us", "https://login.microsoftonline.us"),
    "china": Cloud("https://microsoftgraph.chinacloudapi.cn", "https://login.chinacloudapi.cn"),
}


class EntraSettings(DirectorySettings):
    """Exactly one of these is set: `certificate` (the text of a PEM file with certificate and key), `client_secret`,
    `federated_token_file`, `managed_identity`.

    `groups`: names or ids of groups whose members are read; `roles`: names of directory roles whose holders are read. `detail`: further
    reads, of single accounts or of the sign-ins of the last `sign_in_days`. `checkpoint`: a private file for answers about single accounts;
    the tenant is added to its name.
    """

    written: ClassVar[tuple[str, ...]] = ("client_id", "certificate")
    refused: ClassVar[tuple[str, ...]] = ("profile", "rows")

    kind: Literal["entra"] = "entra"
    tenant: Tenant
    client_id: ClientId | None = None
    certificate: Pem | None = None
    client_secret: SecretStr | None = None
    federated_token_file: Path | None = None
    managed_identity: bool = False
    cloud: Literal["public", "usgov", "usgov_dod", "china"] = "public"
    groups: tuple[OneLine, ...] = ()
    roles: tuple[OneLine, ...] = ()
    detail: tuple[Literal["phones", "per_user_mfa", "sign_ins"], ...] = ()
    sign_in_days: int = Field(7, ge=1, le=30)
    checkpoint: Path = Path("entra.checkpoint")
    graph_url: SecretUrl | None = None
    login_url: SecretUrl | None = None

    @property
    def graph(self) -> str:
        """The address of Graph, without a slash at the end."""
        return (self.graph_url or CLOUDS[self.cloud].graph).rstrip("/")

    @property
    def login(self) -> str:
        """The address of the sign-in, without a slash at the end."""
        return (self.login_url or CLOUDS[self.cloud].login).rstrip("/")

    @property
    def consent_address(self) -> str:
        """The web page on which an administrator grants the permissions."""
        return f"{self.login}/{self.tenant}/adminconsent?client_id={self.client_id}"

    @model_validator(mode="after")
    def _signs_in(self) -> Self:
        one_proof([name for name in _PROOFS if getattr(self, name)], _PROOFS)
        if self.client_id is None and not self.managed_identity:
            raise ValueError("client_id is missing; it is shown with the application's registration in the Entra admin center")
        return self

    @model_validator(mode="after")
    def _what_is_read_is_known(self) -> Self:
        for name in self.refused:
            if getattr(self, name) is not None:
                raise ValueError(f'{name} is for exports, and kind = "entra" is none: take it away')
        if self.method_columns:
            raise ValueError('method_columns are for sources that have columns, and kind = "entra" has none: take the table away')
        for ours, column in self.columns.items():
            if ours not in _OF_USERS:
                raise ValueError(f"columns: {ours!r} has its value from Entra ID; another property is for {', '.join(_OF_USERS)}")
            if column.opposite or not _PROPERTY.fullmatch(column.theirs):
                raise ValueError(f"columns: {column.theirs!r} is no property of a user of Microsoft Graph, such as companyName")
        return self

    @field_validator("groups", "roles", "detail")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len({name.casefold() for name in names}) < len(names):
            raise ValueError("names one twice")
        return names
