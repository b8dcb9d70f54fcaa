"""What a delivery has begun with and comes to late, or cannot say any more, is never said all the same, and never left lying."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from delivery.post_office import LIMITED, TAKEN, PostOffice, delivered, queue, states
from ledger.scenes import CUTOFF, MINUTE, NOW, Scene, confirmation, queue_row
from mail.post import MARIA
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_none

from migrate.delivery import RateLimiter, SendTimes, Shutdown
from migrate.delivery.batcher import Batcher
from migrate.delivery.circuit_breaker import CircuitBreaker
from migrate.delivery.sender import Sender
from migrate.errors import ConfigError, LedgerError, MailServerError
from migrate.mail.compose import Composer
from migrate.mail.letter import Letter
from migrate.mail.rates import Rates
from migrate.mail.transport import Receipt
from migrate.outbox.claims import Claims, Settlement
from migrate.outbox.rates import sent_lately

SERVER = "mail.example.com:587"
CHANGED = replace(MARIA, change="authenticator_enabled", methods=("totp",), had=("sms",), seen_at=NOW)


class Clock:
    """Stands still unless it is told to go on."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def limiter(scene: Scene, *rates: str, clock: Clock | None = None) -> RateLimiter:
    return RateLimiter(scene.ledger, SERVER, Rates.of(rates), clock or Clock())


def counted(scene: Scene, now: datetime = NOW) -> dict[datetime, int]:
    with scene.ledger.read() as connection:
        return dict(sent_lately(connection, SERVER, now))


@pytest.fixture
def many_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the ledger were slow and the mail server fast."""
    monkeypatch.setattr(Sender, "_wanted", lambda self, at_once: at_once)


@pytest.mark.usefixtures("many_in_hand")
def test_a_letter_whose_lease_ended_while_it_was_in_hand_is_not_said(scene: Scene, composer: Composer) -> None:
    """A machine that slept: somebody else may have decided on the letter meanwhile."""
    scene.queue(*(queue_row(f"u{n}", facts=MARIA.to_json()) for n in range(4)), confirmation("c", facts=CHANGED.to_json()))
    clock = Clock()

    def answer(letter: Letter) -> Receipt:
        if letter.to.startswith("u0"):
            clock.now += 20 * MINUTE
            swept = scene.worker("another").sweep(clock.now)
            assert len(swept.uncertain) == 4
        return TAKEN

    office = PostOffice(answer)
    office.at_once = 4
    delivered(scene, composer, office, clock=clock)
    # What became of the confirmation was not written down yet: it goes at least once. What was in hand goes at most once: not at all.
    assert Counter(office.sent) == Counter([*["c@example.com"] * 2, "u0@example.com", "u3@example.com"])
    assert states(scene) == {"sent": 2, "uncertain": 3}


@pytest.mark.usefixtures("many_in_hand")
def test_a_letter_that_comes_past_its_end_in_hand_is_withdrawn(scene: Scene, composer: Composer) -> None:
    queue(scene, 4)
    clock = Clock(CUTOFF - MINUTE)

    def answer(_: Letter) -> Receipt:
        clock.now = CUTOFF
        return TAKEN

    office = PostOffice(answer)
    office.at_once = 8
    delivered(scene, composer, office, clock=clock)
    assert office.sent == ["u000@example.com"]
    assert states(scene) == {"sent": 1, "withdrawn": 3}
    assert {row.reason for row in scene.letters().values()} == {None, "past_cutoff"}


def test_a_confirmation_begun_with_twice_is_given_back_to_the_day_twice(scene: Scene) -> None:
    """Its lease ended at the hands of the same batcher, and so it was queued again by itself."""
    scene.queue(confirmation("c"))
    clock = Clock()
    day = limiter(scene, "1000/s", "9/day", clock=clock)
    batcher = Batcher(scene.worker(), clock, limiter=day)
    first, second = batcher.place(), batcher.place()
    first.wants = 1
    batcher.fill(first)
    clock.now += 6 * MINUTE
    batcher.sweep()
    second.wants = 1
    batcher.fill(second)
    assert first.hand[0].letter_id == second.hand[0].letter_id
    first.wants = second.wants = 0
    batcher.settle(second, Settlement("released"))
    batcher.settle(first, Settlement("temporary"))
    batcher.close()
    day.close()
    assert counted(scene, clock.now) == {}


def test_who_leaves_the_desk_leaves_nothing_begun_with_to_those_who_wait(scene: Scene) -> None:
    queue(scene, 8)
    day = limiter(scene, "1000/s", "100/day")
    batcher = Batcher(scene.worker(), lambda: NOW, limiter=day)
    gone, waits = batcher.place(), batcher.place()
    gone.wants = 8
    batcher.fill(gone)
    gone.wants = 0
    while gone.hand:
        batcher.settle(gone, Settlement("released"))
    batcher.flush()
    batcher.leave(gone)
    assert (states(scene), waits.hand) == ({"queued": 8}, [])


def test_what_is_begun_with_after_long_tries_at_the_ledger_is_looked_at_as_it_is_then(scene: Scene) -> None:
    queue(scene, 2)
    scene.queue(confirmation("c"))
    clock = Clock()

    class Busy(Claims):
        def exchange(self, *arguments: object, **options: object) -> object:  # type: ignore[override]
            if clock.now == NOW:
                clock.now += 9 * MINUTE
                raise LedgerError("the ledger is busy.")
            return super().exchange(*arguments, **options)  # type: ignore[arg-type]

    again = Retrying(retry=retry_if_exception_type(LedgerError), stop=stop_after_attempt(3), wait=wait_none(), reraise=True)
    claims = Busy(scene.ledger, scene.campaign_id, "w")
    batcher = Batcher(claims, clock, times=SendTimes(stale_at=NOW + MINUTE), retrying=again)
    mine = batcher.place()
    mine.wants = 2
    batcher.fill(mine)
    assert [each.kind for each in mine.hand] == ["change_confirmation"]
    assert mine.hand[0].held_until == clock.now + claims.lease


@pytest.mark.usefixtures("many_in_hand")
def test_letters_that_only_this_delivery_holds_wait_for_the_day_too(scene: Scene, composer: Composer) -> None:
    queue(scene, 8)
    start, began = NOW.replace(microsecond=0), time.monotonic()

    def clock() -> datetime:
        """There is room again in a second or two."""
        return start + timedelta(seconds=58.5 + time.monotonic() - began)

    earlier = limiter(scene, "1000/s", "6/day", clock=Clock(start - timedelta(days=1)))
    assert earlier.count(2).letters == 2
    earlier.close()
    office = PostOffice()
    office.at_once = 4
    day = RateLimiter(scene.ledger, SERVER, Rates.of(["1000/s", "6/day"]), day_clock=clock)
    done = delivered(scene, composer, office, clock=clock, limiter=day)
    assert done.sent == 6
    assert sum(counted(scene, clock()).values()) == 6


def test_what_a_limited_connection_leaves_behind_goes_over_another_one(
    scene: Scene, composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one has found nothing left meanwhile, and is about to end."""
    queue(scene, 2)
    leaves, closed = threading.Event(), threading.Event()
    leave = CircuitBreaker.leave

    def late(self: CircuitBreaker) -> None:
        leaves.set()
        closed.wait(5)
        leave(self)

    monkeypatch.setattr(CircuitBreaker, "leave", late)

    class Narrow(PostOffice):
        @contextmanager
        def connect(self) -> Iterator[PostOffice]:
            with self.turn:
                self.connections += 1
                number = self.connections
            yield PostOffice(lambda _: self.say(number))
            if number == 2:
                closed.set()

        def say(self, number: int) -> Receipt:
            if number == 2:
                leaves.wait(5)
                return LIMITED
            return TAKEN

    office = Narrow()
    done = delivered(scene, composer, office, connections=2)
    assert (done.sent, done.stopped, states(scene)) == (2, None, {"sent": 2})


