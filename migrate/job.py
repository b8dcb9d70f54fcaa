"""One run from start to finish, and the dry run that is the same path cut before the commit (design §2).

This is the only module that knows every step. Read `run`: lock, read, draft, guard, record, deliver, report.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed, wait_random

from migrate import approval, guards, image, review, status
from migrate.addressing import judge
from migrate.ahead import meanwhile
from migrate.config import Config
from migrate.delivery import Clock, Delivered, Pace, Stop, Waiting, deliver, waiting, worker, workers
from migrate.directory import Tally, mapping_digest, open_directory
from migrate.draft import Draft, Rules, draft
from migrate.errors import ConfigError, DirectoryError, GuardError, LedgerError, LockedError, MigrateError, ReportError
from migrate.image import Image, Records, Whole
from migrate.ledger import history, outbox, runs
from migrate.ledger.claims import Claims
from migrate.ledger.engine import Ledger
from migrate.ledger.lock import RunLock
from migrate.ledger.prior import Prior
from migrate.ledger.runs import Run
from migrate.mail.compose import Composer
from migrate.mail.settings import SmtpSettings
from migrate.mail.transport import open_transport
from migrate.plan import Moment
from migrate.reading import Kept, fingerprint, take
from migrate.recording import ReadFacts, counts_of, told_of, write_down
from migrate.report import evidence, folder
from migrate.report.recall import LAST_EVENT, Recall
from migrate.report.terms import Terms
from migrate.schedule import due, stages

Watch = Callable[[str, int], None]
"""Hears of progress: the step (`read`, `deliver`) and how many more rows or letters are done; and before `deliver`, of how many letters
wait (`queued`)."""

_SOME_LETTERS_FAILED: Final = 5
_DECIDING: Final = ("[campaign", "[directory", "[policy", "[schedule", "[safety")
"""The tables of the configuration that decide about accounts."""
_LEASE: Final = timedelta(minutes=5)
_ANSWERS: Final = 12
"""Answers that one letter may wait for, each as long as `timeout`, with the connection made anew for it: its lease outlasts them."""
_HURRY: Final = timedelta(seconds=1)
"""How long a delivery waits for the ledger before it looks whether it is asked to end, and then waits on."""
_PAGE: Final = 20_000
"""So many accounts are read from the ledger at a time."""
_REPORT_PATIENCE: Final = timedelta(minutes=5)


def _unwatched(_step: str, _more: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person asks of one run. `as_of` sets its clock; with `send` false letters stay queued.

    `accept_directory` accepts a read that the partial-directory guard would refuse; with `as_baseline` its changes are recorded and
    nobody is mailed about them. `plan` is the folder of a reviewed dry run, and `approved_by` who lets it go out.
    """

    as_of: datetime | None = None
    send: bool = True
    accept_directory: bool = False
    as_baseline: bool = False
    plan: Path | None = None
    approved_by: str = ""


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
        return _SOME_LETTERS_FAILED if letters["failed"] or letters["uncertain"] or self.facts["waiting"]["too_long"] else 0


