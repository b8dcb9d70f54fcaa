"""One campaign lived twice, with the cache of the last read and without it: every byte that a person, a program or the next run can read
is the same."""

from __future__ import annotations

import itertools
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import time_machine
from office import Office, called
from variants import soak
from without_cache import know_nothing

from migrate.directory import snapshot
from migrate.files import MARK, spill
from migrate.incremental import records, reuse, rows
from migrate.mail import maildir

pytestmark = pytest.mark.cache

WAVES = """
[[waves]]
name = "admins"
match = { groups = ["role:Global Administrator"] }
follows = true
cutoff = 2024-07-01
"""
RULES = "[schedule]\ndays_before = [9, 5, 1]\ndays_after = [0]\n[policy]\nused_days = 8\n"
FORMATS = 'formats = ["csv", "html", "xlsx", "parquet", "helpdesk"]'
GRANTED = ("--owner", "IT", "--reason", "at sea", "--until")


@pytest.fixture(autouse=True)
def repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is random in a ledger and in evidence is the same every time; the names of work folders are not."""
    by_chance = secrets.token_hex

    def token_hex(size: int) -> str:
        return by_chance(size) if sys._getframe(1).f_globals["__name__"] == "migrate.files.work" else "5e" * size

    monkeypatch.setattr(secrets, "token_hex", token_hex)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every border between batches, ranges and windows is met."""
    for module, name, size in (
        (spill, "BATCH", 4), (spill, "_GATHERED", 12), (spill, "_HELD", 6), (records, "BATCH", 8), (records, "_NEWER", 0.3),
        (rows, "_SLACK", 3),
        (snapshot, "RANGE", 16), (reuse, "RANGE", 16), (reuse, "_NEW_OUTCOMES", 3),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, size)


@dataclass
class Life:
    """A campaign that is lived through: what every command printed, as it was typed, and what stood in the ledger after each day."""

    office: Office
    forgetful: bool = False
    cutoff: str = "2024-02-01"
    said: list[tuple[str, int, str, str]] = field(default_factory=list)
    ledgers: list[dict[str, list[tuple[Any, ...]]]] = field(default_factory=list)

    def says(self, *words: str) -> int:
        if self.forgetful:
            for rows in self.office.folder.glob("migrate.db.image/*/rows.arrow"):
                rows.unlink()
        done = self.office.migrate(*words)
        self.said.append((" ".join(words), done.code, done.out, done.err))
        return done.code

    def day(self, day: str, *words: str, before: Callable[[], object] = lambda: None, code: int = 0, full: bool = False) -> None:
        """The run and what it is asked afterwards, at an instant that does not pass; on a `full` day after a dry run, with every report."""
        with time_machine.travel(f"2024-{day}T14:00Z", tick=False):
            self.office.write()
            config = self.office.folder / "config.toml"
            written = config.read_text().replace("cutoff = 2024-02-01", f"cutoff = {self.cutoff}")
            config.write_text(written.replace('formats = ["csv"]', FORMATS) if full else written)
            before()
            if full:
                self.says("dry-run", "--json", "--out", str(self.office.folder / f"plan-{day}"))
            assert self.says("run", "--json", *words) == code, self.said[-1]
            for asked in (("status", "--json"), ("explain", "--json", "u03", "gone")):
                self.says(*asked)
            self.ledgers.append(remembered(self.office))


