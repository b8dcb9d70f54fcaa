"""The letters that wait: how many, until when, when all will have been sent, and how many accounts cannot be reached."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from migrate import outbox
from migrate.config import Config
from migrate.delivery import Forecast, Waiting, waiting
from migrate.ledger import runs
from migrate.ledger.engine import Ledger
from migrate.mail.settings import SmtpSettings
from migrate.outbox import rates


def smtp_of(config: Config) -> SmtpSettings | None:
    """The settings of the mail server; None if letters go to a Maildir."""
    return config.mail.smtp if config.mail.transport == "smtp" else None


def forecast_of(config: Config, connection: sa.Connection, letters: int, now: datetime, hurried: int = 0) -> Forecast:
    """Forecasts when so many letters will have been sent, from an instant on. For a Maildir there is no forecast: it takes no time.

    Letters wait for the send hours, except the `hurried` ones (`hurried_by`). The forecast counts the hurried ones as if they took up send
    hours as well, so it is the latest instant for the others.
    """
    smtp = smtp_of(config)
    if smtp is None:
        return Forecast(letters)
    now, hours = now.astimezone(UTC), config.schedule.hours(config.campaign.zone)
    sent = rates.sent_lately(connection, smtp.server, now) if smtp.rates.per_day is not None else []
    kept = None if hours.always or hurried >= letters else hours
    return Forecast.of(letters, smtp.rates, now, kept, sent)


def hurried_by(config: Config, now: datetime) -> datetime | None:
    """The instant at which the send hours open again after they next close (or, outside them, after they closed); None if they never close.

    Letters that end by that instant do not wait for the send hours, and neither do confirmations.
    """
    hours = config.schedule.hours(config.campaign.zone)
    if hours.always:
        return None
    shut = now
    while (opens := hours.closed_until(shut)) is None:
        shut = hours.next_window(shut).closes
    return opens


def queue_forecast(config: Config, connection: sa.Connection, campaign_id: int, now: datetime) -> Forecast:
    """Forecasts when all queued letters will have been sent, also those that the mail server deferred: they are not tried before their
    time. There is no forecast while reminders wait for a run to read the directory again."""
    letters, hurried = outbox.queued(connection, campaign_id), hurried_of(config, connection, campaign_id, now)
    forecast = forecast_of(config, connection, letters, now, hurried)
    last = runs.last(connection, campaign_id)
    if forecast.done_at is None or last is None:
        return forecast
    stale = now >= last.directory_read_at + timedelta(hours=config.safety.stale_hours)
    if stale and outbox.reminders_waiting(connection, campaign_id):
        return replace(forecast, done_at=None)
    again = outbox.put_off_until(connection, campaign_id)
    if again is None or again <= forecast.done_at:
        return forecast
    return replace(forecast, done_at=forecast_of(config, connection, 1, again, int(hurried == letters)).done_at)


def hurried_of(config: Config, connection: sa.Connection, campaign_id: int, now: datetime) -> int:
    """How many queued letters are sent outside the send hours too."""
    if smtp_of(config) is None or (by := hurried_by(config, now)) is None:
        return 0
    return outbox.queued_for_any_hour(connection, campaign_id, by)


def delivery_of(config: Config, ledger: Ledger, campaign_id: int, now: datetime) -> Forecast:
    """`queue_forecast`, in a transaction of its own."""
    with ledger.read() as connection:
        return queue_forecast(config, connection, campaign_id, now)


def outbox_of(ledger: Ledger, campaign_id: int | None) -> dict[str, int]:
    """How many letters of the campaign are in each state."""
    with ledger.read() as connection:
        return outbox.counts(connection, campaign_id)


def waiting_until(config: Config, ledger: Ledger, campaign_id: int, now: datetime) -> Waiting:
    """Which letters wait, and until when."""
    with ledger.read() as connection:
        return waiting(connection, campaign_id, config.schedule.hours(config.campaign.zone), now)


@dataclass(frozen=True, slots=True)
class Bounced:
    """How many reminded accounts cannot be mailed because their address `bounced`, and how many are allowed before a person must look."""

    bounced: int
    allowed: int

    @property
    def too_many(self) -> bool:
        return self.bounced > self.allowed


def bounced_of(config: Config, ledger: Ledger, campaign_id: int, now: datetime) -> Bounced:
    """Counts the reminded accounts that cannot be mailed because their address bounced."""
    from migrate.decide.addressing import bounced

    with ledger.read() as connection:
        count = bounced(connection, campaign_id, config.policy.remind, config.safety.allowed_domains, now)
    return Bounced(count, config.safety.guard_floor)
