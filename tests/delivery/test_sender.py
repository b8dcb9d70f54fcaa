from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest
from delivery.post_office import AT_ONCE, LATER, NEVER, TAKEN, PostOffice, delivered, in_turn, queue, states
from ledger.scenes import NOW, Scene, confirmation, queue_row
from mail.post import MARIA

from migrate.delivery import DeliverySettings, RateLimiter, SendTimes, Shutdown
from migrate.delivery.batcher import Batcher
from migrate.delivery.circuit_breaker import CircuitBreaker
from migrate.delivery.composed_ahead import ComposedAhead
from migrate.delivery.cpu_affinity import CpuAffinity
from migrate.delivery.sender import Sender, Shared
from migrate.errors import MailServerError
from migrate.mail.compose import Composer
from migrate.mail.letter import Letter
from migrate.mail.rates import Rates
from migrate.mail.transport import Receipt


class Announcing(PostOffice):
    """Takes many letters in hand; `announced` says what was announced with each."""

    at_once = 8

    def __init__(self, *receipts: Receipt) -> None:
        super().__init__(in_turn(*receipts))
        self.announced: list[str | None] = []

    def send(self, letter: Letter, then: Letter | None = None) -> Receipt:
        self.announced.append(then.to if then else None)
        return super().send(letter, then)


