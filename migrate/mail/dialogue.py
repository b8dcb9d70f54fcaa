"""SMTP on an open connection: commands and replies, pipelined where the server allows it (RFC 2920), and the time limit of each."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from typing import Final, NamedTuple

from migrate.mail.letter import Letter
from migrate.mail.timeouts import Timeouts
from migrate.outside import log

_LONGEST_LINE: Final = 8192
_LONGEST_ANSWER: Final = 1 << 20
"""Bytes in all the lines of an answer."""
_AT_ONCE: Final = 65536
_OPENING: Final = ("EHLO", "HELO", "STAR", "AUTH")
_ANNOUNCED: Final = ("MAIL", "RCPT", "DATA")
_LOOK_UP: Final = 0.25
"""Seconds until a wait notices that the delivery was asked to end."""
_LAST_WORDS: Final = 0.5
"""Seconds to listen for a server's last words after it stopped reading."""


class HungUpError(OSError):
    """The connection broke. `words` is what the server said last, an unfinished answer or words out of turn; empty if it said nothing."""

    def __init__(self, why: str, words: bytes = b"") -> None:
        super().__init__(f"{why}; it said: {log(words)}" if words.strip() else why)
        self.words = words


class SilentError(TimeoutError):
    """No answer came in time. `to` is the command that it should have answered."""

    def __init__(self, to: str) -> None:
        super().__init__(f"there was no answer in time to {to}")
        self.to = to


class ClosedEarlyError(OSError):
    """The server hung up before it answered MAIL."""


class NotHandedOverError(OSError):
    """The connection broke before the end of a letter's data was sent, so the server cannot have taken it."""


class Reply(NamedTuple):
    """A server's answer. `code` is -1 if it does not begin with a number; `text` is its lines without the code."""

    code: int
    text: bytes

    @property
    def refuses(self) -> bool:
        """Whether the code is not 2xx. An answer that is neither yes nor no refuses too."""
        return not 200 <= self.code < 300


