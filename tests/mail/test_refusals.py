"""`docs/refusals.md`, line by line, and the rules that no line of it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from migrate.mail.refusals import Phase, Refusal, enhanced_status, refusal, wording

PAGE = (Path(__file__).parents[2] / "docs" / "refusals.md").read_text(encoding="utf-8")
LINE = re.compile(r"^\| ([^|]+) \| (before RCPT|RCPT|DATA|after the data) \| `([^|]+)` \| ([^|]+) \|$", re.MULTILINE)
WHERE: dict[str, Phase] = {"before RCPT": "mail", "RCPT": "rcpt", "DATA": "data", "after the data": "end"}
SERVERS = {"Exchange Online", "Gmail", "Postfix", "Exim", "Amazon SES", "Mimecast", "Proofpoint", "others"}


def about(phase: Phase, said: str, *, sender: str = "security@example.com", to: str = "ada@example.org") -> Refusal:
    lines = said.split(" / ")
    return refusal(phase, int(lines[-1][:3]), "\n".join(line[4:] for line in lines), sender=sender, to=to)


def test_the_page_has_lines_of_every_server() -> None:
    found = LINE.findall(PAGE)
    assert {server for server, *_ in found} == SERVERS
    assert len(found) == PAGE.partition("## As servers say it")[2].count("\n| ") - 2


@pytest.mark.parametrize(("where", "said", "is_about"), [line[1:] for line in LINE.findall(PAGE)])
def test_a_refusal_is_about_what_the_page_says(where: str, said: str, is_about: str) -> None:
    found = about(WHERE[where], said)
    more = [word for word in ("limited", "alone") if getattr(found, word) and found.about != "recipient"]
    assert ", ".join([found.about, *more]) == is_about


@pytest.mark.parametrize("status", ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"])
def test_only_in_answer_to_rcpt_is_an_address_dead(status: str) -> None:
    assert about("rcpt", f"550 {status} no") == Refusal("recipient", alone=True)
    assert about("mail", f"550 {status} no") == Refusal("server")
    for phase in ("data", "end"):
        assert about(phase, f"550 {status} no") == Refusal("letter", alone=True)
    assert about("rcpt", f"450 4{status[1:]} not now") == Refusal("letter", alone=True)


@pytest.mark.parametrize("status", ["5.1.4", "5.1.5", "5.1.9", "5.2.2", "5.0.0", "5.5.0"])
def test_no_other_status_makes_an_address_dead(status: str) -> None:
    assert about("rcpt", f"550 {status} no").about == "letter"


@pytest.mark.parametrize(
    "said", ["550 5.1.1 <security@example.com>: unknown", "550 5.1.1 unknown: SECURITY@Example.com", "550 5.1.1 Sender rejected"]
)
def test_a_status_of_a_recipient_that_names_our_sender_is_about_us(said: str) -> None:
    assert about("rcpt", said) == Refusal("server", sender="security@example.com")


@pytest.mark.parametrize("to", ["it-security@example.com", "security@example.com.au", "security@example.com"])
def test_a_recipient_whose_address_holds_the_senders_is_still_the_recipient(to: str) -> None:
    assert about("rcpt", f"550 5.1.1 <{to}>: Recipient address rejected: User unknown", to=to).about == "recipient"


@pytest.mark.parametrize("to", ["daily.limit@example.org", "spamhaus@example.org", "sender-rejected@example.org", "rate.limit@example.org"])
def test_words_in_the_recipients_own_address_say_nothing(to: str) -> None:
    assert about("rcpt", f"450 4.2.0 <{to}>: Recipient address rejected: Greylisted", to=to) == Refusal("letter")
    assert about("rcpt", f"550 <{to.title()}>: unknown user", to=to) == Refusal("letter", alone=True)


@pytest.mark.parametrize(
    "words",
    [
        "User <ada@example.org> unknown",
        "User ada unknown",
        "#5.1.0 Address rejected.",
        "Recipient <ada@example.org> not found",
        "ada@example.org: user does not exist",
        "<ada@example.org> is not a valid mailbox",
        "account has been disabled",
        "no such account",
        "<ada@example.org> over quota",
    ],
)
def test_an_address_that_words_call_dead_keeps_no_other_letter(words: str) -> None:
    assert about("rcpt", f"550 {words}") == Refusal("letter", alone=True)
    assert about("end", f"550 {words}") == Refusal("letter")


@pytest.mark.parametrize(
    "words",
    [
        "Daily quota exceeded",
        "Hourly limit exceeded",
        "You have reached your daily email limit at host.example.net",
        "Too many messages. Try again in 92 seconds",
        "Maximum credits exceeded",
        "maximum of 500 emails per hour for this account",
        "Mailbox security@example.com has exceeded the max emails per hour",
        "Your mailbox has reached its sending limit",
        "Your account has been suspended",
    ],
)
def test_a_limit_on_what_we_send_is_ours_whatever_code_and_place_it_has(words: str) -> None:
    for phase in ("rcpt", "data", "end"):
        for code in ("550", "550 5.0.0", "554 5.2.0", "450 4.2.0", "451"):
            assert about(phase, f"{code} {words}").about == "server", (phase, code)


@pytest.mark.parametrize(
    "said",
    [
        "552 5.2.3 Your message exceeded the size limit of this hour",
        "552 5.2.2 Mail quota exceeded",
        "452 4.2.2 e-mail quota exceeded",
        "550 5.2.0 This mailbox can receive 100 messages per hour",
        "550 5.4.6 Too many hops",
        "550 message from security@example.com looks like spam",
        "452 4.5.3 Too many recipients",
    ],
)
def test_a_limit_that_is_not_on_what_we_send_is_the_letters(said: str) -> None:
    assert about("end", said).about == "letter"
    assert about("rcpt", "552 Mail quota exceeded for this user").about == "letter"


@pytest.mark.parametrize(
    ("code", "text", "status"),
    [
        (550, "5.1.1 no", "5.1.1"),
        (550, "5.1.1", "5.1.1"),
        (550, "first line\n5.1.1 second", "5.1.1"),
        (550, "rejected because 10.5.1.20 is in a black list", None),
        (550, "no (5.1.1)", None),
        (550, "5.1.1.7 is listed", None),
        (550, "4.1.1 of another class", None),
        (450, "4.1.1 later", "4.1.1"),
        (250, "2.0.0 queued", "2.0.0"),
        (550, "", None),
    ],
)
def test_a_status_stands_directly_behind_the_reply_code(code: int, text: str, status: str | None) -> None:
    assert enhanced_status(code, text) == status


def test_of_a_very_long_answer_the_beginning_counts() -> None:
    assert about("rcpt", "550 relay not permitted" + " client host" * 80_000).about == "server"
    assert about("rcpt", "550 too many" + " client host" * 80_000 + " blocked").about == "letter"


def test_words_are_the_same_whatever_address_and_number_stand_in_them() -> None:
    first = wording("550 <ada@example.org>: refused by rule 17 (4Tx9)", "ada@example.org")
    assert first == wording("550 <Bob@example.net>: refused by rule 18 (7Qr2)", "bob@example.net")
    assert first != wording("550 <bob@example.net>: refused for its words", "bob@example.net")
    assert wording("550 no such thing", "o@example.org") == "… no such thing"
