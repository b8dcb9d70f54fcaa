from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from demo.worlds import Lived, read

from migrate.cli.console import Console
from migrate.demo.calendar import firings
from migrate.demo.config import DAYS, demo_config
from migrate.demo.journey import build, live_through
from migrate.demo.mishaps import GRANTED, TORN, Grant
from migrate.demo.tour import RunSummary
from migrate.errors import ConfigError, GuardError


class Job:
    """Records when it ran and what it read, and says so as the real one does."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.read: dict[datetime, dict] = {}

    def __call__(self, as_of: datetime) -> RunSummary:
        rows = self.read[as_of] = read(self.directory)
        letters = dict.fromkeys(("sent", "failed", "uncertain", "withdrawn", "queued"), 0)
        as_of_text = as_of.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"as_of": as_of_text, "read": len(rows), "standing": {}, "changes": {}, "outcomes": {"x": len(rows)}, "letters": letters}


def test_the_folder_and_its_configuration_are_for_its_owner_only(tmp_path: Path):
    folder = tmp_path / "deep" / "demo"
    config = build(folder)
    assert config == folder / "config.toml"
    assert config.read_text(encoding="utf-8") == demo_config(folder)
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(config.stat().st_mode)) == (0o700, 0o600)


def test_a_folder_that_holds_anything_is_refused_and_left_as_it_is(tmp_path: Path):
    (tmp_path / "migrate.db").write_text("a ledger")
    with pytest.raises(ConfigError, match=r"is not empty\. Name a folder") as refused:
        build(tmp_path)
    assert refused.value.exit_code == 2
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("migrate.db", "a ledger")]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path):
    (tmp_path / "demo").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        build(tmp_path / "demo")


def test_the_job_runs_whenever_cron_fires_and_reads_that_mornings_directory(tmp_path: Path, lived: Lived):
    build(tmp_path)
    job = Job(tmp_path / "directory.db")
    tour = live_through(tmp_path, job, Console(quiet=True))
    early = firings(TORN)[0] - timedelta(hours=1)
    torn = job.read.pop(early)
    assert torn and len(torn) < 0.4 * len(job.read[firings(TORN)[0]]), "an hour later the export is whole"
    assert job.read == {at: lived.mornings[day] for day in DAYS for at in firings(day)}
    assert (tour.facts()["days"], tour.facts()["runs"]) == (62, 44)


def test_the_tour_is_told_day_by_day_and_at_the_end(tmp_path: Path, capsys):
    build(tmp_path)
    live_through(tmp_path, Job(tmp_path / "directory.db"), Console())
    printed = capsys.readouterr().out
    assert printed.startswith("Mon 18 Dec 2023  opens  995 rows read, nothing sent\n")
    assert "Thu 18 Jan 2024  T-14   no run: the host was being patched\n" in printed
    assert printed.count("cron fired again") == 3
    assert "62 days, 44 runs on working days; missed days: 4, days with two runs: 3.\n" in printed


def test_what_the_job_raises_ends_the_demo(tmp_path: Path):
    def refuse(as_of: datetime) -> RunSummary:
        raise GuardError("too many letters")

    build(tmp_path)
    with pytest.raises(GuardError, match="too many letters"):
        live_through(tmp_path, refuse, Console(quiet=True))


def test_a_guard_that_stops_the_run_of_the_torn_export_is_told_and_the_demo_goes_on(tmp_path: Path, capsys):
    build(tmp_path)
    job = Job(tmp_path / "directory.db")

    def guarded(as_of: datetime) -> RunSummary:
        found = job(as_of)
        if found["read"] < 500:
            raise GuardError("too many are missing")
        return found

    tour = live_through(tmp_path, guarded, Console())
    assert "Wed 17 Jan 2024         the export broke off, and a guard stopped the run" in capsys.readouterr().out
    assert tour.facts()["stopped"] == [TORN]


def test_exceptions_are_granted_after_the_runs_of_their_day_to_people_who_are_there(tmp_path: Path, lived: Lived):
    granted: dict[datetime, list[tuple[Grant, str]]] = {}
    build(tmp_path)
    live_through(tmp_path, Job(tmp_path / "directory.db"), Console(quiet=True), lambda now, which: granted.update({now: list(which)}))
    assert [now.date() for now in granted] == list(GRANTED)
    for now, which in granted.items():
        assert now > firings(now.date())[-1]
        assert [each for each, _ in which] == list(GRANTED[now.date()])
        assert all(each.until >= now.date() for each, _ in which)
