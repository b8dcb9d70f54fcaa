"""`migrate fleet`: one command for many organisations, each in a process of its own (design §22)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from migrate.cli.console import Console, Json, Quiet, Style, complain
from migrate.cli.instants import AsOf
from migrate.errors import ReportError, first_of

if TYPE_CHECKING:
    from migrate.fleet.rollup import Rollup, Row
    from migrate.fleet.rounds import Round
    from migrate.fleet.settings import Fleet

fleet = typer.Typer(
    help="The same for many organisations, each a tenant with a configuration of its own: docs/fleet.md.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)

File = Annotated[Path | None, typer.Option("--fleet", "--config", metavar="FILE", help="The fleet's file (default: fleet.toml).")]
Only = Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this tenant. Repeatable.")]

_DEFAULT: Final = Path("fleet.toml")
_STYLES: Final[dict[str, Style]] = {"ok": "green", "busy": "green", "partial": "yellow", "held": "yellow", "unreachable": "yellow"}
_CALM: Final = ("ok", "busy")
"""The states of a tenant that need no person."""


@fleet.command()
def check(
    ctx: typer.Context,
    file: File = None,
    only: Only = None,
    quick: Annotated[bool, typer.Option("--quick", help="Look at the first rows of each directory, not at all of it.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Check each tenant: configuration, templates, directory, ledger and mail server."""
    from migrate.fleet.rounds import Round

    this = Round("check", ("--quick",) if quick else (), looks=False)
    return _round(_loaded(ctx, file), this, only, Console(json=as_json, quiet=quiet))


@fleet.command()
def run(
    ctx: typer.Context,
    file: File = None,
    only: Only = None,
    as_of: AsOf = None,
    no_send: Annotated[bool, typer.Option("--no-send", help="Queue letters and send none; `migrate fleet send` sends them.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also run tenants that were run, here or by another host, a moment ago.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Run each tenant, and write the roll-up. Hosts that start it together share the tenants out."""
    from migrate.fleet.rounds import Round, since

    loaded = _loaded(ctx, file)
    words = [*(["--no-send"] if no_send else []), *([] if again else ["--unless-since", since(loaded, as_of, datetime.now(UTC))])]
    return _round(loaded, Round("run", tuple(words), as_of), only, Console(json=as_json, quiet=quiet))


@fleet.command()
def send(
    ctx: typer.Context,
    file: File = None,
    only: Only = None,
    as_of: AsOf = None,
    until_empty: Annotated[
        bool, typer.Option("--until-empty", help="Wait for letters that are to be tried again within the hour, until none is left.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Deliver what is queued, for each tenant."""
    from migrate.fleet.rounds import Round

    this = Round("send", ("--until-empty",) if until_empty else (), as_of)
    return _round(_loaded(ctx, file), this, only, Console(json=as_json, quiet=quiet))


@fleet.command()
def status(
    ctx: typer.Context,
    file: File = None,
    only: Only = None,
    as_of: AsOf = None,
    max_age: Annotated[
        str | None, typer.Option("--max-age", metavar="TIME", help="Exit 7 if a tenant has no run that completed within 26h (or 2d, 90m).")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Every tenant at a glance, from its ledger, and how it ended in the last round."""
    from migrate.fleet.rounds import Round

    this = Round("status", ("--max-age", max_age) if max_age else (), as_of)
    return _round(_loaded(ctx, file), this, only, Console(json=as_json, quiet=quiet))


@fleet.command()
def report(
    ctx: typer.Context,
    file: File = None,
    only: Only = None,
    as_of: AsOf = None,
    formats: Annotated[list[str] | None, typer.Option("--format", help="May be given several times (default: as configured).")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Write each tenant's reports from its ledger, and the roll-up."""
    from migrate.fleet.rounds import Round

    this = Round("report", tuple(word for each in formats or () for word in ("--format", each)), as_of)
    return _round(_loaded(ctx, file), this, only, Console(json=as_json, quiet=quiet))


def _loaded(ctx: typer.Context, file: Path | None) -> Fleet:
    """The fleet of the file that was named after `fleet`, or before it."""
    from migrate.fleet.settings import load

    root = ctx.find_root()
    source = root.get_parameter_source("config")
    return load(file or (root.obj.path if source is not None and source.name == "COMMANDLINE" else _DEFAULT))


def _round(loaded: Fleet, this: Round, only: list[str] | None, console: Console) -> int:
    from migrate.fleet.processes import Processes
    from migrate.fleet.rounds import go

    tenants, processes = loaded.only(only or ()), Processes(loaded.limit)
    width = max(len(each.name) for each in tenants)
    with console.progress(f"0 of {len(tenants)} tenants") as step:

        def heard(row: Row, done: int) -> None:
            step(done, len(tenants), f"{done} of {len(tenants)} tenants")
            tell = console.say if row.state in _CALM else console.need
            tell(f"{row.tenant:<{width}}  {row.state:<13}  {row.said}".rstrip(), _STYLES.get(row.state, "red"))

        rollup = go(loaded, tenants, this, processes, heard)
    code = 128 + processes.signal if processes.signal else rollup.exit_code
    written = None
    if this.publishes and not only:
        try:
            written = _published(rollup, loaded)
        except ReportError as error:
            complain(error)
            code = code if processes.signal else first_of([error.exit_code, code])
    console.result(rollup.facts() | {"exit_code": code, "reports": written})
    _tell(console, rollup, this)
    if written:
        console.say(f"Roll-up: {written}")
    elif this.publishes and only:
        console.say("The roll-up was not written, since not all tenants were asked: `migrate fleet report` writes it.")
    return code


def _published(rollup: Rollup, loaded: Fleet) -> Path:
    from migrate.fleet.publishing import PAGE, publish

    publish(rollup, loaded.reports)
    return loaded.reports / PAGE


def _tell(console: Console, rollup: Rollup, this: Round) -> None:
    totals = rollup.totals
    console.say()
    if this.looks:
        names = ["Tenant", "State", "Accounts", "Not compliant", "Hurt", "No destination", "Not reachable", "Moved", "Days left"]
        console.table(names, [_cells(row) for row in rollup.rows])
        console.say()
    states = ", ".join(f"{count:,} {state}" for state, count in rollup.states.items())
    console.say(f"{len(rollup.rows):,} tenant{'' if len(rollup.rows) == 1 else 's'}: {states}.")
    if this.looks and totals.share is not None:
        console.say(
            f"Done: {totals.share:.1%} of those in scope, over the {totals.assessed:,} of {totals.tenants:,} tenants that were assessed."
        )


def _cells(row: Row) -> list[object]:
    found = row.counted
    numbers = [
        getattr(found, name, "–") for name in ("accounts", "not_compliant", "at_cutoff", "without_destination", "unreachable", "moved")
    ]
    return [row.tenant, row.state, *numbers, row.figures.days_to_cutoff if row.figures else "–"]
