"""`[directory]` of kind `privacyidea`: the server and realm, and how the administrator who reads it signs in (design §16)."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from migrate.directory.interface import DirectorySettings
from migrate.oauth.fields import SecretUrl
from migrate.settings import OneLine

ATTRIBUTES: Final = (
    "account_id", "username", "email", "notification_emails", "display_name", "given_name", "locale", "department", "manager_email",
    "enabled", "federated", "account_type", "privileged", "groups", "last_sign_in_at", "phone",
)  # fmt: skip
"""Our columns that may be read from an attribute of the resolver; the others come from tokens, or are not known."""
_REALM: Final = re.compile(r"[A-Za-z0-9_.-]+")
_PRINTABLE: Final = re.compile(r"[!-~]+")


def _realm(value: str) -> str:
    """The realm in lower case, as the server compares it. ValueError for `*` and `,`, which the server takes for several realms."""
    if not _REALM.fullmatch(value):
        raise ValueError(f"{value!r} is no realm; it is one name of letters, digits, - _ and .")
    return value.lower()


def _of_a_header(value: SecretStr) -> SecretStr:
    if value.get_secret_value() and not _PRINTABLE.fullmatch(value.get_secret_value()):
        raise ValueError("is no token: it is one word without spaces, and without `Bearer` before it")
    return value


class PrivacyIdeaSettings(DirectorySettings):
    """Either `token` is set, which POST /auth or the server's administrator gives; or `username` and `password` of an administrator, with
    which a token is fetched, and renewed before it expires.

    `users`: if false, only tokens are read, for a join to a source that says who exists; accounts without a token are then not in it.
    """

    written: ClassVar[tuple[str, ...]] = ("username", "password")
    refused: ClassVar[tuple[str, ...]] = ("profile", "rows")

    kind: Literal["privacyidea"] = "privacyidea"
    url: SecretUrl
    realm: Annotated[str, AfterValidator(_realm)]
    token: Annotated[SecretStr, AfterValidator(_of_a_header)] | None = None
    username: OneLine | None = None
    password: SecretStr | None = None
    users: bool = Field(default=True)

    @property
    def base(self) -> str:
        """The address of the server, without a slash at the end."""
        return self.url.rstrip("/")

    @property
    def host(self) -> str:
        """The server's name in errors."""
        return urlsplit(self.url).netloc

    @model_validator(mode="after")
    def _signs_in(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together; set both, or token instead")
        if (self.token is None) == (self.password is None):
            now = "both are set" if self.token is not None else "there is neither"
            raise ValueError(f"who reads is shown by token, or by username and password, and {now}")
        return self

    @model_validator(mode="after")
    def _address_of_a_server(self) -> Self:
        if urlsplit(self.url).query:
            raise ValueError("url: is the address under which the server answers, such as https://mfa.example.com, without a question mark")
        return self

    @model_validator(mode="after")
    def _what_is_read_is_known(self) -> Self:
        for name in self.refused:
            if getattr(self, name) is not None:
                raise ValueError(f'{name} is for exports, and kind = "privacyidea" is none: take it away')
        if self.method_columns:
            raise ValueError('method_columns are for sources that have columns, and kind = "privacyidea" has none: take the table away')
        for ours, column in self.columns.items():
            if ours not in ATTRIBUTES:
                raise ValueError(f"columns: {ours!r} has its value from tokens, or has none; an attribute is for {', '.join(ATTRIBUTES)}")
            if not self.users:
                raise ValueError(f"columns: {column.theirs!r} is an attribute of users, and users = false reads none")
        return self

    @model_validator(mode="after")
    def _somebody_says_who_exists(self) -> Self:
        joined_on = getattr(self, "on", None)
        if not self.users and joined_on is None:
            raise ValueError("users = false is for [[directory.join]]: here it must be known who exists, with a token or without")
        if not self.users and joined_on == "email":
            raise ValueError('users = false reads no addresses; join on = "username"')
        return self
