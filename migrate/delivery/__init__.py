"""Delivery: claim, send, settle (design §9, §11). Each moment of danger is written down before it happens.

A letter is `sending` in the ledger, committed, before the transport is spoken to, and settled right after. Whatever happens in between,
a letter is never sent twice for not knowing: it becomes `uncertain`, and a person is shown it.

`deliver` is the whole of it for one process: as many senders as there are connections, each with one letter in hand or, where the ledger
is slower than the mail server, a few, at one `Batcher` that claims and settles for all of them, with one `RateLimiter`, whose rates all
processes of a ledger share. `workers` is several processes at once.
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
