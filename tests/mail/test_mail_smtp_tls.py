"""SMTP over TLS with a sign-in, against aiosmtpd with certificates of an authority of our own."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from mail.post import compose
from mail.test_mail_smtp import AT_ONCE

from migrate.errors import ConfigError, MailServerError
from migrate.mail.compose import Composer
from migrate.mail.settings import SmtpSettings
from migrate.mail.smtp import SmtpTransport


class Postbox:
    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd names it)
        self.envelopes.append(envelope)
        return "250 2.0.0 queued"


class Server:
    def __init__(self, port: int, box: Postbox, ca_file: Path) -> None:
        self.port, self.box, self.ca_file = port, box, ca_file

    def transport(self, **changed: Any) -> SmtpTransport:
        values = {"host": "localhost", "port": self.port, "username": "u", "password": "right", "ca_file": self.ca_file, "timeout": 10}
        return SmtpTransport(SmtpSettings(**(values | changed)), AT_ONCE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    authority = trustme.CA()
    ca_file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    def sign_in(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword) -> AuthResult:
        return AuthResult(success=data.password == b"right", handled=False)

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(
        box := Postbox(),
        hostname="127.0.0.1",
        port=port,
        tls_context=context,
        require_starttls=True,
        authenticator=sign_in,
        auth_required=True,
    )
    controller.start()
    yield Server(port, box, ca_file)
    controller.stop()


def test_a_letter_goes_over_starttls_with_a_sign_in(server: Server, composer: Composer) -> None:
    letter = compose(by=composer)
    with server.transport().connect() as connection:
        assert connection.send(letter).verdict == "sent"
    envelope = server.box.envelopes[-1]
    assert (envelope.mail_from, envelope.rcpt_tos, envelope.content) == (letter.envelope_from, [letter.to], letter.message)


def refused(transport: SmtpTransport) -> MailServerError:
    with pytest.raises(MailServerError) as caught, transport.connect():
        pass
    return caught.value


def test_a_wrong_password_is_an_error_that_does_not_repeat_it(server: Server) -> None:
    error = refused(server.transport(password="wrong-secret"))
    assert "does not accept the sign-in: 535" in str(error) and "wrong-secret" not in str(error)


def test_a_certificate_of_an_unknown_authority_is_not_trusted(server: Server) -> None:
    error = refused(server.transport(ca_file=None))
    assert "certificate is not trusted" in str(error) and "ca_file" in str(error)


def test_a_certificate_for_another_name_is_not_trusted(server: Server) -> None:
    assert "certificate is not trusted" in str(refused(server.transport(host="127.0.0.1")))


def test_tls_from_the_start_at_a_port_for_starttls_says_which_goes_where(server: Server) -> None:
    error = refused(server.transport(security="tls"))
    assert "no encrypted connection" in str(error) and "465" in str(error)


def test_an_authority_s_file_that_is_not_there_is_a_mistake_in_the_configuration(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ca_file"), server.transport(ca_file=tmp_path / "none.pem").connect():
        pass
