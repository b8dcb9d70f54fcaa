"""Who is reminded, when, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest
from office import Office, body

T30, T29, T14 = "2024-01-02T06:00", "2024-01-03T06:00", "2024-01-18T06:00"


def staff(office: Office) -> None:
    office.hire("ada", "sms", name="Ada Sample", dept="Research", mfa_default="sms")
    office.hire("bob", "sms;totp", mfa_default="sms", dept="Research")
    office.hire("cem", "sms,authenticator", mfa_default="authenticator")
    office.hire("dora", "totp")
    office.hire("eve", "", dept="Sales")
    office.hire("fay", "sms", sso="yes")
    office.hire("gus", "sms", active="no")
    office.hire("hal", "voice", mail=None)
    office.hire("ida", "sms", mail="ida at example.com")
    office.hire("jon", "carrier pigeon")
    office.hire("kim", "mobile phone", kind="service")
    office.hire("lea", "sms", active="perhaps")


def test_a_database_and_the_same_data_as_csv_give_the_same_standings_outcomes_and_letters(tmp_path: Path) -> None:
    found = []
    for kind in ("sql", "csv"):
        office = Office(tmp_path / kind, kind=kind)
        staff(office)
        facts = office.run(T30)
        accounts = [(row["account_id"], row["standing"], row["outcome"], row["methods"]) for row in office.report("accounts")]
        found.append((facts["standing"], facts["outcomes"], facts["unknown_words"], accounts, office.told()))
    assert found[0] == found[1]
    standing, outcomes, unknown, _, told = found[0]
    assert standing == {
        "sms_only": 4, "sms_default": 1, "sms_fallback": 1, "migrated": 1,
        "no_second_step": 1, "exempt_sso": 1, "inactive": 1, "unknown": 1,
    }  # fmt: skip
    assert outcomes == {
        "queued": 3, "not_reminded": 4, "exempt_sso": 1, "inactive": 1, "no_address": 1, "bad_address": 1, "rejected": 1,
    }  # fmt: skip
    assert unknown == {"carrier pigeon": 1}
    assert told == [("ada@example.com", "T-30"), ("bob@example.com", "T-30"), ("kim@example.com", "T-30")]


def test_running_again_the_same_day_queues_nothing(office: Office) -> None:
    staff(office)
    office.run(T30)
    told = office.told()
    facts = office.run("2024-01-02T18:00")
    assert facts["outcomes"]["nothing_due"] == 3
    assert "queued" not in facts["outcomes"]
    assert facts["letters"] == {"sent": 0, "failed": 0, "uncertain": 0, "withdrawn": 0, "queued": 0}
    assert office.told() == told


def test_after_missed_days_each_account_gets_one_reminder_the_newest_due(office: Office) -> None:
    staff(office)
    office.run("2023-12-01T06:00")
    office.run(T14)
    assert [told for told in office.told() if told[0] == "ada@example.com"] == [("ada@example.com", "T-14"), ("ada@example.com", "opens")]


def test_a_whole_campaign_told_day_by_day(office: Office) -> None:
    office.hire("ada", "sms", name="Ada Sample")
    for day in ("2023-07-31", "2023-08-01", "2023-12-03", "2024-01-02", "2024-01-18", "2024-01-25", "2024-01-29", "2024-01-31"):
        office.run(f"{day}T06:00")
    office.run("2024-02-01T06:00")
    office.run("2024-02-15T06:00")
    assert [(m["X-Migrate-Kind"], m["X-Migrate-Occasion"]) for m in office.mails()] == [
        ("announcement", "opens"),
        ("reminder", "T-60"),
        ("reminder", "T-30"),
        ("reminder", "T-14"),
        ("reminder", "T-7"),
        ("final_reminder", "T-3"),
        ("final_reminder", "T-1"),
        ("cutoff_passed", "T+0"),
        ("cutoff_passed", "T+14"),
    ]
    first, last = office.mails()[1], office.mails()[6]
    assert "Wednesday, 31 January 2024" in body(first)
    assert "60 days" in body(first)
    assert "Ada" in body(last)
    assert len({m["X-Migrate-Reference"] for m in office.mails()}) == 9


def test_whoever_switches_is_reminded_no_more(office: Office) -> None:
    office.hire("ada", "sms")
    office.run(T30)
    office.change("ada", mfa="totp")
    office.run("2024-01-10T06:00")
    office.run(T14)
    assert office.told() == [("ada@example.com", "T-30"), ("ada@example.com", "change-1")]


def test_a_queued_letter_is_withdrawn_when_its_reader_switched_meanwhile(office: Office) -> None:
    office.hire("ada", "sms")
    office.hire("bob", "sms")
    assert office.run(T30, "--no-send")["letters"]["queued"] == 2
    office.change("ada", mfa="totp")
    facts = office.run(T29, "--no-send")
    assert facts["letters"]["withdrawn"] == 1
    assert office.migrate("send", "--as-of", T29).code == 0
    assert office.told() == [("ada@example.com", "change-1"), ("bob@example.com", "T-30")]


def test_an_older_letter_still_waiting_gives_way_to_the_newer_stage(office: Office) -> None:
    office.hire("ada", "sms")
    office.run(T30, "--no-send")
    facts = office.run(T14)
    assert facts["letters"] == {"sent": 1, "failed": 0, "uncertain": 0, "withdrawn": 1, "queued": 0}
    assert office.told() == [("ada@example.com", "T-14")]


def test_a_reminder_past_its_cutoff_is_withdrawn_when_it_would_be_sent(office: Office) -> None:
    office.hire("ada", "sms")
    office.run("2024-01-31T06:00", "--no-send")
    assert office.migrate("send", "--as-of", "2024-02-01T06:00").code == 5
    assert office.mails() == []


def test_more_reminders_than_may_go_out_unreviewed_are_held_and_confirmations_are_not(office: Office) -> None:
    for n in range(6):
        office.hire(f"u{n}", "sms")
    office.run("2023-07-01T06:00")
    office.more = ""
    office.safety = ""
    office.change("u0", mfa="totp")
    office.write()
    config = office.folder / "config.toml"
    config.write_text(config.read_text().replace("max_messages = 100000", "max_messages = 4"))
    done = office.migrate("run", "--json", "--as-of", T30)
    assert done.code == 4
    assert "5 reminders are due and at most 4" in done.err
    assert done.facts["outcomes"] == {"held": 5, "queued": 1}
    assert office.told() == [("u0@example.com", "change-1")]
    config.write_text(config.read_text().replace("max_messages = 4", "max_messages = 5"))
    again = office.migrate("run", "--json", "--as-of", "2024-01-02T08:00")
    assert again.code == 0
    assert again.facts["outcomes"] == {"queued": 5, "not_reminded": 1}


@pytest.mark.parametrize("account", [{"mail": "ada@example.org"}])
def test_a_letter_goes_to_the_address_the_account_has_now(office: Office, account: dict) -> None:
    office.hire("ada", "sms")
    office.run(T30)
    office.change("ada", **account)
    office.run(T14)
    assert office.told() == [("ada@example.com", "T-30"), ("ada@example.org", "T-14")]
