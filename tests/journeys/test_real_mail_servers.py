"""Refusals of Debian's Postfix and Exim, heard by the installed command, and what the ledger holds afterwards (design §11)."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import AbstractContextManager
from typing import Any

import pytest
from journeys.test_delivery import T30, by_smtp, hired
from journeys.test_refused import attempts, marked
from mail_peers import MailServer, Serving
from office import Done, Office
from variants import covering

SENDER = {
    "postfix": {"smtpd_reject_unlisted_sender": "yes", "local_recipient_maps": "regexp:{{!/^security@/ yes}}"},
    "exim": {"rcpt": "  require verify = sender", "known": "!security : *"},
}
FEW_CONNECTIONS = {"postfix": {"smtpd_client_connection_count_limit": "2"}, "exim": {"smtp_accept_max_per_host": "2"}}
FEW_LETTERS = {
    "postfix": {"smtpd_hard_error_limit": "3", "smtpd_soft_error_limit": "3", "smtpd_error_sleep_time": "0"},
    "exim": {"smtp_accept_max_per_connection": "7"},
}
BLACK = "rejected because 10.5.1.20 is in a black list"
BOTH = pytest.mark.parametrize("name", ["postfix", "exim"])


class Post:
    """A real mail server by its name, started anew with each set of settings."""

    def __init__(self, request: pytest.FixtureRequest, name: str) -> None:
        self._serving: Serving = request.getfixturevalue(name)

    def __call__(self, **settings: str) -> AbstractContextManager[MailServer]:
        return self._serving(**settings)


def delivered(office: Office, server: MailServer, *command: str, **smtp: Any) -> Done:
    by_smtp(office, server.port, **smtp)
    office.write()
    return office.migrate(*(command or ("run", "--as-of", T30)), "--json")


def taken(server: MailServer, letters: int) -> Counter[bytes]:
    """How often the server took each letter, by its Message-ID, once it has put down so many."""
    until = time.monotonic() + 10
    while len(found := server.letters()) < letters and time.monotonic() < until:
        time.sleep(0.05)
    return Counter(line for letter in found for line in letter.split(b"\r\n") if line.startswith(b"Message-ID:"))


def at(hour: int) -> tuple[str, ...]:
    return ("send", "--as-of", f"2024-01-02T{hour:02}:00")


@BOTH
def test_a_sender_that_is_refused_marks_nobody_and_once_it_is_mended_all_are_told_once(
    name: str, office: Office, request: pytest.FixtureRequest
) -> None:
    post = Post(request, name)
    hired(office, 40)
    with post(**SENDER[name]) as server:
        done = delivered(office, server)
        assert (done.code, "refuses our sender's address security@example.com" in done.err) == (6, True)
        assert delivered(office, server, *at(9)).code == 6
        assert taken(server, 0) == {}
    assert (marked(office), attempts(office)) == (0, {("queued", 0): 40})
    with post() as server:
        assert [delivered(office, server, *at(hour)).code for hour in (12, 20)] == [0, 0]
        assert Counter(taken(server, 40).values()) == {1: 40}
    assert (marked(office), attempts(office)) == (0, {("sent", 1): 40})


@BOTH
def test_dead_addresses_keep_no_living_one_from_a_letter(name: str, office: Office, request: pytest.FixtureRequest) -> None:
    """Postfix hangs up after three of them, and tells of each by its status; Exim gives none, so nobody is marked there."""
    for n in range(40):
        office.hire(f"gone{n:03}", "sms")
    hired(office, 30)
    with Post(request, name)(**FEW_LETTERS[name]) as server:
        done = delivered(office, server, connections=1)
        assert (done.code, done.facts["letters"]["sent"], done.facts["letters"]["failed"]) == (5, 30, 40)
        assert Counter(taken(server, 30).values()) == {1: 30}
    assert marked(office) == {"postfix": 40, "exim": 0}[name]
    assert attempts(office) == {("failed", 1): 40, ("sent", 1): 30}


@BOTH
def test_connections_that_are_one_too_many_close_and_no_letter_loses_a_try(
    name: str, office: Office, request: pytest.FixtureRequest
) -> None:
    hired(office, 60)
    with Post(request, name)(**FEW_CONNECTIONS[name]) as server:
        done = delivered(office, server, connections=4)
        assert (done.code, done.err) == (0, "")
        assert Counter(taken(server, 60).values()) == {1: 60}
        assert {"postfix": "Connection concurrency limit exceeded", "exim": "refused: too many connections"}[name] in server.log()
    assert attempts(office) == {("sent", 1): 60}


def test_a_server_that_hangs_up_after_seven_letters_gets_every_letter_once(office: Office, exim: Serving) -> None:
    hired(office, 60)
    with exim(smtp_accept_max_per_connection="7") as server:
        assert delivered(office, server, connections=2).code == 0
        assert Counter(taken(server, 60).values()) == {1: 60}
        assert server.log().count("too many messages in one connection") > 0
    assert attempts(office) == {("sent", 1): 60}


@pytest.mark.parametrize("what", ["message", "recipient"])
def test_a_limit_on_what_we_send_costs_no_letter_a_try(what: str, office: Office, postfix: Serving) -> None:
    hired(office, 40)
    with postfix(**{f"smtpd_client_{what}_rate_limit": "25"}) as server:
        done = delivered(office, server, connections=1)
        assert (done.code, done.facts["letters"]["sent"], done.facts["letters"]["queued"]) == (6, 25, 15)
        assert f"450 4.7.1 Error: too {'much mail' if what == 'message' else 'many recipients'} from" in done.err
        first = taken(server, 25)
    assert attempts(office) == {("sent", 1): 25, ("queued", 0): 15}
    with postfix() as server:
        assert delivered(office, server, *at(20)).code == 0
        assert Counter((first + taken(server, 15)).values()) == {1: 40}


REFUSALS = [
    ("exim", {"rcpt": f"  deny message = {BLACK}"}, f"550 {BLACK}"),
    ("exim", {"domains": "example.org"}, "550 relay not permitted"),
    ("postfix", {"smtpd_client_restrictions": "check_client_access static:reject"}, "554 5.7.1 <localhost[127.0.0.1]>: Client host"),
    (
        "postfix",
        {"mydestination": "", "mynetworks": "192.0.2.0/24", "smtpd_relay_restrictions": "defer_unauth_destination"},
        "454 4.7.1",
    ),
    (
        "postfix",
        {"smtpd_peername_lookup": "no", "smtpd_client_restrictions": "reject_unknown_client_hostname"},
        "450 4.7.25 Client host rejected",
    ),
    ("postfix", {"header_checks": "regexp:{{/^Subject:/ REJECT}}"}, "550 5.7.1 message content rejected"),
    ("postfix", {"queue_minfree": "99999999999999"}, "452 4.3.1 Insufficient system storage"),
    ("exim", {"check_spool_space": "99999999M"}, "452 Space shortage"),
]
"""Whose server, its settings, and what it says."""


@pytest.mark.parametrize(("people", "refusal"), covering([3, 40], REFUSALS))
def test_a_server_that_refuses_us_is_exit_6_and_no_letter_is_lost_however_few_there_are(
    refusal: tuple[str, dict[str, str], str], people: int, office: Office, request: pytest.FixtureRequest
) -> None:
    name, settings, says = refusal
    post = Post(request, name)
    hired(office, people)
    with post(**settings) as server:
        done = delivered(office, server)
        assert (done.code, says in done.err) == (6, True), done.err
    assert (marked(office), attempts(office)) == (0, {("queued", 0): people})
    with post() as server:
        assert delivered(office, server, *at(20)).code == 0
        assert Counter(taken(server, people).values()) == {1: people}


def test_a_letter_refused_after_the_data_has_failed_and_marks_nobody(office: Office, exim: Serving) -> None:
    hired(office, 9)
    office.hire("xaver", "sms")
    with exim(data="  deny condition = ${if eq{$recipients}{xaver@example.com}}") as server:
        done = delivered(office, server)
        assert (done.code, done.facts["letters"]["sent"], done.facts["letters"]["failed"]) == (5, 9, 1)
    assert (marked(office), attempts(office)) == (0, {("sent", 1): 9, ("failed", 1): 1})
    (row,) = [row for row in office.report("notices") if row["state"] == "failed"]
    assert (row["account_id"], row["reply"]) == ("xaver", "550 Administrative prohibition")


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("exim", {"data": "  defer"}),
        ("exim", {"rcpt": "  deny condition = ${lookup{x}lsearch{/nonexistent}}"}),
        ("postfix", {"smtpd_recipient_restrictions": "check_recipient_access static:{defer_if_permit Greylisted}"}),
    ],
)
def test_a_letter_that_is_put_off_has_used_a_try_and_goes_later(
    name: str, settings: dict[str, str], office: Office, request: pytest.FixtureRequest
) -> None:
    post = Post(request, name)
    hired(office, 8)
    with post(**settings) as server:
        delivered(office, server)
    assert (marked(office), attempts(office)) == (0, {("queued", 1): 8})
    with post() as server:
        assert delivered(office, server, *at(20)).code == 0
        assert Counter(taken(server, 8).values()) == {1: 8}
    assert attempts(office) == {("sent", 2): 8}


@pytest.mark.parametrize(("name", "settings"), [("postfix", {"smtputf8_enable": "no"}), ("exim", {"smtputf8_advertise_hosts": ""})])
def test_addresses_that_a_server_cannot_be_told_keep_nobody_else_from_a_letter(
    name: str, settings: dict[str, str], office: Office, request: pytest.FixtureRequest
) -> None:
    for n in range(25):
        office.hire(f"a{n:03}", "sms", mail=f"jürgen{n:03}@example.com")
    hired(office, 5)
    with Post(request, name)(**settings) as server:
        done = delivered(office, server, connections=1)
        assert (done.code, done.facts["letters"]["sent"], done.facts["letters"]["failed"]) == (5, 5, 25)
        assert Counter(taken(server, 5).values()) == {1: 5}
    assert marked(office) == 0
