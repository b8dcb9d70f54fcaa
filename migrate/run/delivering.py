"""Sends the queued letters, as the configuration says: the second half of a run, and all of `migrate send`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.exc import IntegrityError

from migrate import outbox
from migrate.config import Config
from migrate.delivery import Clock, Delivered, DeliverySettings, RateLimiter, SendTimes, Shutdown, deliver
from migrate.explain.queue import forecast_of, hurried_by, smtp_of
from migrate.ledger import kept_texts, runs
from migrate.ledger.engine import Ledger
from migrate.ledger.runs import Run
from migrate.mail.compose import Composer
from migrate.mail.settings import SmtpSettings
from migrate.mail.transport import Transport, open_transport
from migrate.outbox.claims import Claims
from migrate.run.summary import Sending

Watch = Callable[[str, int], None]
"""Is called with progress: a step (`fetch`, `read`, `deliver`) and how many more accounts, rows or letters are done. Before `deliver` it is
called with `queued`, how many letters wait, and with `done_at`, when they will have gone by the forecast (seconds since 1970), if there is
one."""

_LEASE: Final = timedelta(minutes=5)
"""A lease lasts so much longer than the longest try at a letter."""
HURRY: Final = timedelta(seconds=1)
"""A delivery waits so long for the ledger, then checks whether it was asked to end, and waits on."""


def unwatched(_step: str, _more: int) -> None:
    """Ignores progress."""


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
    transport: Transport | None = None,
) -> Delivered:
    """Delivers the queued letters that may go now.

    `sender` names this worker in the ledger. Several `processes` share the connections of the configuration; this is the one with this
    `number`, from 0. With `until_empty` it also waits for letters that are to be tried again soon. `stop` asks it to end. Letters go by
    `transport` if it is given, else by the configured one.
    """
    smtp = smtp_of(config)
    with ledger.read() as connection:
        last = runs.last(connection, campaign_id)
    assert last is not None  # a campaign is made by its first run
    stale_at = last.directory_read_at + timedelta(hours=config.safety.stale_hours)
    hours = config.schedule.hours(config.campaign.zone)
    times = SendTimes(hours, stale_at)
    longest_try = timedelta(seconds=smtp.longest_try if smtp else 0)
    stop = stop or Shutdown()
    _keep_templates(ledger, composer, clock())
    with ledger.with_patience(HURRY) as impatient:
        claims = Claims(impatient, campaign_id, sender, _LEASE + longest_try, config.campaign.zone, longest_try=longest_try)
        now = clock()
        ready = claims.waiting(now, only_confirmations=times.only_confirmations(now), ending_by=times.ending_by(now))
        watch("queued", ready)
        with impatient.read() as connection:
            # The forecast counts these letters apart: they do not wait for the send hours.
            at_any_hour = ready
            if hours.open_at(now) and not hours.always:
                at_any_hour = claims.waiting(now, only_confirmations=True, ending_by=hurried_by(config, now))
            foretold = forecast_of(config, connection, ready, now, at_any_hour)
        if foretold.done_at:
            watch("done_at", int(foretold.done_at.timestamp()))
        delivered = deliver(
            claims,
            composer,
            transport or open_transport(config.mail, stop.event),
            clock,
            DeliverySettings(
                bounce_days=config.mail.bounce_days,
                connections=smtp.connections // processes if smtp else 1,
                until_empty=until_empty,
                number=number,
            ),
            times=times,
            limiter=_limiter(config, impatient, smtp, clock, stop) if smtp else None,
            stop=stop,
            watch=lambda more: watch("deliver", more),
        )
    with ledger.read() as connection:
        delivered.too_late = outbox.too_late(connection, (sender,), now)
        if clock() >= stale_at:
            delivered.stale = outbox.reminders_waiting(connection, campaign_id)
    return delivered


def _keep_templates(ledger: Ledger, composer: Composer, now: datetime) -> None:
    """Keeps the texts that letters are composed with: a template may have changed since the run that queued them."""
    with ledger.read() as connection:
        if kept_texts.known(connection, composer.digest):
            return
    with suppress(IntegrityError):  # another process has just kept the same
        ledger.write(lambda connection: kept_texts.keep(connection, composer.digest, "mail", composer.kept, now))


def _limiter(config: Config, ledger: Ledger, smtp: SmtpSettings, clock: Clock, stop: Shutdown) -> RateLimiter:
    """The rate limiter of the mail server. Its slots follow the real clock. In a rehearsal that plays days through, its days are the
    run's."""
    day_clock = clock if config.safety.allow_time_travel else None
    return RateLimiter(ledger, smtp.server, smtp.rates, day_clock=day_clock, stop=stop)


def sent_in(ledger: Ledger, recorded: Run, delivered: Delivered, sender: str) -> Sending:
    """What became of letters in a run: those that it delivered, and those that the run or its `sender` withdrew."""
    actors, since = (recorded.run_id, sender), recorded.started_at
    with ledger.read() as connection:
        return Sending(
            sent=delivered.sent,
            failed=delivered.failed,
            uncertain=delivered.uncertain,
            withdrawn=outbox.withdrawn_by(connection, actors, since),
            queued=outbox.queued(connection, recorded.campaign_id),
            stale=delivered.stale,
            outside_hours=delivered.outside_hours,
            too_late=outbox.too_late(connection, actors, since),
        )
