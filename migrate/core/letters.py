"""The frames that planning takes and gives, with their columns: letters that the ledger remembers, and letters to be queued.

The ledger fills the first ones (`migrate.ledger.prior`); `migrate.core.plan` and `migrate.core.confirmations` make the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pandas as pd

from migrate.core.accounts import INSTANT

Judge = Callable[[pd.Series], pd.DataFrame]
"""Takes addresses; gives, aligned with them, `outcome` ('' where an address can be mailed, else no_address, bad_address,
domain_not_allowed or bounced) and `reason`."""

LeftOut = Callable[[pd.DataFrame], pd.Series]
"""Takes letters that are about to be queued; gives the reason why an approved plan keeps each back, '' where it does not."""

STRUCK_OUT: Final = "struck out by the reviewer"

TOLD_COLUMNS: Final[dict[str, str]] = {
    "account_id": "str", "tenure": "int32", "kind": "str", "occasion": "str", "told_cutoff": "str", "address": "str", "state": "str",
    "reason": "str", "settled_at": INSTANT, "ends": INSTANT,
}  # fmt: skip
"""Letters of the stage that counts now or a newer one, and corrections of the cutoff, in any state."""
WAITING_COLUMNS: Final[dict[str, str]] = {
    "letter_id": "int64",
    "account_id": "str",
    "tenure": "int32",
    "occasion": "str",
    "told_cutoff": "str",
    "ends": INSTANT,
}
"""Letters that are still queued, without confirmations; `ends` is the instant from which a letter is too late, missing if it never is."""
LAST_TOLD_COLUMNS: Final[dict[str, str]] = {
    "account_id": "str", "tenure": "int32", "last_told_at": INSTANT, "told_cutoff": "str", "moves": "int32",
}  # fmt: skip
"""One row for each account that has letters `sent` or `uncertain`, without confirmations: the instant of the last letter, the cutoff that
the last letter handed over names, and how many of the letters were corrections of the cutoff (`moves`)."""
COUNTING_COLUMNS: Final[dict[str, str]] = {
    "account_id": "str", "tenure": "int32", "occasion": "str", "told_cutoff": "str", "state": "str", "ends": INSTANT,
}  # fmt: skip
"""Letters of the stages that count now, and corrections of the cutoff, in any state."""
LETTER_COLUMNS: Final[dict[str, str]] = {
    "row": "int64", "account_id": "str", "tenure": "int32", "kind": "str", "occasion": "str", "told_cutoff": "str", "change_seq": "int32",
    "address": "str", "role": "str", "last_told_at": INSTANT, "ends": INSTANT, "priority": "int32", "earlier_cutoff": "str",
}  # fmt: skip
"""A letter to be composed and queued. `row` is the index of its account in the frame of accounts; `earlier_cutoff` is the cutoff that a
correction corrects, missing for other letters."""


@dataclass(frozen=True, slots=True)
class Mailed:
    """The letters of one id range that the ledger remembers: `TOLD_COLUMNS`, `LAST_TOLD_COLUMNS`, `WAITING_COLUMNS`."""

    told: pd.DataFrame
    last_told: pd.DataFrame
    waiting: pd.DataFrame
