"""MailServerToken, fetched with msal and google-auth from a scripted endpoint."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from mail.authority import key_and_certificate
from mail.scripted_tokens import Answer, TokenEndpoint, denied, granted
from pydantic import ValidationError

from migrate.errors import ConfigError
from migrate.mail.causes import NotOpenedError
from migrate.mail.oauth.mail_server_token import MailServerToken, open_tokens
from migrate.mail.oauth_settings import OAuthSettings
from migrate.mail.settings import SmtpSettings
from migrate.oauth.tokens import Token, TokenDeniedError
from migrate.oauth.web import NoAnswerError

MICROSOFT = {"provider": "microsoft", "tenant": "contoso.onmicrosoft.com", "client_id": "0b3f"}
SECRET = {"client_secret": "hunter2~secret"}


def key_file(**changed: Any) -> str:
    key = key_and_certificate(rsa_key=True).partition("-----BEGIN CERTIFICATE")[0]
    told = {"type": "service_account", "client_email": "migrate@project.iam.gserviceaccount.com", "private_key": key}
    return json.dumps(told | {"private_key_id": "k1", "token_uri": "https://elsewhere.example/token"} | changed)


def tokens(endpoint: TokenEndpoint, host: str = "smtp.office365.com", **oauth: Any) -> MailServerToken:
    settings = SmtpSettings(host=host, sign_in="xoauth2", username="mailer@contoso.com", oauth={"token_url": endpoint.url} | oauth)
    made = open_tokens(settings)
    assert made is not None
    return made


def refusal(*answers: Answer, **oauth: Any) -> NotOpenedError:
    with TokenEndpoint(*answers) as endpoint, pytest.raises(NotOpenedError) as caught:
        tokens(endpoint, **(MICROSOFT | SECRET | oauth if "provider" not in oauth else oauth)).current()
    return caught.value


def test_a_secret_gets_a_token_for_the_application_and_it_is_kept() -> None:
    with TokenEndpoint(granted("t1")) as endpoint:
        had = tokens(endpoint, **MICROSOFT, **SECRET)
        assert [had.current(), had.current()] == [("t1", True), ("t1", False)]
    [form] = endpoint.forms
    assert (form["grant_type"], form["client_id"], form["client_secret"]) == ("client_credentials", "0b3f", "hunter2~secret")
    assert form["scope"].split() == ["https://outlook.office365.com/.default"]


@pytest.mark.parametrize(
    ("host", "scope"),
    [
        ("smtp.hve.mx.microsoft", "https://outlook.office.com/.default"),
        ("smtp.office365.us", "https://outlook.office365.us/.default"),
        ("smtp.partner.outlook.cn", "https://partner.outlook.cn/.default"),
    ],
)
def test_the_scope_is_that_of_the_mail_server(host: str, scope: str) -> None:
    with TokenEndpoint(granted("t1")) as endpoint:
        tokens(endpoint, host, **MICROSOFT, **SECRET).current()
    assert endpoint.forms[0]["scope"] == scope


def test_a_certificate_signs_who_we_are() -> None:
    pem = key_and_certificate(rsa_key=True)
    with TokenEndpoint(granted("t1")) as endpoint:
        assert tokens(endpoint, **MICROSOFT, certificate=pem).current() == ("t1", True)
    [form] = endpoint.forms
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    audience = endpoint.url.replace("http:", "https:")
    told = jwt.decode(form["client_assertion"], key, algorithms=["PS256"], audience=audience)  # type: ignore[arg-type]
    assert (told["iss"], told["sub"]) == ("0b3f", "0b3f")
    assert "PRIVATE KEY" not in json.dumps(form)


@pytest.mark.parametrize("pem", [key_and_certificate(), key_and_certificate(rsa_key=True).replace("MII", "XXX")])
def test_a_certificate_that_cannot_sign_is_a_mistake_in_the_configuration(pem: str) -> None:
    with TokenEndpoint(granted("t1")) as endpoint, pytest.raises(ConfigError, match="RSA") as caught:
        tokens(endpoint, **MICROSOFT, certificate=pem).current()
    assert caught.value.where == "[mail.smtp.oauth] certificate"


def test_a_token_file_is_read_again_for_each_token(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("platform-1\n")
    with TokenEndpoint(granted("t1"), granted("t2")) as endpoint:
        had = tokens(endpoint, **MICROSOFT, federated_token_file=path)
        had.current()
        path.write_text("platform-2\n")
        had.renew("t1")
        assert had.current() == ("t2", False)
        path.unlink()
        with pytest.raises(ConfigError, match="No such file"):
            had.renew("t2")
    assert [form["client_assertion"] for form in endpoint.forms] == ["platform-1", "platform-2"]


def test_a_service_account_signs_for_a_mailbox_and_only_the_settings_say_where() -> None:
    with TokenEndpoint(granted("g1", 600)) as endpoint:
        had = tokens(endpoint, "smtp-relay.gmail.com", provider="google", service_account=key_file(), subject="noreply@example.com")
        assert had.current() == ("g1", True)
    [form] = endpoint.forms
    told = jwt.decode(form["assertion"], options={"verify_signature": False})
    assert (told["iss"], told["sub"]) == ("migrate@project.iam.gserviceaccount.com", "noreply@example.com")
    assert told["scope"] == "https://mail.google.com/"


@pytest.mark.parametrize(
    ("description", "setting", "says"),
    [
        (
            "AADSTS90002: Tenant 'contosso.onmicrosoft.com' not found. Check to make sure you have the correct tenant ID.",
            "tenant",
            "No such tenant",
        ),
        ("AADSTS700016: Application with identifier '0b3f' was not found in the directory 'Contoso'.", "client_id", "no such application"),
        ("AADSTS65001: The user or administrator has not consented to use the application with ID '0b3f'.", "client_id", "SMTP.SendAsApp"),
        ("AADSTS7000215: Invalid client secret provided. Ensure the secret is the value.", "client_secret", "and not its id"),
        ("AADSTS7000222: The provided client secret keys for app '0b3f' are expired.", "client_secret", "has expired: make a new one"),
        ("AADSTS700027: The certificate with identifier used to sign the client assertion is not registered.", "certificate", "upload it"),
        ("AADSTS700213: No matching federated identity record found.", "federated_token_file", "issuer, subject and audience"),
        ("AADSTS99999: Something new.", "provider", "Look at tenant, client_id"),
    ],
)
def test_what_microsoft_says_is_repeated_with_what_to_do(description: str, setting: str, says: str) -> None:
    tail = " Trace ID: 1234 Correlation ID: 5678 Timestamp: 2026-11-28 10:00:00Z"
    error = refusal(denied("invalid_client", description + tail, 401))
    assert error.what == f"no token for the mail server could be had: Microsoft answered {description.rstrip('.')}."
    assert (error.setting, error.again) == (setting, False)
    assert says in error.hint and "migrate check" in error.hint


@pytest.mark.parametrize(
    ("error", "description", "setting", "says"),
    [
        (
            "unauthorized_client",
            "Client is unauthorized to retrieve access tokens using this method.",
            "service_account",
            "delegate https://mail",
        ),
        ("invalid_grant", "Invalid email or User ID", "subject", "your own domain"),
        ("invalid_grant", "Invalid JWT Signature.", "service_account", "make a new one"),
        ("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes)", "service_account", "clock"),
        ("something_new", "What?", "service_account", "Look at service_account"),
    ],
)
def test_what_google_says_is_repeated_with_what_to_do(error: str, description: str, setting: str, says: str) -> None:
    said = refusal(denied(error, description), provider="google", service_account=key_file())
    assert said.what == f"no token for the mail server could be had: Google answered {error}: {description.rstrip('.')}."
    assert (said.setting, said.again) == (setting, False)
    assert says in said.hint


@pytest.mark.parametrize("provider", ["microsoft", "google"])
@pytest.mark.parametrize("answer", [(503, {"error": "x"}), (429, b""), (200, b"<html>"), (302, b""), (200, {})])
def test_an_endpoint_that_gives_no_answer_is_worth_another_try(provider: str, answer: Answer) -> None:
    oauth = {"provider": "google", "service_account": key_file()} if provider == "google" else {}
    error = refusal(answer, **oauth)
    assert "no answer that can be used" in error.what
    assert (error.again, error.setting) == (True, "token_url")


def test_a_redirect_is_not_followed() -> None:
    with TokenEndpoint((307, b""), granted("t1")) as endpoint, pytest.raises(NotOpenedError):
        tokens(endpoint, **MICROSOFT, **SECRET).current()
    assert len(endpoint.forms) == 1


def test_an_endpoint_that_nobody_answers_at_is_worth_another_try() -> None:
    with TokenEndpoint(granted("t1")) as endpoint:
        pass
    with pytest.raises(NotOpenedError, match="Connection refused") as caught:
        tokens(endpoint, **MICROSOFT, **SECRET).current()
    assert caught.value.again


def test_a_secret_that_an_endpoint_repeats_is_left_out() -> None:
    error = refusal(denied("invalid_client", "AADSTS7000215: Invalid client secret 'hunter2~secret'."))
    assert "hunter2" not in error.what + error.hint


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def counted(*answers: Token | Exception, seconds: float = 3600) -> tuple[MailServerToken, Clock, list[int]]:
    calls: list[int] = []
    left = list(answers)

    def fetch() -> Token:
        calls.append(len(calls))
        answer = left.pop(0) if left else Token(f"t{len(calls)}", seconds)
        if isinstance(answer, Exception):
            raise answer
        return answer

    clock = Clock()
    return MailServerToken(fetch, OAuthSettings(**MICROSOFT, **SECRET), clock), clock, calls  # type: ignore[arg-type]


def test_a_token_is_renewed_five_minutes_before_it_ends() -> None:
    had, clock, calls = counted()
    had.current()
    clock.now = 3299
    assert had.current() == ("t1", False)
    clock.now = 3301
    assert had.current() == ("t2", True)
    assert len(calls) == 2


def test_a_short_token_is_used_for_most_of_its_time() -> None:
    had, clock, _ = counted(seconds=60)
    had.current()
    clock.now = 47
    assert had.current() == ("t1", False)
    clock.now = 49
    assert had.current() == ("t2", True)


def test_a_token_at_hand_is_used_while_the_endpoint_is_away_and_not_when_it_says_no() -> None:
    away, no = NoAnswerError("gone"), TokenDeniedError("no", "Ask.", "tenant")
    had, clock, _ = counted(Token("t1", 3600), away, no, away)
    had.current()
    clock.now = 3400
    assert had.current() == ("t1", False)
    with pytest.raises(NotOpenedError, match="no"):
        had.current()
    clock.now = 3600
    with pytest.raises(NotOpenedError, match="gone"):
        had.current()


def test_of_several_connections_whose_token_was_refused_one_fetches_another() -> None:
    had, _, calls = counted()
    token, _ = had.current()
    for _ in range(3):
        had.renew(token)
    assert (had.current(), len(calls)) == (("t2", False), 2)


@pytest.mark.parametrize(("provider", "library", "module"), [("microsoft", "msal", "microsoft"), ("google", "google.auth", "google")])
def test_a_library_that_is_not_installed_is_named_with_what_to_type(
    provider: str, library: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == library.partition(".")[0]]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library.partition(".")[0], None)
    for name in (f"migrate.mail.oauth.{module}", f"migrate.oauth.{module}"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    oauth = {"provider": "google", "service_account": key_file()} if provider == "google" else MICROSOFT | SECRET
    with TokenEndpoint(granted("t1")) as endpoint, pytest.raises(ConfigError) as caught:
        tokens(endpoint, **oauth)
    assert f"pip install 'sms-migrate[{provider}]'" in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"tenant": "common"}, "no tenant of one's own"),
        ({"tenant": "a/b"}, "no tenant of one's own"),
        ({"tenant": None}, "tenant is missing"),
        ({"client_id": None}, "client_id is missing"),
        ({"client_secret": None}, "there is none of them"),
        ({"federated_token_file": "x"}, "client_secret and federated_token_file are set"),
        ({"client_secret": None, "certificate": "mail.pem"}, 'write { file = "app.pem" }'),
        ({"subject": "a@example.com"}, 'subject belongs to provider = "google"'),
        ({"provider": "google"}, 'tenant belongs to provider = "microsoft"'),
        ({"token_url": "http://login.example.com/token"}, "no address that a secret may be sent to"),
        ({"token_url": "https://user@login.example.com/token"}, "no address that a secret may be sent to"),
        ({"token_url": "ftp://127.0.0.1/token"}, "no address that a secret may be sent to"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OAuthSettings(**MICROSOFT | SECRET | changed)
    assert says in str(caught.value) and "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["sa.json", "[]", "{}"])
def test_a_key_file_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="no key of a service account"):
        OAuthSettings(provider="google", service_account=text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"[" * 900_000),
        (200, b"x" * 2_000_000),
        (200, b"<html>sign in</html>"),
        (302, {"access_token": "t1", "expires_in": 3600}),
        (200, {"access_token": "t1", "expires_in": "9" * 5000}),
        (200, {"access_token": "t1", "expires_in": 10**400}),
        (200, {"access_token": "t1", "expires_in": "\u00b2"}),
        (200, {"access_token": "t1", "expires_in": 0}),
        (200, {"access_token": {"a": 1}, "expires_in": 3600}),
        (200, {"access_token": None, "expires_in": 3600}),
        (200, {"access_token": "", "expires_in": 3600}),
        (200, {"access_token": "t1\r\nRSET", "expires_in": 3600}),
        (200, b'{"access_token": "\\ud800", "expires_in": 3600}'),
    ],
)
@pytest.mark.parametrize(
    "oauth", [MICROSOFT | SECRET, {"provider": "google", "service_account": key_file(), "subject": "noreply@example.com"}]
)
def test_what_is_neither_a_token_nor_a_refusal_is_no_answer_and_no_bug(answer: Answer, oauth: dict[str, Any]) -> None:
    error = refusal(answer, **oauth)
    assert "its endpoint gives no answer that can be used" in error.what
    assert error.again


@pytest.mark.parametrize(
    "more", [{"id_token": "a.b.c"}, {"client_info": "%"}, {"scope": 5}, {"refresh_in": "x"}, {"ext_expires_in": "z"}, {"token_type": 1}]
)
def test_what_an_endpoint_adds_to_a_token_is_not_looked_at(more: dict[str, Any]) -> None:
    with TokenEndpoint((200, {"access_token": "t1", "expires_in": 3600} | more)) as endpoint:
        assert tokens(endpoint, **MICROSOFT, **SECRET).current() == ("t1", True)


def test_an_endpoint_that_answers_a_letter_at_a_time_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migrate.oauth.web._LONGEST_CALL", 0.5)

    def drip(line: socket.socket) -> None:
        with contextlib.suppress(OSError), line:
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Slow: ")
            for _ in range(100):
                line.sendall(b".")
                time.sleep(0.1)

    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(NotOpenedError, match="no answer in time") as caught:
        threading.Thread(target=lambda: drip(listener.accept()[0]), daemon=True).start()
        start = time.monotonic()
        settings = MICROSOFT | SECRET | {"token_url": f"http://127.0.0.1:{listener.getsockname()[1]}/token"}
        had = open_tokens(SmtpSettings(host="smtp.office365.com", sign_in="xoauth2", username="mailer@contoso.com", oauth=settings))
        assert had is not None
        had.current()
    assert caught.value.again and time.monotonic() - start < 5
