"""Records a draft, in the same transaction in which it was decided (docs/decisions/0004)."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from migrate import __version__, outbox
from migrate.config import Config
from migrate.decide.draft import Draft
from migrate.ledger import account_rows, identity, kept_texts, runs
from migrate.ledger.runs import Run, RunFacts
from migrate.outbox import plans, recovered
from migrate.outbox.queueing import enqueue
from migrate.report.terms import Terms
from migrate.review.approval import Approval
from migrate.run import keeping
from migrate.run.clock_guard import TYPED
from migrate.run.summary import Decision


def write_down(
    connection: sa.Connection,
    made: Draft,
    decision: Decision,
    config: Config,
    approved: Approval | None,
    described: str,
    *,
    typed: bool = False,
) -> Run:
    """Records a draft and its decision; the run that this makes. `described` is a line about the directory. `typed` is true if a person set
    the run's time (`--as-of`)."""
    campaign, composer, now = config.campaign, made.rules.composer, made.rules.moment.now
    campaign_id = account_rows.ensure_campaign(connection, campaign.name, now, made.rules.secret)
    kept_texts.keep(connection, composer.digest, "mail", composer.kept, now)
    facts = RunFacts(
        as_of=now,
        started_at=now,
        baseline=made.rules.as_baseline,
        read=decision.read,
        rejected=decision.rejected,
        basis=made.rules.basis,
        directory=described,
        directory_read_at=decision.directory_as_of,
        opens=campaign.opens.isoformat(),
        cutoff=campaign.cutoff_at,
        timezone=campaign.timezone,
        config_digest=config.digest,
        mail_digest=composer.digest,
        tool_version=__version__,
    )
    this = runs.begin(connection, campaign_id, facts)
    all_new = not account_rows.any_account(connection, campaign_id)
    for versions, outcomes in made.recorded():
        account_rows.record_accounts(connection, campaign_id, this.seq, versions, all_new=all_new)
        account_rows.record_outcomes(connection, campaign_id, this.seq, outcomes)
    for rows in made.changes.frames():
        account_rows.record_changes(connection, campaign_id, this.seq, rows, mail=not made.rules.as_baseline)
    recovered.changes_done(connection, campaign_id)
    for rows in made.rejected.frames():
        account_rows.record_rejections(connection, this.seq, rows)
    for rows in made.unsaid.frames():
        account_rows.close_changes(connection, campaign_id, rows, "unsaid", now)
    for rows in made.pointless():
        outbox.withdraw(connection, rows, now, actor=this.run_id, run_seq=this.seq)
    for rows in made.queued():
        enqueue(connection, campaign_id, this.seq, rows, now)
        told = rows.loc[rows["change_seq"] > 0, ["account_id", "change_seq"]].rename(columns={"change_seq": "seq"})
        account_rows.close_changes(connection, campaign_id, told.drop_duplicates(), "confirmed", now)
    account_rows.close_changes(connection, campaign_id, made.merged, "recorded", now)
    if approved:
        _approve(connection, campaign_id, this, approved, now)
    terms = Terms.of(config.waves, config.schedule, config.policy).to_json()
    kept = {"terms": terms, "ledger": identity.sign(connection), "rules": keeping.rules(config, now)} | ({"clock": TYPED} if typed else {})
    runs.record_counts(connection, this.seq, decision.counts() | kept)
    return runs.find(connection, this.seq)


def _approve(connection: sa.Connection, campaign_id: int, this: Run, approved: Approval, now: datetime) -> None:
    """Records the approval and what the reviewer struck out. A reminder that was struck out is never due again, whatever becomes of its
    account."""
    detail = {
        "run": this.run_id,
        "as_of": approved.as_of.isoformat(),
        "reminders": len(approved.reminders),
        "removed": approved.struck,
        "confirmations_removed": approved.confirmations_deleted,
    }
    plans.approve(connection, campaign_id, approved.digest, by=approved.by, at=now, rows=approved.approved, detail=detail)
    for rows in approved.struck_out():
        plans.strike(connection, campaign_id, this.seq, this.run_id, rows, now)
