"""A server that takes several commands at once (RFC 2920) is told of the next letter while it takes this one, and of no more than that."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from mail.post import compose, whole
from mail.scripted_smtp import DROP, HANG, Answer, ScriptedSmtp
from tenacity import Retrying, stop_after_attempt

from migrate.mail.letter import Letter
from migrate.mail.settings import SmtpSettings
from migrate.mail.smtp import SmtpTransport
from migrate.mail.timeouts import Timeouts

PIPELINING = "250-scripted.example\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES"
FIRST, SECOND, THIRD = (compose(to=f"{name}@example.com") for name in ("first", "second", "third"))


def serving(**answers: Answer | list[Answer]) -> ScriptedSmtp:
    return ScriptedSmtp(**{"ehlo": PIPELINING, **answers})


def transport(server: ScriptedSmtp, timeout: float = 5) -> SmtpTransport:
    settings = SmtpSettings(host="127.0.0.1", port=server.port, security="none")
    return SmtpTransport(settings, Retrying(stop=stop_after_attempt(1), reraise=True), timeouts=Timeouts(timeout, timeout, timeout))


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def taken(server: ScriptedSmtp) -> list[bytes]:
    """The messages whose end arrived, as they were before their dots were doubled."""
    return [message.replace(b"\r\n..", b"\r\n.") for message in server.messages]


def test_a_letter_is_announced_with_the_end_of_the_one_before() -> None:
    with serving() as server:
        with transport(server).connect() as connection:
            assert connection.send(FIRST, SECOND).verdict == "sent"
            until(lambda: server.commands[-4:] == [".", "MAIL", "RCPT", "DATA"])
            assert taken(server) == [FIRST.message]
            assert connection.send(SECOND, THIRD).verdict == "sent"
            assert connection.send(THIRD).verdict == "sent"
        assert taken(server) == [letter.message for letter in (FIRST, SECOND, THIRD)]
        assert server.commands == ["EHLO", *["MAIL", "RCPT", "DATA", "."] * 3, "QUIT"]
        assert [line for line in server.lines if line.startswith("RCPT")] == [f"RCPT TO:<{x.to}>" for x in (FIRST, SECOND, THIRD)]
        assert server.connections == 1


def test_a_server_that_does_not_pipeline_is_told_one_thing_at_a_time() -> None:
    with ScriptedSmtp() as server, transport(server).connect() as connection:
        assert connection.at_once == 1
        assert connection.send(FIRST, SECOND).verdict == "sent"
        assert connection.send(SECOND).verdict == "sent"
        assert server.commands == ["EHLO", *["MAIL", "RCPT", "DATA", "."] * 2]


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"rcpt": ["250 ok", "550 5.1.1 no such user", "250 ok"]},
        {"mail": ["250 ok", "451 4.3.0 later", "250 ok"]},
        {"dot": ["250 2.0.0 queued as 1", "554 5.6.0 no", "250 2.0.0 queued as 2"]},
    ],
)
def test_pipelining_changes_no_receipt_and_no_byte_of_a_message(answers: dict[str, list[Answer]]) -> None:
    """A server that does not pipeline is the reference."""
    letters = [FIRST, SECOND, THIRD, whole(FIRST, b"Subject: dots\r\n\r\n.\r\n..two\r\n")]
    told = []
    for ehlo in (PIPELINING, "250 scripted.example"):
        with ScriptedSmtp(**{"ehlo": ehlo, **{verb: list(each) for verb, each in answers.items()}}) as server:
            with transport(server).connect() as connection:
                receipts = [connection.send(letter, then) for letter, then in zip(letters, [*letters[1:], None], strict=True)]
            told.append((receipts, server.messages))
    assert told[0] == told[1]


def test_more_letters_are_taken_in_hand_only_for_a_server_that_pipelines() -> None:
    with serving() as server, transport(server).connect() as connection:
        assert connection.at_once > 1


def test_an_announced_letter_that_does_not_come_is_not_delivered() -> None:
    with serving() as server:
        with transport(server).connect() as connection:
            connection.send(FIRST, SECOND)
        assert taken(server) == [FIRST.message]
        assert "QUIT" not in server.commands  # it would be the first line of the second letter


def test_another_letter_than_the_announced_one_goes_over_another_connection() -> None:
    with serving() as server, transport(server).connect() as connection:
        connection.send(FIRST, SECOND)
        assert connection.send(THIRD).verdict == "sent"
        assert taken(server) == [FIRST.message, THIRD.message]
        assert server.connections == 2


def test_a_refused_address_costs_its_own_letter_only() -> None:
    with serving(rcpt=["550 5.1.1 who?"], data=["554 5.5.1 no valid recipients"]) as server, transport(server).connect() as connection:
        receipt = connection.send(FIRST, SECOND)
        assert (receipt.verdict, receipt.code, receipt.bad_address) == ("permanent", "5.1.1", True)
        assert connection.send(SECOND).verdict == "sent"
        assert taken(server) == [SECOND.message]
        assert server.connections == 1


@pytest.mark.parametrize(("refused", "verdict"), [({"mail": ["451 4.3.0 later"]}, "temporary"), ({"rcpt": ["550 5.7.1 no"]}, "permanent")])
def test_a_server_that_waits_for_the_data_of_a_letter_it_refused_is_left(refused: dict[str, list[Answer]], verdict: str) -> None:
    with serving(**refused) as server, transport(server).connect() as connection:
        assert connection.send(FIRST, SECOND).verdict == verdict
        assert connection.send(SECOND).verdict == "sent"
        assert taken(server) == [SECOND.message]
        assert server.connections == 2


def test_a_letter_that_is_refused_at_its_end_leaves_the_next_one_announced() -> None:
    with serving(dot=["451 4.3.0 later"]) as server, transport(server).connect() as connection:
        assert connection.send(FIRST, SECOND).verdict == "temporary"
        assert connection.send(SECOND).verdict == "sent"
        assert server.commands == ["EHLO", *["MAIL", "RCPT", "DATA", "."] * 2]


@pytest.mark.parametrize("verb", ["rcpt", "data"])
def test_a_break_at_the_announced_letter_is_temporary_for_it_and_nothing_for_the_one_before(verb: str) -> None:
    usual = {"rcpt": "250 ok", "data": "354 go ahead"}[verb]
    with serving(**{verb: [usual, DROP]}) as server, transport(server).connect() as connection:
        assert connection.send(FIRST, SECOND).verdict in ("sent", "uncertain")  # the break may overtake the answer
        receipt = connection.send(SECOND)
        assert receipt.verdict == "sent" or receipt.bad_connection
        assert taken(server).count(SECOND.message) == (receipt.verdict == "sent")


def test_a_server_that_closes_after_a_letter_takes_the_announced_one_over_another_connection() -> None:
    with serving(mail=["250 ok", ("421 4.3.2 closing", DROP)]) as server, transport(server).connect() as connection:
        connection.send(FIRST, SECOND)
        assert connection.send(SECOND).verdict == "sent"
        assert taken(server) == [FIRST.message, SECOND.message]
        assert server.connections == 2


def large(letter: Letter) -> Letter:
    return whole(letter, (b"x" * 70 + b"\r\n") * 100_000)


def test_a_break_before_the_last_of_the_data_is_temporary() -> None:
    with serving(body=DROP) as server, transport(server).connect() as connection:
        receipt = connection.send(large(FIRST), SECOND)
        assert (receipt.verdict, receipt.bad_connection) == ("temporary", True)
        assert server.messages == []


@pytest.mark.parametrize("ending", [DROP, HANG, "hello?"])
def test_a_break_or_nonsense_after_the_end_is_uncertain_and_the_next_letter_is_not_touched(ending: Answer) -> None:
    with serving(dot=[ending]) as server, transport(server, timeout=0.5).connect() as connection:
        assert connection.send(FIRST, SECOND).verdict == "uncertain"
        assert taken(server) == [FIRST.message]
        assert connection.send(SECOND).verdict == "sent"
        assert taken(server) == [FIRST.message, SECOND.message]


def test_an_address_that_the_server_cannot_be_told_is_not_announced() -> None:
    odd = compose(to="jürgen@example.com")
    with serving() as server, transport(server).connect() as connection:
        assert connection.send(FIRST, odd).verdict == "sent"
        assert connection.send(odd, SECOND).verdict == "permanent"
        assert connection.send(SECOND).verdict == "sent"
        assert server.connections == 1
