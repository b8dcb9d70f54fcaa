"""Finds the changes of accounts' methods between two reads (design §6). Pure: frames in, frames out.

`compare` compares one id range of a new read with the ledger's records of the same range. No change is reported for an account that is new,
nor for one whose second step belongs to another system now, or did at the last read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from migrate.core.accounts import ADDRESS_SEPARATOR, RECORD_COLUMNS, conform, methods_of
from migrate.core.standing import BACKUP_CODE, UNCERTAIN, PolicySettings, has_any
from migrate.core.waves import Waves
from migrate.core.word_columns import first_that_holds
from migrate.core.words import MAILED

CHANGE_COLUMNS: Final[dict[str, str]] = {
    "account_id": "str",
    "seq": "int32",
    "tenure": "int32",
    "change": "str",
    "mailed": "bool",
    "seen_at": "datetime64[us, UTC]",
    "had": "int32",
    "has": "int32",
}
"""A change a row; `seq` numbers the changes of an account, `had` and `has` are its methods before and now."""
OPEN_COLUMNS: Final[dict[str, str]] = {
    "account_id": "str", "seq": "int32", "tenure": "int32", "change": "str", "seen_at": "datetime64[us, UTC]", "had": "int32",
    "has": "int32",
}  # fmt: skip
"""Changes that are to be confirmed by mail and have no confirmation yet."""

_UNKNOWN: Final = methods_of(("unknown",))


@dataclass(frozen=True, slots=True)
class Compared:
    """One id range of a read, compared with the ledger's records. All but `changes` and `gone` are aligned by row.

    * `accounts`: the accepted accounts as read. A disabled account whose methods the source leaves out has its recorded methods.
    * `prior`: the record of each account (`RECORD_COLUMNS`); meaningless where `known` is false.
    * `known`: the ledger has this id. `returned`: it was gone and is the same person. `reused`: it was gone and is another person.
    * `tenure`, `change_count`: their values after this read.
    * `changes`: all changes in the range (`CHANGE_COLUMNS`), those of accounts that are gone included.
    * `gone`: the records of accounts that this complete read no longer has.
    * `wave`: the name of the account's wave, '' for none. `assigned`: the columns of `Waves.assign`.
    """

    accounts: pd.DataFrame
    prior: pd.DataFrame
    known: pd.Series
    returned: pd.Series
    reused: pd.Series
    tenure: pd.Series
    change_count: pd.Series
    changes: pd.DataFrame
    gone: pd.DataFrame
    wave: pd.Series
    assigned: pd.DataFrame


def classify(
    had: pd.Series, has: pd.Series, moved: pd.Series, reclassified: pd.Series, after_cutoff: pd.Series, policy: PolicySettings
) -> pd.Series:
    """The change of each account, '' for none; the first matching row of design §6 wins.

    `had`, `has`: method bit sets of the last read and this one. `moved`: the source's time of the last change of methods is later than at
    the last read. `reclassified`: the mapping or the policy has changed since. `after_cutoff`: at or after the account's cutoff.
    """
    retired, accepted = policy.retired_bits, policy.accepted_bits
    gained, lost = has & ~had, had & ~has
    differs = had != has
    # Unknown methods are left aside: one that comes or goes together with a new or replaced authenticator must not hide that change.
    known_differ = has_any(gained | lost, ~UNCERTAIN)
    same_but_moved = ~known_differ & moved & has_any(has, accepted)
    rows = [
        ((differs | same_but_moved) & reclassified, "reclassified"),
        (differs & ~known_differ & ~same_but_moved, "reclassified"),
        (after_cutoff & differs & (gained == 0) & ~has_any(lost, ~retired), "cutoff_removal"),
        (has_any(had, ~BACKUP_CODE) & ~has_any(has, ~BACKUP_CODE), "two_step_disabled"),
        (~has_any(had, accepted) & has_any(has, accepted), "authenticator_enabled"),
        (has_any(had, accepted) & ~has_any(has, accepted), "authenticator_removed"),
        (~has_any(had, retired) & has_any(has, retired), "sms_enabled"),
        (has_any(had, retired) & ~has_any(has, retired), "sms_removed"),
        (((had ^ has) & accepted != 0) | same_but_moved, "authenticator_changed"),
    ]
    return first_that_holds(rows, "")


def compare(
    accounts: pd.DataFrame,
    recorded: pd.DataFrame,
    spared: frozenset[str],
    policy: PolicySettings,
    basis: str,
    waves: Waves,
    now: datetime,
) -> Compared:
    """Compares one id range of a read with the ledger's records of that range.

    `accounts` (`ACCOUNT_COLUMNS`) and `recorded` (`RECORD_COLUMNS`) have unique ids. `spared`: ids whose row was rejected; they count as
    neither gone nor changed. `basis`: the digest of the mapping and policy of this read. `now`: a UTC instant.
    """
    accounts = accounts.reset_index(drop=True)
    place = pd.Index(recorded["account_id"]).get_indexer(pd.Index(accounts["account_id"]))
    known = pd.Series(place >= 0)
    prior = _prior(recorded, place)
    was_gone = known & prior["gone_at"].notna()
    same = ~was_gone | (prior["username"] == accounts["username"])
    if (doubt := was_gone & ~same).any():
        same |= _shares_an_address(accounts, prior, doubt)
    returned, reused = was_gone & same, was_gone & ~same

    # Many sources leave out the methods of disabled accounts. That is no change: such an account keeps its recorded methods.
    methods_left_out = known & ~reused & ~accounts["enabled"] & (accounts["methods"] == _UNKNOWN)
    if methods_left_out.any():
        accounts = accounts.assign(methods=accounts["methods"].mask(methods_left_out, prior["methods"]).astype("int32"))

    elsewhere = prior["standing"] == "exempt_sso"
    if policy.exempt_federated:
        elsewhere |= accounts["federated"] | prior["federated"]
    moved = prior["methods_changed_at"] < accounts["methods_changed_at"]
    assigned = waves.assign(accounts, prior, known & ~reused, now)
    passed = [name for name, campaign in waves.campaigns.items() if now >= campaign.cutoff_at]
    after_cutoff = assigned["wave"].isin(passed)
    word = classify(prior["methods"], accounts["methods"], moved, prior["basis"] != basis, after_cutoff, policy)
    word = word.where(known & ~reused & ~elsewhere, "")

    tenure = prior["tenure"].where(known, 0) + (reused | ~known)
    count = prior["change_count"].where(known, 0)
    absent = np.ones(len(recorded), dtype=bool)
    absent[place[place >= 0]] = False
    gone = recorded[absent & recorded["gone_at"].isna()]
    gone = gone[~gone["account_id"].isin(spared)]
    seen = [
        _changes(accounts[returned], count + 1, tenure, "returned", prior["methods"], now),
        _changes(accounts[word != ""], count + returned + 1, tenure, word, prior["methods"], now),
        _changes(gone, gone["change_count"] + 1, gone["tenure"], "gone", gone["methods"], now),
    ]
    return Compared(
        accounts=accounts,
        prior=prior,
        known=known,
        returned=returned,
        reused=reused,
        tenure=tenure.astype("int32"),
        change_count=(count + returned + (word != "")).astype("int32"),
        changes=conform(pd.concat(seen, ignore_index=True), CHANGE_COLUMNS),
        gone=gone,
        wave=assigned["wave"],
        assigned=assigned,
    )


def _prior(recorded: pd.DataFrame, place: np.ndarray) -> pd.DataFrame:
    """The record at each place; where there is none (place -1), any values of the right dtypes."""
    if recorded.empty:
        blanks = {"bool": False, "int32": 0, "datetime64[us, UTC]": pd.NaT}
        recorded = pd.DataFrame({name: pd.Series([blanks.get(dtype, np.nan)], dtype=dtype) for name, dtype in RECORD_COLUMNS.items()})
    return recorded.take(np.maximum(place, 0)).reset_index(drop=True)


def _shares_an_address(accounts: pd.DataFrame, prior: pd.DataFrame, where: pd.Series) -> pd.Series:
    """True where an account and its record have an address in common."""
    now, before = addresses(accounts[where]), addresses(prior[where])
    both = now.merge(before, on=["row", "folded"])
    return pd.Series(accounts.index.isin(both["row"]), index=accounts.index)


def addresses(frame: pd.DataFrame) -> pd.DataFrame:
    """Every address of each account, one a row: `row` (index in `frame`), `address`, `role` (primary, notification), `folded` (lower case,
    for comparing). An account has no address twice; its primary address comes first."""
    listed = frame["notification_emails"].fillna("").str.split(ADDRESS_SEPARATOR).explode()
    both = pd.concat(
        [
            pd.DataFrame({"row": frame.index, "address": frame["email"].to_numpy(), "role": "primary"}),
            pd.DataFrame({"row": listed.index, "address": listed.to_numpy(), "role": "notification"}),
        ],
        ignore_index=True,
    )
    both = both[both["address"].notna() & (both["address"] != "")].astype({"address": "str", "role": "str"})
    both["folded"] = both["address"].str.lower()
    return both.drop_duplicates(["row", "folded"]).reset_index(drop=True)


def more_addresses_than(emails: pd.Series, lists: pd.Series, most: int) -> pd.Series:
    """True where an account has more than `most` addresses, its primary one included."""
    there = emails.notna().astype("int64")
    listed = (lists.fillna("") != "").astype("int64") + lists.fillna("").str.count(ADDRESS_SEPARATOR)
    return (there + listed) > most


def merged(pending: pd.DataFrame, policy: PolicySettings) -> pd.DataFrame:
    """Merges the open changes of each account into its last one: from the methods before the first change to those after the last.

    `pending` has `account_id`, `change`, `had`, `has` and `seq`. If the changes cancel each other out, the last one stays as it is.
    """
    ordered = pending.sort_values(["account_id", "seq"], kind="stable")
    last = ordered.drop_duplicates("account_id", keep="last")
    had = last["account_id"].map(ordered.drop_duplicates("account_id").set_index("account_id")["had"]).astype("int32")
    no = pd.Series(False, index=last.index)
    word = classify(had, last["has"], no, no, no, policy)
    told = word.isin(MAILED)
    return last.assign(had=last["had"].mask(told, had).astype("int32"), change=last["change"].mask(told, word))


def _changes(of: pd.DataFrame, seq: pd.Series, tenure: pd.Series, word: pd.Series | str, had: pd.Series, now: datetime) -> pd.DataFrame:
    words = word.loc[of.index] if isinstance(word, pd.Series) else pd.Series(word, index=of.index, dtype="str")
    return pd.DataFrame(
        {
            "account_id": of["account_id"],
            "seq": seq.loc[of.index],
            "tenure": tenure.loc[of.index],
            "change": words,
            "mailed": words.isin(MAILED),
            "seen_at": pd.Timestamp(now).as_unit("us"),
            "had": had.loc[of.index],
            "has": of["methods"],
        }
    )
