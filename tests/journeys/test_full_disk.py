"""A disk that is full: while the ledger, the letters, the reports or the snapshot are written. Nothing is lost, and nothing comes twice.

The disk is real (tests/disks.py). Each journey fills it but for some room, runs, makes room, and runs again.
"""

from __future__ import annotations

import contextlib
import email
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from copy import deepcopy
from pathlib import Path

import pytest
from disks import Disk
from mail.scripted_smtp import ScriptedSmtp
from office import Done, Office
from variants import soak

from migrate.delivery import shutdown
from migrate.ledger.engine import Ledger
from migrate.ledger.settings import LedgerSettings
from migrate.report.verify import verify

BEFORE, T30, LATER, T29 = "2023-07-01T06:00", "2024-01-02T06:00", "2024-01-02T09:00", "2024-01-03T06:00"
AT_ONCE = 25
"""Letters that the Maildir's sender holds between two commits."""
CONFIRMATION = "change-1"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """Forty people to be reminded and twenty who have switched since the last read."""
    office = Office(tmp_path_factory.mktemp("company") / "office")
    for n in range(60):
        office.hire(f"u{n:02}", "sms")
    office.run(BEFORE)
    for n in range(40, 60):
        office.change(f"u{n:02}", mfa="totp")
    return office


@pytest.fixture
def office(company: Office, tmp_path: Path) -> Office:
    return Office(shutil.copytree(company.folder, tmp_path / "office", symlinks=True), deepcopy(company.people))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written down is not tried again for minutes."""
    monkeypatch.setattr(shutdown, "_PATIENCE", 0.3)


def moved(office: Office, what: str, disk: Disk) -> None:
    """Puts one of the things that an office writes on the disk."""
    if what == "ledger":
        shutil.move(office.folder / "migrate.db", disk.folder / "migrate.db")
        office.ledger = f"sqlite:///{disk.folder / 'migrate.db'}"
    elif what == "outbox":
        office.mail = office.mail.replace('"outbox"', f'"{disk.folder / "outbox"}"')
    elif what == "reports":
        shutil.move(office.folder / "reports", disk.folder / "reports")
        office.reports = str(disk.folder / "reports")
    office.write()


def stopped(done: Done, code: int, *says: str) -> str:
    """One paragraph, which says what it should."""
    assert done.code == code, (done.code, done.out, done.err)
    (line,) = done.err.splitlines()
    assert line.startswith("Error: ")
    for words in says:
        assert words in line
    return line


def mailed(office: Office, disk: Disk) -> Counter[tuple[str, str]]:
    """(address, occasion) → how many messages there are."""
    folder = next(path for path in (disk.folder / "outbox", office.folder / "outbox") if path.exists())
    assert list((folder / "tmp").iterdir()) == []
    messages = [email.message_from_bytes(path.read_bytes()) for path in (folder / "new").iterdir()]
    return Counter((str(message["To"]), str(message["X-Migrate-Occasion"])) for message in messages)


def assert_nothing_lost_nothing_twice(office: Office, told: Counter[tuple[str, str]], *, unsure: int = 0) -> None:
    """Everybody was told, once; `unsure` reminders may be uncertain instead, and as many confirmations come a second time."""
    states = {(row["to"], row["occasion"]): row["state"] for row in letters(office)}
    people = {f"u{n:02}@example.com": "T-30" if n < 40 else CONFIRMATION for n in range(60)}
    assert set(states) == set(people.items())
    assert set(states.values()) <= {"sent", "uncertain"}
    assert list(states.values()).count("uncertain") <= unsure
    for letter, state in states.items():
        if letter[1] == CONFIRMATION:
            assert told[letter] in ((1, 2) if unsure else (1,)), letter
            assert state == "sent"
        else:
            assert told[letter] == 1 or (state == "uncertain" and told[letter] == 0), (letter, state)
    assert office.migrate("ledger", "check").code == 0
    evidence = [path for path in Path(office.folder, office.reports).iterdir() if not path.is_symlink()]
    assert len(evidence) >= 2
    assert {path.name: verify([path]).problems for path in evidence} == {path.name: () for path in evidence}


def lease_ends(office: Office) -> None:
    """What an hour does: a lock and letters that could not be given back on a full disk are nobody's any more."""
    with contextlib.closing(sqlite3.connect(office_ledger(office).removeprefix("sqlite:///"))) as database, database:
        database.execute("UPDATE run_lock SET lease_until = 0")
        database.execute("UPDATE letter SET lease_until = 0 WHERE lease_until IS NOT NULL")


def letters(office: Office) -> list[dict[str, str]]:
    import sqlalchemy as sa

    from migrate.ledger.schema import letter, notice

    with Ledger.open(LedgerSettings(url=office_ledger(office)), create=False) as ledger, ledger.read() as connection:
        said = sa.select(letter.c.address.label("to"), notice.c.occasion, letter.c.state).join_from(letter, notice)
        return [dict(row) for row in connection.execute(said).mappings()]


