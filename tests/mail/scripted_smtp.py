"""A mail server that does as it is told: real sockets on loopback, one answer for each command.

    with ScriptedSmtp(rcpt=["550 5.1.1 no such user"], dot=DROP) as server:
        …connect to server.port…
    assert server.commands == ["EHLO", "MAIL", "RCPT", …]

Each of `connect`, `ehlo`, `helo`, `starttls`, `auth`, `mail`, `rcpt`, `data`, `body`, `dot`, `rset` and `quit` takes one answer,
given every time, or a list of answers, given in turn before the usual one. An answer is a line of text, DROP (hang up), HANG (say
nothing and keep the line open), something to call, or a tuple of these, done in order. `body` is what is done as soon as the first bytes
of the data arrive.

With `tls` it offers STARTTLS and a sign-in, and takes any password; with `implicit` it speaks TLS from the first byte. After a 334 to
`auth` the next line is a `response`, and whatever is called to answer either may look at `lines`.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self


class Do(enum.Enum):
    DROP = "hang up"
    HANG = "say nothing"


DROP, HANG = Do.DROP, Do.HANG
OFFERS = "250-scripted.example\r\n250-SIZE 20000000\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250 ENHANCEDSTATUSCODES"
Step = str | Do | Callable[[], object]
Answer = Step | tuple[Step, ...]

_USUAL: dict[str, Answer] = {
    "connect": "220 scripted.example ESMTP",
    "ehlo": "250-scripted.example\r\n250-SIZE 20000000\r\n250 ENHANCEDSTATUSCODES",
    "helo": "250 scripted.example",
    "starttls": "220 2.0.0 go ahead",
    "auth": "235 2.7.0 welcome",
    "response": "235 2.7.0 welcome",
    "mail": "250 2.1.0 ok",
    "rcpt": "250 2.1.5 ok",
    "data": "354 go ahead",
    "body": (),
    "dot": "250 2.0.0 queued",
    "rset": "250 2.0.0 ok",
    "quit": "221 2.0.0 bye",
    "noop": "250 ok",
}


class ScriptedSmtp:
    """`commands` are the verbs heard, in order, and `lines` the whole of them; `messages` the data whose end arrived, dots doubled."""

    def __init__(self, tls: ssl.SSLContext | None = None, *, implicit: bool = False, **answers: Answer | list[Answer]) -> None:
        assert set(answers) <= set(_USUAL)
        self._tls, self._implicit = tls, implicit
        if tls is not None:
            answers = {"ehlo": OFFERS} | answers
        self._scripts = {verb: self._script(answers.get(verb, usual), usual) for verb, usual in _USUAL.items()}
        self.commands: list[str] = []
        self.lines: list[str] = []
        self.messages: list[bytes] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._closing = threading.Event()
        self._turn = threading.Lock()  # of a script, which several connections may read at once
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @staticmethod
    def _script(answers: Answer | list[Answer], usual: Answer) -> Iterator[Answer]:
        if isinstance(answers, list):
            yield from answers
            answers = usual
        while True:
            yield answers

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._closing.set()
        # Closing a listener does not wake its accept; a visit does.
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self._threads:
            thread.join(timeout=10)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            line, _ = self._listener.accept()
            if self._closing.is_set():
                line.close()
                return
            self.connections += 1
            self._threads.append(threading.Thread(target=self._serve, args=(line,), daemon=True))
            self._threads[-1].start()

    def _serve(self, line: socket.socket) -> None:
        spoken = [line]  # and the encrypted one, once there is one, which takes the plain one's place
        try:
            self._converse(spoken)
        except (_DroppedError, OSError):
            # A reset, so that the other side notices at once even while it is writing.
            with contextlib.suppress(OSError):
                spoken[-1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        finally:
            for each in spoken:
                each.close()

    def _converse(self, spoken: list[socket.socket]) -> None:
        line = spoken[-1]
        if self._implicit:
            line = self._encrypted(line, spoken)
        self._answer(line, "connect")
        heard, responds = b"", False
        while chunk := line.recv(65536):
            heard += chunk
            while b"\r\n" in heard:
                command, _, heard = heard.partition(b"\r\n")
                verb = "RESPONSE" if responds else command.split(b" ")[0].split(b":")[0].decode().upper()
                self.commands.append(verb)
                self.lines.append(command.decode())
                said = self._answer(line, verb.lower())
                responds = verb in ("AUTH", "RESPONSE") and said.startswith("334")
                if verb == "STARTTLS" and self._tls is not None:
                    # Python leaves a socket open that it could not wrap because the other side is dead already.
                    if not line.recv(1, socket.MSG_PEEK):
                        return
                    line = self._encrypted(line, spoken)
                if verb == "DATA" and said.startswith("354"):
                    heard = self._take_message(line, heard)
                if verb == "QUIT":
                    return

    def _encrypted(self, line: socket.socket, spoken: list[socket.socket]) -> socket.socket:
        assert self._tls is not None
        encrypted = self._tls.wrap_socket(line, server_side=True, do_handshake_on_connect=False)
        spoken.append(encrypted)  # before the handshake, which a client that was killed breaks off
        encrypted.do_handshake()
        return encrypted

    def _take_message(self, line: socket.socket, heard: bytes) -> bytes:
        heard = heard or line.recv(1)
        self._answer(line, "body")
        while b"\r\n.\r\n" not in heard:
            chunk = line.recv(65536)
            if not chunk:
                raise _DroppedError
            heard += chunk
        message, _, rest = heard.partition(b"\r\n.\r\n")
        self.messages.append(message + b"\r\n")
        self.commands.append(".")
        self._answer(line, "dot")
        return rest

    def _answer(self, line: socket.socket, verb: str) -> str:
        """Does the steps of an answer; the last that was said. What is called may return words to say."""
        with self._turn:
            answer = next(self._scripts[verb])
        said = ""
        for step in answer if isinstance(answer, tuple) else (answer,):
            if step is DROP:
                raise _DroppedError
            if step is HANG:
                self._closing.wait()
                raise _DroppedError
            words = step if isinstance(step, str) else step()
            if isinstance(words, str):
                line.sendall(words.encode("latin-1") + b"\r\n")
                said = words
        return said


class _DroppedError(Exception):
    pass
