"""The guards: checks that a draft must pass before it is recorded (design §12). An error has the numbers and what to type next."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from migrate.config import Config
from migrate.config.commands import command, typed
from migrate.decide.decided import Tally
from migrate.errors import GuardError

_NOTHING_DONE = "Nothing was recorded and nothing sent."


def refusals(draft: Tally, config: Config, *, accepted: bool) -> list[GuardError]:
    """The errors for which a draft must not be recorded, the most important first; none if it may. `accepted`: a person accepts a read that
    looks partial."""
    if nothing := nothing_there(draft.read, draft.accepted):
        return [nothing]
    refused = [error] if (error := too_many_rejected(draft.read, draft.outcomes["rejected"], config)) else []
    if not accepted:
        refused += partial_directory(draft, config, mended=bool(refused))
    return refused


def nothing_there(read: int, accepted: int) -> GuardError | None:
    """The error for a read without a single accepted row; no flag overrides it."""
    if accepted:
        return None
    return GuardError(
        f"of {read:,} rows read from the directory not one is an account. {_NOTHING_DONE}",
        where="[directory]",
        hint="Mend the source or the configuration: the reasons say what each row lacks."
        if read
        else "An empty directory is never believed: look at the source.",
    )


def too_many_rejected(read: int, rejected: int, config: Config) -> GuardError | None:
    """The error for a read with too many rejected rows. No flag overrides it: these accounts would stay frozen as they were recorded."""
    safety, may_be = config.safety, _allowed(config.safety.max_rejected, read)
    if rejected <= safety.guard_floor or rejected <= may_be:
        return None
    return GuardError(
        f"{rejected:,} of {read:,} rows ({rejected / read:.0%}) were rejected, and at most {may_be:,} ({safety.max_rejected:.0%}) may be. "
        f"{_NOTHING_DONE}",
        where="[safety] max_rejected",
        hint="Mend the source or the configuration; if these rows are known to be no accounts, raise the setting.",
    )


def partial_directory(draft: Tally, config: Config, *, mended: bool = False) -> list[GuardError]:
    """The errors for a read that looks like a part of the directory, or like a faulty one.

    `mended`: rejected rows must be corrected first. Then accounts whose row was rejected do not count as missing, and no flag overrides.
    """
    safety, missing, changed = config.safety, draft.missing, draft.mailed_changes
    accept = None
    if mended:
        missing -= draft.rejected_known
    else:
        accept = (
            f"If the directory is right, type {command(config, 'run --accept-directory')} (confirms the changes by mail) or "
            f"{command(config, 'run --accept-directory --as-baseline')} (records them without mailing)."
        )
    refused = []
    may_miss = _allowed(safety.max_shrink, draft.known)
    if missing > safety.guard_floor and missing > may_miss:
        refused.append(
            GuardError(
                f"{missing:,} of {draft.known:,} known accounts ({missing / draft.known:.0%}) are missing from the directory, and at most "
                f"{may_miss:,} ({safety.max_shrink:.0%}) may be. {_NOTHING_DONE}",
                where="[safety] max_shrink",
                hint=accept,
            )
        )
    may_change = _allowed(safety.max_changes, draft.accepted)
    if changed > safety.guard_floor and (changed > may_change or changed > safety.max_messages):
        by_number = safety.max_messages < may_change
        limit = f"{safety.max_messages:,}" if by_number else f"{may_change:,} ({safety.max_changes:.0%})"
        refused.append(
            GuardError(
                f"{changed:,} of {draft.accepted:,} accounts ({changed / draft.accepted:.0%}) changed their methods since the last read, "
                f"and at most {limit} may. {_NOTHING_DONE}",
                where="[safety] max_messages" if by_number else "[safety] max_changes",
                hint=accept,
            )
        )
    return refused


def _allowed(share: float, of: int) -> int:
    """The most that a share allows. It is computed exactly: 29 of 100 are not more than 0.29, which floats would say."""
    return int(Fraction(str(share)) * of)


def blast_radius(draft: Tally, config: Config, plan: Path) -> GuardError | None:
    """The error if more reminders are due than may go out unreviewed; else None. The caller holds these reminders and goes on with the run.

    `plan` is the folder for the dry run that a person is to review.
    """
    if draft.reminders <= config.safety.max_messages:
        return None
    # The commands name the folder. Without it, typed tomorrow, they would make another one.
    dry_run, approve = command(config, f"dry-run --out {typed(plan)}"), command(config, f"run --plan {typed(plan)}")
    return GuardError(
        f"{draft.reminders:,} reminders are due and at most {config.safety.max_messages:,} may go out unreviewed: they were held. The "
        "directory was recorded, and confirmations go out.",
        where="[safety] max_messages",
        hint=f"Type {dry_run}, review plan.csv in {typed(plan)}, and let out what is in it: {approve}",
    )
