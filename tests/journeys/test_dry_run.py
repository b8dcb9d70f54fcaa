"""A dry run: what a run would do, and not one byte of it done (design §13)."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from office import Office

T30 = "2024-01-02T06:00"
NOWHERE = 'transport = "smtp"\n[mail.smtp]\nhost = "mail.invalid"\nusername = "u"\npassword = "p"'


def staffed(office: Office) -> Office:
    for n in range(8):
        office.hire(f"u{n}", "sms" if n % 2 else "sms;totp", mfa_default="sms", name=f"User {n}")
    office.hire("eve", "totp")
    office.hire("bad", "sms", mail="no address")
    office.hire("odd", "sms", active="perhaps")
    office.hire("", "sms")
    return office


def test_a_dry_run_changes_nothing_connects_to_nothing_and_says_what_the_run_then_queues(office: Office) -> None:
    staffed(office).run("2023-12-01T06:00")
    office.change("u1", mfa="totp")
    office.leave("u2")
    office.mail = NOWHERE
    office.safety = "allow_time_travel = true"
    office.write()
    before = office.fingerprints()
    done = office.migrate("dry-run", "--json", "--as-of", T30)
    assert done.code == 0, done.err
    assert office.fingerprints() == before
    assert "run_id" not in done.facts
    plan = office.table(office.folder / "reports" / "dry-run-2024-01-02" / "plan.csv")
    assert done.facts["would_queue"] == len(plan) == 7
    ran = office.run(T30, "--no-send")
    assert ran["letters"]["queued"] == 7
    for subject in ("read", "rejected", "standing", "changes", "outcomes", "unknown_words"):
        assert ran[subject] == done.facts[subject]
    queued = {(row["account_id"], row["to"], row["kind"], row["occasion"]) for row in office.report("notices") if row["state"] == "queued"}
    assert queued == {(row["account_id"], row["to"], row["kind"], row["occasion"]) for row in plan}


def test_a_dry_run_needs_no_ledger_and_makes_none(office: Office) -> None:
    staffed(office).write()
    before = office.fingerprints()
    assert office.migrate("dry-run", "--as-of", T30).code == 0
    assert office.fingerprints() == before
    assert not (office.folder / "migrate.db").exists()


def test_a_dry_run_lists_every_row_with_its_outcome_and_shows_the_mails(office: Office, tmp_path: Path) -> None:
    staffed(office).write()
    done = office.migrate("dry-run", "--as-of", T30, "--out", str(tmp_path / "review"))
    assert done.code == 0, done.err
    outcomes = office.table(tmp_path / "review" / "outcomes.csv")
    assert len(outcomes) == 12
    by_id = {row["account_id"]: row for row in outcomes}
    assert by_id["bad"]["outcome"] == "bad_address"
    assert by_id["odd"]["outcome"] == by_id[""]["outcome"] == "rejected"
    assert by_id["odd"]["position"] == "11"
    previews = sorted(path.name for path in (tmp_path / "review" / "previews").iterdir())
    assert previews == ["reminder-en.eml", "reminder-en.html"]
    message = email.message_from_bytes((tmp_path / "review" / "previews" / "reminder-en.eml").read_bytes(), policy=email.policy.default)
    assert message["X-Migrate-Occasion"] == "T-30"


def test_a_dry_run_marks_what_the_guard_would_hold(office: Office) -> None:
    staffed(office).write()
    config = office.folder / "config.toml"
    config.write_text(config.read_text().replace("max_messages = 100000", "max_messages = 3"))
    done = office.migrate("dry-run", "--json", "--as-of", T30)
    assert done.code == 0, done.err
    assert done.facts["outcomes"]["held"] == 8
    assert done.facts["would_queue"] == 0
    assert {row["held"] for row in office.table(Path(done.facts["out"]) / "plan.csv")} == {"true"}


def test_a_dry_run_replaces_the_one_before_and_nothing_else(office: Office, tmp_path: Path) -> None:
    staffed(office).write()
    review = tmp_path / "review"
    assert office.migrate("dry-run", "--as-of", T30, "--out", str(review)).code == 0
    office.leave("u3")
    office.write()
    assert office.migrate("dry-run", "--as-of", T30, "--out", str(review)).code == 0
    assert len(office.table(review / "outcomes.csv")) == 11
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    done = office.migrate("dry-run", "--as-of", T30, "--out", str(precious))
    assert done.code == 2
    assert (precious / "thesis.txt").read_text() == "years of work"


def test_a_dry_run_can_be_asked_about_one_account(office: Office) -> None:
    staffed(office).write()
    done = office.migrate("dry-run", "--as-of", T30, "--account", "u1")
    assert "u1: sms_only, queued (T-30)" in done.out
    assert "u3@example.com" not in done.out


def reviewed(office: Office) -> Path:
    """A dry run's plan, written and not touched yet."""
    staffed(office).write()
    assert office.migrate("dry-run", "--as-of", T30).code == 0
    return office.folder / "reports" / "dry-run-2024-01-02" / "plan.csv"


