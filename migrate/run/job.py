"""One run from start to finish, and the dry run that is the same path cut before the commit (design §2).

This is the only module that knows every step. Read `go_on`, which follows `migrate.run.start`: walk the path (read, decide, guard), record,
keep, deliver, report.
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
from migrate.ledger import runs
from migrate.ledger.engine import Ledger
from migrate.ledger.lock import worker
from migrate.ledger.prior import Prior
from migrate.ledger.runs import Run
from migrate.mail.compose import Composer
from migrate.mail.transport import Transport
from migrate.process.prefetch import meanwhile
from migrate.report.evidence import Evidence
from migrate.review import approval, dry_runs, vouching
from migrate.run import provenance
from migrate.run.clock import doubt
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
    """What a run did; `stopped` are the guard and the mail server that held a part of it back, `signal` what asked its delivery to end."""

    summary: Summary
    stopped: tuple[MigrateError, ...] = ()
    signal: int | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """The object of `migrate run --json`."""
        return self.summary.facts()

    @property
    def exit_code(self) -> int:
        """The first that applies of 4, 6 and 5 (design §15); before them 130 or 143 if a signal ended the delivery."""
        return exit_code(self.signal, self.stopped, self.summary.sending, self.summary.waits)


class Stopped(GuardError):  # noqa: N818 - what happened to a run, like `Result`
    """A guard stopped a run. `foretold` is what it would have been, its `out` the folder that a dry run would have made (None if that could
    not be written); `more` are the other guards that would have stopped it."""

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
    """The scheduled job. Raises before it changed anything (`Stopped` if a guard did), or returns what it did.

    `composer` is the one of this configuration, if the caller runs it more than once and has it already; letters go by `transport`, if
    there is one, in the place of the configured.
    """
    with started(config, options, composer) as start:
        return go_on(start, watch, transport)


def go_on(start: Start, watch: Watch = unwatched, transport: Transport | None = None) -> Result:
    """The run that has started, to its end; gives its lock back before it delivers."""
    config, options, clock, ledger = start.config, start.options, start.clock, start.ledger
    start.directory.watched(lambda more: watch("fetch", more))
    with scratch_folder() as scratch:
        with start.alone:
            now = options.as_of or clock()
            with suppress(ReportError, LockedError):  # `migrate report` says it, and this run looks whether it can write its own
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
                drafted, kept, recorded = walk(start, now, scratch, start.reading, ledger.write, record, watch, approved=approved)
            except _Refused as refused:
                raise _stopped(refused.drafted, start) from None
            vouching.clear(config)
            recorded, records = keep(config, ledger, recorded, kept)
        sender = worker()
        delivered = Delivered()
        if options.send:
            delivered = deliver_waiting(config, ledger, recorded.campaign_id, start.composer, sender, clock, watch, transport=transport)
        # A clock that was set back meanwhile does not date the evidence before what it tells of.
        at = max(clock(), recorded.started_at)
        sending, waits = sent_in(ledger, recorded, delivered, sender), waits_at(config, ledger, recorded.campaign_id, at)
        summary = Summary(run_id=recorded.run_id, decision=drafted.decision, sending=sending, waits=waits)
        try:
            with already_done(summary):
                patience = HURRY if delivered.signal else PATIENCE
                summary, _ = write_reports(config, ledger, recorded, summary, clock, at, patience, records)
        except LockedError:
            # Whoever was asked to end does not wait for the ledger; `migrate report` makes up for it.
            if not delivered.signal:
                raise
    return Result(summary, tuple(error for error in (drafted.held, delivered.stopped) if error), delivered.signal)


@contextmanager
def dry_run(config: Config, options: Options = Options(), watch: Watch = unwatched) -> Iterator[tuple[Draft, Whole, Foretold]]:
    """The same without any effect: the draft, every account as it would be recorded, and what it would come to. What they
    point to lives as long as the context. No guard stops it: `stopped` says which would stop the run, and reminders that would be held are
    held.
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
    """Writes the reports of the last run if it ended before it could, and completes it: its id and evidence, or None if there was nothing
    to do."""
    with provenance.looked_at(config) as ledger, ledger.read() as connection:
        if _without_reports(connection, config) is None:
            return None
    with Ledger.open(config.ledger, create=False) as ledger:
        with ledger.read() as connection:
            last = _without_reports(connection, config)
        return _completed(config, ledger, last, clock_from(None), PATIENCE) if last else None


def _complete(config: Config, ledger: Ledger, clock: Clock) -> None:
    """Completes the last run if it died before its reports were written, and nobody is delivering for it, or writes reports, now."""
    with ledger.read() as connection:
        last = _without_reports(connection, config)
        if last is None or outbox.held(connection, last.campaign_id):
            return
    _completed(config, ledger, last, clock, HURRY)


def _without_reports(connection: sa.Connection, config: Config) -> Run | None:
    last = runs.last(connection, Prior(connection, config.campaign.name).campaign_id)
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
    """The reviewed plan that a person wants applied, if it may be now."""
    config, options = start.config, start.options
    if options.plan is None:
        return None
    with start.ledger.read() as connection:
        secret = vouching.secret_of(connection, config)
    return approval.read(options.plan, config, start.composer, Moment.of(config.waves, config.schedule, now), options.approved_by, secret)


def _stopped(drafted: Drafted, start: Start) -> Stopped:
    """The error of a run that a guard stopped, with what it would have been: as facts, and as the folder of a dry run."""
    config, now = start.config, drafted.decision.as_of
    foretold = drafted.foretold(config, start.ledger)
    with suppress(OSError, ReportError):  # the guard's word matters more than the folder
        foretold = replace(foretold, out=dry_runs.write_stop(drafted.draft, drafted.whole(), config, now, start.clock(), foretold.stopped))
    first, *more = drafted.refused
    return Stopped(first, tuple(more), foretold)
