"""The delivering half of a run, and all of `migrate send`: letters that are queued, sent as the configuration says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from migrate.config import Config
from migrate.delivery import Clock, Delivered, Pace, Stop, Waiting, deliver, waiting
from migrate.ledger import outbox, runs
from migrate.ledger.claims import Claims
from migrate.ledger.engine import Ledger
from migrate.ledger.runs import Run
from migrate.mail.compose import Composer
from migrate.mail.settings import SmtpSettings
from migrate.mail.transport import open_transport

Watch = Callable[[str, int], None]
"""Hears of progress: the step (`read`, `deliver`) and how many more rows or letters are done; and before `deliver`, of how many letters
wait (`queued`)."""

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
    stop: Stop | None = None,
) -> Delivered:
    """Delivers what is queued; several `processes` share the connections of the configuration, and this is the one with the `number`."""
    smtp = smtp_of(config)
    with ledger.read() as connection:
        last = runs.last(connection, campaign_id)
    assert last is not None  # a campaign is made by its first run
    stale_at = last.directory_read_at + timedelta(hours=config.safety.stale_hours)
    hours = config.schedule.hours(config.campaign.zone)
    lease = _LEASE + timedelta(seconds=smtp.longest_try if smtp else 0)
    stop = stop or Stop()
    with ledger.hurried(HURRY) as hurried:
        claims = Claims(hurried, campaign_id, sender, lease, config.campaign.zone)
        now = clock()
        watch("queued", claims.waiting(now, only_confirmations=now >= stale_at or not hours.open_at(now)))
        delivered = deliver(
            claims,
            composer,
            open_transport(config.mail, stop.event),
            Pace(hurried, f"{smtp.host}:{smtp.port}", smtp.letters_per_second, stop=stop) if smtp else None,
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
    if clock() >= stale_at:
        with ledger.read() as connection:
            delivered.stale = outbox.reminders_waiting(connection, campaign_id)
    return delivered


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
