"""What becomes of the letters that wait: how many, until when, when they will have gone, and who cannot be reached."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from migrate import outbox
from migrate.config import Config
from migrate.decide.addressing import bounced
from migrate.delivery import Forecast, Waiting, waiting
from migrate.ledger import runs
from migrate.ledger.engine import Ledger
from migrate.mail.settings import SmtpSettings
from migrate.outbox import rates


def smtp_of(config: Config) -> SmtpSettings | None:
    """The settings of the mail server, if letters go to one."""
    return config.mail.smtp if config.mail.transport == "smtp" else None


def forecast_of(config: Config, connection: sa.Connection, letters: int, now: datetime, *, waits: bool = True) -> Forecast:
    """When so many letters will have gone, from an instant on; inside the send hours if they wait for them. Of a Maildir nothing is
    foretold: it takes no time.

    Letters that a closed window would keep past the last cutoff that is to come go at night (`Hours.waits`).
    """
    smtp = smtp_of(config)
    if smtp is None:
        return Forecast(letters)
    now = now.astimezone(UTC)
    hours = config.schedule.hours(config.campaign.zone)
    shut = now if hours.closed_until(now) else hours.next_window(now).closes
    ends = max((cutoff for each in config.waves.campaigns.values() if (cutoff := each.cutoff_at) > now), default=None)
    kept = hours if waits and hours.waits(shut, ends) else None
    sent = rates.sent_lately(connection, smtp.server, now) if smtp.rates.per_day is not None else []
    return Forecast.of(letters, smtp.rates, now, kept, sent)


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


def unreachable_of(config: Config, ledger: Ledger, campaign_id: int, now: datetime) -> dict[str, int]:
    """`unreachable` in the object of `migrate run --json`: how many reminded accounts cannot be mailed since their address `bounced`, and
    how many may be before a person must look (`allowed`)."""
    with ledger.read() as connection:
        count = bounced(connection, campaign_id, config.policy.remind, config.safety.allowed_domains, now)
    return {"bounced": count, "allowed": config.safety.guard_floor}
