"""The interface of transports: `send` hands a letter to a mail server and gives a receipt (design §11).

    with transport.connect() as connection:
        receipt = connection.send(letter)

A transport is one module and one line in `_TRANSPORTS`. `connect` and `send` raise MailServerError if no letter to anybody can be handed
over; what the server says about one letter is in that letter's receipt.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Final, Literal, NamedTuple, Protocol

from migrate.mail.letter import Letter
from migrate.mail.refusals import Refusal
from migrate.mail.settings import MailSettings
from migrate.outside import LogText

Verdict = Literal["sent", "temporary", "permanent", "uncertain"]

BURST: Final = 32
"""The most letters that a pipelining connection has in hand. If the server takes letters faster than the ledger commits, so many become
`sending` in one commit; if the process is killed, all of them are `uncertain`."""


class Receipt(NamedTuple):
    """What the mail server said about a letter.

    `sent`: it took the letter. `temporary`: it did not, and another try may help. `permanent`: it never will. `uncertain`: it may have
    taken the letter, and nobody can know. `reply` is the server's last words, `code` the enhanced status (RFC 3463) of a refusal, if there
    was one. `bad_connection` is true if the connection failed, so that the letter may go over another one at once. `refusal` says what a
    refusal is about; None if the server took the letter or said nothing.
    """

    verdict: Verdict
    reply: LogText
    code: str | None = None
    bad_connection: bool = False
    refusal: Refusal | None = None

    @property
    def about_server(self) -> bool:
        """Whether the refusal concerns the server or us, not the letter or its recipient; it then does not count as a try."""
        return self.refusal is not None and self.refusal.about == "server"

    @property
    def bad_address(self) -> bool:
        """Whether the server called the recipient's address unknown or disabled."""
        return self.refusal is not None and self.refusal.about == "recipient"


class Connection(Protocol):
    """An open connection to the mail server.

    `at_once` is how many letters may be in hand at the same time: 1 where more would not help, at most `BURST`.
    """

    @property
    def at_once(self) -> int: ...

    def send(self, letter: Letter, then: Letter | None = None) -> Receipt:
        """Hands one letter over. After any receipt the connection can be used for the next letter.

        `then` is the letter that will most likely be next. A server that pipelines gets its envelope already, and no data.
        """


class Transport(Protocol):
    """A mail server that connections can be opened to."""

    def connect(self) -> AbstractContextManager[Connection]:
        """An open connection, for one thread at a time."""


_TRANSPORTS: Final = {
    "maildir": "migrate.mail.maildir:open_maildir",
    "smtp": "migrate.mail.smtp:open_smtp",
}


def open_transport(settings: MailSettings, ended: threading.Event | None = None) -> Transport:
    """The transport that the configuration names. Nothing is connected yet.

    Once `ended` is set, only waits for a letter's answers go on; `connect` raises MailServerError at once.
    """
    module, _, name = _TRANSPORTS[settings.transport].partition(":")
    transport: Transport = getattr(import_module(module), name)(settings, ended or threading.Event())
    return transport
