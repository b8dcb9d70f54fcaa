"""How a run starts: what is done before the directory is read, and with how little."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from migrate.config import Config, load
from migrate.directory.sql import SqlDirectory
from migrate.errors import DirectoryError, LockedError
from migrate.run.start import Options, started

CONFIG = """\
[campaign]
name = "sms"
organization = "Example Corp"
product = "Example account"
opens = 2024-01-02
cutoff = 2024-02-01T00:00:00
support_email = "help@example.com"
[directory]
kind = "sql"
url = "sqlite:///users.db"
table = "users"
[mail]
from = "Security <security@example.com>"
transport = "maildir"
"""

_WITHOUT_PANDAS = """\
import sys
from pathlib import Path
from migrate.config import load
from migrate.directory import arrow
from migrate.run.start import Options, started
with started(load(Path("config.toml")), Options()):
    if arrow.available():
        read = arrow.batches(Path("users.db"), "users", {"email": "email"}, {"email": "TEXT"})
        print(sum(batch.num_rows for batch in read) - 1, file=sys.stderr)
    print("pandas" in sys.modules)
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    with sqlite3.connect(tmp_path / "users.db") as users:
        users.execute("CREATE TABLE users (account_id TEXT, email TEXT, methods TEXT)")
        users.execute("INSERT INTO users VALUES ('ada', 'ada@example.com', 'sms')")
    users.close()
    (tmp_path / "config.toml").write_text(CONFIG)
    return load(tmp_path / "config.toml")


def test_pandas_is_not_waited_for_before_the_directory_begins_to_be_read(config: Config) -> None:
    done = subprocess.run([sys.executable, "-c", _WITHOUT_PANDAS], cwd=config.path.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


def test_a_run_that_has_started_is_alone_until_it_says_so(config: Config) -> None:
    with started(config, Options()) as start:
        with pytest.raises(LockedError), started(config, Options()):
            pass
        start.alone.close()
        with started(config, Options()):
            pass


def test_a_run_that_could_not_start_leaves_no_lock(config: Config) -> None:
    users = config.path.parent / "users.db"
    users.rename(users.with_suffix(".away"))
    with pytest.raises(DirectoryError), started(config, Options()) as start:
        next(start.directory.frames())
    users.with_suffix(".away").rename(users)
    with started(config, Options()):
        pass


def test_what_is_read_ahead_is_given_up_with_the_run(config: Config) -> None:
    with started(config, Options()) as start:
        pass
    users = sqlite3.connect(config.path.parent / "users.db", timeout=0)
    users.execute("DROP TABLE users")  # nobody holds a lock on the file
    users.close()
    with pytest.raises(DirectoryError):
        next(start.directory.frames())


def test_a_run_that_another_host_has_done_since_records_nothing_and_gives_its_lock_back(config: Config) -> None:
    from migrate.errors import DoneAlreadyError
    from migrate.run.job import run

    now, earlier = datetime(2024, 1, 2, 6, tzinfo=UTC), datetime(2024, 1, 2, 5, 50, tzinfo=UTC)
    with started(config, Options(as_of=now, unless_since=earlier)):
        pass
    run(config, Options(as_of=now))
    for since in (earlier, now):
        with pytest.raises(DoneAlreadyError, match=r"run r00001 of sms began at 2024-01-02 06:00:00 UTC"):
            run(config, Options(as_of=now, unless_since=since))
    with started(config, Options(as_of=now, unless_since=datetime(2024, 1, 2, 6, 1, tzinfo=UTC))):
        pass


@pytest.mark.parametrize("overtaken", [False, True])
def test_a_read_that_began_while_another_run_was_reading_begins_again(
    config: Config, monkeypatch: pytest.MonkeyPatch, overtaken: bool
) -> None:
    """Else the later run could record an earlier state of the directory, and confirm changes that were undone meanwhile."""
    from migrate.ledger.lock import RunLock
    from migrate.run.job import run

    now, begun = datetime(2024, 1, 2, 6, tzinfo=UTC), SqlDirectory.begun
    reads: list[SqlDirectory] = []
    acquire = RunLock.acquire

    def slowly(*arguments: Any) -> Any:
        monkeypatch.setattr(RunLock, "acquire", acquire)
        if overtaken:
            with closing(sqlite3.connect(config.path.parent / "users.db")) as users, users:
                users.execute("UPDATE users SET email = 'new@example.com'")
            run(config, Options(as_of=now))
            reads.clear()
        return acquire(*arguments)

    run(config, Options(as_of=now - timedelta(days=1)))
    monkeypatch.setattr(SqlDirectory, "begun", lambda self: (reads.append(self), begun(self))[1])
    monkeypatch.setattr(RunLock, "acquire", slowly)
    with started(config, Options(as_of=now)) as start:
        emails = pd.concat(start.directory.frames())["email"].unique().tolist()
    assert len(reads) == 1
    assert (emails == ["new@example.com"]) == overtaken
