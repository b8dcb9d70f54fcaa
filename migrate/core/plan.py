"""Who gets a reminder now, and the outcome of everybody else (design §7, §8). Pure: frames in, frames out.

What goes in, for one range of account ids: the accounts as compared with the ledger, the standing of each, the letters that the ledger
remembers (`Mailed`), a function that says which addresses can be mailed (`Judge`), and the `Moment`. What comes out (`Planned`): one
outcome of `migrate.core.words.OUTCOMES` for every account, the reminders to queue, and the queued letters to withdraw. In order:

1. each account gets the days of its wave, and the stage that counts for it (`own_days`);
2. an account has nothing due if an earlier letter of that stage stands in the way (`already_told`), unless its cutoff has moved since the
   last letter, which makes a correction due instead (`corrections`);
3. the rules of design §8 are tried in their order, and the first that holds gives the outcome (`_first_match`);
4. of the accounts that are left, those with an address that can be mailed are `queued` and get a reminder;
5. letters that still wait but are pointless by now are withdrawn (`_withdrawn`).

Nothing here knows the ledger or the mail. Confirmations of changes are planned in `migrate.core.confirmations`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import pandas as pd

from migrate.core.accounts import conform
from migrate.core.already_told import already_told, row_of_each_letter, standing_in_the_way
from migrate.core.changes import Compared
from migrate.core.letters import LETTER_COLUMNS, Judge, Mailed
from migrate.core.moment import Moment
from migrate.core.moves import corrections, own_days
from migrate.core.standing import OUT_OF_SCOPE, PolicySettings
from migrate.core.words import CUTOFF_MOVED, PAST_CUTOFF, WAITING


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan of one id range.

    * `outcomes`: `outcome`, `outcome_reason`, aligned with the accounts; the outcome of an account that awaits a confirmation is ''.
    * `reminders`: `LETTER_COLUMNS`, one for each account whose outcome is `queued`.
    * `withdrawn`: `letter_id`, `reason` of queued letters that are pointless now.
    """

    outcomes: pd.DataFrame
    reminders: pd.DataFrame
    withdrawn: pd.DataFrame


def to_be_reminded(compared: Compared, standing: pd.Series, policy: PolicySettings, after_cutoff: pd.Series | bool) -> pd.Series:
    """True where the account is to be reminded (design §7).

    The policy names the standings that are reminded. From its cutoff on, an account that was reminded before is reminded as well, unless it
    is compliant or out of scope by now.
    """
    before = compared.prior["reminded"] & compared.known & ~compared.reused
    return standing.isin(policy.remind) | (before & ~standing.isin(policy.compliant | OUT_OF_SCOPE) & after_cutoff)


def without_destination(destination: pd.Series, policy: PolicySettings) -> pd.Series:
    """True where the account gets no reminder because its source lets it register no accepted method (`destination` is `no`). Always
    false if the policy reminds such accounts (`remind_without_destination`)."""
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
    """The reminders of one id range, and the outcome of every account in it.

    All series are aligned with `compared.accounts`. `reminded`: the account is to be reminded (`to_be_reminded`). `confirming`: an open
    change of the account is confirmed now, so the account gets no reminder in this run. `exempt_until`, `paused_until`: the last day (ISO
    date) of the exemption or pause that is in force today, missing if there is none. `stuck`: the account cannot do what a reminder asks,
    so it gets none (`without_destination`).
    """
    accounts = compared.accounts
    own = own_days(compared.wave, moment.by_wave)
    last = _row_of_each(accounts["account_id"], compared.tenure, mailed.last_told)
    last_told = last["last_told_at"]
    kept = _without_withdrawn(mailed.told, accounts.loc[stuck, "account_id"])
    letters_in_the_way = standing_in_the_way(accounts, compared.tenure, kept, moment.now)
    told = already_told(accounts, compared.tenure, compared.wave, own, letters_in_the_way, moment)
    moved = corrections(accounts["account_id"], compared.tenure, own, last, letters_in_the_way)
    today = moment.campaign.today(moment.now)
    soon = (_days_since(last_told, moment, today) < moment.min_gap_days) & ~moved["moving"]

    nothing = ((own["stage"] == "") | (told != "")) & ~moved["moving"]
    rules: list[tuple[pd.Series, pd.Series | str, pd.Series | str]] = [  # where it holds, the outcome, the reason
        (confirming, "", ""),
        (standing == "exempt", standing, "until " + exempt_until),
        (standing.isin(OUT_OF_SCOPE), standing, ""),
        (~reminded, "not_reminded", standing),
        (stuck & ~nothing, "no_destination", _what_may_be_registered(accounts["may_enrol"])),
        (nothing, "nothing_due", told),
        (soon, "too_soon", _when_last(last_told, soon, moment)),
        (paused_until.notna(), "paused", "until " + paused_until),
    ]
    outcome, reason = _first_match(rules, accounts.index)
    left = outcome.isna()
    if left.any():
        judged = judge(accounts.loc[left, "email"])
        outcome.loc[left], reason.loc[left] = judged["outcome"].replace("", "queued"), judged["reason"]
    queued = outcome == "queued"
    occasion = own["stage"].mask(moved["moving"], moved["occasion"])
    return Planned(
        outcomes=pd.DataFrame({"outcome": outcome.astype("str"), "outcome_reason": reason.mask(queued, occasion).astype("str")}),
        reminders=_reminders(accounts[queued], compared.tenure, last_told, own.assign(stage=occasion), moved, moment.now),
        withdrawn=_withdrawn(compared, standing, reminded, stuck, queued, own["told_cutoff"], mailed.waiting, moment.now),
    )


