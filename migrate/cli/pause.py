"""`migrate pause`: no reminders to an account for a while."""

from __future__ import annotations

import typer

from migrate.cli.console import Console, Json
from migrate.cli.deciding import By, Reason, deciding
from migrate.cli.granting import Account, Owner, Until, show, tell_granted, tell_removed
from migrate.cli.instants import AsOf

pause = typer.Typer(
    help="Pause reminders to accounts for a while, with an owner and a reason.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)


@pause.command()
def add(
    ctx: typer.Context,
    account: Account,
    until: Until,
    owner: Owner,
    reason: Reason,
    by: By = None,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Pause reminders to an account up to and including a day; changes are confirmed all the same."""
    from migrate.decisions import add as decide

    with deciding(ctx.obj.config(), by, as_of) as decider:
        granted = decide(decider, "pause", account, until, owner, reason)
    tell_granted(Console(json=as_json), "pause", granted)


@pause.command(name="list")
def list_(ctx: typer.Context, as_of: AsOf = None, as_json: Json = False) -> None:
    """Show whose reminders are paused: what has ended or ends soon comes first."""
    show(Console(json=as_json), ctx.obj.config(), "pause", as_of)


@pause.command()
def remove(ctx: typer.Context, account: Account, by: By = None, as_of: AsOf = None, as_json: Json = False) -> None:
    """Take the pauses of an account back; the ledger keeps that they were there."""
    from migrate.decisions import remove as decide

    with deciding(ctx.obj.config(), by, as_of) as decider:
        removed = decide(decider, "pause", account)
    tell_removed(Console(json=as_json), "pause", removed)
