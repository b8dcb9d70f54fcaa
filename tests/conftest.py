"""What holds for every test: the network ends at this machine, and nothing of the developer's own environment leaks in."""

from __future__ import annotations

import gc
import ipaddress
import os
import secrets
import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import hypothesis
import pytest
import sqlalchemy as sa
from hypothesis import is_hypothesis_test

from migrate.ledger import revisions
from migrate.ledger.schema import identity, metadata
from migrate.mail.compose import Composer
from migrate.mail.letter import Letter
from migrate.mail.sample import Sample

_SELDOM: Final = (20_000, 10, 10)
"""The thresholds of Python's collector, for `gc.set_threshold`: it looks less often than by default."""

pytest_plugins = ["peers", "mail_peers", "privacyidea_server", "spreadsheet", "disks", "without_cache"]

# The same examples every time, so that a test that failed fails again and one that passed passes; and few of them, since more of the same
# ones find nothing tomorrow that they did not find today. `make soak` draws many new ones.
hypothesis.settings.register_profile("same", derandomize=True, max_examples=25, database=None, deadline=None)
hypothesis.settings.register_profile("new", derandomize=False, max_examples=500, print_blob=True, deadline=None)
hypothesis.settings.load_profile("new" if os.environ.get("MIGRATE_NEW_EXAMPLES") else "same")


@pytest.hookimpl(optionalhook=True)  # of xdist
def pytest_xdist_auto_num_workers() -> int:
    """One process more than processors: many tests wait for a server, a lease or a clock. The Makefile sets the most."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever draws examples is a `property`. The file that takes longest comes first: as the last one it kept a single process busy for a
    minute, with nothing left for the others."""
    items.sort(key=lambda item: item.path.name != "test_recipes.py")
    for item in items:
        if is_hypothesis_test(getattr(item, "obj", None)):
            item.add_marker("property")


def _stays_here(family: int, address: Any) -> bool:
    if family == getattr(socket, "AF_UNIX", None):
        return True
    host = str(address[0])
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket to anywhere but loopback is a test's mistake, and says so."""
    for name in ("connect", "connect_ex"):
        real = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: Any, real: Any = real) -> Any:
            if not _stays_here(self.family, address):
                pytest.fail(f"this test tried to reach {address!r}; tests stay on loopback")
            return real(self, address)

        monkeypatch.setattr(socket.socket, name, guarded)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MIGRATE_CONFIG", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True, scope="session")
def _a_hangup_is_not_ignored() -> None:
    """Under nohup it is, and every command that a test starts would ignore it too."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True, scope="session")
def _samples_are_composed_once() -> Iterator[None]:
    """Composers whose digests are equal make equal letters of equal samples: those of `migrate check`, which took a sixth of the time of
    tests/journeys/test_rejections.py, are composed once in a process."""
    made: dict[tuple[str, str, Sample], Letter] = {}
    compose = Composer._of_sample

    def once(self: Composer, kind: str, sample: Sample) -> Letter:
        key = (self.digest, kind, sample)
        if key not in made:
            made[key] = compose(self, kind, sample)
        return made[key]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Composer, "_of_sample", once)
        yield


@pytest.fixture(autouse=True, scope="session")
def _migrations_make_a_sqlite_ledger_once() -> Iterator[None]:
    """In a process they fill the first empty file; the next ones get the same tables by the statements that SQLite kept of it, and the same
    two rows. Most journeys begin with a new ledger, and the migrations took a twentieth of their time."""
    kept: list[str] = []
    upgrade = revisions.upgrade
    there = sa.text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid")

    def once(connection: sa.Connection) -> None:
        if connection.dialect.name != "sqlite" or connection.execute(there).first():
            upgrade(connection)
        elif kept:
            for statement in kept:
                connection.exec_driver_sql(statement)
            connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (revisions.HEAD,))
            connection.execute(sa.insert(identity).values(ledger_id=secrets.token_hex(16), since=datetime.now(UTC), runs_after=0))
        else:
            upgrade(connection)
            made = dict(connection.execute(there).all())
            kept.extend(made.values())
            filled = {name for name in made.keys() & metadata.tables.keys() if connection.execute(sa.select(metadata.tables[name])).first()}
            assert filled == {"identity"}, "a migration fills another table"

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(revisions, "upgrade", once)
        yield


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """What is there before the first test stays to the end, so the collector need not look at it again and again. That took a sixth of the
    time of tests/journeys/test_waves.py."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_SELDOM)


@pytest.fixture(autouse=True)
def _garbage_is_collected(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`migrate run` freezes what is there, for its process ends with it; one of tests goes on, and would keep every cycle for good."""
    monkeypatch.setattr(gc, "freeze", lambda: None)
    yield
    gc.set_threshold(*_SELDOM)