def test_a_lost_connection_is_an_error_if_the_others_had_closed_before(scene: Scene, composer: Composer) -> None:
    queue(scene, 9)
    closed = threading.Event()

    class Narrow(PostOffice):
        @contextmanager
        def connect(self) -> Iterator[PostOffice]:
            with self.turn:
                self.connections += 1
                number = self.connections
            if number > 2:
                raise MailServerError("the mail server has gone.")
            yield PostOffice(lambda _: self.say(number))
            closed.set()

        def say(self, number: int) -> Receipt:
            if number == 2:
                return LIMITED
            closed.wait(5)
            raise MailServerError("the mail server has gone.")

    done = delivered(scene, composer, Narrow(), connections=2)
    assert (done.sent, states(scene)) == (0, {"queued": 9})
    assert "has gone" in str(done.stopped)


def test_what_became_of_the_last_letters_is_written_down_before_the_goodbye(scene: Scene, composer: Composer) -> None:
    queue(scene, 3)
    seen: list[dict[str, int]] = []

    class Polite(PostOffice):
        @contextmanager
        def connect(self) -> Iterator[PostOffice]:
            yield self
            seen.append(states(scene))

    stop = Shutdown()

    def answer(letter: Letter) -> Receipt:
        if letter.to.startswith("u001"):
            stop.ask()
        return TAKEN

    delivered(scene, composer, Polite(answer), stop=stop)
    assert seen == [{"sent": 2, "queued": 1}]


def test_a_token_that_cannot_be_had_for_our_own_configuration_costs_no_letter(scene: Scene, composer: Composer) -> None:
    """The file with the platform's token has gone in mid-delivery: nothing was said of the letter in hand."""
    queue(scene, 3)

    def answer(letter: Letter) -> Receipt:
        if letter.to.startswith("u001"):
            raise ConfigError("token cannot be read.", where="[mail.smtp.oauth] federated_token_file")
        return TAKEN

    with pytest.raises(ConfigError):
        delivered(scene, composer, PostOffice(answer))
    assert states(scene) == {"sent": 1, "queued": 2}


def test_very_many_letters_past_their_end_hold_up_nobody(scene: Scene, composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migrate.outbox.claims.BATCH", 5)
    late = [queue_row(f"l{n:02}", ends=NOW - MINUTE, facts=MARIA.to_json()) for n in range(20)]
    scene.queue(*late, queue_row("u", last_told_at=NOW - MINUTE, facts=MARIA.to_json()))
    office = PostOffice()
    assert delivered(scene, composer, office).sent == 1
    assert office.sent == ["u@example.com"]


def test_a_letter_counts_in_the_minute_in_which_it_went(scene: Scene, composer: Composer) -> None:
    """It was counted when it was begun with; a slow server took it minutes later, and counts its own day from then on."""
    queue(scene, 2)
    clock = Clock(NOW.replace(second=0, microsecond=0))
    start = clock.now

    def answer(_: Letter) -> Receipt:
        clock.now += 3 * MINUTE
        return TAKEN

    day = limiter(scene, "1000/s", "100/day", clock=clock)
    assert delivered(scene, composer, PostOffice(answer), clock=clock, limiter=day).sent == 2
    assert counted(scene, clock.now) == {start + 3 * MINUTE: 1, start + 6 * MINUTE: 1}
