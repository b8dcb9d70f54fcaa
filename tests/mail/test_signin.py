"""Signing in: passwords in UTF-8, tokens, and what a server says against either."""

from __future__ import annotations

import base64
import hmac
import json
import time
from pathlib import Path
from typing import Any

import pytest
from mail.authority import ca_file, server_context
from mail.post import compose
from mail.scripted_smtp import DROP, OFFERS, Answer, ScriptedSmtp
from mail.scripted_tokens import TokenEndpoint, granted
from mail.test_mail_smtp import AT_ONCE
from pydantic import ValidationError

from migrate.errors import MailServerError
from migrate.mail.settings import SmtpSettings
from migrate.mail.smtp import SmtpTransport

USER, PASSWORD = "jörg@example.com", "pässword €"


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    return ca_file(tmp_path)


def offering(*mechanisms: str, **answers: Answer | list[Answer]) -> ScriptedSmtp:
    return ScriptedSmtp(server_context(), **{"ehlo": OFFERS.replace("AUTH PLAIN", f"AUTH {' '.join(mechanisms)}")} | answers)


def transport(server: ScriptedSmtp, ca: Path, **changed: Any) -> SmtpTransport:
    values = {"host": "localhost", "port": server.port, "username": USER, "password": PASSWORD, "ca_file": ca, "timeout": 5}
    return SmtpTransport(SmtpSettings(**(values | changed)), AT_ONCE)


def by_token(server: ScriptedSmtp, endpoint: TokenEndpoint, ca: Path, **oauth: Any) -> SmtpTransport:
    microsoft = {
        "provider": "microsoft",
        "tenant": "contoso.com",
        "client_id": "0b3f",
        "client_secret": "hunter2",
        "token_url": endpoint.url,
    }
    return transport(server, ca, sign_in="xoauth2", username="mailer@contoso.com", password=None, oauth=microsoft | oauth)


def refused(transport: SmtpTransport) -> MailServerError:
    with pytest.raises(MailServerError) as caught, transport.connect():
        pass
    return caught.value


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def said(server: ScriptedSmtp) -> list[str]:
    """What was said from the sign-in on."""
    return server.lines[3:-1]


def test_plain_takes_names_and_passwords_in_utf_8(ca: Path) -> None:
    with offering("LOGIN", "PLAIN") as server, transport(server, ca).connect():
        pass
    assert said(server) == ["AUTH PLAIN " + encoded(f"\0{USER}\0{PASSWORD}")]


def test_login_takes_names_and_passwords_in_utf_8(ca: Path) -> None:
    asks: list[Answer] = [f"334 {encoded('Password:')}"]
    with offering("LOGIN", "NTLM", auth=f"334 {encoded('Username:')}", response=asks) as server, transport(server, ca).connect():
        pass
    assert said(server) == ["AUTH LOGIN", encoded(USER), encoded(PASSWORD)]


def test_cram_md5_is_spoken_with_a_server_that_has_nothing_else(ca: Path) -> None:
    with offering("CRAM-MD5", auth=f"334 {encoded('<1.2@mx>')}") as server, transport(server, ca).connect():
        pass
    digest = hmac.digest(PASSWORD.encode(), b"<1.2@mx>", "md5").hex()
    assert said(server) == ["AUTH CRAM-MD5", encoded(f"{USER} {digest}")]


@pytest.mark.parametrize("offers", ["250-AUTH=LOGIN PLAIN", "250-auth Plain\r\n250-AUTH=LOGIN"])
def test_the_old_way_to_offer_a_sign_in_is_understood(offers: str, ca: Path) -> None:
    with offering(ehlo=OFFERS.replace("250-AUTH PLAIN", offers)) as server, transport(server, ca).connect():
        pass
    assert "AUTH PLAIN" in server.lines[3]


def test_a_mechanism_that_is_offered_and_not_known_is_followed_by_the_next(ca: Path) -> None:
    answers: list[Answer] = ["504 5.5.4 Unrecognized authentication type", "334 VXNlcm5hbWU6"]
    with offering("PLAIN", "LOGIN", auth=answers, response=["334 UGFzc3dvcmQ6"]) as server, transport(server, ca).connect():
        pass
    assert server.commands[3:] == ["AUTH", "AUTH", "RESPONSE", "RESPONSE", "QUIT"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("535 5.7.8 Error: authentication failed", "Look at username and password"),
        ("534 5.7.9 Application-specific password required", "Look at username and password"),
        ("535 5.7.3 Authentication unsuccessful", "Look at username and password"),
        ("550 5.7.30 Basic authentication is not supported for Client Submission.", 'no longer takes passwords: set sign_in = "xoauth2"'),
        (
            "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
            'no longer takes passwords: set sign_in = "xoauth2"',
        ),
        (
            "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy.",
            'no longer takes passwords: set sign_in = "xoauth2"',
        ),
        (
            "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully.",
            'no longer takes passwords: set sign_in = "xoauth2"',
        ),
        ("535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.", "Look at username and password"),
        ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.", "Set-CASMailbox"),
    ],
)
def test_a_refused_password_is_told_once_with_what_to_do(words: str, says: str, ca: Path) -> None:
    with offering("PLAIN", auth=words) as server:
        error = refused(transport(server, ca))
    assert f"the mail server does not accept the sign-in: {words.rstrip('.')}." in str(error) and says in str(error)
    assert server.commands.count("AUTH") == 1
    assert PASSWORD not in str(error)


