"""The `smtp` transport (design §11, RFC 5321).

The verdict on a broken connection depends on one moment: when the end of the data (the line with the single dot) may have reached the
server. If the connection breaks before that, the server cannot have taken the letter: `temporary`. If it breaks after that, the server may
have: `uncertain`. smtplib sends data and dot together and cannot tell the two apart, and it loses the last words of a server that hangs up.
So `opening` makes the connection, and `dialogue` speaks SMTP on it.

If the server allows pipelining (RFC 2920), the envelope of the next letter is sent together with the end of this one's data: the next
letter is *announced*, and a letter costs one round trip. An announced letter cannot be delivered: its data is sent only after the server's
go-ahead. Without `then`, or with a server that does not pipeline, `send` sends one command at a time.
"""

from __future__ import annotations

import contextlib
import re
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

from migrate.errors import MailServerError
from migrate.mail.causes import NotOpenedError, wants_sign_in
from migrate.mail.dialogue import ClosedEarlyError, Dialogue, NotHandedOverError, Reply
from migrate.mail.interruptible import interruptible
from migrate.mail.letter import Letter
from migrate.mail.oauth.mail_server_token import MailServerToken, open_tokens
from migrate.mail.opening import opened
from migrate.mail.refusals import BEFORE_RCPT, NOT_ASKED, Phase, enhanced_status, refusal
from migrate.mail.settings import MailSettings, SmtpSettings
from migrate.mail.timeouts import Timeouts
from migrate.mail.transport import BURST, Receipt, Verdict
from migrate.outside import log

_GO_AHEAD: Final = 354
_CLOSING: Final = 421
_WANTS_SIGN_IN: Final = (530, 534, 535, 538)
_END_OF_DATA: Final = b".\r\n"
_DOT_FIRST: Final = re.compile(rb"\n\.")
"""A line that begins with a dot. Few letters have one, and searching takes half as long as replacing."""
_GOODBYE: Final = 5.0
"""Seconds that QUIT may take. It is short, since all letters are settled by then."""


