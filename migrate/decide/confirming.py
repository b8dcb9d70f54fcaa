"""Which changes are confirmed by mail in this run, and to which former addresses (design §6, §8).

An account with a change to confirm is a `Case`. It cannot be finished when its id range is decided: a confirmation also goes to a former
address of the account, unless that is another account's primary address by now, and the other account may be anywhere in the read. So
cases are set aside in files (`Cases`), and finished (`confirm`) when the whole read has been decided.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

import pandas as pd

from migrate.core import changes, confirmations, remember
from migrate.core.accounts import ACCOUNT_COLUMNS, conform, empty
from migrate.core.changes import OPEN_COLUMNS
from migrate.decide.composing import written
from migrate.decide.decided import Case, Decided, Rules, Tally, counted
from migrate.files.spill import Spill
from migrate.ledger.prior import Prior

_MOST_A_DAY: Final = 3
"""How many confirmations an account gets in a day at most. Somebody who switches to and fro all day is told of the result next day."""
SEQ_COLUMNS: Final[dict[str, str]] = {"account_id": "str", "seq": "int32"}


class Cases:
    """The cases of all ranges, kept in private files until the whole read has been decided."""

    def __init__(self, folder: Path) -> None:
        self._spills = {name: Spill(folder / f"case-{name}.arrow") for name in ("accounts", "record", "prior", "changes", "merged")}

    def add(self, case: Case) -> None:
        self._spills["accounts"].append(case.accounts.assign(known=case.known, plain=case.plain))
        self._spills["record"].append(case.record)
        self._spills["prior"].append(case.prior)
        self._spills["changes"].append(case.changes)
        self._spills["merged"].append(case.merged)

    def close(self) -> None:
        for spill in self._spills.values():
            spill.close()

    def __iter__(self) -> Iterator[Case]:
        for accounts, record, prior, seen, merged in zip(*(spill.frames() for spill in self._spills.values()), strict=True):
            yield Case(
                accounts=accounts[list(ACCOUNT_COLUMNS)],
                record=record,
                prior=prior,
                known=accounts["known"],
                changes=seen,
                plain=accounts["plain"],
                merged=merged,
            )


def of_today(pending: pd.DataFrame, prior: Prior, rules: Rules) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """Divides the `pending` changes (`OPEN_COLUMNS`). Gives: the changes to confirm now; `account_id`, `seq` of changes that get no letter
    of their own, since the account's last change covers them; and how many accounts wait for another day.

    An account that had `_MOST_A_DAY` confirmations today gets the next one another day. Then all changes that waited are confirmed as one,
    so that the letter says how things are now. So are the changes of an account that has more of them than it may get confirmations.
    """
    none = empty(SEQ_COLUMNS)
    if pending.empty:
        return pending, none, 0
    zone = rules.moment.campaign.timezone
    sent = prior.confirmations(pending["account_id"].unique().tolist(), pending["seen_at"].min().normalize() - timedelta(days=1))
    if sent.empty and not pending["account_id"].duplicated().any():
        return pending, none, 0
    sent["day"] = sent["created_at"].dt.tz_convert(zone).dt.strftime("%Y-%m-%d")
    full = sent.groupby(["account_id", "day"]).size()
    today = rules.moment.campaign.today(rules.moment.now).isoformat()
    ids = pending["account_id"]
    days = pending["seen_at"].dt.tz_convert(zone).dt.strftime("%Y-%m-%d")
    waited = pd.Series(pd.MultiIndex.from_arrays([ids, days]).isin(full[full >= _MOST_A_DAY].index), index=pending.index)
    room = _MOST_A_DAY - ids.map(full.xs(today, level="day") if today in full.index.get_level_values("day") else {}).fillna(0)
    later = room <= 0
    waiting = int(ids[later].nunique())
    many = ids.groupby(ids).transform("size")
    together = (many > 1) & ((many > room) | waited.groupby(ids).transform("any")) & ~later
    if not together.any():
        return pending[~later], none, waiting
    told = changes.merged(pending[together], rules.policy)
    over = pending.loc[together, list(SEQ_COLUMNS)].drop(index=told.index)
    return conform(pd.concat([pending[~later & ~together], told], ignore_index=True), OPEN_COLUMNS), over.reset_index(drop=True), waiting


def confirm(case: Case, previous: pd.DataFrame, rules: Rules) -> Decided:
    """Finishes a case: plans and composes its confirmations, also to the `previous` addresses (`account_id`, `address`, `role`)."""
    accounts, tenure = case.accounts, case.record["tenure"]
    recorded = changes.addresses(case.prior[case.known])
    recorded["account_id"] = recorded["row"].map(case.prior["account_id"]).astype("str")
    confirmed = confirmations.confirm(accounts, tenure, case.changes, previous, recorded, rules.judge, rules.policy.max_addresses)
    outcomes = pd.DataFrame(
        {"outcome": confirmed.outcomes["outcome"].to_numpy(), "outcome_reason": confirmed.outcomes["outcome_reason"].to_numpy()},
        index=accounts.index,
    ).astype("str")
    mail = written(confirmed.letters, accounts, case.record["standing"], case.record["cutoff"], case.changes, rules, outcomes)
    record = case.record.assign(outcome=mail.outcomes["outcome"], outcome_reason=mail.outcomes["outcome_reason"])
    told = case.merged["account_id"].isin(record.loc[record["outcome"] == "queued", "account_id"])
    return Decided(
        records=(record.assign(plain=case.plain, **remember.differs(record, case.prior, case.known)),),
        letters=mail.letters,
        merged=(case.merged[told],),
        samples=mail.samples,
        tally=Tally(written_to=mail.written_to, outcomes=counted(record["outcome"])),
    )


def addresses_had(case: Case, prior: Prior, rules: Rules) -> pd.DataFrame:
    """`account_id`, `address`, `role`, `folded` (lower case) of the addresses that the accounts of a case had in the last
    `old_address_days` and no longer have."""
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


def held_by_nobody_else(had: pd.DataFrame, holders: pd.DataFrame) -> pd.DataFrame:
    """`account_id`, `address`, `role` of the addresses in `had` that are not the primary address of another account now (`holders`)."""
    others = had.merge(holders, on="folded", suffixes=("", "_now"))
    taken = others.loc[others["account_id"] != others["account_id_now"], "folded"]
    return had.loc[~had["folded"].isin(taken), ["account_id", "address", "role"]].drop_duplicates()
