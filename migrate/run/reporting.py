"""Writes the evidence of a run and completes the run; one run of a campaign at a time."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed, wait_random

from migrate.config import Config
from migrate.delivery import Clock
from migrate.errors import LockedError, ReportError
from migrate.explain.queue import bounced_of, delivery_of, waiting_until
from migrate.files.spill import scratch_folder
from migrate.incremental import Records
from migrate.ledger import history, runs
from migrate.ledger.engine import Ledger
from migrate.ledger.lock import RunLock
from migrate.ledger.runs import Run
from migrate.report import evidence, told
from migrate.report.evidence import Evidence
from migrate.report.recall import LAST_EVENT, Recall
from migrate.report.terms import Terms
from migrate.run.reading import fingerprint
from migrate.run.summary import Summary, Waits

_PAGE: Final = 20_000
"""Accounts that are read from the ledger at a time."""
PATIENCE: Final = timedelta(minutes=5)
"""How long to wait while another run writes its reports."""


def write_reports(
    config: Config,
    ledger: Ledger,
    recorded: Run,
    summary: Summary,
    clock: Clock,
    at: datetime,
    patience: timedelta = PATIENCE,
    records: Records | None = None,
) -> tuple[Summary, Evidence | None]:
    """Writes the evidence as of `at` and completes the run. Returns its summary with the folder of the evidence, and the evidence (None if
    no formats are set). Only one run of a campaign does this at a time, so that each manifest names the one before.

    `records` is what the run recorded, if the caller still has it; otherwise it is read from the ledger, which takes longer. Raises
    LockedError if another run holds the lock for longer than `patience`, and ReportError if the evidence cannot be written.
    """
    terms = Terms.of(config.waves, config.schedule, config.policy)
    with reporting(config, ledger, patience):
        if not recorded.directory_fingerprint:
            recorded = replace(recorded, directory_fingerprint=_fingerprint(ledger, recorded))
            ledger.write(lambda connection: runs.record_fingerprint(connection, recorded.seq, recorded.directory_fingerprint))
        with ledger.read() as connection:
            last_event = history.last_event(connection)
            kept_in = config.ledger.told_of(config.campaign.name)
            chronicle = Recall(connection, recorded, terms, at, last_event, records, kept_in)
            written = evidence.write(chronicle, config.reports, summary.facts(), kept_in)
        summary = summary.reported(written.folder if written else None)

        def complete(connection: sa.Connection) -> None:
            left = {told.DIGEST: written.told} if written and written.told else {}
            runs.record_counts(connection, recorded.seq, {**recorded.counts, **summary.late_counts(), LAST_EVENT: last_event, **left})
            runs.complete(
                connection,
                recorded.seq,
                finished_at=clock(),
                evidence=str(written.folder) if written else None,
                evidence_at=at,
                manifest_digest=written.manifest_digest if written else None,
            )

        ledger.write(complete)
        return summary, written


def waits_at(config: Config, ledger: Ledger, campaign_id: int, at: datetime) -> Waits:
    """The letters that wait at an instant, and the people who cannot be reached."""
    return Waits(
        waiting=waiting_until(config, ledger, campaign_id, at),
        delivery=delivery_of(config, ledger, campaign_id, at),
        unreachable=bounced_of(config, ledger, campaign_id, at),
    )


@contextmanager
def already_done(summary: Summary) -> Iterator[None]:
    """Adds to a ReportError that the run itself is recorded and only its reports are missing."""
    try:
        yield
    except ReportError as error:
        sent, queued = summary.sending.sent, summary.sending.queued
        what = f"{error.what} Run {summary.run_id} is recorded: {sent:,} letters sent, {queued:,} queued; only its reports are missing."
        raise ReportError(what, where=error.where, hint=error.hint) from error


@contextmanager
def reporting(config: Config, ledger: Ledger, patience: timedelta = PATIENCE) -> Iterator[None]:
    """Holds the lock for writing reports. Waits up to `patience` for another holder, then raises LockedError."""
    patiently = Retrying(
        retry=retry_if_exception_type(LockedError),
        stop=stop_after_delay(patience),
        wait=wait_fixed(0.2) + wait_random(0, 0.3),
        reraise=True,
    )
    with patiently(RunLock.acquire, ledger, config.campaign.name, "report", f"report-{secrets.token_hex(8)}"):
        yield


def _fingerprint(ledger: Ledger, recorded: Run) -> str:
    """The fingerprint of a run's read, computed from the ledger: the run ended before it had one."""
    try:
        with ledger.read() as connection, scratch_folder() as scratch:
            return fingerprint(history.accounts_as_of(connection, recorded.campaign_id, recorded.seq, chunk=_PAGE), scratch)
    except OSError as error:
        raise ReportError(f"there is no room to look at all accounts: {error.strerror or error}.", where="TMPDIR") from error
