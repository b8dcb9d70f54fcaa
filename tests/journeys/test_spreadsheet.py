"""A plan reviewed in LibreOffice itself: what was left in the file goes out, and what the spreadsheet rewrote is refused by name."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
from office import Done, Office
from spreadsheet import ODS, XLSX, LibreOffice, saved
from variants import soak

BEFORE, T30, LATER = "2023-07-01T06:00", "2024-01-02T06:00", "2024-01-02T11:00"
PLAN = Path("reports/dry-run-2024-01-02")
Country = Callable[[str], LibreOffice]

SURVIVE = (
    "007", "7", "1E5", "=cmd|' /C calc'!A0", "TRUE", "false", "2024-01-02", "1-2", "+15550100", "-5", "a;b", 'the "boss"', "0x1F", "Örs",
)  # fmt: skip
"""Ids that LibreOffice leaves alone, or rewrites without a loss, when it is not asked to detect special numbers."""
AS_TEXT = "/".join(f"{column}/2" for column in range(1, 11))


@pytest.fixture(scope="module")
def two_hundred(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """A company whose dry run plans 200 reminders; each test reviews a copy of it."""
    office = Office(tmp_path_factory.mktemp("two-hundred") / "office")
    for n in range(200 - len(SURVIVE)):
        office.hire(f"u{n:03}", "sms", name=f"Örsted, “{n}”")
    for account_id in SURVIVE:
        office.hire(account_id, "sms", mail=f"special{SURVIVE.index(account_id)}@example.com")
    office.run(BEFORE)
    office.mail = office.mail.replace("[mail.maildir]", 'templates = "own"\n[mail.maildir]')
    (office.folder / "own" / "reminder").mkdir(parents=True)
    (office.folder / "own" / "reminder" / "subject.txt.j2").write_text("Move before {{ cutoff.day }}")
    return office


@pytest.fixture
def office(two_hundred: Office, tmp_path: Path) -> Office:
    folder = shutil.copytree(two_hundred.folder, tmp_path / "office", symlinks=True)
    return planned(Office(folder, deepcopy(two_hundred.people), mail=two_hundred.mail))


def planned(office: Office) -> Office:
    office.write()
    done = office.migrate("dry-run", "--as-of", T30)
    assert done.code == 0, done.err
    return office


def rows(office: Office) -> list[dict[str, str]]:
    return office.table(office.folder / PLAN / "plan.csv")


def thirty(office: Office) -> dict[str, str]:
    """Notice → account id of 30 rows all over the plan, in the order of the file."""
    listed = rows(office)
    assert len(listed) == 200
    return {row["notice"]: row["account_id"] for row in listed[3:183:6]}


def applied(office: Office, as_of: str = LATER) -> Done:
    return office.migrate("run", "--json", "--as-of", as_of, "--plan", str(office.folder / PLAN))


def refused(office: Office, as_of: str = LATER) -> str:
    """A plan that is refused changes nothing; why it was."""
    before = office.remembered()
    done = applied(office, as_of)
    assert done.code == 4, (done.code, done.out, done.err)
    assert office.remembered() == before
    assert not (office.folder / "outbox").exists()
    return done.err


@pytest.mark.parametrize(
    ("locale", "how"),
    [
        ("en-US", {}),
        soak("en-US", {"saving": saved(separator=";", quoted=True)}),
        ("en-US", {"saving": saved(separator="\t", charset=65535, shown=False), "through": ODS}),
        soak("de-DE", {"saving": saved(separator=";")}),
        ("de-DE", {"saving": saved(separator=";", quoted=True, shown=False), "through": XLSX}),
        ("de-DE", {"columns": AS_TEXT, "detect": True}),
    ],
)
def test_of_200_rows_the_170_that_were_left_go_out_whoever_saved_the_file(
    office: Office, libreoffice: Country, locale: str, how: dict[str, str]
) -> None:
    struck = thirty(office)
    as_written = (office.folder / PLAN / "plan.csv").read_bytes()
    libreoffice(locale).review(office.folder / PLAN / "plan.csv", delete=list(struck), **how)
    assert (office.folder / PLAN / "plan.csv").read_bytes() not in (as_written, b"")
    done = applied(office)
    assert done.code == 0, done.err
    assert done.facts["outcomes"] == {"queued": 170, "not_in_plan": 30}
    assert done.facts["letters"] == {"sent": 170, "failed": 0, "uncertain": 0, "withdrawn": 30, "queued": 0}
    ids = {account_id.removeprefix("'") for account_id in struck.values()}
    left = {person["mail"] for account_id, person in office.people.items() if account_id not in ids}
    assert len(left) == 170
    assert office.told() == sorted((address, "T-30") for address in left)


def test_a_person_who_switched_or_moved_since_the_review_is_dropped_with_the_reason(office: Office, libreoffice: Country) -> None:
    struck = thirty(office)
    libreoffice("de-DE").review(office.folder / PLAN / "plan.csv", delete=list(struck), saving=saved(separator=";"))
    office.change("u001", mfa="totp")
    office.change("u003", mail="new@example.com")
    assert not {"u001", "u003"} & set(struck.values())
    office.write()
    done = applied(office)
    assert done.code == 0, done.err
    assert done.facts["outcomes"] == {"queued": 169, "not_in_plan": 31}
    reasons = {row["account_id"]: row["outcome_reason"] for row in office.report("accounts")}
    assert reasons["u001"] == "change_confirmation"
    assert reasons["u003"] == "the address changed since the plan"
    assert ("u001@example.com", "change-1") in office.told()
    assert [occasion for _, occasion in office.told()].count("T-30") == 168


def test_what_was_typed_into_the_sheet_is_refused_with_the_row(office: Office, libreoffice: Country) -> None:
    first, second = rows(office)[100], rows(office)[101]
    libreoffice("en-US").review(
        office.folder / PLAN / "plan.csv",
        edit=[(first["notice"], 2, "eve@evil.example")],
        add=[["n0123456789abcdef", "eve", "eve@evil.example", *list(second.values())[3:]]],
    )
    said = refused(office)
    assert "2 rows of plan.csv are not as the dry run wrote them" in said
    assert f"line 102 ('{first['account_id']}'): to was '{first['to']}', is 'eve@evil.example'" in said
    assert "line 202 ('eve') was added: reminder T-30 to 'eve@evil.example'" in said


def test_a_template_a_cutoff_or_an_hour_too_late_refuses_a_file_that_is_otherwise_as_it_should_be(
    office: Office, libreoffice: Country
) -> None:
    libreoffice("en-US").review(office.folder / PLAN / "plan.csv", delete=list(thirty(office)))
    subject, config = office.folder / "own" / "reminder" / "subject.txt.j2", office.folder / "config.toml"
    for file, old, new, says in (
        (subject, "Move before", "URGENT: move before", "templates changed since the plan: reminder/subject.txt.j2."),
        (config, "2024-02-01T00:00:00", "2024-02-08T00:00:00", "[campaign] cutoff was"),
    ):
        before = file.read_text()
        assert old in before
        file.write_text(before.replace(old, new))
        assert says in refused(office)
        file.write_text(before)
    assert "the plan expired on 2024-01-05 14:00 UTC" in refused(office, "2024-01-05T06:00")
    assert applied(office, "2024-01-05T05:59").facts["outcomes"] == {"queued": 170, "not_in_plan": 30}


@pytest.mark.parametrize(
    ("locale", "detect", "ids"),
    [
        ("en-US", False, ["123456789012345678", "9007199254740993"]),
        soak("en-US", True, ["1/2", "123456789012345678", "12:30", "50%"]),
        soak("de-DE", False, ["1.234", "123456789012345678"]),
        ("de-DE", True, ["1.2.2024", "1E5", "12:30"]),
    ],
)
def test_an_id_that_the_spreadsheet_rewrote_is_refused_by_name_and_the_way_round_it_works(
    tmp_path: Path, libreoffice: Country, locale: str, detect: bool, ids: list[str]
) -> None:
    office = Office(tmp_path / "office")
    for n, account_id in enumerate([*ids, "007", "plain"]):
        office.hire(account_id, "sms", mail=f"u{n}@example.com")
    office.run(BEFORE)
    planned(office)
    notices = {row["account_id"]: row["notice"] for row in rows(office)}
    plan, spreadsheet = office.folder / PLAN / "plan.csv", libreoffice(locale)
    spreadsheet.review(plan, delete=[notices["plain"]], detect=detect)
    said = refused(office)
    assert f"{len(ids)} rows of plan.csv are not as the dry run wrote them" in said
    for account_id in ids:
        assert f"account_id was {account_id!r}, is " in said
    assert "'007'" not in said, "what lost nothing is not complained of"
    assert "`migrate dry-run` for a new file and open that one with every column as text" in said
    assert "--out" in said
    assert "is not written over" in office.migrate("dry-run", "--as-of", T30).err
    plan.parent.rename(office.folder / "spoilt")
    planned(office)
    spreadsheet.review(plan, delete=[notices["plain"]], detect=detect, columns=AS_TEXT, saving=saved(separator=";"))
    done = applied(office)
    assert done.code == 0, done.err
    assert done.facts["outcomes"] == {"queued": len(ids) + 1, "not_in_plan": 1}
