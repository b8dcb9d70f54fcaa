"""`[mail]`: who letters come from, and how they leave (design §11, §16)."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from migrate.mail.addresses import wire
from migrate.mail.headers import checked_address, checked_mailbox, encode_mailbox, mailbox
from migrate.mail.providers import PROVIDERS
from migrate.outside import HeaderText
from migrate.settings import Settings

_RATE: Final = re.compile(r"(?P<letters>[1-9][0-9]{0,6})/(?P<unit>s|min|h)")
_SECONDS: Final = {"s": 1, "min": 60, "h": 3600}


def _rate(value: str) -> str:
    if not _RATE.fullmatch(value):
        raise ValueError(f"{value!r} is no rate; write letters per time, such as '10/s', '600/min' or '3600/h'")
    return value


class MaildirSettings(Settings):
    """`[mail.maildir]`: a folder of real messages."""

    path: Path = Path("outbox")


class SmtpSettings(Settings):
    """`[mail.smtp]`. `timeout` is seconds for each answer of the server; `provider` sets what is not set here."""

    provider: Literal["exchange_online", "google_relay", "ses"] | None = None
    host: str = Field(min_length=1)
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    allow_plaintext: bool = False
    username: str | None = None
    password: SecretStr | None = None
    ca_file: Path | None = None
    timeout: float = Field(60, gt=0, le=3600)
    rate: Annotated[str, AfterValidator(_rate)] = "10/s"
    connections: int = Field(4, ge=1, le=100)

    @model_validator(mode="before")
    @classmethod
    def _as_the_provider_wants_it(cls, values: Any) -> Any:
        name = values.get("provider") if isinstance(values, dict) else None
        return dict(PROVIDERS[name]) | values if isinstance(name, str) and name in PROVIDERS else values

    @model_validator(mode="after")
    def _secrets_travel_encrypted(self) -> SmtpSettings:
        if (self.username is None) != (self.password is None):
            missing = "password" if self.password is None else "username"
            raise ValueError(f"{missing} is missing; set both username and password, or neither")
        if self.security == "none":
            if self.username is not None:
                raise ValueError(
                    "security = 'none' would send the password in the clear; use 'starttls' or 'tls', or remove username and password"
                )
            if not self.allow_plaintext and not _is_loopback(self.host):
                raise ValueError(
                    "security = 'none' is for a server on this machine only; use 'starttls' or 'tls', or set allow_plaintext = true"
                )
        return self

    @property
    def letters_per_second(self) -> float:
        found = _RATE.fullmatch(self.rate)
        assert found  # validated
        return int(found["letters"]) / _SECONDS[found["unit"]]


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class MailSettings(Settings):
    """`[mail]`. `from` is called `sender` here, since Python keeps that word for itself.

    An address that a server called unknown or disabled is not mailed again for `bounce_days`.
    """

    sender: Annotated[str, AfterValidator(checked_mailbox)] = Field(alias="from")
    envelope_from: Annotated[str, AfterValidator(checked_address)] | None = None
    reply_to: Annotated[str, AfterValidator(checked_mailbox)] | None = None
    transport: Literal["maildir", "smtp"] = "maildir"
    templates: Path | None = None
    bounce_days: int = Field(90, ge=1)
    maildir: MaildirSettings = MaildirSettings()
    smtp: SmtpSettings | None = None

    @model_validator(mode="after")
    def _smtp_has_a_host(self) -> MailSettings:
        if self.transport == "smtp" and self.smtp is None:
            raise ValueError("transport = 'smtp' needs a server: add [mail.smtp] with host = '…'")
        return self

    @property
    def sender_address(self) -> str:
        """The address of `from` as it travels: an internationalised domain in its ASCII form."""
        return wire(mailbox(self.sender).address)

    @property
    def sender_domain(self) -> str:
        return self.sender_address.rpartition("@")[2]

    @property
    def sender_header(self) -> HeaderText:
        """`from` as the From header's value: the name quoted or encoded where it must be."""
        return encode_mailbox(mailbox(self.sender), "From")

    @property
    def reply_to_header(self) -> HeaderText | None:
        """`reply_to` as the Reply-To header's value; None if answers go to the sender."""
        return encode_mailbox(mailbox(self.reply_to), "Reply-To") if self.reply_to else None

    @property
    def envelope_address(self) -> str:
        """Who the mail server is told the letter comes from, and so where bounces go."""
        return wire(self.envelope_from) if self.envelope_from else self.sender_address