class Dialogue:
    """A conversation on an open connection. Every method raises OSError when the connection breaks or an answer does not come in time.

    Once `ended` is set, no wait lasts longer than `timeouts.answer`, not even for the data or for the answer to its end.
    """

    def __init__(self, line: socket.socket, timeouts: Timeouts, ended: threading.Event | None = None) -> None:
        self._socket = line
        self._timeouts = timeouts
        self._ended = ended or threading.Event()
        self._heard = b""
        self._lines: list[bytes] = []
        """The lines so far of an answer that has more lines."""
        self._said = 0
        self._extensions: dict[str, str] = {}
        self._patience: float | None = None
        self._given_up_at: float | None = None
        self._sent = 0
        self._learn()

    def _learn(self) -> None:
        # When a TLS connection breaks, nobody can tell how much of a piece was sent.
        self._counts = not isinstance(self._socket, ssl.SSLSocket)
        self.pipelines = self.offers("pipelining")
        self._says_size = self.offers("size")
        self._takes_utf8 = self.offers("smtputf8")

    @property
    def own_address(self) -> str:
        """The address of this end of the connection."""
        address: str = self._socket.getsockname()[0]
        return address

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The mechanisms for signing in that the server offers (RFC 4954), in the server's order."""
        return tuple(dict.fromkeys(self._extensions.get("auth", "").upper().split()))

    def offers(self, extension: str) -> bool:
        """Whether the server named the extension in its answer to EHLO."""
        return extension in self._extensions

    def takes(self, letter: Letter) -> bool:
        """Whether the server takes an address like the letter's: one outside ASCII needs SMTPUTF8."""
        return self._takes_utf8 or not letter.needs_smtputf8

    def ask(self, command: str) -> Reply:
        """Sends a command of one line; the answer. If the server hung up, its last words are the answer, even if they are unfinished or
        were sent before the command."""
        verb = command.partition(" ")[0] if command[:4] in _OPENING else "our sign-in"
        try:
            self.say(command.encode() + b"\r\n")
            return self.reply()
        except TimeoutError as error:
            raise SilentError(verb) from error
        except HungUpError as error:
            if not error.words.strip():
                raise HungUpError(f"{error}, in answer to {verb}") from error
            return _last_answer(error)

    def greeting(self, seconds: float) -> Reply:
        """The server's first words. Raises TimeoutError after `seconds`; the caller may then wait for them again."""
        try:
            return self.reply(seconds)
        except HungUpError as error:
            return _last_answer(error)

    def hello(self, name: str) -> Reply:
        """Sends EHLO, or HELO to a server that does not know EHLO; the answer. From then on `offers` knows the server's extensions."""
        reply = self.ask(f"EHLO {name}")
        if 500 <= reply.code < 505:
            with contextlib.suppress(OSError):
                reply = self.ask(f"HELO {name}")
            return reply
        self._extensions = {}
        for line in reply.text.decode("utf-8", "replace").splitlines()[1:]:
            keyword, _, parameters = line.replace("=", " ", 1).partition(" ")
            self._extensions[keyword.lower()] = f"{self._extensions.get(keyword.lower(), '')} {parameters}".strip()
        self._learn()
        return reply

    def encrypt(self, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
        """Speaks TLS from here on. Raises OSError, also if unencrypted words came after the go-ahead: an attacker may have put them
        there."""
        if self._heard:
            raise HungUpError("the server said more than its go-ahead before the encryption began", self._heard)
        self._patient(self._timeouts.answer)
        self._socket = line = context.wrap_socket(self._socket, server_hostname=host)
        self._patience, self._extensions = None, {}
        self._learn()
        return line

    def say(self, words: bytes) -> None:
        """Sends bytes unchanged. Raises HungUpError with the server's last words."""
        try:
            self._push(words, self._timeouts.answer)
        except TimeoutError:
            raise
        except OSError as error:
            raise HungUpError(str(error), self._last_words()) from error

    def _push(self, words: bytes, seconds: float) -> None:
        """Sends all of `words` within `seconds`. `_sent` counts the bytes that were sent, also when the connection breaks."""
        self._sent, until = 0, self._begin(seconds)
        while self._sent < len(words):
            try:
                self._sent += self._socket.send(memoryview(words)[self._sent :] if self._sent else words)
            except TimeoutError:
                until = self._goes_on(until)
            else:
                if self._sent < len(words):
                    until = self._goes_on(until)

    def hand_over(self, data: bytes, end: bytes) -> None:
        """Sends a letter's data and its end. Raises NotHandedOverError if the connection breaks before a byte of the end was sent.

        Raises it as well if the server said something out of turn: that would be taken for the answer to the end.
        """
        if self._heard:
            raise NotHandedOverError(_unasked(self._heard))
        together = self.pipelines and self._counts
        try:
            self._push(data + end if together else data, self._timeouts.data)
        except OSError as error:
            if not together or self._sent < len(data):
                raise NotHandedOverError(str(error)) from error
            raise
        if not together:
            self._push(end, self._timeouts.data)

    def announcement(self, letter: Letter) -> bytes:
        """The three commands MAIL, RCPT and DATA, to be sent at once."""
        return b"".join(self._commands(letter))

    def introduce(self, letter: Letter, *, announced: bool) -> list[Reply]:
        """The answers to MAIL, RCPT and DATA, which are sent first unless they were `announced`. A server that does not pipeline gets them
        one by one, up to the first that it refuses.

        Raises ClosedEarlyError if MAIL was not answered, or if an answer came before it.
        """
        if self._heard and not announced:
            raise ClosedEarlyError(_unasked(self._heard))
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

    def reply(self, seconds: float | None = None) -> Reply:
        """The next answer with all its lines. Raises TimeoutError after `seconds`; the caller may then wait for it again."""
        heard = self._heard
        if not self._lines and 0 < (end := heard.find(b"\n")) <= _LONGEST_LINE and heard[3:4] != b"-":
            self._heard = heard[end + 1 :]
            return _one_line(heard[:end])  # it is here already, so there is nothing to wait for
        until = self._begin(self._timeouts.answer if seconds is None else seconds)
        while True:
            line = self._line(until)
            if line[3:4] == b"-" and line[:3].isdigit():
                self._lines.append(line)
                self._said += len(line)
                if self._said > _LONGEST_ANSWER:
                    raise HungUpError("the server began an answer that has no end", self._lines[0])
                until = self._goes_on(until)
            elif not self._lines:
                return _one_line(line)
            else:
                lines, self._lines, self._said = [*self._lines, line], [], 0
                return _reply(lines)

    def reply_to_end(self) -> Reply:
        """The answer to the end of the data. If none comes in time, nobody knows whether the server took the letter."""
        return self.reply(self._timeouts.end)

    def _line(self, until: float) -> bytes:
        while (end := self._heard.find(b"\n")) < 0 and len(self._heard) <= _LONGEST_LINE:
            try:
                more = self._socket.recv(_AT_ONCE)
            except TimeoutError:
                until = self._goes_on(until)
                continue
            except OSError as error:
                raise HungUpError(str(error), self._unfinished()) from error
            if not more:
                raise HungUpError("the server closed the connection", self._unfinished())
            self._heard += more
            if b"\n" not in more:
                until = self._goes_on(until)
        line, self._heard = (self._heard[:end], self._heard[end + 1 :]) if end >= 0 else (self._heard, b"")
        if len(line) > _LONGEST_LINE:
            raise HungUpError("the server answered with a line that has no end")
        return line

    def _begin(self, seconds: float) -> float:
        """Begins something that may take `seconds`; the monotonic time at which it must be done."""
        self._given_up_at = None
        self._patient(min(seconds, _LOOK_UP))
        return time.monotonic() + seconds

    def _goes_on(self, until: float) -> float:
        """The instant at which it must be done, sooner once `ended` is set. Raises TimeoutError when it is past."""
        now = time.monotonic()
        if self._ended.is_set():
            self._given_up_at = self._given_up_at or now + self._timeouts.answer
            until = min(until, self._given_up_at)
        if now >= until:
            raise TimeoutError("there was no answer in time")
        return until

    def _patient(self, seconds: float) -> None:
        if seconds != self._patience:
            self._socket.settimeout(seconds)
            self._patience = seconds

    def _unfinished(self) -> bytes:
        """The part of an answer that came before the connection broke."""
        return b"\n".join(line.strip() for line in (*self._lines, self._heard))

    def _last_words(self) -> bytes:
        """What a server said before it stopped reading."""
        try:
            until = self._begin(_LAST_WORDS)
            while True:
                self._lines.append(self._line(until))
        except OSError:
            return self._unfinished()

    def quit(self, seconds: float) -> None:
        """Sends QUIT and waits `seconds` for the answer."""
        self._timeouts = self._timeouts._replace(answer=seconds)
        self.say(b"QUIT\r\n")
        self.reply()

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._socket.close()


def _unasked(heard: bytes) -> str:
    return f"the server said more than it was asked: {log(heard[:_LONGEST_LINE])}"


def _last_answer(error: HungUpError) -> Reply:
    """The last words of a server that hung up, as an answer; raises the error if there are none."""
    if not error.words.strip():
        raise error
    return _reply(error.words.splitlines())


def _one_line(line: bytes) -> Reply:
    """An answer of one line, as nearly all are."""
    code = line[:3]
    return Reply(int(code), line[4:].strip()) if code.isdigit() else Reply(-1, line.strip())


def _reply(lines: list[bytes]) -> Reply:
    """The answer of these lines; its code is that of the last one."""
    replies = [_one_line(line) for line in lines]
    return Reply(replies[-1].code, b"\n".join(reply.text for reply in replies))
