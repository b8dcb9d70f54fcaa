from __future__ import annotations

import socket
from typing import Any

import pytest
from mail.post import compose, mail, whole
from mail.scripted_smtp import DROP, HANG, Answer, ScriptedSmtp
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_none

from migrate.errors import MailServerError
from migrate.mail.compose import Composer
from migrate.mail.letter import Letter
from migrate.mail.refusals import Refusal
from migrate.mail.settings import SmtpSettings
from migrate.mail.smtp import SmtpTransport, _worth_another_try
from migrate.mail.timeouts import Timeouts
from migrate.mail.transport import Receipt, open_transport

AT_ONCE = Retrying(stop=stop_after_attempt(3), wait=wait_none(), retry=retry_if_exception(_worth_another_try), reraise=True)


@pytest.fixture
def letter(composer: Composer) -> Letter:
    return compose(by=composer)


def transport(port: int, timeouts: Timeouts | None = None, **changed: Any) -> SmtpTransport:
    settings = SmtpSettings(**({"host": "127.0.0.1", "port": port, "security": "none", "timeout": 5} | changed))
    return SmtpTransport(settings, AT_ONCE, timeouts=timeouts)


def send(letter: Letter, **answers: Answer | list[Answer]) -> tuple[Receipt, ScriptedSmtp]:
    with ScriptedSmtp(**answers) as server, transport(server.port).connect() as connection:
        receipt = connection.send(letter)
    return receipt, server


def test_a_letter_that_is_taken_is_sent_byte_for_byte(letter: Letter) -> None:
    receipt, server = send(letter)
    assert receipt == Receipt("sent", "250 2.0.0 queued")
    assert server.messages == [letter.message]
    assert server.commands == ["EHLO", "MAIL", "RCPT", "DATA", ".", "QUIT"]
    assert server.lines[1:3] == [f"MAIL FROM:<security@example.com> SIZE={len(letter.message)}", "RCPT TO:<maria.santos@example.com>"]


def test_a_dot_at_the_beginning_of_a_line_does_not_end_the_letter(letter: Letter) -> None:
    _, server = send(whole(letter, b".first\r\n.\r\n..\r\nlast"))
    assert server.messages == [b"..first\r\n..\r\n...\r\nlast\r\n"]


def test_one_connection_carries_many_letters(letter: Letter) -> None:
    with ScriptedSmtp() as server, transport(server.port).connect() as connection:
        assert [connection.send(letter).verdict for _ in range(3)] == ["sent"] * 3
    assert server.connections == 1


@pytest.mark.parametrize("verb", ["mail", "rcpt", "data", "dot"])
def test_a_4xx_answer_is_temporary_and_the_connection_goes_on(verb: str, letter: Letter) -> None:
    with ScriptedSmtp(**{verb: ["451 4.7.1 greylisted"]}) as server, transport(server.port).connect() as connection:
        receipt = connection.send(letter)
        assert receipt[:4] == ("temporary", "451 4.7.1 greylisted", "4.7.1", False)
        assert receipt.refusal == Refusal("server" if verb == "mail" else "letter")
        assert connection.send(letter).verdict == "sent"
    assert server.connections == 1 and server.commands.count("RSET") == 1


@pytest.mark.parametrize("verb", ["mail", "rcpt", "data", "dot"])
def test_a_5xx_answer_is_permanent_and_the_connection_goes_on(verb: str, letter: Letter) -> None:
    with ScriptedSmtp(**{verb: ["554 5.7.1 refused"]}) as server, transport(server.port).connect() as connection:
        receipt = connection.send(letter)
        assert receipt[:4] == ("permanent", "554 5.7.1 refused", "5.7.1", False)
        assert receipt.refusal == Refusal("server")
        assert connection.send(letter).verdict == "sent"
    assert server.connections == 1


