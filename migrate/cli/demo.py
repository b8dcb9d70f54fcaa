"""`migrate demo`: a campaign on a sample directory, lived through day by day."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from migrate.cli.console import Console, Json, Quiet

if TYPE_CHECKING:
    from migrate.demo.tour import RunSummary


def demo(
    folder: Annotated[Path, typer.Argument(help="Folder to make; refused if it holds anything.")] = Path("demo"),
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build a sample directory, live through a campaign on it, and leave reports and a Maildir to look at."""
    from migrate.config import load
    from migrate.demo.journey import build, live_through
    from migrate.run.job import run as run_job
    from migrate.run.start import Options

    config = load(build(folder))
    composer = config.composer()
    console = Console(json=as_json, quiet=quiet)

    def run(as_of: datetime) -> RunSummary:
        return run_job(config, Options(as_of), composer=composer).facts

    console.result(live_through(folder, run, console).facts())
