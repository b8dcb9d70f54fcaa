"""What is said to a mail server: commands and replies, several at once where it may (RFC 2920), and how long each is waited for."""

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
"""Characters in all the lines of an answer."""
_AT_ONCE: Final = 65536
_OPENING: Final = ("EHLO", "HELO", "STAR", "AUTH")
_ANNOUNCED: Final = ("MAIL", "RCPT", "DATA")
_LOOK_UP: Final = 0.25
"""Seconds until a wait notices that the delivery was asked to end."""
_LAST_WORDS: Final = 0.5
"""Seconds to listen to a server that does not take what it is told."""


class HungUpError(OSError):
    """The connection broke. `words` are what the server said last on it, unfinished or unasked; empty if it said nothing."""

    def __init__(self, why: str, words: bytes = b"") -> None:
        super().__init__(f"{why}; it said: {log(words)}" if words.strip() else why)
        self.words = words


class SilentError(TimeoutError):
    """There was no answer in time to what was said, named by its first word."""

    def __init__(self, to: str) -> None:
        super().__init__(f"there was no answer in time to {to}")
        self.to = to


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
    """A conversation on an open connection. Every method raises OSError when the connection breaks or an answer does not come in time.

    Once `ended` is set nothing is waited for longer than an answer may take.
    """

    def __init__(self, line: socket.socket, timeouts: Timeouts, ended: threading.Event | None = None) -> None:
        self._socket = line
        self._timeouts = timeouts
        self._ended = ended or threading.Event()
        self._heard = b""
        self._lines: list[bytes] = []
        """What has come of an answer that goes on."""
        self._said = 0
        self._extensions: dict[str, str] = {}
        self._patience: float | None = None
        self._given_up_at: float | None = None
        self._sent = 0
        self._learn()

    def _learn(self) -> None:
        # What TLS has sent of a piece when it breaks cannot be told.
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
        """The ways to sign in that the server offers (RFC 4954), in its order."""
        return tuple(dict.fromkeys(self._extensions.get("auth", "").upper().split()))

    def offers(self, extension: str) -> bool:
        """Whether the server named the extension in its answer to EHLO."""
        return extension in self._extensions

    def takes(self, letter: Letter) -> bool:
        """Whether the server can be told the letter's address."""
        return self._takes_utf8 or not letter.needs_smtputf8

    def ask(self, command: str) -> Reply:
        """A command of one line, and the answer: that of a server that hung up over it may have no end, or have come before the command."""
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
        """The server's first words, within so many seconds; after a timeout they can be waited for again."""
        try:
            return self.reply(seconds)
        except HungUpError as error:
            return _last_answer(error)

    def hello(self, name: str) -> Reply:
        """Say who we are, in the old way to a server that does not know the new one; the answer. What the server offers is known then."""
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
        """Speak TLS from here on. Raises OSError; what the server said in the clear after its go-ahead would be an attacker's."""
        if self._heard:
            raise HungUpError("the server said more than its go-ahead before the encryption began", self._heard)
        self._patient(self._timeouts.answer)
        self._socket = line = context.wrap_socket(self._socket, server_hostname=host)
        self._patience, self._extensions = None, {}
        self._learn()
        return line

    def say(self, words: bytes) -> None:
        """Send bytes as they are. Raises HungUpError, with what the server said before it hung up."""
        try:
            self._push(words, self._timeouts.answer)
        except TimeoutError:
            raise
        except OSError as error:
            raise HungUpError(str(error), self._last_words()) from error

    def _push(self, words: bytes, seconds: float) -> None:
        """Send it all within so many seconds; `_sent` counts what was sent of it, whatever happens."""
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
        """Send a letter's data and its end. Raises NotHandedOverError if the connection breaks before a byte of the end was sent.

        An answer that came unasked would be taken for the one to the end.
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
        """MAIL, RCPT and DATA in one."""
        return b"".join(self._commands(letter))

    def introduce(self, letter: Letter, *, announced: bool) -> list[Reply]:
        """The answers to MAIL, RCPT and DATA; a server that does not pipeline is asked one after the other, up to its first no.

        Raises ClosedEarlyError if there is no answer to MAIL, or one that came before it.
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
        """The next answer, as many lines as it has, within so many seconds. After a timeout it can be waited for again."""
        heard = self._heard
        if not self._lines and 0 < (end := heard.find(b"\n")) <= _LONGEST_LINE and heard[3:4] != b"-":
            self._heard = heard[end + 1 :]
            return _one_line(heard[:end])  # it came together with the one before: nothing is waited for
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
        """The answer to the end of the data: if it does not come in time, nobody knows what became of the letter."""
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
        """Until when something may take that is begun now, for so many seconds."""
        self._given_up_at = None
        self._patient(min(seconds, _LOOK_UP))
        return time.monotonic() + seconds

    def _goes_on(self, until: float) -> float:
        """Until when to go on with what is not done yet. Raises TimeoutError once that is past."""
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
        """What the server has said of an answer that has no end."""
        return b"\n".join(line.strip() for line in (*self._lines, self._heard))

    def _last_words(self) -> bytes:
        """What a server said before it stopped taking what it is told."""
        try:
            until = self._begin(_LAST_WORDS)
            while True:
                self._lines.append(self._line(until))
        except OSError:
            return self._unfinished()

    def quit(self, seconds: float) -> None:
        """Say goodbye, and wait so long for an answer."""
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
    """The last words of a server that hung up, if they are an answer or anything but one; raises the error if there are none."""
    if not error.words.strip():
        raise error
    return _reply(error.words.splitlines())


def _one_line(line: bytes) -> Reply:
    """`_reply` of one line, as nearly all are."""
    code = line[:3]
    return Reply(int(code), line[4:].strip()) if code.isdigit() else Reply(-1, line.strip())


def _reply(lines: list[bytes]) -> Reply:
    """The answer of these lines; its code is that of the last one."""
    replies = [_one_line(line) for line in lines]
    return Reply(replies[-1].code, b"\n".join(reply.text for reply in replies))