class SmtpTransport:
    """Connects to the server of `[mail.smtp]`. If its connections sign in with a token, they share it.

    `retrying` limits the tries at connecting, `timeouts` the waits; tests pass shorter ones.
    """

    def __init__(
        self,
        settings: SmtpSettings,
        retrying: Retrying | None = None,
        ended: threading.Event | None = None,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._settings = settings
        self._ended = ended or threading.Event()
        self._retrying = _patiently(self._ended) if retrying is None else retrying
        self._timeouts = timeouts or Timeouts.of(settings.timeout)
        self._turn = threading.Lock()
        self._tokens: MailServerToken | None = None

    @contextmanager
    def connect(self) -> Iterator[SmtpConnection]:
        with self._turn:
            self._tokens = self._tokens or open_tokens(self._settings)
        connection = SmtpConnection(self._settings, self._tokens, self._retrying, self._timeouts, self._ended)
        try:
            yield connection
        finally:
            connection.close()


def open_smtp(settings: MailSettings, ended: threading.Event) -> SmtpTransport:
    """The transport of `[mail.smtp]`."""
    assert settings.smtp is not None  # validated with `transport`
    return SmtpTransport(settings.smtp, ended=ended)


class SmtpConnection:
    """One signed-in connection. If the server closes it between two letters, it opens itself again."""

    def __init__(
        self, settings: SmtpSettings, tokens: MailServerToken | None, retrying: Retrying, timeouts: Timeouts, ended: threading.Event
    ) -> None:
        self._settings, self._tokens = settings, tokens
        self._retrying, self._timeouts, self._ended = retrying, timeouts, ended
        self._server: Dialogue | None = None
        self._announced: Letter | None = None
        self._used = False
        self._open()

    @property
    def at_once(self) -> int:
        """Several letters if the server pipelines: it may then take letters faster than one commit each. Otherwise one."""
        return BURST if self._server is not None and self._server.pipelines else 1

    def send(self, letter: Letter, then: Letter | None = None) -> Receipt:
        was_used = self._used and self._server is not None
        try:
            return self._transact(letter, then)
        except _ClosedWhileIdleError as error:
            if not was_used:
                return _broken(str(error))._replace(refusal=BEFORE_RCPT)
        self._open()
        try:
            return self._transact(letter, then)
        except _ClosedWhileIdleError as error:
            return _broken(str(error))._replace(refusal=BEFORE_RCPT)

    def close(self) -> None:
        """Sends QUIT, whether or not the server answers. Not after an announcement: that server expects a letter's data."""
        if self._server is not None and self._announced is None:
            with contextlib.suppress(OSError):
                self._server.quit(min(self._settings.timeout, _GOODBYE))
        self._drop()

    def _open(self) -> None:
        self._drop()
        try:
            self._server = interruptible(
                lambda: self._retrying(opened, self._settings, self._tokens, self._timeouts, self._ended), self._ended
            )
        except NotOpenedError as error:
            where = f"[mail.smtp] {self._settings.host} port {self._settings.port}"
            raise MailServerError(
                error.what, where=f"[mail.smtp.oauth] {error.setting}" if error.setting else where, hint=error.hint
            ) from error
        self._used = False

    def _drop(self) -> None:
        server, self._server = self._server, None
        self._announced = None
        if server is not None:
            server.close()

    def _transact(self, letter: Letter, then: Letter | None) -> Receipt:
        if self._announced is not None and self._announced is not letter:
            self._drop()  # the server expects the announced letter, and another one comes: reconnect
        if self._server is None:
            self._open()
        server = self._server
        assert server is not None
        if not server.takes(letter):
            words = log("the mail server does not take addresses with letters outside ASCII (it has no SMTPUTF8)")
            return Receipt("permanent", words, refusal=NOT_ASKED)
        try:
            if refused := self._introduce(server, letter):
                return refused
        except OSError as error:
            self._drop()
            return _broken(str(error))
        return self._finish(server, letter, then if then is not None and server.pipelines and server.takes(then) else None)

    def _introduce(self, server: Dialogue, letter: Letter) -> Receipt | None:
        """Sends MAIL, RCPT and DATA. None when the server gives its go-ahead for the data, else the receipt of its refusal."""
        announced, self._announced = self._announced is letter, None
        try:
            mail, *others = server.introduce(letter, announced=announced)
        except ClosedEarlyError as error:
            self._drop()
            raise _ClosedWhileIdleError(str(error)) from error
        if mail.code == _CLOSING:
            self._drop()
            raise _ClosedWhileIdleError(f"{mail.code} {log(mail.text)}")
        if mail.code in _WANTS_SIGN_IN:
            self._drop()
            if self._tokens and self._used:
                raise _ClosedWhileIdleError(f"{mail.code} {log(mail.text)}")  # the token has expired; a new connection fetches another one
            raise wants_sign_in(mail, self._settings)
        if len(others) == 2 and others[1].code == _GO_AHEAD and (mail.refuses or others[0].refuses):
            self._drop()  # the server refused the letter and yet waits for its data
        if mail.refuses:
            return self._refused(mail, letter, "mail")
        rcpt, *others = others
        if rcpt.refuses:
            return self._refused(rcpt, letter, "rcpt")
        (data,) = others
        return None if data.code == _GO_AHEAD else self._refused(data, letter, "data")

    def _refused(self, reply: Reply, letter: Letter, phase: Phase) -> Receipt:
        if not 400 <= reply.code < 600:
            # This is neither a refusal nor a go-ahead. Client and server are out of step: later answers would be matched with wrong
            # commands.
            self._drop()
            return _receipt("temporary", reply)._replace(bad_connection=True)
        receipt = _receipt("permanent" if reply.code >= 500 else "temporary", reply)
        about = refusal(phase, reply.code, reply.text.decode("utf-8", "replace"), sender=letter.envelope_from, to=letter.to)
        receipt = receipt._replace(refusal=about)
        if reply.code == _CLOSING:
            self._drop()
        elif self._announced is None:
            self._reset()
        return receipt

    def _finish(self, server: Dialogue, letter: Letter, then: Letter | None) -> Receipt:
        """Sends the data, its end, and the announcement of the next letter. From the first byte of the end on, the server may take the
        letter."""
        try:
            server.hand_over(_dot_stuffed(letter.message), _END_OF_DATA + (server.announcement(then) if then else b""))
            self._announced = then
            reply = server.reply_to_end()
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
    """The server hung up before it accepted MAIL, so it did not take the letter. The message is its last words."""


def _broken(why: str) -> Receipt:
    return Receipt("temporary", log(f"the connection broke before the letter was handed over: {why}"), bad_connection=True)


def _receipt(verdict: Verdict, reply: Reply) -> Receipt:
    code, text = reply.code, reply.text.decode("utf-8", "replace")
    bad_connection = verdict == "temporary" and code == _CLOSING
    status = None if verdict == "sent" else enhanced_status(code, text)
    return Receipt(verdict, log(f"{code} {text}") if code > 0 else log(text), status, bad_connection)


def _dot_stuffed(message: bytes) -> bytes:
    """The message as DATA sends it: a dot that begins a line is doubled (RFC 5321 §4.5.2), and the last line has a line end."""
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
    """Another try may reach a server that is down for a moment. It does not help with a bad certificate or a wrong password."""
    return isinstance(error, NotOpenedError) and error.again
