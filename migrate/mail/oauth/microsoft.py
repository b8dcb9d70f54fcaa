"""Tokens of Microsoft Entra ID for Exchange Online's mail servers."""

from __future__ import annotations

import functools
from typing import Final

from migrate.mail.settings import SmtpSettings
from migrate.oauth.microsoft import Application
from migrate.oauth.tokens import Fetch

_HIGH_VOLUME: Final = ("smtp.hve.mx.microsoft", "smtp-hve.office365.com")
_CLOUDS: Final = {
    "smtp.office365.us": ("login.microsoftonline.us", "https://outlook.office365.us/.default"),
    "smtp.partner.outlook.cn": ("login.partner.microsoftonline.cn", "https://partner.outlook.cn/.default"),
} | dict.fromkeys(_HIGH_VOLUME, ("login.microsoftonline.com", "https://outlook.office.com/.default"))
_WORLDWIDE: Final = ("login.microsoftonline.com", "https://outlook.office365.com/.default")
"""Mail server → the sign-in that issues its tokens, and their scope."""

_CONSENT: Final = (
    "The application may not do this yet: give it SMTP.SendAsApp of Office 365 Exchange Online, and let an administrator consent"
)


def fetching(settings: SmtpSettings) -> Fetch:
    """A function that fetches a token for the mail server of these settings."""
    oauth = settings.oauth
    assert oauth is not None and oauth.client_id is not None  # validated with `sign_in` and `provider`
    login, scope = _CLOUDS.get(settings.host.lower(), _WORLDWIDE)
    authority = f"https://{login}/{oauth.tenant}"
    application = Application(
        authority,
        oauth.token_url or f"{authority}/oauth2/v2.0/token",
        oauth.client_id,
        "[mail.smtp.oauth]",
        "provider",
        _CONSENT,
        oauth.certificate,
        oauth.client_secret,
        oauth.federated_token_file,
    )
    return functools.partial(application.token, scope)
