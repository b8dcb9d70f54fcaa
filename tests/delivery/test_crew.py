from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from delivery.post_office import BROKEN, DEAD, LATER, LIMITED, NEVER, NOT_OURS, TAKEN, PostOffice, delivered, in_turn, queue, states
from ledger.scenes import NOW, Scene, confirmation, queue_row
from mail.post import MARIA, campaign, mail

from migrate.core.send_hours import Hours
from migrate.delivery import SendTimes, Shutdown
from migrate.delivery.attempt import TRIES
from migrate.delivery.circuit_breaker import STREAK
from migrate.errors import MailServerError
from migrate.ledger import schema
from migrate.mail.compose import Composer
from migrate.mail.letter import Letter
from migrate.mail.refusals import NOT_ASKED, Refusal
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


@pytest.mark.parametrize(("answer", "people"), [(LATER, 25), (BROKEN, 2)])
def test_a_server_that_puts_everybody_off_for_days_uses_up_nobodys_tries(
    answer: Receipt, people: int, scene: Scene, composer: Composer
) -> None:
    queue(scene, people)
    for day in range(TRIES + 2):
        done = delivered(scene, composer, PostOffice(lambda _: answer), clock=lambda day=day: NOW + day * timedelta(hours=30))
        assert isinstance(done.stopped, MailServerError)
        assert done.failed == 0
    assert states(scene) == {"queued": people}
    done = delivered(scene, composer, PostOffice(lambda _: TAKEN), clock=lambda: NOW + (TRIES + 4) * timedelta(hours=30))
    assert (done.sent, states(scene)) == (people, {"sent": people})


@pytest.mark.parametrize("answer", [NOT_OURS, NEVER])
def test_a_server_that_refuses_everybody_ends_the_delivery_and_every_letter_stays_queued(
    answer: Receipt, scene: Scene, composer: Composer
) -> None:
    queue(scene, 50)
    office = PostOffice(lambda _: answer)
    done = delivered(scene, composer, office)
    assert isinstance(done.stopped, MailServerError)
    assert answer.reply in str(done.stopped)
    assert (len(office.sent), done.failed, done.postponed) == (STREAK, 0, STREAK)
    assert states(scene) == {"queued": 50}
    tried = [row for row in scene.letters().values() if row.reply]
    assert {(row.reason, row.reply, row.attempts) for row in tried} == {("server_refused", answer.reply, 0)}
    assert all(row.not_before > NOW and row.settled_at is None for row in tried)


@pytest.mark.parametrize("answer", [NOT_OURS, NEVER])
def test_the_next_delivery_tries_one_letter_before_it_goes_on_with_the_others(answer: Receipt, scene: Scene, composer: Composer) -> None:
    queue(scene, 50)
    delivered(scene, composer, PostOffice(lambda _: answer))
    office = PostOffice(lambda _: answer)
    for hour in range(1, 4):
        done = delivered(scene, composer, office, clock=lambda hour=hour: NOW + timedelta(hours=hour), connections=4)
        assert answer.reply in str(done.stopped)
        assert (len(office.sent), office.connections) == (hour, hour)
    assert states(scene) == {"queued": 50}
    office = PostOffice()
    done = delivered(scene, composer, office, clock=lambda: NOW + timedelta(days=1), connections=4)
    assert (done.sent, done.stopped, office.connections) == (50, None, 5)
    assert set(Counter(office.sent).values()) == {1}
    assert {row.attempts for row in scene.letters().values()} == {1}


def test_after_a_letter_was_taken_nothing_is_probed_any_more(scene: Scene, composer: Composer) -> None:
    queue(scene, 3 * STREAK)
    seconds = count()
    office = PostOffice(in_turn(*[NOT_OURS] * (STREAK - 1), TAKEN, *[NOT_OURS] * 3))
    delivered(scene, composer, office, clock=lambda: NOW + timedelta(seconds=next(seconds)))
    assert states(scene) == {"sent": 2 * STREAK + 1 - 3, "queued": STREAK + 2}
    office = PostOffice()
    delivered(scene, composer, office, clock=lambda: NOW + timedelta(days=1), connections=2)
    assert office.connections == 2