@pytest.fixture
def many_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the ledger were slow and the mail server fast."""
    monkeypatch.setattr(Sender, "_wanted", lambda self, at_once: at_once)


def sender(scene: Scene, composer: Composer, office: PostOffice, limiter: RateLimiter | None = None) -> Sender:
    batcher = Batcher(scene.worker(), lambda: NOW)
    return Sender(
        Shared(
            claims=scene.worker(), batcher=batcher, composer=composer, ahead=ComposedAhead(composer, lambda: NOW),
            transport=office, limiter=limiter, clock=lambda: NOW, stop=Shutdown(), breaker=CircuitBreaker(),
            watch=lambda _: None, retrying=AT_ONCE, affinity=CpuAffinity(), times=SendTimes(), settings=DeliverySettings(bounce_days=90),
        )
    )  # fmt: skip


@pytest.mark.usefixtures("many_in_hand")
def test_each_letter_is_sent_with_the_announcement_of_the_next_one_in_hand(scene: Scene, composer: Composer) -> None:
    queue(scene, 10)
    office = Announcing()
    assert delivered(scene, composer, office).sent == 10
    addresses = [f"u{n:03}@example.com" for n in range(10)]
    assert office.sent == addresses
    assert office.announced == [*addresses[1:], None]


@pytest.mark.usefixtures("many_in_hand")
def test_a_letter_that_cannot_be_composed_is_not_announced_and_holds_up_nobody(scene: Scene, composer: Composer) -> None:
    rows = [queue_row(f"u{n}", facts=MARIA.to_json()) for n in range(4)]
    rows[1]["address"] = "u1@" + "ö" * 80 + ".example"
    scene.queue(*rows)
    office = Announcing()
    done = delivered(scene, composer, office)
    assert (done.sent, done.postponed) == (3, 1)
    assert office.announced == [None, "u3@example.com", None]


@pytest.mark.usefixtures("many_in_hand")
def test_who_is_asked_to_stop_gives_back_what_is_in_hand_and_was_only_announced(scene: Scene, composer: Composer) -> None:
    queue(scene, 20)
    stop = Shutdown()
    office = Announcing()
    answer = office.answer
    office.answer = lambda letter: (stop.ask() if letter.to.startswith("u002") else None) or answer(letter)
    assert delivered(scene, composer, office, stop=stop).sent == 3
    assert office.announced[-1] == "u003@example.com"
    assert states(scene) == {"sent": 3, "queued": 17}
    assert {row.attempts for row in scene.letters().values()} == {0, 1}


@pytest.mark.usefixtures("many_in_hand")
def test_what_was_announced_to_a_domain_that_is_left_alone_meanwhile_waits(scene: Scene, composer: Composer) -> None:
    addresses = [*(f"a{n}@slow.example" for n in range(5)), "b@example.com", "c@slow.example", "d@slow.example"]
    scene.queue(*(queue_row(address, address=address, facts=MARIA.to_json()) for address in addresses))
    office = Announcing(*[LATER] * 5)
    done = delivered(scene, composer, office)
    assert office.sent == addresses[:6]
    assert office.announced[5] == "c@slow.example"
    assert (done.postponed, done.sent) == (5, 1)


def test_one_letter_is_begun_with_unless_the_ledger_takes_nearly_as_long_as_the_server(
    scene: Scene, composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    this = sender(scene, composer, Announcing())
    assert this._wanted(16) == 1  # nothing is known yet
    for ledger, server, letters in ((0.002, 0.1, 1), (0.002, 0.0045, 1), (0.002, 0.0035, 2), (0.002, 0.0018, 5), (0.02, 0.0002, 16)):
        monkeypatch.setattr(Batcher, "seconds", ledger)
        this._seconds_a_letter = server
        assert this._wanted(16) == letters
        assert this._wanted(1) == 1


def test_what_was_claimed_and_not_begun_with_is_queued_again_when_the_delivery_ends(scene: Scene, composer: Composer) -> None:
    """Not by a kill: the server goes away, while letters are in hand, with the batcher and claimed ahead."""
    queue(scene, 80)
    office = Announcing()
    seen: list[dict[str, int]] = []

    def answer(letter: Letter) -> Receipt:
        if letter.to.startswith("u020"):
            seen.append(states(scene))
            raise MailServerError("the mail server has gone.")
        return TAKEN

    office.answer = answer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sender, "_wanted", lambda self, at_once: at_once)
        done = delivered(scene, composer, office)
    assert (done.sent, str(done.stopped)) == (20, str(MailServerError("the mail server has gone.")))
    assert seen[0]["claimed"] > 0
    assert seen[0]["sending"] <= office.at_once
    assert states(scene) == {"sent": 20, "queued": 60}


def test_no_more_letters_are_taken_in_hand_than_there_are_slots_that_have_come(scene: Scene, composer: Composer) -> None:
    now = [NOW]
    limiter = RateLimiter(scene.ledger, "mail.example:25", Rates.of(["10/s"]), clock=lambda: now[0])
    this = sender(scene, composer, Announcing(), limiter)
    assert this._due(limiter, 16) == 1
    now[0] = NOW + timedelta(seconds=0.35)
    assert this._due(limiter, 16) == 4
    assert this._due(limiter, 2) == 2
    assert len(this._slots) == 5


def test_a_letter_is_never_sent_before_its_slot_however_many_are_in_hand(
    scene: Scene, composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(scene, 12)
    now = [NOW]

    def wait(_: Shutdown, seconds: float) -> bool:
        now[0] += timedelta(seconds=seconds)
        return False

    monkeypatch.setattr(Shutdown, "wait", wait)
    monkeypatch.setattr(Sender, "_wanted", lambda self, at_once: at_once)
    sent_at: list[datetime] = []
    office = Announcing()
    office.answer = lambda _: sent_at.append(now[0]) or TAKEN  # type: ignore[func-returns-value]
    limiter = RateLimiter(scene.ledger, "mail.example:25", Rates.of(["20/s"]), clock=lambda: now[0])
    assert delivered(scene, composer, office, limiter=limiter).sent == 12
    assert all(at >= NOW + n * timedelta(seconds=1 / 20) for n, at in enumerate(sent_at))
    assert sent_at[-1] <= NOW + timedelta(seconds=1)


@pytest.mark.parametrize("answer", [NEVER, LATER])
def test_a_confirmation_that_nobody_could_know_of_is_no_failure_when_it_is_refused_the_second_time(
    answer: Receipt, scene: Scene, composer: Composer
) -> None:
    """The server may have taken it the first time."""
    facts = replace(MARIA, change="sms_removed", had=("sms", "totp"), seen_at=NOW)
    scene.queue(confirmation("u1", facts=facts.to_json()))
    assert delivered(scene, composer, PostOffice(in_turn(Receipt("uncertain", "the connection broke")))).uncertain == 1
    for days in range(0, 36, 3):
        delivered(scene, composer, PostOffice(lambda _: answer), clock=partial(lambda at: at, NOW + timedelta(days=days)))
    assert states(scene) == {"uncertain": 1}
