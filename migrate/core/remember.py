"""Makes the record of each account that the ledger keeps after a read, and finds the records that have changed. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from migrate.core.accounts import ACCOUNT_COLUMNS, RECORD_COLUMNS, conform
from migrate.core.changes import Compared
from migrate.core.standing import PolicySettings, certain

_OUTCOME: Final = ("outcome", "outcome_reason")
_AS_READ: Final = tuple(name for name in RECORD_COLUMNS if name in ACCOUNT_COLUMNS)


def remember(
    compared: Compared,
    standing: pd.Series,
    at_cutoff: pd.Series,
    exempt_until: pd.Series,
    outcomes: pd.DataFrame,
    destination: pd.Series,
    *,
    policy: PolicySettings,
    basis: str,
    cutoff: pd.Series,
    now: datetime,
) -> pd.DataFrame:
    """`RECORD_COLUMNS` of every accepted account of a range, aligned with `compared.accounts`.

    `standing_since` is the time of the read that first saw the standing. `migrated_at` is the time of the read that saw the account become
    migrated, missing if it was migrated from its first read on. From the account's `cutoff` on, `reminded` (design §7) and `at_cutoff` (§5)
    keep the value of the last read before it: `at_cutoff` then says what the cutoff did. An account that is first read after its cutoff
    keeps the `at_cutoff` of its first read.
    """
    prior, accounts = compared.prior, compared.accounts
    same = compared.known & ~compared.reused
    at = pd.Series(pd.Timestamp(now).as_unit("us"), index=accounts.index)
    never = pd.Series(pd.NaT, index=accounts.index, dtype="datetime64[us, UTC]")
    stays = same & (prior["standing"] == standing)
    migrated = standing == "migrated"
    before_cutoff = cutoff > pd.Timestamp(now)
    frozen = prior["reminded"] & same
    record = {name: accounts[name] for name in _AS_READ} | {
        "tenure": compared.tenure,
        "basis": basis,
        **{name: compared.assigned[name] for name in compared.assigned},
        "cutoff": cutoff,
        "standing": standing,
        "standing_since": prior["standing_since"].where(stays, at),
        "migrated_at": prior["migrated_at"].where(stays, at.where(same, never)).where(migrated, never),
        "at_cutoff": at_cutoff.where(before_cutoff | ~same, prior["at_cutoff"]),
        "compliant": standing.isin(policy.compliant),
        "certain": certain(accounts["methods"]),
        "destination": destination,
        "reminded": standing.isin(policy.remind).where(before_cutoff, frozen),
        "exempt_until": exempt_until,
        "outcome": outcomes["outcome"],
        "outcome_reason": outcomes["outcome_reason"],
        "first_seen_at": prior["first_seen_at"].where(same, at),
        "gone_at": never,
        "change_count": compared.change_count,
    }
    return conform(pd.DataFrame(record, index=accounts.index), RECORD_COLUMNS)


def departed(gone: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """`RECORD_COLUMNS` of accounts that a complete read no longer has: the record of before, with `gone_at` set."""
    return conform(gone.assign(gone_at=pd.Timestamp(now).as_unit("us"), change_count=gone["change_count"] + 1), RECORD_COLUMNS)


def rejected(recorded: pd.DataFrame, rejections: pd.DataFrame, accepted: pd.Series) -> pd.DataFrame:
    """`RECORD_COLUMNS` of known accounts whose row was rejected: the record of before, with the outcome `rejected` (design §4).

    `rejections` has `account_id` and `rejection`; `accepted` are ids that have an accepted row as well, and are left out. The index is that
    of `recorded`.
    """
    if rejections.empty:
        return recorded.iloc[:0]
    first = rejections[~rejections["account_id"].isin(accepted)].drop_duplicates("account_id").set_index("account_id")["rejection"]
    kept = recorded[recorded["account_id"].isin(first.index) & recorded["gone_at"].isna()]
    return conform(kept.assign(outcome="rejected", outcome_reason=kept["account_id"].map(first)), RECORD_COLUMNS)


def differs(record: pd.DataFrame, prior: pd.DataFrame, known: pd.Series) -> dict[str, pd.Series]:
    """Compares records with those of before. `differs`: there was none (not `known`), or a column differs. `anew`: the account gets a new
    version, because more than its outcome differs, or because a rejection begins or ends."""
    anew, other_outcome = ~known.to_numpy(bool), np.zeros(len(record), dtype=bool)
    for name in RECORD_COLUMNS:
        if name in _OUTCOME:
            other_outcome |= unlike(record[name], prior[name])
        else:
            anew |= unlike(record[name], prior[name])
    anew |= other_outcome & ((record["outcome"] == "rejected").to_numpy(bool) | (prior["outcome"] == "rejected").to_numpy(bool))
    return {"differs": pd.Series(anew | other_outcome, index=record.index), "anew": pd.Series(anew, index=record.index)}


def unlike(new: pd.Series, old: pd.Series) -> np.ndarray:
    """True where two aligned columns of records differ; two missing values are equal."""
    new_missing, old_missing = new.isna().to_numpy(), old.isna().to_numpy()
    other = new.array != old.array
    if isinstance(other, pd.arrays.BooleanArray):
        other = other.to_numpy(bool, na_value=False)
    differ: np.ndarray = (new_missing != old_missing) | (~new_missing & ~old_missing & np.asarray(other, dtype=bool))
    return differ
