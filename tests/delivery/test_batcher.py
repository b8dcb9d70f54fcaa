from __future__ import annotations

import sqlite3
import threading

import pytest
from delivery.post_office import queue, states
from ledger.scenes import CUTOFF, MINUTE, NOW, Scene
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from migrate.delivery import SendTimes
from migrate.delivery.batcher import Batcher
from migrate.errors import LedgerError
from migrate.ledger.engine import Ledger, LedgerSettings
from migrate.outbox import withdraw_reminders
from migrate.outbox.claims import Settlement

SENT = Settlement("sent")


def test_senders_at_one_desk_never_share_a_letter(scene: Scene) -> None:
    queue(scene, 80)
    batcher = Batcher(scene.worker(), lambda: NOW)
    taken: list[int] = []

    def work() -> None:
        mine = batcher.place()
        mine.wants = 1
        batcher.fill(mine)
        while mine.hand:
            assert len(mine.hand) == 1
            taken.append(batcher.settle(mine, SENT).letter_id)
            batcher.fill(mine)
        batcher.flush()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 80
    assert states(scene) == {"sent": 80}


def test_no_more_letters_are_sending_than_all_senders_make_room_for(scene: Scene) -> None:
    queue(scene, 120)
    batcher = Batcher(scene.worker(), lambda: NOW)
    places = [batcher.place() for _ in range(3)]
    for place in places:
        place.wants = 8
    most = 0
    batcher.fill(places[0])
    while places[0].hand:
        for place in places:
            most = max(most, states(scene).get("sending", 0))
            if place.hand:
                batcher.settle(place, SENT)
            batcher.fill(place)
    assert most == 3 * 8
    batcher.close()
    assert states(scene) == {"sent": 120}


def test_what_is_claimed_ahead_is_withdrawn_under_the_hands_of_the_desk(scene: Scene) -> None:
    """Once it is claimed a reminder can become pointless still; what is with the batcher is being said."""
    queue(scene, 60)
    batcher = Batcher(scene.worker(), lambda: NOW)
    mine = batcher.place()
    mine.wants = 8
    batcher.fill(mine)
    assert states(scene) == {"sending": 8, "claimed": 28, "queued": 24}
    with scene.ledger.begin() as connection:
        withdraw_reminders(connection, scene.campaign_id, [f"u{n:03}@example.com" for n in range(60)], NOW, actor="jo", reason="paused")
    assert states(scene) == {"sending": 8, "withdrawn": 52}
    said = 0
    while mine.hand:
        batcher.settle(mine, SENT)
        said += 1
        batcher.fill(mine)
    batcher.close()
    assert (said, states(scene)) == (8, {"sent": 8, "withdrawn": 52})


def test_what_is_claimed_ahead_and_comes_past_its_end_or_outside_the_hours_is_not_said(scene: Scene) -> None:
    queue(scene, 60)
    now = [NOW]
    batcher = Batcher(scene.worker(), lambda: now[0], times=SendTimes(stale_at=NOW + MINUTE))
    mine = batcher.place()
    mine.wants = 8
    batcher.fill(mine)
    now[0] = NOW + MINUTE
    while mine.hand:
        batcher.settle(mine, SENT)
        batcher.fill(mine)
    assert states(scene) == {"sent": 8, "queued": 52}
    late = Batcher(scene.worker(), lambda: now[0])
    mine = late.place()
    mine.wants = 8
    late.fill(mine)
    now[0] = CUTOFF
    while mine.hand:
        late.settle(mine, SENT)
        late.fill(mine)
    assert states(scene) == {"sent": 16, "withdrawn": 44}


def test_what_is_known_of_a_letter_is_written_down_as_soon_as_the_ledger_can_be(scene: Scene) -> None:
    """Another program, a run that records, holds the ledger for longer than SQLite waits."""
    queue(scene, 1)
    path = scene.ledger.engine.url.database
    assert path
    with Ledger.open(LedgerSettings(url=f"sqlite:///{path}"), create=False) as own:
        impatient = Ledger(own.apart(NOW - NOW), own.described)
        batcher = Batcher(Scene(impatient, scene.campaign_id, scene.run_seq).worker(), lambda: NOW)
        mine = batcher.place()
        mine.wants = 1
        batcher.fill(mine)
        batcher.settle(mine, SENT)
        recording = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        recording.execute("BEGIN IMMEDIATE")
        threading.Timer(0.5, lambda: (recording.execute("COMMIT"), recording.close())).start()
        batcher.fill(mine)
        assert mine.hand == []
        impatient.close()
    assert states(scene) == {"sent": 1}


def test_a_ledger_that_stays_closed_ends_the_waiting_with_its_reason(scene: Scene) -> None:
    queue(scene, 1)
    twice = Retrying(retry=retry_if_exception_type(LedgerError), stop=stop_after_attempt(2), wait=wait_fixed(0), reraise=True)
    closed = Ledger(scene.ledger.engine, "the ledger", readonly=True)
    batcher = Batcher(Scene(closed, scene.campaign_id, scene.run_seq).worker(), lambda: NOW, retrying=twice)
    mine = batcher.place()
    mine.wants = 1
    with pytest.raises(LedgerError, match="read-only"):
        batcher.fill(mine)
