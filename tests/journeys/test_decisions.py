"""What people decide, and what the next run makes of it."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cast import at
from office import Office
from variants import soak

from migrate.decide.draft import Draft, draft
from migrate.ledger.engine import Ledger, LedgerSettings
from migrate.outbox.claims import Bounce, Claims, SettledAs, Settlement
from migrate.run import path

T30, T29, T28, T14 = "2024-01-02T06:00", "2024-01-03T06:00", "2024-01-04T06:00", "2024-01-18T06:00"
WHY = ("--reason", "the relay's log", "--by", "jo")


def stuck(office: Office, verdict: SettledAs, bounce: Bounce | None = None) -> str:
    """Queues ada's T-30 letter and lets a worker settle it as it likes: the letter's reference."""
    office.run(T30, "--no-send")
    with Ledger.open(LedgerSettings(url=f"sqlite:///{office.folder / 'migrate.db'}"), create=False) as ledger:
        worker = Claims(ledger, 1, "a-worker")
        (letter,) = worker.exchange([], at("2024-01-02 15:00")).begun
        worker.settle(letter, Settlement(verdict, reply="550 no", bounce=bounce), at("2024-01-02 15:01"))
    return letter.reference


def asked(office: Office, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(office.folder / "migrate.db")) as database:
        return database.execute(sql).fetchall()


@pytest.fixture
def ada(office: Office) -> Office:
    office.hire("ada", "sms")
    return office


@pytest.mark.parametrize("verdict", ["failed", "uncertain"])
def test_a_letter_sent_again_is_the_same_letter_and_goes_out_once(ada: Office, verdict: SettledAs) -> None:
    reference = stuck(ada, verdict)
    ((message_id,),) = asked(ada, "SELECT message_id FROM letter")
    done = ada.migrate("resend", f"{reference[:4].lower()}-{reference[4:]}", *WHY, "--as-of", "2024-01-02T08:00")
    assert done.code == 0, done.err
    assert f"Letter {reference} (reminder T-30) to ada@example.com was {verdict} and is queued again.\n" in done.out
    assert ("gets it twice" in done.out) == (verdict == "uncertain")
    assert ada.migrate("send", "--as-of", "2024-01-02T09:00").code == 0
    assert ada.run(T29)["outcomes"] == {"nothing_due": 1}
    assert ada.migrate("ledger", "check", "--quiet").out == ""
    (mail,) = ada.mails()
    assert (mail["Message-ID"], mail["X-Migrate-Reference"]) == (message_id, reference)


def test_a_decision_is_in_the_history_and_in_the_reports_with_who_made_it_and_why(ada: Office) -> None:
    reference = stuck(ada, "uncertain")
    done = ada.migrate(
        "settle", reference, "--sent", "--reason", " seen in\nthe mailbox ", "--by", "jo", "--json", "--as-of", "2024-01-02T08:00"
    )
    assert done.facts == {
        "reference": reference, "account_id": "ada", "kind": "reminder", "occasion": "T-30", "to": "ada@example.com", "was": "uncertain",
        "state": "sent", "by": "jo", "reason": "seen in the mailbox", "cleared": None,
    }  # fmt: skip
    assert asked(ada, "SELECT actor, from_state, to_state, reason FROM letter_event ORDER BY id DESC LIMIT 1") == [
        ("jo", "uncertain", "sent", "seen in the mailbox")
    ]
    assert ada.run(T29)["outcomes"] == {"nothing_due": 1}
    (row,) = ada.report("notices")
    assert (row["state"], row["reason"]) == ("sent", "seen in the mailbox")
    assert ada.mails() == []


def test_without_a_name_the_login_name_is_written_down(ada: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "operator")
    reference = stuck(ada, "failed")
    assert ada.migrate("resend", reference, "--reason", "mended", "--json", "--as-of", T30).facts["by"] == "operator"


@pytest.mark.parametrize(
    ("verdict", "command", "says"),
    [
        ("sent", "resend", "a letter that is sent cannot become queued"),
        ("sent", "settle", "a letter that is sent cannot become sent"),
        ("failed", "settle", "a letter that is failed cannot become sent"),
        ("released", "resend", "a letter that is queued cannot become queued"),
        ("withdrawn", "resend", "this letter is withdrawn"),
    ],
)
def test_a_letter_in_any_other_state_is_refused_and_nothing_changes(ada: Office, verdict: SettledAs, command: str, says: str) -> None:
    reference = stuck(ada, verdict)
    before = asked(ada, "SELECT * FROM letter")
    done = ada.migrate(command, reference, *(["--sent"] if command == "settle" else []), *WHY, "--as-of", T30)
    assert (done.code, done.out) == (2, "")
    assert f"letter {reference}: {says}; nothing was changed." in done.err
    assert asked(ada, "SELECT * FROM letter") == before


def test_whoever_sends_to_a_dead_address_again_says_that_it_lives_and_the_next_run_writes_there(ada: Office) -> None:
    reference = stuck(ada, "failed", bounce=Bounce("5.1.1", at("2024-04-01 00:00")))
    assert ada.run(T29)["outcomes"] == {"nothing_due": 1}
    done = ada.migrate("resend", reference, *WHY, "--as-of", "2024-01-03T08:00")
    assert "The address counted as dead (5.1.1), and does so no more.\n" in done.out
    assert ada.migrate("send", "--as-of", "2024-01-03T09:00").code == 0
    assert ada.run(T14)["outcomes"] == {"queued": 1}
    assert ada.told() == [("ada@example.com", "T-14"), ("ada@example.com", "T-30")]


def test_what_is_not_sent_again_leaves_a_dead_address_dead(ada: Office) -> None:
    reference = stuck(ada, "failed", bounce=Bounce("5.1.1", at("2024-04-01 00:00")))
    exempted(ada, "2024-03-01")
    assert ada.migrate("resend", reference, *WHY, "--as-of", T30).code == 2
    assert asked(ada, "SELECT cleared_at FROM bounce") == [(None,)]


def test_a_reminder_that_went_to_the_new_address_is_not_sent_again_to_the_old_one(ada: Office) -> None:
    reference = stuck(ada, "failed")
    ada.change("ada", mail="ada@new.example")
    ada.run("2024-01-02T18:00")
    assert ada.told() == [("ada@new.example", "T-30")]
    done = ada.migrate("resend", reference, *WHY, "--as-of", T29)
    assert done.code == 2
    assert f"letter {reference} would be pointless: the same was written to ada@new.example and is sent; nothing was changed." in done.err
    assert asked(ada, "SELECT state FROM letter ORDER BY id") == [("failed",), ("sent",)]


def test_a_letter_nobody_wrote_is_refused(ada: Office) -> None:
    ada.run(T30)
    done = ada.migrate("resend", "ZZZZ-2222", *WHY, "--as-of", T30)
    assert done.code == 2
    assert "there is no letter ZZZZ2222" in done.err


def test_settle_asks_what_was_found(ada: Office) -> None:
    reference = stuck(ada, "uncertain")
    done = ada.migrate("settle", reference, *WHY, "--as-of", T30)
    assert done.code == 2
    assert f"`migrate resend {reference}`" in done.err


def test_a_decision_needs_a_reason_that_says_something(ada: Office) -> None:
    reference = stuck(ada, "failed")
    assert ada.migrate("resend", reference).code == 2
    done = ada.migrate("resend", reference, "--reason", "  ", "--by", "jo", "--as-of", T30)
    assert "--reason: is missing or says nothing. Type --reason and why" in done.err
    assert asked(ada, "SELECT state FROM letter") == [("failed",)]


def _switches(office: Office) -> str:
    office.change("ada", mfa="totp")
    office.run(T29, "--no-send")
    return T29


def _leaves(office: Office) -> str:
    office.leave("ada")
    office.hire("bob", "totp")
    office.run(T29, "--no-send")
    return T29


def _is_exempt(office: Office) -> str:
    office.migrate("exempt", "add", "ada", "--until", "2024-01-20", "--owner", "ciso", *WHY, "--as-of", T29)
    return T29


def _is_paused(office: Office) -> str:
    office.migrate("pause", "add", "ada", "--until", "2024-01-20", "--owner", "ciso", *WHY, "--as-of", T29)
    return T29


def _has_a_newer_one(office: Office) -> str:
    office.run(T14)
    return T14


def _is_succeeded(office: Office) -> str:
    _leaves(office)
    office.hire("ada", "sms", login="another", mail="another@example.com")
    office.run(T28, "--no-send")
    return T28


def _is_late(office: Office) -> str:
    return "2024-02-01T09:00"


@pytest.mark.parametrize(
    ("meanwhile", "says"),
    [
        (_switches, "its account is migrated by now and is not reminded"),
        (_leaves, "its account is gone from the directory"),
        (_is_exempt, "its account is exempt until 2024-01-20"),
        (_is_paused, "its account has its mail paused until 2024-01-20"),
        (_has_a_newer_one, "a newer one, T-14, is sent"),
        (_is_succeeded, "it was written to somebody who had this account's id before"),
        (_is_late, "the cutoff it speaks of has passed"),
    ],
)
def test_a_reminder_that_is_no_longer_true_is_not_sent_again(ada: Office, meanwhile: Callable[[Office], str], says: str) -> None:
    reference = stuck(ada, "failed")
    ada.safety = "max_shrink = 1.0"
    when = meanwhile(ada)
    done = ada.migrate("resend", reference, *WHY, "--as-of", when)
    assert done.code == 2
    assert f"letter {reference} would be pointless: {says}; nothing was changed." in done.err
    assert asked(ada, f"SELECT state FROM letter WHERE reference = '{reference}'") == [("failed",)]


@pytest.mark.parametrize("verdict", ["failed", "uncertain"])
def test_a_letter_to_a_domain_that_is_not_allowed_any_more_is_not_sent_again(ada: Office, verdict: SettledAs) -> None:
    """A confirmation neither: nobody there is written to."""
    ada.hire("bob", mail="bob@EXAMPLE.com")
    ada.run("2023-12-01T06:00")
    reference = stuck(ada, verdict)
    ada.change("ada", mfa="totp")
    ada.run(T29, "--no-send")
    with contextlib.closing(sqlite3.connect(ada.folder / "migrate.db")) as ledger, ledger:
        ledger.execute("UPDATE letter SET state = ?, reply = '550 no', settled_at = 1 WHERE state = 'queued'", (verdict,))
    (confirmation,) = [each for (each,) in asked(ada, "SELECT reference FROM letter WHERE kind = 'change_confirmation'")]
    before = asked(ada, "SELECT reference, state FROM letter ORDER BY id")
    ada.safety = 'allowed_domains = ["example.org"]'
    ada.write()
    for each in (reference, confirmation):
        done = ada.migrate("resend", each, *WHY, "--as-of", T29)
        assert done.code == 2
        assert "it is to example.com, which [safety] allowed_domains does not have; nothing was changed." in done.err
    many = ada.migrate("resend", "--state", verdict, "--reply", "no", "--yes", "--json", *WHY, "--as-of", T29)
    assert (many.code, many.facts["queued"], many.facts["left"]) == (0, 0, {"domain_not_allowed": 3})
    assert asked(ada, "SELECT reference, state FROM letter ORDER BY id") == before
    ada.safety = 'allowed_domains = ["Example.COM"]'
    ada.write()
    assert ada.migrate("resend", confirmation, *WHY, "--as-of", T29).code == 0


def exempted(office: Office, until: str, as_of: str = T30, account: str = "ada", command: str = "exempt") -> str:
    done = office.migrate(command, "add", account, "--until", until, "--owner", "Jo  Grant", *WHY, "--as-of", as_of)
    assert done.code == 0, done.err
    return done.out


def test_an_exemption_changes_the_next_run_and_its_end_the_one_after(ada: Office) -> None:
    ada.run("2023-12-20T06:00")
    said = exempted(ada, "2024-01-02")
    assert said.startswith("ada is exempt until 2024-01-02; owner Jo Grant: the relay's log\n")
    assert "ends before the cutoff" in said
    assert ada.run(T30)["outcomes"] == {"exempt": 1}
    assert ada.run(T29)["outcomes"] == {"queued": 1}
    (row,) = ada.report("exemptions")
    assert (row["account_id"], row["until"], row["owner"], row["reason"]) == ("ada", "2024-01-02", "Jo Grant", "the relay's log")


@pytest.mark.parametrize(("until", "effect"), [("2024-01-31", "loses_second_step"), ("2024-02-01", "unaffected")])
def test_an_exemption_helps_at_the_cutoff_only_if_it_outlasts_it(ada: Office, until: str, effect: str) -> None:
    ada.run("2023-12-20T06:00")
    assert ("ends before the cutoff" in exempted(ada, until)) == (effect != "unaffected")
    ada.run(T30)
    (row,) = ada.report("accounts")
    assert (row["standing"], row["exempt_until"], row["at_cutoff"]) == ("exempt", until, effect)


@pytest.mark.parametrize(("command", "outcome"), [("exempt", "exempt"), ("pause", "paused")])
def test_what_waits_for_an_account_is_withdrawn_at_once_and_due_again_when_the_exception_is_removed(
    ada: Office, command: str, outcome: str
) -> None:
    ada.run(T30, "--no-send")
    assert "Letters that waited and are withdrawn: 1.\n" in exempted(ada, "2024-01-20", command=command)
    ada.migrate("send", "--as-of", T30)
    assert ada.mails() == []
    assert ada.run("2024-01-02T18:00")["outcomes"] == {outcome: 1}
    done = ada.migrate(command, "remove", "ada@example.com", *WHY, "--as-of", "2024-01-02T19:00")
    assert done.code == 0, done.err
    assert ada.run("2024-01-02T20:00")["outcomes"] == {"queued": 1}
    assert ada.told() == [("ada@example.com", "T-30")]
    assert ada.migrate("ledger", "check", "--quiet").out == ""
    table = "exemption" if command == "exempt" else "pause"
    assert asked(ada, f"SELECT owner, removed_at IS NULL, removed_by, removed_reason FROM {table}") == [("Jo Grant", 0, "jo", WHY[1])]


@pytest.mark.parametrize(
    ("server", "command", "outcome"),
    [
        ("postgres", "exempt", "exempt"),
        soak("postgres", "pause", "paused"),
        soak("mariadb", "exempt", "exempt"),
        ("mariadb", "pause", "paused"),
    ],
)
def test_what_is_granted_while_a_run_decides_holds_for_the_letters_of_that_run(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, server: str, command: str, outcome: str
) -> None:
    office = Office(tmp_path / "office", ledger=request.getfixturevalue(f"{server}_url"))
    office.hire("ada", "sms")
    office.hire("bob", "sms")
    office.run("2023-07-20T06:00")

    def meanwhile(*arguments: Any) -> Draft:
        made = draft(*arguments)
        assert "withdrawn" not in exempted(office, "2024-01-20", command=command)
        return made

    monkeypatch.setattr(path, "draft", meanwhile)
    assert office.run(T30)["letters"] == {"sent": 1, "failed": 0, "uncertain": 0, "withdrawn": 1, "queued": 0}
    monkeypatch.undo()
    assert office.told() == [("bob@example.com", "T-30")]
    assert office.run(T29)["outcomes"] == {outcome: 1, "nothing_due": 1}


def test_neither_a_pause_nor_an_exemption_stops_a_confirmation(ada: Office) -> None:
    ada.hire("bob", "sms")
    ada.run("2023-07-20T06:00")
    exempted(ada, "2024-03-01", as_of="2023-07-20")
    exempted(ada, "2024-03-01", as_of="2023-07-20", account="bob", command="pause")
    for account in ("ada", "bob"):
        ada.change(account, mfa="totp")
    ada.run("2023-07-21T06:00")
    assert ada.told() == [("ada@example.com", "change-1"), ("bob@example.com", "change-1")]


def test_the_longest_of_several_counts_and_the_same_one_is_written_down_once(ada: Office) -> None:
    ada.run(T30, "--no-send")
    exempted(ada, "2024-03-01")
    assert "An earlier exemption lasts until 2024-03-01, and the longest counts." in exempted(ada, "2024-01-20")
    assert "is exempt until 2024-01-20 already;" in exempted(ada, "2024-01-20")
    assert asked(ada, "SELECT until FROM exemption ORDER BY id") == [("2024-03-01",), ("2024-01-20",)]


def test_a_list_shows_first_what_has_ended_then_what_ends_soon(ada: Office) -> None:
    for name in ("bob", "cem"):
        ada.hire(name)
    ada.run("2023-12-20T06:00", "--no-send")
    for account, until in (("ada", "2024-06-30"), ("bob", "2024-01-10"), ("cem", "2024-01-01")):
        exempted(ada, until, as_of="2023-12-21", account=account)
    done = ada.migrate("exempt", "list", "--json", "--as-of", T30)
    assert [(row["account_id"], row["days"], row["expired"]) for row in done.facts["exemptions"]] == [
        ("cem", -1, True), ("bob", 8, False), ("ada", 180, False),
    ]  # fmt: skip
    told = ada.migrate("exempt", "list", "--as-of", T30).out
    assert "Ended, and to be removed or granted anew: 1.\nEnding within 14 days: 1.\n" in told
    assert ada.migrate("pause", "list").out == "There are none.\n"


@pytest.mark.parametrize(
    ("account", "until", "says"),
    [
        ("nobody", "2024-03-01", "no account matches 'nobody'"),
        ("desk@example.com", "2024-03-01", "belongs or belonged to 2 accounts: ada, bob"),
        ("ada", "2024-01-01", "--until: 2024-01-01 is over: today is 2024-01-02."),
        ("ada", "spring", "--until: 'spring' is no day."),
    ],
)
def test_what_cannot_be_granted_is_refused(ada: Office, account: str, until: str, says: str) -> None:
    ada.hire("bob", security_mails="desk@example.com")
    ada.change("ada", security_mails="desk@example.com")
    ada.run(T30, "--no-send")
    done = ada.migrate("exempt", "add", account, "--until", until, "--owner", "ciso", *WHY, "--as-of", T30)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert asked(ada, "SELECT * FROM exemption") == []


def test_today_is_a_day_of_the_campaigns_zone_and_may_be_the_last(ada: Office) -> None:
    ada.run(T30, "--no-send")
    exempted(ada, "2024-01-02", as_of="2024-01-03T07:59:00+00:00")
    done = ada.migrate("exempt", "add", "ada", "--until", "2024-01-02", "--owner", "x", *WHY, "--as-of", "2024-01-03T08:00:00+00:00")
    assert "is over: today is 2024-01-03" in done.err


def test_whoever_explains_an_account_sees_every_decision_on_it_with_who_when_and_why(ada: Office) -> None:
    reference = stuck(ada, "failed")
    assert ada.migrate("resend", reference, "--reason", "mended", "--by", "kim", "--as-of", "2024-01-02T08:00").code == 0
    with Ledger.open(LedgerSettings(url=f"sqlite:///{ada.folder / 'migrate.db'}"), create=False) as ledger:
        worker = Claims(ledger, 1, "another-worker")
        (letter,) = worker.exchange([], at("2024-01-02 16:30")).begun
        worker.settle(letter, Settlement("uncertain"), at("2024-01-02 16:31"))
    assert ada.migrate("settle", reference, "--sent", "--reason", "arrived", "--by", "kim", "--as-of", "2024-01-02T09:00").code == 0
    exempted(ada, "2024-03-01", as_of="2024-01-02T10:00")
    exempted(ada, "2024-01-20", as_of="2024-01-02T11:00", command="pause")
    assert ada.migrate("exempt", "remove", "ada", "--reason", "is back", "--by", "lee", "--as-of", "2024-01-02T12:00").code == 0
    done = ada.migrate("explain", "ada", "--json", "--as-of", T29).facts["decisions"]
    assert [(each["at"][11:16], each["by"], each["decision"], each["about"], each["owner"], each["reason"]) for each in done] == [
        ("16:00", "kim", "resend", reference, None, "mended"),
        ("17:00", "kim", "settle", reference, None, "arrived"),
        ("18:00", "jo", "exempt", "2024-03-01", "Jo Grant", WHY[1]),
        ("19:00", "jo", "pause", "2024-01-20", "Jo Grant", WHY[1]),
        ("20:00", "lee", "exempt remove", "2024-03-01", "Jo Grant", "is back"),
    ]  # fmt: skip
    text = ada.migrate("explain", "ada", "--as-of", T29).out
    assert "2024-01-02 12:00 PST  Decision: exempt remove (2024-03-01) by lee, owner Jo Grant: is back.\n" in text


def test_a_confirmation_that_went_back_by_itself_is_nobodys_decision(ada: Office) -> None:
    ada.run("2023-07-20T06:00")
    ada.change("ada", mfa="totp")
    ada.run("2023-07-21T06:00", "--no-send")
    with Ledger.open(LedgerSettings(url=f"sqlite:///{ada.folder / 'migrate.db'}"), create=False) as ledger:
        worker = Claims(ledger, 1, "a-worker", timedelta(0))
        worker.exchange([], at("2023-07-21 15:00"))
        assert len(worker.sweep(at("2023-07-21 16:00")).requeued) == 1
    assert ada.migrate("explain", "ada", "--json").facts["decisions"] == []


def test_what_was_taken_back_is_listed_and_reported_with_who_did_it_and_why(ada: Office) -> None:
    ada.run(T30)
    exempted(ada, "2024-03-01", as_of="2024-01-02T08:00")
    done = ada.migrate("exempt", "remove", "ada", "--reason", " is\nback ", "--by", "lee", "--json", "--as-of", "2024-01-02T23:00")
    assert done.facts == {"account_id": "ada", "removed": 1, "by": "lee", "reason": "is back"}
    assert ada.migrate("exempt", "list").out == "There are none.\n"
    assert ada.migrate("pause", "list", "--removed").out == "There are none.\n"
    shown = ada.migrate("exempt", "list", "--removed").out
    assert re.search(r"\nada +2024-03-01 +Jo Grant +2024-01-02 +lee +is back\n", shown)
    ada.run(T29)
    (row,) = ada.report("exemptions")
    assert (row["removed_at"], row["removed_by"], row["removed_reason"], row["expired"]) == (
        "2024-01-03T07:00:00Z",
        "lee",
        "is back",
        "false",
    )


def test_an_exception_is_taken_back_with_a_reason_or_not_at_all(ada: Office) -> None:
    ada.run(T30)
    exempted(ada, "2024-03-01")
    for reason, says in ((["--reason", " "], "--reason: says nothing."), ([], "Missing option '--reason'")):
        done = ada.migrate("exempt", "remove", "ada", *reason, "--as-of", T30)
        assert done.code == 2
        assert says in done.err
    assert asked(ada, "SELECT removed_at FROM exemption") == [(None,)]


def test_removing_what_is_not_there_says_so(ada: Office) -> None:
    ada.run(T30)
    done = ada.migrate("pause", "remove", "ada", *WHY, "--as-of", T30)
    assert done.code == 2
    assert "ada has no pause; nothing was changed. `migrate pause list` shows who has one." in done.err


def test_before_the_first_run_there_is_nobody_to_decide_on(ada: Office) -> None:
    ada.write()
    done = ada.migrate("exempt", "add", "ada", "--until", "2024-03-01", "--owner", "x", *WHY)
    assert done.code == 2
    assert "there is no ledger at" in done.err
    assert ada.migrate("exempt", "list").out == "There are none.\n"


def test_a_file_of_exemptions_is_taken_whole_and_only_once(ada: Office) -> None:
    ada.hire("bob")
    ada.run(T30, "--no-send")
    path = ada.folder / "exemptions.csv"
    path.write_text("owner;reason;until;account_id;note\nJo;at sea;2024-03-01;ada;x\nJo;on leave;2024-03-02;bob;\n", encoding="utf-8-sig")
    done = ada.migrate("exempt", "import", str(path), "--by", "jo", "--json", "--as-of", T30)
    assert done.facts == {"added": 2, "already": 0, "withdrawn": 2}
    assert ada.migrate("exempt", "import", str(path), "--json", "--as-of", T30).facts == {"added": 0, "already": 2, "withdrawn": 0}
    assert ada.run(T29)["outcomes"] == {"exempt": 2}


def test_one_wrong_line_in_a_file_and_every_wrong_line_is_named_and_none_taken(ada: Office) -> None:
    ada.run(T30, "--no-send")
    path = ada.folder / "exemptions.csv"
    lines = [
        "ada,2024-03-01,Jo,at sea",
        "zoe,2024-03-01,Jo,at sea",
        "",
        'ada,2023-12-31,Jo,"at\nsea"',
        "ada,2024-03-01,,at sea",
        "ada,1.3.2024,Jo,x",
    ]
    path.write_text("\n".join(["account_id,until,owner,reason", *lines, ""]))
    done = ada.migrate("exempt", "import", str(path), "--as-of", T30)
    assert (done.code, done.out) == (2, "")
    assert (
        "4 of 5 lines cannot be taken, so none was: line 3: there is no account 'zoe'; line 5: 2023-12-31 is over: today is 2024-01-02; "
        "line 7: owner says nothing; line 8: '1.3.2024' is no day."
    ) in done.err
    assert asked(ada, "SELECT * FROM exemption") == []
    assert asked(ada, "SELECT state FROM letter") == [("queued",)]


def test_a_stale_directory_reminds_nobody_and_confirmations_go_out(ada: Office) -> None:
    ada.hire("bob")
    ada.run("2023-07-20T06:00")
    ada.change("bob", mfa="totp")
    ada.run(T30, "--no-send")
    done = ada.migrate("send", "--as-of", "2024-01-03T18:01")
    assert done.code == 0
    assert "What was last read of the directory is more than 36 hours old, so 1 letter waits: `migrate run` reads it again" in done.out
    assert ada.told() == [("bob@example.com", "change-1")]
    assert ada.migrate("send", "--json", "--as-of", "2024-01-03T18:02").facts["stale"] == 1
    ada.run("2024-01-03T19:00")
    assert ada.told() == [("ada@example.com", "T-30"), ("bob@example.com", "change-1")]


def test_the_directory_is_stale_after_the_hours_that_were_set(ada: Office) -> None:
    ada.safety = "stale_hours = 2"
    ada.run(T30, "--no-send")
    done = ada.migrate("send", "--json", "--as-of", "2024-01-02T07:59")
    assert (done.facts["letters"]["sent"], done.facts["stale"]) == (1, 0)
    ada.hire("bob")
    ada.run("2024-01-02T08:00", "--no-send")
    assert ada.migrate("send", "--json", "--as-of", "2024-01-02T10:01").facts["letters"] == {
        "sent": 0,
        "failed": 0,
        "uncertain": 0,
        "queued": 1,
    }


def test_with_real_mail_a_decision_cannot_be_dated_elsewhere(ada: Office) -> None:
    reference = stuck(ada, "failed")
    ada.mail = 'transport = "smtp"\n[mail.smtp]\nhost = "127.0.0.1"\nport = 9\nsecurity = "none"'
    ada.write()
    done = ada.migrate("resend", reference, *WHY, "--as-of", T30)
    assert done.code == 2
    assert "--as-of" in done.err
    assert asked(ada, "SELECT state FROM letter") == [("failed",)]
