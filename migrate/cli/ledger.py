"""`migrate ledger`: checks and upgrades the database."""

from __future__ import annotations

import typer

from migrate.cli.console import Console, Json, Quiet

ledger = typer.Typer(
    help="Look after the ledger: check that it agrees with itself, or upgrade it.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)


@ledger.command()
def check(ctx: typer.Context, as_json: Json = False, quiet: Quiet = False) -> int:
    """Name what in the ledger does not agree; changes nothing. Exit 2 if there is anything."""
    from migrate.ledger.consistency import check as look
    from migrate.ledger.engine import Ledger

    console, found = Console(json=as_json, quiet=quiet), []
    with Ledger.open_readonly(ctx.obj.config().ledger) as opened, opened.read() as connection:
        for checked in look(connection):
            found.append(checked)
            if not checked.wrong:
                console.say(f"{checked.check:<15} ok  {checked.means}", "green")
                continue
            console.need(f"{checked.check:<15} {checked.wrong:,} wrong: it should hold that {checked.means}", "red")
            for example in checked.examples:
                console.need(f"  {example}")
            if checked.wrong > len(checked.examples):
                console.need(f"  and {checked.wrong - len(checked.examples):,} more")
    wrong = sum(checked.wrong for checked in found)
    console.result({"ledger": opened.described, "ok": not wrong, "checks": [checked.facts() for checked in found]})
    if wrong:
        console.need(f"{opened.described} does not agree with itself. Keep a copy, stop cron, and put a backup in its place.", "red")
    return 2 if wrong else 0


@ledger.command()
def upgrade(ctx: typer.Context, as_json: Json = False) -> None:
    """Give an older ledger the tables of this version; a SQLite file is copied first."""
    from migrate.ledger import revisions
    from migrate.ledger.engine import Ledger

    console = Console(json=as_json)
    with Ledger.open(ctx.obj.config().ledger, create=False) as opened:
        before, kept = opened.upgraded_from, opened.kept
    console.result({"ledger": opened.described, "from": before, "to": revisions.HEAD, "copy": kept})
    if before is None:
        console.say(f"{opened.described} has the tables of this version already ({revisions.HEAD}).")
        return
    console.say(f"{opened.described} was upgraded from {before} to {revisions.HEAD}.")
    if kept:
        console.say(f"As it was before, it is kept in {kept}.")