def office_ledger(office: Office) -> str:
    return office.ledger if office.ledger.startswith("sqlite:////") else f"sqlite:///{office.folder / 'migrate.db'}"


@pytest.mark.parametrize("room", [0, soak(16 << 10), soak(64 << 10), 128 << 10])
def test_no_room_for_the_ledger_before_anything_was_recorded_changes_nothing(office: Office, disk: Disk, room: int) -> None:
    moved(office, "ledger", disk)
    disk.leave(room)
    done = office.migrate("run", "--json", "--as-of", T30)
    disk.empty()
    stopped(done, 2, "[ledger] url", "is full")
    lease_ends(office)
    assert letters(office) == []
    assert not (office.folder / "outbox").exists()
    assert office.run(LATER)["letters"]["sent"] == 60
    assert office.run(T29)["letters"]["sent"] == 0
    assert_nothing_lost_nothing_twice(office, mailed(office, disk))


@pytest.mark.parametrize("room", [300_000, soak(350_000), soak(400_000)])
def test_a_ledger_that_fills_up_during_the_delivery_leaves_at_most_the_letters_in_hand_in_doubt(
    office: Office, disk: Disk, impatient: None, room: int
) -> None:
    moved(office, "ledger", disk)
    disk.leave(room)
    done = office.migrate("run", "--json", "--as-of", T30)
    disk.empty()
    if done.code:  # how much room a commit takes is SQLite's business
        stopped(done, 2, "[ledger] url", "is full", "Make room")
    lease_ends(office)
    assert office.migrate("run", "--json", "--as-of", LATER).code in (0, 5)
    assert office.run(T29)["letters"]["sent"] == 0
    assert_nothing_lost_nothing_twice(office, mailed(office, disk), unsure=AT_ONCE)


def by_smtp(office: Office, server: ScriptedSmtp) -> None:
    office.safety = "allow_time_travel = true"
    office.mail = (
        f'transport = "smtp"\n[mail.smtp]\nhost = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\nrate = "10000/s"\nconnections = 2'
    )
    office.write()


def taken(server: ScriptedSmtp) -> Counter[tuple[str, str]]:
    messages = [email.message_from_bytes(message) for message in list(server.messages)]
    return Counter((str(message["To"]), str(message["X-Migrate-Occasion"])) for message in messages)


def test_a_letter_that_was_sent_while_the_ledger_was_full_is_settled_once_there_is_room(office: Office, disk: Disk) -> None:
    """The disk fills up as the tenth letter is taken, and somebody makes room while the delivery waits."""
    help_comes = threading.Timer(1.5, disk.empty)

    def fill() -> None:
        disk.leave(0)
        help_comes.start()

    with ScriptedSmtp(dot=[*["250 2.0.0 queued"] * 9, (fill, "250 2.0.0 queued")]) as server:
        moved(office, "ledger", disk)
        by_smtp(office, server)
        facts = office.run(T30)
        help_comes.join()
        told = taken(server)
    assert facts["letters"] == {"sent": 60, "failed": 0, "uncertain": 0, "withdrawn": 0, "queued": 0}
    assert_nothing_lost_nothing_twice(office, told)


def test_a_letter_that_was_sent_and_could_not_be_settled_is_uncertain_and_said_to_be_so(
    office: Office, disk: Disk, impatient: None
) -> None:
    with ScriptedSmtp(dot=[*["250 2.0.0 queued"] * 29, (lambda: disk.leave(0), "250 2.0.0 queued")]) as server:
        moved(office, "ledger", disk)
        by_smtp(office, server)
        done = office.migrate("run", "--json", "--as-of", T30)
        disk.empty()
        line = stopped(done, 2, "is full", "could not be written down", "uncertain")
        assert "nothing was recorded" not in line
        held = [row for row in letters(office) if row["state"] == "sending"]
        assert 1 <= len(held) <= 2, "two connections, each with one letter"
        lease_ends(office)
        assert office.migrate("run", "--json", "--as-of", LATER).code == 5
        assert office.run(T29)["letters"]["sent"] == 0
        told = taken(server)
    assert [row["state"] for row in letters(office)].count("uncertain") == len(held)
    assert_nothing_lost_nothing_twice(office, told, unsure=2)


@pytest.mark.parametrize("room", [0, soak(16 << 10), 200_000])
def test_no_room_for_letters_leaves_the_others_queued(office: Office, disk: Disk, room: int) -> None:
    moved(office, "outbox", disk)
    disk.leave(room)
    done = office.migrate("run", "--json", "--as-of", T30)
    disk.empty()
    stopped(done, 6, "[mail.maildir] path", "No space left on device", "`migrate send`")
    assert done.facts["letters"]["queued"] == 60 - done.facts["letters"]["sent"] > 0
    assert office.migrate("send", "--as-of", LATER).code == 0
    assert office.run(T29)["letters"]["sent"] == 0
    assert_nothing_lost_nothing_twice(office, mailed(office, disk))


