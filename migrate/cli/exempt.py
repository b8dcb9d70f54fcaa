"""`migrate exempt`: accounts that the campaign leaves alone for a while."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from migrate.cli.console import Console, Json
from migrate.cli.deciding import By, Reason, deciding
from migrate.cli.granting import Account, Owner, Until, show, tell_granted, tell_removed
from migrate.cli.instants import AsOf

exempt = typer.Typer(
    help="Exempt accounts from the campaign for a while, with an owner and a reason.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)


@exempt.command()
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
    """Exempt an account up to and including a day."""
    from migrate.decisions import add as decide

    with deciding(ctx.obj.config(), by, as_of) as decider:
        granted = decide(decider, "exemption", account, until, owner, reason)
    tell_granted(Console(json=as_json), "exemption", granted)


@exempt.command(name="list")
def list_(ctx: typer.Context, as_of: AsOf = None, as_json: Json = False) -> None:
    """Show who is exempt: what has ended or ends soon comes first."""
    show(Console(json=as_json), ctx.obj.config(), "exemption", as_of)


@exempt.command()
def remove(ctx: typer.Context, account: Account, by: By = None, as_of: AsOf = None, as_json: Json = False) -> None:
    """Take the exemptions of an account back; the ledger keeps that they were there."""
    from migrate.decisions import remove as decide

    with deciding(ctx.obj.config(), by, as_of) as decider:
        removed = decide(decider, "exemption", account)
    tell_removed(Console(json=as_json), "exemption", removed)


@exempt.command(name="import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A CSV file with the columns account_id, until, owner and reason.")],
    by: By = None,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Exempt every account in a CSV file, or none if a line is wrong."""
    from dataclasses import asdict

    from migrate.decisions import import_all

    with deciding(ctx.obj.config(), by, as_of) as decider:
        imported = import_all(decider, "exemption", file)
    console = Console(json=as_json)
    console.result(asdict(imported))
    console.say(f"{imported.added:,} added, {imported.already:,} stood there already, {imported.withdrawn:,} waiting letters withdrawn.")
