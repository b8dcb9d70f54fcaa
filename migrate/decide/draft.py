"""What a run would do, worked out and not done yet: the path from snapshot to letters (design §2).

A draft reads the ledger and writes nothing but private spill files. A run records it, delivers and reports; a dry run shows it. Nothing
in here knows which of the two it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from migrate.core import changes, plan, remember
from migrate.core.accounts import ACCOUNT_COLUMNS, conform, empty
from migrate.core.changes import Compared
from migrate.core.moves import own_days
from migrate.core.plan import OPEN_COLUMNS, STRUCK_OUT, Judge, LeftOut, Moment
from migrate.core.standing import PolicySettings, assess, at_cutoff, default_not_registered, destination
from migrate.core.waves import Waves
from migrate.core.words import CONFIRMATION
from migrate.decide.composing import COMPOSED_COLUMNS, Composed, compose
from migrate.directory.snapshot import Range, Snapshot
from migrate.errors import MigrateError
from migrate.files.spill import Sorted, Spill
from migrate.incremental import Beside, Part
from migrate.ledger import schema
from migrate.ledger.prior import Prior
from migrate.mail.compose import Composer
from migrate.mail.letter import Letter

_A_DAY: Final = 3
"""Confirmations that an account gets in a day of the campaign. Whoever switches to and fro all day is told of the last state next day."""
_SEQ_COLUMNS: Final[dict[str, str]] = {"account_id": "str", "seq": "int32"}
OUTCOME_COLUMNS: Final = ("account_id", "position", "standing", "outcome", "outcome_reason")


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything a decision depends on besides accounts and memory. `basis` digests the method mapping and the policy;
    `domain` is the sender's; `left_out` is what an approved plan says, if one is applied;
    with `as_baseline` the changes of this read are recorded and nobody is told of them; `secret` vouches for a plan of it
    (`migrate.review.vouching`), None before there is one; `waves` say whose days are whose."""

    policy: PolicySettings
    moment: Moment
    basis: str
    composer: Composer
    domain: str
    judge: Judge
    left_out: LeftOut = lambda letters: pd.Series("", index=letters.index, dtype="str")
    as_baseline: bool = False
    secret: str | None = None
    waves: Waves = field(kw_only=True)


