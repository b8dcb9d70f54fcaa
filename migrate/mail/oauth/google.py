"""Fetches tokens of Google Workspace with google-auth: a service account acts for a mailbox (domain-wide delegation, RFC 7523)."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from google.auth import transport
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.oauth2 import service_account

from migrate.errors import ConfigError
from migrate.mail.oauth_settings import OAuthSettings
from migrate.mail.settings import SmtpSettings
from migrate.oauth.tokens import Fetch, Token, TokenDeniedError
from migrate.oauth.web import Answer, post

SCOPE: Final = "https://mail.google.com/"
_ENDPOINT: Final = "https://oauth2.googleapis.com/token"
_ADVICE: Final = (
    (
        "unauthorized_client",
        "service_account",
        f"Let an administrator delegate {SCOPE} to the service account's client id (Admin console, API controls, domain-wide delegation)",
    ),
    ("invalid email or user id", "subject", "subject (or username) must be a mailbox of your own domain"),
    ("invalid jwt signature", "service_account", "The key is no longer the service account's: make a new one and write its JSON file"),
    ("account not found", "service_account", "The service account is gone: make a new one and write its JSON file"),
    ("disabled", "service_account", "The service account is switched off: an administrator must enable it"),
    ("short-lived", "service_account", "This machine's clock is not right: set it"),
    ("invalid_scope", "service_account", f"Let an administrator delegate {SCOPE} to the service account's client id"),
    ("access_denied", "service_account", "A policy of the organisation keeps the service account out: an administrator must let it in"),
)
"""A word in Google's error → the setting to look at, and what to do."""


def fetching(settings: SmtpSettings) -> Fetch:
    """A function that fetches a token for the mailbox of these settings."""
    assert settings.oauth is not None  # validated with `sign_in`
    return functools.partial(_fetch, settings.oauth, settings.oauth.subject or settings.username or "")


def _fetch(settings: OAuthSettings, subject: str) -> Token:
    assert settings.service_account is not None  # validated with `provider`
    told = json.loads(settings.service_account.get_secret_value())
    # The token address in the key file is ignored: only the settings decide where the proof is sent.
    told["token_uri"] = settings.token_url or _ENDPOINT
    try:
        account = service_account.Credentials.from_service_account_info(told, scopes=[SCOPE], subject=subject)  # type: ignore[no-untyped-call]
    except (ValueError, GoogleAuthError) as error:
        raise ConfigError(
            "the key of the service account cannot be used.",
            where="[mail.smtp.oauth] service_account",
            hint='It must be the JSON file as Google gave it; write { file = "service-account.json" }.',
        ) from error
    try:
        account.refresh(_Endpoint())
    except RefreshError as error:
        raise _denied(error) from None
    # google-auth gives UTC instants without a time zone.
    seconds = (account.expiry.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds() if account.expiry else 3600.0
    return Token(str(account.token), seconds)


def _denied(error: RefreshError) -> TokenDeniedError:
    words = str(error.args[0] if error.args else error)
    setting, hint = next(
        ((setting, hint) for sign, setting, hint in _ADVICE if sign in words.lower()),
        ("service_account", "Look at service_account and subject"),
    )
    return TokenDeniedError(f"Google answered {words}", hint, setting, again=bool(error.retryable))


class _Endpoint(transport.Request):
    """The HTTP client that google-auth uses."""

    def __call__(
        self,
        url: str,
        method: str = "POST",  # noqa: ARG002 - google-auth's signature
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002
        **_: Any,
    ) -> Answer:
        return post(url, body, headers or {})
