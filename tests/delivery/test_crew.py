from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from delivery.post_office import BROKEN, LATER, NEVER, TAKEN, PostOffice, delivered, in_turn, queue, states
from ledger.scenes import NOW, Scene, confirmation, queue_row
from mail.post import MARIA, campaign, mail

from migrate.delivery import Stop
from migrate.delivery.attempt import TRIES
from migrate.delivery.trouble import REFUSALS
from migrate.errors import MailServerError
from migrate.hours import Hours
from migrate.ledger import schema
from migrate.mail.compose import Composer
from migrate.mail.letters import Letter
from migrate.mail.transport import Receipt


def test_every_letter_goes_out_once_over_several_connections(scene: Scene, composer: Composer) -> None:
    queue(scene, 60)
    office = PostOffice()
    office.answer = lambda _: time.sleep(0.005) or TAKEN  # type: ignore[func-returns-value]
    done = delivered(scene, composer, office, connections=4)
    assert (done.sent, office.connections) == (60, 4)
    assert set(Counter(office.sent).values()) == {1}
    assert states(scene) == {"sent": 60}


def test_no_more_connections_are_made_than_there_are_letters(scene: Scene, composer: Composer) -> None:
    office = PostOffice()
    delivered(scene, composer, office, connections=4)
    assert office.connections == 0
    queue(scene, 2)
    delivered(scene, composer, office, connections=4)
    assert office.connections == 2


def test_a_letter_whose_connection_broke_is_tried_again_at_once(scene: Scene, composer: Composer) -> None:
    queue(scene, 1)
    office = PostOffice(in_turn(BROKEN, BROKEN))
    assert delivered(scene, composer, office).sent == 1
    assert scene.only().attempts == 1


def test_a_letter_whose_connections_keep_breaking_waits_for_another_run(scene: Scene, composer: Composer) -> None:
    queue(scene, 1)
    office = PostOffice(lambda _: BROKEN)
    done = delivered(scene, composer, office)
    assert (done.postponed, len(office.sent)) == (1, 3)
    assert scene.only().not_before > NOW


def test_a_letter_that_was_put_off_too_often_has_failed(scene: Scene, composer: Composer) -> None:
    queue(scene, 1)
    office = PostOffice(lambda _: LATER)
    for day in range(TRIES):
        delivered(scene, composer, office, clock=lambda day=day: NOW + day * timedelta(hours=30))
    row = scene.only()
    assert (row.state, row.reason, row.attempts) == ("failed", "tries_used_up", TRIES)


def test_a_server_that_refuses_everybody_ends_the_delivery_and_the_rest_stays_queued(scene: Scene, composer: Composer) -> None:
    queue(scene, 50)
    done = delivered(scene, composer, PostOffice(lambda _: NEVER))
    assert isinstance(done.stopped, MailServerError)
    assert "554 5.7.1 no" in str(done.stopped)
    assert states(scene) == {"failed": REFUSALS, "queued": 50 - REFUSALS}


def test_one_letter_taken_in_between_shows_that_the_server_works(scene: Scene, composer: Composer) -> None:
    queue(scene, 3 * REFUSALS)
    pattern = ([NEVER] * (REFUSALS - 1) + [TAKEN]) * 3
    done = delivered(scene, composer, PostOffice(in_turn(*pattern)))
    assert done.stopped is None
    assert (done.sent, done.failed) == (3, 3 * (REFUSALS - 1))


def test_a_domain_that_puts_off_letter_after_letter_is_left_alone_for_a_moment(scene: Scene, composer: Composer) -> None:
    queue(scene, 40, "slow.example")
    queue(scene, 40, "example.com")
    office = PostOffice(lambda letter: LATER if "slow" in letter.to else TAKEN)
    with scene.ledger.begin() as connection:  # one of each in turn
        for domain in ("slow.example", "example.com"):
            for n in range(40):
                where = schema.letter.c.address == f"u{n:03}@{domain}"
                connection.execute(sa.update(schema.letter).where(where).values(last_told_at=NOW + timedelta(seconds=2 * n)))
    done = delivered(scene, composer, office)
    assert done.sent == 40
    asked = sum("slow" in address for address in office.sent)
    assert 5 <= asked < 10
    assert done.postponed == asked
    waiting = [row for address, row in scene.letters().items() if "slow" in address]
    assert {row.attempts for row in waiting} == {0, 1}
    assert all(row.state == "queued" and row.not_before > NOW for row in waiting)


def test_without_any_connection_every_letter_stays_queued(scene: Scene, composer: Composer) -> None:
    queue(scene, 5)

    class Closed(PostOffice):
        @contextmanager
        def connect(self):  # type: ignore[no-untyped-def]
            raise MailServerError("the mail server cannot be reached.")
            yield

    done = delivered(scene, composer, Closed(), connections=3)
    assert "cannot be reached" in str(done.stopped)
    assert states(scene) == {"queued": 5}


def test_connections_that_the_server_denies_are_no_matter_while_one_stands(scene: Scene, composer: Composer) -> None:
    queue(scene, 12)

    class Narrow(PostOffice):
        @contextmanager
        def connect(self):  # type: ignore[no-untyped-def]
            with self.turn:
                self.connections += 1
                denied = self.connections > 1
            if denied:
                raise MailServerError("too many connections.")
            yield self

    done = delivered(scene, composer, Narrow(), connections=3)
    assert (done.sent, done.stopped) == (12, None)


