"""The words of changes and outcomes, which ledger, reports and mails share (design §6, §8).

This module imports nothing heavy: the ledger needs the words when it is opened and locked, before pandas is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

MAILED: Final = (
    "two_step_disabled", "authenticator_enabled", "authenticator_removed", "sms_enabled", "sms_removed", "authenticator_changed",
)  # fmt: skip
"""The changes that are confirmed by mail, in order of precedence."""
NOT_MAILED: Final = ("reclassified", "cutoff_removal", "gone", "returned")
CHANGES: Final = MAILED + NOT_MAILED

OUTCOMES: Final = (
    "rejected", "queued", "inactive", "exempt_sso", "exempt", "not_reminded", "no_destination", "nothing_due", "too_soon", "paused",
    "no_address", "bad_address", "domain_not_allowed", "bounced", "unrenderable", "not_in_plan", "held",
)  # fmt: skip
"""What becomes of an account in a run."""

CONFIRMATION: Final = "change_confirmation"
"""The kind of letter that confirms a change of methods."""
CUTOFF_MOVED: Final = "cutoff_moved"
"""The kind of letter that corrects a cutoff somebody was told; also the reason for withdrawing a letter that names an earlier cutoff."""
MOVED: Final = "moved-"
"""How the occasion of a correction begins."""
PAST_CUTOFF: Final = "past_cutoff"
"""The reason for withdrawing a letter that is too late."""
REVIEWER: Final = "reviewer"
"""The reason that keeps a withdrawn letter withdrawn for ever (design §13)."""

WAITING: Final = ("queued", "claimed")
"""The states of a letter of which nothing has gone to the mail server yet, so that it can still be withdrawn."""
STANDS: Final = (*WAITING, "sending", "sent", "uncertain")
"""The states in which a letter stands in the way of another one like it; `migrate.core.already_told.in_the_way` has the whole rule."""


def in_order(counts: Mapping[str, int], words: Sequence[str]) -> dict[str, int]:
    """Counts of words, in the order of `words`; other words, of another version, come last."""
    place = {word: number for number, word in enumerate(words)}
    return {word: counts[word] for word in sorted(counts, key=lambda word: (place.get(word, len(place)), word))}
