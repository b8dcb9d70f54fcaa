"""Who cannot do what a letter asks: the directory lets them register nothing that is accepted."""

from __future__ import annotations

import pytest
from office import Office

T30, T29, T28 = "2024-01-02T06:00", "2024-01-03T06:00", "2024-01-04T06:00"


def staff(office: Office) -> None:
    office.hire("ada", "sms", may_enrol="sms,voice", dept="Sales", groups="All staff\nrole:Reader")
    office.hire("bob", "sms", may_enrol="none", dept="Sales")
    office.hire("cem", "sms", may_enrol="sms,passkey")
    office.hire("dora", "sms", admin="yes")
    office.hire("eve", "totp", may_enrol="none")
    office.hire("fay", "", may_enrol="none")


def outcomes(office: Office) -> dict[str, tuple[str, str]]:
    return {row["account_id"]: (row["outcome"], row["outcome_reason"]) for row in office.report("accounts")}


def test_who_has_no_destination_is_not_reminded_and_comes_first_in_the_action_list(office: Office) -> None:
    staff(office)
    facts = office.run(T30)
    assert facts["outcomes"] == {"no_destination": 2, "queued": 2, "not_reminded": 2}
    assert outcomes(office) == {
        "ada": ("no_destination", "may register sms, voice"),
        "bob": ("no_destination", "nothing may be registered"),
        "cem": ("queued", "T-30"),
        "dora": ("queued", "T-30"),
        "eve": ("not_reminded", "migrated"),
        "fay": ("not_reminded", "no_second_step"),
    }
    assert office.told() == [("cem@example.com", "T-30"), ("dora@example.com", "T-30")]
    listed = [(row["account_id"], row["destination"]) for row in office.report("action-list")]
    assert listed == [("ada", "no"), ("bob", "no"), ("fay", "no"), ("dora", "unknown"), ("cem", "yes")]
    assert {row["account_id"]: row["next_stage"] for row in office.report("accounts") if row["next_stage"]} == {
        "cem": "T-14",
        "dora": "T-14",
    }
    assert [row["groups"] for row in office.report("accounts")][:2] == ["All staff;role:Reader", ""]
    again = office.run("2024-01-02T18:00")
    assert again["outcomes"] == {"no_destination": 2, "nothing_due": 2, "not_reminded": 2}


def test_a_policy_may_remind_them_all_the_same(office: Office) -> None:
    staff(office)
    office.run(T30)
    office.more = "[policy]\nremind_without_destination = true"
    assert office.run(T29)["outcomes"] == {"queued": 2, "nothing_due": 2, "not_reminded": 2}
    assert {to for to, _ in office.told()} == {f"{name}@example.com" for name in ("ada", "bob", "cem", "dora")}


@pytest.mark.parametrize("kind", ["sql", "csv"])
def test_a_letter_that_waits_is_withdrawn_when_its_account_lost_its_destination_and_goes_when_it_has_one_again(
    kind: str, office: Office
) -> None:
    office.kind = kind
    office.hire("ada", "sms")
    assert office.run(T30, "--no-send")["outcomes"] == {"queued": 1}
    office.change("ada", may_enrol="sms")
    facts = office.run(T29)
    assert facts["outcomes"] == {"no_destination": 1}
    assert office.told() == []
    (letter,) = office.report("notices")
    assert (letter["state"], letter["reason"]) == ("withdrawn", "no_destination")
    office.change("ada", may_enrol="sms,totp")
    assert office.run(T28)["outcomes"] == {"queued": 1}
    assert office.told() == [("ada@example.com", "T-30")]
    found = office.migrate("explain", "ada", "--json").facts
    assert [(each["occasion"], each["state"]) for each in found["notices"]] == [("T-30", "sent")]
    assert office.migrate("ledger", "check").code == 0


def test_a_confirmation_goes_to_whoever_has_no_destination_too(office: Office) -> None:
    office.hire("ada", "sms,totp", may_enrol="none")
    office.run(T30)
    office.change("ada", mfa="sms")
    facts = office.run(T29)
    assert (facts["changes"], facts["outcomes"]) == ({"authenticator_removed": 1}, {"queued": 1})
    assert [occasion for _, occasion in office.told()] == ["change-1"]
    assert office.run(T28)["outcomes"] == {"no_destination": 1}


def test_a_dry_run_says_it_too_and_a_summary_counts_what_is_not_certain_and_defaults_that_are_no_methods(office: Office) -> None:
    staff(office)
    office.hire("gus", "totp, retina scan", mfa_default="sms")
    office.hire("hal", "totp, phone", mfa_default="sms")
    office.write()
    done = office.migrate("dry-run", "--as-of", T30)
    assert done.code == 0
    assert "no_destination     2\n" in done.out
    assert "Compliant: 2, of which 1 not certain (a second step nobody knows by name).\n" in done.out
    assert "1 account has a default method that is not registered: it is taken for none.\n" in done.out
    facts = office.migrate("dry-run", "--json", "--as-of", T30).facts
    assert (facts["not_certain"], facts["defaults_not_registered"]) == ({"migrated": 1}, 1)
    run = office.run(T30)
    assert {name: run[name] for name in ("not_certain", "defaults_not_registered", "standing")} == {
        name: facts[name] for name in ("not_certain", "defaults_not_registered", "standing")
    }
    assert run["standing"]["sms_default"] == 1
    totals = [row for row in office.report("summary") if row["department"] == "(total)"]
    assert [(row["count"], row["not_certain"]) for row in totals] == [("8", "1")]
