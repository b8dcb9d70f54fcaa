"""Who is told what now, and what became of everybody else (design §7, §8). Pure: frames in, frames out.

Every row read leaves with exactly one of the `OUTCOMES` in `migrate.core.words`. A plan knows neither the ledger nor the mail: what the
ledger remembers of letters comes in as frames, and whether an address can be mailed comes in as a judgement (`Judge`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

import numpy as np
import pandas as pd

from migrate.core.accounts import INSTANT, conform
from migrate.core.campaign import CampaignSettings
from migrate.core.changes import Compared, addresses
from migrate.core.moves import MOVED, corrections, own_days
from migrate.core.schedule import ScheduleSettings, Stage, due, stages
from migrate.core.standing import OUT_OF_SCOPE, PolicySettings
from migrate.core.waves import THE_REST, Waves
from migrate.core.words import CONFIRMATION, CUTOFF_MOVED, PAST_CUTOFF, REVIEWER, STANDS, WAITING

Judge = Callable[[pd.Series], pd.DataFrame]
"""Addresses → `outcome` ('' where it can be mailed, else no_address, bad_address, domain_not_allowed, bounced) and `reason`."""

LeftOut = Callable[[pd.DataFrame], pd.Series]
"""Letters that are about to be queued → why an approved plan keeps each from it, '' where it does not."""

STRUCK_OUT: Final = "struck out by the reviewer"

TOLD_COLUMNS: Final[dict[str, str]] = {
    "account_id": "str", "tenure": "int32", "kind": "str", "occasion": "str", "told_cutoff": "str", "address": "str", "state": "str",
    "reason": "str", "settled_at": INSTANT, "ends": INSTANT,
}  # fmt: skip
"""Letters of the stage that counts now or a newer one, and corrections of the cutoff, in whatever state."""
WAITING_COLUMNS: Final[dict[str, str]] = {
    "letter_id": "int64",
    "account_id": "str",
    "tenure": "int32",
    "occasion": "str",
    "told_cutoff": "str",
    "ends": INSTANT,
}
"""Letters other than confirmations that are still queued; `ends` is when one is too late, missing if it never is."""
LAST_TOLD_COLUMNS: Final[dict[str, str]] = {
    "account_id": "str", "tenure": "int32", "last_told_at": INSTANT, "told_cutoff": "str", "moves": "int32",
}  # fmt: skip
"""Each account's letters other than confirmations, sent or uncertain: the instant of the last, the cutoff that the last one handed over
names, and how many of them were corrections of the cutoff."""
OPEN_COLUMNS: Final[dict[str, str]] = {
    "account_id": "str", "seq": "int32", "tenure": "int32", "change": "str", "seen_at": "datetime64[us, UTC]", "had": "int32",
    "has": "int32",
}  # fmt: skip
"""Mailed changes without a confirmation yet."""
COUNTING_COLUMNS: Final[dict[str, str]] = {
    "account_id": "str", "tenure": "int32", "occasion": "str", "told_cutoff": "str", "state": "str", "ends": INSTANT,
}  # fmt: skip
"""Letters of the stages that count now, and corrections of the cutoff, in whatever state."""
LETTER_COLUMNS: Final[dict[str, str]] = {
    "row": "int64", "account_id": "str", "tenure": "int32", "kind": "str", "occasion": "str", "told_cutoff": "str", "change_seq": "int32",
    "address": "str", "role": "str", "last_told_at": INSTANT, "ends": INSTANT, "priority": "int32", "earlier_cutoff": "str",
}  # fmt: skip
"""A letter to be composed and queued; `row` is its account's index in the frame of accounts. `earlier_cutoff` is what a
correction corrects, missing for any other letter."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is the same for everybody at one instant of a campaign: the clock, the stage that counts and the cutoff to name.

    `newer` are the names of the stages after it: who was told of one by a clock that has been set back since is told nothing older.
    `waves` are the same moment for those who have days of their own, by the name of their wave.
    """

    now: datetime
    stage: Stage | None
    campaign: CampaignSettings
    min_gap_days: int
    newer: tuple[str, ...] = ()
    waves: tuple[tuple[str, Moment], ...] = ()

    @classmethod
    def of(cls, waves: Waves, schedule: ScheduleSettings, now: datetime) -> Moment:
        """An instant of a campaign and of its waves."""
        *others, rest = ((name, cls._of(campaign, schedule, now)) for name, campaign in reversed(waves.campaigns.items()))
        return replace(rest[1], waves=tuple(reversed(others)))

    @classmethod
    def _of(cls, campaign: CampaignSettings, schedule: ScheduleSettings, now: datetime) -> Moment:
        planned = stages(campaign, schedule)
        stage = due(planned, now)
        newer = tuple(later.name for later in planned if stage and later.begins > stage.begins)
        return cls(now, stage, campaign, schedule.min_gap_days, newer)

    @property
    def by_wave(self) -> dict[str, Moment]:
        """Name of a wave → the moment for who is in it; that of everybody else first."""
        return {THE_REST: self, **dict(self.waves)}

    @property
    def counting(self) -> tuple[str, ...]:
        """The stages any letter of which stands in the way of another one now, for those who have these days."""
        return (self.stage.name, *self.newer) if self.stage else ()

    @property
    def occasions(self) -> tuple[str, ...]:
        """`counting`, of every wave."""
        return tuple(dict.fromkeys(name for moment in self.by_wave.values() for name in moment.counting))

    @property
    def stage_of(self) -> dict[str, str]:
        """Name of a wave → the stage that counts for it, '' for none."""
        return {name: moment.occasion for name, moment in self.by_wave.items()}

    @property
    def occasion(self) -> str:
        """The stage that counts, '' for none."""
        return self.stage.name if self.stage else ""

    def is_due(self, occasion: pd.Series, told_cutoff: pd.Series) -> pd.Series:
        """True for notices, by their key, that may be due to somebody now."""
        due_now = [(moment.occasion, moment.campaign.told_cutoff) for moment in self.by_wave.values()]
        cutoffs = [cutoff for _, cutoff in due_now]
        found = pd.Series(pd.MultiIndex.from_arrays([occasion, told_cutoff]).isin(due_now), index=occasion.index)
        return found | (occasion.str.startswith(MOVED) & told_cutoff.isin(cutoffs))

    @property
    def after_cutoff(self) -> bool:
        return self.now >= self.campaign.cutoff_at


@dataclass(frozen=True, slots=True)
class Mailed:
    """What the ledger remembers of the mail of one id range: `TOLD_COLUMNS`, `LAST_TOLD_COLUMNS`, `WAITING_COLUMNS`."""

    told: pd.DataFrame
    last_told: pd.DataFrame
    waiting: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Planned:
    """One id range, decided.

    * `outcomes`: `outcome`, `outcome_reason`, aligned with the accounts; the outcome of an account that awaits a confirmation is ''.
    * `reminders`: `LETTER_COLUMNS`, one for each account whose outcome is `queued`.
    * `withdrawn`: `letter_id`, `reason` of queued letters that are pointless now.
    """

    outcomes: pd.DataFrame
    reminders: pd.DataFrame
    withdrawn: pd.DataFrame


def to_be_reminded(compared: Compared, standing: pd.Series, policy: PolicySettings, after_cutoff: pd.Series | bool) -> pd.Series:
    """True where the account is reminded: by its standing, and from its cutoff on also whoever was reminded before it and is still not
    compliant (design §7)."""
    before = compared.prior["reminded"] & compared.known & ~compared.reused
    return standing.isin(policy.remind) | (before & ~standing.isin(policy.compliant | OUT_OF_SCOPE) & after_cutoff)


def without_destination(destination: pd.Series, policy: PolicySettings) -> pd.Series:
    """True where the source lets the account register nothing accepted, so that it gets no reminder, unless the policy wants it to."""
    return (destination == "no") & (not policy.remind_without_destination)


def plan(
    compared: Compared,
    standing: pd.Series,
    reminded: pd.Series,
    confirming: pd.Series,
    exempt_until: pd.Series,
    paused_until: pd.Series,
    stuck: pd.Series,
    mailed: Mailed,
    judge: Judge,
    moment: Moment,
) -> Planned:
    """The reminders of one id range, and the outcome of every account in it; the first matching row of design §8 wins.

    `confirming`: the account has an open change that is confirmed now, and so gets no reminder in this run. `exempt_until`,
    `paused_until`: last day (ISO date) of what is in force today, missing otherwise. `stuck`: the account cannot obey a reminder, and gets
    none (`without_destination`).
    """
    accounts = compared.accounts
    own = own_days(compared.wave, moment.by_wave)
    last = _matched(accounts["account_id"], compared.tenure, mailed.last_told)
    last_told = last["last_told_at"]
    standing_letters = _standing(accounts, compared.tenure, _kept(mailed.told, accounts.loc[stuck, "account_id"]), moment.now)
    told = _told(accounts, compared.tenure, compared.wave, own, standing_letters, moment)
    moved = corrections(accounts["account_id"], compared.tenure, own, last, standing_letters)
    today = moment.campaign.today(moment.now)
    soon = (_days_since(last_told, moment, today) < moment.min_gap_days) & ~moved["moving"]

    nothing = ((own["stage"] == "") | (told != "")) & ~moved["moving"]
    reason_soon = "last letter on " + last_told.dt.tz_convert(moment.campaign.timezone).dt.strftime("%Y-%m-%d").astype("str")
    rows: list[tuple[pd.Series, pd.Series | str, pd.Series | str]] = [
        (confirming, "", ""),
        (standing == "exempt", standing, "until " + exempt_until),
        (standing.isin(OUT_OF_SCOPE), standing, ""),
        (~reminded, "not_reminded", standing),
        (stuck & ~nothing, "no_destination", _what_may_be_registered(accounts["may_enrol"])),
        (nothing, "nothing_due", told),
        (soon, "too_soon", reason_soon),
        (paused_until.notna(), "paused", "until " + paused_until),
    ]
    outcome, reason = _first(rows, accounts.index)
    open_ = outcome.isna()
    judged = judge(accounts.loc[open_, "email"])
    outcome.loc[open_], reason.loc[open_] = judged["outcome"].replace("", "queued"), judged["reason"]
    queued = outcome == "queued"
    occasion = own["stage"].mask(moved["moving"], moved["occasion"])
    return Planned(
        outcomes=pd.DataFrame({"outcome": outcome.astype("str"), "outcome_reason": reason.mask(queued, occasion).astype("str")}),
        reminders=_reminders(accounts[queued], compared.tenure, last_told, own.assign(stage=occasion), moved, moment.now),
        withdrawn=_withdrawn(compared, standing, reminded, stuck, queued, own["told_cutoff"], mailed.waiting, moment.now),
    )


def _first(rows: list[tuple[pd.Series, pd.Series | str, pd.Series | str]], index: pd.Index) -> tuple[pd.Series, pd.Series]:
    """For each account the word and the reason of the first row that matches; missing where none does."""
    word, reason = pd.Series(np.nan, index=index, dtype="str"), pd.Series("", index=index, dtype="str")
    left = pd.Series(True, index=index)
    for when, says, because in rows:
        here = left & when
        if here.any():
            word, reason = word.mask(here, _column(says, index)), reason.mask(here, _column(because, index))
        left &= ~when
    return word, reason


def _column(value: pd.Series | str, index: pd.Index) -> pd.Series:
    return pd.Series(value, index=index, dtype="str") if isinstance(value, str) else value


def _matched(ids: pd.Series, tenure: pd.Series, of: pd.DataFrame) -> pd.DataFrame:
    """The row of `of` for each account and tenure, aligned; missing where there is none."""
    keys = pd.DataFrame({"account_id": ids, "tenure": tenure})
    return keys.merge(of, on=["account_id", "tenure"], how="left").set_axis(ids.index)


def _standing(accounts: pd.DataFrame, tenure: pd.Series, told: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """Those of `told` that stand in the way of another letter like them. A correction that ended before it was sent does not."""
    if told.empty:
        return told
    here = pd.DataFrame({"account_id": accounts["account_id"], "tenure": tenure, "email": accounts["email"].str.lower()})
    both = told.merge(here, on=["account_id", "tenure"])
    stands = in_the_way(both["state"], both["reason"], both["address"].str.lower() == both["email"])
    stands &= ~((both["kind"] == CUTOFF_MOVED) & both["state"].isin(WAITING) & (both["ends"] <= pd.Timestamp(now)))
    return both.loc[stands, list(TOLD_COLUMNS)]


def in_the_way(state: pd.Series, reason: pd.Series, same_address: pd.Series | bool) -> pd.Series:
    """True where a letter stands in the way of another one like it (design §7): it waits, is on its way, was sent or may have been, was
    withdrawn by a reviewer, or failed at the `same_address` as the other one would go to."""
    reviewed = (state == "withdrawn") & (reason == REVIEWER)
    return state.isin(STANDS) | reviewed | ((state == "failed") & same_address)


def _told(
    accounts: pd.DataFrame, tenure: pd.Series, wave: pd.Series, own: pd.DataFrame, standing_letters: pd.DataFrame, moment: Moment
) -> pd.Series:
    """Why the stage is not due again: the state of the letter that stands in its way, '' for none (design §7).

    A letter in the way names the account's cutoff, and is of this stage or a newer one; or it is a correction, which counts as every stage
    that has begun by the time it is settled.
    """
    if standing_letters.empty:
        return pd.Series("", index=accounts.index, dtype="str")
    here = pd.DataFrame(
        {
            "account_id": accounts["account_id"],
            "tenure": tenure,
            "wave": wave,
            "told_cutoff": own["told_cutoff"],
            "begins": own["begins"],
        }
    )
    both = standing_letters.merge(here, on=["account_id", "tenure", "told_cutoff"])
    counting = [(name, occasion) for name, of_wave in moment.by_wave.items() for occasion in of_wave.counting]
    says_it = pd.Series(False, index=both.index)
    if counting:
        says_it |= pd.MultiIndex.from_arrays([both["wave"], both["occasion"]]).isin(counting)
    says_it |= (both["kind"] == CUTOFF_MOVED) & (both["settled_at"].isna() | (both["settled_at"] >= both["begins"]))
    state = both[says_it].drop_duplicates("account_id").set_index("account_id")["state"]
    return accounts["account_id"].map(state).astype("str").fillna("")


def stands_alone(accounts: pd.DataFrame, letters: pd.DataFrame, moment: Moment) -> pd.Series:
    """The state of the letter that stands in the way of the stage, as `plan` would find it, for accounts of which nothing but that letter
    can be new: they were to be reminded of this stage, and nothing else of them has changed. '' where more is to be looked at: the account
    has no such letter, or several; or it is at its end, or failed, or was withdrawn.

    `accounts` has `account_id`, `tenure` and `wave`; `letters` are all of theirs that `COUNTING_COLUMNS` tells of.
    """
    found = letters.drop_duplicates("account_id", keep=False).set_index("account_id").reindex(accounts["account_id"])
    found = found.set_axis(accounts.index)
    own = own_days(accounts["wave"], moment.by_wave)
    counting = [(name, occasion) for name, of_wave in moment.by_wave.items() for occasion in of_wave.counting]
    stands = found["state"].isin(STANDS) & (found["tenure"] == accounts["tenure"]) & (found["told_cutoff"] == own["told_cutoff"])
    stands &= pd.MultiIndex.from_arrays([accounts["wave"], found["occasion"]]).isin(counting)
    stands &= ~(found["state"].isin(WAITING) & (found["ends"] <= pd.Timestamp(moment.now)))
    return found["state"].where(stands, "").astype("str")


def _kept(told: pd.DataFrame, stuck: pd.Series) -> pd.DataFrame:
    """`told` without the letters that wait for accounts which cannot obey them: those are withdrawn in this run."""
    if told.empty or stuck.empty:
        return told
    return told[~(told["state"].isin(WAITING) & told["account_id"].isin(stuck))]


def _what_may_be_registered(may_enrol: pd.Series) -> pd.Series:
    """In words; empty where nobody knows."""
    words = ("may register " + may_enrol.str.replace(",", ", ", regex=False)).mask(may_enrol == "", "nothing may be registered")
    return words.fillna("").astype("str")


def _days_since(last_told: pd.Series, moment: Moment, today: date) -> pd.Series:
    """Calendar days of the campaign since each last letter; a large number where there was none."""
    days = last_told.dt.tz_convert(moment.campaign.timezone).dt.tz_localize(None).dt.normalize()
    since: pd.Series = (pd.Timestamp(today) - days).dt.days.fillna(1_000_000)
    return since


def _reminders(
    accounts: pd.DataFrame, tenure: pd.Series, last_told: pd.Series, own: pd.DataFrame, moved: pd.DataFrame, now: datetime
) -> pd.DataFrame:
    """A letter for each account: of the stage that counts for it, or a correction, which ends with the cutoff as a reminder does."""
    own, moved = own.loc[accounts.index], moved.loc[accounts.index]
    moving = moved["moving"]
    return conform(
        pd.DataFrame(
            {
                "row": accounts.index,
                "account_id": accounts["account_id"],
                "tenure": tenure.loc[accounts.index],
                "kind": own["kind"].mask(moving, CUTOFF_MOVED),
                "occasion": own["stage"],
                "told_cutoff": own["told_cutoff"],
                "change_seq": 0,
                "address": accounts["email"],
                "role": "primary",
                "last_told_at": last_told.loc[accounts.index],
                "ends": own["ends"].mask(moving, own["cutoff"].where(own["cutoff"] > pd.Timestamp(now))),
                "priority": 1,
                "earlier_cutoff": moved["earlier"].where(moving),
            }
        ),
        LETTER_COLUMNS,
    )


def _withdrawn(
    compared: Compared,
    standing: pd.Series,
    reminded: pd.Series,
    stuck: pd.Series,
    queued: pd.Series,
    own_cutoff: pd.Series,
    waiting: pd.DataFrame,
    now: datetime,
) -> pd.DataFrame:
    """Queued letters that are pointless: the account is gone, another person, no longer reminded or cannot move; or the letter
    names another cutoff than the account has, is past its end, or gives way to a newer stage."""
    if waiting.empty:
        return pd.DataFrame({"letter_id": pd.Series(dtype="int64"), "reason": pd.Series(dtype="str")})
    here = pd.DataFrame(
        {
            "account_id": compared.accounts["account_id"],
            "now_tenure": compared.tenure,
            "standing": standing,
            "reminded": reminded & ~standing.isin(OUT_OF_SCOPE),
            "stuck": stuck,
            "queued": queued,
            "own_cutoff": own_cutoff,
        }
    )
    both = waiting.merge(here, on="account_id", how="left")
    gone = both["account_id"].isin(compared.gone["account_id"])
    read = both["standing"].notna()
    reason, _ = _first(
        [
            (gone, "gone", ""),
            (read & (both["tenure"] != both["now_tenure"]), "another_person", ""),
            (read & ~both["reminded"].fillna(False).astype(bool), both["standing"], ""),
            (read & both["stuck"].fillna(False).astype(bool), "no_destination", ""),
            (read & (both["told_cutoff"] != both["own_cutoff"]), CUTOFF_MOVED, ""),
            (both["ends"] <= pd.Timestamp(now), PAST_CUTOFF, ""),
            (read & both["queued"].fillna(False).astype(bool), "newer_stage", ""),
        ],
        both.index,
    )
    return pd.DataFrame({"letter_id": both["letter_id"], "reason": reason})[reason.notna()]


@dataclass(frozen=True, slots=True)
class Confirmations:
    """What became of the open changes of some accounts.

    * `letters`: `LETTER_COLUMNS`, one for each change and address that can be mailed.
    * `outcomes`: `account_id`, `outcome`, `outcome_reason`; `queued` if there is a letter, else why the primary address has none.
    """

    letters: pd.DataFrame
    outcomes: pd.DataFrame


def confirm(
    accounts: pd.DataFrame,
    tenure: pd.Series,
    changes: pd.DataFrame,
    previous: pd.DataFrame,
    recorded: pd.DataFrame,
    judge: Judge,
    most: int,
) -> Confirmations:
    """The confirmations of open changes: one letter an address, to the primary, every notification address and each previous one, but to
    no more than `most` of an account.

    `changes`: `OPEN_COLUMNS`, of these accounts. `previous`: `account_id`, `address`, `role` of addresses the account had lately that are
    no other account's primary address now. `recorded`: `account_id`, `folded` of those it had at the last read. (NIST SP 800-63B-4 §4.6:
    every non-postal address on record is told.) Pauses, exemptions and gaps never stop one.

    Of more addresses than `most` the primary ones come first, then those that were there before, listed still or not: whoever took an
    account over can push nobody out by adding others.
    """
    now = addresses(accounts)
    ids = accounts["account_id"]
    before = previous.assign(
        row=previous["account_id"].map(pd.Series(ids.index, index=ids)),
        was=previous["role"],
        role="previous",
        folded=previous["address"].str.lower(),
    )
    known = pd.MultiIndex.from_frame(recorded[["account_id", "folded"]])
    here = pd.MultiIndex.from_arrays([now["row"].map(ids).astype("str"), now["folded"]])
    now["rank"] = np.where(now["role"] == "primary", 0, np.where(here.isin(known), 2, 4))
    lately = pd.MultiIndex.from_frame(before[["account_id", "folded"]])
    before["rank"] = np.where(before["was"] == "primary", 1, np.where(lately.isin(known), 2, 3))
    every = pd.concat([now, before[["row", "address", "role", "folded", "rank"]].dropna()], ignore_index=True)
    every = every.drop_duplicates(["row", "folded"])
    judged = judge(every["address"])
    every = every[(judged["outcome"] == "").to_numpy()].assign(account_id=lambda e: e["row"].map(ids))
    first = every.sort_values(["row", "rank", "folded"], kind="stable").groupby("row", sort=False).cumcount() < most
    every = every[first.reindex(every.index)]
    letters = every.merge(changes[["account_id", "seq"]], on="account_id").sort_values(["row", "seq"], kind="stable")
    frame = conform(
        pd.DataFrame(
            {
                "row": letters["row"],
                "account_id": letters["account_id"],
                "tenure": letters["row"].map(tenure),
                "kind": CONFIRMATION,
                "occasion": "change-" + letters["seq"].astype("str"),
                "told_cutoff": "",
                "change_seq": letters["seq"],
                "address": letters["address"],
                "role": letters["role"],
                "last_told_at": pd.NaT,
                "ends": pd.NaT,
                "priority": 0,
                "earlier_cutoff": pd.Series(np.nan, index=letters.index, dtype="str"),
            }
        ),
        LETTER_COLUMNS,
    )
    primary = judge(accounts["email"])
    reachable = ids.isin(frame["account_id"])
    outcomes = pd.DataFrame(
        {
            "account_id": ids,
            "outcome": primary["outcome"].mask(reachable, "queued"),
            "outcome_reason": primary["reason"].mask(reachable, CONFIRMATION),
        }
    )
    return Confirmations(frame.reset_index(drop=True), outcomes.reset_index(drop=True))
