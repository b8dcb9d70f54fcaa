"""An account whose owner adds addresses by the thousand, or switches to and fro all day, makes no flood of mail (design §12)."""

from __future__ import annotations

import pytest
from office import Office, body

STRANGERS = [f"victim{n}@elsewhere.example" for n in range(1_000)]


def told_on(office: Office, moment: str, mfa: str) -> list[str]:
    """The occasions of the mails that a run at a moment of 1 December sends to ada, whose methods are then these."""
    before = len(office.mails())
    office.change("ada", mfa=mfa)
    office.run(f"2023-12-{moment}:00Z")
    return sorted(mail["X-Migrate-Occasion"] for mail in office.mails()[before:] if mail["To"] == "ada@example.com")


@pytest.mark.parametrize("kind", ["sql", "csv"])
def test_of_a_thousand_addresses_ten_are_mailed_and_the_accounts_that_have_more_are_counted(office: Office, kind: str) -> None:
    office.kind = kind
    office.hire("ada", mfa="sms", security_mails="ada@home.example")
    office.hire("bob", mfa="totp")
    office.run("2023-06-01T12:00:00Z")
    office.change("ada", mfa="totp", security_mails=",".join([*STRANGERS, "ada@home.example"]))
    facts = office.run("2023-06-02T12:00:00Z")
    assert facts["too_many_addresses"] == 1
    told = [mail["To"] for mail in office.mails()]
    assert len(told) == 10
    assert {"ada@example.com", "ada@home.example"} <= set(told)
    assert len(set(told) & set(STRANGERS)) == 8
    again = office.run("2023-06-03T12:00:00Z")
    assert again["too_many_addresses"] == 1  # also where nothing changed, and nobody was looked at
    office.write()
    assert "1 account has more than 10 addresses ([policy] max_addresses)" in office.migrate("check").out


def test_a_name_of_links_is_none_in_the_mails_to_those_addresses(office: Office) -> None:
    office.hire("ada", mfa="sms", name="Win at https://bad.example/now " * 40, given=None)
    office.run("2023-06-01T12:00:00Z")
    office.change("ada", mfa="totp", security_mails=",".join(STRANGERS))
    office.run("2023-06-02T12:00:00Z")
    for mail in office.mails():
        assert "bad.example" not in mail.as_string()
        assert "https://bad" not in body(mail) and "Win at https bad example" in body(mail)


def test_who_switches_all_day_is_told_three_times_and_of_the_last_state_the_next_day(office: Office) -> None:
    office.safety = "max_changes = 1.0"
    office.hire("ada", mfa="sms")
    office.hire("bob", mfa="totp")
    office.run("2023-11-30T20:00:00Z")
    assert told_on(office, "01T09:00", "totp") == ["change-1"]
    assert told_on(office, "01T10:00", "sms") == ["change-2"]
    assert told_on(office, "01T11:00", "totp") == ["change-3"]
    assert told_on(office, "01T12:00", "passkey,totp") == []
    assert told_on(office, "01T13:00", "passkey") == []
    done = office.migrate("run", "--as-of", "2023-12-01T14:00:00Z")
    assert "told of three changes today" in done.out
    assert told_on(office, "02T09:00", "passkey") == ["change-5"]
    last = office.mails()[-1]
    assert "passkey" in body(last)
    assert told_on(office, "03T09:00", "passkey") == []
    assert office.migrate("ledger", "check").code == 0


def test_of_changes_that_cancel_out_the_last_one_is_told(office: Office) -> None:
    office.hire("ada", mfa="sms")
    office.run("2023-11-30T20:00:00Z")
    for hour, mfa in ((9, "totp"), (10, "sms"), (11, "totp"), (12, "sms"), (13, "totp")):
        told_on(office, f"01T{hour:02}:00", mfa)
    assert told_on(office, "02T09:00", "totp") == ["change-5"]
    mail = office.mails()[-1]
    assert mail["X-Migrate-Occasion"] == "change-5"
    assert "authenticator" in str(mail["Subject"])
    assert office.migrate("ledger", "check").code == 0
