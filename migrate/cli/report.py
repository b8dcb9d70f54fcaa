"""`migrate report`: writes the reports of a past run, from the ledger alone."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from migrate.cli import browser
from migrate.cli.console import Console, Json
from migrate.cli.instants import AsOf, instant
from migrate.errors import ConfigError
from migrate.process import memory
from migrate.report.settings import Format, ReportsSettings

if TYPE_CHECKING:
    import sqlalchemy as sa

    from migrate.core.campaign import CampaignSettings
    from migrate.ledger.runs import Run


def report(
    ctx: typer.Context,
    as_of: AsOf = None,
    out: Annotated[Path | None, typer.Option(help="A folder that is new or empty (default: beside the other reports).")] = None,
    formats: Annotated[list[str] | None, typer.Option("--format", help="May be given several times (default: as configured).")] = None,
    in_browser: Annotated[bool, typer.Option("--open", help="Open report.html in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Write the reports of the last run, or of the last completed one of a day, from the ledger."""
    memory.frugal()
    from migrate.report import evidence
    from migrate.report.recall import of_run
    from migrate.run.job import finish
    from migrate.run.provenance import looked_at
    from migrate.run.summary import Summary

    config = ctx.obj.config()
    console = Console(json=as_json)
    wanted = _formats(config.reports, formats or [])
    if in_browser and "html" not in wanted.formats:
        raise ConfigError("needs report.html, and html is not among the formats.", where="--open", hint="Add --format html.")
    moment = instant(as_of, config.campaign)
    written = None
    if moment is None and (finished := finish(config)):
        run_id, written = finished
        console.say(f"Run {run_id} had ended before its reports were written: they are written, and it is complete.")
    with looked_at(config) as ledger, ledger.read() as connection:
        run = _run(connection, config.campaign, config.campaign.today(moment) if moment else None)
        assert run.evidence_at is not None  # the run is completed
        if written is None or out or formats:  # else the reports were written by now
            told = of_run(connection, run)
            written = evidence.rebuild(told, wanted, Summary.recalled(connection, run).facts(), out)
    assert written is not None  # at least one format is asked for
    rest = {"evidence": written.folder, "manifest_digest": written.manifest_digest, "rows": written.rows}
    console.result({"run_id": run.run_id, "as_of": run.as_of} | rest)
    console.say(f"Reports of run {run.run_id} as of {run.as_of.astimezone(config.campaign.zone):%Y-%m-%d %H:%M %Z}: {written.folder}")
    if in_browser:
        browser.show(console, written.folder / "report.html")


def _formats(reports: ReportsSettings, asked: list[str]) -> ReportsSettings:
    """The settings with the formats that were asked for, if there were any."""
    if unknown := [name for name in asked if name not in get_args(Format)]:
        raise ConfigError(f"{unknown[0]!r} is no format.", where="--format", hint=f"There are {', '.join(get_args(Format))}.")
    if not asked and not reports.formats:
        raise ConfigError("is empty, so there is nothing to write.", where="[reports] formats", hint="Type `migrate report --format csv`.")
    return reports.model_copy(update={"formats": tuple(dict.fromkeys(asked))}) if asked else reports


def _run(connection: sa.Connection, campaign: CampaignSettings, day: date | None) -> Run:
    """The last completed run, or the last one on a day in the campaign's zone."""
    from migrate.ledger import campaigns, runs
    from migrate.ledger.schema import EPOCH

    campaign_id = campaigns.find(connection, campaign.name)
    last = runs.last(connection, campaign_id, completed=True)
    if last is None:
        raise ConfigError(f"the campaign {campaign.name} has no completed run to report of.", hint="`migrate run` makes one.")
    if day is None:
        return last
    begins = campaign.instant(day)
    if found := runs.last_completed_between(connection, campaign_id, begins, campaign.instant(day + timedelta(days=1))):
        return found
    earlier = runs.last_completed_between(connection, campaign_id, EPOCH, begins)
    if earlier is None:
        raise ConfigError(
            f"no run was completed on {day}, nor on any day before.", where="--as-of", hint="Type `migrate report` for the last run."
        )
    before = campaign.today(earlier.as_of)
    raise ConfigError(
        f"no run was completed on {day}; the nearest earlier day with one is {before}.",
        where="--as-of",
        hint=f"Type `migrate report --as-of {before}`.",
    )