def _first_match(rules: list[tuple[pd.Series, pd.Series | str, pd.Series | str]], index: pd.Index) -> tuple[pd.Series, pd.Series]:
    """For each account the word and the reason of the first rule that holds for it; the word is missing where none does."""
    word, reason = pd.Series(np.nan, index=index, dtype="str"), pd.Series("", index=index, dtype="str")
    left = pd.Series(True, index=index)
    for holds, says, because in rules:
        here = left & holds
        if here.any():
            word, reason = word.mask(here, _column(says, index)), reason.mask(here, _column(because, index))
        left &= ~holds
    return word, reason


def _column(value: pd.Series | str, index: pd.Index) -> pd.Series:
    return pd.Series(value, index=index, dtype="str") if isinstance(value, str) else value


def _row_of_each(ids: pd.Series, tenure: pd.Series, of: pd.DataFrame) -> pd.DataFrame:
    """The row of `of` for each account and tenure, aligned with `ids`; missing values where there is none. `of` has no person twice."""
    row = row_of_each_letter(ids, tenure, of)
    place = np.full(len(ids), -1)
    place[row[row >= 0]] = np.flatnonzero(row >= 0)
    return of.reset_index(drop=True).reindex(place).set_axis(ids.index)


def _without_withdrawn(told: pd.DataFrame, stuck: pd.Series) -> pd.DataFrame:
    """`told` without the waiting letters of the accounts `stuck` (ids): this run withdraws those letters, so they stand in nobody's way."""
    if told.empty or stuck.empty:
        return told
    return told[~(told["state"].isin(WAITING) & told["account_id"].isin(stuck))]


def _what_may_be_registered(may_enrol: pd.Series) -> pd.Series:
    """The methods an account may register, as a reason to show; empty where the source does not say."""
    words = ("may register " + may_enrol.str.replace(",", ", ", regex=False)).mask(may_enrol == "", "nothing may be registered")
    return words.fillna("").astype("str")


def _when_last(last_told: pd.Series, soon: pd.Series, moment: Moment) -> pd.Series:
    """The day of each account's last letter, as a reason to show where a letter would be too `soon` after it, else missing."""
    days = last_told[soon].dt.tz_convert(moment.campaign.timezone).dt.strftime("%Y-%m-%d").astype("str")
    return pd.Series("last letter on " + days).reindex(soon.index)


def _days_since(last_told: pd.Series, moment: Moment, today: date) -> pd.Series:
    """Calendar days since each account's last letter, in the campaign's time zone; a large number where there was no letter."""
    days = last_told.dt.tz_convert(moment.campaign.timezone).dt.tz_localize(None).dt.normalize()
    since: pd.Series = (pd.Timestamp(today) - days).dt.days.fillna(1_000_000)
    return since


def _reminders(
    accounts: pd.DataFrame, tenure: pd.Series, last_told: pd.Series, own: pd.DataFrame, moved: pd.DataFrame, now: datetime
) -> pd.DataFrame:
    """`LETTER_COLUMNS`, a letter for each of `accounts`: a correction where `moved` says so, else one of the account's stage.

    A correction is too late from the cutoff on, and never too late if the cutoff has passed already.
    """
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
    """`letter_id`, `reason` of the waiting letters that are pointless now.

    The account is gone, belongs to another person, is no longer reminded, or cannot register anything; or the letter names a cutoff that is
    no longer the account's, is past its end, or is replaced by the letter that is queued now.
    """
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
    reason, _ = _first_match(
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
