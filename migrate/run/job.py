"""One run from start to finish, and the dry run that is the same path cut before the commit (design §2).

This is the only module that knows every step. Read `go_on`, which follows `migrate.run.start`: read, draft, guard, record, deliver, report.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from migrate import files, incremental, outbox
from migrate.config import Config
from migrate.core.plan import Moment
from migrate.decide.addressing import judge
from migrate.decide.draft import Draft, Rules, draft
from migrate.delivery import Clock, Delivered, Forecast, Stop, Waiting, workers
from migrate.directory import mapping_digest, open_directory
from migrate.errors import ConfigError, DirectoryError, GuardError, LedgerError, LockedError, MigrateError, ReportError
from migrate.explain import status
from migrate.explain.outlook import delivery_of, forecast_of, outbox_of, smtp_of, waiting_until
from migrate.explain.waves import COUNTED, facts_of, members_of, outlook
from migrate.files.spill import scratch_folder
from migrate.incremental import Image, Records, Whole
from migrate.ledger import runs
from migrate.ledger.engine import Ledger
from migrate.ledger.lock import worker
from migrate.ledger.prior import Prior
from migrate.ledger.runs import Run
from migrate.mail.compose import Composer
from migrate.process.prefetch import meanwhile
from migrate.review import approval, dry_runs, vouching
from migrate.run import guards, provenance, stops
from migrate.run.clock import doubt
from migrate.run.delivering import HURRY, Watch, deliver_waiting, letters_of, too_late_in, unwatched
from migrate.run.reading import Kept, Read, take
from migrate.run.recording import ReadFacts, counts_of, told_of, write_down
from migrate.run.reporting import PATIENCE, already_done, write_reports
from migrate.run.start import Options, Start, clock_from, no_time_travel, started
from migrate.run.stops import Difference

_SOME_LETTERS_FAILED: Final = 5
_DECIDING: Final = ("[campaign", "[directory", "[policy", "[schedule", "[safety", "[waves")
"""The tables of the configuration that decide about accounts."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run did. `facts` is the object of `migrate run --json`; `stopped` the guard or mail server that held a part of it back."""

    facts: dict[str, Any]
    stopped: tuple[MigrateError, ...] = ()
    signal: int | None = None

    @property
    def exit_code(self) -> int:
        """The first that applies of 4, 6 and 5 (design §15); before them 130 or 143 if a signal ended the delivery."""
        if self.signal:
            return 128 + self.signal
        letters = self.facts["letters"]
        codes = [error.exit_code for error in self.stopped]
        if 4 in codes or 6 in codes:
            return min(codes)
        cut_off = self.facts["unreachable"]["bounced"] > self.facts["unreachable"]["allowed"]
        missed = self.facts["waiting"]["too_long"] or self.facts["too_late"]
        return _SOME_LETTERS_FAILED if letters["failed"] or letters["uncertain"] or missed or cut_off else 0


class Stopped(GuardError):  # noqa: N818 - what happened to a run, like `Result`
    """A guard stopped a run. `facts` is what it would have been: the object of `migrate dry-run --json`, its folder in `out` (None if that
    could not be written); `more` are the other guards that would have stopped it."""

    def __init__(self, first: GuardError, more: list[GuardError], facts: dict[str, Any]) -> None:
        super().__init__(first.what, where=first.where, hint=first.hint)
        self.facts, self.more = facts, more


class _Refused(Exception):  # noqa: N818 - it carries a draft out of the transaction, which is rolled back by it
    def __init__(self, made: Draft, guards: list[GuardError], difference: Difference, facts: ReadFacts) -> None:
        super().__init__()
        self.made, self.guards, self.difference, self.facts = made, guards, difference, facts


class _Doubted(Exception):  # noqa: N818 - it asks for a read without the image, out of the transaction that began beside it
    """What was decided beside the image failed as nobody foresaw."""


def run(config: Config, options: Options = Options(), watch: Watch = unwatched, composer: Composer | None = None) -> Result:
    """The scheduled job. Raises before it changed anything (`Stopped` if a guard did), or returns what it did.

    `composer` is the one of this configuration, if the caller runs it more than once and has it already.
    """
    with started(config, options, composer) as start:
        return go_on(start, watch)


