"""Delivery: claim, send, settle (design §9, §11). What may go wrong is written down before it is tried.

A letter becomes `sending` in the ledger, committed, before the mail server hears of it, and is settled right after. If the process dies in
between, nobody knows whether the letter went: it becomes `uncertain` and is shown to a person, and it is not sent again by itself.

`deliver` does all of this in one process. It runs one sender for each connection. A sender has one letter in hand, or two, so that the
next one can be announced; where the ledger is slower than the mail server, more letters are `sending`, and wait with the `Batcher`. That
claims and settles for all senders, and one `RateLimiter` keeps the rate limit, which all processes of a ledger share. `workers` delivers
in several processes at once.
"""

from __future__ import annotations

from migrate.delivery.crew import deliver
from migrate.delivery.delivered import Clock, Delivered, Progress
from migrate.delivery.forecast import Forecast, forecast
from migrate.delivery.rate_limiter import RateLimiter
from migrate.delivery.send_times import SendTimes
from migrate.delivery.sender import DeliverySettings
from migrate.delivery.shutdown import Shutdown
from migrate.delivery.waiting import Waiting, waiting
from migrate.delivery.workers import workers

__all__ = [
    "Clock",
    "Delivered",
    "DeliverySettings",
    "Forecast",
    "Progress",
    "RateLimiter",
    "SendTimes",
    "Shutdown",
    "Waiting",
    "deliver",
    "forecast",
    "waiting",
    "workers",
]
