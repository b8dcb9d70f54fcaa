"""A company for the measurements: a folder with a directory, a configuration and a ledger, in which days pass."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

from benchmarks.process import BUILD, PYTHON, ROOT, Spent, measure

ON_SMS: Final = 0.2
"""The share of the people who depend on SMS, unless something else is said."""
ON_SMS_LATE: Final = 0.3
"""The same in a company in the middle of its campaign."""
CHANGED: Final = 0.01
"""The share of the people to whom something happens on an ordinary day."""
OPENS: Final = date(2023, 8, 1)
STAGES: Final = (OPENS, date(2023, 12, 3), date(2024, 1, 2))
"""Days on which the first three stages begin."""
LATER_STAGES: Final = (date(2024, 1, 7), date(2024, 1, 12), date(2024, 1, 18))
"""Days on which the next three do."""
_BEGIN: Final = date(2022, 1, 1)
"""A year and a half of days on which nobody is reminded."""

_CONFIG: Final = """\
[campaign]
name = "sms-retirement"
organization = "Example Corp"
product = "Example account"
opens = {opens}
cutoff = 2024-02-01T00:00:00
timezone = "America/Los_Angeles"
support_email = "help@example.com"
[directory]
{source}
[directory.columns]
account_id = "id"
username = "login"
email = "mail"
display_name = "name"
locale = "language"
enabled = "active"
federated = "sso"
methods = "mfa"
default_method = "mfa_default"
methods_changed_at = "changed"
[schedule]
days_before = [60, 30, 25, 20, 14, 7, 3, 1]
[mail]
from = "Example Corp Security <security@example.com>"
transport = "{transport}"
[mail.smtp]
host = "127.0.0.1"
port = {port}
security = "none"
rate = "1000000/s"
connections = 4
[safety]
max_messages = 100000000
allow_time_travel = true
[reports]
formats = {formats}
"""
_SOURCES: Final = {"sql": 'kind = "sql"\nurl = "sqlite:///directory.db"\ntable = "users"', "csv": 'kind = "csv"\npath = "directory.csv"'}
MIGRATE: Final = (*PYTHON, "-m", "migrate")


@dataclass(slots=True)
class Company:
    """So many accounts in a folder. `day` is the one that was lived last."""

    folder: Path
    accounts: int
    day: date = field(default=_BEGIN)

    @property
    def directory(self) -> Path:
        return self.folder / "directory.db"

    def configure(self, formats: Sequence[str] = (), source: str = "sql", port: int | None = None) -> None:
        """Writes the configuration, with the `port` of a mail server if letters are to go anywhere. After another source, the next run
        reads every row anew."""
        transport = "smtp" if port else "maildir"
        text = _CONFIG.format(opens=OPENS, source=_SOURCES[source], formats=json.dumps(list(formats)), transport=transport, port=port or 25)
        (self.folder / "config.toml").write_text(text, encoding="utf-8")

    def change(self, share: float = CHANGED) -> None:
        """The next day, with what happened since."""
        self.day += timedelta(days=1)
        _people("change", self.directory, share, (self.day - _BEGIN).days)

    def switch(self, share: float = CHANGED) -> None:
        """The next day, with so many who registered another method, which is confirmed by mail."""
        self.day += timedelta(days=1)
        _people("switch", self.directory, share, (self.day - _BEGIN).days)

    def run(self, migrate: Sequence[str] = MIGRATE) -> tuple[Spent, dict[str, Any]]:
        """A whole run of today that delivers nothing: what it took, and the facts that it printed."""
        said = [*migrate, "--config", "config.toml", "run", "--no-send", "--json", "--as-of", f"{self.day}T09:00"]
        os.sync()  # the disk is done with what was copied here; no run waits for it
        spent = measure(said, self.folder)
        facts: dict[str, Any] = json.loads(spent.printed)
        if facts["read"] != self.accounts:
            raise RuntimeError(f"{facts['read']:,} accounts were read, and there are {self.accounts:,}")
        return spent, facts

    def send(self) -> tuple[Spent, dict[str, Any]]:
        """Delivers what is queued: what it took, and the facts that it printed."""
        spent = measure([*MIGRATE, "--config", "config.toml", "send", "--json", "--as-of", f"{self.day}T10:00"], self.folder)
        return spent, json.loads(spent.printed)

    def quiet_run(self, migrate: Sequence[str] = MIGRATE) -> Spent:
        """A run (`run`) on a day on which nobody is mailed: what it took. RuntimeError if letters were queued."""
        spent, facts = self.run(migrate)
        if facts["letters"]["queued"]:
            raise RuntimeError(f"{facts['letters']['queued']:,} letters were queued on a day without any")
        return spent

    def change_rules(self) -> None:
        """Sets another rule, by which the decision about anybody might be another one."""
        with (self.folder / "config.toml").open("a", encoding="utf-8") as config:
            config.write('[policy]\nremind = ["sms_only", "sms_default", "unknown"]\nused_days = 60\n')

    def forget_cache(self) -> None:
        """Deletes the cache of the last read."""
        shutil.rmtree(self.folder / "migrate.db.image")

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Restores the folder and the day when the context ends, so that each round begins from the same state."""
        day = self.day
        with tempfile.TemporaryDirectory(prefix="aside-", dir=BUILD) as aside:
            shutil.copytree(self.folder, aside, dirs_exist_ok=True, symlinks=True, copy_function=shutil.copyfile)
            yield
            shutil.rmtree(self.folder)
            shutil.copytree(aside, self.folder, symlinks=True, copy_function=shutil.copyfile)
        self.day = day

    def disk(self) -> tuple[float, float, float]:
        """MiB of the directory, the ledger and the cache."""
        cache = sum(path.stat().st_size for path in (self.folder / "migrate.db.image").rglob("*") if path.is_file())
        sizes = (self.directory.stat().st_size, (self.folder / "migrate.db").stat().st_size, cache)
        return sizes[0] / 2**20, sizes[1] / 2**20, sizes[2] / 2**20


@contextmanager
def company(accounts: int, share: float = ON_SMS) -> Iterator[Company]:
    """A company that has never had a run. Its people are made once and kept below `build/`; the company is gone afterwards."""
    BUILD.mkdir(parents=True, exist_ok=True)
    # The name holds what the people are made by: other code makes other people.
    made = BUILD / f"people-{accounts}-{share:g}-{_stamp()}.db"
    if not made.exists():
        print(f"  making {accounts:,} people", file=sys.stderr)
        _people("make", made, accounts, share)
    with tempfile.TemporaryDirectory(prefix="company-", dir=BUILD) as folder:
        here = Company(Path(folder), accounts)
        shutil.copyfile(made, here.directory)
        here.configure()
        yield here


def _stamp() -> str:
    from hashlib import sha256

    return sha256((ROOT / "benchmarks/people.py").read_bytes()).hexdigest()[:8]


def _people(*arguments: object) -> None:
    measure([*PYTHON, "-m", "benchmarks.people", *map(str, arguments)], ROOT)
