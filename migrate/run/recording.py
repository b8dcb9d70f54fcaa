"""A draft written down: the recording half of a run, in the one transaction in which the draft was made (docs/decisions/0004)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from migrate import __version__, outbox
from migrate.config import Config
from migrate.decide.draft import Draft
from migrate.directory import DirectorySettings, rejections
from migrate.ledger import account_rows, identity, runs
from migrate.ledger.runs import Run, RunFacts
from migrate.outbox import plans, recovered
from migrate.report.terms import Terms
from migrate.review.approval import Approval
from migrate.run.clock import TYPED
from migrate.run.reading import Read


@dataclass(frozen=True, slots=True)
class ReadFacts:
    """The `directory` that was read, in a line; the instant of which it speaks; and what was noticed: subject → what there is to say."""

    directory: str
    at: datetime
    noticed: Mapping[str, Any]

    @classmethod
    def of(cls, read: Read, made: Draft, described: str, settings: DirectorySettings, now: datetime) -> ReadFacts:
        """Of a complete read and what was drafted from it; `settings` are those of its directory."""
        verdict, tally = rejections.of(made.rejected.frames), read.tally
        noticed = {
            "unknown_words": dict(tally.unknown_words),
            "unreadable_instants": dict(tally.unreadable_instants),
            "lost_lists": dict(tally.lost_lists),
            "rejected_known": made.rejected_known,
            "rejections": [reason.facts() for reason in verdict.reasons()],
            "advice": verdict.advice(settings, tally.lost_lists),
            "caveats": list(read.caveats),
        }
        return cls(described, read.speaks_of(now), noticed)


def write_down(
    connection: sa.Connection,
    made: Draft,
    config: Config,
    approved: Approval | None,
    read: ReadFacts,
    *,
    typed: bool = False,
) -> Run:
    """Writes the draft down, in the transaction in which it was made; the run that it became. A person `typed` its `as_of`, or the clock
    said it."""
    campaign, composer, now = config.campaign, made.rules.composer, made.rules.moment.now
    campaign_id = account_rows.campaign_id(connection, campaign.name, now, made.rules.secret)
    account_rows.artefact(connection, composer.digest, "mail", json.dumps(composer.sources, sort_keys=True), now)
    facts = RunFacts(
        as_of=now,
        started_at=now,
        baseline=made.rules.as_baseline,
        read=made.read,
        rejected=made.outcomes["rejected"],
        basis=made.rules.basis,
        directory=read.directory,
        directory_read_at=read.at,
        opens=campaign.opens.isoformat(),
        cutoff=campaign.cutoff_at,
        timezone=campaign.timezone,
        config_digest=config.digest,
        mail_digest=composer.digest,
        tool_version=__version__,
    )
    this = runs.begin(connection, campaign_id, facts)
    all_new = not account_rows.any_account(connection, campaign_id)
    for rows in made.recorded():
        account_rows.accounts(connection, campaign_id, this.seq, rows[rows["differs"]], all_new=all_new)
    for rows in made.changes.frames():
        account_rows.changes(connection, campaign_id, this.seq, rows, mail=not made.rules.as_baseline)
    recovered.changes_done(connection, campaign_id)
    for rows in made.rejected.frames():
        account_rows.rejections(connection, this.seq, rows)
    for rows in made.unsaid.frames():
        account_rows.close(connection, campaign_id, rows, "unsaid", now)
    for rows in made.pointless():
        outbox.withdraw(connection, rows, now, actor=this.run_id, run_seq=this.seq)
    for rows in made.queued():
        outbox.enqueue(connection, campaign_id, this.seq, rows, now)
        told = rows.loc[rows["change_seq"] > 0, ["account_id", "change_seq"]].rename(columns={"change_seq": "seq"})
        account_rows.close(connection, campaign_id, told.drop_duplicates(), "confirmed", now)
    account_rows.close(connection, campaign_id, made.merged, "recorded", now)
    if approved:
        _approve(connection, campaign_id, this, approved, now)
    terms = Terms.of(config.waves, config.schedule, config.policy).to_json()
    kept = {"terms": terms, "ledger": identity.sign(connection)} | ({"clock": TYPED} if typed else {})
    runs.count(connection, this.seq, counts_of(made, read) | told_of(approved) | kept)
    return runs.find(connection, this.seq)


def _approve(connection: sa.Connection, campaign_id: int, this: Run, approved: Approval, now: datetime) -> None:
    """Writes the approval down, and the reviewer's deletions: what was struck out is never due again, whatever became of its account."""
    detail = {
        "run": this.run_id,
        "as_of": approved.as_of.isoformat(),
        "reminders": len(approved.reminders),
        "removed": approved.struck,
        "confirmations_removed": approved.undeletable,
    }
    plans.approve(connection, campaign_id, approved.digest, by=approved.by, at=now, rows=approved.approved, detail=detail)
    for rows in approved.struck_out():
        plans.strike(connection, campaign_id, this.seq, this.run_id, rows, now)


def told_of(approved: Approval | None) -> dict[str, Any]:
    """What a run tells of the plan that governed it, if one did."""
    return {"plan": approved.told()} if approved else {}


def counts_of(made: Draft, read: ReadFacts) -> dict[str, Any]:
    """What a run stores of its accounts, and prints: subject → word → count, and what was noticed of the read.

    `defaults_not_registered`, `too_many_addresses` and `confirmed_later` are counts of accounts by themselves.
    """
    return {
        "standing": dict(made.standings),
        "not_certain": dict(made.not_certain),
        "defaults_not_registered": made.defaults_not_registered,
        "too_many_addresses": made.too_many_addresses,
        "confirmed_later": made.confirmed_later,
        "changes": dict(made.changes_seen),
        "outcomes": dict(made.outcomes),
        **read.noticed,
    }
