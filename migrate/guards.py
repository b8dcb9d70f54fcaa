"""The guards: what a draft must pass before anything of it is recorded (design §12). Each refuses with the numbers and what to type."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from migrate.config import Config
from migrate.config.commands import command, typed
from migrate.draft import Draft
from migrate.errors import GuardError


def partial_directory(draft: Draft, config: Config) -> None:
    """Refuses a read that looks like half a directory, or like a faulty one. Raises GuardError; nothing was recorded."""
    safety, missing, changed = config.safety, draft.missing, draft.mailed_changes
    accept = (
        f"If the directory is right, type {command(config, 'run --accept-directory')} (confirms the changes by mail) or "
        f"{command(config, 'run --accept-directory --as-baseline')} (records them without mailing)."
    )
    may_miss = _allowed(safety.max_shrink, draft.known)
    if missing > safety.guard_floor and missing > may_miss:
        raise GuardError(
            f"{missing:,} of {draft.known:,} known accounts ({missing / draft.known:.0%}) are missing from the directory, and at most "
            f"{may_miss:,} ({safety.max_shrink:.0%}) may be. Nothing was recorded and nothing sent.",
            where="[safety] max_shrink",
            hint=accept,
        )
    may_change = _allowed(safety.max_changes, draft.accepted)
    if changed > safety.guard_floor and (changed > may_change or changed > safety.max_messages):
        by_number = safety.max_messages < may_change
        limit = f"{safety.max_messages:,}" if by_number else f"{may_change:,} ({safety.max_changes:.0%})"
        raise GuardError(
            f"{changed:,} of {draft.accepted:,} accounts ({changed / draft.accepted:.0%}) changed their methods since the last read, and "
            f"at most {limit} may. Nothing was recorded and nothing sent.",
            where="[safety] max_messages" if by_number else "[safety] max_changes",
            hint=accept,
        )


def _allowed(share: float, of: int) -> int:
    """How many a share of them is at most; exact, for 29 of 100 are no more than 0.29."""
    return int(Fraction(str(share)) * of)


def something_there(draft: Draft) -> None:
    """Refuses a read without one accepted row; no flag accepts that."""
    if draft.accepted == 0:
        raise GuardError(
            f"of {draft.read} rows read from the directory not one is an account. Nothing was recorded and nothing sent.",
            where="[directory]",
            hint="Type `migrate check` to see what the directory gives.",
        )


def blast_radius(draft: Draft, config: Config, plan: Path) -> GuardError | None:
    """The error for more new reminders than may go out unreviewed, or None. The caller holds them and does the rest of the run.

    `plan` is the folder for the dry run that is to be reviewed.
    """
    if draft.reminders <= config.safety.max_messages:
        return None
    # The folder is named, for who types this tomorrow would otherwise make another one.
    dry_run, approve = command(config, f"dry-run --out {typed(plan)}"), command(config, f"run --plan {typed(plan)}")
    return GuardError(
        f"{draft.reminders:,} reminders are due and at most {config.safety.max_messages:,} may go out unreviewed: they were held. The "
        "directory was recorded, and confirmations go out.",
        where="[safety] max_messages",
        hint=f"Type {dry_run}, review plan.csv in {typed(plan)}, and let out what is in it: {approve}",
    )
