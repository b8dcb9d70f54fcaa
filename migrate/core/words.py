"""The words of changes and outcomes, which ledger, reports and mails share (design §6, §8).

They are kept apart from what works them out: the ledger is opened and its lock taken before pandas is loaded.
"""

from __future__ import annotations

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
"""The kind of letter that corrects a cutoff somebody was told, and the reason with which one is withdrawn that names an earlier one."""
PAST_CUTOFF: Final = "past_cutoff"
"""The reason with which a letter is withdrawn that is too late."""
REVIEWER: Final = "reviewer"
"""The reason that keeps a withdrawn letter withdrawn for ever (design §13)."""

WAITING: Final = ("queued", "claimed")
"""The states of a letter of which no word was spoken yet: whoever finds it pointless can still withdraw it."""
STANDS: Final = (*WAITING, "sending", "sent", "uncertain")
"""The states in which a letter stands in the way of another one like it; `migrate.core.plan.in_the_way` has the whole rule."""