def go_on(start: Start, watch: Watch = unwatched) -> Result:
    """The run that has started, to its end; gives its lock back before it delivers."""
    config, options, clock, composer = start.config, start.options, start.clock, start.composer
    directory, ledger = start.directory, start.ledger
    with scratch_folder() as scratch:
        with start.alone:
            now = options.as_of or clock()
            approved = _approval(options.plan, config, composer, ledger, now, options.approved_by) if options.plan else None
            with _kept_in(scratch):
                with start.reading:
                    last = _image(config, ledger, now)
                    read = take(directory, config.campaign.language, scratch, last, lambda more: watch("read", more))

                def decide(connection: sa.Connection) -> tuple[Draft, ReadFacts, GuardError | None, Future[Kept], Run]:
                    rules = _rules(config, composer, connection, now, options)
                    if approved:
                        rules = replace(rules, left_out=approved.left_out)
                    # A folder of its own: a database may break the transaction off, and then it is done again from here.
                    aside = files.inner(scratch)
                    prior = Prior(connection, config.campaign.name)
                    made = _draft(read, prior, rules, aside)
                    told = ReadFacts.of(read, made, directory.describe(), config.directory, clock())
                    if refused := guards.refusals(made, config, accepted=options.accept_directory):
                        raise _Refused(made, refused, stops.difference(made, prior), told)
                    stopped = None if options.plan else _held(made, config)
                    kept = meanwhile(lambda: read.kept(made, aside, _rules_digest(config, now)))
                    recorded = write_down(connection, made, config, approved, told, typed=options.as_of is not None)
                    start.lock.still_mine(connection)
                    return made, told, stopped, kept, recorded

                try:
                    try:
                        made, told, stopped, kept, recorded = ledger.write(decide)
                    except _Doubted:
                        anew = files.inner(scratch)
                        read = take(directory, config.campaign.language, anew, None, lambda more: watch("read", more))
                        made, told, stopped, kept, recorded = ledger.write(decide)
                except _Refused as refused:
                    raise _stopped(refused, read, config, ledger, now, clock, scratch) from None
            vouching.clear(config)
            recorded, records = _identified(config, ledger, recorded, kept)
        sender = worker()
        delivered = deliver_waiting(config, ledger, recorded.campaign_id, composer, sender, clock, watch) if options.send else Delivered()
        facts = {"run_id": recorded.run_id} | _drafted(made, told, config, now)
        facts |= told_of(approved) | {"letters": letters_of(ledger, recorded, delivered, sender), "stale": delivered.stale}
        facts |= {"outside_hours": delivered.outside_hours, "too_late": too_late_in(ledger, recorded, sender)}
        facts |= {"waiting": None, "delivery": None, "unreachable": None, "evidence": None}
        try:
            with already_done(facts):
                patience = HURRY if delivered.signal else PATIENCE
                write_reports(config, ledger, recorded, facts, clock, patience, records)
        except LockedError:
            # Whoever was asked to end does not wait for the ledger; `migrate report` makes up for it.
            if not delivered.signal:
                raise
    return Result(facts, tuple(error for error in (stopped, delivered.stopped) if error), delivered.signal)


@contextmanager
def dry_run(config: Config, options: Options = Options(), watch: Watch = unwatched) -> Iterator[tuple[Draft, Whole, dict[str, Any]]]:
    """The same without any effect: the draft, every account as it would be recorded, and the object of `migrate dry-run --json`. What they
    point to lives as long as the context. No guard stops it: `stopped` says which would stop the run, and reminders that would be held are
    held.
    """
    clock = clock_from(options.as_of)
    composer = config.composer()
    composer.refuse_overruns()
    directory = open_directory(config.directory)
    with provenance.looked_at(config) as ledger, scratch_folder() as scratch:
        now = options.as_of or clock()
        unsure = doubt(config, ledger, now) if options.as_of is None else None
        with _kept_in(scratch):
            with directory.begun():
                read = take(directory, config.campaign.language, scratch, _image(config, ledger, now), lambda more: watch("read", more))
            with ledger.read() as connection:
                rules = _rules(config, composer, connection, now, options)
                prior = Prior(connection, config.campaign.name)
                try:
                    made = _draft(read, prior, rules, scratch)
                except _Doubted:
                    anew = files.inner(scratch)
                    read = take(directory, config.campaign.language, anew, None, lambda more: watch("read", more))
                    made = _draft(read, prior, rules, anew)
                refused = guards.refusals(made, config, accepted=options.accept_directory)
                refused = [unsure, *refused] if unsure else refused
                difference = stops.difference(made, prior) if refused else None
            _held(made, config)
            told = ReadFacts.of(read, made, directory.describe(), config.directory, clock())
            whole = read.whole(made, scratch)
        facts = _foretold(made, told, config, now, refused, difference)
        facts |= {"waves": facts_of(outlook(config, members_of(whole.records.batches(COUNTED), config), now))}
        yield made, whole, facts | {"delivery": _delivery_with(made, config, ledger, now).facts()}


