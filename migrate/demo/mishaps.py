"""What goes wrong in the demo: mailboxes that do not exist, a connection that breaks at the worst moment, an export that ends early; and
the exceptions that people grant. All of it is the same every time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal
from zlib import crc32

from migrate.mail.letter import Letter
from migrate.mail.refusals import Refusal
from migrate.mail.transport import Connection, Receipt, Transport
from migrate.outside import log

TORN: Final = date(2024, 1, 17)
"""On this morning the export breaks off after a third of its rows; it is whole again an hour later."""
_GONE: Final = 151
"""One of so many mailboxes does not exist."""
_BROKEN: Final = 499
"""One of so many letters to people becomes uncertain."""


@dataclass(frozen=True, slots=True)
class Grant:
    """An exemption or a pause that is granted to the `which`-th of the people who have nothing but a telephone."""

    kind: Literal["exemption", "pause"]
    which: int
    until: date
    owner: str
    reason: str


GRANTED: Final[dict[date, tuple[Grant, ...]]] = {
    date(2023, 12, 21): (
        Grant("exemption", 3, date(2024, 3, 31), "ciso@example.com", "at sea until March"),
        Grant("exemption", 9, date(2024, 1, 26), "ciso@example.com", "waits for a security key"),
    ),
    date(2024, 1, 22): (
        Grant("exemption", 5, date(2024, 2, 10), "works.council@example.com", "no telephone of the company"),
        Grant("pause", 7, date(2024, 2, 9), "hr@example.com", "on leave"),
    ),
}
"""Day → what is granted after its first run."""


class Mishaps:
    """A transport that hands most letters to another one, and makes some fail."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @contextmanager
    def connect(self) -> Iterator[_Connection]:
        with self._transport.connect() as connection:
            yield _Connection(connection)


class _Connection:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.at_once = connection.at_once

    def send(self, letter: Letter, then: Letter | None = None) -> Receipt:
        if crc32(letter.to.encode()) % _GONE == 0:
            return _NOT_THERE
        receipt = self._connection.send(letter, then)
        broken = crc32(f"{letter.to} {letter.subject}".encode()) % _BROKEN == 0
        return Receipt("uncertain", log("the connection was lost after the letter was handed over")) if broken else receipt


_NOT_THERE: Final = Receipt(
    "permanent",
    log("550 5.1.1 no such mailbox"),
    "5.1.1",
    refusal=Refusal("recipient"),
)
