"""Confirming changes: which are told of today, and to which addresses besides those that an account has now (design §6, §8)."""

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

_A_DAY: Final = 3
"""Confirmations that an account gets in a day of the campaign. Whoever switches to and fro all day is told of the last state next day."""
SEQ_COLUMNS: Final[dict[str, str]] = {"account_id": "str", "seq": "int32"}


class Cases:
    """The cases of all ranges, set aside until the whole read has been seen: an old address is told
    unless it is another account's primary address now."""

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
    """The open changes that are confirmed now; `account_id`, `seq` of those that the last of their account tells of besides; and how many
    accounts are told another day.

    An account that had `_A_DAY` confirmations today gets the next one another day. Changes that wait for that are told of as one, so that
    the letter says what is so now; and so are more changes than an account gets confirmations.
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
    waited = pd.Series(pd.MultiIndex.from_arrays([ids, days]).isin(full[full >= _A_DAY].index), index=pending.index)
    room = _A_DAY - ids.map(full.xs(today, level="day") if today in full.index.get_level_values("day") else {}).fillna(0)
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
    """The confirmations of a case, also to the `previous` addresses (`account_id`, `address`, `role`)."""
    accounts, tenure = case.accounts, case.record["tenure"]
    recorded = changes.addresses(case.prior[case.known])
    recorded["account_id"] = recorded["row"].map(case.prior["account_id"]).astype("str")
    found = confirmations.confirm(accounts, tenure, case.changes, previous, recorded, rules.judge, rules.policy.max_addresses)
    outcomes = pd.DataFrame(
        {"outcome": found.outcomes["outcome"].to_numpy(), "outcome_reason": found.outcomes["outcome_reason"].to_numpy()},
        index=accounts.index,
    ).astype("str")
    mail = written(found.letters, accounts, case.record["standing"], case.record["cutoff"], case.changes, rules, outcomes)
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


def nobodys(had: pd.DataFrame, holders: pd.DataFrame) -> pd.DataFrame:
    """`account_id`, `address`, `role` of the addresses in `had` that are no other account's primary address now."""
    others = had.merge(holders, on="folded", suffixes=("", "_now"))
    taken = others.loc[others["account_id"] != others["account_id_now"], "folded"]
    return had.loc[~had["folded"].isin(taken), ["account_id", "address", "role"]].drop_duplicates()
