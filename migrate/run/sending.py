"""`migrate send`: delivers the queued letters and does nothing else, in one process or in several that share the connections."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from migrate.config import Config
from migrate.delivery import Delivered, Forecast, Shutdown, Waiting, workers
from migrate.errors import ConfigError, MailServerError
from migrate.explain.queue import delivery_of, outbox_of, smtp_of, waiting_until
from migrate.ledger import campaigns
from migrate.ledger.engine import Ledger
from migrate.ledger.lock import worker_name
from migrate.run import provenance
from migrate.run.delivering import Watch, deliver_waiting, unwatched
from migrate.run.start import clock_from, no_time_travel
from migrate.run.summary import Sending, Waits, exit_code


@dataclass(frozen=True, slots=True)
class Sent:
    """What `migrate send` did, and what waits after it. `stopped` is the error that ended it early, `signal` the signal that did."""

    campaign: str
    sending: Sending
    waits: Waits
    stopped: MailServerError | None = None
    signal: int | None = None

    @property
    def exit_code(self) -> int:
        """The first exit code that applies (design §15)."""
        return exit_code(self.signal, [self.stopped] if self.stopped else [], self.sending, self.waits)

    def facts(self) -> dict[str, Any]:
        """The object of `migrate send --json`."""
        return {"campaign": self.campaign} | self.sending.facts() | self.waits.facts()


def send(config: Config, as_of: datetime | None = None, watch: Watch = unwatched, *, processes: int = 1, until_empty: bool = False) -> Sent:
    """Delivers the queued letters. Several processes share the connections of the configuration; each has at least one. With `until_empty`
    it also waits for letters that are to be tried again soon. Raises ConfigError if there are more processes than connections."""
    smtp = smtp_of(config)
    if smtp and processes > smtp.connections:
        raise ConfigError(
            f"[mail.smtp] connections = {smtp.connections} allows no more workers than that.",
            where="--workers",
            hint="Ask for fewer workers, or allow more connections if the mail server does.",
        )
    with provenance.opened(config) as ledger:
        no_time_travel(config, ledger, as_of)
        with ledger.read() as connection:
            campaign_id = campaigns.find(connection, config.campaign.name)
        if campaign_id is None:
            return _sent(config, Delivered(), 0, Waits(waiting=Waiting(), delivery=Forecast()))
        clock = clock_from(as_of)
        if processes == 1:
            composer = config.composer()
            delivered = deliver_waiting(config, ledger, campaign_id, composer, worker_name(), clock, watch, until_empty=until_empty)
        else:
            delivered = workers(processes, send_beside, config, campaign_id, as_of, processes, until_empty)
        now = clock()
        waits = Waits(waiting=waiting_until(config, ledger, campaign_id, now), delivery=delivery_of(config, ledger, campaign_id, now))
        return _sent(config, delivered, outbox_of(ledger, campaign_id)["queued"], waits)


def _sent(config: Config, delivered: Delivered, queued: int, waits: Waits) -> Sent:
    sending = Sending(
        sent=delivered.sent,
        failed=delivered.failed,
        uncertain=delivered.uncertain,
        withdrawn=None,
        queued=queued,
        stale=delivered.stale,
        outside_hours=delivered.outside_hours,
        too_late=delivered.too_late,
    )
    return Sent(config.campaign.name, sending, waits, delivered.stopped, delivered.signal)


def send_beside(
    config: Config, campaign_id: int, as_of: datetime | None, processes: int, until_empty: bool, number: int, stop: Shutdown
) -> Delivered:
    """Delivers in one of several processes of `send`."""
    composer, clock = config.composer(), clock_from(as_of)
    with Ledger.open(config.ledger, create=False) as ledger:
        return deliver_waiting(
            config,
            ledger,
            campaign_id,
            composer,
            worker_name(),
            clock,
            unwatched,
            processes=processes,
            number=number,
            until_empty=until_empty,
            stop=stop,
        )
