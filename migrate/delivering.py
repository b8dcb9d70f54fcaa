"""The delivering half of a run, and all of `migrate send`: letters that are queued, sent as the configuration says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import sqlalchemy as sa

from migrate.addressing import bounced
from migrate.config import Config
from migrate.delivery import Clock, Delivered, Forecast, RateLimiter, Shutdown, Waiting, deliver, waiting
from migrate.ledger import outbox, rates, runs
from migrate.ledger.claims import Claims
from migrate.ledger.engine import Ledger
from migrate.ledger.runs import Run
from migrate.mail.compose import Composer
from migrate.mail.settings import SmtpSettings
from migrate.mail.transport import open_transport

Watch = Callable[[str, int], None]
"""Hears of progress: the step (`read`, `deliver`) and how many more rows or letters are done; and before `deliver`, of how many letters
wait (`queued`), and when they will have gone if that is foretold (`done_at`, seconds since 1970)."""

_LEASE: Final = timedelta(minutes=5)
"""How long the lease of a letter outlasts the longest try at it."""
HURRY: Final = timedelta(seconds=1)
"""How long a delivery waits for the ledger before it looks whether it is asked to end, and then waits on."""


def unwatched(_step: str, _more: int) -> None:
    """Progress that nobody watches."""


def deliver_waiting(
    config: Config,
    ledger: Ledger,
    campaign_id: int,
    composer: Composer,
    sender: str,
    clock: Clock,
    watch: Watch,
    *,
    processes: int = 1,
    number: int | None = None,
    until_empty: bool = False,
    stop: Shutdown | None = None,
) -> Delivered:
    """Delivers what is queued; several `processes` share the connections of the configuration, and this is the one with the `number`."""
    smtp = smtp_of(config)
    with ledger.read() as connection:
        last = runs.last(connection, campaign_id)
    assert last is not None  # a campaign is made by its first run
    stale_at = last.directory_read_at + timedelta(hours=config.safety.stale_hours)
    hours = config.schedule.hours(config.campaign.zone)
    longest_try = timedelta(seconds=smtp.longest_try if smtp else 0)
    stop = stop or Shutdown()
    with ledger.hurried(HURRY) as hurried:
        claims = Claims(hurried, campaign_id, sender, _LEASE + longest_try, config.campaign.zone, longest_try=longest_try)
        now = clock()
        closed_until = hours.closed_until(now)
        only_confirmations, ending_by = now >= stale_at or closed_until is not None, None if now >= stale_at else closed_until
        ready = claims.waiting(now, only_confirmations=only_confirmations, ending_by=ending_by)
        watch("queued", ready)
        with hurried.read() as connection:
            # What may go outside the hours does not wait for them.
            foretold = forecast_of(config, connection, ready, now, waits=closed_until is None)
        if foretold.done_at:
            watch("done_at", int(foretold.done_at.timestamp()))
        delivered = deliver(
            claims,
            composer,
            open_transport(config.mail, stop.event),
            _limiter(config, hurried, smtp, clock, stop) if smtp else None,
            clock,
            bounce_days=config.mail.bounce_days,
            stale_at=stale_at,
            hours=hours,
            connections=smtp.connections // processes if smtp else 1,
            until_empty=until_empty,
            stop=stop,
            number=number,
            watch=lambda more: watch("deliver", more),
        )
    with ledger.read() as connection:
        delivered.too_late = outbox.too_late(connection, (sender,), now)
        if clock() >= stale_at:
            delivered.stale = outbox.reminders_waiting(connection, campaign_id)
    return delivered


def _limiter(config: Config, ledger: Ledger, smtp: SmtpSettings, clock: Clock, stop: Shutdown) -> RateLimiter:
    """The rate limiter of the mail server. Its clock is the real one; where days are only played through, those of the run count."""
    day_clock = clock if config.safety.allow_time_travel else None
    return RateLimiter(ledger, smtp.server, smtp.rates, day_clock=day_clock, stop=stop)


def forecast_of(config: Config, connection: sa.Connection, letters: int, now: datetime, *, waits: bool = True) -> Forecast:
    """When so many letters will have gone, from an instant on; inside the send hours if they wait for them. Of a Maildir nothing is
    foretold: it takes no time.

    Letters that a closed window would keep past the cutoff go at night (`Hours.waits`).
    """
    smtp = smtp_of(config)
    if smtp is None:
        return Forecast(letters)
    now = now.astimezone(UTC)
    hours = config.schedule.hours(config.campaign.zone)
    shut = now if hours.closed_until(now) else hours.next_window(now).closes
    ends = config.campaign.cutoff_at if now < config.campaign.cutoff_at else None
    kept = hours if waits and hours.waits(shut, ends) else None
    sent = rates.sent_lately(connection, smtp.server, now) if smtp.rates.per_day is not None else []
    return Forecast.of(letters, smtp.rates, now, kept, sent)


def smtp_of(config: Config) -> SmtpSettings | None:
    """The settings of the mail server, if letters go to one."""
    return config.mail.smtp if config.mail.transport == "smtp" else None


def outbox_of(ledger: Ledger, campaign_id: int | None) -> dict[str, int]:
    """How many letters of the campaign are in each state."""
    with ledger.read() as connection:
        return outbox.counts(connection, campaign_id)


def waiting_until(config: Config, ledger: Ledger, campaign_id: int, now: datetime) -> Waiting:
    """Which letters wait, and until when."""
    with ledger.read() as connection:
        return waiting(connection, campaign_id, config.schedule.hours(config.campaign.zone), now)


def unreachable_of(config: Config, ledger: Ledger, campaign_id: int, now: datetime) -> dict[str, int]:
    """`unreachable` in the object of `migrate run --json`: how many reminded accounts cannot be mailed since their address `bounced`, and
    how many may be before a person must look (`allowed`)."""
    with ledger.read() as connection:
        count = bounced(connection, campaign_id, config.policy.remind, config.safety.allowed_domains, now)
    return {"bounced": count, "allowed": config.safety.guard_floor}


def delivery_of(config: Config, ledger: Ledger, campaign_id: int, now: datetime) -> Forecast:
    """When what is queued will have gone."""
    with ledger.read() as connection:
        return queue_forecast(config, connection, campaign_id, now)


def queue_forecast(config: Config, connection: sa.Connection, campaign_id: int, now: datetime) -> Forecast:
    """When what is queued will have gone, those that the mail server put off included: they do not go before their time. Nothing is
    foretold while reminders wait for a run to read the directory again."""
    found = forecast_of(config, connection, outbox.queued(connection, campaign_id), now)
    last = runs.last(connection, campaign_id)
    if found.done_at is None or last is None:
        return found
    stale = now >= last.directory_read_at + timedelta(hours=config.safety.stale_hours)
    if stale and outbox.reminders_waiting(connection, campaign_id):
        return replace(found, done_at=None)
    again = outbox.put_off_until(connection, campaign_id)
    if again is None or again <= found.done_at:
        return found
    return replace(found, done_at=forecast_of(config, connection, 1, again).done_at)


def letters_of(ledger: Ledger, recorded: Run, delivered: Delivered, sender: str) -> dict[str, int]:
    """What became of letters in this run, and how many wait after it."""
    with ledger.read() as connection:
        withdrawn = outbox.withdrawn_by(connection, (recorded.run_id, sender), recorded.started_at)
        queued = outbox.queued(connection, recorded.campaign_id)
    return {
        "sent": delivered.sent,
        "failed": delivered.failed,
        "uncertain": delivered.uncertain,
        "withdrawn": withdrawn,
        "queued": queued,
    }


def too_late_in(ledger: Ledger, recorded: Run, sender: str) -> int:
    """How many letters this run, and its delivery, withdrew past their end that had never been tried."""
    with ledger.read() as connection:
        return outbox.too_late(connection, (recorded.run_id, sender), recorded.started_at)
