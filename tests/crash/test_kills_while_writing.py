"""Killed at random moments of writing reports, keeping the cache, upgrading a ledger and applying a reviewed plan: what was there is there,
the next command completes the rest, and nothing is told twice."""

from __future__ import annotations

import csv
import random
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from crash.books import books, leases_end
from crash.doomed import Midst, start
from incremental.test_incremental import remembered
from ledger.test_upgrades import EARLIER, Rows, left_behind, lived, rows_of
from office import Office

from migrate.ledger import schema
from migrate.report.verify import verify

__all__ = ["lived"]

START = datetime(2024, 1, 2, 6)
REPORTS = ("migrate.run.job:write_reports", "migrate.run.job:write_reports")
KEEP = ("migrate.run.job:keep", "migrate.run.job:keep")
PLAN = ("migrate.run.job:_approval", "migrate.run.job:keep")
UPGRADE = ("migrate.ledger.engine:_upgrade", "migrate.ledger.engine:_upgrade")

KILLS = [
    pytest.param(2, id="some", marks=[pytest.mark.slow, pytest.mark.timeout(600)]),
    pytest.param(50, id="soak", marks=pytest.mark.soak),
]


def left_behind_in(folder: Path) -> dict[str, bytes]:
    """What dead commands left of their work. A kill within microseconds of its making or its end leaves an empty folder without a mark,
    which nobody can tell from another's, and stays."""
    works = [path for path in folder.rglob("*") if ".tmp-" in path.name]
    return {f"{path.name}/{name}": content for path in works for name, content in tree(path).items() if content}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


