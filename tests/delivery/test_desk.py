from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from delivery.post_office import queue, states
from ledger.scenes import NOW, Scene
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from migrate.delivery.desk import Desk
from migrate.errors import LedgerError
from migrate.hours import Hours
from migrate.ledger.claims import Settlement
from migrate.ledger.engine import Ledger, LedgerSettings

SENT = Settlement("sent")


def test_senders_at_one_desk_never_share_a_letter(scene: Scene) -> None:
    queue(scene, 80)
    desk = Desk(scene.worker(), lambda: NOW)
    taken: list[int] = []

    def work() -> None:
        hand = desk.trade([], 1)
        while hand:
            assert len(hand) == 1
            taken.append(hand[0].letter_id)
            hand = desk.trade([(hand[0], SENT)], 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 80
    assert states(scene) == {"sent": 80}


def test_what_is_known_of_a_letter_is_written_down_as_soon_as_the_ledger_can_be(scene: Scene) -> None:
    """Another program, a run that records, holds the ledger for longer than SQLite waits."""
    queue(scene, 1)
    path = scene.ledger.engine.url.database
    assert path
    with Ledger.open(LedgerSettings(url=f"sqlite:///{path}"), create=False) as own:
        impatient = Ledger(own.apart(NOW - NOW), own.described)
        desk = Desk(Scene(impatient, scene.campaign_id, scene.run_seq).worker(), lambda: NOW)
        hand = desk.trade([], 1)
        recording = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        recording.execute("BEGIN IMMEDIATE")
        threading.Timer(0.5, lambda: (recording.execute("COMMIT"), recording.close())).start()
        assert desk.trade([(hand[0], SENT)], 1) == []
        impatient.close()
    assert states(scene) == {"sent": 1}


def test_a_ledger_that_stays_closed_ends_the_waiting_with_its_reason(scene: Scene) -> None:
    queue(scene, 1)
    twice = Retrying(retry=retry_if_exception_type(LedgerError), stop=stop_after_attempt(2), wait=wait_fixed(0), reraise=True)
    closed = Ledger(scene.ledger.engine, "the ledger", readonly=True)
    desk = Desk(Scene(closed, scene.campaign_id, scene.run_seq).worker(), lambda: NOW, retrying=twice)
    with pytest.raises(LedgerError, match="read only"):
        desk.trade([], 1)


def test_a_desk_knows_at_every_moment_until_when_the_hours_are_closed_though_the_clock_is_set_back(scene: Scene) -> None:
    hours = Hours(frozenset(range(5)), 8 * 60, 18 * 60, ZoneInfo("UTC"))
    desk = Desk(scene.worker(), lambda: NOW, hours=hours)
    friday = datetime(2024, 1, 5, 7, 59, tzinfo=UTC)
    for minutes in (0, 1, 300, 601, 1, 0, 600, 2 * 24 * 60, 3 * 24 * 60 + 1):
        now = friday + timedelta(minutes=minutes)
        assert desk.ending_by(now) == hours.closed_until(now)
        assert desk.only_confirmations(now) == (not hours.open_at(now))
    stale = Desk(scene.worker(), lambda: NOW, hours=hours, stale_at=friday)
    assert (stale.only_confirmations(friday), stale.ending_by(friday)) == (True, None)
