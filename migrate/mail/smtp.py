"""The `smtp` transport, on smtplib (design §11, RFC 5321).

Everything turns on one boundary: the moment the end of the data (the line with the single dot) may have reached the server. A break
before it cannot have delivered the letter, so it is `temporary`; a break after it may have, so it is `uncertain`. smtplib's own `data`
sends body and dot together and cannot tell the two apart; so smtplib opens the connection, and letters are handed over by `dialogue`.

A server that takes several commands at once (PIPELINING, RFC 2920) is told of the next letter in the breath that ends this one, so that
a letter costs one round trip. Of a letter that was only announced nothing was said yet: its data is sent after the server's go-ahead.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tenacity import (
    Retrying,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_after_delay,
    stop_when_event_set,
    wait_exponential,
    wait_random,
)

from migrate.errors import ConfigError, MailServerError
from migrate.mail.dialling import dialled
from migrate.mail.dialogue import ClosedEarlyError, Dialogue, NotHandedOverError, Reply
from migrate.mail.letters import Letter
from migrate.mail.refusals import BEFORE_RCPT, OURS_ALONE, Phase, enhanced_status, refusal
from migrate.mail.settings import MailSettings, SmtpSettings
from migrate.mail.transport import Receipt, Verdict
from migrate.outside import log

_GO_AHEAD: Final = 354
_CLOSING: Final = 421
_WANTS_SIGN_IN: Final = (530, 534, 535, 538)
_END_OF_DATA: Final = b".\r\n"
_IN_HAND: Final = 64
"""Letters that a connection may have in hand to a server that takes them as fast as they are announced."""
_DOT_FIRST: Final = re.compile(rb"\n\.")
"""Which few letters have; to find none takes half as long as to replace none."""
_GOODBYE: Final = 5.0
"""Seconds that QUIT may take: all letters are settled by then."""


class SmtpTransport:
    """Connects to the server of `[mail.smtp]`. `retrying` bounds the tries at connecting; tests pass one that does not wait."""

    def __init__(self, settings: SmtpSettings, retrying: Retrying | None = None, ended: threading.Event | None = None) -> None:
        self._settings = settings
        self._ended = ended or threading.Event()
        self._retrying = _patiently(self._ended) if retrying is None else retrying

    @contextmanager
    def connect(self) -> Iterator[SmtpConnection]:
        connection = SmtpConnection(self._settings, self._retrying, self._ended)
        try:
            yield connection
        finally:
            connection.close()


def open_smtp(settings: MailSettings, ended: threading.Event) -> SmtpTransport:
    """The transport of `[mail.smtp]`."""
    assert settings.smtp is not None  # validated with `transport`
    return SmtpTransport(settings.smtp, ended=ended)


class SmtpConnection:
    """One signed-in connection; opened again by itself when the server has closed it between two letters."""

    def __init__(self, settings: SmtpSettings, retrying: Retrying, ended: threading.Event) -> None:
        self._settings = settings
        self._retrying, self._ended = retrying, ended
        self._server: Dialogue | None = None
        self._announced: Letter | None = None
        self._used = False
        self._open()

    @property
    def at_once(self) -> int:
        """One letter, unless the server takes them so fast that one commit for each would be what it waits for."""
        return _IN_HAND if self._server is not None and self._server.pipelines else 1

    def send(self, letter: Letter, then: Letter | None = None) -> Receipt:
        was_used = self._used and self._server is not None
        try:
            return self._transact(letter, then)
        except _ClosedWhileIdleError:
            if not was_used:
                return _broken("the server closed it")._replace(refusal=BEFORE_RCPT)
        self._open()
        try:
            return self._transact(letter, then)
        except _ClosedWhileIdleError:
            return _broken("the server closed it")._replace(refusal=BEFORE_RCPT)

    def close(self) -> None:
        """Say goodbye; a server that does not answer changes nothing any more. One that waits for an announced letter would not hear it."""
        if self._server is not None and self._announced is None:
            with contextlib.suppress(OSError):
                self._server.quit(min(self._settings.timeout, _GOODBYE))
        self._drop()

    def _open(self) -> None:
        self._drop()
        try:
            self._server = Dialogue(dialled(lambda: self._retrying(_connect, self._settings), self._ended))
        except (OSError, smtplib.SMTPException) as error:
            raise _unreachable(error, self._settings) from error
        self._used = False

    def _drop(self) -> None:
        server, self._server = self._server, None
        self._announced = None
        if server is not None:
            server.close()

    def _transact(self, letter: Letter, then: Letter | None) -> Receipt:
        if self._announced is not None and self._announced is not letter:
            self._drop()  # who was announced is not coming
        if self._server is None:
            self._open()
        server = self._server
        assert server is not None
        if not server.takes(letter):
            words = log("the mail server does not take addresses with letters outside ASCII (it has no SMTPUTF8)")
            return Receipt("permanent", words, refusal=OURS_ALONE)
        try:
            if refused := self._introduce(server, letter):
                return refused
        except OSError as error:
            self._drop()
            return _broken(str(error))
        return self._finish(server, letter, then if then is not None and server.pipelines and server.takes(then) else None)

    def _introduce(self, server: Dialogue, letter: Letter) -> Receipt | None:
        """MAIL, RCPT and DATA up to the server's go-ahead; the receipt if it refuses."""
        announced, self._announced = self._announced is letter, None
        try:
            mail, *others = server.introduce(letter, announced=announced)
        except ClosedEarlyError as error:
            self._drop()
            raise _ClosedWhileIdleError from error
        if mail.code == _CLOSING:
            self._drop()
            raise _ClosedWhileIdleError
        if mail.code in _WANTS_SIGN_IN:
            self._drop()
            raise MailServerError(
                f"the mail server wants a sign-in first: {mail.code} {log(mail.text)}.",
                where=f"[mail.smtp] {self._settings.host}",
                hint="Set username and password in [mail.smtp], then type `migrate check`.",
            )
        if len(others) == 2 and others[1].code == _GO_AHEAD and (mail.refuses or others[0].refuses):
            self._drop()  # it waits for the data of a letter that it has refused
        if mail.refuses:
            return self._refused(mail, letter, "mail")
        rcpt, *others = others
        if rcpt.refuses:
            return self._refused(rcpt, letter, "rcpt")
        (data,) = others
        return None if data.code == _GO_AHEAD else self._refused(data, letter, "data")

    def _refused(self, reply: Reply, letter: Letter, phase: Phase) -> Receipt:
        receipt = _receipt("permanent" if 500 <= reply.code < 600 else "temporary", reply)
        if 400 <= reply.code < 600:
            about = refusal(phase, reply.code, reply.text.decode("utf-8", "replace"), sender=letter.envelope_from, to=letter.to)
            receipt = receipt._replace(refusal=about)
        # Neither a refusal nor a go-ahead: the conversation is out of step, and later answers would be taken for the wrong question.
        out_of_step = not 400 <= reply.code < 600
        if reply.code == _CLOSING or out_of_step:
            self._drop()
        elif self._announced is None:
            self._reset()
        return receipt

    def _finish(self, server: Dialogue, letter: Letter, then: Letter | None) -> Receipt:
        """Send the data and its end, and with that the next letter's announcement. From the end's first byte on it may be delivered."""
        try:
            server.hand_over(_dot_stuffed(letter.message), _END_OF_DATA + (server.announcement(then) if then else b""))
            self._announced = then
            reply = server.reply()
        except NotHandedOverError as error:
            self._drop()
            return _broken(str(error))
        except OSError as error:
            self._drop()
            return Receipt("uncertain", log(f"the connection broke after the letter was handed over: {error}"))
        self._used = True
        if not reply.refuses:
            return _receipt("sent", reply)
        if not 400 <= reply.code < 600:
            self._drop()
            return _receipt("uncertain", reply)
        return self._refused(reply, letter, "end")

    def _reset(self) -> None:
        if self._server is None:
            return
        self._used = True
        try:
            self._server.say(b"RSET\r\n")
            code = self._server.reply().code
        except OSError:
            code = -1
        if code != 250:
            self._drop()