@dataclass
class Killing:
    """Kills commands in the midst of something, at moments that are spread over the time it takes."""

    midst: tuple[str, str]
    folder: Path
    chance: random.Random = field(default_factory=lambda: random.Random(17))
    kills: int = 0
    took: list[float] = field(default_factory=list)

    def dies(self, *arguments: str) -> bool:
        """A command that is killed, unless it was quicker. The first ones are left in peace, to see how long it takes."""
        file = self.folder / "took"
        seconds = self.chance.uniform(0, sorted(self.took)[len(self.took) // 2]) if len(self.took) >= 2 else None
        command = start(self.folder, *arguments, doom=Midst(*self.midst, file, seconds))
        code = command.wait()
        assert code in (0, -signal.SIGKILL), command.said
        if code == 0:
            self.took = [*self.took[-8:], float(file.read_text())]
        self.kills += code != 0
        return code != 0


class Campaign:
    """A company in which somebody is hired and somebody switches before each run."""

    def __init__(self, folder: Path) -> None:
        self.office = Office(folder, safety="max_changes = 1.0")
        self.office.more = "[policy]\nmax_addresses = 10"
        self.times = count(1)
        self.hired: list[str] = []
        self.switched: list[str] = []
        self.struck: list[str] = []
        (folder / "reports").mkdir()
        (folder / "reports" / "notes.txt").write_text("mine")
        self.hires(4)
        self.office.run(self.now())

    def now(self) -> str:
        return f"{START + timedelta(minutes=5 * next(self.times)):%Y-%m-%dT%H:%M}"

    def hires(self, many: int) -> list[str]:
        new = [f"u{len(self.hired) + n:04}" for n in range(many)]
        for name in new:
            self.office.hire(name)
        self.hired += new
        return new

    def moves(self) -> None:
        """The one hired last switches, and another one is hired."""
        self.office.change(self.hired[-1], mfa="totp")
        self.switched.append(self.hired[-1])
        self.hires(1)
        self.office.write()

    def says(self, *arguments: str) -> None:
        done = self.office.migrate(*arguments)
        assert done.code == 0, (arguments, done.out, done.err)

    def assert_whole(self, before: dict[str, bytes]) -> None:
        """Everything of before is there, every run has its evidence, the ledger agrees with itself, and each person was told once."""
        office, reports = self.office, self.office.folder / "reports"
        after = tree(reports)
        assert {name for name, content in before.items() if after.get(name) != content} == set()
        assert left_behind_in(office.folder) == {}
        with books(office) as ledger:
            runs = ledger.execute(sa.select(schema.run.c.run_id, schema.run.c.evidence, schema.run.c.state)).all()
        evidence = [Path(str(path)).name for _, path, _ in runs]
        assert {state for *_, state in runs} == {"completed"}, runs
        assert len(set(evidence)) == len(runs)
        folders = {path.name for path in reports.iterdir() if path.is_dir() and not path.is_symlink() and (path / "manifest.json").exists()}
        # A kill just before or after the ledger is told of a folder leaves a second one for that run: both are whole, and it names one.
        assert set(evidence) <= folders
        assert {name.removesuffix("-2") for name in folders} == {name.removesuffix("-2") for name in evidence}
        assert [fault for name in sorted(folders)[-4:] for fault in verify([reports / name]).problems] == []
        assert (reports / "latest").resolve().name == evidence[-1]
        self.says("ledger", "check", "--quiet")
        told = Counter((str(mail["To"]), str(mail["X-Migrate-Kind"])) for mail in office.mails())
        wanted = {(f"{name}@example.com", "reminder") for name in self.hired if name not in self.struck}
        wanted |= {(f"{name}@example.com", "change_confirmation") for name in self.switched}
        assert set(told) == wanted
        assert set(told.values()) == {1}


@pytest.fixture
def counted(request: pytest.FixtureRequest) -> Iterator[Callable[[Killing], None]]:
    def tell(killing: Killing) -> None:
        typical = sorted(killing.took)[len(killing.took) // 2]
        request.node.user_properties.append(("counted", f"{killing.midst[0]}: {killing.kills} kills within {typical * 1000:.0f} ms"))

    yield tell


@pytest.mark.parametrize("kills", KILLS)
def test_killed_while_reports_are_written_the_next_command_completes_them(
    kills: int, tmp_path: Path, counted: Callable[[Killing], None]
) -> None:
    campaign = Campaign(tmp_path / "office")
    killing = Killing(REPORTS, campaign.office.folder)
    while killing.kills < kills:
        campaign.moves()
        before = tree(campaign.office.folder / "reports")
        died = killing.dies("run", "--as-of", campaign.now())
        leases_end(campaign.office)
        if died and killing.kills % 2:
            campaign.says("report")
        else:
            campaign.says("run", "--as-of", campaign.now())
        campaign.assert_whole(before)
    counted(killing)


@pytest.mark.cache
@pytest.mark.parametrize("kills", KILLS)
def test_killed_while_the_cache_is_kept_the_next_run_decides_the_same(
    kills: int, tmp_path: Path, counted: Callable[[Killing], None]
) -> None:
    campaign = Campaign(tmp_path / "office")
    office = campaign.office
    killing = Killing(KEEP, office.folder)
    while killing.kills < kills:
        campaign.moves()
        before = tree(office.folder / "reports")
        killing.dies("run", "--as-of", campaign.now())
        leases_end(office)
        shutil.rmtree(tmp_path / "without", ignore_errors=True)
        shutil.copytree(office.folder, tmp_path / "without", symlinks=True)
        shutil.rmtree(tmp_path / "without" / "migrate.db.image")
        campaign.hires(1)
        office.write()
        now = campaign.now()
        campaign.says("run", "--as-of", now)
        campaign.assert_whole(before)
        without = Office(tmp_path / "without", people=office.people, safety=office.safety, more=office.more)
        without.run(now)
        assert remembered(without) == remembered(office)
    counted(killing)


@pytest.mark.parametrize("kills", KILLS)
def test_killed_while_a_reviewed_plan_is_applied_it_is_applied_once(kills: int, tmp_path: Path, counted: Callable[[Killing], None]) -> None:
    campaign = Campaign(tmp_path / "office")
    office = campaign.office
    killing = Killing(PLAN, office.folder)
    for number in count():
        new = campaign.hires(3)
        office.write()
        plan = office.folder / f"plan-{number}"
        campaign.says("dry-run", "--as-of", campaign.now(), "--out", str(plan))
        strike_out(plan / "plan.csv", new[1])
        campaign.struck.append(new[1])
        reviewed, before = tree(plan), tree(office.folder / "reports")
        applied = ("run", "--as-of", campaign.now(), "--plan", str(plan))
        killing.dies(*applied)
        leases_end(office)
        campaign.says(*applied)
        assert tree(plan) == reviewed
        campaign.assert_whole(before)
        if killing.kills >= kills:
            break
    campaign.says("run", "--as-of", campaign.now())
    campaign.assert_whole({})
    counted(killing)


def strike_out(path: Path, account_id: str) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = list(csv.reader(file))
    left = [row for row in rows if row[head.index("account_id")] != account_id]
    assert len(left) == len(rows) - 1
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([head, *left])


@pytest.mark.parametrize("kills", KILLS)
def test_killed_while_a_ledger_is_upgraded_it_is_the_old_one_or_the_new_one_and_a_copy_is_kept(
    kills: int, lived: Rows, tmp_path: Path, counted: Callable[[Killing], None]
) -> None:
    office = Office(tmp_path / "office")
    office.hire("ann")
    office.write()
    file = office.folder / "migrate.db"
    killing = Killing(UPGRADE, office.folder)
    kept = {revision: left_behind(f"sqlite:///{tmp_path / revision}", revision, lived) for revision in EARLIER}
    upgraded: dict[str, Rows] = {}
    for number in count():
        revision = EARLIER[number % len(EARLIER)]
        for path in office.folder.glob("migrate.db*"):
            path.unlink()
        shutil.copy(tmp_path / revision, file)
        if revision not in upgraded:
            assert office.migrate("ledger", "upgrade").code == 0
            upgraded[revision] = rows_in(file)
            for path in office.folder.glob("migrate.db*"):
                path.unlink()
            shutil.copy(tmp_path / revision, file)
        died = killing.dies("ledger", "upgrade")
        with closing(sqlite3.connect(file)) as ledger:
            assert died or ledger.execute("SELECT version_num FROM alembic_version").fetchall() != [(revision,)]
        assert office.migrate("ledger", "upgrade").code == 0
        assert office.migrate("ledger", "check", "--quiet").code == 0
        assert without_identity(rows_in(file)) == without_identity(upgraded[revision])
        copies = [rows_in(path) for path in office.folder.glob("migrate.db.*.bak*") if is_whole(path)]
        assert kept[revision] in copies
        assert left_behind_in(office.folder) == {}
        if killing.kills >= kills:
            break
    counted(killing)


def rows_in(file: Path) -> Rows:
    engine = sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool)
    with engine.connect() as connection:
        return rows_of(connection)


def without_identity(rows: Rows) -> dict[str, Any]:
    """A ledger is given an identity of its own when it first gets the table."""
    return {name: found for name, found in rows.items() if name != "identity"}


def is_whole(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as copy:
        return bool(copy.execute("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'").fetchone()[0])
