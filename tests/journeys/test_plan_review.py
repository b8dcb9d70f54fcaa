"""A plan is reviewed in a spreadsheet, and what was reviewed is what is sent (design §13)."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from office import Done, Office

T60 = "2023-12-03T06:00"
T30 = "2024-01-02T06:00"
LATER = "2024-01-02T11:00"
NEXT_DAY = "2024-01-03T06:00"
Rows = list[list[str]]


def people(office: Office, number: int) -> Office:
    for n in range(number):
        office.hire(f"u{n:03}", "sms", name=f"Örsted, “{n}”" if n % 3 else f"=HYPERLINK({n})", mobile="+15550100")
    return office


def planned(office: Office, as_of: str = T30) -> Path:
    office.write()
    done = office.migrate("dry-run", "--json", "--as-of", as_of)
    assert done.code == 0, done.err
    return Path(done.facts["out"])


def rows_of(folder: Path) -> Rows:
    return list(csv.reader(io.StringIO((folder / "plan.csv").read_text(encoding="utf-8"), newline="")))


def save(folder: Path, rows: Rows, *, encoding: str = "utf-8", **style: Any) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, **style).writerows(rows)
    (folder / "plan.csv").write_bytes(text.getvalue().encode(encoding))


def as_saved(spreadsheet: Callable[[Rows], dict[str, Any]], folder: Path, rows: Rows) -> None:
    """The reviewed rows, as that spreadsheet saves them."""
    style = spreadsheet(rows)
    save(folder, style.pop("rows"), **style)


def delete(folder: Path, *accounts: str) -> None:
    save(folder, [row for row in rows_of(folder) if row[1] not in accounts])


def apply(office: Office, folder: Path, as_of: str = LATER, *more: str) -> Done:
    office.write()
    return office.migrate("run", "--json", "--as-of", as_of, "--plan", str(folder), *more)


def remembered(office: Office) -> list[tuple[Any, ...]]:
    """Everything the ledger knows, but for who held the lock."""
    with closing(sqlite3.connect(office.folder / "migrate.db")) as ledger:
        tables = [name for (name,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return [(table, *row) for table in tables if table != "run_lock" for row in ledger.execute(f"SELECT * FROM {table}")]


def refused(office: Office, folder: Path, as_of: str = LATER) -> str:
    """A plan that is refused changes nothing; why it was."""
    before, mails = remembered(office), len(office.mails())
    done = office.migrate("run", "--json", "--as-of", as_of, "--plan", str(folder))
    assert done.code == 4, (done.code, done.out, done.err)
    assert remembered(office) == before
    assert len(office.mails()) == mails
    return done.err


def as_libreoffice(rows: Rows) -> dict[str, Any]:
    return {
        "quoting": csv.QUOTE_MINIMAL,
        "lineterminator": "\n",
        "rows": [[c.upper() if c in ("true", "false") else c for c in r] for r in rows],
    }


def as_german_excel(rows: Rows) -> dict[str, Any]:
    return {"encoding": "utf-8-sig", "delimiter": ";", "lineterminator": "\r\n", "rows": [[*row, "", ""] for row in rows] + [[""] * 12]}


def as_everything_quoted_and_turned_round(rows: Rows) -> dict[str, Any]:
    return {"quoting": csv.QUOTE_ALL, "lineterminator": "\r\n", "rows": [row[::-1] for row in [rows[0], *rows[:0:-1]]]}


def as_unicode_text(rows: Rows) -> dict[str, Any]:
    return {"encoding": "utf-16", "delimiter": "\t", "lineterminator": "\r\n", "rows": [[c.removeprefix("'") for c in r] for r in rows]}


def as_with_the_separator_said(rows: Rows) -> dict[str, Any]:
    return {"delimiter": "|", "rows": [["sep=", ""], *([c.lstrip("0") if c.isdigit() else c for c in row] for row in rows)]}


def as_an_older_excel(rows: Rows) -> dict[str, Any]:
    return {"encoding": "cp1252", "delimiter": ";", "lineterminator": "\r\n", "rows": rows}


def test_of_200_rows_reviewed_in_libreoffice_the_170_that_were_left_go_out(office: Office) -> None:
    people(office, 200)
    office.run("2023-07-01T06:00")
    folder = planned(office)
    rows = rows_of(folder)
    assert len(rows) == 201
    struck = {row[1] for row in rows[5:65:2]}
    assert len(struck) == 30
    as_saved(as_libreoffice, folder, [row for row in rows if row[1] not in struck])
    done = apply(office, folder, LATER, "--approved-by", "Ada Lovelace")
    assert done.code == 0, done.err
    assert done.facts["outcomes"] == {"queued": 170, "not_in_plan": 30}
    assert done.facts["letters"] == {"sent": 170, "failed": 0, "uncertain": 0, "withdrawn": 30, "queued": 0}
    assert {address.partition("@")[0] for address, _ in office.told()} == set(office.people) - struck
    assert len(office.told()) == 170
    left_out = [row for row in office.report("accounts") if row["outcome"] == "not_in_plan"]
    assert {row["account_id"] for row in left_out} == struck
    assert {row["outcome_reason"] for row in left_out} == {"struck out by the reviewer"}
    with closing(sqlite3.connect(office.folder / "migrate.db")) as ledger:
        ((digest, by, count, detail),) = ledger.execute("SELECT digest, approved_by, rows, detail FROM plan").fetchall()
        withdrawn = ledger.execute("SELECT count(*) FROM letter WHERE state = 'withdrawn' AND reason = 'reviewer'").fetchone()
    assert (by, count, json.loads(detail)["removed"], withdrawn) == ("Ada Lovelace", 170, 30, (30,))
    evidence = json.loads((office.folder / "reports" / "latest" / "summary.json").read_text())
    assert evidence["plan"] == done.facts["plan"]
    assert evidence["plan"]["digest"] == digest


@pytest.mark.parametrize(
    "spreadsheet",
    [
        as_libreoffice,
        as_german_excel,
        as_everything_quoted_and_turned_round,
        as_unicode_text,
        as_an_older_excel,
        as_with_the_separator_said,
    ],
)
def test_whatever_a_spreadsheet_made_of_the_file_the_rows_left_in_it_go_out_and_no_other(
    office: Office, spreadsheet: Callable[[Rows], dict[str, Any]]
) -> None:
    for n in range(6):
        office.hire(f"00{n}" if n % 2 else f"=1+{n}", "sms", login=f"u{n}", mail=f"+{n}@example.com", lang="de")
    folder = planned(office)
    as_saved(spreadsheet, folder, [row for row in rows_of(folder) if row[1] not in ("001", "'=1+2")])
    done = apply(office, folder)
    assert done.code == 0, done.err
    assert done.facts["outcomes"] == {"queued": 4, "not_in_plan": 2}
    assert [address for address, _ in office.told()] == [f"+{n}@example.com" for n in (0, 3, 4, 5)]


def test_what_was_struck_out_is_never_due_again_and_a_plan_can_be_applied_again(office: Office) -> None:
    folder = planned(people(office, 5))
    delete(folder, "u001", "u002")
    assert apply(office, folder).facts["outcomes"] == {"queued": 3, "not_in_plan": 2}
    again = apply(office, folder, "2024-01-02T12:00")
    assert (again.code, again.facts["outcomes"]) == (0, {"nothing_due": 5})
    assert office.run(NEXT_DAY)["outcomes"] == {"nothing_due": 5}
    assert len(office.mails()) == 3
    assert office.run("2024-01-18T06:00")["outcomes"] == {"queued": 5}


def test_a_second_look_can_strike_out_letters_that_still_wait(office: Office) -> None:
    folder = planned(people(office, 5))
    assert apply(office, folder, LATER, "--no-send").facts["letters"]["queued"] == 5
    delete(folder, "u001", "u002")
    done = apply(office, folder, "2024-01-02T12:00")
    assert done.facts["letters"] == {"sent": 3, "failed": 0, "uncertain": 0, "withdrawn": 2, "queued": 0}
    assert [address for address, _ in office.told()] == ["u000@example.com", "u003@example.com", "u004@example.com"]


def test_a_deletion_holds_for_an_account_that_gets_a_confirmation_that_day(office: Office) -> None:
    people(office, 3).run("2023-07-01T06:00")
    folder = planned(office)
    delete(folder, "u001")
    office.change("u001", mfa="sms;totp", mfa_default="sms")
    done = apply(office, folder)
    assert done.facts["outcomes"] == {"queued": 3}
    assert office.told() == [("u000@example.com", "T-30"), ("u001@example.com", "change-1"), ("u002@example.com", "T-30")]
    assert office.run(NEXT_DAY)["outcomes"] == {"nothing_due": 3}


def test_an_added_row_refuses_the_plan(office: Office) -> None:
    people(office, 4).run("2023-07-01T06:00")
    folder = planned(office)
    rows = rows_of(folder)
    save(folder, [*rows, ["n0123456789abcdef", "eve", "eve@evil.example", *rows[1][3:]]])
    said = refused(office, folder)
    assert "line 6 ('eve') was added: reminder T-30 to 'eve@evil.example'" in said
    save(folder, [*rows, rows[2]])
    assert "line 6 ('u001') stands there twice" in refused(office, folder)


def test_an_edited_row_refuses_the_plan_and_says_what_was_and_what_is(office: Office) -> None:
    people(office, 4).run("2023-07-01T06:00")
    folder = planned(office)
    rows = rows_of(folder)
    rows[2][2], rows[3][7] = "eve@evil.example", "sms_default"
    save(folder, rows)
    said = refused(office, folder)
    assert "2 rows of plan.csv are not as the dry run wrote them" in said
    assert "line 3 ('u001'): to was 'u001@example.com', is 'eve@evil.example'" in said
    assert "line 4 ('u002'): standing was 'sms_only', is 'sms_default'" in said


def test_of_many_differences_ten_are_shown_and_the_others_counted(office: Office) -> None:
    people(office, 30).run("2023-07-01T06:00")
    folder = planned(office)
    rows = rows_of(folder)
    save(folder, [rows[0], *([*row[:2], "x@evil.example", *row[3:]] for row in rows[1:])])
    said = refused(office, folder)
    assert said.count("x@evil.example") == 10
    assert "and 20 more" in said


def test_a_remark_beside_the_rows_refuses_the_plan_since_nobody_would_read_it(office: Office) -> None:
    people(office, 3).run("2023-07-01T06:00")
    folder = planned(office)
    rows = rows_of(folder)
    save(folder, [[*rows[0], "remark"], [*rows[1], ""], [*rows[2], "do NOT send"], [*rows[3], ""]])
    said = refused(office, folder)
    assert "line 3 says 'do NOT send' in column remark" in said


def test_a_plan_saved_in_another_format_refuses_the_one_that_was_not_reviewed(office: Office) -> None:
    people(office, 3).run("2023-07-01T06:00")
    folder = planned(office)
    (folder / "plan.ods").write_bytes(b"reviewed here")
    assert "plan.ods lies beside plan.csv" in refused(office, folder)


def test_a_moved_cutoff_and_a_changed_template_refuse_the_plan(office: Office) -> None:
    templates = office.folder / "templates" / "reminder"
    templates.mkdir(parents=True)
    (templates / "subject.txt.j2").write_text("Move to an authenticator before {{ cutoff.day }}")
    office.mail = 'templates = "templates"\n' + office.mail
    people(office, 3).run("2023-07-01T06:00")
    folder = planned(office)
    config = office.folder / "config.toml"
    before = config.read_text()
    config.write_text(before.replace("2024-02-01T00:00:00", "2024-02-08T00:00:00"))
    said = refused(office, folder)
    assert 'the configuration changed since the plan: [campaign] cutoff was "2024-02-01 00:00:00", is "2024-02-08 00:00:00"' in said
    config.write_text(before)
    (templates / "subject.txt.j2").write_text("URGENT: move now, before {{ cutoff.day }}")
    assert "templates changed since the plan: reminder/subject.txt.j2." in refused(office, folder)


def test_an_expired_plan_is_refused_and_plan_hours_says_when_that_is(office: Office) -> None:
    office.safety = "plan_hours = 3"
    people(office, 3).run("2023-07-01T06:00")
    folder = planned(office)
    said = refused(office, folder, "2024-01-02T09:00")
    assert "the plan expired on 2024-01-02 17:00 UTC" in said
    assert apply(office, folder, "2024-01-02T08:59").facts["outcomes"] == {"queued": 3}


def test_a_plan_of_another_campaign_is_refused(office: Office) -> None:
    people(office, 3).run("2023-07-01T06:00")
    folder = planned(office)
    config = office.folder / "config.toml"
    config.write_text(config.read_text().replace('"sms-retirement"', '"other"'))
    assert "a plan of the campaign 'sms-retirement', and the configuration is of 'other'" in refused(office, folder)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / "plan.json").unlink(), "there is no plan.json"),
        (lambda folder: (folder / "plan.json").write_text("{"), "plan.json is not as a dry run of this version writes it"),
        (lambda folder: (folder / "plan.csv").unlink(), "No such file"),
        (lambda folder: (folder / "plan.csv").write_text(""), "has no column notice"),
        (lambda folder: (folder / "plan.parquet").unlink(), "plan.parquet cannot be read"),
        (lambda folder: (folder / "plan.parquet").write_bytes(b"PAR1"), "plan.parquet is not the one that the dry run wrote"),
        (lambda folder: folder.rename(folder.with_name("elsewhere")), "there is no plan.json"),
    ],
)
def test_a_plan_whose_files_are_not_whole_is_refused(office: Office, damage: Callable[[Path], Any], says: str) -> None:
    people(office, 3).run("2023-07-01T06:00")
    folder = planned(office)
    damage(folder)
    assert says in refused(office, folder)


def edited(folder: Path, **facts: Any) -> None:
    """plan.json with other facts, and plan.parquet as it is now."""
    known = json.loads((folder / "plan.json").read_text())
    known |= {"twin": hashlib.sha256((folder / "plan.parquet").read_bytes()).hexdigest()} | facts
    (folder / "plan.json").write_text(json.dumps(known))


NO_DRY_RUN = "no dry run of this ledger wrote this plan.json, or somebody changed it since"


@pytest.mark.parametrize("first", [True, False], ids=["before the first run", "later"])
@pytest.mark.parametrize(
    "facts",
    [
        {"expires_at": "2030-01-01T00:00:00Z"},
        {"as_of": "2024-01-02T15:00:00Z"},
        {"rows": []},
        {"counts": {}},
        {"mac": ""},
        {"mac": "0" * 64},
        {"source": "0" * 64},
    ],
    ids=lambda facts: next(iter(facts)),
)
def test_a_plan_that_was_edited_is_refused(office: Office, facts: dict[str, Any], first: bool) -> None:
    people(office, 3)
    if not first:
        office.run("2023-07-01T06:00")
    folder = planned(office)
    edited(folder, **facts)
    office.write()
    done = office.migrate("run", "--as-of", LATER, "--plan", str(folder))
    assert (done.code, NO_DRY_RUN in done.err) == (4, True), done.err
    assert office.mails() == []


def test_a_forged_plan_keeps_no_confirmation_from_anybody(office: Office) -> None:
    """A row of plan.parquet that calls itself a reminder of the occasion of a confirmation to come."""
    people(office, 2).run("2023-07-01T06:00")
    folder = planned(office)
    letters = pq.read_table(folder / "plan.parquet").to_pandas()
    letters.loc[0, ["occasion", "told_cutoff"]] = ["change-1", ""]
    letters.loc[0, "change_seq"] = 1
    pq.write_table(pa.Table.from_pandas(letters, preserve_index=False), folder / "plan.parquet")
    edited(folder)
    delete(folder, "u000")
    assert NO_DRY_RUN in refused(office, folder)
    office.change("u000", mfa="totp")
    assert office.run(LATER)["changes"] == {"authenticator_enabled": 1}
    assert ("u000@example.com", "change-1") in office.told()


def test_a_plan_of_another_ledger_a_rehearsal_or_another_directory_is_refused(office: Office, tmp_path: Path) -> None:
    people(office, 2).run("2023-07-01T06:00")
    other = people(Office(tmp_path / "other"), 2)
    other.run("2023-07-01T06:00")
    assert NO_DRY_RUN in refused(office, planned(other))
    other = people(Office(tmp_path / "another"), 2)
    assert NO_DRY_RUN in refused(office, planned(other))

    real = office.safety
    office.safety = 'redirect_to = "me@example.com"'
    rehearsed = planned(office)
    office.safety = real
    office.write()
    edited(rehearsed, campaign="sms-retirement")
    assert NO_DRY_RUN in refused(office, rehearsed)

    folder = planned(office)
    (office.folder / "elsewhere.db").write_bytes((office.folder / "directory.db").read_bytes())
    config = office.folder / "config.toml"
    config.write_text(config.read_text().replace("sqlite:///directory.db", "sqlite:///elsewhere.db"))
    assert "this is a plan of another directory than [directory] names now" in refused(office, folder)


def test_the_plan_of_the_first_run_is_vouched_for_by_a_private_file_that_goes_into_the_ledger(office: Office) -> None:
    first = planned(people(office, 2))
    (key,) = office.folder.glob("reports/.dry-run-*.key")
    assert key.stat().st_mode & 0o777 == 0o600
    secret = key.read_text()
    second = planned(office)
    assert key.read_text() == secret, "a second dry run vouches with the same one"
    assert apply(office, first).code == 0
    assert not key.exists()
    with closing(sqlite3.connect(office.folder / "migrate.db")) as ledger:
        assert ledger.execute("SELECT secret FROM campaign").fetchone() == (secret,)
    assert apply(office, second).facts["outcomes"] == {"nothing_due": 2}
    assert not key.exists()


@pytest.mark.parametrize("harm", ["gone", "of others", "a link"])
def test_without_the_file_that_vouches_for_it_the_plan_of_a_first_run_is_refused(office: Office, harm: str, tmp_path: Path) -> None:
    folder = planned(people(office, 2))
    (key,) = office.folder.glob("reports/.dry-run-*.key")
    match harm:
        case "gone":
            key.unlink()
        case "of others":
            key.chmod(0o644)
        case "a link":
            key.symlink_to(key.rename(tmp_path / "key"))
    assert apply(office, folder).code == 4
    assert office.mails() == []
    done = office.run(LATER)
    assert done["outcomes"] == {"queued": 2}
    assert key.is_symlink() == (harm == "a link"), "what is not ours stays"
    assert key.is_symlink() or not key.exists()


def test_where_no_secret_can_be_set_aside_a_first_dry_run_shows_what_it_shows(office: Office, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    office.reports = "../file/reports"
    people(office, 2).write()
    done = office.migrate("dry-run", "--as-of", T30, "--out", str(tmp_path / "plan"))
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "plan" / "plan.json").read_text())["mac"] == ""


def test_only_what_is_due_when_a_plan_is_applied_can_be_struck_out(office: Office) -> None:
    office.safety = "plan_hours = 8000"
    people(office, 2).run("2023-07-01T06:00")
    folder = planned(office, T60)
    delete(folder, "u000")
    done = apply(office, folder, T30)
    assert (done.facts["outcomes"], done.facts["plan"]["struck_out"]) == ({"not_in_plan": 2}, 0)
    assert {row["outcome_reason"] for row in office.report("accounts")} == {"not in the plan, which has T-60"}
    with closing(sqlite3.connect(office.folder / "migrate.db")) as ledger:
        assert ledger.execute("SELECT count(*) FROM notice").fetchone() == (0,)
    assert office.run("2024-01-02T12:00")["outcomes"] == {"queued": 2}


def test_what_the_directory_changed_since_drops_that_row_only_and_says_why(office: Office) -> None:
    people(office, 8).run("2023-07-01T06:00")
    folder = planned(office)
    office.change("u001", mail="new@example.com")
    office.change("u002", mfa="totp")
    office.leave("u003")
    office.change("u004", active="0")
    office.change("u005", mail=None)
    office.hire("newcomer", "sms")
    done = apply(office, folder)
    assert done.code == 0, done.err
    assert office.told() == [
        ("u000@example.com", "T-30"), ("u002@example.com", "change-1"), ("u006@example.com", "T-30"), ("u007@example.com", "T-30"),
    ]  # fmt: skip
    became = {row["account_id"]: (row["outcome"], row["outcome_reason"]) for row in office.report("accounts")}
    assert became["u001"] == ("not_in_plan", "the address changed since the plan")
    assert became["u002"] == ("queued", "change_confirmation")
    assert "u003" not in became
    assert became["u004"][0] == "inactive"
    assert became["u005"][0] == "no_address"
    assert became["newcomer"] == ("not_in_plan", "not in the plan")
    assert office.run(NEXT_DAY)["outcomes"]["queued"] == 2, "who was not struck out is due again"


def test_a_newer_stage_is_not_in_the_plan_and_the_letter_that_waits_stays(office: Office) -> None:
    office.safety = "plan_hours = 8000"
    people(office, 2)
    folder = planned(office, T60)
    assert apply(office, folder, T60, "--no-send").facts["letters"]["queued"] == 2
    done = apply(office, folder, T30, "--no-send")
    assert done.facts["outcomes"] == {"not_in_plan": 2}
    assert {row["outcome_reason"] for row in office.report("accounts")} == {"not in the plan, which has T-60"}
    assert done.facts["letters"]["queued"] == 2


def test_a_confirmation_cannot_be_struck_out(office: Office) -> None:
    people(office, 3).run("2023-07-01T06:00")
    office.change("u000", mfa="totp")
    folder = planned(office)
    delete(folder, "u000", "u001")
    office.write()
    done = office.migrate("run", "--as-of", LATER, "--plan", str(folder))
    assert done.code == 0, done.err
    assert office.told() == [("u000@example.com", "change-1"), ("u002@example.com", "T-30")]
    assert "1 reminders in it, 1 struck out for good" in done.out
    assert "1 confirmations were deleted from the plan; they go out all the same" in done.out


def test_the_guard_names_the_way_through_review_and_an_approved_plan_passes_it(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    people(office, 6).run("2023-07-01T06:00")
    config = office.folder / "config.toml"
    config.write_text(config.read_text().replace("max_messages = 100000", "max_messages = 4"))
    monkeypatch.chdir(office.folder)
    held = office.migrate("run", "--as-of", T30)
    assert held.code == 4
    assert held.err.rstrip().endswith("`migrate run --plan reports/dry-run-2024-01-02`")
    assert "`migrate dry-run --out reports/dry-run-2024-01-02`" in held.err
    dry = office.migrate("dry-run", "--as-of", T30)
    assert dry.out.rstrip().splitlines()[-1] == "migrate run --plan reports/dry-run-2024-01-02"
    assert "delete the rows that must not go out" in dry.out
    done = office.migrate("run", "--json", "--as-of", LATER, "--plan", "reports/dry-run-2024-01-02")
    assert (done.code, done.facts["outcomes"]) == (0, {"queued": 6})
    assert len(office.mails()) == 6


def test_a_dry_run_that_reminds_nobody_asks_for_no_review(office: Office) -> None:
    office.hire("ada", "totp")
    office.write()
    assert "--plan" not in office.migrate("dry-run", "--as-of", T30).out


def test_plan_json_says_what_the_plan_depends_on(office: Office) -> None:
    people(office, 3).run("2023-07-01T06:00")
    office.change("u000", mfa="totp")
    facts = json.loads((planned(office) / "plan.json").read_text())
    assert (facts["version"], facts["campaign"]) == (1, "sms-retirement")
    assert (facts["as_of"], facts["expires_at"]) == ("2024-01-02T14:00:00Z", "2024-01-05T14:00:00Z")
    assert facts["counts"] == {"read": 3, "rows": 3, "reminders": 2, "confirmations": 1}
    assert facts["outcomes"] == {"queued": 3}
    assert len(set(facts["rows"])) == 3
    assert {len(facts[name]) for name in ("directory", "config", "mail", "twin")} == {64}
    assert facts["settings"]["[safety] plan_hours"] == "72"
    assert "reminder/subject.txt.j2" in facts["templates"]


def test_an_approver_is_named_only_with_a_plan(office: Office) -> None:
    people(office, 1).write()
    done = office.migrate("run", "--approved-by", "Ada", "--as-of", T30)
    assert done.code == 2
    assert "--approved-by" in done.err
