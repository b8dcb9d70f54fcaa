"""The path that a run and a dry run share: read; then, in one transaction, decide and ask the guards (design §2).

At its end a run records, and a dry run only looks. No step on the path knows which of the two it belongs to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from migrate import files, incremental, outbox
from migrate.config import Config
from migrate.core.kinds import MANDATORY
from migrate.core.moment import Moment
from migrate.decide.addressing import judge
from migrate.decide.decided import Rules
from migrate.decide.draft import Draft, draft
from migrate.directory import mapping_digest
from migrate.errors import DirectoryError, GuardError
from migrate.explain.queue import forecast_of, hurried_by, hurried_of
from migrate.incremental import Cache, LastRead, Whole
from migrate.ledger import campaigns, runs
from migrate.ledger.engine import Ledger
from migrate.ledger.prior import Prior
from migrate.ledger.sqlite import few_pages
from migrate.review import dry_runs, vouching
from migrate.review.approval import Approval
from migrate.run import guards, keeping, stops
from migrate.run.delivering import Watch
from migrate.run.reading import Kept, Read, take
from migrate.run.start import Given
from migrate.run.stops import Difference
from migrate.run.summary import Decision, Foretold, Noticed

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Drafted:
    """A read, and what was decided about it.

    `refused` are the errors of guards for which it must not be recorded; if there are any, `difference` is what it would have changed.
    `held` is the error of the guard that holds its reminders back, or None. `folder` is private and belongs to this draft.
    """

    read: Read
    draft: Draft
    decision: Decision
    refused: tuple[GuardError, ...]
    difference: Difference | None
    held: GuardError | None
    folder: Path

    def whole(self) -> Whole:
        """Every account as it will be recorded."""
        return self.read.whole(self.draft, self.folder)

    def kept(self, config: Config) -> Kept:
        """The fingerprint and the cache that the next run needs."""
        return self.read.kept(self.draft, self.folder, keeping.rules(config, self.decision.as_of))

    def foretold(self, config: Config, ledger: Ledger) -> Foretold:
        """What the run would do. The forecast covers its letters and those that wait already."""
        by, queued, hurried = hurried_by(config, self.decision.as_of), 0, 0
        for rows in self.draft.queued():
            queued += len(rows)
            hurried += int((rows["kind"].isin(MANDATORY) | (by is not None and rows["ends"] <= by)).sum())
        with ledger.read() as connection:
            campaign_id = campaigns.find(connection, config.campaign.name)
            waiting = outbox.queued(connection, campaign_id) if campaign_id else 0
            hurried += hurried_of(config, connection, campaign_id, self.decision.as_of) if campaign_id else 0
            letters = waiting + queued - sum(len(rows) for rows in self.draft.pointless())
            delivery = forecast_of(config, connection, letters, self.decision.as_of, hurried)
        said = [str(error) for error in self.refused]
        return Foretold(decision=self.decision, would_queue=queued, stopped=said, difference=self.difference, delivery=delivery)


class _DoubtedError(Exception):
    """What is known of the last read is out of date, or deciding with it failed unexpectedly."""


def walk(
    given: Given,
    now: datetime,
    scratch: Path,
    reading: AbstractContextManager[object],
    transaction: Callable[[Callable[[sa.Connection], _T]], _T],
    end: Callable[[sa.Connection, Drafted], _T],
    watch: Watch,
    *,
    approved: Approval | None = None,
    doubt: GuardError | None = None,
) -> _T:
    """Reads, then decides in the `transaction`, and calls `end` in the same transaction; what `end` returns.

    If the database aborts the transaction, it is repeated from deciding on. If what is known of the last read is out of date, or deciding
    with it fails unexpectedly, all is repeated without it, from reading on: a run must not fail because of a cache. `reading` is closed
    when the directory has been read. `doubt` is a reason to refuse that is known already.
    """

    def take_in(folder: Path, cache: Cache | None) -> Read:
        return take(given.directory, given.config.campaign.language, folder, cache, lambda more: watch("read", more))

    def decide_on(read: Read) -> _T:
        def decide(connection: sa.Connection) -> _T:
            aside = files.inner(scratch)  # each try gets a folder of its own
            return end(connection, _drafted(read, given, connection, now, aside, approved, doubt))

        return transaction(decide)

    with room_in(scratch):
        with reading:
            if cache := keeping.cache_of_last(given.config, given.ledger, now):
                read = take_in(scratch, cache)
            else:
                with keeping.restoring(given.config, given.ledger, now, scratch) as restored:
                    read = replace(take_in(scratch, None), last=restored())
        try:
            return decide_on(read)
        except _DoubtedError:
            return decide_on(take_in(files.inner(scratch), None))


@contextmanager
def room_in(scratch: Path) -> Iterator[None]:
    """Turns an OSError into a DirectoryError that names the scratch folder: reading and deciding need space there. Nothing has changed
    yet."""
    try:
        yield
    except OSError as error:
        raise DirectoryError(
            f"the directory could not be kept while it was read: {error.strerror or error}.",
            where=str(scratch),
            hint="Make room there, or set TMPDIR to a folder with more.",
        ) from error


def _drafted(
    read: Read, given: Given, connection: sa.Connection, now: datetime, folder: Path, approved: Approval | None, doubt: GuardError | None
) -> Drafted:
    """Decides about a read and asks the guards."""
    config, options = given.config, given.options
    prior = Prior(connection, config.campaign.name)
    if read.last is not None and not _is_newest(read.last, prior, connection):
        raise _DoubtedError
    anew = read.last is not None and read.last.rules != keeping.rules(config, now)[1]
    with few_pages(connection):
        made = _draft(read, prior, _rules(given, prior, connection, now, approved), folder, anew=anew)
    noticed, speaks_of = Noticed.of(read, made, config.directory), read.speaks_of(given.clock())
    refused = (*([doubt] if doubt else []), *guards.refusals(made, config, accepted=options.accept_directory))
    difference = stops.difference(made, prior) if refused else None
    held = None if approved else guards.blast_radius(made, config, dry_runs.place(config, now))
    made = made.hold() if held else made
    decision = Decision.of(made, noticed, config.campaign, speaks_of, approved.told() if approved else None)
    return Drafted(read, made, decision, refused, difference, held, folder)


def _is_newest(last: LastRead, prior: Prior, connection: sa.Connection) -> bool:
    """Whether no run was recorded since the last read was looked up. A dry run holds no lock: a run may end while it reads."""
    newest = runs.last(connection, prior.campaign_id)
    return newest is not None and newest.as_of == last.as_of


def _draft(read: Read, prior: Prior, rules: Rules, folder: Path, *, anew: bool) -> Draft:
    """The draft of a read; with `anew` no decision of before is kept. Raises _DoubtedError if that fails unexpectedly beside what is known
    of the last read."""
    try:
        return draft(read.snapshot, prior, rules, folder, read.beside(prior, rules, anew=anew))
    except Exception as error:
        if read.last is None or not incremental.unexpected(error):
            raise
        incremental.doubted(error)
        raise _DoubtedError from error


def _rules(given: Given, prior: Prior, connection: sa.Connection, now: datetime, approved: Approval | None) -> Rules:
    config, composer = given.config, given.composer
    rules = Rules(
        policy=config.policy,
        moment=Moment.of(config.waves, config.schedule, now),
        basis=basis_of(config),
        composer=composer,
        domain=config.mail.sender_domain,
        judge=judge(config.safety.allowed_domains, prior.bounced(now)),
        as_baseline=given.options.as_baseline,
        secret=vouching.secret_of(connection, config),
        waves=config.waves,
    )
    return replace(rules, left_out=approved.left_out) if approved else rules


def basis_of(config: Config) -> str:
    """A digest of the method mapping and the policy. If it has changed since the last run, an account whose methods differ was
    `reclassified` by us, and did not change anything itself (design §6)."""
    policy = config.policy
    parts = [mapping_digest(config.directory), sorted(policy.retired), sorted(policy.accepted)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