def test_a_plan_whose_rows_a_reviewer_deleted_is_never_written_over(office: Office) -> None:
    plan = reviewed(office)
    mine = "".join(plan.read_text().splitlines(keepends=True)[:-2])
    plan.write_text(mine)
    before = {path: path.read_bytes() for path in plan.parent.rglob("*") if path.is_file()}
    for options in ([], ["--out", str(plan.parent)]):
        done = office.migrate("dry-run", "--as-of", T30, *options)
        assert done.code == 2
        assert f"{plan.parent}: plan.csv was changed since its dry run (rows: 2 deleted)" in done.err
        assert "--out" in done.err and "run --plan" in done.err and "move it away" in done.err
    assert {path: path.read_bytes() for path in plan.parent.rglob("*") if path.is_file()} == before
    other = office.folder / "other"
    assert office.migrate("dry-run", "--as-of", T30, "--out", str(other)).code == 0
    assert office.migrate("run", "--as-of", T30, "--plan", str(plan.parent)).code == 0
    plan.parent.rename(office.folder / "reports" / "applied")
    assert office.migrate("dry-run", "--as-of", T30).code == 0


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda text: text.replace("u1@example.com", "elsewhere@example.com"), "1 edited or added"),
        (lambda text: text + text.splitlines()[-1] + "\n", "1 edited or added"),
        (lambda text: text.splitlines(keepends=True)[0], "8 deleted"),
        (lambda text: text.replace("\n", ",remark\n", 2), "is not a column of ours"),
        (lambda text: "", "has no column"),
    ],
)
def test_whatever_a_reviewer_did_to_a_plan_is_kept(office: Office, edit: Callable[[str], str], said: str) -> None:
    plan = reviewed(office)
    plan.write_text(edit(plan.read_text()))
    mine = plan.read_bytes()
    done = office.migrate("dry-run", "--as-of", T30)
    assert (done.code, said in done.err) == (2, True), done.err
    assert plan.read_bytes() == mine


def test_a_plan_that_was_saved_as_a_workbook_or_lost_its_facts_is_kept(office: Office) -> None:
    plan = reviewed(office)
    beside = plan.with_suffix(".xlsx")
    beside.write_bytes(b"reviewed")
    done = office.migrate("dry-run", "--as-of", T30)
    assert (done.code, "plan.xlsx lies beside plan.csv" in done.err) == (2, True)
    beside.unlink()
    plan.with_suffix(".json").unlink()
    assert office.migrate("dry-run", "--as-of", T30).code == 2
    assert plan.exists()


def test_a_plan_that_a_spreadsheet_only_saved_anew_is_kept_as_well(office: Office) -> None:
    plan = reviewed(office)
    head, *rows = plan.read_text().splitlines()
    saved = [head.replace(",", ";"), *(row.replace(",", ";").replace("false", "FALSE") for row in reversed(rows))]
    plan.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(saved).encode())
    mine = plan.read_bytes()
    done = office.migrate("dry-run", "--as-of", T30)
    assert (done.code, "holds plan.csv, which was changed since it was written" in done.err) == (2, True), done.err
    assert plan.read_bytes() == mine


def asked(office: Office, who: str) -> list[dict[str, Any]]:
    done = office.migrate("dry-run", "--json", "--as-of", T30, "--account", who)
    assert done.code == 0, done.err
    found: list[dict[str, Any]] = done.facts["accounts"]
    return found