def send(
    config: Config, as_of: datetime | None = None, watch: Watch = unwatched, *, processes: int = 1, until_empty: bool = False
) -> tuple[Delivered, dict[str, int], Waiting, Forecast]:
    """Only delivers what is queued. What was done; how many letters are in each state afterwards, until when they wait, and when they will
    have gone.

    Several processes share the connections of the configuration, each with at least one of its own.
    """
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
            campaign_id = Prior(connection, config.campaign.name).campaign_id
        if campaign_id is None:
            return Delivered(), outbox_of(ledger, None), Waiting(), Forecast()
        clock = clock_from(as_of)
        if processes == 1:
            composer = config.composer()
            delivered = deliver_waiting(config, ledger, campaign_id, composer, worker(), clock, watch, until_empty=until_empty)
        else:
            delivered = workers(processes, send_beside, config, campaign_id, as_of, processes, until_empty)
        now = clock()
        waiting = waiting_until(config, ledger, campaign_id, now)
        return delivered, outbox_of(ledger, campaign_id), waiting, delivery_of(config, ledger, campaign_id, now)


def send_beside(
    config: Config, campaign_id: int, as_of: datetime | None, processes: int, until_empty: bool, number: int, stop: Stop
) -> Delivered:
    """What each of several processes does for `send`."""
    composer, clock = config.composer(), clock_from(as_of)
    with Ledger.open(config.ledger, create=False) as ledger:
        return deliver_waiting(
            config,
            ledger,
            campaign_id,
            composer,
            worker(),
            clock,
            unwatched,
            processes=processes,
            number=number,
            until_empty=until_empty,
            stop=stop,
        )


def finish(config: Config) -> str | None:
    """Writes the reports of the last run if it ended before it could, and completes it: its id, or None if there was nothing to do."""
    with provenance.looked_at(config) as ledger, ledger.read() as connection:
        last = runs.last(connection, Prior(connection, config.campaign.name).campaign_id)
    if last is None or last.state == "completed":
        return None
    with Ledger.open(config.ledger, create=False) as ledger:
        with ledger.read() as connection:
            facts = status.summary(connection, replace(last, evidence_at=datetime.now(UTC)))
        write_reports(config, ledger, last, facts, clock_from(None))
        return last.run_id


@contextmanager
def _kept_in(scratch: Path) -> Iterator[None]:
    """Says where there was no room for what is kept while a run reads and decides; nothing has been changed then."""
    try:
        yield
    except OSError as error:
        raise DirectoryError(
            f"the directory could not be kept while it was read: {error.strerror or error}.",
            where=str(scratch),
            hint="Make room there, or set TMPDIR to a folder with more.",
        ) from error


def _draft(read: Read, prior: Prior, rules: Rules, folder: Path) -> Draft:
    """The draft of a read, beside its image. Raises _Doubted if that fails as nobody foresaw: an image never decides if a run works."""
    try:
        return draft(read.snapshot, prior, rules, folder, read.beside(prior, rules))
    except Exception as error:
        if read.image is None or not incremental.unexpected(error):
            raise
        incremental.doubted(error)
        raise _Doubted from error


def _identified(config: Config, ledger: Ledger, recorded: Run, kept: Future[Kept]) -> tuple[Run, Records | None]:
    """A recorded run with the fingerprint of its read, its image kept for the next run and named in the ledger; and the records it left.

    Where that fails the run is recorded all the same. The next one looks at everybody, and the reports find the fingerprint.
    """
    try:
        found = kept.result()
        incremental.keep(found.image, config.ledger.image_of(config.campaign.name), provenance.origin_of(config, recorded))
        ledger.write(lambda connection: runs.identify(connection, recorded.seq, found.fingerprint, found.image.digest))
        with ledger.read() as connection:
            return runs.find(connection, recorded.seq), found.image.records
    except (OSError, LedgerError):
        return recorded, None
    except Exception as error:  # noqa: BLE001 - all has been recorded, and only the next run would be quicker with an image
        incremental.doubted(error)
        return recorded, None


