"""The kinds of mail: what may be said to whom is data here, not code at the call (design §10).

A kind is added by one folder of templates, `templates/mail/<kind>/`, and one line here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of mail.

    `mandatory` mail goes out whatever the schedule, pauses, exemptions and send hours say; `every_address` mail goes to every address
    known for the account and not to the primary one alone; `counts_toward_gap` mail holds back the next one for `min_gap_days`.
    """

    name: str
    mandatory: bool
    every_address: bool
    counts_toward_gap: bool
    summary: str


_ALL: Final = (
    Kind("announcement", False, False, True, "at the opening: what changes, why, and until when"),
    Kind("reminder", False, False, True, "before the cutoff: the steps and the days left"),
    Kind("final_reminder", False, False, True, "in the last days before the cutoff"),
    Kind("cutoff_passed", False, False, True, "after the cutoff: what has happened and how to mend it"),
    Kind("cutoff_moved", False, False, True, "when the cutoff is another one than the account was told: the new one"),
    Kind(
        "change_confirmation", True, True, False, "after a change of an account's methods: what changed, and what to do if it was not you"
    ),
)

KINDS: Final[dict[str, Kind]] = {kind.name: kind for kind in _ALL}
