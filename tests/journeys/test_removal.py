"""Whatever folder a command is pointed at, what was there before is there afterwards, byte for byte."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from office import Office
from powerless import powerless
from variants import covering, soak

from migrate.files import MARK
from migrate.report.verify import verify

T30 = "2024-01-02T06:00"
LATER = "2024-01-02T18:00"
NEXT = "2024-01-03T06:00"


@dataclass(frozen=True)
class Ended:
    """How the installed command ended."""

    code: int
    said: str


def installed(office: Office, *arguments: str) -> Ended:
    """The installed command, in a process of its own."""
    done = begun(office, *arguments)
    out, err = done.communicate(timeout=120)
    return Ended(done.returncode, out + err)


def begun(office: Office, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "migrate", "--config", str(office.folder / "config.toml"), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=office.folder)


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every name below a folder, with its mode, and its bytes or where it links to."""
    found = {}
    for path in sorted(folder.rglob("*")):
        content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return found


def lost(before: dict[str, tuple[int, bytes]], folder: Path) -> dict[str, object]:
    """What is gone or another now. The ledger's own files may change: they are the campaign's, and it goes on."""
    after = tree(folder)
    return {name: (was, after.get(name)) for name, was in before.items() if after.get(name) != was and "migrate.db" not in name}


def staffed(office: Office) -> Office:
    for n in range(6):
        office.hire(f"u{n}", "sms")
    office.write()
    return office


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """A company whose first run is done."""
    office = staffed(Office(tmp_path_factory.mktemp("company") / "office"))
    office.run(T30)
    return office


@pytest.fixture
def company(started: Office, tmp_path: Path) -> Office:
    shutil.copytree(started.folder, tmp_path / "office", symlinks=True)
    return Office(tmp_path / "office", dict(started.people))


def a_home(company: Office, place: Path) -> Path:
    """Somebody's home, or the root of a small system: files, folders, links, a plan.csv, names that look like ours."""
    place.mkdir()
    (place / ".ssh").mkdir(mode=0o700)
    (place / ".ssh" / "id").write_text("secret")
    (place / "etc").mkdir()
    (place / "bin").symlink_to("etc")
    (place / "nowhere").symlink_to("/there/is/nothing")
    for name in ("plan.csv", "plan.json", "manifest.json", "image.json", "config.toml.orig", "latest.txt"):
        (place / name).write_text(f"my {name}")
    for name in (".thesis.tmp-backup", ".plan.tmp-0123456789abcdef", "migrate-0123456789abcdef"):
        (place / name).mkdir()
        (place / name / "thesis.txt").write_text("years of work")
        os.utime(place / name, (0, 0))
    return place


def the_campaign(company: Office, place: Path) -> Path:
    """The campaign's own folder, with a reviewer's copy of the plan in it."""
    assert company.migrate("dry-run", "--as-of", LATER).code == 0
    for name in ("plan.csv", "plan.json", "plan.parquet"):
        shutil.copy(company.folder / "reports" / "dry-run-2024-01-02" / name, company.folder / name)
    return company.folder


def the_reports(company: Office, place: Path) -> Path:
    return company.folder / "reports"


def evidence(company: Office, place: Path) -> Path:
    return (company.folder / "reports" / "latest").resolve()


def a_reviewed_plan(company: Office, place: Path) -> Path:
    assert company.migrate("dry-run", "--as-of", T30, "--out", str(place)).code == 0
    (place / "plan.csv").write_text("".join((place / "plan.csv").read_text().splitlines(keepends=True)[:-1]))
    (place / "notes.txt").write_text("ask Kim")
    return place


def a_plan_with_notes(company: Office, place: Path) -> Path:
    assert company.migrate("dry-run", "--as-of", T30, "--out", str(place)).code == 0
    (place / "notes.txt").write_text("ask Kim")
    return place


def a_dry_run_of_0_1_0(company: Office, place: Path) -> Path:
    """It made no marks."""
    assert company.migrate("dry-run", "--as-of", T30, "--out", str(place)).code == 0
    (place / MARK).unlink()
    return place


def a_cache(company: Office, place: Path) -> Path:
    (found,) = (each for each in (company.folder / "migrate.db.image").iterdir() if not each.name.endswith("-told"))
    shutil.copytree(found, place)
    return place


