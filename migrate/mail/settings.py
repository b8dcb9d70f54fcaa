"""`[mail]`: who letters come from, and by which transport they go (design §11, §16)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from migrate.mail.addresses import wire
from migrate.mail.headers import checked_address, checked_mailbox, encode_mailbox, mailbox
from migrate.mail.helo import helo_name
from migrate.mail.oauth_settings import OAuthSettings
from migrate.mail.providers import PROVIDERS
from migrate.mail.rates import USUAL, Rates, checked
from migrate.mail.timeouts import Timeouts
from migrate.oauth.loopback import is_loopback
from migrate.outside import HeaderText
from migrate.settings import OneLine, Settings

_CONNECTIONS: Final = 4
_ANSWERS: Final = 12
"""Answers that one letter may wait for, each up to `timeout`, including those of a new connection."""


def _listed(value: Any) -> Any:
    """Accepts one rate as a list of one."""
    return [value] if isinstance(value, str) else value


class MaildirSettings(Settings):
    """`[mail.maildir]`: a folder of real messages."""

    path: Path = Path("outbox")


class SmtpSettings(Settings):
    """`[mail.smtp]`. `provider` gives the defaults of other settings. If there are several `rate`, the narrowest holds.

    `timeout` is in seconds, for each answer up to the data; the data and the answer to its end may take longer (`timeouts`).
    """

    provider: Literal["exchange_online", "exchange_hve", "google_relay", "ses"] | None = None
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
    rate: Annotated[tuple[Annotated[str, AfterValidator(checked)], ...], Field(min_length=1), BeforeValidator(_listed)] = (USUAL,)
    connections: int = Field(_CONNECTIONS, ge=1, le=100)
    oauth: OAuthSettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_the_provider_wants_it(cls, values: Any) -> Any:
        name = values.get("provider") if isinstance(values, dict) else None
        if not (isinstance(name, str) and name in PROVIDERS):
            return values
        if name == "ses" and "host" not in values:
            raise ValueError('host is missing; with provider = "ses" it is that of your region, such as email-smtp.eu-west-1.amazonaws.com')
        return dict(PROVIDERS[name]) | values

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
    def rates(self) -> Rates:
        """The narrowest of `rate`."""
        return Rates.of(self.rate)

    @property
    def beside_provider(self) -> list[str]:
        """Settings that were probably left over from the example, as they are written in the file: the `provider` allows less, but they win
        over its limits."""
        if self.provider is None:
            return []
        theirs, found = PROVIDERS[self.provider], []
        its, ours = Rates.of(theirs["rate"]), self.rates
        if self.rate == (USUAL,) and (its.per_second < ours.per_second or its.per_day is not None):
            found.append(f'rate = ["{USUAL}"]')
        if self.connections == _CONNECTIONS > theirs["connections"]:
            found.append(f"connections = {_CONNECTIONS}")
        return found

    @property
    def server(self) -> str:
        """The name by which the ledger counts the letters that go to this server."""
        return f"{self.host}:{self.port}"

    @property
    def user(self) -> str | None:
        """The user who signs in: `username`, or the mailbox of a Google token; None if nobody signs in."""
        return self.username or (self.oauth.subject if self.oauth else None)

    @property
    def longest_try(self) -> float:
        """The longest time, in seconds, that one try at a letter usually takes, with a new connection for it. A server that gives each
        answer only just in time takes longer: then the letter's lease ends during the try, and the letter becomes `uncertain`."""
        waits = Timeouts.of(self.timeout)
        return _ANSWERS * waits.answer + waits.data + waits.end


class BrandSettings(Settings):
    """`[mail.brand]`: the colour and the name at the top of a letter's page. There is no image: mail programs would have to fetch it."""

    color: str | None = Field(None, pattern=r"^#[0-9A-Fa-f]{6}$")
    name: OneLine | None = None


class MailSettings(Settings):
    """`[mail]`. `from` is called `sender` here, since `from` is a keyword of Python.

    An address that a server called unknown or disabled is not mailed again for `bounce_days`. With `links` the page of a letter has
    `[campaign] sign_in_address` as a link.
    """

    sender: Annotated[str, AfterValidator(checked_mailbox)] = Field(alias="from")
    envelope_from: Annotated[str, AfterValidator(checked_address)] | None = None
    reply_to: Annotated[str, AfterValidator(checked_mailbox)] | None = None
    transport: Literal["maildir", "smtp"] = "maildir"
    templates: Path | None = None
    links: bool = False
    brand: BrandSettings = Field(default_factory=lambda: BrandSettings.model_validate({}))
    bounce_days: int = Field(90, ge=1, le=36_500)
    maildir: MaildirSettings = MaildirSettings()
    smtp: SmtpSettings | None = None

    @model_validator(mode="after")
    def _smtp_has_a_host(self) -> MailSettings:
        if self.transport == "smtp" and self.smtp is None:
            raise ValueError("transport = 'smtp' needs a server: add [mail.smtp] with host = '…'")
        return self

    @property
    def sender_address(self) -> str:
        """The address of `from` as it is sent: an internationalised domain is in its ASCII form."""
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
        """The sender's address in the envelope, to which bounces go."""
        return wire(self.envelope_from) if self.envelope_from else self.sender_address
