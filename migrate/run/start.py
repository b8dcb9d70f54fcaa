"""How a run starts: what can be refused before anything is read is refused, the lock is taken, and the directory begins to be read.

Nothing here needs pandas, nor what decides: loading those takes a good part of a second, and the directory is read meanwhile.
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
from migrate.ledger import campaigns, runs
from migrate.ledger.engine import Ledger
from migrate.ledger.lock import RunLock, worker
from migrate.report import folder, signing
from migrate.run import clock, provenance

if TYPE_CHECKING:
    from migrate.config import Config
    from migrate.delivery import Clock
    from migrate.mail.compose import Composer


@dataclass(frozen=True, slots=True)
class Options:
    """What a person asks of one run. `as_of` sets its clock; with `send` false letters stay queued.

    `accept_directory` accepts a read that the partial-directory guard would refuse; with `as_baseline` its changes are recorded and
    nobody is mailed about them. `plan` is the folder of a reviewed dry run, and `approved_by` who lets it go out. `new_ledger` accepts a
    ledger that does not know the evidence beside it, and `accept_clock` a clock that nothing speaks for. A run that began at
    `unless_since` or later does what this one was to do.
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
    """What a run and a dry run have alike to begin with."""

    config: Config
    options: Options
    clock: Clock
    composer: Composer
    directory: Directory
    ledger: Ledger


@dataclass(frozen=True, slots=True)
class Start(Given):
    """A run that has its lock. `alone` holds the lock until it is closed, and `reading` what is read ahead; the ledger stays open.
    `accepted` says what was taken over with a new ledger."""

    lock: RunLock
    alone: ExitStack
    reading: ExitStack
    accepted: str | None = None


@contextmanager
def started(config: Config, options: Options, composer: Composer | None = None) -> Iterator[Start]:
    """A run, as far as its lock; raises before it changed anything. What is still held at the end is given up."""
    now = clock_from(options.as_of)
    composer = composer or config.composer()
    composer.refuse_overruns()
    signing.ready(config.reports.signing_key)
    folder.writable(config.reports.dir)
    directory = open_directory(config.directory)
    new = options.new_ledger
    with provenance.opened(config, create=True, new=new) as ledger, ExitStack() as alone, ExitStack() as reading:
        no_time_travel(config, ledger, options.as_of)
        if options.as_of is None and not options.accept_clock and (wrong := clock.doubt(config, ledger, now())):
            raise wrong
        lock = alone.enter_context(RunLock.acquire(ledger, config.campaign.name, "run", worker()))
        if options.unless_since is not None:
            _nobody_else(config, ledger, options.unless_since)
        accepted = provenance.accept(config, ledger, options.as_of or now()) if new else None
        if options.plan is None:  # a plan is looked at before the directory is
            reading.enter_context(directory.begun())
        yield Start(config, options, now, composer, directory, ledger, lock, alone, reading, accepted)


def _nobody_else(config: Config, ledger: Ledger, since: datetime) -> None:
    """Raises DoneAlreadyError if a run that began at an instant or later is recorded; asked under the lock, so that two cannot both
    begin."""
    with ledger.read() as connection:
        last = runs.last(connection, campaigns.find(connection, config.campaign.name))
    if last is not None and last.started_at >= since:
        raise DoneAlreadyError(
            f"run {last.run_id} of {config.campaign.name} began at {last.started_at:%Y-%m-%d %H:%M:%S} UTC, which is not before "
            f"{since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC.",
            where="--unless-since",
            hint="Leave it away to run once more.",
        )


def clock_from(as_of: datetime | None) -> Clock:
    """The real clock, or one that was set to an instant and goes on from there."""
    if as_of is None:
        return lambda: datetime.now(UTC)
    shift = as_of.astimezone(UTC) - datetime.now(UTC)
    return lambda: datetime.now(UTC) + shift


def no_time_travel(config: Config, ledger: Ledger, as_of: datetime | None) -> None:
    """With real mail, `--as-of` may neither rewrite the past nor send the future's mail today (design §15)."""
    if as_of is None or config.mail.transport != "smtp" or config.safety.allow_time_travel:
        return
    from migrate.ledger.prior import Prior  # brings pandas

    with ledger.read() as connection:
        last = Prior(connection, config.campaign.name).last_run()
    as_of = as_of.astimezone(UTC)
    hint = "Leave --as-of away, or set [safety] allow_time_travel = true for a rehearsal."
    if last is not None and as_of < last.as_of:
        raise ConfigError(
            f"{as_of:%Y-%m-%d %H:%M} UTC lies before the last run ({last.as_of:%Y-%m-%d %H:%M} UTC).", where="--as-of", hint=hint
        )
    if abs(as_of - datetime.now(UTC)) > timedelta(days=1):
        raise ConfigError(f"{as_of:%Y-%m-%d %H:%M} UTC is more than a day from the clock.", where="--as-of", hint=hint)
