"""What is said to a mail server on a connection that smtplib has opened: commands and replies, several at once where it may (RFC 2920)."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from typing import Final, NamedTuple

from migrate.mail.letters import Letter

_LONGEST_LINE: Final = 8192
_AT_ONCE: Final = 65536
_ANNOUNCED: Final = ("MAIL", "RCPT", "DATA")


class ClosedEarlyError(OSError):
    """The server hung up before it answered MAIL."""


class NotHandedOverError(OSError):
    """The connection broke before the end of a letter's data was sent, so the server cannot have taken it."""


class Reply(NamedTuple):
    """A server's answer; `code` is -1 where it is none at all. `text` is its lines without the code."""

    code: int
    text: bytes

    @property
    def refuses(self) -> bool:
        """Whether it is anything but a yes. What is neither a yes nor a no refuses too."""
        return not 200 <= self.code < 300


class Dialogue:
    """A conversation on an open connection. Every method raises OSError (smtplib's errors are such) when the connection breaks."""

    def __init__(self, server: smtplib.SMTP) -> None:
        assert server.sock is not None
        self._server, self._socket = server, server.sock
        self._heard = b""
        # What TLS has sent of a piece when it breaks cannot be told.
        self._counts = not isinstance(server.sock, ssl.SSLSocket)
        self.pipelines = server.has_extn("pipelining")
        self._says_size = server.has_extn("size")
        self._takes_utf8 = server.has_extn("smtputf8")

    def takes(self, letter: Letter) -> bool:
        """Whether the server can be told the letter's address."""
        return self._takes_utf8 or not letter.needs_smtputf8

    def say(self, words: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(words)

    def hand_over(self, data: bytes, end: bytes) -> None:
        """Send a letter's data and its end. Raises NotHandedOverError if the connection breaks before a byte of the end was sent."""
        sent, both = 0, memoryview(data + end)
        try:
            if not (self.pipelines and self._counts):
                self.say(data)
                sent = len(data)
            while sent < len(both):
                sent += self._socket.send(both[sent:])
        except OSError as error:
            if sent < len(data):
                raise NotHandedOverError(str(error)) from error
            raise

    def announcement(self, letter: Letter) -> bytes:
        """MAIL, RCPT and DATA in one."""
        return b"".join(self._commands(letter))

    def introduce(self, letter: Letter, *, announced: bool) -> list[Reply]:
        """The answers to MAIL, RCPT and DATA; a server that does not pipeline is asked one after the other, up to its first no.

        Raises ClosedEarlyError if there is no answer to MAIL.
        """
        replies: list[Reply] = []
        try:
            if self.pipelines:
                if not announced:
                    self.say(self.announcement(letter))
                replies += (self.reply() for _ in _ANNOUNCED)
                return replies
            for command in self._commands(letter):
                self.say(command)
                replies.append(self.reply())
                if replies[-1].refuses:
                    break
        except OSError as error:
            if not replies:
                raise ClosedEarlyError(str(error)) from error
            raise
        return replies

    def _commands(self, letter: Letter) -> tuple[bytes, bytes, bytes]:
        options = f" SIZE={len(letter.message)}" if self._says_size else ""
        if letter.needs_smtputf8:
            options += " SMTPUTF8 BODY=8BITMIME"
        mail, rcpt = f"MAIL FROM:<{letter.envelope_from}>{options}", f"RCPT TO:<{letter.to}>"
        if not (mail + rcpt).isprintable():
            raise ValueError("an address with a line break or a control character in it")
        return f"{mail}\r\n".encode(), f"{rcpt}\r\n".encode(), b"DATA\r\n"

    def reply(self) -> Reply:
        """The next answer, as many lines as it has."""
        texts: list[bytes] = []
        while True:
            line = self._line()
            code = int(line[:3]) if line[:3].isdigit() else -1
            text = line[4:].strip()
            if code < 0 or line[3:4] != b"-":
                return Reply(code, b"\n".join([*texts, text]) if texts else text)
            texts.append(text)

    def _line(self) -> bytes:
        while (end := self._heard.find(b"\n")) < 0 and len(self._heard) <= _LONGEST_LINE:
            more = self._socket.recv(_AT_ONCE)
            if not more:
                raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")
            self._heard += more
        line, self._heard = (self._heard[:end], self._heard[end + 1 :]) if end >= 0 else (self._heard, b"")
        if len(line) > _LONGEST_LINE:
            raise smtplib.SMTPResponseException(500, "Line too long.")
        return line

    def quit(self, seconds: float) -> None:
        """Say goodbye, and wait so long for an answer."""
        self._socket.settimeout(seconds)
        self.say(b"QUIT\r\n")
        self.reply()

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._server.close()