class _ClosedWhileIdleError(Exception):
    """The server hung up before it answered MAIL: nothing of this letter was taken."""


def _broken(why: str) -> Receipt:
    return Receipt("temporary", log(f"the connection broke before the letter was handed over: {why}"), bad_connection=True)


def _receipt(verdict: Verdict, reply: Reply) -> Receipt:
    code, words = reply.code, log(reply.text)
    enhanced = enhanced_status(code, reply.text.decode("utf-8", "replace"))
    bad_connection = verdict == "temporary" and code == _CLOSING
    return Receipt(verdict, log(f"{code} {words}") if code > 0 else words, enhanced, bad_connection)


def _dot_stuffed(message: bytes) -> bytes:
    """The message as DATA carries it: a dot at the beginning of a line doubled (RFC 5321 §4.5.2), a line end at the end."""
    stuffed = message.replace(b"\r\n.", b"\r\n..") if _DOT_FIRST.search(message) else message
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed if stuffed.endswith(b"\r\n") else stuffed + b"\r\n"


def _patiently(ended: threading.Event) -> Retrying:
    return Retrying(
        stop=stop_after_attempt(4) | stop_after_delay(60) | stop_when_event_set(ended),
        wait=wait_exponential(multiplier=0.5, max=8) + wait_random(0, 0.5),
        sleep=sleep_using_event(ended),
        retry=retry_if_exception(_worth_another_try),
        reraise=True,
    )


