"""Tokens of Microsoft Entra ID for Exchange Online, by msal: the client-credentials grant, which needs no person (RFC 6749 §4.4)."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msal
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from migrate.errors import ConfigError
from migrate.mail.causes import CHECK
from migrate.mail.oauth.settings import OAuthSettings
from migrate.mail.oauth.tokens import Fetch, Token, TokenDeniedError
from migrate.mail.oauth.web import Answer, post
from migrate.mail.settings import SmtpSettings

_HIGH_VOLUME: Final = ("smtp.hve.mx.microsoft", "smtp-hve.office365.com")
_CLOUDS: Final = {
    "smtp.office365.us": ("login.microsoftonline.us", "https://outlook.office365.us/.default"),
    "smtp.partner.outlook.cn": ("login.partner.microsoftonline.cn", "https://partner.outlook.cn/.default"),
} | dict.fromkeys(_HIGH_VOLUME, ("login.microsoftonline.com", "https://outlook.office.com/.default"))
_WORLDWIDE: Final = ("login.microsoftonline.com", "https://outlook.office365.com/.default")
"""Mail server → where its tokens are had, and what they are to be good for."""

_CODE: Final = re.compile(r"AADSTS(\d+)")
_PASSING: Final = frozenset({"50196", "90033", "90055", "90006", "90024"})
"""Entra ID's codes for trouble of its own, which passes."""
_ADVICE: Final[Mapping[str, tuple[str, str]]] = {
    code: (setting, hint)
    for codes, setting, hint in (
        (
            ("90002", "900023", "900021", "50059"),
            "tenant",
            "No such tenant is known: write the tenant's domain, such as contoso.onmicrosoft.com, or its id",
        ),
        (
            ("700016",),
            "client_id",
            "This tenant knows no such application: look at client_id and tenant; one of another tenant needs consent first",
        ),
        (
            ("65001", "65004", "500011", "650052", "650057", "501051", "7000229", "700022", "90094"),
            "client_id",
            "The application may not do this yet: give it SMTP.SendAsApp of Office 365 Exchange Online, and let an administrator consent",
        ),
        (("7000215",), "client_secret", "The secret is wrong: write the secret's value, and not its id; or make a new one"),
        (("7000222",), "client_secret", "The secret has expired: make a new one in the application's registration, and write its value"),
        (("7000112", "700015"), "client_id", "The application is switched off in this tenant: an administrator must enable it"),
        (
            ("700027", "700023", "50012"),
            "certificate",
            "The certificate is not the application's: upload it (without its key) to the registration, and look whether it has expired",
        ),
        (("700024",), "certificate", "This machine's clock is not right, or the proof was too old: set the clock"),
        (
            ("70021", "700211", "700212", "700213", "700238", "7002381"),
            "federated_token_file",
            "The application trusts no such token: compare issuer, subject and audience of its federated credential with those of the file",
        ),
        (
            ("53003", "530034", "53000"),
            "client_id",
            "A conditional access policy keeps the application out: an administrator must let it in",
        ),
    )
    for code in codes
}


def fetching(settings: SmtpSettings) -> Fetch:
    """What fetches a token for the mail server of these settings."""
    assert settings.oauth is not None  # validated with `sign_in`
    return functools.partial(_fetch, settings.oauth, settings.host.lower())


def _fetch(settings: OAuthSettings, host: str) -> Token:
    login, scope = _CLOUDS.get(host, _WORLDWIDE)
    url = settings.token_url or f"https://{login}/{settings.tenant}/oauth2/v2.0/token"
    # A new one for each token, which is once an hour: it keeps no answer, and reads a token file again that somebody else renews.
    application = msal.ConfidentialClientApplication(
        settings.client_id,
        client_credential=_proof(settings),
        authority=f"https://{login}/{settings.tenant}",
        http_client=_Endpoint(url),
        validate_authority=False,
        instance_discovery=False,
    )
    told: dict[str, Any] = application.acquire_token_for_client([scope])
    if "access_token" in told:
        return Token(str(told["access_token"]), float(told.get("expires_in", 3600)))
    raise _denied(told)


def _proof(settings: OAuthSettings) -> str | dict[str, Any]:
    """What proves to msal that we are the application. Raises ConfigError."""
    if settings.client_secret is not None:
        return settings.client_secret.get_secret_value()
    if settings.federated_token_file is not None:
        path = settings.federated_token_file
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}.",
                where="[mail.smtp.oauth] federated_token_file",
                hint="It must be the file in which the platform keeps this machine's token.",
            ) from error
        return {"client_assertion": lambda: text}
    assert settings.certificate is not None  # validated: one of the three
    pem = settings.certificate.get_secret_value()
    try:
        certificate, key = x509.load_pem_x509_certificate(pem.encode()), load_pem_private_key(pem.encode(), None)
        if not isinstance(key, RSAPrivateKey) or key.public_key() != certificate.public_key():
            raise ValueError
    except (ValueError, TypeError) as error:
        said = "its key is encrypted" if isinstance(error, TypeError) else "its key is no RSA key, or not that of the first certificate"
        raise ConfigError(
            f"the certificate cannot be used: {said}.",
            where="[mail.smtp.oauth] certificate",
            hint="It must be one PEM file with the private key, RSA and unencrypted, and the certificate that belongs to it.",
        ) from None
    return {"private_key": pem, "public_certificate": pem}


def _denied(told: Mapping[str, Any]) -> TokenDeniedError:
    # Beyond its first line it repeats ids and the time.
    words = str(told.get("error_description") or told.get("error") or "no reason").splitlines()[0].partition(" Trace ID:")[0]
    found = _CODE.search(words)
    code = found[1] if found else ""
    setting, hint = _ADVICE.get(code, ("provider", "Look at tenant, client_id and how the application proves itself"))
    again = code in _PASSING or told.get("error") == "temporarily_unavailable"
    return TokenDeniedError(f"Microsoft answered {words}", f"{hint}; {CHECK}.", setting, again=again)


class _Endpoint:
    """What msal makes its calls through. It would look the token endpoint up over the network, https only; ours is known beforehand."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, url: str, **_: Any) -> Answer:
        """The discovery of an authority, answered here: a wrong tenant is said by the token endpoint, and better."""
        host = urlsplit(url).netloc
        secure = f"https://{self._url.partition('://')[2]}"
        endpoint = secure if urlsplit(secure).path.strip("/") else f"https://{host}/token"
        told = {"issuer": f"https://{host}/", "authorization_endpoint": endpoint, "token_endpoint": endpoint}
        return Answer(200, {}, json.dumps(told).encode())

    def post(self, _url: str, data: Any = None, headers: Mapping[str, str] | None = None, **_: Any) -> Answer:
        body = data if isinstance(data, (str, bytes)) else urlencode(data or {})
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return post(self._url, body.encode() if isinstance(body, str) else body, {**form, **(headers or {})})