def remembered(office: Office) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the ledger, but for the digests of what is kept for the next run, which are no results, and the numbers of events:
    letters are delivered in threads, and which of two events at one instant is written first is chance."""
    tables = office.remembered()
    tables["letter_event"] = sorted((row[1:] for row in tables["letter_event"]), key=repr)
    tables["run"] = [tuple(_no_digest(value) for value in row) for row in tables["run"]]
    return tables


def _no_digest(value: Any) -> Any:
    return re.sub(r'"(image|told)": "[0-9a-f]{64}", ', "", value) if isinstance(value, str) else value


def lived(office: Office, *, forgetful: bool = False) -> Life:
    """Fourteen days on which everything happens that the cache might get wrong; with `forgetful` every command finds it damaged."""
    life = Life(office, forgetful)
    office.safety = "max_shrink = 0.5\nmax_changes = 1.0\nmax_rejected = 1.0\nguard_floor = 0"
    office.more = RULES
    for n in range(24):
        have = ("sms", "sms,totp", "totp", "", "odd word")[n % 5]
        office.hire(f"u{n:02}", have, dept=("Sales", None)[n % 2], mobile=f"+1 415 555 {n:04}", groups="All staff")
    office.hire("gone", "sms", mail="gone@example.com")
    office.hire("u03-again", "sms,totp", last_used_method="sms", last_used_at="2024-01-20T10:00Z", in_policy="no", may_enrol="totp")
    life.day("01-22")
    life.day("01-23")  # T-9
    office.change("u00", mfa="totp")
    office.change("u01", mfa="totp", mail="new@example.com", security_mails="old@example.com")
    office.change("u02", mfa="totp,sms", mfa_changed_at="yesterday")
    office.change("u05", active="maybe")
    office.hire("new", "sms", mail="no address")
    life.day("01-24", full=True)  # confirmations, a rejected row, odd words

    def excepted() -> None:
        assert life.says("exempt", "add", "u10", *GRANTED, "2024-01-31") == 0
        assert life.says("pause", "add", "u15", *GRANTED, "2024-01-28") == 0

    gone = office.leave("gone")
    office.people["twin"] = dict(office.people["u06"]) | {"name": "Another Name"}
    life.day("01-25", before=excepted)
    del office.people["twin"]
    office.people = {"gone": gone} | office.people  # back, and the first row instead of the last
    life.day("01-26", "--no-send")
    life.day("01-27", before=lambda: life.says("send", "--json"))  # T-5
    office.change("u20", dept="Legal")
    life.day("01-28")
    office.more = RULES + WAVES
    office.change("u15", groups="role:Global Administrator")
    life.day("01-29")  # a wave, and rules that are others: everybody is decided about
    office.more = (RULES + WAVES).replace("used_days = 8", 'used_days = 4\nremind = ["sms_only", "unknown"]')
    life.day("01-30")  # rules of deciding
    life.cutoff = "2024-02-05"  # whoever was told another one is told that it moved
    life.day("01-31", full=True)
    office.more += '[directory.methods]\n"odd word" = "push"\n'
    life.day("02-01")  # rules of reading: odd words are none any more
    held, office.people = office.people, {"u00": office.people["u00"]}
    life.day("02-02", code=4, full=True)  # a read that broke off
    office.people = held
    office.change("u11", mfa="totp")
    office.more = office.more.replace("used_days", 'accepted = ["totp"]\nused_days')
    life.day("02-03", "--accept-clock")  # what counts as accepted
    life.day("02-04", full=True)  # T-1
    with time_machine.travel("2024-02-04T15:00Z", tick=False):
        for words in (("verify", str(office.folder / "reports"), "--json"), ("ledger", "check"), ("report", "--json")):
            assert life.says(*words) == 0, life.said[-1]
    return life


def files_of(folder: Path) -> dict[str, bytes]:
    """What stands in every file but the directory, the ledger (it is compared row by row), the cache, and the marks of folders, which are
    random."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MARK and not path.relative_to(folder).parts[0].startswith(("directory.", "migrate.db"))
    }


@contextmanager
def lived_in(folder: Path, *, cached: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A life in a folder of one name both times, for paths stand in the evidence. What `[ledger] image = false` leads to is set here, for
    the digest of the configuration stands there as well."""
    monkeypatch.setattr(maildir, "_deliveries", itertools.count())  # it stands in the names of letters
    with monkeypatch.context() as patched:
        if not cached:
            know_nothing(patched)
        yield
    assert (folder / "migrate.db.image").exists() is cached
    folder.rename(folder.with_name(f"cached {cached}"))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("forgetful", [False, soak(True)])
def test_a_campaign_leaves_the_same_bytes_with_the_cache_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgetful: bool
) -> None:
    lives, files = [], []
    for cached in (True, False):
        office = Office(tmp_path / "company")
        with lived_in(office.folder, cached=cached, monkeypatch=monkeypatch):
            lives.append(lived(office, forgetful=forgetful and cached))
            files.append(files_of(office.folder))
        office.folder.with_name(f"cached {cached}").rename(tmp_path / f"life {len(lives)}")
    with_it, without = lives
    for one, other in zip(with_it.said, without.said, strict=True):
        assert one == other
    assert with_it.ledgers == without.ledgers
    assert_alike(*files)
    happened = {value for table in ("notice", "change", "rejection") for row in with_it.ledgers[-1][table] for value in row}
    assert happened >= {
        "announcement",
        "reminder",
        "final_reminder",
        "change_confirmation",
        "cutoff_moved",
        "sms_removed",
        "gone",
        "returned",
    }


@pytest.mark.soak
def test_the_demo_prints_and_leaves_the_same_with_the_cache_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said, files, ledgers = [], [], []
    for cached in (True, False):
        folder = tmp_path / "demo"
        with lived_in(folder, cached=cached, monkeypatch=monkeypatch):
            with time_machine.travel("2026-01-05T10:00Z", tick=False):
                said.append(called("demo", str(folder)))
            files.append(files_of(folder))
            ledgers.append(remembered(Office(folder)))
    assert said[0].code == 0, said[0].err
    assert said[0] == said[1]
    assert ledgers[0] == ledgers[1]
    assert_alike(*files)


def assert_alike(some: dict[str, bytes], others: dict[str, bytes]) -> None:
    assert some.keys() == others.keys()
    assert [name for name, content in some.items() if content != others[name]] == []
    assert sum(name.startswith("outbox/new/") for name in some) >= 30
    assert sum(name.startswith("reports/") for name in some) >= 100