@dataclass(slots=True)
class Draft:
    """What a run would do. The spills hold:

    * `records`: `RECORD_COLUMNS`, `plain` (`migrate.incremental`) and `differs` (whether the ledger lacks this version) of every account
      that was decided: read, gone or rejected. Those that carry over are counted and not among them;
    * `changes`: `CHANGE_COLUMNS`; `letters`: `COMPOSED_COLUMNS`; `withdrawn`: `letter_id`, `reason`;
    * `unsaid`: `account_id`, `seq` of changes that nobody could be told of in time; `rejected`: `REJECTED_COLUMNS`.

    `missing` counts known accounts without an accepted row, of the `known` of the last read, `rejected_known` those of them whose row was
    rejected; `mailed_changes` accounts with a change that is confirmed by mail. `standings` counts accounts by standing, those too whose
    row was rejected, as they are recorded; `not_certain` those of them with a second step that nobody knows by name;
    `defaults_not_registered` accounts whose default is no method of theirs; `reminders` the letters other than confirmations;
    `too_many_addresses` accounts with more of them than are mailed; `confirmed_later` those with a change of which they are told another
    day; `merged` has `account_id`, `seq` of changes that the confirmation of a later one tells of; `written_to` accounts with a letter.
    `samples` keeps one letter a kind and language.
    """

    rules: Rules
    records: Sorted
    changes: Spill
    letters: Spill
    withdrawn: Spill
    unsaid: Spill
    rejected: Spill
    read: int = 0
    accepted: int = 0
    known: int = 0
    missing: int = 0
    rejected_known: int = 0
    mailed_changes: int = 0
    reminders: int = 0
    written_to: int = 0
    held: bool = False
    doubled: list[int] = field(default_factory=list)
    merged: pd.DataFrame = field(default_factory=lambda: empty(_SEQ_COLUMNS))
    defaults_not_registered: int = 0
    too_many_addresses: int = 0
    confirmed_later: int = 0
    standings: Counter[str] = field(default_factory=Counter)
    not_certain: Counter[str] = field(default_factory=Counter)
    changes_seen: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    samples: dict[tuple[str, str], Letter] = field(default_factory=dict)

    @classmethod
    def blank(cls, rules: Rules, folder: Path) -> Draft:
        """A draft in which nothing is decided yet, with its spills in a private folder."""

        def spill(name: str) -> Spill:
            return Spill(folder / f"{name}.arrow")

        return cls(
            rules,
            records=Sorted(folder / "decided.arrow"),
            changes=spill("changes"),
            letters=spill("letters"),
            withdrawn=spill("withdrawn"),
            unsaid=spill("unsaid"),
            rejected=spill("rejected"),
        )

    def hold(self) -> None:
        """Keeps every reminder back: its account's outcome becomes `held`, and its stage stays due."""
        self.held = True
        self.outcomes["held"] += self.reminders
        self.outcomes["queued"] -= self.reminders
        self.outcomes += Counter()
        self.reminders = 0

    def recorded(self) -> Iterator[pd.DataFrame]:
        """`records`, as they are to be recorded."""
        return (self.as_held(table).to_pandas() for table in self.records.tables())

    def as_held(self, records: pa.Table) -> pa.Table:
        """Some of `records` as they are to be recorded: if reminders are held, with that outcome."""
        if not self.held:
            return records
        outcome = records["outcome"]
        back = pc.and_(pc.equal(outcome, "queued"), pc.not_equal(records["outcome_reason"], CONFIRMATION))
        values = {"outcome": pc.if_else(back, pa.scalar("held", outcome.type), outcome), "differs": pc.or_(records["differs"], back)}
        for name, column in values.items():
            records = records.set_column(records.schema.get_field_index(name), name, column)
        return records

    def queued(self) -> Iterator[pd.DataFrame]:
        """`letters`, as they are to be queued."""
        for frame in self.letters.frames():
            yield frame[frame["kind"] == CONFIRMATION] if self.held else frame

    def pointless(self) -> Iterator[pd.DataFrame]:
        """`withdrawn`, as they are to be withdrawn: without the newer stage, the older letter stays."""
        for frame in self.withdrawn.frames():
            yield frame[frame["reason"] != "newer_stage"] if self.held else frame

    def close(self) -> None:
        for spill in (self.records, self.changes, self.letters, self.withdrawn, self.unsaid, self.rejected):
            spill.close()


def draft(snapshot: Snapshot, prior: Prior, rules: Rules, folder: Path, beside: Beside | None = None) -> Draft:
    """Decides for every row of a snapshot, and of a read `beside` its image for every row that is not as it was.

    Raises if the outcomes do not add up to the rows read, or `queued` to who is written to.
    """
    made = Draft.blank(rules, folder)
    made.read = snapshot.rows + (beside.rows.unchanged if beside else 0)
    cases = _Cases(folder)
    today = rules.moment.campaign.today(rules.moment.now)
    exempt, paused = prior.exceptions(schema.exemption, today), prior.exceptions(schema.pause, today)
    for rows in snapshot.nameless():
        made.rejected.append(rows)
        made.outcomes["rejected"] += len(rows)
    parts = beside.parts() if beside else (Part(part, prior.accounts(part.low, part.high)) for part in snapshot.ranges())
    for part in parts:
        _decide(part, prior, rules, exempt, paused, made, cases, few=beside is not None)
    cases.close()
    had = [_addresses_had(case, prior, rules) for case in cases]
    holders = (beside or snapshot).holders(frozenset().union(*(each["folded"] for each in had)))
    for case, every in zip(cases, had, strict=True):
        _confirm(case, _nobodys(every, holders), rules, made)
    if beside:
        made.standings.update(beside.standings)
        made.not_certain.update(beside.not_certain)
        made.defaults_not_registered += beside.defaults_not_registered
        made.too_many_addresses += beside.too_many_addresses
        made.outcomes.update(beside.outcomes)
        made.accepted += beside.carried
    made.known = beside.known if beside else prior.known()
    made.close()
    made.outcomes += Counter()
    if made.outcomes.total() != made.read:
        raise MigrateError(f"{made.read} rows were read but {made.outcomes.total()} have an outcome; nothing was recorded.")
    if made.outcomes["queued"] != made.written_to:
        raise MigrateError(
            f"{made.outcomes['queued']} outcomes say queued, but {made.written_to} accounts have letters; nothing was recorded."
        )
    return made


