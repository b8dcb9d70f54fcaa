"""Changes between two runs, and who is told of them (design §6)."""

from __future__ import annotations

import pytest
from office import Office, body

BEFORE, DAY1, DAY2, DAY3 = "2023-07-01T06:00", "2023-07-02T06:00", "2023-07-03T06:00", "2023-07-04T06:00"
"""Before the opening: no reminders, only confirmations."""


@pytest.mark.parametrize(
    ("before", "now", "word", "says"),
    [
        ("sms", "", "two_step_disabled", "no second step"),
        ("sms", "totp", "authenticator_enabled", "authenticator app"),
        ("sms;totp", "sms", "authenticator_removed", "authenticator app"),
        ("totp", "sms;totp", "sms_enabled", "text message"),
        ("sms;totp", "totp", "sms_removed", "text message"),
        ("totp", "passkey", "authenticator_changed", "passkey"),
    ],
)
def test_each_change_is_confirmed_exactly_once_in_its_own_words(office: Office, before: str, now: str, word: str, says: str) -> None:
    office.hire("ada", before, name="Ada Sample", given="Ada")
    office.run(BEFORE)
    office.change("ada", mfa=now)
    facts = office.run(DAY1)
    assert facts["changes"] == {word: 1}
    assert facts["outcomes"] == {"queued": 1}
    office.run(DAY2)
    (mail,) = office.mails()
    assert (mail["To"], mail["X-Migrate-Kind"], mail["X-Migrate-Occasion"]) == ("ada@example.com", "change_confirmation", "change-1")
    text = body(mail)
    assert says in text
    assert "Ada" in text
    assert "2 July 2023" in text
    assert "ada@example.com" in text


def test_a_confirmation_is_one_letter_an_address_each_naming_no_other(office: Office) -> None:
    office.hire("ada", "sms", security_mails="backup@example.org; ADA@example.com")
    office.run(BEFORE)
    office.change("ada", mfa="totp")
    office.run(DAY1)
    assert office.told() == [("ada@example.com", "change-1"), ("backup@example.org", "change-1")]
    for mail in office.mails():
        other = ({"ada@example.com", "backup@example.org"} - {mail["To"]}).pop()
        assert other not in mail.as_string()


def test_the_address_somebody_had_until_lately_hears_of_it_too_unless_it_is_anothers_now(office: Office) -> None:
    office.hire("ada", "sms", mail="ada@old.example")
    office.hire("bob", "sms", mail="bob@old.example")
    office.run(BEFORE)
    office.change("ada", mail="ada@new.example")
    office.change("bob", mail="bob@new.example")
    office.hire("cem", "totp", mail="BOB@old.example")
    office.run(DAY1)
    office.change("ada", mfa="totp")
    office.change("bob", mfa="totp")
    office.run(DAY2)
    assert office.told() == [("ada@new.example", "change-1"), ("ada@old.example", "change-1"), ("bob@new.example", "change-1")]


def test_nobody_keeps_a_confirmation_from_an_old_address_by_naming_it_among_his_own(office: Office) -> None:
    """Somebody who took ada's account over, and named her address among the notification addresses of an account of his own."""
    office.hire("ada", "sms")
    office.hire("eve", "sms", security_mails="ADA@example.com")
    office.run(BEFORE)
    office.change("ada", mail="eve2@example.net", mfa="totp")
    office.run(DAY1)
    assert office.told() == [("ada@example.com", "change-1"), ("eve2@example.net", "change-1")]


def test_an_unknown_word_beside_a_new_authenticator_does_not_keep_its_confirmation_back(office: Office) -> None:
    office.hire("ada", "sms")
    office.run(BEFORE)
    office.change("ada", mfa="totp;Nickname of a key")
    assert office.run(DAY1)["changes"] == {"authenticator_enabled": 1}
    office.change("ada", mfa="totp")
    assert office.run(DAY2)["changes"] == {"reclassified": 1}
    assert office.told() == [("ada@example.com", "change-1")]


def test_an_address_that_changed_in_the_same_read_hears_of_it_too(office: Office) -> None:
    office.hire("ada", "sms", mail="ada@old.example")
    office.run(BEFORE)
    office.change("ada", mail="ada@new.example", mfa="totp")
    office.run(DAY1)
    assert office.told() == [("ada@new.example", "change-1"), ("ada@old.example", "change-1")]


def test_an_address_given_up_long_ago_is_left_alone(office: Office) -> None:
    office.hire("ada", "sms", mail="ada@old.example")
    office.run("2023-05-01T06:00")
    office.change("ada", mail="ada@new.example")
    office.run("2023-05-02T06:00")
    office.change("ada", mfa="totp")
    office.run("2023-06-10T06:00")
    assert office.told() == [("ada@new.example", "change-1")]


