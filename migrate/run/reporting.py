"""The reporting half of a run: its evidence written, and the run completed; one run of a campaign at a time."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed, wait_random

from migrate.config import Config
from migrate.delivery import Clock
from migrate.errors import LockedError, ReportError
from migrate.explain.outlook import delivery_of, unreachable_of, waiting_until
from migrate.files.spill import scratch_folder
from migrate.incremental import Records
from migrate.ledger import history, runs
from migrate.ledger.engine import Ledger
from migrate.ledger.lock import RunLock
from migrate.ledger.runs import Run
from migrate.report import evidence
from migrate.report.recall import LAST_EVENT, Recall
from migrate.report.terms import Terms
from migrate.run.reading import fingerprint

_PAGE: Final = 20_000
"""So many accounts are read from the ledger at a time."""
PATIENCE: Final = timedelta(minutes=5)


def write_reports(
    config: Config,
    ledger: Ledger,
    recorded: Run,
    facts: dict[str, Any],
    clock: Clock,
    patience: timedelta = PATIENCE,
    records: Records | None = None,
) -> None:
    """Writes the evidence and completes the run; one run of a campaign at a time, so that each manifest names the one before.

    `records` are what the run recorded, if they are at hand: the ledger says the same, more slowly.
    """
    # A clock that was set back meanwhile does not date the evidence before what it tells of.
    at = max(clock(), recorded.started_at)
    facts["waiting"] = waiting_until(config, ledger, recorded.campaign_id, at).facts()
    facts["unreachable"] = unreachable_of(config, ledger, recorded.campaign_id, at)
    facts["delivery"] = delivery_of(config, ledger, recorded.campaign_id, at).facts()
    terms = Terms.of(config.waves, config.schedule, config.policy)
    with reporting(config, ledger, patience):
        if not recorded.directory_fingerprint:
            recorded = replace(recorded, directory_fingerprint=_fingerprint(ledger, recorded))
            ledger.write(lambda connection: runs.identify(connection, recorded.seq, recorded.directory_fingerprint))
        with ledger.read() as connection:
            last_event = history.last_event(connection)
            written = evidence.write(Recall(connection, recorded, terms, at, last_event, records), config.reports, facts)
        facts["evidence"] = str(written.folder) if written else None

        def complete(connection: sa.Connection) -> None:
            names = ("letters", "stale", "outside_hours", "too_late", "waiting", "delivery", "unreachable")
            known = {name: facts[name] for name in names} | {LAST_EVENT: last_event}
            runs.count(connection, recorded.seq, {**recorded.counts, **known})
            runs.complete(
                connection,
                recorded.seq,
                finished_at=clock(),
                evidence=facts["evidence"],
                evidence_at=at,
                manifest_digest=written.manifest_digest if written else None,
            )

        ledger.write(complete)


@contextmanager
def already_done(facts: dict[str, Any]) -> Iterator[None]:
    """A run whose reports cannot be written has happened all the same, and says so."""
    try:
        yield
    except ReportError as error:
        sent, queued = facts["letters"]["sent"], facts["letters"]["queued"]
        what = f"{error.what} Run {facts['run_id']} is recorded: {sent:,} letters sent, {queued:,} queued; only its reports are missing."
        raise ReportError(what, where=error.where, hint=error.hint) from error


@contextmanager
def reporting(config: Config, ledger: Ledger, patience: timedelta = PATIENCE) -> Iterator[None]:
    """Holds the right to write reports, waiting a while for whoever has it now."""
    patiently = Retrying(
        retry=retry_if_exception_type(LockedError),
        stop=stop_after_delay(patience),
        wait=wait_fixed(0.2) + wait_random(0, 0.3),
        reraise=True,
    )
    with patiently(RunLock.acquire, ledger, config.campaign.name, "report", f"report-{secrets.token_hex(8)}"):
        yield


def _fingerprint(ledger: Ledger, recorded: Run) -> str:
    """Of a run that ended before it knew the fingerprint of its read."""
    try:
        with ledger.read() as connection, scratch_folder() as scratch:
            return fingerprint(history.accounts_as_of(connection, recorded.campaign_id, recorded.seq, chunk=_PAGE), scratch)
    except OSError as error:
        raise ReportError(f"there is no room to look at all accounts: {error.strerror or error}.", where="TMPDIR") from error
