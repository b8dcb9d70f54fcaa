"""A dry run: what a run would do, and not one byte of it done (design §13)."""

from __future__ import annotations

import email
import email.policy
from pathlib import Path

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
