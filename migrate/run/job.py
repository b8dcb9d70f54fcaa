"""One run from start to finish; and the dry run, which takes the same path and stops before the commit (design §2).

This is the only module that knows every step. Read `go_on`: it continues after `migrate.run.start` with `walk` (read, decide, guard), and
then records, keeps, delivers and reports.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from migrate import outbox
from migrate.config import Config
from migrate.core.moment import Moment
from migrate.decide.draft import Draft
from migrate.delivery import Clock, Delivered
from migrate.directory import open_directory
from migrate.errors import GuardError, LockedError, MigrateError, ReportError
from migrate.explain.waves import COUNTED, members_of, outlook
from migrate.files.spill import scratch_folder
from migrate.incremental import Whole
from migrate.ledger import campaigns, runs
from migrate.ledger.engine import Ledger
from migrate.ledger.lock import worker_name
from migrate.ledger.runs import Run
from migrate.mail.compose import Composer
from migrate.mail.transport import Transport
from migrate.process.prefetch import meanwhile
from migrate.report.evidence import Evidence
from migrate.review import approval, dry_runs, vouching
from migrate.run import provenance
from migrate.run.clock_guard import doubt
from migrate.run.delivering import HURRY, Watch, deliver_waiting, sent_in, unwatched
from migrate.run.keeping import keep
from migrate.run.path import Drafted, room_in, walk
from migrate.run.reading import Kept
from migrate.run.recording import write_down
from migrate.run.reporting import PATIENCE, already_done, waits_at, write_reports
from migrate.run.start import Given, Options, Start, clock_from, started
from migrate.run.summary import Decision, Foretold, Sending, Summary, exit_code


@dataclass(frozen=True, slots=True)
class Result:
    """What a run did. `stopped` are the errors of a guard and of the mail server that held back a part of it, `signal` is the signal that
    ended its delivery."""

    summary: Summary
    stopped: tuple[MigrateError, ...] = ()
    signal: int | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """The object of `migrate run --json`."""
        return self.summary.facts()

    @property
    def exit_code(self) -> int:
        """130 or 143 if a signal ended the delivery; else the first that applies of 4, 6 and 5 (design §15)."""
        return exit_code(self.signal, self.stopped, self.summary.sending, self.summary.waits)


class Stopped(GuardError):  # noqa: N818 - what happened to a run, like `Result`
    """A guard stopped a run. `foretold` is what the run would have done; its `out` is the folder of a dry run, which is written now (None
    if it could not be). `more` are the errors of further guards."""

    def __init__(self, first: GuardError, more: tuple[GuardError, ...], foretold: Foretold) -> None:
        super().__init__(first.what, where=first.where, hint=first.hint)
        self.foretold, self.more = foretold, more


class _Refused(Exception):  # noqa: N818 - it carries a draft out of the transaction, which is rolled back by it
    def __init__(self, drafted: Drafted) -> None:
        super().__init__()
        self.drafted = drafted


def run(
    config: Config,
    options: Options = Options(),
    watch: Watch = unwatched,
    composer: Composer | None = None,
    transport: Transport | None = None,
) -> Result:
    """The scheduled job. Raises an error before it has changed anything (`Stopped` by a guard), or returns what it did.

    A caller that has the configuration's `composer` already may pass it. Letters go by `transport` if it is given, else by the configured
    one.
    """
    with started(config, options, composer) as start:
        return go_on(start, watch, transport)


def go_on(start: Start, watch: Watch = unwatched, transport: Transport | None = None) -> Result:
    """Takes a started run through to its end; raises `Stopped` if a guard stops it. The lock is released before the delivery."""
    config, options, clock, ledger = start.config, start.options, start.clock, start.ledger
    start.directory.watched(lambda more: watch("fetch", more))
    with scratch_folder() as scratch:
        with start.alone:
            now = options.as_of or clock()
            with suppress(ReportError, LockedError):  # not this run's error; `migrate report` shows it
                _complete(config, ledger, clock)
            approved = _approval(start, now)

            def record(connection: sa.Connection, drafted: Drafted) -> tuple[Drafted, Future[Kept], Run]:
                if drafted.refused:
                    raise _Refused(drafted)
                kept = meanwhile(lambda: drafted.kept(config))
                described = start.directory.describe()
                recorded = write_down(connection, drafted.draft, drafted.decision, config, approved, described, typed=bool(options.as_of))
                start.lock.still_mine(connection)
                return drafted, kept, recorded

            try:
                drafted, kept, recorded = walk(start, now, scratch, start.reading, ledger.write_much, record, watch, approved=approved)
            except _Refused as refused:
                raise _stopped(refused.drafted, start) from None
            vouching.clear(config)
            recorded, records = keep(config, ledger, recorded, kept)
        sender = worker_name()
        delivered = Delivered()
        if options.send:
            delivered = deliver_waiting(config, ledger, recorded.campaign_id, start.composer, sender, clock, watch, transport=transport)
        # If the clock was set back during the run, the evidence must still not be dated before what it reports.
        at = max(clock(), recorded.started_at)
        sending, waits = sent_in(ledger, recorded, delivered, sender), waits_at(config, ledger, recorded.campaign_id, at)
        summary = Summary(run_id=recorded.run_id, decision=drafted.decision, sending=sending, waits=waits)
        try:
            with already_done(summary):
                patience = HURRY if delivered.signal else PATIENCE
                summary, _ = write_reports(config, ledger, recorded, summary, clock, at, patience, records)
        except LockedError:
            # A run that was asked to end does not wait for its reports; `migrate report` writes them later.
            if not delivered.signal:
                raise
    return Result(summary, tuple(error for error in (drafted.held, delivered.stopped) if error), delivered.signal)


@contextmanager
def dry_run(config: Config, options: Options = Options(), watch: Watch = unwatched) -> Iterator[tuple[Draft, Whole, Foretold]]:
    """The same path without any effect: yields the draft, every account as it would be recorded, and what the run would do. Their files
    exist only inside the context. No guard stops a dry run: `stopped` has the errors that would stop the run. Reminders that a run would
    hold are held here too.
    """
    clock = clock_from(options.as_of)
    composer = config.composer()
    composer.refuse_overruns()
    directory = open_directory(config.directory)
    directory.watched(lambda more: watch("fetch", more))
    with provenance.looked_at(config) as ledger, scratch_folder() as scratch:
        now = options.as_of or clock()
        unsure = doubt(config, ledger, now) if options.as_of is None else None

        def look(decide: Callable[[sa.Connection], Drafted]) -> Drafted:
            with ledger.read() as connection:
                return decide(connection)

        given = Given(config, options, clock, composer, directory, ledger)
        drafted = walk(given, now, scratch, directory.begun(), look, lambda _, drafted: drafted, watch, doubt=unsure)
        with room_in(scratch):
            whole = drafted.whole()
            waves = outlook(config, members_of(whole.records.batches(COUNTED), config), now)
        yield drafted.draft, whole, replace(drafted.foretold(config, ledger), waves=waves)


def finish(config: Config) -> tuple[str, Evidence | None] | None:
    """If the last run ended before its reports were written, writes them and completes it; its id and evidence. None if there was nothing
    to do. Raises as `write_reports` does."""
    with provenance.looked_at(config) as ledger, ledger.read() as connection:
        if _without_reports(connection, config) is None:
            return None
    with Ledger.open(config.ledger, create=False) as ledger:
        with ledger.read() as connection:
            last = _without_reports(connection, config)
        return _completed(config, ledger, last, clock_from(None), PATIENCE) if last else None


def _complete(config: Config, ledger: Ledger, clock: Clock) -> None:
    """Completes the last run if it died before its reports were written, unless somebody is delivering or writing reports now."""
    with ledger.read() as connection:
        last = _without_reports(connection, config)
        if last is None or outbox.held(connection, last.campaign_id):
            return
    _completed(config, ledger, last, clock, HURRY)


def _without_reports(connection: sa.Connection, config: Config) -> Run | None:
    last = runs.last(connection, campaigns.find(connection, config.campaign.name))
    return last if last and last.state != "completed" else None


def _completed(config: Config, ledger: Ledger, last: Run, clock: Clock, patience: timedelta) -> tuple[str, Evidence | None]:
    at = max(clock(), last.started_at)
    with ledger.read() as connection:
        sending = Sending.recalled(connection, last, at)
    waits = waits_at(config, ledger, last.campaign_id, at)
    summary = Summary(run_id=last.run_id, decision=Decision.recalled(last), sending=sending, waits=waits)
    _, written = write_reports(config, ledger, last, summary, clock, at, patience)
    return last.run_id, written


def _approval(start: Start, now: datetime) -> approval.Approval | None:
    """The reviewed plan that this run is to apply; None if there is none. Raises an error if the plan may not be applied now."""
    config, options = start.config, start.options
    if options.plan is None:
        return None
    with start.ledger.read() as connection:
        secret = vouching.secret_of(connection, config)
    return approval.read(options.plan, config, start.composer, Moment.of(config.waves, config.schedule, now), options.approved_by, secret)


def _stopped(drafted: Drafted, start: Start) -> Stopped:
    """The error of a run that a guard stopped. It carries what the run would have done, and the folder of a dry run."""
    config, now = start.config, drafted.decision.as_of
    foretold = drafted.foretold(config, start.ledger)
    with suppress(OSError, ReportError):  # the guard's error matters more than the folder
        foretold = replace(foretold, out=dry_runs.write_stop(drafted.draft, drafted.whole(), config, now, start.clock(), foretold.stopped))
    first, *more = drafted.refused
    return Stopped(first, tuple(more), foretold)
