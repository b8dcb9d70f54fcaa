"""The kinds of mail, and the rules that hold for each kind (design §10).

To add a kind, add one folder of templates, `templates/mail/<kind>/`, and one line here; a test then fails until something sends it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from migrate.core.words import CONFIRMATION, CUTOFF_MOVED


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of mail.

    `mandatory`: nothing holds it back (no schedule, pause, exemption, send hours, plan or guard), and it is sent at least once. Any other
    kind is a reminder, and is sent at most once. `every_address`: it goes to all addresses of the account, not only to the primary one.
    `counts_toward_gap`: after it, the next reminder waits for `min_gap_days`.
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
    Kind(CUTOFF_MOVED, False, False, True, "when the cutoff is another one than the account was told: the new one"),
    Kind(CONFIRMATION, True, True, False, "after a change of an account's methods: what changed, and what to do if it was not you"),
)

KINDS: Final[dict[str, Kind]] = {kind.name: kind for kind in _ALL}


def _those(which: Callable[[Kind], bool]) -> frozenset[str]:
    return frozenset(kind.name for kind in _ALL if which(kind))


MANDATORY: Final = _those(lambda kind: kind.mandatory)
"""The kinds that nothing holds back."""
EVERY_ADDRESS: Final = _those(lambda kind: kind.every_address)
"""The kinds that go to every address of an account."""
GAP: Final = _those(lambda kind: kind.counts_toward_gap)
"""The kinds from whose last letter `min_gap_days` is counted."""
