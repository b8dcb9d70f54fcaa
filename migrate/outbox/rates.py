"""What all workers of a ledger together send to a mail server, so that they keep its rates (design §11).

Two things are shared. **Slots** are times to send in, handed out one interval apart: a worker reserves several in one small transaction
and then needs the ledger no more until they are used. Slots only ever move forward, so that hosts whose clocks differ wait for one
another and never exceed the rate. **Counts** are the letters of each minute of the last day: a worker counts letters before it sends
them, and gives back those that did not go. A minute's letters count until 24 hours after its end, so a day never has more than its limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from migrate.ledger.engine import Ledger
from migrate.ledger.schema import EPOCH, rate_count, rate_slot

DAY: Final = timedelta(days=1)
MINUTE: Final = timedelta(minutes=1)
_MOST_RESERVATIONS: Final = 100
"""More reservations than workers could hold: slots further ahead than these were handed out by a clock that has since been set back."""

Sent = tuple[datetime, int]
"""A minute's beginning (UTC) and how many letters went in it."""


def reserve(ledger: Ledger, server: str, interval: timedelta, slots: int, now: datetime) -> datetime:
    """The first of so many slots in a row, `interval` apart, which nobody else has; `now` is the real clock's, in UTC."""
    try:
        return _reserve(ledger, server, interval, slots, now)
    except IntegrityError:
        # Two workers made the server's first row at once; it is there now.
        return _reserve(ledger, server, interval, slots, now)


def _reserve(ledger: Ledger, server: str, interval: timedelta, slots: int, now: datetime) -> datetime:
    with ledger.begin() as connection:
        ahead = _locked(connection, server, now)
        believable = ahead <= now + _MOST_RESERVATIONS * slots * interval
        first = max(ahead, now) if believable else now
        connection.execute(sa.update(rate_slot).where(rate_slot.c.server == server).values(next_at=first + slots * interval))
    return first


def _locked(connection: sa.Connection, server: str, now: datetime) -> datetime:
    """When the next letter may go to a server, whose rows are this transaction's alone until it ends."""
    ahead = connection.execute(sa.select(rate_slot.c.next_at).where(rate_slot.c.server == server).with_for_update()).scalar()
    if ahead is None:
        connection.execute(sa.insert(rate_slot).values(server=server, next_at=now))
    return ahead or now


def minute_of(instant: datetime) -> datetime:
    """The beginning of an instant's minute (UTC)."""
    return instant - (instant - EPOCH) % MINUTE


def count_in(ledger: Ledger, server: str, limit: int, wanted: int, now: datetime, *, forget: datetime, back: Mapping[datetime, int]) -> int:
    """Counts up to `wanted` letters as sent in this minute, as many as the last 24 hours still have room for; how many those are.

    `back` are letters of earlier minutes that were counted and did not go, as for `give_back`. Minutes before `forget` are forgotten.
    """

    def counted(connection: sa.Connection) -> int:
        _locked(connection, server, now)
        _give_back(connection, server, back)
        connection.execute(sa.delete(rate_count).where(rate_count.c.server == server, rate_count.c.minute < forget))
        room = limit - sum(letters for _, letters in sent_lately(connection, server, now, locked=True))
        letters = max(0, min(wanted, room))
        if letters:
            _add(connection, server, minute_of(now), letters)
        return letters

    try:
        return ledger.write(counted)
    except IntegrityError:  # as for `reserve`
        return ledger.write(counted)


def give_back(ledger: Ledger, server: str, back: Mapping[datetime, int]) -> None:
    """Takes letters that did not go out of the counts of their minutes; less than nothing is added to them."""

    def given_back(connection: sa.Connection) -> None:
        _locked(connection, server, EPOCH)
        _give_back(connection, server, back)

    ledger.write(given_back)


def sent_lately(connection: sa.Connection, server: str, now: datetime, *, locked: bool = False) -> list[Sent]:
    """The minutes in which letters went to a server that count at an instant, oldest first.

    What lies more than a day ahead was counted by a clock that has since been set back. `locked` reads what is committed by now, whatever
    the transaction saw before.
    """
    counts = (rate_count.c.minute > now - DAY - MINUTE, rate_count.c.minute <= now + DAY, rate_count.c.letters > 0)
    wanted = sa.select(rate_count.c.minute, rate_count.c.letters).where(rate_count.c.server == server, *counts)
    wanted = wanted.order_by(rate_count.c.minute)
    found = connection.execute(wanted.with_for_update() if locked else wanted)
    return [(minute, int(letters)) for minute, letters in found]


def room_at(sent: Sequence[Sent], limit: int) -> datetime | None:
    """When a day has room for one letter more (UTC), or None if it has room now."""
    over = sum(letters for _, letters in sent) - limit + 1
    if over <= 0:
        return None
    for minute, letters in sent:
        over -= letters
        if over <= 0:
            return minute + MINUTE + DAY
    raise AssertionError("a limit is one letter at least")


def _add(connection: sa.Connection, server: str, minute: datetime, letters: int) -> None:
    this = (rate_count.c.server == server, rate_count.c.minute == minute)
    if not connection.execute(sa.update(rate_count).where(*this).values(letters=rate_count.c.letters + letters)).rowcount:
        connection.execute(sa.insert(rate_count).values(server=server, minute=minute, letters=letters))


def _give_back(connection: sa.Connection, server: str, back: Mapping[datetime, int]) -> None:
    for minute, letters in sorted(back.items()):
        if letters < 0:
            _add(connection, server, minute, -letters)
            continue
        this = (rate_count.c.server == server, rate_count.c.minute == minute)
        connection.execute(sa.update(rate_count).where(*this).values(letters=rate_count.c.letters - letters))
