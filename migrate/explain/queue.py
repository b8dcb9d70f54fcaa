"""What becomes of the letters that wait: how many, until when, when they will have gone, and who cannot be reached."""

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
    """The settings of the mail server, if letters go to one."""
    return config.mail.smtp if config.mail.transport == "smtp" else None


def forecast_of(config: Config, connection: sa.Connection, letters: int, now: datetime, hurried: int = 0) -> Forecast:
    """When so many letters will have gone, from an instant on. Of a Maildir nothing is foretold: it takes no time.

    They go inside the send hours, but for those that are `hurried` (`hurried_by`). The others are foretold as if those took room in the
    hours, too: they will have gone by then at the latest.
    """
    smtp = smtp_of(config)
    if smtp is None:
        return Forecast(letters)
    now, hours = now.astimezone(UTC), config.schedule.hours(config.campaign.zone)
    sent = rates.sent_lately(connection, smtp.server, now) if smtp.rates.per_day is not None else []
    kept = None if hours.always or hurried >= letters else hours
    return Forecast.of(letters, smtp.rates, now, kept, sent)


def hurried_by(config: Config, now: datetime) -> datetime | None:
    """When the send hours open again after they close next, or did: letters that end by then, each with its own account's cutoff, do not
    wait for them, and confirmations never do. None if the hours never close."""
    hours = config.schedule.hours(config.campaign.zone)
    if hours.always:
        return None
    shut = now
    while (opens := hours.closed_until(shut)) is None:
        shut = hours.next_window(shut).closes
    return opens


def queue_forecast(config: Config, connection: sa.Connection, campaign_id: int, now: datetime) -> Forecast:
    """When what is queued will have gone, those that the mail server put off included: they do not go before their time. Nothing is
    foretold while reminders wait for a run to read the directory again."""
    letters, hurried = outbox.queued(connection, campaign_id), hurried_of(config, connection, campaign_id, now)
    found = forecast_of(config, connection, letters, now, hurried)
    last = runs.last(connection, campaign_id)
    if found.done_at is None or last is None:
        return found
    stale = now >= last.directory_read_at + timedelta(hours=config.safety.stale_hours)
    if stale and outbox.reminders_waiting(connection, campaign_id):
        return replace(found, done_at=None)
    again = outbox.put_off_until(connection, campaign_id)
    if again is None or again <= found.done_at:
        return found
    return replace(found, done_at=forecast_of(config, connection, 1, again, int(hurried == letters)).done_at)


def hurried_of(config: Config, connection: sa.Connection, campaign_id: int, now: datetime) -> int:
    """How many of the letters that wait do not wait for the send hours."""
    if smtp_of(config) is None or (by := hurried_by(config, now)) is None:
        return 0
    return outbox.queued_for_any_hour(connection, campaign_id, by)


def delivery_of(config: Config, ledger: Ledger, campaign_id: int, now: datetime) -> Forecast:
    """When what is queued will have gone."""
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
    """How many reminded accounts cannot be mailed since their address `bounced`, and how many may be before a person must look."""

    bounced: int
    allowed: int

    @property
    def too_many(self) -> bool:
        return self.bounced > self.allowed


def bounced_of(config: Config, ledger: Ledger, campaign_id: int, now: datetime) -> Bounced:
    """How many reminded accounts cannot be mailed since their address bounced."""
    from migrate.decide.addressing import bounced

    with ledger.read() as connection:
        count = bounced(connection, campaign_id, config.policy.remind, config.safety.allowed_domains, now)
    return Bounced(count, config.safety.guard_floor)
