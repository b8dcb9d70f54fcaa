"""The life of a letter, drawn once (design §9). The schema's CHECK, the outbox, `docs/states.md` and the tests share these words."""

from __future__ import annotations

from typing import Final, Literal

from migrate.core.words import REVIEWER

LetterState = Literal["queued", "claimed", "sending", "sent", "failed", "uncertain", "withdrawn"]

STATES: Final[dict[LetterState, str]] = {
    "queued": "planned, waiting",
    "claimed": "held by a worker that has not begun with it",
    "sending": "the next thing is SMTP",
    "sent": "the server accepted it",
    "failed": "the server will never accept it, or tries are used up",
    "uncertain": "nobody can know whether the server has it",
    "withdrawn": "pointless by now, with the reason",
}

TRANSITIONS: Final[dict[tuple[LetterState, LetterState], str]] = {
    ("queued", "claimed"): "a worker took it",
    ("queued", "withdrawn"): "pointless before it was claimed",
    ("claimed", "sending"): "begun with, committed before a word about it is spoken",
    ("claimed", "queued"): "the worker stopped, or its lease expired: nothing was said of it",
    ("claimed", "withdrawn"): "pointless before it was begun with",
    ("sending", "sent"): "the server accepted it",
    ("sending", "queued"): "temporary failure, a refusal that is about the server or us, or a break before the final dot",
    ("sending", "failed"): "refused for good, or tries used up",
    ("sending", "uncertain"): (
        "a break after the final dot may have been sent, or the lease expired; or a confirmation that was uncertain before "
        "was refused when it was said again"
    ),
    ("sending", "withdrawn"): "past its end, before a word of it was said",
    ("failed", "queued"): "a person's resend; or the server refused everybody alike",
    ("uncertain", "sent"): "a person found that it arrived",
    ("uncertain", "queued"): "a person's resend; a change_confirmation by itself, once",
    ("withdrawn", "queued"): "due again; never if a reviewer withdrew it",
}
"""Every move a letter can make after it was queued, and when."""

AS_BEFORE: Final[tuple[tuple[LetterState, LetterState], ...]] = (("queued", "sending"),)
"""Moves that stand in the history of older ledgers and are made no more: a claim was once no state of its own."""

UNSENT: Final[tuple[LetterState, ...]] = ("queued", "claimed", "sending")
"""The states of a letter of which it is still open whether it will be sent."""

LEASE_EXPIRED: Final = "lease_expired"
SERVER_REFUSED: Final = "server_refused"
"""The reason with which a letter is back in the queue that was refused for the server's sake or ours, not for its own."""
RESENT: Final = "resent"
"""The reason with which an uncertain confirmation goes back into the queue by itself."""


def refuse(before: LetterState, after: LetterState, reason: str | None = None) -> str | None:
    """Why a letter in state `before` (withdrawn for `reason`) may not become `after`, or None if it may."""
    if (before, after) not in TRANSITIONS:
        return f"a letter that is {before} cannot become {after}"
    if before == "withdrawn" and reason == REVIEWER:
        return "a reviewer withdrew this letter; it stays withdrawn"
    return None
