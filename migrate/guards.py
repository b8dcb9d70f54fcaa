"""The guards: what a draft must pass before anything of it is recorded (design §12). Each refuses with the numbers and what to type."""

from __future__ import annotations

from migrate.draft import Draft
from migrate.errors import GuardError
from migrate.safety import SafetySettings

_ACCEPT = (
    "If the directory is right, type `migrate run --accept-directory` (confirms the changes by mail) or "
    "`migrate run --accept-directory --as-baseline` (records them without mailing)."
)


def partial_directory(draft: Draft, safety: SafetySettings) -> None:
    """Refuses a read that looks like half a directory, or like a faulty one. Raises GuardError; nothing was recorded."""
    missing, known, changed, accepted = draft.missing, draft.known, draft.mailed_changes, draft.accepted
    if missing > safety.guard_floor and missing > safety.max_shrink * known:
        raise GuardError(
            f"{missing} of {known} known accounts ({missing / known:.0%}) are missing from the directory; at most "
            f"{safety.max_shrink:.0%} may be. Nothing was recorded and nothing sent.",
            where="[safety] max_shrink",
            hint=_ACCEPT,
        )
    if changed > safety.guard_floor and (changed > safety.max_changes * accepted or changed > safety.max_messages):
        raise GuardError(
            f"{changed} of {accepted} accounts ({changed / accepted:.0%}) changed their methods since the last read; at most "
            f"{safety.max_changes:.0%}, and {safety.max_messages} in number, may. Nothing was recorded and nothing sent.",
            where="[safety] max_changes",
            hint=_ACCEPT,
        )


def something_there(draft: Draft) -> None:
    """Refuses a read without one accepted row; no flag accepts that."""
    if draft.accepted == 0:
        raise GuardError(
            f"of {draft.read} rows read from the directory not one is an account. Nothing was recorded and nothing sent.",
            where="[directory]",
            hint="Type `migrate check` to see what the directory gives.",
        )


def blast_radius(draft: Draft, safety: SafetySettings, plan: str) -> GuardError | None:
    """The error for more new reminders than may go out unreviewed, or None. The caller holds them and does the rest of the run.

    `plan` is the folder that a dry run would write, as it is typed.
    """
    if draft.reminders <= safety.max_messages:
        return None
    return GuardError(
        f"{draft.reminders} reminders are due and at most {safety.max_messages} may go out unreviewed: they were held. The directory was "
        "recorded and confirmations were sent.",
        where="[safety] max_messages",
        hint=f"Type `migrate dry-run`, review plan.csv in {plan}, and let out what is in it: `migrate run --plan {plan}`",
    )