def test_a_baseline_a_reclassification_and_the_cutoffs_doing_mail_nothing(office: Office) -> None:
    office.hire("ada", "sms;totp")
    office.hire("bob", "app")
    assert office.run(BEFORE)["changes"] == {}
    office.directory = 'kind = "sql"\nurl = "sqlite:///directory.db"\ntable = "users"\n[directory.methods]\napp = "sms"'
    assert office.run(DAY1)["changes"] == {"reclassified": 1}
    assert office.mails() == []
    office.change("ada", mfa="totp")
    assert office.run("2024-02-01T06:00")["changes"] == {"cutoff_removal": 1}
    assert [told for told in office.told() if told[0] == "ada@example.com"] == []


def test_a_re_used_id_is_a_new_person_who_hears_nothing_of_the_first_nor_the_first_of_them(office: Office) -> None:
    office.hire("a7", "sms", login="ada", mail="ada@example.com")
    office.hire("bob", "sms")
    office.run(BEFORE)
    office.leave("a7")
    assert office.run(DAY1)["changes"] == {"gone": 1}
    office.hire("a7", "totp", login="zoe", mail="zoe@example.com")
    assert office.run(DAY2)["changes"] == {}
    office.change("a7", mfa="passkey")
    office.run(DAY3)
    assert office.told() == [("zoe@example.com", "change-2")]


def test_who_vanished_from_one_read_and_came_back_changed_is_told(office: Office) -> None:
    office.hire("ada", "sms")
    office.hire("bob", "sms")
    office.run(BEFORE)
    ada = office.leave("ada")
    office.run(DAY1)
    office.people["ada"] = ada | {"mfa": "totp"}
    assert office.run(DAY2)["changes"] == {"returned": 1, "authenticator_enabled": 1}
    assert office.told() == [("ada@example.com", "change-3")]


@pytest.mark.parametrize(
    ("trouble", "mended", "outcome"),
    [
        ({"mail": None}, {"mail": "ada@example.com"}, "no_address"),
        ({"mail": "ada at example"}, {"mail": "ada@example.com"}, "bad_address"),
        ({"active": "no"}, {"active": "yes"}, "inactive"),
    ],
)
def test_a_change_that_could_not_be_mailed_is_confirmed_once_it_can_be(office: Office, trouble: dict, mended: dict, outcome: str) -> None:
    office.hire("ada", "sms", **trouble)
    office.run(BEFORE)
    office.change("ada", mfa="totp")
    assert office.run(DAY1)["outcomes"] == {outcome: 1}
    assert office.run(DAY2)["outcomes"] == {outcome: 1}
    office.change("ada", **mended)
    assert office.run(DAY3)["outcomes"] == {"queued": 1}
    office.run("2023-07-05T06:00")
    assert [mail["X-Migrate-Occasion"] for mail in office.mails() if mail["To"] == "ada@example.com"] == ["change-1"]


def test_a_change_that_nobody_could_be_told_of_in_time_is_closed_as_unsaid(office: Office) -> None:
    office.hire("ada", "sms", mail=None)
    office.run("2023-05-01T06:00")
    office.change("ada", mfa="totp")
    office.run("2023-05-02T06:00")
    office.run("2023-06-02T06:00")
    office.change("ada", mail="ada@example.com")
    assert office.run("2023-06-03T06:00")["outcomes"] == {"not_reminded": 1}
    assert office.mails() == []


def test_two_changes_that_had_to_wait_are_both_told(office: Office) -> None:
    office.hire("ada", "sms", mail=None)
    office.run(BEFORE)
    office.change("ada", mfa="sms;totp")
    office.run(DAY1)
    office.change("ada", mfa="totp", mail="ada@example.com")
    office.run(DAY2)
    assert office.told() == [("ada@example.com", "change-1"), ("ada@example.com", "change-2")]
    assert "authenticator app" in body(office.mails()[0])


def test_a_confirmation_and_a_reminder_that_fall_together_are_one_letter_and_the_stage_stays_due(office: Office) -> None:
    office.hire("ada", "sms;totp", mfa_default="sms")
    office.run("2024-01-01T06:00")
    office.change("ada", mfa="sms", mfa_default=None)
    office.run("2024-01-02T06:00")
    office.run("2024-01-03T06:00")
    assert [mail["X-Migrate-Occasion"] for mail in office.mails()] == ["T-60", "change-1", "T-30"]


def test_single_sign_on_takes_an_account_out_of_the_story_and_gives_it_back_with_a_new_baseline(office: Office) -> None:
    office.hire("ada", "sms")
    office.run(BEFORE)
    office.change("ada", sso="yes", mfa="")
    assert office.run(DAY1)["changes"] == {}
    office.change("ada", sso="no", mfa="totp")
    assert office.run(DAY2)["changes"] == {}
    assert office.mails() == []
