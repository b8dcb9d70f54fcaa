"""Folders and files that may not be written, as for an account that was given too little: said before anything is sent; nothing is lost."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from office import Done, Office
from powerless import powerless

from migrate.report.verify import verify

T30, LATER, T29 = "2024-01-02T06:00", "2024-01-02T09:00", "2024-01-03T06:00"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Five people to be reminded and two who have switched since the last read."""
    office = Office(tmp_path / "office", reports="out/reports", ledger="sqlite:///ledger/migrate.db")
    (office.folder / "ledger").mkdir()
    for n in range(7):
        office.hire(f"u{n}", "sms")
    office.run("2023-07-01T06:00", "--no-send")
    for name in ("tmp", "new", "cur"):
        (office.folder / "outbox" / name).mkdir(parents=True)
    office.change("u5", mfa="totp")
    office.change("u6", mfa="totp")
    office.write()
    return office


@contextmanager
def locked(*paths: Path) -> Iterator[None]:
    """Nobody may write these for a while."""
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(modes[path] & 0o500)
    try:
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def told(done: Done, code: int, *says: str) -> None:
    assert done.code == code, (done.code, done.out, done.err)
    (line,) = done.err.splitlines()
    assert line.startswith("Error: ")
    for words in says:
        assert words in line


def assert_all_told_once(office: Office) -> None:
    assert office.told() == [(f"u{n}@example.com", "T-30" if n < 5 else "change-1") for n in range(7)]
    assert office.run(T29)["letters"] == {"sent": 0, "failed": 0, "uncertain": 0, "withdrawn": 0, "queued": 0}
    assert office.migrate("ledger", "check").code == 0
    evidence = [path for path in (office.folder / office.reports).iterdir() if not path.is_symlink()]
    assert {path.name: verify([path]).problems for path in evidence} == {path.name: () for path in evidence}


def test_a_file_that_a_program_left_beside_the_ledger_is_named_if_it_is_in_the_way(office: Office) -> None:
    """SQLite's shell makes it as read-only as the ledger was when somebody looked."""
    left = office.folder / "ledger" / "migrate.db-shm"
    left.touch(0o400)
    told(powerless(lambda: office.migrate("run", "--as-of", T30)), 2, "[ledger] url", f"{left} cannot be written.")
    left.unlink()
    assert office.run(T30)["letters"]["sent"] == 7


def the_ledger_and_its_folder(folder: Path) -> list[Path]:
    return [folder / "ledger" / "migrate.db", folder / "ledger"]


def the_ledgers_folder(folder: Path) -> list[Path]:
    return [folder / "ledger"]


def the_ledgers_file(folder: Path) -> list[Path]:
    return [folder / "ledger" / "migrate.db"]


def the_reports(folder: Path) -> list[Path]:
    return [folder / "out" / "reports"]


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (the_ledger_and_its_folder, "[ledger] url"),
        (the_ledgers_folder, "[ledger] url"),
        (the_ledgers_file, "[ledger] url"),
        (the_reports, "[reports] dir"),
    ],
)
def test_what_may_not_be_written_stops_the_run_before_anything_is_sent(
    office: Office, what: Callable[[Path], list[Path]], says: str
) -> None:
    before, beside = office.remembered(), sorted((office.folder / "ledger").iterdir())
    with locked(*what(office.folder)):
        done = powerless(lambda: office.migrate("run", "--as-of", T30))
    told(done, 2, says, "writ")
    assert office.remembered() == before
    assert sorted((office.folder / "ledger").iterdir()) == beside
    assert office.mails() == []
    assert office.run(LATER)["letters"]["sent"] == 7
    assert_all_told_once(office)


def test_an_outbox_that_may_not_be_written_leaves_the_letters_queued(office: Office) -> None:
    with locked(office.folder / "outbox" / "new"):
        done = powerless(lambda: office.migrate("run", "--json", "--as-of", T30))
    told(done, 6, "[mail.maildir] path", "Permission denied", "`migrate send`")
    assert done.facts["letters"]["queued"] == 7
    assert office.migrate("send", "--as-of", LATER).code == 0
    assert_all_told_once(office)


def test_a_tmp_folder_of_the_outbox_that_may_not_be_written_leaves_the_letters_queued(office: Office) -> None:
    with locked(office.folder / "outbox" / "tmp"):
        done = powerless(lambda: office.migrate("run", "--json", "--as-of", T30))
    told(done, 6, "[mail.maildir] path", "Permission denied", "`migrate send`")
    assert done.facts["letters"]["queued"] == 7
    assert office.run(LATER)["letters"]["sent"] == 7
    assert_all_told_once(office)


def test_without_a_scratch_folder_nothing_is_read(office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    before = office.remembered()
    with locked(scratch):
        for command in ("run", "dry-run"):
            told(powerless(lambda command=command: office.migrate(command, "--as-of", T30)), 3, "TMPDIR", "Permission denied")
    assert office.remembered() == before
    assert office.run(LATER)["letters"]["sent"] == 7
    assert_all_told_once(office)


def test_looking_needs_no_right_to_write(office: Office, tmp_path: Path) -> None:
    office.run(T30)
    folders = [path for path in office.folder.rglob("*") if not path.is_symlink()]
    before = office.fingerprints()
    with locked(*folders, office.folder):
        for words in (("status",), ("explain", "u1"), ("dry-run", "--as-of", LATER, "--out", str(tmp_path / "plan"))):
            done = powerless(lambda words=words: office.migrate(*words))
            assert done.code == 0, (words, done.err)
    assert office.fingerprints() == before


def test_a_plan_folder_that_may_not_be_written_is_named(office: Office) -> None:
    with locked(office.folder / "out" / "reports"):
        done = powerless(lambda: office.migrate("dry-run", "--as-of", T30))
    told(done, 2, "Permission denied")
