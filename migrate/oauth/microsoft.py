"""Fetches tokens of Microsoft Entra ID for an application with msal: client credentials (RFC 6749 §4.4) or a managed identity."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msal
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import SecretStr

from migrate.errors import ConfigError
from migrate.oauth.tokens import Token, TokenDeniedError
from migrate.oauth.web import Answer, NoAnswerError, get, post

NOT_CONSENTED: Final = frozenset({"65001", "65004", "500011", "650052", "650057", "501051", "7000229", "700022", "90094", "700016"})
"""Entra ID's error codes for an application that the tenant does not know or has not consented to."""

_CODE: Final = re.compile(r"AADSTS(\d+)")
_PASSING: Final = frozenset({"50196", "90033", "90055", "90006", "90024"})
"""Entra ID's error codes for a temporary fault of its own."""
_CONSENT: Final = "(consent)"
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
        (NOT_CONSENTED - {"700016"}, "client_id", _CONSENT),
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


@dataclass(frozen=True, slots=True)
class Application:
    """An application, and its proof of identity: one of `certificate`, `client_secret` and `federated_token_file`.

    `authority` is the address of the tenant's sign-in, such as https://login.microsoftonline.com/contoso.com, and `token_url` the token
    endpoint. Errors name a setting in `table`; `unknown` is the setting to name if an error code is not known, and `consent` says what an
    administrator must grant.
    """

    authority: str
    token_url: str
    client_id: str
    table: str
    unknown: str
    consent: str
    certificate: SecretStr | None = None
    client_secret: SecretStr | None = None
    federated_token_file: Path | None = None

    def token(self, scope: str) -> Token:
        """A token for `scope`. Raises TokenDeniedError, NoAnswerError, and ConfigError for a proof that cannot be used."""
        # A new client for each token, about once an hour: it must keep no answer, and must read a token file again that others renew.
        application = msal.ConfidentialClientApplication(
            self.client_id,
            client_credential=self._proof(),
            authority=f"https://{urlsplit(self.authority).netloc}{urlsplit(self.authority).path}",
            http_client=_Endpoint(self.token_url),
            validate_authority=False,
            instance_discovery=False,
        )
        return self._token(application.acquire_token_for_client([scope]))

    def _token(self, told: Mapping[str, Any]) -> Token:
        if "access_token" in told:
            return Token(str(told["access_token"]), float(told.get("expires_in", 3600)))
        # Only the first line: the others repeat ids and the time.
        words = str(told.get("error_description") or told.get("error") or "no reason").splitlines()[0].partition(" Trace ID:")[0]
        found = _CODE.search(words)
        code = found[1] if found else ""
        setting, hint = _ADVICE.get(code, (self.unknown, "Look at tenant, client_id and how the application proves itself"))
        again = code in _PASSING or told.get("error") == "temporarily_unavailable"
        hint = self.consent if hint == _CONSENT else hint
        raise TokenDeniedError(f"Microsoft answered {words}", hint, setting, code=code, again=again)

    def _proof(self) -> str | dict[str, Any]:
        """The proof of identity in the form that msal takes. Raises ConfigError if it cannot be used."""
        if self.client_secret is not None:
            return self.client_secret.get_secret_value()
        if self.federated_token_file is not None:
            path = self.federated_token_file
            try:
                text = path.read_text(encoding="utf-8").strip()
            except (OSError, ValueError) as error:
                raise ConfigError(
                    f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}.",
                    where=f"{self.table} federated_token_file",
                    hint="It must be the file in which the platform keeps this machine's token.",
                ) from error
            return {"client_assertion": lambda: text}
        assert self.certificate is not None  # validated: one of the three
        pem = self.certificate.get_secret_value()
        try:
            certificate, key = x509.load_pem_x509_certificate(pem.encode()), load_pem_private_key(pem.encode(), None)
            if not isinstance(key, RSAPrivateKey) or key.public_key() != certificate.public_key():
                raise ValueError
        except (ValueError, TypeError) as error:
            said = "its key is encrypted" if isinstance(error, TypeError) else "its key is no RSA key, or not that of the first certificate"
            raise ConfigError(
                f"the certificate cannot be used: {said}.",
                where=f"{self.table} certificate",
                hint="It must be one PEM file with the private key, RSA and unencrypted, and the certificate that belongs to it.",
            ) from None
        return {"private_key": pem, "public_certificate": pem}


def managed_identity_token(client_id: str | None, resource: str) -> Token:
    """A token of this machine's identity in Azure: the system-assigned one, or the user-assigned one of `client_id`.

    Raises TokenDeniedError and NoAnswerError.
    """
    identity = msal.UserAssignedManagedIdentity(client_id=client_id) if client_id else msal.SystemAssignedManagedIdentity()
    try:
        told = msal.ManagedIdentityClient(identity, http_client=_Machine()).acquire_token_for_client(resource=resource)
    except (msal.ManagedIdentityError, ValueError) as error:
        raise NoAnswerError(str(error) or "this machine has no managed identity") from error
    if "access_token" in told:
        return Token(str(told["access_token"]), float(told.get("expires_in", 3600)))
    words = str(told.get("error_description") or told.get("error") or "no reason").splitlines()[0]
    raise TokenDeniedError(
        f"this machine's identity service answered {words}",
        "Look whether the machine has that managed identity",
        "client_id" if client_id else "managed_identity",
    )


class _Endpoint:
    """The HTTP client that msal uses. msal would look the token endpoint up over the network, https only; ours is known already."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, url: str, **_: Any) -> Answer:
        """Answers msal's discovery of the authority without a call. The token endpoint reports a wrong tenant, and words it better."""
        host = urlsplit(url).netloc
        secure = f"https://{self._url.partition('://')[2]}"
        endpoint = secure if urlsplit(secure).path.strip("/") else f"https://{host}/token"
        told = {"issuer": f"https://{host}/", "authorization_endpoint": endpoint, "token_endpoint": endpoint}
        return Answer(200, {}, json.dumps(told).encode())

    def post(self, _url: str, data: Any = None, headers: Mapping[str, str] | None = None, **_: Any) -> Answer:
        body = data if isinstance(data, (str, bytes)) else urlencode(data or {})
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        return post(self._url, body.encode() if isinstance(body, str) else body, {**form, **(headers or {})})


class _Machine:
    """The HTTP client with which msal asks this machine's identity service."""

    def get(self, url: str, params: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None, **_: Any) -> Answer:
        return get(f"{url}?{urlencode(params)}" if params else url, headers or {})

    def post(self, url: str, data: Any = None, headers: Mapping[str, str] | None = None, **_: Any) -> Answer:
        body = data if isinstance(data, (str, bytes)) else urlencode(data or {})
        return post(url, body.encode() if isinstance(body, str) else body, headers or {})