@pytest.mark.parametrize("words", ["454 4.7.0 Temporary authentication failure", "432 4.3.2 Concurrent connections limit exceeded"])
def test_a_sign_in_that_fails_for_now_is_tried_again(words: str, ca: Path) -> None:
    with offering("PLAIN", auth=[words, (words, DROP)]) as server, transport(server, ca).connect() as connection:
        assert connection.send(compose()).verdict == "sent"
    assert server.connections == 3
    with offering("PLAIN", auth=words) as server:
        error = refused(transport(server, ca))
    assert words in str(error) and "migrate send" in str(error)


def test_a_server_that_repeats_what_it_was_told_gives_no_password_away(ca: Path) -> None:
    with offering("PLAIN", auth=lambda: f"501 5.5.2 Cannot decode {server.lines[-1]} ({encoded(PASSWORD)})") as server:
        error = refused(transport(server, ca))
    assert "501 5.5.2 Cannot decode AUTH PLAIN … (…)" in str(error)


@pytest.mark.parametrize(
    ("mechanisms", "settings", "says"),
    [
        (("XOAUTH2",), {}, 'takes no password: it offers XOAUTH2 only. It wants a token: set sign_in = "xoauth2"'),
        (("GSSAPI", "NTLM"), {}, "takes no password: it offers GSSAPI, NTLM only. Passwords go by PLAIN, LOGIN, CRAM-MD5"),
    ],
)
def test_a_server_without_a_way_to_sign_in_with_a_password_says_what_it_offers(
    mechanisms: tuple[str, ...], settings: dict[str, Any], says: str, ca: Path
) -> None:
    with offering(*mechanisms) as server:
        assert says in str(refused(transport(server, ca, **settings)))
    assert "AUTH" not in server.commands


def test_a_server_that_offers_no_sign_in_says_so(ca: Path) -> None:
    with ScriptedSmtp(server_context(), ehlo="250-x\r\n250 STARTTLS") as server:
        assert "offers no way to sign in on this port" in str(refused(transport(server, ca)))


@pytest.mark.parametrize(
    ("security", "username", "words", "says"),
    [
        ("none", None, "530 5.7.0 Must issue a STARTTLS command first", "Set security = 'starttls'"),
        ("none", None, "530 5.7.1 Authentication required", "Set username and password"),
        ("starttls", USER, "530 5.7.57 Client not authenticated to send mail", f"whether {USER} may send"),
    ],
)
def test_a_wish_at_the_first_letter_is_told_with_what_to_set(security: str, username: str | None, words: str, says: str, ca: Path) -> None:
    password = PASSWORD if username else None
    with offering("PLAIN", mail=words) as server:
        settings = {"security": security, "username": username, "password": password}
        with transport(server, ca, **settings).connect() as connection, pytest.raises(MailServerError) as caught:
            connection.send(compose())
    assert words in str(caught.value) and says in str(caught.value)


# With a token


def told(**refusal: str) -> str:
    return f"334 {encoded(json.dumps(refusal))}"


def test_a_token_signs_in_and_all_connections_share_it(ca: Path) -> None:
    with TokenEndpoint(granted("t1")) as endpoint, offering("XOAUTH2") as server:
        way = by_token(server, endpoint, ca)
        with way.connect() as one, way.connect() as two:
            assert [one.send(compose()).verdict, two.send(compose()).verdict] == ["sent", "sent"]
    assert [line for line in server.lines if line.startswith("AUTH")] == [
        "AUTH XOAUTH2 " + encoded("user=mailer@contoso.com\x01auth=Bearer t1\x01\x01")
    ] * 2
    assert len(endpoint.forms) == 1


def test_a_token_that_ran_out_between_two_letters_is_renewed_once(ca: Path) -> None:
    expired = told(status="401", schemes="bearer", scope="https://mail.google.com/")
    with (
        TokenEndpoint(granted("t1"), granted("t2")) as endpoint,
        offering(
            "XOAUTH2",
            mail=["250 ok", ("421 4.4.2 closing", DROP)],
            auth=["235 welcome", expired],
            response="535 5.7.8 Token expired",
        ) as server,
        by_token(server, endpoint, ca).connect() as connection,
    ):
        assert [connection.send(compose()).verdict for _ in range(2)] == ["sent", "sent"]
    assert ["t1" in base64.b64decode(line.split()[-1]).decode() for line in server.lines if line.startswith("AUTH")] == [True, True, False]
    assert len(endpoint.forms) == 2
    assert "" in server.lines  # the refusal is acknowledged with an empty line


def test_a_token_that_runs_out_on_an_open_connection_is_renewed(ca: Path) -> None:
    with (
        TokenEndpoint(granted("t1"), granted("t2")) as endpoint,
        offering("XOAUTH2", mail=["250 ok", "530 5.7.57 Token expired"], auth=["235 welcome", "535 5.7.3 Token expired"]) as server,
        by_token(server, endpoint, ca).connect() as connection,
    ):
        assert [connection.send(compose()).verdict for _ in range(2)] == ["sent", "sent"]


