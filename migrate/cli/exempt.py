"""`migrate exempt`: takes accounts out of the campaign for a while."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from migrate.cli.console import Console, Json
from migrate.cli.deciding import By, deciding
from migrate.cli.granting import commands
from migrate.cli.instants import AsOf

exempt = commands(
    "exemption",
    help="Exempt accounts from the campaign for a while, with an owner and a reason.",
    add="Exempt an account up to and including a day.",
    show="Show who is exempt: what has ended or ends soon comes first.",
)


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