def what_was_told(company: Office, place: Path) -> Path:
    (found,) = (company.folder / "migrate.db.image").glob("*-told")
    shutil.copytree(found, place)
    return place


def a_file(company: Office, place: Path) -> Path:
    place.write_text("mine")
    return place


def a_link_to_a_folder(company: Office, place: Path) -> Path:
    home = a_home(company, place.with_name("home"))
    place.symlink_to(home)
    return place


def a_link_to_an_empty_folder(company: Office, place: Path) -> Path:
    place.with_name("empty").mkdir(mode=0o755)
    place.symlink_to("empty")
    return place


def a_link_to_nothing(company: Office, place: Path) -> Path:
    place.symlink_to("nothing")
    return place


def a_folder_without_write_permission(company: Office, place: Path) -> Path:
    a_home(company, place).chmod(0o500)
    return place


PLACES = [
    a_home, the_campaign, the_reports, evidence, a_reviewed_plan, a_plan_with_notes, a_dry_run_of_0_1_0, a_file, a_link_to_a_folder,
    a_link_to_an_empty_folder, a_link_to_nothing, a_folder_without_write_permission, pytest.param(a_cache, marks=pytest.mark.cache),
    pytest.param(what_was_told, marks=pytest.mark.cache),
]  # fmt: skip


@contextmanager
def nothing_lost(company: Office, tmp_path: Path) -> Iterator[None]:
    before = tree(tmp_path)
    yield
    assert lost(before, tmp_path) == {}


@pytest.mark.parametrize("at", PLACES)
def test_out_is_refused_where_anything_is_that_the_command_did_not_write(
    company: Office, tmp_path: Path, at: Callable[[Office, Path], Path]
) -> None:
    out = at(company, tmp_path / "place")
    before = tree(tmp_path)
    for words in (("dry-run", "--as-of", LATER, "--out"), ("dry-run", "--as-of", LATER, "--out"), ("report", "--out"), ("demo",)):
        done = powerless(lambda words=words: company.migrate(*words, str(out)))
        assert done.code == 2, (words, done)
        assert str(out) in done.err and "Traceback" not in done.err
        assert tree(tmp_path) == before, words


@pytest.mark.parametrize(
    ("setting", "at"),
    covering(
        ["reports", "outbox", pytest.param("image", marks=pytest.mark.cache)],
        [a_home, the_campaign, evidence, a_file, a_link_to_a_folder, a_link_to_an_empty_folder, a_link_to_nothing],
    ),
)
def test_a_setting_that_points_anywhere_loses_nothing(
    company: Office, tmp_path: Path, setting: str, at: Callable[[Office, Path], Path]
) -> None:
    place = at(company, tmp_path / "place")
    match setting:
        case "reports":
            company.reports = str(place)
        case "outbox":
            company.mail = f'transport = "maildir"\n[mail.maildir]\npath = "{place}"'
        case "image":
            company.ledger = f'sqlite:///migrate.db"\nimage = "{place}'
    company.hire("u9", "sms")
    company.write()
    with nothing_lost(company, tmp_path):
        for words in (
            ("check",), ("run", "--as-of", LATER), ("dry-run", "--as-of", NEXT), ("dry-run", "--as-of", NEXT), ("report",),
            ("preview", "reminder"), ("send",), ("run", "--as-of", NEXT),
        ):  # fmt: skip
            # What points to the newest evidence is the one thing that goes on.
            latest = company.folder / "reports" / "latest"
            was = latest.readlink()
            done = company.migrate(*words)
            assert done.code in (0, 2, 4, 5, 6), (words, done)
            latest.unlink()
            latest.symlink_to(was)


def test_a_file_or_link_called_latest_that_is_somebody_elses_stops_the_run_and_stays(company: Office, tmp_path: Path) -> None:
    latest = company.folder / "reports" / "latest"
    for make in (lambda: latest.write_text("my notes"), lambda: latest.symlink_to("/home"), latest.mkdir):
        latest.unlink()
        make()
        before = tree(company.folder / "reports")
        done = installed(company, "run", "--as-of", LATER)
        assert done.code == 2 and f"mv {latest} {latest}.old" in done.said
        assert tree(company.folder / "reports") == before


