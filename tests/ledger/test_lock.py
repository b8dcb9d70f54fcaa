from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ledger.scenes import MINUTE, NOW

from migrate.errors import LockedError
from migrate.ledger import lock as lock_module
from migrate.ledger import schema
from migrate.ledger.engine import Ledger, LedgerSettings
from migrate.ledger.lock import RunLock

LEASE = 2 * MINUTE


class Clock:
    """A clock that only tests move."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self, _: Any) -> Any:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _acquire(ledger: Ledger, clock: Clock, owner: str = "first", **other: Any) -> RunLock:
    return RunLock.acquire(
        ledger, **{"campaign": "sms", "purpose": "run", "owner": owner, "lease": LEASE, "clock": clock, "beat": False} | other
    )


def _rows(ledger: Ledger) -> list[Any]:
    with ledger.read() as connection:
        return list(connection.execute(sa.select(schema.run_lock)))


def test_a_second_run_is_refused_at_once_and_told_who_is_at_work(ledger: Ledger, clock: Clock) -> None:
    with _acquire(ledger, clock, "first"):
        began = time.monotonic()
        with pytest.raises(
            LockedError, match=r"another run of sms is at work: first on \S+, process \d+, since 2024-01-02 09:00:00 UTC"
        ) as raised:
            _acquire(ledger, clock, "second")
        assert time.monotonic() - began < 2
        assert "its lease lasts until 09:02:00 UTC" in str(raised.value)
        assert raised.value.exit_code == 75


def test_a_released_lock_is_free(ledger: Ledger, clock: Clock) -> None:
    with _acquire(ledger, clock, "first"):
        assert [row.owner for row in _rows(ledger)] == ["first"]
    assert _rows(ledger) == []
    _acquire(ledger, clock, "second").release()


def test_campaigns_and_purposes_do_not_stand_in_each_others_way(ledger: Ledger, clock: Clock) -> None:
    with _acquire(ledger, clock, "a"), _acquire(ledger, clock, "b", campaign="other"), _acquire(ledger, clock, "c", purpose="report"):
        assert len(_rows(ledger)) == 3


def test_a_lease_that_ended_is_taken_over(ledger: Ledger, clock: Clock) -> None:
    _acquire(ledger, clock, "died")
    clock.now += LEASE
    with _acquire(ledger, clock, "next"):
        (row,) = _rows(ledger)
        assert (row.owner, row.acquired_at, row.lease_until) == ("next", clock.now, clock.now + LEASE)


def test_a_renewed_lease_is_not_taken_over(ledger: Ledger, clock: Clock) -> None:
    lock = _acquire(ledger, clock, "slow")
    clock.now += LEASE - MINUTE
    assert lock.renew()
    clock.now += LEASE - MINUTE
    with pytest.raises(LockedError):
        _acquire(ledger, clock, "next")


def test_whoever_lost_the_lock_cannot_commit_and_does_not_release_the_new_one(ledger: Ledger, clock: Clock) -> None:
    slept = _acquire(ledger, clock, "slept")
    clock.now += LEASE
    woke = _acquire(ledger, clock, "took over")
    with pytest.raises(LockedError, match="outlived its lease"), ledger.begin() as connection:
        connection.execute(sa.insert(schema.campaign).values(name="x", secret="s", created_at=NOW))
        slept.still_mine(connection)
    assert not slept.renew()
    slept.release()
    assert [row.owner for row in _rows(ledger)] == ["took over"]
    with ledger.read() as connection:
        assert connection.execute(sa.select(schema.campaign)).first() is None
    woke.release()


def test_proving_the_lock_renews_it_even_if_the_lease_ended_meanwhile(ledger: Ledger, clock: Clock) -> None:
    lock = _acquire(ledger, clock, "slow")
    with ledger.begin() as connection:
        clock.now += LEASE + MINUTE
        lock.still_mine(connection)
    (row,) = _rows(ledger)
    assert row.lease_until == clock.now + LEASE
    with pytest.raises(LockedError):
        _acquire(ledger, clock, "next")


def test_of_many_that_take_over_at_once_one_gets_it(ledger: Ledger, clock: Clock) -> None:
    _acquire(ledger, clock, "died")
    clock.now += LEASE
    got: list[str] = []
    barrier = threading.Barrier(5)

    def take(owner: str) -> None:
        barrier.wait(30)
        try:
            _acquire(ledger, clock, owner)
        except LockedError:
            return
        got.append(owner)

    threads = [threading.Thread(target=take, args=(f"w{i}",)) for i in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(got) == 1
    assert [row.owner for row in _rows(ledger)] == got


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


def test_a_ledger_that_somebody_is_writing_counts_as_locked(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "PATIENCE", timedelta(milliseconds=50))
    path = tmp_path / "migrate.db"
    with Ledger.open(LedgerSettings(url=f"sqlite:///{path}"), create=True) as ledger, _writing(path):
        with pytest.raises(LockedError, match=r"another program is writing to .*migrate\.db and may be a run of sms"):
            _acquire(ledger, clock)


def test_whoever_records_is_named_while_nobody_else_can_write(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "migrate.db"
    with Ledger.open(LedgerSettings(url=f"sqlite:///{path}"), create=True) as ledger:
        _acquire(ledger, clock, "recording")
        with _writing(path), pytest.raises(LockedError, match="at work: recording on"):
            _acquire(ledger, clock, "second")


def _wait_for(met: Any) -> None:
    until = time.monotonic() + 20
    while not met():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_the_heart_beats_until_the_release(ledger: Ledger, clock: Clock) -> None:
    lock = _acquire(ledger, clock, lease=timedelta(milliseconds=80), beat=True)
    clock.now += MINUTE
    _wait_for(lambda: _rows(ledger)[0].lease_until > NOW + MINUTE)
    lock.release()
    assert _rows(ledger) == []
    assert "run-lock" not in {thread.name for thread in threading.enumerate()}


def test_the_heart_goes_on_after_a_time_in_which_nobody_could_write(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "PATIENCE", timedelta(milliseconds=10))
    path = tmp_path / "migrate.db"
    with Ledger.open(LedgerSettings(url=f"sqlite:///{path}"), create=True) as ledger:
        lock = _acquire(ledger, clock, lease=timedelta(milliseconds=80), beat=True)
        with _writing(path):
            clock.now += MINUTE
            time.sleep(0.2)
            assert _rows(ledger)[0].lease_until < clock.now
        _wait_for(lambda: _rows(ledger)[0].lease_until > clock.now)
        lock.release()
