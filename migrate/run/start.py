"""The start of a run: begins to read the directory, makes all checks that need no read, and takes the lock.

The read begins first, in a thread: imports, templates and the ledger take a good part of a second, during which the directory is being
read already. It changes nothing, and what it finds is looked at only once all checks have passed. So the ledger is imported only after the
read has begun, and nothing here imports pandas or the modules that decide.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from migrate.directory import Directory, open_directory
from migrate.errors import ConfigError, DoneAlreadyError

if TYPE_CHECKING:
    from migrate.config import Config
    from migrate.delivery import Clock
    from migrate.ledger.engine import Ledger
    from migrate.ledger.lock import RunLock
    from migrate.ledger.runs import Run
    from migrate.mail.compose import Composer


@dataclass(frozen=True, slots=True)
class Options:
    """What a person asks of one run. `as_of` sets its time. If `send` is false, letters stay queued.

    `accept_directory` accepts a read that the partial-directory guard would refuse; with `as_baseline` its changes are recorded and nobody
    gets mail about them. `plan` is the folder of a reviewed dry run, and `approved_by` the person who approves it. `new_ledger` accepts a
    ledger that does not know the evidence beside it, and `accept_clock` a clock that nothing confirms. If another run began at
    `unless_since` or later, this one is not needed and ends.
    """

    as_of: datetime | None = None
    send: bool = True
    accept_directory: bool = False
    as_baseline: bool = False
    plan: Path | None = None
    approved_by: str = ""
    new_ledger: bool = False
    accept_clock: bool = False
    unless_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """What a run and a dry run both begin with."""

    config: Config
    options: Options
    clock: Clock
    composer: Composer
    directory: Directory
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Start(Given):
    """A run that has its lock. Closing `alone` releases the lock, and closing `reading` ends the reading ahead; the ledger stays open.
    `accepted` is a sentence about what was taken over with a new ledger."""

    lock: RunLock
    alone: ExitStack
    reading: ExitStack
    accepted: str | None = None


@contextmanager
def started(config: Config, options: Options, composer: Composer | None = None) -> Iterator[Start]:
    """Starts a run, up to its lock. Raises before anything has changed. At the end of the context the lock and the reading are given up, if
    they are still held."""
    now, new = clock_from(options.as_of), options.new_ledger
    directory, began = open_directory(config.directory), now()
    with ExitStack() as reading, ExitStack() as opened, ExitStack() as alone:
        if options.plan is None:  # a plan is checked first, before the directory is read
            reading.enter_context(directory.begun())
        from migrate.ledger.lock import RunLock, worker_name
        from migrate.report import folder, signing
        from migrate.run import clock_guard, provenance

        composer = composer or config.composer()
        composer.refuse_overruns()
        signing.ready(config.reports.signing_key)
        folder.writable(config.reports.dir)
        ledger = opened.enter_context(provenance.opened(config, create=True, new=new))
        no_time_travel(config, ledger, options.as_of)
        if options.as_of is None and not options.accept_clock and (wrong := clock_guard.doubt(config, ledger, now())):
            raise wrong
        lock = alone.enter_context(RunLock.acquire(ledger, config.campaign.name, "run", worker_name()))
        last = _last(config, ledger)
        if options.unless_since is not None:
            _nobody_else(config, last, options.unless_since)
        if options.plan is None and last is not None and max(last.started_at, last.directory_read_at) >= began:
            # That run had the lock when our read began, and may have seen a later state of the directory: read again.
            reading.close()
            reading.enter_context(directory.begun())
        accepted = provenance.accept(config, ledger, options.as_of or now()) if new else None
        yield Start(config, options, now, composer, directory, ledger, lock, alone, reading, accepted)


def _last(config: Config, ledger: Ledger) -> Run | None:
    from migrate.ledger import campaigns, runs

    with ledger.read() as connection:
        return runs.last(connection, campaigns.find(connection, config.campaign.name))


def _nobody_else(config: Config, last: Run | None, since: datetime) -> None:
    """Raises DoneAlreadyError if a run is recorded that began at `since` or later. Called with the lock held, so that two runs cannot both
    pass."""
    if last is not None and last.started_at >= since:
        raise DoneAlreadyError(
            f"run {last.run_id} of {config.campaign.name} began at {last.started_at:%Y-%m-%d %H:%M:%S} UTC, which is not before "
            f"{since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC.",
            where="--unless-since",
            hint="Leave it away to run once more.",
        )


def clock_from(as_of: datetime | None) -> Clock:
    """The real clock; or, with `as_of`, one that starts at that instant and runs on."""
    if as_of is None:
        return lambda: datetime.now(UTC)
    shift = as_of.astimezone(UTC) - datetime.now(UTC)
    return lambda: datetime.now(UTC) + shift


def no_time_travel(config: Config, ledger: Ledger, as_of: datetime | None) -> None:
    """Raises ConfigError if `--as-of`, with real mail, would rewrite the past or send the future's letters today (design §15)."""
    if as_of is None or config.mail.transport != "smtp" or config.safety.allow_time_travel:
        return
    last = _last(config, ledger)
    as_of = as_of.astimezone(UTC)
    hint = "Leave --as-of away, or set [safety] allow_time_travel = true for a rehearsal."
    if last is not None and as_of < last.as_of:
        raise ConfigError(
            f"{as_of:%Y-%m-%d %H:%M} UTC lies before the last run ({last.as_of:%Y-%m-%d %H:%M} UTC).", where="--as-of", hint=hint
        )
    if abs(as_of - datetime.now(UTC)) > timedelta(days=1):
        raise ConfigError(f"{as_of:%Y-%m-%d %H:%M} UTC is more than a day from the clock.", where="--as-of", hint=hint)