@pytest.mark.parametrize(
    ("verb", "reply", "bad"),
    [
        ("rcpt", "550 5.1.1 no such user", True),
        ("rcpt", "550 5.1.10 null MX", True),
        ("rcpt", "550 5.2.1 mailbox disabled", True),
        ("rcpt", "552 5.2.2 mailbox full", False),
        ("rcpt", "550 5.7.1 relaying denied", False),
        ("rcpt", "550 5.1.0 <security@example.com>: Sender address rejected: User unknown in local recipient table", False),
        ("rcpt", "550 5.1.1 <security@example.com>: Sender address rejected: User unknown in local recipient table", False),
        ("rcpt", "550 5.1.8 Access denied, bad outbound sender", False),
        ("rcpt", "550 rejected because 10.5.1.20 is in a black list", False),
        ("rcpt", "550-5.1.1 The email account that you tried to reach\r\n550-5.1.1 does not exist.\r\n550 5.1.1 gsmtp", True),
        ("data", "550 5.1.1 no such user", False),
        ("rcpt", "550 no such user", False),
        ("rcpt", "450 4.1.1 try later", False),
        ("mail", "550 5.1.8 bad sender", False),
        ("dot", "550 5.1.1 no such user", False),
    ],
)
def test_only_what_rcpt_says_of_the_address_marks_the_address(verb: str, reply: str, bad: bool, letter: Letter) -> None:
    receipt, _ = send(letter, **{verb: reply})
    assert receipt.bad_address is bad


@pytest.mark.parametrize("verb", ["rcpt", "data"])
def test_a_break_before_the_data_is_temporary(verb: str, letter: Letter) -> None:
    receipt, server = send(letter, **{verb: DROP})
    assert (receipt.verdict, receipt.bad_connection) == ("temporary", True)
    assert server.messages == []


def test_a_break_while_the_data_is_on_its_way_is_temporary(letter: Letter) -> None:
    receipt, server = send(whole(letter, b"x" * 70 * 100_000 + b"\r\n"), body=DROP)
    assert receipt.verdict == "temporary"
    assert server.messages == []


@pytest.mark.parametrize(
    "ending", [DROP, HANG, "hello?", "999 what", "099 what", "354 go on", "250-and then", ("250-half", DROP), "2" * 9000]
)
def test_a_break_or_nonsense_after_the_end_of_the_data_is_uncertain(ending: Answer, letter: Letter) -> None:
    with ScriptedSmtp(dot=ending) as server, transport(server.port, Timeouts(5, 5, 0.5)).connect() as connection:
        receipt = connection.send(letter)
    assert receipt.verdict == "uncertain"
    assert server.messages == [letter.message]


def test_a_server_that_stops_answering_before_the_data_is_temporary(letter: Letter) -> None:
    with ScriptedSmtp(rcpt=HANG) as server, transport(server.port, timeout=0.3).connect() as connection:
        assert connection.send(letter).verdict == "temporary"


@pytest.mark.parametrize("verb", ["rcpt", "data", "dot"])
def test_421_is_temporary_and_the_next_letter_goes_over_a_new_connection(verb: str, letter: Letter) -> None:
    with ScriptedSmtp(**{verb: [("421 4.3.2 closing", DROP)]}) as server, transport(server.port).connect() as connection:
        limited = Refusal("server", limited=True)
        assert connection.send(letter) == Receipt("temporary", "421 4.3.2 closing", "4.3.2", bad_connection=True, refusal=limited)
        assert connection.send(letter).verdict == "sent"
    assert server.connections == 2


def test_after_an_uncertain_letter_the_next_goes_over_a_new_connection(letter: Letter) -> None:
    with ScriptedSmtp(dot=[DROP]) as server, transport(server.port).connect() as connection:
        assert [connection.send(letter).verdict for _ in range(2)] == ["uncertain", "sent"]
    assert server.connections == 2


