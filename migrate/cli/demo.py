"""`migrate demo`: a sample directory, and a campaign on it day by day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from migrate.cli.console import Console, Json, Quiet
from migrate.cli.deciding import deciding

if TYPE_CHECKING:
    from migrate.demo.mishaps import Grant
    from migrate.demo.tour import RunSummary


def demo(
    folder: Annotated[Path, typer.Argument(help="Folder to make; refused if it holds anything.")] = Path("demo"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build a sample directory, live through a campaign on it, and leave reports and a Maildir to look at."""
    from migrate.config import load
    from migrate.demo.journey import build, live_through
    from migrate.demo.mishaps import Mishaps
    from migrate.mail.transport import open_transport
    from migrate.run.job import run as run_job
    from migrate.run.start import Options

    config = load(build(folder))
    composer = config.composer()
    transport = Mishaps(open_transport(config.mail))
    console = Console(json=as_json, quiet=quiet)

    def run(as_of: datetime) -> RunSummary:
        return run_job(config, Options(as_of), composer=composer, transport=transport).facts

    def decide(now: datetime, granted: Sequence[tuple[Grant, str]]) -> None:
        from migrate.decisions import add

        with deciding(config, "the demo", now.isoformat()) as decider:
            for each, account in granted:
                add(decider, each.kind, account, each.until.isoformat(), each.owner, each.reason)

    console.result(live_through(folder, run, console, decide).facts())
