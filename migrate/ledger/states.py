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
    ("claimed", "sending"): "the worker begins with it; committed before the mail server hears of it",
    ("claimed", "queued"): "the worker stopped, or its lease expired; the mail server never heard of it",
    ("claimed", "withdrawn"): "pointless before the worker began with it",
    ("sending", "sent"): "the server accepted it",
    ("sending", "queued"): "temporary failure, a refusal that is about the server or us, or a connection that broke before the final dot",
    ("sending", "failed"): "refused for good, or tries used up",
    ("sending", "uncertain"): (
        "the connection broke after the final dot may have been sent, or the lease expired; or a confirmation that was uncertain before "
        "was refused when it was sent again"
    ),
    ("sending", "withdrawn"): "past its end, before the mail server heard of it",
    ("failed", "queued"): "a person's resend; or the server refused everybody alike",
    ("uncertain", "sent"): "a person found that it arrived",
    ("uncertain", "queued"): "a person's resend; a change_confirmation by itself, once",
    ("withdrawn", "queued"): "due again; never if a reviewer withdrew it",
}
"""Every transition of a letter after it was queued, and when it happens."""

AS_BEFORE: Final[tuple[tuple[LetterState, LetterState], ...]] = (("queued", "sending"),)
"""Transitions that only the history of older ledgers has, in which `claimed` was not yet a state."""

UNSENT: Final[tuple[LetterState, ...]] = ("queued", "claimed", "sending")
"""The states in which it is still open whether a letter will be sent."""

LEASE_EXPIRED: Final = "lease_expired"
SERVER_REFUSED: Final = "server_refused"
"""The reason of a letter that is back in the queue because a refusal was about the server or us, not about the letter."""
RESENT: Final = "resent"
"""The reason of an uncertain confirmation that went back into the queue by itself."""


def objection(before: LetterState, after: LetterState, reason: str | None = None) -> str | None:
    """Why a letter in the state `before` (with its `reason` if that is withdrawn) may not become `after`; None if it may."""
    if (before, after) not in TRANSITIONS:
        return f"a letter that is {before} cannot become {after}"
    if before == "withdrawn" and reason == REVIEWER:
        return "a reviewer withdrew this letter; it stays withdrawn"
    return None