def test_dead_addresses_say_nothing_about_the_server_not_even_while_it_is_probed(scene: Scene, composer: Composer) -> None:
    queue(scene, 280)
    dead = {f"u{n:03}@example.com" for n in range(250)}
    office = PostOffice(lambda letter: DEAD if letter.to in dead else TAKEN)
    done = delivered(scene, composer, office)
    assert (done.sent, done.failed, done.stopped) == (30, 250, None)
    with scene.ledger.read() as connection:
        assert {row.address for row in connection.execute(sa.select(schema.bounce))} == dead


def test_what_we_cannot_say_to_a_server_says_nothing_about_it(scene: Scene, composer: Composer) -> None:
    queue(scene, 30)
    own = Receipt("permanent", "it has no SMTPUTF8", refusal=NOT_ASKED)
    done = delivered(scene, composer, PostOffice(in_turn(*[own] * 25)))
    assert (done.sent, done.failed, done.stopped) == (5, 25, None)


def test_full_mailboxes_one_after_another_fail_and_open_nothing(scene: Scene, composer: Composer) -> None:
    queue(scene, 30)
    full = Receipt("permanent", "552 5.2.2 mailbox full", "5.2.2", refusal=Refusal("letter", alone=True))
    done = delivered(scene, composer, PostOffice(in_turn(*[full] * 25)))
    assert (done.sent, done.failed, done.stopped) == (5, 25, None)
    with scene.ledger.read() as connection:
        assert connection.execute(sa.select(schema.bounce)).all() == []


def test_letters_refused_with_words_of_their_own_fail(scene: Scene, composer: Composer) -> None:
    queue(scene, 19)
    words = iter(("no pictures", "no links", "too long") * 9)
    done = delivered(scene, composer, PostOffice(lambda _: NEVER._replace(reply=f"554 5.6.0 {next(words)}")))
    assert (done.failed, done.stopped) == (19, None)


def test_the_same_words_with_each_ones_address_and_number_in_them_are_the_same(scene: Scene, composer: Composer) -> None:
    queue(scene, 19)
    numbers = iter(range(19))
    office = PostOffice(lambda letter: NEVER._replace(reply=f"550 {letter.to}: refused by a rule (id 4Tx9{next(numbers)})"))
    done = delivered(scene, composer, office)
    assert (done.failed, len(office.sent)) == (0, STREAK)
    assert done.stopped is not None


@pytest.mark.parametrize("people", [1, 8])
def test_a_few_people_whom_the_server_refuses_for_its_own_sake_are_an_error_too(people: int, scene: Scene, composer: Composer) -> None:
    queue(scene, people)
    done = delivered(scene, composer, PostOffice(lambda _: NOT_OURS))
    assert "relay denied" in str(done.stopped)
    assert states(scene) == {"queued": people}


def test_the_error_names_our_sender_if_that_was_refused(scene: Scene, composer: Composer) -> None:
    queue(scene, 1)
    refused = NOT_OURS._replace(refusal=Refusal("server", sender="security@example.com"))
    done = delivered(scene, composer, PostOffice(lambda _: refused))
    assert "refuses our sender's address security@example.com, and no recipient's; it said: 554 5.7.1 relay denied." in str(done.stopped)


def test_a_connection_that_is_limited_closes_and_the_others_take_its_letter(scene: Scene, composer: Composer) -> None:
    queue(scene, 60)

    class Narrow(PostOffice):
        @contextmanager
        def connect(self):  # type: ignore[no-untyped-def]
            with self.turn:
                self.connections += 1
                yields = self if self.connections == 3 else PostOffice(lambda _: time.sleep(0.01) or LIMITED)  # type: ignore[func-returns-value]
            yield yields

    office = Narrow(lambda _: time.sleep(0.01) or TAKEN)  # type: ignore[func-returns-value]
    done = delivered(scene, composer, office, connections=3)
    assert (done.sent, done.stopped) == (60, None)
    assert {row.attempts for row in scene.letters().values()} == {1}


def test_one_letter_may_meet_every_connection_that_is_one_too_many(scene: Scene, composer: Composer) -> None:
    """The next connection opens late, and begins with the letter for which the one before it closed."""
    queue(scene, 3)
    closed = [threading.Event() for _ in range(3)]

    class Narrow(PostOffice):
        @contextmanager
        def connect(self) -> Iterator[PostOffice]:
            with self.turn:
                number = self.connections
                self.connections += 1
            if number:
                closed[number - 1].wait(5)
            yield PostOffice(lambda letter: TAKEN if number == 2 else self.limits(letter))
            closed[number].set()

        def limits(self, letter: Letter) -> Receipt:
            self.sent.append(letter.to)
            return LIMITED

    office = Narrow()
    done = delivered(scene, composer, office, connections=3)
    assert (done.sent, done.stopped, set(office.sent)) == (3, None, {"u000@example.com"})
    assert {row.attempts for row in scene.letters().values()} == {1}