def _count(words: pd.Series) -> dict[str, int]:
    return {str(word): int(number) for word, number in words.value_counts().items()}


@dataclass(frozen=True, slots=True)
class _Case:
    """Accounts with an open change to confirm: as read, as they are to be recorded but for the outcome, as recorded; the changes; and those
    (`account_id`, `seq`) that are told of with a later one."""

    accounts: pd.DataFrame
    record: pd.DataFrame
    prior: pd.DataFrame
    known: pd.Series
    changes: pd.DataFrame
    plain: pd.Series
    merged: pd.DataFrame


class _Cases:
    """The cases of all ranges, set aside until the whole read has been seen: an old address is told
    unless it is another account's primary address now."""

    def __init__(self, folder: Path) -> None:
        self._spills = {name: Spill(folder / f"case-{name}.arrow") for name in ("accounts", "record", "prior", "changes", "merged")}

    def add(self, case: _Case) -> None:
        self._spills["accounts"].append(case.accounts.assign(known=case.known, plain=case.plain))
        self._spills["record"].append(case.record)
        self._spills["prior"].append(case.prior)
        self._spills["changes"].append(case.changes)
        self._spills["merged"].append(case.merged)

    def close(self) -> None:
        for spill in self._spills.values():
            spill.close()

    def __iter__(self) -> Iterator[_Case]:
        for accounts, record, prior, seen, merged in zip(*(spill.frames() for spill in self._spills.values()), strict=True):
            yield _Case(accounts[list(ACCOUNT_COLUMNS)], record, prior, accounts["known"], seen, accounts["plain"], merged)


