"""`[mail]`: who letters come from, and how they leave (design §11, §16)."""

from __future__ import annotations

import re
from email.utils import formataddr, parseaddr
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from migrate.mail.addresses import problem, wire
from migrate.mail.helo import helo_name
from migrate.mail.loopback import is_loopback
from migrate.mail.oauth.settings import OAuthSettings
from migrate.mail.providers import PROVIDERS
from migrate.mail.timeouts import Timeouts
from migrate.settings import Settings

_RATE: Final = re.compile(r"(?P<letters>[1-9][0-9]{0,6})/(?P<unit>s|min|h)")
_ANSWERS: Final = 12
"""Answers that one letter may wait for, each as long as `timeout`, with the connection made anew for it."""
_SECONDS: Final = {"s": 1, "min": 60, "h": 3600}


def _rate(value: str) -> str:
    if not _RATE.fullmatch(value):
        raise ValueError(f"{value!r} is no rate; write letters per time, such as '10/s', '600/min' or '3600/h'")
    return value


def _address(value: str) -> str:
    if reason := problem(value):
        raise ValueError(f"{value!r} is no mail address: {reason}")
    return value


def _sender(value: str) -> str:
    _address(value)
    if not wire(value).isascii():
        raise ValueError(f"{value!r} has letters outside ASCII before the @, which few mail servers take as a sender")
    return value


def _mailbox(value: str) -> str:
    address = parseaddr(value)[1]
    if not address or any(ord(character) < 32 for character in value):
        raise ValueError(f"{value!r} is no sender; write 'Name <address>' or an address alone")
    _sender(address)
    return value


class MaildirSettings(Settings):
    """`[mail.maildir]`: a folder of real messages."""

    path: Path = Path("outbox")


class SmtpSettings(Settings):
    """`[mail.smtp]`. `provider` sets what is not set here.

    `timeout` is seconds for each answer up to the data; the data and the answer to its end may take longer (`timeouts`).
    """

    provider: Literal["exchange_online", "google_relay", "ses"] | None = None
    host: str = Field(min_length=1)
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    allow_plaintext: bool = False
    sign_in: Literal["password", "xoauth2"] = "password"
    username: str | None = None
    password: SecretStr | None = None
    helo: Annotated[str, AfterValidator(helo_name)] | None = None
    ca_file: Path | None = None
    timeout: float = Field(60, gt=0, le=3600)
    rate: Annotated[str, AfterValidator(_rate)] = "10/s"
    connections: int = Field(4, ge=1, le=100)
    oauth: OAuthSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_the_provider_wants_it(cls, values: Any) -> Any:
        name = values.get("provider") if isinstance(values, dict) else None
        return dict(PROVIDERS[name]) | values if isinstance(name, str) and name in PROVIDERS else values

    @model_validator(mode="after")
    def _one_way_to_sign_in(self) -> SmtpSettings:
        if self.sign_in == "xoauth2":
            if self.oauth is None:
                raise ValueError('sign_in = "xoauth2" needs a token: add [mail.smtp.oauth] with provider = "microsoft" or "google"')
            if self.password is not None:
                raise ValueError('password is not used with sign_in = "xoauth2"; take it away')
            if self.user is None:
                raise ValueError('username is missing; with sign_in = "xoauth2" it is the mailbox that letters are sent from')
        elif self.oauth is not None:
            raise ValueError('[mail.smtp.oauth] is used only with sign_in = "xoauth2"; set that, or take the table away')
        elif (self.username is None) != (self.password is None):
            missing = "password" if self.password is None else "username"
            raise ValueError(f"{missing} is missing; set both username and password, or neither")
        return self

    @model_validator(mode="after")
    def _secrets_travel_encrypted(self) -> SmtpSettings:
        if self.security == "none":
            if self.user is not None:
                secret = "token" if self.sign_in == "xoauth2" else "password"
                away = "" if self.sign_in == "xoauth2" else ", or remove username and password"
                raise ValueError(f"security = 'none' would send the {secret} in the clear; use 'starttls' or 'tls'{away}")
            if not self.allow_plaintext and not is_loopback(self.host):
                raise ValueError(
                    "security = 'none' is for a server on this machine only; use 'starttls' or 'tls', or set allow_plaintext = true"
                )
        return self

    @property
    def user(self) -> str | None:
        """Who signs in, if anybody does: `username`, or the mailbox that a Google token is for."""
        return self.username or (self.oauth.subject if self.oauth else None)

    @property
    def longest_try(self) -> float:
        """Seconds that one try at a letter may take at most, with a connection made anew for it."""
        waits = Timeouts.of(self.timeout)
        return _ANSWERS * waits.answer + waits.data + waits.end

    @property
    def letters_per_second(self) -> float:
        found = _RATE.fullmatch(self.rate)
        assert found  # validated
        return int(found["letters"]) / _SECONDS[found["unit"]]


class MailSettings(Settings):
    """`[mail]`. `from` is called `sender` here, since Python keeps that word for itself.

    An address that a server called unknown or disabled is not mailed again for `bounce_days`.
    """

    sender: Annotated[str, AfterValidator(_mailbox)] = Field(alias="from")
    envelope_from: Annotated[str, AfterValidator(_sender)] | None = None
    reply_to: Annotated[str, AfterValidator(_sender)] | None = None
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
        return wire(parseaddr(self.sender)[1])

    @property
    def sender_domain(self) -> str:
        return self.sender_address.rpartition("@")[2]

    @property
    def sender_header(self) -> str:
        """`from` as a header's value: the name encoded where it must be (RFC 2047)."""
        return formataddr((parseaddr(self.sender)[0], self.sender_address))

    @property
    def envelope_address(self) -> str:
        """Who the mail server is told the letter comes from, and so where bounces go."""
        return wire(self.envelope_from) if self.envelope_from else self.sender_address