def test_a_maildir_that_holds_other_things_is_named_by_check_and_gets_no_letter(company: Office, tmp_path: Path) -> None:
    home = a_home(company, tmp_path / "home")
    company.mail = f'transport = "maildir"\n[mail.maildir]\npath = "{home}"'
    company.hire("u9", "sms")
    company.write()
    before = tree(home)
    done = installed(company, "check")
    assert done.code == 6 and "is no Maildir and holds other things" in done.said
    ran = installed(company, "run", "--as-of", LATER)
    assert ran.code == 6 and "[mail.maildir] path" in ran.said
    assert tree(home) == before
    company.mail = 'transport = "maildir"\n[mail.maildir]\npath = "outbox"'
    company.write()
    assert company.migrate("send", "--as-of", LATER).code == 0
    assert len(company.told()) == 7


def test_the_mark_is_no_part_of_a_plan_or_of_evidence(company: Office, tmp_path: Path) -> None:
    company.hire("u9", "sms")
    company.write()
    assert company.migrate("dry-run", "--as-of", LATER, "--out", str(tmp_path / "plan")).code == 0
    assert (tmp_path / "plan" / MARK).is_file()
    assert company.migrate("run", "--as-of", LATER, "--plan", str(tmp_path / "plan")).code == 0
    assert list((company.folder / "reports").rglob(MARK)) == []
    for folder in (company.folder / "reports").iterdir():
        assert verify([folder]).problems == ()


def test_two_reports_at_once_to_one_folder_are_one_report_and_one_refusal(company: Office, tmp_path: Path) -> None:
    for number in range(3):
        out = tmp_path / f"evidence-{number}"
        ended = [(*each.communicate(timeout=120), each.returncode) for each in [begun(company, "report", "--out", str(out)) for _ in "ab"]]
        assert sorted(code for *_, code in ended) == [0, 2], ended
        assert not any("not empty:" in said or "Directory not empty" in said for _, said, _ in ended)
        assert verify([out]).problems == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evidence-0", "evidence-1", "evidence-2", "office"]


def test_two_reports_at_once_into_the_reports_folder_are_both_done(company: Office) -> None:
    ended = [(*each.communicate(timeout=120), each.returncode) for each in [begun(company, "report", "--json") for _ in "abc"]]
    assert [code for *_, code in ended] == [0, 0, 0], ended
    made = {Path(json.loads(out)["evidence"]) for out, *_ in ended}
    assert len(made) == 3
    for folder in made:
        assert verify([folder]).problems == ()
        assert json.loads((folder / "summary.json").read_bytes())["evidence"] == str(folder)


def test_two_dry_runs_at_once_to_one_folder_are_both_done(company: Office, tmp_path: Path) -> None:
    out = tmp_path / "plan"
    for _ in range(3):
        words = ("dry-run", "--as-of", LATER, "--out", str(out))
        ended = [(*each.communicate(timeout=120), each.returncode) for each in [begun(company, *words) for _ in "ab"]]
        assert [code for *_, code in ended] == [0, 0], ended
    assert sorted(path.name for path in tmp_path.iterdir()) == ["office", "plan"]
    assert installed(company, "run", "--as-of", LATER, "--plan", str(out)).code == 0


@pytest.mark.parametrize("kills", [2, soak(12)])
def test_what_killed_commands_left_is_swept_by_the_next(
    company: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    temporary, out = tmp_path / "temporary", tmp_path / "plan"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    chance = random.Random(11)
    took = time.monotonic()
    assert installed(company, "dry-run", "--as-of", LATER, "--out", str(out)).code == 0
    took = time.monotonic() - took
    for words in [("dry-run", "--as-of", LATER, "--out", str(out)), ("report",)] * (kills // 2):
        victim = begun(company, *words)
        time.sleep(chance.uniform(0.3, 1.1) * took)
        victim.send_signal(signal.SIGKILL)
        victim.communicate()
    for words in (("run", "--as-of", "2024-01-02T20:00"), ("dry-run", "--as-of", "2024-01-02T20:00", "--out", str(out)), ("report",)):
        done = installed(company, *words)
        assert done.code == 0, (words, done.said)
    assert list(temporary.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["office", "plan", "temporary"]
    assert [path.name for path in company.folder.rglob("*") if ".tmp-" in path.name] == []
    for folder in (company.folder / "reports").iterdir():
        assert verify([folder]).problems == ()
