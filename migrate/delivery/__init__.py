"""Delivery: claim, send, settle (design §9, §11). What may go wrong is written down before it is tried.

A letter becomes `sending` in the ledger, committed, before the mail server hears of it, and is settled right after. If the process dies in
between, nobody knows whether the letter went: it becomes `uncertain` and is shown to a person, and it is not sent again by itself.

`deliver` does all of this in one process. It runs one sender for each connection. A sender has one letter in hand, or a few where the
ledger is slower than the mail server. One `Batcher` claims and settles for all senders, and one `RateLimiter` keeps the rate limit, which
all processes of a ledger share. `workers` delivers in several processes at once.
"""

from __future__ import annotations

from migrate.delivery.crew import deliver
from migrate.delivery.delivered import Clock, Delivered, Watch
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
    "RateLimiter",
    "SendTimes",
    "Shutdown",
    "Waiting",
    "Watch",
    "deliver",
    "forecast",
    "waiting",
    "workers",
]
