"""The seam to a mail server: a transport has one verb, and answers with a receipt (design §11).

    with transport.connect() as connection:
        receipt = connection.send(letter)

A transport is one module and one line in `_TRANSPORTS`. `connect` and `send` raise MailServerError when no letter can be handed over at
all, whoever it is for; what is said about one letter is its receipt.
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
"""Letters that may be said in one burst on a connection, each announced in the breath that ends the one before: where letters are taken
faster than the ledger is written, so many are begun with in one commit, and in doubt if the process is killed."""


class Receipt(NamedTuple):
    """What the mail server said about a letter.

    `sent`: it took the letter. `temporary`: it did not, and trying again may help. `permanent`: it never will. `uncertain`: it may have
    taken it; whether it did cannot be known. `reply` is its last words; `code` the enhanced status (RFC 3463) of a refusal, if it gave one;
    `bad_connection` is true if what failed was the connection, so that the letter may go over another one at once; `refusal` is what a
    refusal is about, None where nothing was said or the letter was taken.
    """

    verdict: Verdict
    reply: LogText
    code: str | None = None
    bad_connection: bool = False
    refusal: Refusal | None = None

    @property
    def about_server(self) -> bool:
        """Whether what was refused is neither the letter nor its recipient: the letter was not tried."""
        return self.refusal is not None and self.refusal.about == "server"

    @property
    def bad_address(self) -> bool:
        """Whether the very address was refused, as unknown or disabled."""
        return self.refusal is not None and self.refusal.about == "recipient"


class Connection(Protocol):
    """A way to the mail server that is open.

    `at_once` is how many letters may be begun with together, if that helps (`BURST`, or one).
    """

    @property
    def at_once(self) -> int: ...

    def send(self, letter: Letter, then: Letter | None = None) -> Receipt:
        """Hand one letter over. After any receipt the connection can be used for the next.

        `then` is what will most likely be sent next: a server may be told of it already, and no more than told.
        """


class Transport(Protocol):
    """A way to the mail server."""

    def connect(self) -> AbstractContextManager[Connection]:
        """An open connection, for one thread at a time."""


_TRANSPORTS: Final = {
    "maildir": "migrate.mail.maildir:open_maildir",
    "smtp": "migrate.mail.smtp:open_smtp",
}


def open_transport(settings: MailSettings, ended: threading.Event | None = None) -> Transport:
    """The transport that the configuration names. Nothing is connected yet.

    Once `ended` is set nothing is waited for that is not about a letter: to connect raises MailServerError at once.
    """
    module, _, name = _TRANSPORTS[settings.transport].partition(":")
    transport: Transport = getattr(import_module(module), name)(settings, ended or threading.Event())
    return transport