def _worth_another_try(error: BaseException) -> bool:
    """A server that is not there yet may come; a certificate or a password does not get better."""
    if isinstance(error, ssl.SSLError):
        return False
    if isinstance(error, smtplib.SMTPConnectError):
        return 400 <= error.smtp_code < 500
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return True
    return isinstance(error, OSError) and not isinstance(error, smtplib.SMTPException)


def _connect(settings: SmtpSettings) -> smtplib.SMTP:
    """A greeted, encrypted and signed-in connection. There is no way from here to an unencrypted one unless `security` says so."""
    server = _encrypted_from_the_start(settings) if settings.security == "tls" else _plain(settings)
    try:
        assert server.sock is not None
        # The end of the data is a packet of its own; Nagle's algorithm would hold it back until the body is acknowledged.
        server.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if settings.security == "starttls":
            server.starttls(context=_tls(settings))
        server.ehlo_or_helo_if_needed()
        if settings.username is not None and settings.password is not None:
            server.login(settings.username, settings.password.get_secret_value())
    except BaseException:
        server.close()
        raise
    return server


def _plain(settings: SmtpSettings) -> smtplib.SMTP:
    return smtplib.SMTP(settings.host.strip("[]"), settings.port, local_hostname=_own_name(), timeout=settings.timeout)


def _encrypted_from_the_start(settings: SmtpSettings) -> smtplib.SMTP:
    return smtplib.SMTP_SSL(
        settings.host.strip("[]"), settings.port, local_hostname=_own_name(), timeout=settings.timeout, context=_tls(settings)
    )


def _tls(settings: SmtpSettings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.ca_file is not None:
        try:
            context.load_verify_locations(settings.ca_file)
        except OSError as error:
            raise ConfigError(
                f"{settings.ca_file} cannot be used: {error.strerror or error}.",
                where="[mail.smtp] ca_file",
                hint="It must be a file of certificates in PEM form.",
            ) from error
    return context


def _own_name() -> str:
    """What EHLO says. The host's full name if it knows one; asking DNS for it could stall every connection."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"


def _unreachable(error: Exception, settings: SmtpSettings) -> MailServerError:
    where = f"[mail.smtp] {settings.host} port {settings.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        what = f"the mail server's certificate is not trusted: {error.verify_message}."
        hint = "Write the name that the certificate has as host, or set ca_file to the certificate of the authority that issued it."
    elif isinstance(error, ssl.SSLError):
        what = f"no encrypted connection could be made: {error.reason or error}."
        hint = "security = 'tls' goes with port 465 and security = 'starttls' with port 587."
    elif isinstance(error, smtplib.SMTPAuthenticationError):
        what = f"the mail server does not accept the sign-in: {error.smtp_code} {log(error.smtp_error)}."
        hint = "Look at username and password, then type `migrate check`."
    elif isinstance(error, smtplib.SMTPNotSupportedError):
        what = f"the mail server cannot do what is asked: {log(str(error)).rstrip('.')}."
        hint = "Look at port and security: a password is only ever sent over TLS, and letters are never sent in the clear instead."
    elif isinstance(error, smtplib.SMTPResponseException):
        what = f"the mail server turned us away: {error.smtp_code} {log(error.smtp_error)}."
        hint = "What is left stays queued; `migrate send` tries again."
    else:
        what = f"the mail server cannot be reached: {log(str(error)) or type(error).__name__}."
        hint = "Look at host and port, then type `migrate check`; what is left stays queued."
    return MailServerError(what, where=where, hint=hint)