def _decide(
    decided: Part, prior: Prior, rules: Rules, exempt: pd.Series, paused: pd.Series, made: Draft, cases: _Cases, *, few: bool
) -> None:
    """Drafts one part. `few`: it has but a few of the accounts of its range."""
    policy, moment = rules.policy, rules.moment
    campaign, now = moment.campaign, moment.now
    part, recorded = decided.range, decided.recorded
    compared = changes.compare(part.accounts, recorded, frozenset(part.rejected["account_id"]), policy, rules.basis, rules.waves, now)
    accounts, own = compared.accounts, own_days(compared.wave, moment.by_wave)
    confirmed = prior.confirmed_elsewhere(part.low, part.high, compared.changes, accounts)
    if confirmed.any():
        compared = replace(compared, changes=compared.changes.assign(mailed=compared.changes["mailed"] & ~confirmed))
    exempt_until, paused_until = (accounts["account_id"].map(until).astype("str") for until in (exempt, paused))
    standing = assess(accounts, policy, exempt_until.notna(), now)
    effect = at_cutoff(accounts, policy, campaign.at_cutoff, exempt_until >= own["cutoff_day"], now)
    leads = destination(accounts, policy)
    open_ = _open_changes(compared, prior.open_changes(part.low, part.high), rules, made)
    open_, merged = _of_today(open_, prior, rules, made)
    confirming = accounts["account_id"].isin(open_["account_id"]) & (standing != "inactive")
    reminded = plan.to_be_reminded(compared, standing, policy, own["after_cutoff"])
    only = pd.concat([accounts["account_id"], recorded["account_id"]]).unique().tolist() if few else None
    mailed = prior.mailed(part.low, part.high, moment.occasions, only)
    stuck = plan.without_destination(leads, policy)
    planned = plan.plan(compared, standing, reminded, confirming, exempt_until, paused_until, stuck, mailed, rules.judge, moment)
    outcomes = _compose(planned.reminders, accounts, standing, own["cutoff"], compared.changes, rules, made, planned.outcomes)
    record = remember.remember(
        compared, standing, effect, exempt_until, outcomes, leads, policy=policy, basis=rules.basis, cutoff=own["cutoff"], now=now
    )

    settled = ~confirming
    differs = remember.differs(record, compared.prior, compared.known)
    made.records.append(record[settled].assign(plain=part.plain[settled], differs=differs[settled]))
    if confirming.any():
        known, plain = compared.known[confirming], part.plain[confirming]
        cases.add(_Case(accounts[confirming], record[confirming], compared.prior[confirming], known, open_, plain, merged))
    made.doubled += part.doubled
    away = _away(part, compared, recorded, now, made)

    made.accepted += len(accounts)
    made.missing += away
    made.mailed_changes += int(compared.changes.loc[compared.changes["mailed"], "account_id"].nunique())
    made.standings.update(_count(standing))
    made.not_certain.update(_count(standing[~record["certain"]]))
    made.defaults_not_registered += int(default_not_registered(accounts).sum())
    made.too_many_addresses += int(
        changes.more_addresses_than(accounts["email"], accounts["notification_emails"], policy.max_addresses).sum()
    )
    made.changes_seen.update(_count(compared.changes["change"]))
    made.outcomes.update(_count(outcomes.loc[settled, "outcome"]))
    made.outcomes["rejected"] += len(part.rejected)
    made.reminders += int((outcomes["outcome"] == "queued").sum())
    withdrawn = _pointless(planned.withdrawn, mailed.waiting, accounts["account_id"], outcomes)
    for spill, frame in ((made.changes, compared.changes), (made.withdrawn, withdrawn), (made.rejected, part.rejected)):
        if len(frame):
            spill.append(frame)


def _pointless(withdrawn: pd.DataFrame, waiting: pd.DataFrame, ids: pd.Series, outcomes: pd.DataFrame) -> pd.DataFrame:
    """`withdrawn` without the older letters of accounts whose newer stage an approved plan does not have: those stay."""
    unlisted = ids[(outcomes["outcome"] == "not_in_plan") & (outcomes["outcome_reason"] != STRUCK_OUT)]
    stay = waiting.loc[waiting["account_id"].isin(unlisted), "letter_id"]
    return withdrawn[(withdrawn["reason"] != "newer_stage") | ~withdrawn["letter_id"].isin(stay)]


def _away(part: Range, compared: Compared, recorded: pd.DataFrame, now: datetime, made: Draft) -> int:
    """Drafts the known accounts without an accepted row: those that are gone, and those whose row was rejected. How many they are."""
    gone, kept = compared.gone, remember.rejected(recorded, part.rejected, compared.accounts["account_id"])
    if len(gone):
        made.records.append(remember.departed(gone, now).assign(plain=False, differs=True))
    if len(kept):
        before = recorded.loc[kept.index]
        differs = remember.differs(kept, before, pd.Series(True, index=kept.index))
        made.records.append(kept.assign(plain=False, differs=differs))
        # They stand where they stood: left out, they would look like people who have moved.
        made.standings.update(_count(kept["standing"]))
        made.not_certain.update(_count(kept.loc[~kept["certain"].astype("bool"), "standing"]))
    made.rejected_known += len(kept)
    return len(gone) + len(kept)


