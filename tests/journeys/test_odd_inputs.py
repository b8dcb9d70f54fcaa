"""Inputs that nobody would type or export: each ends in a sentence or in a whole run, never in a bug and never without evidence."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
from office import Office

from migrate import incremental
from migrate.directory.snapshot import Snapshot
from migrate.incremental import CacheWarning, rows
from migrate.report.verify import verify

LONG = 200_000
EVERY_FORMAT = 'formats = ["csv", "html", "xlsx", "parquet"]'


def with_every_report(office: Office) -> Office:
    office.write()
    config = office.folder / "config.toml"
    config.write_text(config.read_text().replace('formats = ["csv"]', EVERY_FORMAT))
    return office


@pytest.mark.parametrize("moment", ["9999-12-31", "0001-01-01", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"])
def test_a_clock_at_the_end_of_the_calendar_is_no_clock(office: Office, moment: str) -> None:
    office.hire("ada")
    office.run("2023-12-01T12:00:00Z", "--no-send")
    for command in ("run", "dry-run", "send", "status", "report"):
        done = office.migrate(command, "--as-of", moment)
        assert done.code == 2, done.err
        assert done.err.startswith("Error: --as-of: ") and "1971 to 2198" in done.err
    assert not office.mails()


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5_000 + "]" * 5_000, "[" + ".".join("a" * 5_000) + "]", "a = " + "9" * 5_000, "a = " + "{a = " * 900]
)
def test_a_configuration_of_tables_within_tables_is_refused(office: Office, text: str) -> None:
    (office.folder / "config.toml").write_text(text)
    done = office.migrate("check")
    assert done.code == 2
    assert "config.toml" in done.out and "Unexpected" not in done.out + done.err and len(done.out) < 1_000


@pytest.mark.parametrize("setting", ["confirm_days", "old_address_days", "max_addresses"])
def test_a_setting_of_a_million_years_is_refused(office: Office, setting: str) -> None:
    office.more = f"[policy]\n{setting} = 1000000000"
    office.write()
    done = office.migrate("check")
    assert done.code == 2 and f"[policy] {setting}" in done.out


@pytest.mark.parametrize(
    "facts", ["", "{", "[]", "[" * 100_000, '{"username": 5, "standing": "sms_only"}', '{"username": "a", "standing": "b", "methods": 1}']
)
def test_one_broken_row_of_the_ledger_holds_its_letter_and_no_other(office: Office, facts: str) -> None:
    office.hire("ada")
    office.hire("bob")
    office.run("2023-12-01T12:00:00Z", "--no-send")
    with contextlib.closing(sqlite3.connect(office.folder / "migrate.db")) as ledger, ledger:
        ledger.execute("UPDATE notice SET facts = ? WHERE account_id = 'ada'", (facts,))
    done = office.migrate("send", "--as-of", "2023-12-01T13:00:00Z")
    assert done.code != 1 and "Unexpected" not in done.err, done.err
    assert [mail["To"] for mail in office.mails()] == ["bob@example.com"]
    assert {row["account_id"]: row["state"] for row in rows_of(office)} == {"ada": "queued", "bob": "sent"}


def rows_of(office: Office) -> list[dict[str, str]]:
    with contextlib.closing(sqlite3.connect(office.folder / "migrate.db")) as ledger:
        return [{"account_id": who, "state": state} for who, state in ledger.execute("SELECT account_id, state FROM letter")]


@pytest.mark.parametrize("rejected", [True, False], ids=["of a rejected row", "of an account"])
def test_a_value_of_200_000_characters_leaves_the_run_whole_with_its_evidence(office: Office, rejected: bool) -> None:
    office.hire("ada")
    for column in ("login", "manager", "mail", "name"):
        office.hire(f"bob's {column}", **{column: "x" * LONG, "active": "perhaps" if rejected else None})
    done = with_every_report(office).migrate("run", "--as-of", "2023-12-01T12:00:00Z")
    assert done.code == 0, done.err
    evidence = office.folder / "reports" / "latest"
    assert {"accounts.csv", "report.html", "report.xlsx", "accounts.parquet", "rejected.csv"} <= {path.name for path in evidence.iterdir()}
    assert verify([evidence.resolve()]).problems == ()


def test_an_id_of_200_000_characters_in_a_plan_is_read_again(office: Office) -> None:
    office.hire("ada", mail="a" * LONG + "@example.com")
    office.hire("bob")
    with_every_report(office)
    as_of = ("--as-of", "2023-12-01T12:00:00Z")
    assert office.migrate("dry-run", "--out", str(office.folder / "plan"), *as_of).code == 0
    done = office.migrate("run", "--plan", str(office.folder / "plan"), *as_of)
    assert done.code == 0, done.err


ODD = {"mfa": "telepathy", "mfa_changed_at": "the day before", "security_mails": "System.Object[]"}


@pytest.mark.parametrize("odd", ["all", "some", "none"])
def test_a_directory_in_which_every_row_is_odd_is_read_day_by_day_as_without_a_cache(tmp_path: Path, odd: str) -> None:
    ends = {}
    for cached in (True, False):
        office = Office(tmp_path / f"cached {cached}", ledger="sqlite:///migrate.db")
        for n in range(4):
            office.hire(f"u{n}", **(ODD if odd == "all" or (odd == "some" and n % 2) else {}))
        found = []
        for day in (1, 2, 3):
            if not cached:
                for each in office.folder.glob("migrate.db.image/*/*"):
                    each.unlink()
            facts = office.run(f"2023-06-0{day}T12:00:00Z")
            found.append(
                {
                    name: facts[name]
                    for name in ("read", "rejected", "standing", "outcomes", "changes", "unknown_words", "unreadable_instants")
                }
            )
            if day == 2:
                office.change("u0", name="Somebody Else")
        ends[cached] = (found, office.report("accounts"))
    assert ends[True] == ends[False]
    assert ends[True][0][0]["read"] == 4


@pytest.mark.cache
@pytest.mark.parametrize("place", ["reading", "deciding", "keeping"])
def test_a_fault_in_the_cache_is_a_warning_and_the_run_is_whole(office: Office, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    for name in ("ada", "bob"):
        office.hire(name)
    office.run("2023-06-01T12:00:00Z")
    office.change("ada", mfa="totp")

    def faulty(*_: object, **__: object) -> None:
        raise IndexError("of nobody's making")

    with monkeypatch.context() as patch:
        at = {"reading": (rows._Before, "same"), "deciding": (incremental.Reuse, "parts"), "keeping": (incremental, "keep")}[place]
        patch.setattr(*at, faulty)
        with pytest.warns(CacheWarning, match="IndexError in test_odd_inputs.py"):
            facts = office.run("2023-06-02T12:00:00Z")
    assert facts["changes"] == {"authenticator_enabled": 1}
    assert facts["outcomes"]["queued"] == 1
    assert [mail["To"] for mail in office.mails()] == ["ada@example.com"]
    assert (office.folder / facts["evidence"] / "accounts.csv").is_file()


def test_a_fault_that_is_not_the_caches_stays_a_bug(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.hire("ada")
    office.write()

    def faulty(*_: object, **__: object) -> None:
        raise IndexError("of nobody's making")

    monkeypatch.setattr(Snapshot, "ranges", faulty)
    assert office.migrate("run", "--as-of", "2023-06-01T12:00:00Z").code == 1