def run(config: Config, options: Options = Options(), watch: Watch = _unwatched, composer: Composer | None = None) -> Result:
    """The scheduled job. Raises before it changed anything, or returns what it did.

    `composer` is the one of this configuration, if the caller runs it more than once and has it already.
    """
    clock = clock_from(options.as_of)
    composer = composer or config.composer()
    folder.writable(config.reports.dir)
    directory = open_directory(config.directory)
    with ExitStack() as held:
        ledger = held.enter_context(Ledger.open(config.ledger, create=True))
        no_time_travel(config, ledger, options.as_of)
        scratch = held.enter_context(scratch_folder())
        with RunLock.acquire(ledger, config.campaign.name, "run", worker()) as lock:
            now = options.as_of or clock()
            approved = approval.read(options.plan, config, composer, now, options.approved_by) if options.plan else None
            with _kept_in(scratch):
                with directory.begun():
                    read = take(directory, config.campaign.language, scratch, _image(config, ledger, now), lambda more: watch("read", more))

                def decide(connection: sa.Connection) -> tuple[Draft, GuardError | None, Future[Kept], Run]:
                    rules = _rules(config, composer, connection, now, options)
                    if approved:
                        rules = replace(rules, left_out=approved.left_out)
                    # A folder of its own: a database may break the transaction off, and then it is done again from here.
                    aside = Path(tempfile.mkdtemp(dir=scratch))
                    prior = Prior(connection, config.campaign.name)
                    made = draft(read.snapshot, prior, rules, aside, read.beside(prior, rules))
                    stopped = _guarded(made, config, options)
                    kept = meanwhile(lambda: read.kept(made, aside, _rules_digest(config, now)))
                    facts_of_read = ReadFacts(directory.describe(), clock())
                    recorded = write_down(connection, made, config, approved, read.tally, facts_of_read)
                    lock.still_mine(connection)
                    return made, stopped, kept, recorded

                made, stopped, kept, recorded = ledger.write(decide)
            recorded, records = _identified(config, ledger, recorded, kept)
        sender = worker()
        delivered = _deliver(config, ledger, recorded.campaign_id, composer, sender, clock, watch) if options.send else Delivered()
        facts = {"run_id": recorded.run_id} | _drafted(made, read.tally, config, now)
        facts |= told_of(approved) | {"letters": _letters(ledger, recorded, delivered, sender), "waiting": None, "evidence": None}
        try:
            with _already_done(facts):
                patience = _HURRY if delivered.signal else _REPORT_PATIENCE
                _report(config, ledger, recorded, facts, clock, patience, records)
        except LockedError:
            # Whoever was asked to end does not wait for the ledger; `migrate report` makes up for it.
            if not delivered.signal:
                raise
    return Result(facts, tuple(error for error in (stopped, delivered.stopped) if error), delivered.signal)


@contextmanager
def dry_run(config: Config, options: Options = Options(), watch: Watch = _unwatched) -> Iterator[tuple[Draft, Whole, dict[str, Any]]]:
    """The same without any effect: the draft, every account as it would be recorded, and the object of `migrate dry-run --json`. What they
    point to lives as long as the context. A guard that would stop the run raises, as it would there; reminders that would be held are held.
    """
    clock = clock_from(options.as_of)
    composer = config.composer()
    directory = open_directory(config.directory)
    with Ledger.open_readonly(config.ledger) as ledger, scratch_folder() as scratch:
        now = options.as_of or clock()
        with _kept_in(scratch):
            with directory.begun():
                read = take(directory, config.campaign.language, scratch, _image(config, ledger, now), lambda more: watch("read", more))
            with ledger.read() as connection:
                rules = _rules(config, composer, connection, now, options)
                prior = Prior(connection, config.campaign.name)
                made = draft(read.snapshot, prior, rules, scratch, read.beside(prior, rules))
            _guarded(made, config, options)
            whole = read.whole(made, scratch)
        would_queue = sum(len(rows) for rows in made.queued())
        yield made, whole, _drafted(made, read.tally, config, now) | {"would_queue": would_queue}


def send(
    config: Config, as_of: datetime | None = None, watch: Watch = _unwatched, *, processes: int = 1, until_empty: bool = False
) -> tuple[Delivered, dict[str, int], Waiting]:
    """Only delivers what is queued. What was done; how many letters are in each state afterwards, and until when they wait.

    Several processes share the connections of the configuration, each with at least one of its own.
    """
    smtp = _smtp(config)
    if smtp and processes > smtp.connections:
        raise ConfigError(
            f"[mail.smtp] connections = {smtp.connections} allows no more workers than that.",
            where="--workers",
            hint="Ask for fewer workers, or allow more connections if the mail server does.",
        )
    with Ledger.open(config.ledger, create=False) as ledger:
        no_time_travel(config, ledger, as_of)
        with ledger.read() as connection:
            campaign_id = Prior(connection, config.campaign.name).campaign_id
        if campaign_id is None:
            return Delivered(), outbox_of(ledger, None), Waiting()
        clock = clock_from(as_of)
        if processes == 1:
            composer = config.composer()
            delivered = _deliver(config, ledger, campaign_id, composer, worker(), clock, watch, until_empty=until_empty)
        else:
            delivered = workers(processes, send_beside, config, campaign_id, as_of, processes, until_empty)
        return delivered, outbox_of(ledger, campaign_id), _waiting(config, ledger, campaign_id, clock())


