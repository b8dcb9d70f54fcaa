"""What the field found about reading, by the command as people type it: whom a misread word reminded, forgot or called compliant."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa
from office import Office

T30, T29 = "2024-01-02T06:00", "2024-01-03T06:00"


def standings(office: Office) -> dict[str, str]:
    return {row["account_id"]: row["standing"] for row in office.report("accounts")}


def said_of_the_directory(office: Office) -> list[str]:
    done = office.migrate("check", "--json")
    assert done.code == 0, done.out + done.err
    return [each["said"] for each in done.facts["checks"] if each["part"] == "directory" and each["state"] == "warning"]


@pytest.mark.parametrize("kind", ["csv", "sql"])
def test_whoever_has_moved_is_not_reminded_whatever_the_source_calls_the_method(office: Office, kind: str) -> None:
    office.kind = kind
    office.hire("okta", "sms,token:software:totp")
    office.hire("graph", "mobilePhone;softwareOneTimePasscode", mfa_default="softwareOneTimePasscode")
    office.hire("msol", "OneWaySMS;PhoneAppOTP", mfa_default="PhoneAppOTP")
    office.hire("lines", "sms\nhardwareOneTimePasscode\n")
    office.hire("label", "SMS Authentication")
    facts = office.run(T30)
    assert standings(office) == dict.fromkeys(["okta", "graph", "msol", "lines"], "sms_fallback") | {"label": "sms_only"}
    assert office.told() == [("label@example.com", "T-30")]
    assert facts["unknown_words"] == {}


@pytest.mark.parametrize("kind", ["csv", "sql"])
def test_an_authenticator_that_is_disabled_moves_nobody(office: Office, kind: str) -> None:
    office.kind = kind
    words = ("TOTP disabled", "No authenticator app", "SMS - TOTP disabled")
    for number, word in enumerate(words):
        office.hire(f"u{number}", word)
    facts = office.run(T30)
    assert set(standings(office).values()) == {"unknown"}
    assert {row["compliant"] for row in office.report("accounts")} == {"false"}
    assert facts["unknown_words"] == dict.fromkeys(words, 1)


def test_a_default_is_found_in_a_telephone_so_its_people_are_reminded(office: Office) -> None:
    """A default `sms` beside a `mobilePhone` and an app: people who were taken for people who use the app, and never reminded."""
    for number, default in enumerate(["sms", "voiceMobile", "mobilePhone", "push", None]):
        office.hire(f"u{number}", "mobilePhone;microsoftAuthenticatorPush", mfa_default=default)
    facts = office.run(T30)
    assert list(standings(office).values()) == ["sms_default"] * 3 + ["sms_fallback"] * 2
    assert facts["letters"]["sent"] == 3
    assert facts["defaults_not_registered"] == 0


def test_a_check_and_a_run_name_every_unknown_word_whole(office: Office) -> None:
    agreed = "of the third generation as the works council agreed it in spring"
    words = [f"Contoso Gateway {number} {agreed} unattended" for number in range(13)]
    assert min(map(len, words)) > 80
    for number, word in enumerate(words):
        office.hire(f"u{number}", f"sms;{word}")
    office.write()
    [warning] = said_of_the_directory(office)
    assert all(f"{word!r} (1)" in warning for word in words)
    plain, ran = office.migrate("check"), office.migrate("run", "--as-of", T30)
    assert (plain.code, ran.code) == (0, 0)
    for word in words:
        assert repr(word) in plain.out
        assert f"Unknown method word {word!r} on 1 accounts." in ran.out


def test_a_list_that_the_export_lost_is_said_to_be_lost_with_the_way_out(office: Office) -> None:
    for number in range(30):
        office.hire(f"u{number:02}", "System.Object[]" if number < 3 else "sms")
    facts = office.run(T30)
    assert (facts["rejected"], facts["unknown_words"]) == (3, {})
    lost = "is what an export writes in place of a list that it lost: join the list to text before exporting"
    assert f"methods: 'System.Object[]' {lost}" in said_of_the_directory(office)[0]
    assert {row["reason"] for row in office.report("rejected")} == {f"methods: 'System.Object[]' {lost}"}
    assert {row["account_id"] for row in office.report("rejected")} == {"u00", "u01", "u02"}


def test_a_padded_id_is_explained_as_it_is_typed(office: Office, postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("create table users (account_id char(10), email text, methods text)")
        connection.exec_driver_sql("insert into users values ('A1', 'a1@example.com', 'sms')")
    engine.dispose()
    office.write()
    config = office.folder / "config.toml"
    before, _, rest = config.read_text(encoding="utf-8").partition("[directory]")
    after = rest.partition("[mail]")[2]
    config.write_text(f'{before}[directory]\nkind = "sql"\nurl = "{postgres_url}"\ntable = "users"\n[mail]{after}', encoding="utf-8")
    assert office.migrate("run", "--as-of", T30).code == 0
    told = office.migrate("explain", "A1", "--json", "--as-of", T30)
    assert (told.code, told.facts["account"]["account_id"], told.facts["standing"]) == (0, "A1", "sms_only")


def test_with_the_setting_that_check_names_every_row_of_a_row_a_method_is_read(office: Office) -> None:
    office.kind = "csv"
    for number in range(100):
        office.hire(f"u{number:03}", "sms")
    office.write()
    rows: list[dict[str, Any]] = [dict(person) for person in office.people.values()]
    office.write_rows(rows + [row | {"mfa": "totp"} for row in rows[:60]])
    config = office.folder / "config.toml"
    setting = 'rows = "methods"'
    refused = office.migrate("run", "--as-of", T30)
    assert (refused.code, f"set `{setting}` under [directory]" in refused.out, office.mails()) == (4, True, [])
    config.write_text(config.read_text(encoding="utf-8").replace("[directory]\n", f"[directory]\n{setting}\n"), encoding="utf-8")
    (doubt,) = said_of_the_directory(office)
    assert doubt.startswith("nothing says which method anybody is asked for first: 60 accounts")
    facts = office.migrate("run", "--json", "--as-of", T30).facts
    assert (facts["rejected"], facts["letters"]["sent"]) == (0, 40)
    assert Counter(standings(office).values()) == {"sms_fallback": 60, "sms_only": 40}


@pytest.mark.parametrize("nobody", ["{NULL}", "[null]", "[None]", "nan"])
def test_whoever_turned_everything_off_is_told_however_the_source_writes_nothing(office: Office, nobody: str) -> None:
    office.kind = "csv"
    office.hire("ada", "{totp}")
    office.run(T30)
    office.change("ada", mfa=nobody)
    facts = office.run(T29)
    assert (facts["rejected"], facts["changes"], facts["letters"]["sent"]) == (0, {"two_step_disabled": 1}, 1)
    assert standings(office) == {"ada": "no_second_step"}
