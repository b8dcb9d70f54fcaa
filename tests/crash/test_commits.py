"""A whole `run` killed at every commit it makes, on each database: the lock, the record, the rate limiter, claims, settlements, the end."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest
from crash.books import assert_promises_kept, in_flight, leases_end
from crash.doomed import Doom, Side, start
from mail.scripted_smtp import ScriptedSmtp
from office import Office
from variants import first

START = datetime(2024, 1, 2, 6, tzinfo=UTC)


ALL_DATABASES = ["sqlite", "postgres", "mariadb"]


def an_office(folder: Path, database: str, request: pytest.FixtureRequest) -> Office:
    return Office(folder) if database == "sqlite" else Office(folder, ledger=request.getfixturevalue(f"{database}_url"))


def killed_at_commits(office: Office, first: int, step: int, *sides: Side) -> int:
    """A run with a reminder and a confirmation to send dies at a commit, another one is left in peace, and so on through all the commits
    that a run makes; how often one died.
    """
    deaths = flown = hour = 0
    with ScriptedSmtp() as server:
        office.mail = (
            f'transport = "smtp"\n[mail.smtp]\nhost = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\ntimeout = 5\n'
            'rate = "1000/s"\nconnections = 1'
        )
        office.safety = "max_changes = 1.0\nallow_time_travel = true"
        office.hire("u000", "sms")
        office.run(f"{START:%Y-%m-%dT%H:%M}")
        for commit in range(first, 1000, step):
            died = 0
            for side in sides:
                hour += 1
                office.change(f"u{hour - 1:03}", mfa="totp")
                office.hire(f"u{hour:03}", "sms")
                office.write()
                doomed = start(office.folder, "run", at=START + timedelta(hours=hour), doom=Doom(commit, side))
                died += doomed.wait() == -signal.SIGKILL
                flown += in_flight(office)
                leases_end(office)
                again = start(office.folder, "run", at=START + timedelta(hours=hour, minutes=20))
                assert again.wait() in (0, 5), again.said
            deaths += died
            if not died:
                break
        leases_end(office)
        for command in (("run",), ("ledger", "check")):
            last = start(office.folder, *command, at=START + timedelta(hours=hour + 2))
            assert last.wait() == 0, last.said
        assert_promises_kept(office, server, flown)
    return deaths


def test_killed_at_every_fifth_commit_of_a_run(tmp_path: Path) -> None:
    assert killed_at_commits(Office(tmp_path / "office"), 2, 5, "before") >= 3


@pytest.mark.parametrize("database", first(1, ["postgres", "mariadb"]))
def test_killed_at_a_sample_of_the_commits_of_a_run(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    assert killed_at_commits(an_office(tmp_path / "office", database, request), 3, 9, "after") >= 2


@pytest.mark.soak
@pytest.mark.parametrize("database", ALL_DATABASES)
def test_killed_on_both_sides_of_every_commit_of_a_run(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    assert killed_at_commits(an_office(tmp_path / "office", database, request), 1, 1, *get_args(Side)) >= 20
