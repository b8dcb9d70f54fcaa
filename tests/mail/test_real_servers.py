"""Debian's Postfix and Exim, made to refuse: what they say stands in `docs/refusals.md`, and what they take is what was written."""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, field

import pytest
from mail.post import compose, whole
from mail.scripted_smtp import ScriptedSmtp
from mail.test_mail_smtp import transport
from mail.test_refusals import LINE, PAGE, WHERE, about
from mail_peers import MailServer, Serving, free_port

from migrate.errors import MailServerError
from migrate.mail.letter import Letter
from migrate.mail.refusals import NOT_ASKED


@dataclass(frozen=True)
class Play:
    """A refusal: the server's `settings`, whom the letter is `to`, and how many were `before` it on as many other connections."""

    where: str
    said: str
    settings: dict[str, str] = field(default_factory=dict)
    to: str = "ada@example.org"
    letters: int = 1
    connections: int = 1


LOCAL = "User unknown in local recipient table"
VIRTUAL = "User unknown in virtual mailbox table"
CLIENT = "554 5.7.1 <mail.example.net[192.0.2.1]>: Client host rejected: Access denied"
REFUSE_CLIENT = "check_client_access static:reject"
OUTSIDE = {"mynetworks": "192.0.2.0/24"}
HOSTED = {"mydestination": "", "virtual_mailbox_domains": "example.com, example.org"}
DEAD = {"local_recipient_maps": "inline:{bob@example.org=x}"}

POSTFIX = [
    Play("RCPT", f"550 5.1.1 <ada@example.org>: Recipient address rejected: {LOCAL}", DEAD),
    Play("RCPT", f"550 5.1.1 <ada@example.org>: Recipient address rejected: {VIRTUAL}", HOSTED | {"virtual_mailbox_maps": "inline:{b=b/}"}),
    Play(
        "RCPT",
        f"550 5.1.0 <security@example.com>: Sender address rejected: {LOCAL}",
        {"smtpd_reject_unlisted_sender": "yes", "local_recipient_maps": "inline:{ada@example.org=x}"},
    ),
    Play(
        "RCPT",
        f"550 5.1.0 <security@example.com>: Sender address rejected: {VIRTUAL}",
        HOSTED | {"smtpd_reject_unlisted_sender": "yes", "virtual_mailbox_maps": "inline:{ada@example.org=ada/}"},
    ),
    Play("RCPT", "554 5.7.1 <ada@example.org>: Relay access denied", OUTSIDE | {"mydestination": ""}),
    Play(
        "RCPT",
        "454 4.7.1 <ada@example.org>: Relay access denied",
        OUTSIDE | {"mydestination": "", "smtpd_relay_restrictions": "permit_mynetworks, defer_unauth_destination"},
    ),
    Play(
        "RCPT",
        "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]",
        {"smtpd_peername_lookup": "no", "smtpd_client_restrictions": "reject_unknown_client_hostname"},
    ),
    Play("RCPT", CLIENT, {"smtpd_client_restrictions": REFUSE_CLIENT}),
    Play("before RCPT", CLIENT, {"smtpd_client_restrictions": REFUSE_CLIENT, "smtpd_delay_reject": "no"}),
    Play("DATA", CLIENT, {"smtpd_data_restrictions": REFUSE_CLIENT}),
    Play(
        "RCPT",
        "450 4.7.1 <[127.0.0.1]>: Helo command rejected: Service unavailable",
        {"smtpd_helo_restrictions": "check_helo_access static:defer_if_permit"},
    ),
    Play(
        "RCPT",
        "450 4.2.0 <ada@example.org>: Recipient address rejected: Greylisted",
        {"smtpd_recipient_restrictions": "check_recipient_access static:{450 4.2.0 Greylisted}"},
    ),
    Play(
        "RCPT",
        "450 4.7.1 <ada@example.org>: Recipient address rejected: Greylisted",
        {"smtpd_recipient_restrictions": "check_recipient_access static:{defer_if_permit Greylisted}"},
    ),
    Play("before RCPT", "552 5.3.4 Message size exceeds fixed limit", {"message_size_limit": "2000"}),
    Play("before RCPT", "452 4.3.1 Insufficient system storage", {"queue_minfree": "99999999999999"}),
    Play(
        "before RCPT",
        "421 4.7.0 mx.example.org Error: too many connections from 192.0.2.1",
        {"smtpd_client_connection_count_limit": "1"},
        connections=2,
    ),
    Play("before RCPT", "450 4.7.1 Error: too much mail from 192.0.2.1", {"smtpd_client_message_rate_limit": "1"}, letters=2),
    Play("RCPT", "450 4.7.1 Error: too many recipients from 192.0.2.1", {"smtpd_client_recipient_rate_limit": "1"}, letters=2),
    Play("after the data", "550 5.7.1 message content rejected", {"header_checks": "regexp:{{/^Subject:/ REJECT}}"}),
]
LATER = "Temporary local problem - please try later"
EXIM = [
    Play("RCPT", "550 Unrouteable address", {"known": "bob"}),
    Play(
        "RCPT",
        "550-Verification failed for <security@example.com> / 550-Unrouteable address / 550 Sender verify failed",
        {"rcpt": "  require verify = sender", "known": "ada"},
    ),
    Play("RCPT", f"451 {LATER}", {"rcpt": "  deny condition = ${lookup{x}lsearch{/nonexistent}}"}),
    Play("RCPT", "550 relay not permitted", {"domains": "example.com"}),
    Play(
        "RCPT",
        "550 rejected because 10.5.1.20 is in a black list",
        {"rcpt": "  deny message = rejected because 10.5.1.20 is in a black list"},
    ),
    Play(
        "RCPT",
        "451 Sender rate 101.0 in 1h",
        {"rcpt": "  defer message = Sender rate 101.0 in $sender_rate_period\n    ratelimit = 0 / 1h / strict"},
    ),
    Play("RCPT", "550 Administrative prohibition", {"rcpt": "  deny"}),
    Play("before RCPT", "421 Too many concurrent SMTP connections; please try again later.", {"smtp_accept_max": "1"}, connections=2),
    Play(
        "before RCPT",
        "421 Too many concurrent SMTP connections from this IP address; please try again later.",
        {"smtp_accept_max_per_host": "1"},
        connections=2,
    ),
    Play("before RCPT", "452 Space shortage, please try later", {"check_spool_space": "99999999M"}),
    Play("before RCPT", "552 Message size exceeds maximum permitted", {"message_size_limit": "2000"}),
    Play("after the data", "550 Administrative prohibition", {"data": "  deny"}),
    Play("after the data", f"451 {LATER}", {"data": "  defer"}),
]
CALLED = (
    "550-Verification failed for <security@example.com> / 550-Called:   127.0.0.1 / 550-Sent:     RCPT TO:<security@example.com> / "
    "550-Response: 550 5.1.1 User unknown / 550 Sender verify failed"
)
NOT_CALLED = "451 Could not complete sender verify callout"
ELSEWHERE = {
    "450 4.1.8 <security@example.com>: Sender address rejected: Domain not found": "asks the DNS",
    "553 5.7.1 <security@example.com>: Sender address rejected: not owned by user relay": "needs a sign-in, which Postfix leaves to others",
    "450 4.7.1 Client host rejected: cannot find your hostname, [192.0.2.1]": "is how older releases said it",
}
"""Lines of Postfix and Exim that are not heard here, and why."""
WORDS = {(server, where, said): is_about for server, where, said, is_about in LINE.findall(PAGE)}