def test_who_is_asked_to_stop_finishes_the_letter_in_hand(scene: Scene, composer: Composer) -> None:
    queue(scene, 30)
    stop = Stop()

    def answer(letter: Letter) -> Receipt:
        if letter.to.startswith("u003"):
            stop.ask()
        return TAKEN

    office = PostOffice(answer)
    done = delivered(scene, composer, office, stop=stop)
    assert (done.sent, len(office.sent)) == (4, 4)
    assert states(scene) == {"sent": 4, "queued": 26}
    assert {row.owner for row in scene.letters().values()} == {None}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_stop_and_is_told(number: signal.Signals, scene: Scene, composer: Composer) -> None:
    queue(scene, 30)
    before = signal.getsignal(number)

    def answer(letter: Letter) -> Receipt:
        if letter.to.startswith("u003"):
            os.kill(os.getpid(), number)
            time.sleep(0.2)
        return TAKEN

    done = delivered(scene, composer, PostOffice(answer))
    assert done.signal == number
    assert states(scene) == {"sent": 4, "queued": 26}
    assert signal.getsignal(number) is before


def test_a_bug_in_one_sender_is_raised_when_the_others_have_settled(scene: Scene, composer: Composer) -> None:
    queue(scene, 30)
    met, stop = threading.Barrier(2), Stop()

    def answer(letter: Letter) -> Receipt:
        met.wait(10)
        if letter.to.startswith("u000"):
            raise ZeroDivisionError
        stop.wait(10)
        return TAKEN

    with pytest.raises(ZeroDivisionError):
        delivered(scene, composer, PostOffice(answer), connections=2, stop=stop)
    # What became of the letter that was being sent nobody knows; the other one was taken.
    assert states(scene) == {"sending": 1, "sent": 1, "queued": 28}


def test_a_bug_leaves_only_the_letter_being_sent_in_the_dark(scene: Scene, composer: Composer) -> None:
    """A transport that takes many letters in hand: those before were taken, those after were not touched."""
    queue(scene, 12)

    def answer(letter: Letter) -> Receipt:
        if letter.to.startswith("u003"):
            raise ZeroDivisionError
        return TAKEN

    office = PostOffice(answer)
    office.at_once = 8
    with pytest.raises(ZeroDivisionError):
        delivered(scene, composer, office)
    assert states(scene) == {"sent": 3, "sending": 1, "queued": 8}
    assert scene.letters()["u003@example.com"].state == "sending"


def test_until_empty_waits_for_letters_to_be_tried_again(scene: Scene, composer: Composer) -> None:
    queue(scene, 1)
    start = datetime.now(UTC)
    office = PostOffice(in_turn(LATER))
    # An hour goes by in three seconds.
    done = delivered(scene, composer, office, clock=lambda: NOW + 1200 * (datetime.now(UTC) - start), until_empty=True)
    assert (done.postponed, done.sent) == (1, 1)


def test_until_empty_waits_for_confirmations_to_be_tried_again_outside_the_hours(scene: Scene, composer: Composer) -> None:
    changed = replace(MARIA, change="authenticator_enabled", methods=("totp",), had=("sms",), seen_at=NOW)
    scene.queue(queue_row("a1", facts=MARIA.to_json()), confirmation("a2", facts=changed.to_json()))
    start = datetime.now(UTC)
    office = PostOffice(in_turn(LATER))
    late = Hours(frozenset(range(7)), 23 * 60, 24 * 60, ZoneInfo("UTC"))
    # An hour goes by in three seconds.
    done = delivered(scene, composer, office, clock=lambda: NOW + 1200 * (datetime.now(UTC) - start), until_empty=True, hours=late)
    assert (done.postponed, done.sent) == (1, 1)
    assert office.sent == ["a2@example.com", "a2@example.com"]


def test_until_empty_does_not_wait_for_what_lies_beyond_reach(scene: Scene, composer: Composer) -> None:
    queue(scene, 1)
    with scene.ledger.begin() as connection:
        connection.execute(sa.update(schema.letter).values(not_before=NOW + timedelta(hours=5)))
    assert delivered(scene, composer, PostOffice(), until_empty=True).sent == 0


def test_an_address_that_is_called_unknown_is_written_down_with_its_letter(scene: Scene, composer: Composer) -> None:
    queue(scene, 1)
    delivered(scene, composer, PostOffice(lambda _: Receipt("permanent", "550 5.1.1 who", "5.1.1", bad_address=True)))
    with scene.ledger.read() as connection:
        (row,) = connection.execute(sa.select(schema.bounce))
    assert (row.address, row.code, row.until) == ("u000@example.com", "5.1.1", NOW + timedelta(days=90))


def test_a_dead_address_that_mail_was_redirected_to_is_not_the_accounts(scene: Scene) -> None:
    queue(scene, 1)
    office = PostOffice(lambda _: Receipt("permanent", "550 5.1.1 who", "5.1.1", bad_address=True))
    delivered(scene, Composer(mail(), campaign(), "desk@example.com"), office)
    assert office.sent == ["desk@example.com"]
    with scene.ledger.read() as connection:
        assert connection.execute(sa.select(schema.bounce)).all() == []


def test_a_stale_directory_leaves_all_but_confirmations_queued(scene: Scene, composer: Composer) -> None:
    changed = replace(MARIA, change="authenticator_enabled", methods=("totp",), had=("sms",), seen_at=NOW)
    scene.queue(queue_row("a1", facts=MARIA.to_json()), confirmation("a2", facts=changed.to_json()))
    office = PostOffice()
    delivered(scene, composer, office, stale_at=NOW)
    assert office.sent == ["a2@example.com"]