def send_beside(config: Config, campaign_id: int, as_of: datetime | None, processes: int, until_empty: bool, stop: Stop) -> Delivered:
    """What each of several processes does for `send`."""
    composer, clock = config.composer(), clock_from(as_of)
    with Ledger.open(config.ledger, create=False) as ledger:
        return _deliver(
            config, ledger, campaign_id, composer, worker(), clock, _unwatched, processes=processes, until_empty=until_empty, stop=stop
        )


def finish(config: Config) -> str | None:
    """Writes the reports of the last run if it ended before it could, and completes it: its id, or None if there was nothing to do."""
    with Ledger.open_readonly(config.ledger) as ledger, ledger.read() as connection:
        last = runs.last(connection, Prior(connection, config.campaign.name).campaign_id)
    if last is None or last.state == "completed":
        return None
    with Ledger.open(config.ledger, create=False) as ledger:
        with ledger.read() as connection:
            facts = status.summary(connection, replace(last, evidence_at=datetime.now(UTC)))
        _report(config, ledger, last, facts, clock_from(None))
        return last.run_id


def clock_from(as_of: datetime | None) -> Clock:
    """The real clock, or one that was set to an instant and goes on from there."""
    if as_of is None:
        return lambda: datetime.now(UTC)
    shift = as_of.astimezone(UTC) - datetime.now(UTC)
    return lambda: datetime.now(UTC) + shift


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A private folder for the snapshot and the draft, gone afterwards."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="migrate-", ignore_cleanup_errors=True)
    except OSError as error:
        raise DirectoryError(
            f"there is no folder to keep the directory in while it is read: {error.strerror or error}.",
            where="TMPDIR",
            hint="Set it to a folder that can be written, and has room.",
        ) from error
    with folder as name:
        yield Path(name)


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


def _identified(config: Config, ledger: Ledger, recorded: Run, kept: Future[Kept]) -> tuple[Run, Records | None]:
    """A recorded run with the fingerprint of its read, its image kept for the next run and named in the ledger; and the records it left.

    Where that fails the run is recorded all the same. The next one looks at everybody, and the reports find the fingerprint.
    """
    try:
        found = kept.result()
        image.keep(found.image, _image_folder(config))
        ledger.write(lambda connection: runs.identify(connection, recorded.seq, found.fingerprint, found.image.digest))
        with ledger.read() as connection:
            return runs.find(connection, recorded.seq), found.image.records
    except (OSError, LedgerError):
        return recorded, None


def _fingerprint(ledger: Ledger, recorded: Run) -> str:
    """Of a run that ended before it knew the fingerprint of its read."""
    try:
        with ledger.read() as connection, scratch_folder() as scratch:
            return fingerprint(history.accounts_as_of(connection, recorded.campaign_id, recorded.seq, chunk=_PAGE), scratch)
    except OSError as error:
        raise ReportError(f"there is no room to look at all accounts: {error.strerror or error}.", where="TMPDIR") from error


def _image(config: Config, ledger: Ledger, now: datetime) -> Image | None:
    """The image of the last run, if it was made under the same rules."""
    with ledger.read() as connection:
        last = runs.last(connection, Prior(connection, config.campaign.name).campaign_id)
    found = image.find(_image_folder(config), last.counts.get("image") if last else None)
    return found if found and found.rules == _rules_digest(config, now) else None


