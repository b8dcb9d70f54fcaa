"""Decides one id range: the letters to queue and to withdraw, and the new record of every account in it (design §5 to §8)."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pandas as pd

from migrate.core import changes, plan, remember
from migrate.core.accounts import conform
from migrate.core.changes import OPEN_COLUMNS, Compared
from migrate.core.letters import STRUCK_OUT, Mailed
from migrate.core.moves import own_days
from migrate.core.standing import assess, at_cutoff, default_not_registered, destination
from migrate.core.word_columns import found_by_id
from migrate.decide.composing import written
from migrate.decide.confirming import of_today
from migrate.decide.decided import Case, Decided, Rules, Tally, added, counted
from migrate.directory.snapshot import Range
from migrate.incremental import Part
from migrate.ledger.prior import Prior


@dataclass(frozen=True, slots=True)
class Prepared:
    """A part that is ready to be decided, and what the ledger knows of its range: its letters, and the changes that are to be confirmed
    (`OPEN_COLUMNS`)."""

    part: Part
    open_changes: pd.DataFrame
    mailed: Mailed


def prepared(parts: Iterable[Part], prior: Prior, rules: Rules, *, few: bool) -> Generator[Prepared, None, None]:
    """Each part with what the ledger knows. `few`: a part has only some of the accounts of its range, so letters are looked up for those
    alone."""
    for part in parts:
        low, high, ids = part.range.low, part.range.high, [part.range.accounts["account_id"], part.recorded["account_id"]]
        only = pd.concat(ids).unique().tolist() if few else None
        yield Prepared(part, prior.open_changes(low, high), prior.mailed(low, high, rules.moment.occasions, only))
        del part  # it is not kept while the next one is made


def decide(ready: Prepared, prior: Prior, rules: Rules, exempt: pd.Series, paused: pd.Series) -> Decided:
    """Decides a part. Its accounts with a change to confirm are not finished yet: they become the `case` of the result.

    `exempt`, `paused`: account id → the last day of the exemption or pause that is in force today.
    """
    policy, moment = rules.policy, rules.moment
    campaign, now = moment.campaign, moment.now
    part, mailed = ready.part, ready.mailed
    rows, recorded = part.range, part.recorded
    compared = _compared(part, prior, rules)
    accounts, own = compared.accounts, own_days(compared.wave, moment.by_wave)
    exempt_until, paused_until = (found_by_id(accounts["account_id"], until) for until in (exempt, paused))
    standing = assess(accounts, policy, exempt_until.notna(), now)
    effect = at_cutoff(accounts, policy, campaign.at_cutoff, exempt_until >= own["cutoff_day"], now)
    leads = destination(accounts, policy)
    open_, unsaid = _open_changes(compared, ready.open_changes, rules)
    open_, merged, later = of_today(open_, prior, rules)
    confirming = accounts["account_id"].isin(open_["account_id"]) & (standing != "inactive")
    reminded = plan.to_be_reminded(compared, standing, policy, own["after_cutoff"])
    stuck = plan.without_destination(leads, policy)
    planned = plan.plan(compared, standing, reminded, confirming, exempt_until, paused_until, stuck, mailed, rules.judge, moment)
    mail = written(planned.reminders, accounts, standing, own["cutoff"], compared.changes, rules, planned.outcomes)
    outcomes = mail.outcomes
    record = remember.remember(
        compared, standing, effect, exempt_until, outcomes, leads, policy=policy, basis=rules.basis, cutoff=own["cutoff"], now=now
    )

    settled = ~confirming
    differs = remember.differs(record, compared.prior, compared.known)
    kept = settled if part.was_plain is None else settled & (differs["differs"] | (rows.plain != part.was_plain))
    away = _away(rows, compared, recorded, now)
    words = counted(outcomes.loc[settled, "outcome"])
    words["rejected"] += len(rows.rejected)
    tally = Tally(
        accepted=len(accounts),
        mailed_changes=int(compared.changes.loc[compared.changes["mailed"], "account_id"].nunique()),
        reminders=int((outcomes["outcome"] == "queued").sum()),
        written_to=mail.written_to,
        defaults_not_registered=int(default_not_registered(accounts).sum()),
        too_many_addresses=int(changes.more_addresses_than(accounts["email"], accounts["notification_emails"], policy.max_addresses).sum()),
        confirmed_later=later,
        standings=counted(standing),
        not_certain=counted(standing[~record["certain"]]),
        changes_seen=counted(compared.changes["change"]),
        outcomes=words,
    )
    return Decided(
        records=(
            record[kept].assign(plain=rows.plain[kept], **{name: each[kept] for name, each in differs.items()}),
            *away.records,
        ),
        changes=(compared.changes,),
        letters=mail.letters,
        withdrawn=(_pointless(planned.withdrawn, mailed.waiting, accounts["account_id"], outcomes),),
        unsaid=(unsaid,),
        rejected=(rows.rejected,),
        doubled=rows.doubled,
        samples=mail.samples,
        tally=added(away.tally, tally),
        case=Case(
            accounts=accounts[confirming],
            record=record[confirming],
            prior=compared.prior[confirming],
            known=compared.known[confirming],
            changes=open_,
            plain=rows.plain[confirming],
            merged=merged,
        )
        if confirming.any()
        else None,
    )


def _compared(part: Part, prior: Prior, rules: Rules) -> Compared:
    """The accounts of a part, compared with their records. A change that another ledger has confirmed already is not mailed again."""
    rows, moment = part.range, rules.moment
    rejected = frozenset(rows.rejected["account_id"])
    compared = changes.compare(rows.accounts, part.recorded, rejected, rules.policy, rules.basis, rules.waves, moment.now)
    confirmed = prior.confirmed_elsewhere(rows.low, rows.high, compared.changes, compared.accounts)
    if not confirmed.any():
        return compared
    return replace(compared, changes=compared.changes.assign(mailed=compared.changes["mailed"] & ~confirmed))


def _pointless(withdrawn: pd.DataFrame, waiting: pd.DataFrame, ids: pd.Series, outcomes: pd.DataFrame) -> pd.DataFrame:
    """`withdrawn`, without letters of an older stage that would give way to a newer one if the newer one is not in an approved plan."""
    unlisted = ids[(outcomes["outcome"] == "not_in_plan") & (outcomes["outcome_reason"] != STRUCK_OUT)]
    stay = waiting.loc[waiting["account_id"].isin(unlisted), "letter_id"]
    return withdrawn[(withdrawn["reason"] != "newer_stage") | ~withdrawn["letter_id"].isin(stay)]


def _away(rows: Range, compared: Compared, recorded: pd.DataFrame, now: datetime) -> Decided:
    """The decisions on known accounts without an accepted row: they are gone, or their row was rejected."""
    gone, kept = compared.gone, remember.rejected(recorded, rows.rejected, compared.accounts["account_id"])
    records = []
    if len(gone):
        records.append(remember.departed(gone, now).assign(plain=False, differs=True, anew=True))
    if len(kept):
        before = recorded.loc[kept.index]
        differs = remember.differs(kept, before, pd.Series(True, index=kept.index))
        records.append(kept.assign(plain=False, **differs))
    tally = Tally(
        missing=len(gone) + len(kept),
        rejected_known=len(kept),
        # Rejected accounts keep their standing in the counts: without them it would look as if people had left SMS.
        standings=counted(kept["standing"]),
        not_certain=counted(kept.loc[~kept["certain"].astype("bool"), "standing"]),
    )
    return Decided(records=tuple(records), tally=tally)


def _open_changes(compared: Compared, recorded: pd.DataFrame, rules: Rules) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The changes to confirm (`OPEN_COLUMNS`), those of this read included; and `account_id`, `seq` of changes that are given up.

    A change is given up if it could not be confirmed for `confirm_days`, or if another person has the account id by now.
    """
    tenure = pd.Series(compared.tenure.to_numpy(), index=compared.accounts["account_id"])
    now_tenure = recorded["account_id"].map(tenure)
    late = recorded["seen_at"] < pd.Timestamp(rules.moment.now - timedelta(days=rules.policy.confirm_days))
    given_up = late | (now_tenure.notna() & (now_tenure != recorded["tenure"]))
    seen = compared.changes[compared.changes["mailed"] & (not rules.as_baseline)]
    both = pd.concat([recorded[~given_up & now_tenure.notna()], seen[list(OPEN_COLUMNS)]], ignore_index=True)
    return conform(both, OPEN_COLUMNS), recorded.loc[given_up, ["account_id", "seq"]]