def _open_changes(compared: Compared, recorded: pd.DataFrame, rules: Rules, made: Draft) -> pd.DataFrame:
    """`OPEN_COLUMNS` of what is to be confirmed now, this read's changes included.

    Given up, and drafted as unsaid: a change nobody could be told of for `confirm_days`, and one of a person who no longer has the id.
    """
    tenure = pd.Series(compared.tenure.to_numpy(), index=compared.accounts["account_id"])
    now_tenure = recorded["account_id"].map(tenure)
    late = recorded["seen_at"] < pd.Timestamp(rules.moment.now - timedelta(days=rules.policy.confirm_days))
    given_up = late | (now_tenure.notna() & (now_tenure != recorded["tenure"]))
    if given_up.any():
        made.unsaid.append(recorded.loc[given_up, ["account_id", "seq"]])
    seen = compared.changes[compared.changes["mailed"] & (not rules.as_baseline)]
    both = pd.concat([recorded[~given_up & now_tenure.notna()], seen[list(OPEN_COLUMNS)]], ignore_index=True)
    return conform(both, OPEN_COLUMNS)


def _of_today(pending: pd.DataFrame, prior: Prior, rules: Rules, made: Draft) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The open changes that are confirmed now, and `account_id`, `seq` of those that the last of their account tells of besides.

    An account that had `_A_DAY` confirmations today gets the next one another day. Changes that wait for that are told of as one, so that
    the letter says what is so now; and so are more changes than an account gets confirmations.
    """
    none = empty(_SEQ_COLUMNS)
    if pending.empty:
        return pending, none
    zone = rules.moment.campaign.timezone
    sent = prior.confirmations(pending["account_id"].unique().tolist(), pending["seen_at"].min().normalize() - timedelta(days=1))
    if sent.empty and not pending["account_id"].duplicated().any():
        return pending, none
    sent["day"] = sent["created_at"].dt.tz_convert(zone).dt.strftime("%Y-%m-%d")
    full = sent.groupby(["account_id", "day"]).size()
    today = rules.moment.campaign.today(rules.moment.now).isoformat()
    ids = pending["account_id"]
    days = pending["seen_at"].dt.tz_convert(zone).dt.strftime("%Y-%m-%d")
    waited = pd.Series(pd.MultiIndex.from_arrays([ids, days]).isin(full[full >= _A_DAY].index), index=pending.index)
    room = _A_DAY - ids.map(full.xs(today, level="day") if today in full.index.get_level_values("day") else {}).fillna(0)
    later = room <= 0
    made.confirmed_later += int(ids[later].nunique())
    many = ids.groupby(ids).transform("size")
    together = (many > 1) & ((many > room) | waited.groupby(ids).transform("any")) & ~later
    if not together.any():
        return pending[~later], none
    told = changes.merged(pending[together], rules.policy)
    over = pending.loc[together, list(_SEQ_COLUMNS)].drop(index=told.index)
    return conform(pd.concat([pending[~later & ~together], told], ignore_index=True), OPEN_COLUMNS), over.reset_index(drop=True)


def _compose(
    letters: pd.DataFrame,
    accounts: pd.DataFrame,
    standing: pd.Series,
    cutoff: pd.Series,
    seen: pd.DataFrame,
    rules: Rules,
    made: Draft,
    outcomes: pd.DataFrame,
) -> pd.DataFrame:
    """Composes letters into the draft; the outcomes, with `unrenderable` for accounts none of whose letters could be composed, and
    `not_in_plan` for those whose reminder an approved plan leaves out."""
    if letters.empty:
        return outcomes
    composed: Composed = compose(letters, accounts, standing, cutoff, seen, rules.composer, rules.domain, rules.moment)
    for letter in composed.samples:
        made.samples.setdefault((letter.kind, letter.letter.language), letter.letter)
    left_out = rules.left_out(composed.letters)
    going = composed.letters.loc[left_out == "", list(COMPOSED_COLUMNS)]
    made.letters.append(going)
    made.written_to += int(going["account_id"].nunique())
    failed = composed.failed[~composed.failed.index.isin(composed.letters["row"])]
    left_out = left_out[left_out != ""].set_axis(composed.letters.loc[left_out != "", "row"])
    outcome, reason = outcomes["outcome"].copy(), outcomes["outcome_reason"].copy()
    for word, why in (("unrenderable", failed), ("not_in_plan", left_out)):
        outcome.loc[why.index], reason.loc[why.index] = word, why
    return pd.DataFrame({"outcome": outcome, "outcome_reason": reason})


def _confirm(case: _Case, previous: pd.DataFrame, rules: Rules, made: Draft) -> None:
    """Drafts the confirmations of a case, also to the `previous` addresses (`account_id`, `address`, `role`)."""
    accounts, tenure = case.accounts, case.record["tenure"]
    recorded = changes.addresses(case.prior[case.known])
    recorded["account_id"] = recorded["row"].map(case.prior["account_id"]).astype("str")
    found = plan.confirm(accounts, tenure, case.changes, previous, recorded, rules.judge, rules.policy.max_addresses)
    outcomes = pd.DataFrame(
        {"outcome": found.outcomes["outcome"].to_numpy(), "outcome_reason": found.outcomes["outcome_reason"].to_numpy()},
        index=accounts.index,
    ).astype("str")
    outcomes = _compose(found.letters, accounts, case.record["standing"], case.record["cutoff"], case.changes, rules, made, outcomes)
    record = case.record.assign(outcome=outcomes["outcome"], outcome_reason=outcomes["outcome_reason"])
    told = case.merged["account_id"].isin(record.loc[record["outcome"] == "queued", "account_id"])
    made.merged = pd.concat([made.merged, case.merged[told]], ignore_index=True)
    made.records.append(record.assign(plain=case.plain, differs=remember.differs(record, case.prior, case.known)))
    made.outcomes.update(_count(record["outcome"]))


def _addresses_had(case: _Case, prior: Prior, rules: Rules) -> pd.DataFrame:
    """`account_id`, `address`, `role`, `folded` of the addresses they had in the last `old_address_days`, and have no more."""
    if rules.policy.old_address_days == 0:
        return pd.DataFrame({name: pd.Series(dtype="str") for name in ("account_id", "address", "role", "folded")})
    since = rules.moment.now - timedelta(days=rules.policy.old_address_days)
    ids = case.accounts["account_id"]
    history = prior.earlier_addresses(ids.tolist(), since)
    had = pd.concat([case.prior.loc[case.known, list(history.columns)], history], ignore_index=True)
    tenure = pd.Series(case.record["tenure"].to_numpy(), index=ids)
    had = had[had["account_id"].map(tenure) == had["tenure"]].reset_index(drop=True)
    every, now = changes.addresses(had), changes.addresses(case.accounts)
    every["account_id"], now["account_id"] = every["row"].map(had["account_id"]), now["row"].map(ids)
    still = pd.MultiIndex.from_frame(every[["account_id", "folded"]]).isin(pd.MultiIndex.from_frame(now[["account_id", "folded"]]))
    return (
        every.loc[~still, ["account_id", "address", "role", "folded"]]
        .sort_values("role", ascending=False)
        .drop_duplicates(["account_id", "folded"])
    )


def _nobodys(had: pd.DataFrame, holders: pd.DataFrame) -> pd.DataFrame:
    """`account_id`, `address`, `role` of the addresses in `had` that are no other account's primary address now."""
    others = had.merge(holders, on="folded", suffixes=("", "_now"))
    taken = others.loc[others["account_id"] != others["account_id_now"], "folded"]
    return had.loc[~had["folded"].isin(taken), ["account_id", "address", "role"]].drop_duplicates()