def test_a_letter_that_always_meets_a_limit_closes_one_connection_and_waits(scene: Scene, composer: Composer) -> None:
    queue(scene, 60)
    first = threading.Barrier(3, timeout=5)

    def answer(letter: Letter) -> Receipt:
        if letter.to < "u003":  # each connection takes one of these
            first.wait()
        return LIMITED if letter.to.startswith("u030") else TAKEN

    office = PostOffice(answer)
    done = delivered(scene, composer, office, connections=3)
    assert (done.sent, done.postponed, office.sent.count("u030@example.com")) == (59, 1, 2)


def test_one_letter_taken_in_between_shows_that_the_server_works(scene: Scene, composer: Composer) -> None:
    queue(scene, 3 * STREAK)
    pattern = ([NEVER] * (STREAK - 1) + [TAKEN]) * 3
    done = delivered(scene, composer, PostOffice(in_turn(*pattern)))
    assert done.stopped is None
    assert (done.sent, done.failed) == (3, 3 * (STREAK - 1))


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
    stop = Shutdown()

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


def test_a_signal_that_reaches_another_thread_is_heeded_while_the_senders_are_waited_for(scene: Scene, composer: Composer) -> None:
    """Only the main thread calls handlers, and nothing wakes it if the kernel chose another one. The same goes for a signal that comes just
    before it begins to wait."""
    queue(scene, 30)
    stop = Shutdown()

    def answer(letter: Letter) -> Receipt:
        if letter.to.startswith("u003"):
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
            stop.wait(5)
        return TAKEN

    done = delivered(scene, composer, PostOffice(answer), stop=stop)
    assert done.signal == signal.SIGTERM
    assert states(scene) == {"sent": 4, "queued": 26}


def test_a_bug_in_one_sender_is_raised_when_the_others_have_settled(scene: Scene, composer: Composer) -> None:
    queue(scene, 30)
    met, stop = threading.Barrier(2), Shutdown()

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
    times = SendTimes(Hours(frozenset(range(7)), 23 * 60, 24 * 60, ZoneInfo("UTC")))
    # An hour goes by in three seconds.
    done = delivered(scene, composer, office, clock=lambda: NOW + 1200 * (datetime.now(UTC) - start), until_empty=True, times=times)
    assert (done.postponed, done.sent) == (1, 1)
    assert office.sent == ["a2@example.com", "a2@example.com"]


def test_until_empty_does_not_wait_for_what_lies_beyond_reach(scene: Scene, composer: Composer) -> None:
    queue(scene, 1)
    with scene.ledger.begin() as connection:
        connection.execute(sa.update(schema.letter).values(not_before=NOW + timedelta(hours=5)))
    assert delivered(scene, composer, PostOffice(), until_empty=True).sent == 0


def test_an_address_that_is_called_unknown_is_written_down_with_its_letter(scene: Scene, composer: Composer) -> None:
    queue(scene, 1)
    delivered(scene, composer, PostOffice(lambda _: DEAD))
    with scene.ledger.read() as connection:
        (row,) = connection.execute(sa.select(schema.bounce))
    assert (row.address, row.code, row.until) == ("u000@example.com", "5.1.1", NOW + timedelta(days=90))


def test_a_dead_address_that_mail_was_redirected_to_is_not_the_accounts(scene: Scene) -> None:
    queue(scene, 1)
    office = PostOffice(lambda _: DEAD)
    delivered(scene, Composer(mail(), campaign(), "desk@example.com"), office)
    assert office.sent == ["desk@example.com"]
    with scene.ledger.read() as connection:
        assert connection.execute(sa.select(schema.bounce)).all() == []


def test_a_stale_directory_leaves_all_but_confirmations_queued(scene: Scene, composer: Composer) -> None:
    changed = replace(MARIA, change="authenticator_enabled", methods=("totp",), had=("sms",), seen_at=NOW)
    scene.queue(queue_row("a1", facts=MARIA.to_json()), confirmation("a2", facts=changed.to_json()))
    office = PostOffice()
    delivered(scene, composer, office, times=SendTimes(stale_at=NOW))
    assert office.sent == ["a2@example.com"]
