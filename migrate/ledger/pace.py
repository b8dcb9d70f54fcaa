"""Slots in time to send in, handed out to all workers of a ledger, so that together they keep one rate (design §11).

A worker reserves several slots in one small transaction and then needs the ledger no more until they are used. Slots only ever move
forward, so that hosts whose clocks differ wait for one another and never exceed the rate.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from migrate.ledger.engine import Ledger
from migrate.ledger.schema import pace

_MOST_RESERVATIONS: Final = 100
"""More reservations than workers could hold: slots further ahead than these were handed out by a clock that has since been set back."""


def reserve(ledger: Ledger, server: str, interval: timedelta, slots: int, now: datetime) -> datetime:
    """The first of so many slots in a row, `interval` apart, which nobody else has; `now` is the real clock's, in UTC."""
    try:
        return _reserve(ledger, server, interval, slots, now)
    except IntegrityError:
        # Two workers made the server's first row at once; it is there now.
        return _reserve(ledger, server, interval, slots, now)


def _reserve(ledger: Ledger, server: str, interval: timedelta, slots: int, now: datetime) -> datetime:
    this = pace.c.server == server
    with ledger.begin() as connection:
        ahead = connection.execute(sa.select(pace.c.next_at).where(this).with_for_update()).scalar()
        believable = ahead is not None and ahead <= now + _MOST_RESERVATIONS * slots * interval
        first = max(ahead, now) if ahead is not None and believable else now
        after = first + slots * interval
        if ahead is None:
            connection.execute(sa.insert(pace).values(server=server, next_at=after))
        else:
            connection.execute(sa.update(pace).where(this).values(next_at=after))
    return first
