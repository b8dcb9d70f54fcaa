"""Two runs of one campaign at the same time, on each database: one works; and what becomes of a holder that dies or falls asleep."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from crash.books import books, holder, leases_end
from crash.doomed import Command, start
from crash.killer import wait_until
from office import Office

from migrate.ledger import schema

LEASE = timedelta(minutes=2)
AT_ONCE = 3.0


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Office:
    """Three people to be reminded, and no ledger yet."""
    made = Office(tmp_path / "office")
    if request.param != "sqlite":
        made.ledger = request.getfixturevalue(f"{request.param}_url")
    for name in ("ann", "bob", "cyd"):
        made.hire(name, "sms")
    made.write()
    return made


@contextmanager
def nobody_reads(office: Office) -> Iterator[None]:
    """The directory lets no reader in meanwhile, so whoever runs stays at work."""
    directory = sqlite3.connect(office.folder / "directory.db", isolation_level=None)
    directory.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        directory.close()


def runs(office: Office) -> list[str]:
    with books(office) as ledger:
        return [str(row.state) for row in ledger.execute(schema.run.select())]


def run(office: Office, ahead: timedelta = timedelta()) -> Command:
    return start(office.folder, "run", at=datetime(2024, 1, 2, 6, tzinfo=UTC) + ahead)


def test_of_two_runs_started_at_the_same_moment_one_works_and_the_other_exits_75_at_once(office: Office) -> None:
    """The very first runs, who also make the ledger; and then one that comes while the first is at work."""
    with nobody_reads(office):
        both = [run(office), run(office)]
        wait_until(lambda: any(one.poll() is not None for one in both))
        (refused,) = [one for one in both if one.poll() is not None]
        (working,) = [one for one in both if one is not refused]
        began = time.monotonic()
        late = run(office)
        assert late.wait() == 75
        assert time.monotonic() - began < AT_ONCE
        assert working.poll() is None
    assert (refused.wait(), working.wait()) == (75, 0), refused.said
    assert "another run of sms-retirement is at work" in late.said
    assert runs(office) == ["completed"]
    assert [address for address, _ in office.told()] == ["ann@example.com", "bob@example.com", "cyd@example.com"]


def test_the_lock_of_a_run_that_was_killed_is_taken_over_after_its_lease(office: Office) -> None:
    with nobody_reads(office):
        killed = run(office)
        wait_until(lambda: ledger_exists(office) and holder(office) is not None)
        killed.send_signal(signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
    assert run(office, LEASE / 2).wait() == 75
    leases_end(office)
    after = run(office)
    assert after.wait() == 0, after.said
    assert runs(office) == ["completed"]
    assert holder(office) is None
    assert len(office.told()) == 3


def test_a_run_that_slept_through_its_lease_records_nothing_once_another_took_over(office: Office) -> None:
    with nobody_reads(office):
        slept = run(office)
        wait_until(lambda: ledger_exists(office) and holder(office) is not None)
        slept.send_signal(signal.SIGSTOP)
    leases_end(office)
    after = run(office)
    assert after.wait() == 0, after.said
    slept.send_signal(signal.SIGCONT)
    assert slept.wait() == 75, slept.said
    assert "outlived its lease" in slept.said
    assert runs(office) == ["completed"]
    assert len(office.told()) == 3


def ledger_exists(office: Office) -> bool:
    if office.ledger == "sqlite:///migrate.db" and not (office.folder / "migrate.db").exists():
        return False  # to look would make an empty file, which is no ledger
    with contextlib.suppress(Exception):
        holder(office)
        return True
    return False
