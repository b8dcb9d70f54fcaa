"""The stage and cutoff of each account, and who is told that the cutoff has moved (`cutoff_moved`, design §7). Pure.

The ledger keeps the cutoff that each letter named. If that differs from the cutoff the account has now, the account gets one correction,
which names the new one. The occasion of a correction is `moved-1` for the first move that an account is told of, `moved-2` for the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd

from migrate.core.accounts import INSTANT
from migrate.core.moment import Moment
from migrate.core.words import CUTOFF_MOVED, MOVED

_DAYS: Final[dict[str, str]] = {
    "stage": "str", "kind": "str", "begins": INSTANT, "ends": INSTANT, "cutoff": INSTANT, "cutoff_day": "str", "told_cutoff": "str",
    "after_cutoff": "bool",
}  # fmt: skip


def own_days(wave: pd.Series, moments: Mapping[str, Moment]) -> pd.DataFrame:
    """The days of each account at one instant, from the `moments` of the waves ('' is everybody else); aligned with `wave`.

    `stage`: the stage that counts, '' for none, with its `kind`, `begins` and `ends`. `cutoff`: the account's cutoff; `cutoff_day`: its day
    (ISO date); `told_cutoff`: the cutoff as the key of a notice writes it; `after_cutoff`: whether it has passed.
    """
    names = list(moments)
    rows = []
    for moment in moments.values():
        stage, campaign = moment.stage, moment.campaign
        said = (stage.name, stage.kind, stage.begins, stage.ends) if stage else ("", "", None, None)
        rows.append((*said, campaign.cutoff_at, campaign.cutoff_date.isoformat(), campaign.told_cutoff, moment.after_cutoff))
    columns = dict(zip(_DAYS, zip(*rows, strict=True), strict=True))
    known = {
        name: pd.to_datetime(pd.Series(values, dtype="object"), utc=True).astype(INSTANT)
        if dtype == INSTANT
        else pd.Series(values, dtype=dtype)
        for (name, dtype), values in zip(_DAYS.items(), columns.values(), strict=True)
    }
    place = np.zeros(len(wave), dtype="int64")
    if len(names) > 1:
        place = np.maximum(pd.Index(names).get_indexer(pd.Index(wave)), 0)
    return pd.DataFrame({name: column.take(place).set_axis(wave.index) for name, column in known.items()}, index=wave.index)


def corrections(ids: pd.Series, tenure: pd.Series, own: pd.DataFrame, last: pd.DataFrame, in_the_way: pd.DataFrame) -> pd.DataFrame:
    """`moving`: whether a correction of the cutoff is due to an account; its `occasion`, and the `earlier` cutoff; aligned with `ids`.

    `last`: each account's row of `LAST_TOLD_COLUMNS`, missing values where it was told nothing. `in_the_way`: letters (`TOLD_COLUMNS`) that
    stand in the way of another one like them.
    """
    told = last["told_cutoff"]
    moved = (told.notna() & (told != own["told_cutoff"])).to_numpy(bool)
    occasion = pd.Series(f"{MOVED}1", index=ids.index, dtype="str")
    none = pd.Series(False, index=ids.index)
    if not moved.any():
        return pd.DataFrame({"moving": none, "occasion": occasion, "earlier": told})
    occasion = occasion.mask(moved, MOVED + (last["moves"].fillna(0).astype("int64") + 1).astype("str"))
    here = pd.DataFrame({"account_id": ids, "tenure": tenure, "told_cutoff": own["told_cutoff"], "due": occasion})[moved]
    both = in_the_way.merge(here, on=["account_id", "tenure", "told_cutoff"])
    theirs = both.loc[((both["kind"] == CUTOFF_MOVED) & (both["occasion"] == both["due"])) | (both["state"] == "sending"), "account_id"]
    return pd.DataFrame({"moving": moved & ~ids.isin(theirs), "occasion": occasion, "earlier": told})