def test_no_room_for_the_reports_of_a_run_that_has_not_begun_begins_none(office: Office, disk: Disk) -> None:
    moved(office, "reports", disk)
    before = office.remembered()
    disk.leave(0)
    done = office.migrate("run", "--json", "--as-of", T30)
    disk.empty()
    line = stopped(done, 2, "[reports] dir", "No space left on device")
    assert "migrate report" not in line, "there is nothing to report of"
    assert office.remembered() == before
    assert office.run(LATER)["letters"]["sent"] == 60
    assert_nothing_lost_nothing_twice(office, mailed(office, disk))


@pytest.mark.parametrize(("room", "afterwards"), [(8 << 10, "run"), (8 << 10, "report"), soak(24 << 10, "report")])
def test_no_room_for_the_reports_of_a_run_says_what_it_did_and_they_are_made_up(
    office: Office, disk: Disk, room: int, afterwards: str
) -> None:
    moved(office, "reports", disk)
    disk.leave(room)
    done = office.migrate("run", "--json", "--as-of", T30)
    disk.empty()
    stopped(done, 2, "[reports] dir", "No space left on device", "Run r00002 is recorded: 60 letters sent, 0 queued", "`migrate report`")
    assert [path.name for path in (disk.folder / "reports").iterdir() if path.name.startswith(".")] == []
    if afterwards == "report":
        assert office.migrate("report").code == 0
    else:
        assert office.run(LATER)["outcomes"] == {"nothing_due": 40, "not_reminded": 20}
    assert {row["last_notice_state"] for row in office.table(disk.folder / "reports" / "latest" / "accounts.csv")} == {"sent"}
    assert_nothing_lost_nothing_twice(office, mailed(office, disk))


@pytest.mark.parametrize("room", [8 << 10, soak(32 << 10), soak(64 << 10)])
def test_no_room_for_the_snapshot_changes_nothing(office: Office, disk: Disk, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setenv("TMPDIR", str(disk.folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    office.write()
    before = office.remembered()
    disk.leave(room)
    for words in (["run"], ["dry-run"]):
        done = office.migrate(*words, "--as-of", T30)
        stopped(done, 3, str(disk.folder), "No space left on device", "TMPDIR")
        assert office.remembered() == before
        assert [path for path in disk.folder.iterdir() if path.is_dir() and any(path.iterdir())] == []
    disk.empty()
    assert office.run(LATER)["letters"]["sent"] == 60
    assert_nothing_lost_nothing_twice(office, mailed(office, disk))


def test_no_room_for_a_plan_leaves_no_part_of_one(office: Office, disk: Disk) -> None:
    office.write()
    out = disk.folder / "plan"
    assert office.migrate("dry-run", "--as-of", T30, "--out", str(out)).code == 0
    whole = {path.name: path.stat().st_size for path in out.iterdir()}
    disk.leave(32 << 10)
    stopped(office.migrate("dry-run", "--as-of", T30, "--out", str(out)), 2, "No space left on device")
    assert {path.name: path.stat().st_size for path in out.iterdir()} == whole
    assert [path.name for path in disk.folder.iterdir()] == ["plan"]
    disk.empty()
    assert office.migrate("run", "--as-of", LATER, "--plan", str(out)).code == 0


@pytest.mark.parametrize("room", [soak(0), soak(96 << 10), 288 << 10, soak(384 << 10), soak(640 << 10)])
def test_with_everything_on_one_disk_that_is_full_nothing_is_lost(
    company: Office, disk: Disk, impatient: None, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    office = Office(shutil.copytree(company.folder, disk.folder / "office", symlinks=True), deepcopy(company.people))
    (disk.folder / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(disk.folder / "tmp"))
    office.write()
    disk.leave(room)
    done = office.migrate("run", "--as-of", T30)
    disk.empty()
    stopped(done, done.code)
    assert done.code in (2, 3, 6)
    assert list((disk.folder / "tmp").iterdir()) == []
    lease_ends(office)
    assert office.migrate("run", "--as-of", LATER).code in (0, 5)
    assert office.run(T29)["letters"]["sent"] == 0
    assert_nothing_lost_nothing_twice(office, mailed(office, disk), unsure=AT_ONCE)


@pytest.mark.parametrize("output", [">/dev/full", ">/dev/full 2>&1", ">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_run_whose_output_has_no_room_or_nowhere_to_go_is_a_run_like_any_other(office: Office, output: str) -> None:
    office.write()
    command = f'"{sys.executable}" -m migrate --config "{office.folder / "config.toml"}" run --as-of {T30}'
    done = subprocess.run(f"{command} {output}", shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(office.mails()) == 60
    assert sum(row["state"] == "sent" for row in office.report("notices")) == 60
