"""`migrate run`: the scheduled job."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from migrate.cli.console import Console, Json, Quiet, complain, warn
from migrate.cli.instants import AsOf, instant
from migrate.errors import ConfigError
from migrate.process import memory

if TYPE_CHECKING:
    from migrate.config import Config
    from migrate.run.job import Result, Stopped


def run(
    ctx: typer.Context,
    as_of: AsOf = None,
    no_send: Annotated[bool, typer.Option("--no-send", help="Queue letters and send none; `migrate send` sends them.")] = False,
    accept_directory: Annotated[
        bool, typer.Option("--accept-directory", help="Accept a read that looks partial; its changes are confirmed by mail.")
    ] = False,
    as_baseline: Annotated[
        bool, typer.Option("--as-baseline", help="With --accept-directory: record its changes and mail nobody about them.")
    ] = False,
    plan: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Send the reminders of a reviewed dry run that are still due, and no other.")
    ] = None,
    approved_by: Annotated[
        str | None, typer.Option("--approved-by", metavar="NAME", help="With --plan: who approves it (default: who is signed in here).")
    ] = None,
    new_ledger: Annotated[
        bool,
        typer.Option("--new-ledger", help="Accept a ledger that does not know the evidence beside it; who was told counts as told."),
    ] = False,
    accept_clock: Annotated[
        bool, typer.Option("--accept-clock", help="Go by the clock, though it stands before the last run or far ahead of it.")
    ] = False,
    unless_since: Annotated[
        str | None,
        typer.Option(metavar="INSTANT", help="Do nothing and exit 75 if a run that began then or later is recorded, by another host say."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """The scheduled job: read, assess, compare, plan, deliver, report."""
    memory.frugal()
    from migrate.cli.progress import watching
    from migrate.monitoring import reported
    from migrate.run.start import Options, started

    if as_baseline and not accept_directory:
        raise ConfigError(
            "goes with --accept-directory.", where="--as-baseline", hint="Type `migrate run --accept-directory --as-baseline`."
        )
    if approved_by is not None and (plan is None or not approved_by.strip()):
        raise ConfigError(
            "is a name and goes with --plan.", where="--approved-by", hint="Type `migrate run --plan DIR --approved-by NAME`."
        )
    config = ctx.obj.config()
    console = Console(json=as_json, quiet=quiet)
    approver = (approved_by or _login()).strip() if plan else ""
    options = Options(
        as_of=instant(as_of, config.campaign),
        send=not no_send,
        accept_directory=accept_directory,
        as_baseline=as_baseline,
        plan=plan,
        approved_by=approver,
        new_ledger=new_ledger,
        accept_clock=accept_clock,
        unless_since=instant(unless_since, config.campaign, "--unless-since"),
    )
    with reported(config.monitoring, "run", warn) as ended:
        with watching(console, config, options.as_of) as watch, started(config, options) as start:
            # Importing these imports pandas, which takes time: the directory is read meanwhile.
            from migrate.ledger.sqlite import exposed
            from migrate.run.job import Stopped, go_on

            if config.ledger.file is not None and (others := exposed(config.ledger.file)):
                warn(others)
            if start.accepted:
                console.need(start.accepted, "yellow")
            gc.freeze()  # imported modules stay until the end: the collector skips them
            try:
                result = go_on(start, watch)
            except Stopped as stopped:
                _tell_stop(console, stopped, config)
                raise
        ended(result.exit_code, result.facts)
    console.result(result.facts)
    _tell(console, result, config)
    return result.exit_code


def _login() -> str:
    import getpass
    import os

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in some containers; KeyError before Python 3.13
        return f"user {os.getuid()}"


def _tell_stop(console: Console, stopped: Stopped, config: Config) -> None:
    """Prints what the stopped run would have done. The guard's own paragraph comes as the error."""
    from migrate.cli.summary import tell, tell_stop

    foretold = stopped.foretold
    console.result(foretold.facts())
    tell(console, foretold.decision, config, "Stopped run", stopped=True)
    if foretold.difference:
        tell_stop(console, foretold.difference)
    written = f"What it would have done, letter by letter and row by row: {foretold.out}"
    console.need(written if foretold.out else "Its folder could not be written.")
    for error in stopped.more:
        complain(error)


def _tell(console: Console, result: Result, config: Config) -> None:
    from migrate.cli.summary import tell, tell_ended, tell_unreachable, tell_waiting

    summary = result.summary
    decision, sending, waits = summary.decision, summary.sending, summary.waits
    tell(console, decision, config, f"Run {summary.run_id}")
    accounts, inactive = decision.read - decision.rejected, decision.standing.get("inactive", 0)
    if inactive > config.safety.guard_floor and inactive > accounts / 2:
        console.need(
            f"{inactive:,} of {accounts:,} accounts cannot sign in, and nobody reminds those: `migrate check` says how `enabled` is read.",
            "yellow",
        )
    if plan := decision.plan:
        console.say(f"Plan approved by {plan.approved_by}: {plan.approved:,} reminders in it, {plan.struck_out:,} struck out for good.")
        if plan.confirmations_deleted:
            console.need(f"{plan.confirmations_deleted:,} confirmations were deleted from the plan; they go out all the same.", "yellow")
    console.say(
        f"Letters: {sending.sent:,} sent, {sending.queued:,} queued, {sending.withdrawn:,} withdrawn, "
        f"{sending.failed:,} failed, {sending.uncertain:,} uncertain."
    )
    tell_ended(console, sending)
    tell_waiting(console, waits.waiting, waits.delivery, config, decision.as_of, goes_on=not result.stopped, stale=sending.stale)
    if summary.evidence:
        console.say(f"Reports: {summary.evidence}")
    if sending.failed or sending.uncertain:
        console.need(
            f"{sending.failed:,} {'letter' if sending.failed == 1 else 'letters'} failed and {sending.uncertain:,} "
            f"{'is' if sending.uncertain == 1 else 'are'} uncertain: see notices.csv of the reports.",
            "yellow",
        )
    if waits.unreachable:
        tell_unreachable(console, waits.unreachable, config)
    for error in result.stopped:
        complain(error)
