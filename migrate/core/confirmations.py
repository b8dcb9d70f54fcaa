"""The letters that confirm changes of methods, and to which addresses they go (design §6, §8). Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from migrate.core.accounts import conform
from migrate.core.changes import addresses
from migrate.core.letters import LETTER_COLUMNS, Judge
from migrate.core.words import CONFIRMATION


@dataclass(frozen=True, slots=True)
class Confirmations:
    """The letters that confirm the open changes of some accounts, and the outcome of each account.

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
    """The confirmations of the open changes of some accounts.

    Each change is confirmed to every address of the account, a letter each: the primary address, the notification addresses and the
    `previous` ones (NIST SP 800-63B-4 §4.6: every non-postal address on record is told). Pauses, exemptions and gaps never stop a
    confirmation.

    `changes`: `OPEN_COLUMNS`, of these accounts. `previous`: `account_id`, `address`, `role` of addresses that the account had lately and
    that are no other account's primary address now. `recorded`: `account_id`, `folded` (lower case) of the addresses at the last read.

    An account that has more than `most` addresses gets letters to the first `most`: its primary address, former primary ones, those that
    were there at the last read, other former ones, then new ones. So somebody who took an account over cannot push its owner's addresses
    out by adding others.
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