def _image_folder(config: Config) -> Path | None:
    """Each campaign of a ledger has its own."""
    folder = config.ledger.image_folder
    return folder and folder / hashlib.sha256(config.campaign.name.encode()).hexdigest()[:12]


def _rules_digest(config: Config, now: datetime) -> str:
    deciding = {key: value for key, value in config.settings.items() if key.startswith(_DECIDING)}
    return image.rules_digest(json.dumps(deciding, sort_keys=True), now >= config.campaign.cutoff_at)


def basis_of(config: Config) -> str:
    """Digests the method mapping and the policy: what makes a difference in methods `reclassified` when it changes (design §6)."""
    policy = config.policy
    parts = [mapping_digest(config.directory), sorted(policy.retired), sorted(policy.accepted)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _rules(config: Config, composer: Composer, connection: sa.Connection, now: datetime, options: Options) -> Rules:
    bounced = Prior(connection, config.campaign.name).bounced(now)
    planned = stages(config.campaign, config.schedule)
    stage = due(planned, now)
    newer = tuple(later.name for later in planned if stage and later.begins > stage.begins)
    return Rules(
        policy=config.policy,
        moment=Moment(now, stage, config.campaign, config.schedule.min_gap_days, newer),
        basis=basis_of(config),
        composer=composer,
        domain=config.mail.sender_domain,
        judge=judge(config.safety.allowed_domains, bounced),
        as_baseline=options.as_baseline,
    )


def _guarded(made: Draft, config: Config, options: Options) -> GuardError | None:
    """Passes the draft through the guards; the error of the one that lets the run go on, but without its reminders."""
    guards.something_there(made)
    if not options.accept_directory:
        guards.partial_directory(made, config)
    if options.plan:
        return None
    if held := guards.blast_radius(made, config, review.place(config, made.rules.moment.now)):
        made.hold()
    return held


def _deliver(
    config: Config,
    ledger: Ledger,
    campaign_id: int,
    composer: Composer,
    sender: str,
    clock: Clock,
    watch: Watch,
    *,
    processes: int = 1,
    until_empty: bool = False,
    stop: Stop | None = None,
) -> Delivered:
    smtp = _smtp(config)
    with ledger.read() as connection:
        last = runs.last(connection, campaign_id)
    assert last is not None  # a campaign is made by its first run
    stale_at = last.directory_read_at + timedelta(hours=config.safety.stale_hours)
    hours = config.schedule.hours(config.campaign.zone)
    lease = _LEASE + timedelta(seconds=_ANSWERS * smtp.timeout if smtp else 0)
    stop = stop or Stop()
    with ledger.hurried(_HURRY) as hurried:
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
            watch=lambda more: watch("deliver", more),
        )
    if clock() >= stale_at:
        with ledger.read() as connection:
            delivered.stale = outbox.reminders_waiting(connection, campaign_id)
    return delivered


def _smtp(config: Config) -> SmtpSettings | None:
    return config.mail.smtp if config.mail.transport == "smtp" else None


def outbox_of(ledger: Ledger, campaign_id: int | None) -> dict[str, int]:
    """How many letters of the campaign are in each state."""
    with ledger.read() as connection:
        return outbox.counts(connection, campaign_id)


def _waiting(config: Config, ledger: Ledger, campaign_id: int, now: datetime) -> Waiting:
    with ledger.read() as connection:
        return waiting(connection, campaign_id, config.schedule.hours(config.campaign.zone), now)


def _letters(ledger: Ledger, recorded: Run, delivered: Delivered, sender: str) -> dict[str, int]:
    """What became of letters in this run, and how many wait after it."""
    with ledger.read() as connection:
        withdrawn = outbox.withdrawn_by(connection, (recorded.run_id, sender), recorded.started_at)
        queued = outbox.counts(connection, recorded.campaign_id)["queued"]
    return {
        "sent": delivered.sent,
        "failed": delivered.failed,
        "uncertain": delivered.uncertain,
        "withdrawn": withdrawn,
        "queued": queued,
    }