def test_a_token_that_is_always_refused_is_renewed_once_and_no_more(ca: Path) -> None:
    with TokenEndpoint(granted("t1"), granted("t2"), granted("t3")) as endpoint, offering("XOAUTH2", auth="535 5.7.3 expired") as server:
        error = refused(by_token(server, endpoint, ca))
    assert "does not accept the token for mailer@contoso.com: 535 5.7.3 expired" in str(error)
    assert (len(endpoint.forms), server.commands.count("AUTH")) == (2, 2)


def test_a_mailbox_that_does_not_let_the_application_send_is_told_what_is_missing(ca: Path) -> None:
    words = "535 5.7.3 Authentication unsuccessful [AM0PR0.EURPRD05.PROD.OUTLOOK.COM]"
    with TokenEndpoint(granted("t1")) as endpoint, offering("LOGIN", "XOAUTH2", auth=words) as server:
        error = refused(by_token(server, endpoint, ca))
    assert f"does not accept the token for mailer@contoso.com: {words}." in str(error)
    assert "SMTP.SendAsApp" in str(error) and "object id of the enterprise application" in str(error)
    assert len(endpoint.forms) == 1


def test_a_refusal_in_json_is_a_sentence(ca: Path) -> None:
    refusal = told(status="400", schemes="Bearer", scope="https://mail.google.com/")
    with TokenEndpoint(granted("t1")) as endpoint, offering("XOAUTH2", auth=refusal, response="535 5.7.8 Not accepted") as server:
        error = refused(by_token(server, endpoint, ca))
    assert "for mailer@contoso.com: status 400, it wants the scope https://mail.google.com/, by Bearer; 535 5.7.8 Not accepted." in str(
        error
    )


@pytest.mark.parametrize("refusal", ["334 !!!", "334 ", f"334 {base64.b64encode(b'[1]').decode()}", "334 /w=="])
def test_a_refusal_that_is_no_json_and_a_server_that_then_hangs_up_lose_no_words(refusal: str, ca: Path) -> None:
    with TokenEndpoint(granted("t1")) as endpoint, offering("XOAUTH2", auth=refusal, response=DROP) as server:
        error = refused(by_token(server, endpoint, ca))
    assert "does not accept the token" in str(error)


def test_a_token_that_is_refused_for_now_is_tried_again(ca: Path) -> None:
    with TokenEndpoint(granted("t1")) as endpoint, offering("XOAUTH2", auth=["454 4.7.0 later"]) as server:
        with by_token(server, endpoint, ca).connect() as connection:
            assert connection.send(compose()).verdict == "sent"
    assert len(endpoint.forms) == 1


def test_a_server_that_takes_no_token_says_what_it_offers(ca: Path) -> None:
    with TokenEndpoint(granted("t1")) as endpoint, offering("PLAIN", "LOGIN") as server:
        assert 'takes no token of XOAUTH2: it offers PLAIN, LOGIN. Set sign_in = "password"' in str(refused(by_token(server, endpoint, ca)))
    assert endpoint.forms == []


def test_a_token_never_shows(ca: Path) -> None:
    with TokenEndpoint(granted("s3cr3t-token")) as endpoint:
        with offering("XOAUTH2", auth=lambda: f"535 5.7.8 No: {server.lines[-1]} Bearer s3cr3t-token") as server:
            error = refused(by_token(server, endpoint, ca))
    assert "535 5.7.8 No: AUTH XOAUTH2 … Bearer …" in str(error)


def test_a_token_that_ends_soon_is_renewed_before_it_is_used(ca: Path) -> None:
    with (
        TokenEndpoint(granted("t1", 1), granted("t2")) as endpoint,
        offering("XOAUTH2", mail=["250 ok", DROP]) as server,
        by_token(server, endpoint, ca).connect() as connection,
    ):
        assert connection.send(compose()).verdict == "sent"
        time.sleep(1)
        assert connection.send(compose()).verdict == "sent"
    assert (len(endpoint.forms), server.commands.count("AUTH")) == (2, 2)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"oauth": None}, "needs a token: add [mail.smtp.oauth]"),
        ({"password": "x"}, "password is not used"),
        ({"username": None}, "username is missing"),
        ({"sign_in": "password", "username": None}, "is used only with sign_in"),
        ({"security": "none", "host": "localhost"}, "would send the token in the clear"),
    ],
)
def test_settings_of_a_token_that_do_not_go_together_are_refused(changed: dict[str, Any], says: str) -> None:
    oauth = {"provider": "microsoft", "tenant": "contoso.com", "client_id": "0b3f", "client_secret": "hunter2"}
    with pytest.raises(ValidationError) as caught:
        SmtpSettings(**{"host": "x.example", "sign_in": "xoauth2", "username": "u", "oauth": oauth} | changed)  # type: ignore[arg-type]
    assert says in str(caught.value) and "hunter2" not in str(caught.value)
