"""A mail server for the fake's mailbox, by hand: aiosmtpd on loopback, which lets in whoever has a token for it (XOAUTH2)."""

from __future__ import annotations

import base64
import binascii
import socket
import ssl
from mailbox import Maildir
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from .server import Fake


class Exchange:
    """`address` may be sent from; what the server takes goes into the Maildir `letters`, beside the `ca.pem` of its certificate."""

    def __init__(self, fake: Fake, address: str, letters: Path) -> None:
        fake.mailbox = self.address = address
        self._fake, self._letters = fake, letters
        letters.parent.mkdir(parents=True, exist_ok=True)
        self._maildir = Maildir(letters)
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        authority.cert_pem.write_to_path(str(letters / "ca.pem"))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._controller = Controller(
            self, hostname="127.0.0.1", port=self._port, tls_context=context, require_starttls=True, auth_required=True,
            auth_exclude_mechanism=["PLAIN", "LOGIN"], decode_data=False, enable_SMTPUTF8=True,
        )  # fmt: skip

    def settings(self, **proof: Any) -> dict[str, dict[str, Any]]:
        """The tables with which letters can be sent."""
        fake = self._fake
        server = {"host": "localhost", "port": self._port}
        server |= {"ca_file": str((self._letters / "ca.pem").resolve()), "sign_in": "xoauth2", "username": self.address, "rate": "1000/s"}
        oauth = {"provider": "microsoft", "tenant": fake.tenant.domain, "client_id": fake.client_id}
        oauth |= {"token_url": f"{fake.url}/{fake.tenant.domain}/oauth2/v2.0/token", **proof}
        return {"mail.smtp": server, "mail.smtp.oauth": oauth}

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._controller.stop()

    # What aiosmtpd calls.

    async def auth_XOAUTH2(self, _server: SMTP, words: list[str]) -> AuthResult:  # noqa: N802 (aiosmtpd names it)
        try:
            user, _, bearer = base64.b64decode("".join(words[1:]), validate=True).decode().partition("\x01auth=Bearer ")
        except (binascii.Error, UnicodeDecodeError):
            user = bearer = ""
        if self._fake.takes(bearer.rstrip("\x01"), user.removeprefix("user=")):
            return AuthResult(success=True)
        return AuthResult(success=False, handled=False, message="535 5.7.3 Authentication unsuccessful")

    async def handle_MAIL(  # noqa: N802 (aiosmtpd names it)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address != self.address:
            return f"550 5.7.60 Client does not have permissions to send as this sender: {address}"
        envelope.mail_from, envelope.mail_options = address, options
        return "250 2.1.0 Sender OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd names it)
        content = envelope.content
        assert isinstance(content, bytes)
        self._maildir.add(b"Return-Path: <%s>\r\n" % self.address.encode() + content)
        return "250 2.0.0 OK"
