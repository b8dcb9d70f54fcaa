"""Letters are composed together when an exchange with the ledger brings them, and go out as if each had been composed in its turn."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from delivery.post_office import TAKEN, PostOffice, delivered, queue, states
from ledger.scenes import MINUTE, NOW, Scene, queue_row
from mail.post import MARIA

from migrate.delivery import Shutdown, composed_ahead
from migrate.delivery.batcher import Batcher
from migrate.delivery.composed_ahead import ComposedAhead
from migrate.delivery.sender import Sender
from migrate.ledger import schema
from migrate.mail.compose import Composer
from migrate.mail.letter import Letter
from migrate.mail.transport import Receipt
from migrate.outbox.claims import ClaimedLetter, Settlement

EIGHT = {f"u{n:03}@example.com" for n in range(8)}


@pytest.fixture
def eight_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the ledger were slow and the mail server fast, and this machine fast enough to compose all ahead."""
    monkeypatch.setattr(Sender, "_wanted", lambda self, at_once: 8)
    monkeypatch.setattr(composed_ahead, "_LONGEST", 60)


@pytest.fixture
def composed_for(monkeypatch: pytest.MonkeyPatch, composer: Composer) -> list[str]:
    """The addresses that letters were composed for, in order."""
    seen: list[str] = []
    compose = composer.compose

    def noted(*arguments: Any, **given: Any) -> Letter:
        seen.append(given["to"])
        return compose(*arguments, **given)

    monkeypatch.setattr(composer, "compose", noted)
    return seen


def claimed(scene: Scene, count: int) -> tuple[Batcher, list[ClaimedLetter]]:
    """A batcher, and letters that it has made `sending`."""
    queue(scene, count)
    letters = scene.worker().exchange([], NOW, count).begun
    return Batcher(scene.worker(), lambda: NOW), letters


@pytest.mark.usefixtures("eight_in_hand")
def test_all_letters_of_an_exchange_are_composed_before_the_first_goes_out_and_each_once(
    scene: Scene, composer: Composer, composed_for: list[str]
) -> None:
    queue(scene, 20)
    before: list[set[str]] = []
    office = PostOffice(lambda _: before.append(set(composed_for)) or TAKEN)  # type: ignore[func-returns-value]
    assert delivered(scene, composer, office).sent == 20
    assert before[0] == EIGHT
    assert len(composed_for) == len(set(composed_for)) == 20


@pytest.mark.usefixtures("eight_in_hand")
def test_letters_have_the_same_bytes_as_if_each_had_been_composed_in_its_turn(
    scene: Scene, composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue(scene, 20)
    said: dict[bool, list[bytes]] = {True: [], False: []}
    for ahead in said:
        if not ahead:
            monkeypatch.setattr(composed_ahead, "_LONGEST", -1)
            with scene.ledger.begin() as connection:
                connection.execute(sa.update(schema.letter).values(state="queued"))

        def answer(letter: Letter, whole: list[bytes] = said[ahead]) -> Receipt:
            whole.append(letter.message)
            return TAKEN

        assert delivered(scene, composer, PostOffice(answer)).sent == 20
    assert said[True] == said[False]


@pytest.mark.usefixtures("eight_in_hand")
def test_a_letter_that_waited_for_more_than_a_minute_is_composed_anew(scene: Scene, composer: Composer) -> None:
    """The first letter takes the server 70 seconds, and midnight passes. The second one was announced with it; the third says the new
    date."""
    queue(scene, 3)
    clock = [datetime(2024, 1, 2, 23, 59, 30, tzinfo=NOW.tzinfo)]
    dates: list[str] = []

    def answer(letter: Letter) -> Receipt:
        dates.extend(line for line in letter.message.decode().splitlines() if line.startswith("Date:"))
        clock[0] += timedelta(seconds=70)
        return TAKEN

    assert delivered(scene, composer, PostOffice(answer), clock=lambda: clock[0]).sent == 3
    assert [date[6:31] for date in dates] == ["Tue, 02 Jan 2024 23:59:30", "Tue, 02 Jan 2024 23:59:30", "Wed, 03 Jan 2024 00:00:40"]


@pytest.mark.usefixtures("eight_in_hand")
@pytest.mark.parametrize("error", [ValueError("a mistake of ours"), MemoryError()])
def test_an_error_while_composing_ahead_is_met_when_the_letter_has_its_turn(
    error: Exception, scene: Scene, composer: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is when the letter before it is to be sent, which would announce it: that one is in doubt, and the others are queued again."""
    queue(scene, 8)
    compose = composer.compose

    def failing(*arguments: Any, **given: Any) -> Letter:
        if given["to"].startswith("u003"):
            raise error
        return compose(*arguments, **given)

    monkeypatch.setattr(composer, "compose", failing)
    with pytest.raises(type(error)):
        delivered(scene, composer, PostOffice())
    assert states(scene) == {"sent": 2, "sending": 1, "queued": 5}


@pytest.mark.usefixtures("eight_in_hand")
def test_a_letter_that_cannot_be_composed_holds_up_nobody(scene: Scene, composer: Composer) -> None:
    rows = [queue_row(f"u{n}", facts=MARIA.to_json()) for n in range(4)]
    rows[1]["facts"] = "{"
    scene.queue(*rows)
    done = delivered(scene, composer, PostOffice())
    assert (done.sent, done.postponed) == (3, 1)


def test_composing_ahead_ends_when_its_time_is_up(
    scene: Scene, composer: Composer, composed_for: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, letters = claimed(scene, 8)
    now = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: next(now) * 0.03)
    ahead = ComposedAhead(composer, lambda: NOW)
    ahead.compose(letters)
    assert len(composed_for) == 3
    assert [ahead.take(each, NOW) is not None for each in letters] == [True] * 3 + [False] * 5


def test_a_letter_is_kept_for_a_minute_and_given_out_once(scene: Scene, composer: Composer) -> None:
    _, letters = claimed(scene, 2)
    ahead = ComposedAhead(composer, lambda: NOW)
    ahead.compose(letters)
    assert ahead.take(letters[0], NOW + MINUTE - timedelta(microseconds=1)) is not None
    assert ahead.take(letters[0], NOW) is None
    assert ahead.take(letters[1], NOW + MINUTE) is None


@pytest.mark.parametrize("stops", [False, True], ids=["released by a sender", "put down by the batcher"])
def test_nothing_is_kept_of_a_letter_that_goes_back_into_the_queue(stops: bool, scene: Scene, composer: Composer) -> None:
    queue(scene, 8)
    ahead = ComposedAhead(composer, lambda: NOW)
    stop = Shutdown()
    batcher = Batcher(scene.worker(), lambda: NOW, stop=stop, ahead=ahead)
    mine = batcher.place()
    mine.wants = 8
    batcher.fill(mine)
    assert len(ahead._letters) == 8
    mine.wants = 0
    if stops:
        stop.ask()
        batcher.flush()
        assert len(ahead._letters) == len(mine.hand) == 2
    while mine.hand:
        batcher.settle(mine, Settlement("released"))
    batcher.close()
    assert (ahead._letters, states(scene)) == ({}, {"queued": 8})
