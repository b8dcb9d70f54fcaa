from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from ledger.scenes import NOW as LATELY
from ledger.scenes import Scene

from migrate.delivery import RateLimiter
from migrate.mail.rates import Rates
from migrate.outbox.rates import DAY, MINUTE, reserve, room_at, sent_lately

NOW = LATELY.replace(second=0, microsecond=0)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
SERVER = "mail.example.com:587"


def limiter(
    scene: Scene, *rates: str, clock: Callable[[], datetime] = lambda: NOW, day_clock: Callable[[], datetime] | None = None
) -> RateLimiter:
    return RateLimiter(scene.ledger, SERVER, Rates.of(rates), clock, day_clock=day_clock)


def counted(scene: Scene, now: datetime = NOW) -> list[tuple[datetime, int]]:
    with scene.ledger.read() as connection:
        return sent_lately(connection, SERVER, now)


def test_slots_lie_as_far_apart_as_the_rate_says(scene: Scene) -> None:
    one = limiter(scene, "10/s")
    slots = [one.take() for _ in range(100)]
    assert slots == [NOW + n * SECOND / 10 for n in range(100)]


def test_of_several_rates_the_slots_keep_the_slowest(scene: Scene) -> None:
    one = limiter(scene, "10/s", "30/min", "3600/h")
    assert [one.take() for _ in range(3)] == [NOW, NOW + 2 * SECOND, NOW + 4 * SECOND]


def test_several_workers_together_keep_one_rate(scene: Scene) -> None:
    taken: list[datetime] = []

    def work(mine: RateLimiter) -> None:
        for _ in range(100):
            slot = mine.take()
            assert slot is not None
            taken.append(slot)

    threads = [threading.Thread(target=work, args=(limiter(scene, "10/s"),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [NOW + n * SECOND / 10 for n in range(400)]


def test_time_in_which_nobody_sent_is_not_made_up_for(scene: Scene) -> None:
    now = NOW
    one = limiter(scene, "10/s", clock=lambda: now)
    for _ in range(5):
        one.take()
    now += 60 * SECOND
    assert one.take() == now


def test_a_slow_rate_reserves_a_slot_at_a_time(scene: Scene) -> None:
    one, other = limiter(scene, "6/h"), limiter(scene, "6/h")
    assert [one.take(), other.take(), one.take()] == [NOW, NOW + 600 * SECOND, NOW + 1200 * SECOND]
    assert one.seconds_until(NOW + 600 * SECOND) == 600
    assert one.seconds_until(NOW - SECOND) == 0


def test_a_clock_that_was_set_back_does_not_stop_the_mail(scene: Scene) -> None:
    reserve(scene.ledger, "m", SECOND, 1, NOW)
    assert reserve(scene.ledger, "m", SECOND, 1, NOW - HOUR) == NOW - HOUR
    assert reserve(scene.ledger, "m", SECOND, 1, NOW - HOUR) == NOW - HOUR + SECOND


def test_another_server_has_a_rate_of_its_own(scene: Scene) -> None:
    reserve(scene.ledger, "m", SECOND, 1000, NOW)
    assert reserve(scene.ledger, "n", SECOND, 1, NOW) == NOW
    assert limiter(scene, "1/day").count(1).letters == 1
    assert RateLimiter(scene.ledger, "n", Rates.of(["1/day"]), lambda: NOW).count(1).letters == 1


def test_several_workers_together_send_no_more_in_a_day_than_its_limit(scene: Scene) -> None:
    given: list[int] = []

    def work(mine: RateLimiter) -> None:
        while letters := mine.count(3).letters:
            given.append(letters)
        mine.close()

    threads = [threading.Thread(target=work, args=(limiter(scene, "100/s", "500/day"),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(given) == 500
    assert sum(letters for _, letters in counted(scene)) == 500


def test_a_day_is_the_last_24_hours_to_the_minute(scene: Scene) -> None:
    now = NOW
    one = limiter(scene, "100/day", clock=lambda: now)
    sent = []
    for minute in range(3 * 24 * 60):
        now = NOW + minute * MINUTE
        sent += [now] * one.count(7).letters
    for start in sent:
        assert sum(start <= at < start + DAY for at in sent) <= 100
    assert len(sent) == 300


def test_when_the_day_has_room_again_is_known_to_the_minute(scene: Scene) -> None:
    now = NOW
    one = limiter(scene, "3/day", clock=lambda: now)
    assert (one.count(2).letters, one.room_at()) == (2, None)
    now += HOUR
    assert one.count(2).letters == 1
    assert one.room_at() == NOW + DAY + MINUTE
    assert one.seconds_until_room() == 23 * 3600 + 60
    now = NOW + DAY + MINUTE
    assert (one.seconds_until_room(), one.count(5).letters) == (0, 2)


def test_what_was_counted_and_did_not_go_is_given_back_to_its_minute(scene: Scene) -> None:
    now = NOW
    one = limiter(scene, "10/s", "1000/day", clock=lambda: now)
    first = one.count(3)
    one.give_back(2, first.minute)
    now += HOUR
    one.count(1)
    one.close()
    assert counted(scene, now) == [(NOW, 1), (now, 1)]


def test_what_a_killed_worker_had_counted_stays_counted(scene: Scene) -> None:
    limiter(scene, "10/s", "1000/day").count(1)
    assert counted(scene) == [(NOW, 5)]


def test_a_small_limit_is_counted_letter_by_letter(scene: Scene) -> None:
    limiter(scene, "1000/s", "40/day").count(1)
    assert counted(scene) == [(NOW, 1)]


def test_without_a_limit_of_a_day_nothing_is_counted(scene: Scene) -> None:
    one = limiter(scene, "10/s")
    assert one.count(7).letters == 7
    one.close()
    assert (counted(scene), one.room_at()) == ([], None)


def test_minutes_older_than_a_day_are_forgotten_but_not_those_of_another_clock(scene: Scene) -> None:
    """A rehearsal of next month leaves what went today in the counts."""
    later = NOW
    real, played = limiter(scene, "9/day"), limiter(scene, "9/day", day_clock=lambda: later)
    real.count(2)
    later += 30 * DAY
    played.count(3)
    played.close()
    assert counted(scene) == [(NOW, 2)]
    assert counted(scene, later) == [(later, 3)]
    limiter(scene, "9/day", clock=lambda: later).count(1)
    assert counted(scene) == []


def test_what_a_clock_that_was_set_back_has_counted_still_counts_for_a_day(scene: Scene) -> None:
    one = limiter(scene, "5/day", clock=lambda: NOW + HOUR)
    assert one.count(5).letters == 5
    assert limiter(scene, "5/day").count(1).letters == 0
    assert limiter(scene, "5/day", clock=lambda: NOW - 2 * DAY).count(1).letters == 1


@pytest.mark.parametrize(("limit", "room"), [(6, None), (5, 0), (4, 0), (3, 1), (1, 1)])
def test_room_comes_with_the_minutes_that_have_to_go(limit: int, room: int | None) -> None:
    sent = [(NOW, 2), (NOW + HOUR, 3)]
    assert room_at(sent, limit) == (None if room is None else sent[room][0] + MINUTE + DAY)