@pytest.mark.parametrize("goodbye", [DROP, "421 4.4.2 idle for too long", ("421 4.4.2 idle for too long", DROP)])
def test_a_server_that_closed_an_idle_connection_is_called_again(goodbye: Answer, letter: Letter) -> None:
    with ScriptedSmtp(mail=["250 ok", goodbye]) as server, transport(server.port).connect() as connection:
        assert [connection.send(letter).verdict for _ in range(2)] == ["sent", "sent"]
    assert (server.connections, len(server.messages)) == (2, 2)


def test_a_server_that_always_hangs_up_at_mail_is_not_called_for_ever(letter: Letter) -> None:
    with ScriptedSmtp(mail=["250 ok", DROP, DROP, DROP]) as server, transport(server.port).connect() as connection:
        assert [connection.send(letter).verdict for _ in range(2)] == ["sent", "temporary"]
    assert server.connections == 2


@pytest.mark.parametrize("ehlo", ["250 scripted.example", "250-scripted.example\r\n250 PIPELINING"])
def test_an_answer_too_many_costs_the_connection_and_no_letter(ehlo: str, letter: Letter) -> None:
    with ScriptedSmtp(ehlo=ehlo, dot=["250 ok\r\n250 ok again"]) as server, transport(server.port).connect() as connection:
        assert [connection.send(letter).verdict for _ in range(3)] == ["sent", "sent", "sent"]
    assert (len(server.messages), server.connections) == (3, 2)


def test_an_answer_too_many_before_the_data_never_passes_for_a_letter_taken(letter: Letter) -> None:
    """What comes after the go-ahead would be read as the answer to the end of the data."""
    receipt, server = send(letter, data="354 go ahead\r\n250 2.0.0 ok", dot="554 5.6.0 refused")
    assert (receipt.verdict, receipt.bad_connection, server.messages) == ("temporary", True, [])
    assert "said more than it was asked" in receipt.reply


def test_answers_out_of_step_are_about_the_connection(letter: Letter) -> None:
    receipt, _ = send(letter, data="250 ok")
    assert (receipt.verdict, receipt.bad_connection) == ("temporary", True)


def test_an_answer_of_very_many_lines_is_read_to_its_end(letter: Letter) -> None:
    receipt, _ = send(letter, rcpt="550-5.1.1 dear all\r\n" * 10_000 + "550 5.1.1 no such user")
    assert receipt.bad_address and len(receipt.reply) == 300


@pytest.mark.parametrize(("verb", "verdict"), [("rcpt", "temporary"), ("dot", "uncertain")])
def test_an_answer_without_an_end_is_not_listened_to_for_ever(verb: str, verdict: str, letter: Letter) -> None:
    lines = "\r\n".join(["250-and so on " + "x" * 500] * 1000)
    receipt, _ = send(letter, **{verb: (*[lines] * 20, HANG)})
    assert (receipt.verdict, "an answer that has no end" in receipt.reply) == (verdict, True)


def test_a_refused_reset_costs_the_connection_and_no_letter(letter: Letter) -> None:
    with ScriptedSmtp(rcpt=["550 5.1.1 no"], rset=["500 what"]) as server, transport(server.port).connect() as connection:
        assert [connection.send(letter).verdict for _ in range(2)] == ["permanent", "sent"]
    assert server.connections == 2


def test_a_reply_is_kept_as_one_printable_line(letter: Letter) -> None:
    receipt, _ = send(letter, rcpt="550-5.1.1 first\x1b[31m line\r\n550 5.1.1 " + "x" * 500)
    assert receipt.reply.startswith("550 5.1.1 first [31m line 5.1.1 xxx") and receipt.reply.endswith("…")
    assert len(receipt.reply) == 300 and receipt.reply.isprintable()


def test_an_address_outside_ascii_is_refused_in_words_where_the_server_cannot_take_it(composer: Composer) -> None:
    receipt, server = send(compose(by=composer, to="jürgen@example.com"))
    assert receipt.verdict == "permanent" and "SMTPUTF8" in receipt.reply and not receipt.bad_address
    assert "MAIL" not in server.commands