def one_line(said: str) -> str:
    """A line of the page as a receipt has it."""
    first, *others = said.split(" / ")
    return " ".join(" ".join([first.replace("-", " ", 1) if others else first, *(line[4:] for line in others)]).split())


def heard(server: MailServer, play: Play) -> str:
    """The last words of the server, as the page writes them."""
    with contextlib.ExitStack() as stack:
        try:
            *_, connection = [stack.enter_context(transport(server.port).connect()) for _ in range(play.connections)]
        except MailServerError as error:
            reply = error.what.partition("it answered ")[2].removesuffix(" as its greeting.")
        else:
            *_, receipt = [connection.send(compose(to=play.to)) for _ in range(play.letters)]
            assert receipt.refusal == about(WHERE[play.where], play.said)
            reply = receipt.reply
    for here, there in (
        (r"localhost\[127\.0\.0\.1\]", "mail.example.net[192.0.2.1]"),
        (r"(from |hostname, \[)127\.0\.0\.1", r"\g<1>192.0.2.1"),
        (r"<[^<>@]+>: Helo", "<[127.0.0.1]>: Helo"),  # the name of the machine that runs the test
    ):
        reply = re.sub(here, there, reply)
    return reply


@pytest.mark.parametrize("play", POSTFIX, ids=lambda play: play.said)
def test_postfix_says_what_the_page_says(play: Play, postfix: Serving) -> None:
    assert ("Postfix", play.where, play.said) in WORDS
    with postfix(**play.settings) as server:
        assert heard(server, play) == one_line(play.said)


