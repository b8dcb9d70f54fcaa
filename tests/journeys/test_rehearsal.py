"""A rehearsal before the real thing: everything happens, to one address, and nobody counts as told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from office import Office, body

BEFORE, T30, T29, T14 = "2023-07-20T06:00", "2024-01-02T06:00", "2024-01-03T06:00", "2024-01-18T06:00"
REHEARSE = 'redirect_to = "Desk@Example.com"'
REAL = ""
WHY = ("--reason", "mended", "--by", "jo")


@pytest.fixture
def company(office: Office) -> Office:
    office.hire("ada", "sms", security_mails="home@ada.example")
    office.hire("bob", "sms")
    return office


def rehearse(office: Office, as_of: str, *arguments: str, code: int = 0) -> dict[str, Any]:
    office.safety = REHEARSE
    return office.run(as_of, *arguments, code=code)


def for_real(office: Office, as_of: str, *arguments: str) -> dict[str, Any]:
    office.safety = REAL
    return office.run(as_of, *arguments)


def test_after_a_rehearsal_everybody_is_told_for_real(company: Office) -> None:
    rehearse(company, BEFORE)
    company.change("ada", mfa="totp")
    told = rehearse(company, T30)
    assert (told["campaign"], told["changes"], told["letters"]["sent"]) == ("sms-retirement~rehearsal", {"authenticator_enabled": 1}, 3)
    company.change("ada", mfa="sms")
    for_real(company, BEFORE)
    company.change("ada", mfa="totp")
    assert for_real(company, T30)["letters"]["sent"] == 3
    real = [(mail["To"], mail["X-Migrate-Occasion"]) for mail in company.mails() if mail["X-Migrate-Campaign"] == "sms-retirement"]
    assert sorted(real) == [("ada@example.com", "change-1"), ("bob@example.com", "T-30"), ("home@ada.example", "change-1")]
    assert company.migrate("ledger", "check", "--quiet").out == ""


def test_every_mail_of_a_rehearsal_goes_to_one_address_and_says_for_whom_it_is(company: Office) -> None:
    rehearse(company, BEFORE)
    company.change("ada", mfa="totp")
    rehearse(company, T30)
    mails = company.mails()
    assert {(mail["To"], mail["X-Migrate-Campaign"]) for mail in mails} == {("Desk@Example.com", "sms-retirement~rehearsal")}
    named = sorted(mail["Subject"].split("] ")[0] for mail in mails)
    assert named == ["[Rehearsal for ada@example.com", "[Rehearsal for bob@example.com", "[Rehearsal for home@ada.example"]
    (reminder,) = [mail for mail in mails if mail["X-Migrate-Kind"] == "reminder"]
    assert "This message was sent to bob@example.com" in body(reminder)
    assert "Desk@Example.com" not in body(reminder)


def test_the_same_letter_rehearsed_and_sent_differs_only_in_whom_it_goes_to(company: Office) -> None:
    rehearse(company, T30)
    for_real(company, T30)
    rehearsed, real = ([mail for mail in company.mails() if ("~" in mail["X-Migrate-Campaign"]) is this] for this in (True, False))
    by_person = {mail["Subject"].partition("] ")[0].rpartition(" ")[2]: mail for mail in rehearsed}
    assert len(real) == 2
    for mail in real:
        twin = by_person[mail["To"]]
        assert twin["Subject"] == f"[Rehearsal for {mail['To']}] {mail['Subject']}"
        assert twin["Message-ID"] != mail["Message-ID"]
        assert body(twin).replace(twin["X-Migrate-Reference"], "") == body(mail).replace(mail["X-Migrate-Reference"], "")


def test_the_evidence_of_a_rehearsal_stands_apart_from_the_real_chain(company: Office) -> None:
    first = for_real(company, BEFORE)["evidence"]
    rehearsed = rehearse(company, T30)["evidence"]
    second = for_real(company, T30)["evidence"]
    reports = company.folder / "reports"
    assert (reports / "latest").resolve() == (reports / second).resolve()
    assert (reports / "rehearsal" / "latest").resolve() == (reports / rehearsed).resolve()
    before = json.loads((reports / second / "manifest.json").read_bytes())["previous"]
    assert before["run_id"] in first
    assert json.loads((reports / "rehearsal" / "latest" / "manifest.json").read_bytes())["previous"] is None


def test_every_command_rehearses_and_says_so(company: Office) -> None:
    for_real(company, BEFORE)
    rehearse(company, T30, "--no-send")
    says = "This is a rehearsal, as [safety] redirect_to says: every mail goes to Desk@Example.com, and nobody counts as told.\n"
    commands = (
        ["send", "--as-of", T30],
        ["status", "--as-of", T30],
        ["report"],
        ["explain", "ada"],
        ["dry-run", "--as-of", T29],
        ["check"],
    )
    for command in (*commands, ["exempt", "list"], ["pause", "list"], ["preview", "reminder"]):
        done = company.migrate(*command)
        assert (done.code, done.err) == (0, says), command
    assert company.migrate("status", "--json").facts["outbox"]["sent"] == 2
    assert "To: Desk@Example.com\nSubject: [Rehearsal for " in company.migrate("preview", "reminder").out
    company.safety = REAL
    company.write()
    real = company.migrate("status", "--json")
    assert (real.err, real.facts["outbox"]["sent"], real.facts["last_run"]["as_of"]) == ("", 0, "2023-07-20T13:00:00Z")


def test_what_a_rehearsal_left_queued_is_never_sent_for_real(company: Office) -> None:
    rehearse(company, T30, "--no-send")
    for_real(company, T30, "--no-send")
    company.migrate("send", "--as-of", T30)
    assert company.told() == [("ada@example.com", "T-30"), ("bob@example.com", "T-30")]
    assert {mail["X-Migrate-Campaign"] for mail in company.mails()} == {"sms-retirement"}


def test_a_reference_is_genuine_only_in_the_campaign_that_wrote_it(company: Office) -> None:
    rehearse(company, T30)
    reference = company.mails()[0]["X-Migrate-Reference"]
    shown = company.migrate("explain", reference)
    assert (shown.code, f"Letter {reference}: reminder (T-30)" in shown.out) == (0, True)
    for_real(company, T30)
    for command in (["explain", reference], ["resend", reference, *WHY]):
        done = company.migrate(*command)
        assert done.code == 2
        assert f"{reference} is a letter of a rehearsal, sms-retirement~rehearsal: it went to whoever rehearsed." in done.err
    real = next(mail["X-Migrate-Reference"] for mail in company.mails() if mail["To"] == "ada@example.com")
    company.safety = REHEARSE
    company.write()
    assert f"{real} is a letter of another campaign, sms-retirement." in company.migrate("explain", real).err


def test_a_plan_is_rehearsed_and_approved_in_the_rehearsal_alone(company: Office) -> None:
    company.safety = REHEARSE
    company.write()
    plan = company.migrate("dry-run", "--json", "--as-of", T30).facts["out"]
    assert plan == str(company.folder / "reports" / "rehearsal" / "dry-run-2024-01-02")
    company.safety = REAL
    company.write()
    refused = company.migrate("run", "--plan", plan, "--as-of", T30)
    assert refused.code == 4
    assert "this is a plan of the campaign 'sms-retirement~rehearsal'" in refused.err
    assert rehearse(company, T30, "--plan", plan)["letters"]["sent"] == 2


def test_many_reminders_are_held_in_a_rehearsal_as_they_will_be(company: Office) -> None:
    company.safety = REHEARSE
    company.write()
    path = company.folder / "config.toml"
    path.write_text(path.read_text().replace("max_messages = 100000", "max_messages = 1"))
    held = company.migrate("run", "--json", "--as-of", T30)
    assert (held.code, held.facts["outcomes"]) == (4, {"held": 2})
    assert "rehearsal/dry-run-2024-01-02" in held.err


def test_addresses_are_judged_as_they_will_be(company: Office) -> None:
    company.change("bob", mail="bob@elsewhere.example")
    company.safety = f'{REHEARSE}\nallowed_domains = ["example.com"]'
    assert company.run(T30)["outcomes"] == {"domain_not_allowed": 1, "queued": 1}


def test_mail_is_not_redirected_to_where_none_may_go(company: Office) -> None:
    company.safety = f'{REHEARSE}\nallowed_domains = ["example.org"]'
    company.write()
    done = company.migrate("check")
    assert done.code == 2
    assert "redirect_to is an address at example.com, which allowed_domains does not have" in done.out