def _drafted(made: Draft, tally: Tally, config: Config, now: datetime) -> dict[str, Any]:
    """The part of the object of `migrate run --json` (design §15) that a draft knows."""
    return {
        "as_of": now.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "campaign": config.campaign.name,
        "read": made.read,
        "rejected": made.outcomes["rejected"],
        **counts_of(made, tally),
    }


def _report(
    config: Config,
    ledger: Ledger,
    recorded: Run,
    facts: dict[str, Any],
    clock: Clock,
    patience: timedelta = _REPORT_PATIENCE,
    records: Records | None = None,
) -> None:
    """Writes the evidence and completes the run; one run of a campaign at a time, so that each manifest names the one before.

    `records` are what the run recorded, if they are at hand: the ledger says the same, more slowly.
    """
    # A clock that was set back meanwhile does not date the evidence before what it tells of.
    at = max(clock(), recorded.started_at)
    facts["waiting"] = _waiting(config, ledger, recorded.campaign_id, at).facts()
    terms = Terms.of(config.campaign, config.schedule, config.policy)
    with reporting(config, ledger, patience):
        if not recorded.directory_fingerprint:
            recorded = replace(recorded, directory_fingerprint=_fingerprint(ledger, recorded))
            ledger.write(lambda connection: runs.identify(connection, recorded.seq, recorded.directory_fingerprint))
        with ledger.read() as connection:
            last_event = history.last_event(connection)
            written = evidence.write(Recall(connection, recorded, terms, at, last_event, records), config.reports, facts)
        facts["evidence"] = str(written.folder) if written else None

        def complete(connection: sa.Connection) -> None:
            known = {name: facts[name] for name in ("letters", "waiting")} | {LAST_EVENT: last_event}
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
def _already_done(facts: dict[str, Any]) -> Iterator[None]:
    """A run whose reports cannot be written has happened all the same, and says so."""
    try:
        yield
    except ReportError as error:
        sent, queued = facts["letters"]["sent"], facts["letters"]["queued"]
        what = f"{error.what} Run {facts['run_id']} is recorded: {sent:,} letters sent, {queued:,} queued; only its reports are missing."
        raise ReportError(what, where=error.where, hint=error.hint) from error


@contextmanager
def reporting(config: Config, ledger: Ledger, patience: timedelta = _REPORT_PATIENCE) -> Iterator[None]:
    """Holds the right to write reports, waiting a while for whoever has it now."""
    patiently = Retrying(
        retry=retry_if_exception_type(LockedError),
        stop=stop_after_delay(patience),
        wait=wait_fixed(0.2) + wait_random(0, 0.3),
        reraise=True,
    )
    with patiently(RunLock.acquire, ledger, config.campaign.name, "report", f"report-{secrets.token_hex(8)}"):
        yield


def no_time_travel(config: Config, ledger: Ledger, as_of: datetime | None) -> None:
    """With real mail, `--as-of` may neither rewrite the past nor send the future's mail today (design §15)."""
    if as_of is None or config.mail.transport != "smtp" or config.safety.allow_time_travel:
        return
    with ledger.read() as connection:
        last = Prior(connection, config.campaign.name).last_run()
    hint = "Leave --as-of away, or set [safety] allow_time_travel = true for a rehearsal."
    if last is not None and as_of < last.as_of:
        raise ConfigError(
            f"{as_of:%Y-%m-%d %H:%M} UTC lies before the last run ({last.as_of:%Y-%m-%d %H:%M} UTC).", where="--as-of", hint=hint
        )
    if abs(as_of - datetime.now(UTC)) > timedelta(days=1):
        raise ConfigError(f"{as_of:%Y-%m-%d %H:%M} UTC is more than a day from the clock.", where="--as-of", hint=hint)
