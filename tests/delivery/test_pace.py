from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from ledger.scenes import NOW, Scene

from migrate.delivery import Pace
from migrate.ledger.pace import reserve

SECOND = timedelta(seconds=1)


def pace(scene: Scene, per_second: float, clock: Callable[[], datetime] = lambda: NOW) -> Pace:
    return Pace(scene.ledger, "mail.example.com:587", per_second, clock)


def test_slots_lie_as_far_apart_as_the_rate_says(scene: Scene) -> None:
    one = pace(scene, 10)
    slots = [one.take() for _ in range(100)]
    assert slots == [NOW + n * SECOND / 10 for n in range(100)]


def test_several_workers_together_keep_one_rate(scene: Scene) -> None:
    taken: list[datetime] = []

    def work(mine: Pace) -> None:
        for _ in range(100):
            taken.append(mine.take())

    threads = [threading.Thread(target=work, args=(pace(scene, 10),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [NOW + n * SECOND / 10 for n in range(400)]


def test_time_in_which_nobody_sent_is_not_made_up_for(scene: Scene) -> None:
    now = NOW
    one = pace(scene, 10, lambda: now)
    for _ in range(5):
        one.take()
    now += 60 * SECOND
    assert one.take() == now


def test_a_slow_rate_reserves_a_slot_at_a_time(scene: Scene) -> None:
    one, other = pace(scene, 1 / 600), pace(scene, 1 / 600)
    assert [one.take(), other.take(), one.take()] == [NOW, NOW + 600 * SECOND, NOW + 1200 * SECOND]
    assert one.seconds_until(NOW + 600 * SECOND) == 600
    assert one.seconds_until(NOW - SECOND) == 0


def test_a_clock_that_was_set_back_does_not_stop_the_mail(scene: Scene) -> None:
    reserve(scene.ledger, "m", SECOND, 1, NOW)
    hour = timedelta(hours=1)
    assert reserve(scene.ledger, "m", SECOND, 1, NOW - hour) == NOW - hour
    assert reserve(scene.ledger, "m", SECOND, 1, NOW - hour) == NOW - hour + SECOND


def test_another_server_has_a_pace_of_its_own(scene: Scene) -> None:
    reserve(scene.ledger, "m", SECOND, 1000, NOW)
    assert reserve(scene.ledger, "n", SECOND, 1, NOW) == NOW