def test_an_address_outside_ascii_is_sent_where_the_server_takes_it(composer: Composer) -> None:
    receipt, server = send(compose(by=composer, to="jürgen@example.com"), ehlo="250-scripted.example\r\n250-8BITMIME\r\n250 SMTPUTF8")
    assert receipt.verdict == "sent"
    assert server.lines[1:3] == ["MAIL FROM:<security@example.com> SMTPUTF8 BODY=8BITMIME", "RCPT TO:<jürgen@example.com>"]


def test_a_server_that_wants_a_sign_in_stops_the_sending_and_fails_no_letter(letter: Letter) -> None:
    with (
        ScriptedSmtp(mail="530 5.7.0 authentication required") as server,
        transport(server.port).connect() as connection,
        pytest.raises(MailServerError, match="wants a sign-in") as caught,
    ):
        connection.send(letter)
    assert caught.value.exit_code == 6


def test_a_server_that_is_not_there_is_an_error_that_says_where() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(MailServerError, match="cannot be reached") as caught, transport(port).connect():
        pass
    assert caught.value.exit_code == 6
    assert caught.value.where == f"[mail.smtp] 127.0.0.1 port {port}"
    assert caught.value.hint


def test_a_server_that_is_gone_for_the_next_letter_is_an_error(letter: Letter) -> None:
    turned_away = ["220 hello", *["554 5.3.2 not now"] * 9]
    with ScriptedSmtp(connect=turned_away, mail=["250 ok", DROP]) as server, transport(server.port).connect() as connection:
        assert connection.send(letter).verdict == "sent"
        with pytest.raises(MailServerError, match=r"554 5\.3\.2 not now"):
            connection.send(letter)


@pytest.mark.parametrize("greeting", ["450 4.3.2 busy", "421 4.3.2 busy", DROP])
def test_a_server_that_is_busy_is_asked_again(greeting: Answer, letter: Letter) -> None:
    with ScriptedSmtp(connect=[greeting, greeting]) as server, transport(server.port).connect() as connection:
        assert connection.send(letter).verdict == "sent"
    assert server.connections == 3


def test_asking_again_has_an_end() -> None:
    with (
        ScriptedSmtp(connect="450 4.3.2 busy") as server,
        pytest.raises(MailServerError, match=r"450 4\.3\.2 busy"),
        transport(server.port).connect(),
    ):
        pass
    assert server.connections == 3


def test_a_server_that_sends_us_away_is_not_asked_again() -> None:
    with (
        ScriptedSmtp(connect="554 5.7.1 go away") as server,
        pytest.raises(MailServerError, match=r"554 5\.7\.1 go away"),
        transport(server.port).connect(),
    ):
        pass
    assert server.connections == 1


def test_a_server_without_starttls_is_never_spoken_to_in_the_clear(letter: Letter) -> None:
    with (
        ScriptedSmtp() as server,
        pytest.raises(MailServerError, match="STARTTLS"),
        transport(server.port, security="starttls").connect() as connection,
    ):
        connection.send(letter)
    assert server.commands == ["EHLO"] and server.connections == 1


def test_the_end_of_the_data_is_not_held_back_until_the_body_is_acknowledged() -> None:
    with ScriptedSmtp() as server, transport(server.port).connect() as connection:
        assert connection._server is not None
        assert connection._server._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_server_that_does_not_answer_quit_holds_up_nobody(letter: Letter) -> None:
    with ScriptedSmtp(quit=HANG) as server:
        with transport(server.port, timeout=0.2).connect() as connection:
            assert connection.send(letter).verdict == "sent"
        assert server.commands[-1] == "QUIT"


def test_the_configuration_names_the_transport() -> None:
    smtp = {"host": "127.0.0.1", "port": 1, "security": "none"}
    assert isinstance(open_transport(mail(transport="smtp", smtp=smtp)), SmtpTransport)
