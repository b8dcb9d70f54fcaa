"""The rate limits of a mail server, shared through the ledger by all workers (design §11).

Two things are shared. **Slots** are times at which one letter may go, one interval apart. A worker reserves several slots in one short
transaction, and needs the ledger again only when they are used. Slots only move forward, so that hosts whose clocks differ wait for each
other and never exceed the rate. **Counts** are the letters of each minute of the last day. A worker counts letters before it sends them,
and uncounts those that did not go. The letters of a minute count until 24 hours after its end, so no day has more than its limit.
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
"""More reservations than workers could hold at a time. Slots further ahead come from a clock that has been set back since."""

Sent = tuple[datetime, int]
"""The beginning of a minute (UTC), and how many letters went in it."""


def reserve(ledger: Ledger, server: str, interval: timedelta, slots: int, now: datetime) -> datetime:
    """Reserves so many slots in a row, `interval` apart, for the caller alone; the first of them. `now` is the real time (UTC)."""
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
    """Locks a server's row until the transaction ends; when the next letter may go to the server."""
    ahead = connection.execute(sa.select(rate_slot.c.next_at).where(rate_slot.c.server == server).with_for_update()).scalar()
    if ahead is None:
        connection.execute(sa.insert(rate_slot).values(server=server, next_at=now))
    return ahead or now


def minute_of(instant: datetime) -> datetime:
    """The beginning of an instant's minute (UTC)."""
    return instant - (instant - EPOCH) % MINUTE


def count_in(ledger: Ledger, server: str, limit: int, wanted: int, now: datetime, *, forget: datetime, back: Mapping[datetime, int]) -> int:
    """Counts up to `wanted` letters as sent in this minute, as many as fit into the limit of the last 24 hours; how many.

    `back` are letters that were counted in earlier minutes and did not go, as for `give_back`. Counts of minutes before `forget` are
    deleted.
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
    """Subtracts letters that did not go from the counts of their minutes; a negative number is added."""

    def given_back(connection: sa.Connection) -> None:
        _locked(connection, server, EPOCH)
        _give_back(connection, server, back)

    ledger.write(given_back)


def sent_lately(connection: sa.Connection, server: str, now: datetime, *, locked: bool = False) -> list[Sent]:
    """The minutes whose letters count towards the limit of a day at an instant, oldest first.

    Minutes more than a day ahead are ignored: they come from a clock that has been set back since. With `locked` the latest committed rows
    are read, even if the transaction began earlier.
    """
    counts = (rate_count.c.minute > now - DAY - MINUTE, rate_count.c.minute <= now + DAY, rate_count.c.letters > 0)
    wanted = sa.select(rate_count.c.minute, rate_count.c.letters).where(rate_count.c.server == server, *counts)
    wanted = wanted.order_by(rate_count.c.minute)
    found = connection.execute(wanted.with_for_update() if locked else wanted)
    return [(minute, int(letters)) for minute, letters in found]


def room_at(sent: Sequence[Sent], limit: int) -> datetime | None:
    """When one more letter fits into the limit of a day (UTC); None if it fits now."""
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
