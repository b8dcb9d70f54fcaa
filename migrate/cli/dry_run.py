"""`migrate dry-run`: what a run would do, without any effect."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from migrate.cli import browser
from migrate.cli.console import Console, Json, Quiet, complain
from migrate.cli.instants import AsOf, instant
from migrate.errors import GuardError
from migrate.process import memory

if TYPE_CHECKING:
    from migrate.decide.draft import Draft

_SHOWN = 20


def dry_run(
    ctx: typer.Context,
    as_of: AsOf = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the plan (default: dry-run-<as of> in the reports folder).")] = None,
    account: Annotated[
        str | None, typer.Option(metavar="WHO", help="Show what would become of one account: its id, username or address.")
    ] = None,
    in_browser: Annotated[bool, typer.Option("--open", help="Open review.html in the browser.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """The same as run without any effect: who would get what, and why."""
    memory.frugal()
    from migrate.cli.directory import doubtful
    from migrate.cli.progress import watching
    from migrate.cli.summary import foretell, tell, tell_stop
    from migrate.cli.waves import tell_waves
    from migrate.config.commands import command, typed
    from migrate.review import dry_runs
    from migrate.review import page as review_page
    from migrate.run.job import dry_run as dry_run_job
    from migrate.run.start import Options

    config = ctx.obj.config()
    console = Console(json=as_json, quiet=quiet)
    moment = instant(as_of, config.campaign)
    dry_runs.spare(out or dry_runs.place(config, moment or datetime.now(UTC)), config)  # raises before the directory is read in vain
    with watching(console, config, moment) as watch, dry_run_job(config, Options(moment), watch) as (made, whole, foretold):
        asked = None if account is None else dry_runs.accounts_of(made, whole, account)
        folder = out or dry_runs.place(config, made.rules.moment.now)
        written = dry_runs.write(made, whole, config, folder, datetime.now(UTC), foretold.stopped)
        foretold = replace(foretold, out=folder, accounts=asked)
        console.result(foretold.facts())
        tell(console, foretold.decision, config, "Dry run", stopped=bool(foretold.stopped))
        for doubt in doubtful(whole, config, foretold.decision.read):
            console.need(doubt, "yellow")
        if foretold.difference:
            tell_stop(console, foretold.difference)
        _show(console, made, asked)
        tell_waves(console, foretold.waves or (), config)
        if (delivery := foretold.delivery).done_at:
            waiting = delivery.letters - foretold.would_queue
            foretell(console, delivery.letters, delivery.done_at, config, foretold.decision.as_of, waiting=waiting)
    console.say(f"Nothing was sent or recorded. The plan, every outcome and previews of the mails: {folder}")
    if written.counts["reminders"] and not foretold.stopped:
        console.say(f"Review plan.csv there and delete the rows that must not go out. Within {config.safety.plan_hours} hours, type:")
        console.say(command(config, f"run --plan {typed(folder)}").strip("`"))
    for guard in foretold.stopped:
        complain(guard)
    if in_browser:
        browser.show(console, folder / review_page.NAME)
    return GuardError.exit_code if foretold.stopped else 0


def _show(console: Console, made: Draft, asked: list[dict[str, Any]] | None) -> None:
    """Shows the first letters of the plan, or everything that would become of the accounts that were asked about."""
    from migrate.review import plan_files

    for each in asked or ():
        words = [each["standing"], each["outcome"]] if each["standing"] else [each["outcome"]]
        reason = f" ({each['outcome_reason']})" if each["outcome_reason"] else ""
        console.say(f"{each['account_id']}: {', '.join(words)}{reason}.")
    ids = None if asked is None else {each["account_id"] for each in asked}
    shown: list[tuple[Any, ...]] = []
    total = 0
    for rows in plan_files.plan_rows(made):
        mine = rows if ids is None else rows[rows["account_id"].isin(ids)]
        total += len(mine)
        shown += mine[["account_id", "to", "kind", "occasion", "standing"]].head(_SHOWN - len(shown)).itertuples(index=False, name=None)
    held = " (held unless the plan is approved: more than [safety] max_messages)" if made.held else ""
    console.say(f"{total:,} letters would be queued{held}." if total else "No letter would be queued.")
    if shown:
        console.table(["Account", "To", "Kind", "Occasion", "Standing"], shown)
        if total > len(shown):
            console.say(f"… and {total - len(shown):,} more in plan.csv.")
    console.say()
