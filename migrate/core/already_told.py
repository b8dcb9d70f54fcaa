"""Which letters stand in the way of another one (design §7). Pure.

A letter stands in the way of a later one like it if it waits, is being sent, was sent or may have been sent. Then nobody is told the same
again: the account's outcome is `nothing_due`, and the state of the letter is the reason.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd

from migrate.core.moment import Moment
from migrate.core.moves import own_days
from migrate.core.words import CUTOFF_MOVED, REVIEWER, STANDS, WAITING


def in_the_way(state: pd.Series, reason: pd.Series, same_address: pd.Series | bool) -> pd.Series:
    """True where a letter stands in the way of another one like it (design §7).

    That is a letter that waits, is being sent, was sent or may have been sent; one that a reviewer withdrew; and one that failed, if the
    other one would go to the `same_address`.
    """
    reviewed = (state == "withdrawn") & (reason == REVIEWER)
    return state.isin(STANDS) | reviewed | ((state == "failed") & same_address)


def row_of_each_letter(ids: pd.Series, tenure: pd.Series, letters: pd.DataFrame) -> np.ndarray:
    """For each letter (`account_id`, `tenure`) the number of its account's row among `ids`, -1 if the account is not there or belongs to
    another person."""
    row = pd.Index(ids).get_indexer(pd.Index(letters["account_id"]))
    return np.where(tenure.to_numpy()[row] == letters["tenure"].to_numpy(), row, -1) if len(ids) else row


def standing_in_the_way(accounts: pd.DataFrame, tenure: pd.Series, told: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """The letters of `told` (`TOLD_COLUMNS`) that stand in the way of another one like them, to the account's address of now.

    A correction that is still waiting at its end does not: it will not be sent.
    """
    if told.empty:
        return told
    row = row_of_each_letter(accounts["account_id"], tenure, told)
    told, email = told[row >= 0], accounts["email"].take(row[row >= 0])
    stands = in_the_way(told["state"], told["reason"], told["address"].str.lower() == email.str.lower().set_axis(told.index))
    stands &= ~((told["kind"] == CUTOFF_MOVED) & told["state"].isin(WAITING) & (told["ends"] <= pd.Timestamp(now)))
    return told[stands]


def already_told(
    accounts: pd.DataFrame, tenure: pd.Series, wave: pd.Series, own: pd.DataFrame, letters_in_the_way: pd.DataFrame, moment: Moment
) -> pd.Series:
    """For each account the state of the letter that stands in the way of its stage, '' where there is none (design §7).

    Such a letter names the cutoff that the account has now, and is of this stage or a newer one. A correction counts for every stage that
    had begun when the correction was settled; one that is not settled yet counts for any.
    """
    if letters_in_the_way.empty:
        return pd.Series("", index=accounts.index, dtype="str")
    row = row_of_each_letter(accounts["account_id"], tenure, letters_in_the_way)
    letters, row = letters_in_the_way[row >= 0], row[row >= 0]
    of_wave, cutoff, begins = (each.take(row).set_axis(letters.index) for each in (wave, own["told_cutoff"], own["begins"]))
    tells_it = (letters["kind"] == CUTOFF_MOVED) & (letters["settled_at"].isna() | (letters["settled_at"] >= begins))
    for name, theirs in moment.by_wave.items():
        tells_it |= (of_wave == name) & letters["occasion"].isin(theirs.counting)
    tells_it &= letters["told_cutoff"] == cutoff
    place = np.full(len(accounts), -1)
    place[row[tells_it][::-1]] = np.flatnonzero(tells_it)[::-1]  # of several letters the first one counts, which is written last
    return pd.Series(letters["state"].array.take(place, allow_fill=True), index=accounts.index).fillna("")


def by_only_letter(accounts: pd.DataFrame, letters: pd.DataFrame, moment: Moment) -> pd.Series:
    """The state of the letter that stands in the way of the stage, as `already_told` would give it, by a quicker way: for accounts that
    were to be reminded of this stage, and of which nothing but the letter's state can have changed since.

    `accounts` has `account_id`, `tenure`, `wave`; `letters` are all of theirs (`COUNTING_COLUMNS`). The result is '' where the quick way
    does not do and the account must be planned in full: it has no such letter, or several; or the letter is past its end, has failed, or
    was withdrawn.
    """
    letter = letters.drop_duplicates("account_id", keep=False).set_index("account_id").reindex(accounts["account_id"])
    letter = letter.set_axis(accounts.index)
    own = own_days(accounts["wave"], moment.by_wave)
    of_the_stage = pd.Series(False, index=accounts.index)
    for name, of_wave in moment.by_wave.items():
        of_the_stage |= (accounts["wave"] == name) & letter["occasion"].isin(of_wave.counting)
    stands = letter["state"].isin(STANDS) & (letter["tenure"] == accounts["tenure"]) & (letter["told_cutoff"] == own["told_cutoff"])
    stands &= of_the_stage
    stands &= ~(letter["state"].isin(WAITING) & (letter["ends"] <= pd.Timestamp(moment.now)))
    return letter["state"].where(stands, "").astype("str")