def _image(config: Config, ledger: Ledger, now: datetime) -> Image | None:
    """The image of the last run, if it was made under the same rules; none where a day alone may change who is in which wave."""
    if config.waves.forgetful:
        return None
    with ledger.read() as connection:
        last = runs.last(connection, Prior(connection, config.campaign.name).campaign_id)
    found = incremental.find(config.ledger.image_of(config.campaign.name), last.counts.get("image") if last else None)
    return found if found and found.rules == _rules_digest(config, now) else None


def _rules_digest(config: Config, now: datetime) -> str:
    deciding = {key: value for key, value in config.settings.items() if key.startswith(_DECIDING)}
    passed = [name for name, campaign in config.waves.campaigns.items() if now >= campaign.cutoff_at]
    return incremental.rules_digest(json.dumps(deciding, sort_keys=True), passed)


def basis_of(config: Config) -> str:
    """Digests the method mapping and the policy: what makes a difference in methods `reclassified` when it changes (design §6)."""
    policy = config.policy
    parts = [mapping_digest(config.directory), sorted(policy.retired), sorted(policy.accepted)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _rules(config: Config, composer: Composer, connection: sa.Connection, now: datetime, options: Options) -> Rules:
    bounced = Prior(connection, config.campaign.name).bounced(now)
    return Rules(
        policy=config.policy,
        moment=Moment.of(config.waves, config.schedule, now),
        basis=basis_of(config),
        composer=composer,
        domain=config.mail.sender_domain,
        judge=judge(config.safety.allowed_domains, bounced),
        as_baseline=options.as_baseline,
        secret=vouching.secret_of(connection, config),
        waves=config.waves,
    )


def _approval(folder: Path, config: Config, composer: Composer, ledger: Ledger, now: datetime, by: str) -> approval.Approval:
    """The reviewed plan in a folder, if it may be applied now."""
    with ledger.read() as connection:
        secret = vouching.secret_of(connection, config)
    return approval.read(folder, config, composer, Moment.of(config.waves, config.schedule, now), by, secret)


def _delivery_with(made: Draft, config: Config, ledger: Ledger, now: datetime) -> Forecast:
    """When the letters of a draft and those that wait already will have gone."""
    with ledger.read() as connection:
        campaign_id = Prior(connection, config.campaign.name).campaign_id
        waiting = outbox.queued(connection, campaign_id) if campaign_id else 0
        letters = waiting + sum(len(rows) for rows in made.queued()) - sum(len(rows) for rows in made.pointless())
        return forecast_of(config, connection, letters, now)


def _stopped(refused: _Refused, read: Read, config: Config, ledger: Ledger, now: datetime, clock: Clock, scratch: Path) -> Stopped:
    """The error of a run that a guard stopped, with what it would have been: as facts, and as the folder of a dry run."""
    made = refused.made
    _held(made, config)
    facts = _foretold(made, refused.facts, config, now, refused.guards, refused.difference)
    facts |= {"delivery": _delivery_with(made, config, ledger, now).facts()}
    try:
        facts["out"] = str(dry_runs.write_stop(made, read.whole(made, scratch), config, now, clock()))
    except (OSError, ReportError):  # the guard's word matters more than the folder
        facts["out"] = None
    first, *more = refused.guards
    return Stopped(first, more, facts)


def _held(made: Draft, config: Config) -> GuardError | None:
    """Holds the reminders of a draft that are more than may go out unreviewed; the error that says so."""
    if held := guards.blast_radius(made, config, dry_runs.place(config, made.rules.moment.now)):
        made.hold()
    return held


def _foretold(
    made: Draft, told: ReadFacts, config: Config, now: datetime, refused: list[GuardError], difference: Difference | None
) -> dict[str, Any]:
    """The object of `migrate dry-run --json` (design §15); with a `difference`, what a stopped run would have recorded anew."""
    would = {"would_queue": sum(len(rows) for rows in made.queued()), "stopped": [str(error) for error in refused]}
    return _drafted(made, told, config, now) | would | (difference.facts() if difference else {})


def _drafted(made: Draft, told: ReadFacts, config: Config, now: datetime) -> dict[str, Any]:
    """The part of the object of `migrate run --json` (design §15) that a draft knows."""
    return {
        "as_of": now.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "campaign": config.campaign.name,
        "read": made.read,
        "rejected": made.outcomes["rejected"],
        "directory_as_of": told.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        **counts_of(made, told),
    }