@pytest.mark.parametrize("play", EXIM, ids=lambda play: play.said)
def test_exim_says_what_the_page_says(play: Play, exim: Serving) -> None:
    assert ("Exim", play.where, play.said) in WORDS
    with exim(**play.settings) as server:
        assert heard(server, play).rstrip(".") == one_line(play.said).rstrip(".")  # a sentence of ours ends there


CALLING = """\
asked:
  driver = manualroute
  domains = example.com
  route_list = * 127.0.0.1
  self = send
  transport = asking
"""
ASKING = """\
asking:
  driver = smtp
  port = {port}
  allow_localhost
"""


def test_exim_that_asks_the_senders_own_server_says_what_the_page_says(exim: Serving) -> None:
    asks = {"rcpt": "  require verify = sender/callout=2s", "routers": CALLING}
    with ScriptedSmtp(rcpt="550 5.1.1 User unknown") as own, exim(**asks, transports=ASKING.format(port=own.port)) as server:
        refused = heard(server, Play("RCPT", CALLED))
    assert refused == one_line(CALLED)
    with exim(**asks, transports=ASKING.format(port=free_port())) as server:
        assert heard(server, Play("RCPT", NOT_CALLED)) == NOT_CALLED


def test_every_line_of_postfix_and_exim_is_heard_from_them_or_has_a_reason() -> None:
    heard_here = {("Postfix", play.where, play.said) for play in POSTFIX} | {("Exim", play.where, play.said) for play in EXIM}
    heard_here |= {("Exim", "RCPT", said) for said in (CALLED, NOT_CALLED)}
    lines = {line for line in WORDS if line[0] in ("Postfix", "Exim")}
    assert {said for *_, said in lines - heard_here} == set(ELSEWHERE)


ODD = "".join(
    f"{line}\r\n"
    for line in (".", "..", "...dots", "", "x" * 1500, "a line\u2028separator", "trailing blanks  ", "\ttab", "From here", "last", ".")
)


def odd(to: str = "ada@example.org") -> Letter:
    """A letter whose lines are those that servers stumble over."""
    letter = compose(to=to)
    head, _, _ = letter.message.partition(b"\r\n\r\n")
    return whole(letter, head + b"\r\n\r\n" + ODD.encode())


@pytest.mark.parametrize(
    ("name", "settings"), [("postfix", {"smtpd_forbid_bare_newline": "yes"}), ("exim", {}), ("exim", {"smtp_enforce_sync": "true"})]
)
def test_a_server_that_refuses_bare_newlines_takes_every_letter_as_it_is(
    name: str, settings: dict[str, str], request: pytest.FixtureRequest
) -> None:
    serving: Serving = request.getfixturevalue(name)
    with serving(**settings) as server:
        with transport(server.port).connect() as connection:
            letters = [compose(to="ada@example.org"), odd(), compose(to="bob@example.org")]
            assert [connection.send(letter).verdict for letter in letters] == ["sent"] * 3
        until = time.monotonic() + 10
        while len(server.letters()) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        assert sorted(server.letters()) == sorted(letter.message for letter in letters)


@pytest.mark.parametrize(("name", "settings"), [("postfix", {"smtputf8_enable": "no"}), ("exim", {"smtputf8_advertise_hosts": ""})])
def test_an_address_outside_ascii_goes_to_servers_that_take_it_alone(
    name: str, settings: dict[str, str], request: pytest.FixtureRequest
) -> None:
    serving: Serving = request.getfixturevalue(name)
    letter = compose(to="jürgen@example.org")
    with serving() as server, transport(server.port).connect() as connection:
        assert connection.send(letter).verdict == "sent"
    with serving(**settings) as server, transport(server.port).connect() as connection:
        receipt = connection.send(letter)
        assert (receipt.verdict, receipt.refusal) == ("permanent", NOT_ASKED)
        assert connection.send(compose(to="ada@example.org")).verdict == "sent"
        assert "jürgen" not in server.log()


def test_postfix_that_wants_tls_first_is_told_from_one_that_wants_a_sign_in(postfix: Serving) -> None:
    with postfix(smtpd_tls_security_level="encrypt") as server, transport(server.port).connect() as connection:
        with pytest.raises(
            MailServerError, match=r"wants an encrypted connection first: 530 5\.7\.0 Must issue a STARTTLS command first"
        ) as told:
            connection.send(compose(to="ada@example.org"))
        assert "Set security = 'starttls'" in str(told.value)