@pytest.mark.parametrize("who", ["0042", "CORP\\ada", "corp\\ADA", "Ada@Example.com", "second@example.com", "SECOND@example.com", " 0042 "])
def test_an_account_is_found_by_its_id_its_username_and_any_address(office: Office, who: str) -> None:
    others = "first@example.com;second@example.com"
    staffed(office).hire("0042", "sms", login="CORP\\ada", mail="ada@example.com", security_mails=others)
    office.write()
    [found] = asked(office, who)
    assert (found["account_id"], found["standing"], found["outcome"], found["outcome_reason"]) == ("0042", "sms_only", "queued", "T-30")
    [letter] = found["letters"]
    assert (letter["to"], letter["kind"], letter["occasion"], letter["held"]) == ("ada@example.com", "reminder", "T-30", False)
    shown = office.migrate("dry-run", "--as-of", T30, "--account", who).out
    assert "0042: sms_only, queued (T-30)." in shown
    assert "u1@example.com" not in shown


def test_every_account_that_is_meant_is_shown(office: Office) -> None:
    staffed(office).hire("a1", "sms", mail="shared@example.com")
    office.hire("a2", "totp", security_mails="Shared@example.com")
    office.write()
    assert [(each["account_id"], each["outcome"]) for each in asked(office, "shared@example.com")] == [
        ("a1", "queued"),
        ("a2", "not_reminded"),
    ]


def test_a_rejected_row_is_shown_with_its_reason(office: Office) -> None:
    staffed(office).write()
    [found] = asked(office, "odd")
    assert (found["standing"], found["outcome"], found["letters"]) == (None, "rejected", [])
    assert found["outcome_reason"].startswith("row 11: ")
    assert "perhaps" in found["outcome_reason"]
    assert f"odd: rejected ({found['outcome_reason']})." in office.migrate("dry-run", "--as-of", T30, "--account", "odd").out


def test_an_account_whose_row_is_rejected_today_is_found_by_what_it_was_known_by(office: Office) -> None:
    staffed(office).hire("zoe", "sms", login="zoe.z")
    office.run("2023-12-01T06:00")
    office.change("zoe", active="perhaps")
    office.write()
    assert [(each["account_id"], each["outcome"]) for each in asked(office, "zoe.z")] == [("zoe", "rejected")]


@pytest.mark.parametrize("who", ["nobody", "nobody@example.com", "U1", "", "example.com", "first@example.com;second@example.com"])
def test_nobodys_name_is_an_error_and_nothing_is_written(office: Office, who: str) -> None:
    staffed(office).hire("ada", "sms", login="ada.a", security_mails="first@example.com;second@example.com")
    office.change("u1", login="someone")
    office.write()
    done = office.migrate("dry-run", "--json", "--as-of", T30, "--account", who)
    assert (done.code, done.facts["error"]["where"]) == (2, "--account")
    assert f"--account: no account of this read is {who!r}." in done.err
    assert not (office.folder / "reports").exists()


def test_a_guests_sign_in_name_is_no_address_in_any_role(office: Office) -> None:
    guest = "ada_example.org#EXT#@example.onmicrosoft.com"
    office.hire("ada", "sms", mail=guest)
    office.hire("bob", "totp", mail="bob@example.com", security_mails=guest.lower())
    office.run("2023-12-01T06:00")
    office.change("bob", mfa="sms")
    ran = office.run(T30, "--no-send")
    row = next(row for row in office.report("accounts") if row["account_id"] == "ada")
    assert (row["outcome"], row["outcome_reason"]) == ("bad_address", "it is a guest's sign-in name, which no mailbox has")
    assert ran["letters"]["queued"] == 1
    assert [row["to"] for row in office.report("notices") if row["state"] == "queued"] == ["bob@example.com"]


def test_a_previous_dry_runs_folder_does_not_disturb_the_reports(office: Office) -> None:
    staffed(office).write()
    assert office.migrate("dry-run", "--as-of", T30).code == 0
    office.run(T30)
    assert sorted(path.name for path in (office.folder / "reports").iterdir()) == ["2024-01-02-r00001", "dry-run-2024-01-02", "latest"]
