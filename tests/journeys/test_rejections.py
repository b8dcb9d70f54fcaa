"""Rows that are no accounts: said everywhere with the reason and the way out, frozen for nobody, and too many of them stop a run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from office import COLUMNS, Done, Office
from variants import first

from migrate.directory import Directory, DirectorySettings, registry

T30, T29, T28 = "2024-01-02T06:00", "2024-01-03T06:00", "2024-01-04T06:00"
PEOPLE = 100
SPLIT = '60 accounts have several rows that differ in `methods` alone: set `rows = "methods"` under [directory].'
WORDS = (
    "enabled has words that are neither yes nor no: 'PASSWORD_EXPIRED' ({}). Say which mean yes and which no, under [directory.columns]: "
    '`enabled = {{ column = "active", yes = ["…"], no = ["…"] }}`.'
)


@pytest.fixture
def hundred(office: Office) -> Office:
    """A hundred people in a CSV file."""
    office.kind = "csv"
    for number in range(PEOPLE):
        office.hire(f"u{number:03}", "sms", active="yes")
    office.write()
    return office


def spoil(office: Office, how_many: int) -> None:
    """So many rows, the last ones, have a word for `enabled` that nobody knows; those people turned everything off meanwhile."""
    for account_id in list(office.people)[PEOPLE - how_many :]:
        office.change(account_id, active="PASSWORD_EXPIRED", mfa="")
    office.write()


def checked(office: Office) -> Done:
    """A check, as JSON, whose code is the one it says."""
    done = office.migrate("check", "--json")
    assert done.facts["exit_code"] == done.code
    return done


def said_of_the_directory(done: Done) -> list[tuple[str, str]]:
    """(state, paragraph) of what a check found in the directory."""
    return [(each["state"], each["said"]) for each in done.facts["checks"] if each["part"] == "directory"]


def stopped_by(office: Office, paragraph: str, rejected: int, *more: str) -> dict[str, Any]:
    """A run and a dry run that a guard stops, in words and as JSON; what the run says. Nothing is recorded."""
    before = office.remembered() if (office.folder / "migrate.db").exists() else None
    for command in ("run", "dry-run"):
        told, facts = (office.migrate(command, "--as-of", T29, *more, *way) for way in ((), ("--json",)))
        assert told.code == facts.code == 4
        assert told.err.startswith(f"Error: {paragraph} Nothing was recorded and nothing sent.")
        assert facts.facts["stopped"][0] in told.err
        assert f"{facts.facts['rejections'][0]['rows']:,} rows: {facts.facts['rejections'][0]['reason']}" in told.out
        for advice in facts.facts["advice"]:
            assert advice in told.out
        listed = office.table(Path(facts.facts["out"]) / "rejected.csv")
        assert len(listed) == rejected == facts.facts["rejected"]
        outcomes = office.table(Path(facts.facts["out"]) / "outcomes.csv")
        assert [row["outcome"] for row in outcomes].count("rejected") == rejected
        assert not list((office.folder / "outbox").glob("*/*")) or before
        more = ()
    remembered = office.remembered()
    assert remembered == before if before else not any(remembered[name] for name in ("account", "run", "rejection", "letter"))
    return facts.facts


def test_a_first_read_whose_every_row_is_rejected_is_refused_and_check_says_why(hundred: Office) -> None:
    spoil(hundred, PEOPLE)
    done = checked(hundred)
    assert done.code == 4
    read, stop, reason, advice = said_of_the_directory(done)
    assert read[0] == stop[0] == "wrong"
    assert read[1].endswith("100 rows were read, 0 accounts and 100 rejected")
    assert stop[1].startswith("[directory]: of 100 rows read from the directory not one is an account.")
    assert reason == (
        "warning",
        "rejected: 100 rows: enabled: '…' is neither yes nor no. Such as row 1 (u000): enabled: 'PASSWORD_EXPIRED' is neither yes nor no.",
    )
    assert advice == ("warning", WORDS.format(100))
    facts = stopped_by(hundred, "[directory]: of 100 rows read from the directory not one is an account.", 100)
    assert facts["rejections"] == [
        {
            "reason": "enabled: '…' is neither yes nor no",
            "rows": 100,
            "example": {"position": 1, "account_id": "u000", "rejection": "enabled: 'PASSWORD_EXPIRED' is neither yes nor no"},
        }
    ]


def test_a_later_read_whose_every_row_is_rejected_leaves_everybody_as_recorded(hundred: Office) -> None:
    hundred.run(T30)
    spoil(hundred, PEOPLE)
    facts = stopped_by(hundred, "[directory]: of 100 rows read from the directory not one is an account.", 100, "--accept-directory")
    assert facts["rejected_known"] == 100
    assert facts["stopped"][0].endswith("the reasons say what each row lacks.")
    assert len(facts["stopped"]) == 1


@pytest.mark.parametrize("later", [False, True])
def test_a_read_of_which_more_than_max_rejected_was_rejected_is_refused_whatever_is_accepted(hundred: Office, later: bool) -> None:
    if later:
        hundred.run(T30)
    spoil(hundred, 60)
    paragraph = "[safety] max_rejected: 60 of 100 rows (60%) were rejected, and at most 5 (5%) may be."
    facts = stopped_by(hundred, paragraph, 60, "--accept-directory")
    mend = "Mend the source or the configuration; if these rows are known to be no accounts, raise the setting."
    (stop,) = facts["stopped"]  # that their accounts are missing is the same thing again
    assert stop == f"{paragraph} Nothing was recorded and nothing sent. {mend}"
    assert facts["rejected_known"] == (60 if later else 0)
    done = checked(hundred)
    assert done.code == 4
    assert ("wrong", facts["stopped"][0]) in said_of_the_directory(done)
    assert ("warning", WORDS.format(60)) in said_of_the_directory(done)
    hundred.safety = "max_rejected = 0.6\nmax_shrink = 0.6"
    assert hundred.run(T28)["outcomes"]["rejected"] == 60


def test_no_more_than_the_floor_are_too_many_of_nobody(office: Office) -> None:
    for number in range(40):
        office.hire(f"u{number:02}", "sms", active="yes" if number % 2 else "perhaps")
    assert office.run(T30)["rejected"] == 20
    assert office.migrate("check").code == 0


def test_four_in_a_hundred_rejected_on_a_first_run_are_told_and_the_others_read(hundred: Office) -> None:
    spoil(hundred, 4)
    assert checked(hundred).code == 0
    done = hundred.migrate("run", "--as-of", T30)
    assert (done.code, done.err) == (0, "")
    assert "Rejected: 4 rows: enabled: '…' is neither yes nor no. Such as row 97 (u096)" in done.out
    assert WORDS.format(4) in done.out
    assert len(hundred.mails()) == 96
    assert {row["account_id"] for row in hundred.report("accounts")} == {f"u{number:03}" for number in range(96)}
    assert [row["position"] for row in hundred.report("rejected")] == ["97", "98", "99", "100"]
    asked = hundred.migrate("explain", "u099", "--as-of", T30)
    assert asked.code == 2
    assert "the row of 'u099' was rejected in the last run, and nothing is known of it from before: enabled: 'PASS" in asked.err


def test_a_known_account_whose_row_is_rejected_is_neither_gone_nor_changed_and_everybody_says_so(hundred: Office) -> None:
    hundred.run(T30)
    spoil(hundred, 4)
    still = "4 known accounts were rejected: they stay as recorded, neither gone nor changed."
    assert ("warning", still) in said_of_the_directory(checked(hundred))
    done = hundred.migrate("run", "--as-of", T29, "--quiet")
    assert done.code == 0
    assert still in done.out
    assert WORDS.format(4) in done.out
    accounts = {row["account_id"]: row for row in hundred.report("accounts")}
    assert len(accounts) == PEOPLE
    assert (accounts["u099"]["methods"], accounts["u099"]["outcome"]) == ("sms", "rejected")
    assert hundred.report("changes") == []
    looked = hundred.migrate("status", "--as-of", T29)
    assert still in looked.out
    assert WORDS.format(4) in looked.out
    facts = hundred.migrate("status", "--json", "--as-of", T29).facts
    assert (facts["rejected_known"], facts["last_run"]["rejections"][0]["rows"]) == (4, 4)
    assert (facts["accounts"]["not_compliant"], facts["last_run"]["standing"]) == (PEOPLE, {"sms_only": PEOPLE})
    assert [point["count"] for point in facts["burn_down"]] == [PEOPLE, PEOPLE], "nobody has moved"
    (total,) = [row for row in hundred.report("summary") if row["standing"] == "(total)"]
    assert total["count"] == str(PEOPLE)
    assert hundred.migrate("ledger", "check").code == 0
    told = hundred.migrate("explain", "u099", "--as-of", T29)
    reason = "enabled: 'PASSWORD_EXPIRED' is neither yes nor no"
    assert f"Its row was rejected in the last run: {reason}; what is shown is what was recorded before." in told.out
    assert hundred.migrate("explain", "u000", "--json", "--as-of", T29).facts["rejected"] is None
    for account_id in ("u096", "u097", "u098", "u099"):
        hundred.change(account_id, active="yes")
    assert hundred.run(T28)["changes"] == {"two_step_disabled": 4}, "what happened meanwhile is seen once the row can be read"
    assert hundred.migrate("status", "--json", "--as-of", T28).facts["rejected_known"] == 0


def test_one_row_a_method_is_recognised_and_named(hundred: Office) -> None:
    rows = [dict(person) for person in hundred.people.values()]
    hundred.write_rows(rows + [row | {"mfa": "totp"} for row in rows[:60]])
    done = checked(hundred)
    assert done.code == 4
    assert ("warning", SPLIT) in said_of_the_directory(done)
    assert done.facts["advice"] == [SPLIT]
    facts = stopped_by(hundred, "[safety] max_rejected: 120 of 160 rows (75%) were rejected, and at most 8 (5%) may be.", 120)
    assert facts["rejections"][0]["reason"] == "rows … have this account_id and differ in methods"
    assert facts["rejections"][0]["example"]["rejection"] == "rows 1, 101 have this account_id and differ in methods"
    assert facts["advice"] == [SPLIT]


def test_rows_with_one_field_too_many_are_named(hundred: Office) -> None:
    path = hundred.folder / "directory.csv"
    header, *rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([header, *(f"{row},x{n}" if n < 30 else row for n, row in enumerate(rows))]), encoding="utf-8")
    facts = stopped_by(hundred, "[safety] max_rejected: 30 of 100 rows (30%) were rejected, and at most 5 (5%) may be.", 30)
    assert facts["rejections"][0]["example"]["rejection"] == f"{len(COLUMNS) + 1} fields where the header has {len(COLUMNS)}"
    assert facts["advice"][0].startswith("30 rows have one field more than the header: a delimiter inside a field that is not quoted")


def test_rows_that_are_there_twice_are_named(hundred: Office) -> None:
    rows = [dict(person) for person in hundred.people.values()]
    hundred.write_rows(rows + rows[:40])
    facts = stopped_by(hundred, "[safety] max_rejected: 40 of 140 rows (29%) were rejected, and at most 7 (5%) may be.", 40)
    assert facts["advice"][0].startswith("40 rows are equal to another row of the same id")


def test_a_quick_check_looks_at_the_first_rows_only_and_says_so(hundred: Office) -> None:
    spoil(hundred, 4)
    done = hundred.migrate("check", "--json", "--quick")
    (state, said), *more = said_of_the_directory(done)
    assert (done.code, state) == (0, "ok")
    assert "the first 100 rows were read, and 4 of them are no accounts" in said
    assert ("warning", WORDS.format(4)) in more


def test_where_the_ledger_is_broken_the_first_rows_are_looked_at_all_the_same(hundred: Office) -> None:
    (hundred.folder / "migrate.db").write_text("no database, but long enough to be looked at as one" * 100)
    done = checked(hundred)
    assert done.code == 2
    (state, said), (_, limited) = said_of_the_directory(done)
    assert state == "ok"
    assert "the first 100 rows were read" in said
    assert limited.startswith("no more than these rows were looked at")


@pytest.mark.parametrize(
    "name", first(2, ["suspended", "Sign-in blocked", "is_suspended", "accountDisabled", "BlockCredential", "deprovisioned"])
)
def test_enabled_read_from_its_opposite_is_warned_of_by_name(office: Office, name: str) -> None:
    for number in range(30):
        office.hire(f"u{number:02}", "sms", active="no")
    office.kind = "csv"
    office.write()
    path, config = office.folder / "directory.csv", office.folder / "config.toml"
    path.write_text(path.read_text().replace(",active,", f",{name},"))
    config.write_text(config.read_text().replace('enabled = "active"', f'enabled = "{name}"'))
    done = checked(office)
    assert done.code == 0
    (warning,) = [said for state, said in said_of_the_directory(done) if state == "warning"]
    assert warning == (
        f'enabled is read from "{name}", which sounds like the opposite: if yes there means that an account cannot sign in, write '
        f'`enabled = {{ not = "{name}" }}` under [directory.columns].'
    )
    # What a run makes of it: nobody can sign in, so nobody is reminded.
    assert office.migrate("run", "--as-of", T30, "--json").facts["outcomes"] == {"inactive": 30}
    assert office.mails() == []
    again = office.migrate("run", "--as-of", T30, "--quiet")
    assert again.out.startswith("30 of 30 accounts cannot sign in, and nobody reminds those: `migrate check` says how `enabled` is read.")
    config.write_text(config.read_text().replace(f'enabled = "{name}"', f'enabled = {{ not = "{name}" }}'))
    assert [state for state, _ in said_of_the_directory(checked(office))] == ["ok"]
    assert office.migrate("run", "--as-of", T30, "--json").facts["outcomes"] == {"queued": 30}


@pytest.mark.parametrize("name", first(2, ["active", "notDisabled", "enabled", "unlocked", "accountEnabled"]))
def test_a_column_that_says_the_same_as_enabled_is_not_warned_of_by_its_name(office: Office, name: str) -> None:
    office.hire("ada", "sms", active="yes")
    office.kind = "csv"
    office.write()
    path, config = office.folder / "directory.csv", office.folder / "config.toml"
    path.write_text(path.read_text().replace(",active,", f",{name},"))
    config.write_text(config.read_text().replace('enabled = "active"', f'enabled = "{name}"'))
    assert [state for state, _ in said_of_the_directory(checked(office))] == ["ok"]


def test_most_accounts_disabled_are_warned_of_whatever_the_column_is_called(office: Office) -> None:
    for number in range(30):
        office.hire(f"u{number:02}", "sms", active="no" if number < 20 else "yes")
    office.write()
    (warning,) = [said for state, said in said_of_the_directory(checked(office)) if state == "warning"]
    assert warning.startswith("20 of 30 accounts come out as disabled, and nobody reminds those: if active says the opposite, write")


def refreshed(office: Office, day: str) -> None:
    for number, account_id in enumerate(office.people):
        office.change(account_id, mfa_changed_at=f"{day}T06:{number % 60:02}:00Z")
    office.write()


def test_the_refresh_of_a_report_is_warned_of_before_anybody_is_mailed_about_it(hundred: Office) -> None:
    for account_id in hundred.people:
        hundred.change(account_id, mfa="totp", mfa_changed_at="2024-01-01T05:00:00Z")
    hundred.write()
    (warning,) = [said for state, said in said_of_the_directory(checked(hundred)) if state == "warning"]
    assert warning.startswith(
        'methods_changed_at is read from "mfa_changed_at", and 100 of 100 accounts share 1 instant of it: that looks like the refresh of '
        "a report. Every refresh would be mailed to people as a change of theirs"
    )
    refreshed(hundred, "2024-01-01")
    (warning,) = [said for state, said in said_of_the_directory(checked(hundred)) if state == "warning"]
    assert "100 of 100 accounts have an instant of the same two days" in warning


@pytest.mark.parametrize("name", ["lastUpdatedDateTime", "Last updated time", "refreshed_at", "Report Refresh Date", "exportDate"])
def test_the_refresh_of_a_report_is_known_by_its_name(office: Office, name: str) -> None:
    office.hire("ada", "sms", mfa_changed_at="2024-01-01T05:00:00Z")
    office.kind = "csv"
    office.write()
    path, config = office.folder / "directory.csv", office.folder / "config.toml"
    path.write_text(path.read_text().replace(",mfa_changed_at,", f",{name},"))
    config.write_text(config.read_text().replace('"mfa_changed_at"', f'"{name}"'))
    (warning,) = [said for state, said in said_of_the_directory(checked(office)) if state == "warning"]
    assert warning.startswith(f'methods_changed_at is read from "{name}", which sounds like the time at which a report was refreshed.')


def test_instants_of_many_days_are_no_refresh(hundred: Office) -> None:
    for number, account_id in enumerate(hundred.people):
        hundred.change(account_id, mfa_changed_at=f"2023-{number % 12 + 1:02}-{number % 28 + 1:02}T05:{number % 60:02}:00Z")
    hundred.write()
    assert [state for state, _ in said_of_the_directory(checked(hundred))] == ["ok"]


def test_a_stop_for_changes_shows_which_column_moved_and_ten_accounts_before_and_after(hundred: Office) -> None:
    for number, account_id in enumerate(hundred.people):
        hundred.change(account_id, mfa="totp", mfa_changed_at=f"2023-{number % 12 + 1:02}-01T05:00:00Z", mail=f"U{number}@Example.com")
    hundred.run(T30)
    refreshed(hundred, "2024-01-03")
    hundred.change("u000", mfa="sms", mail="ann@example.com")
    hundred.write()
    done = hundred.migrate("run", "--as-of", T29, "--json")
    facts = done.facts
    assert done.code == 4
    assert facts["changes"] == {"authenticator_changed": 99, "authenticator_removed": 1}
    assert facts["changed_columns"] == {"methods_changed_at": 100, "methods": 1, "email": 1}
    assert len(facts["examples"]) == 10
    assert facts["examples"][0] == {
        "account_id": "u000",
        "change": "authenticator_removed",
        "before": {"methods": "totp", "email": "U0@Example.com", "methods_changed_at": "2023-01-01T05:00:00Z"},
        "after": {"methods": "sms", "email": "ann@example.com", "methods_changed_at": "2024-01-03T06:00:00Z"},
    }
    told = hundred.migrate("run", "--as-of", T29, "--quiet")
    assert "Columns that differ from what is recorded: methods_changed_at (100), email (1), methods (1)." in told.out
    assert (
        "Such as u000, authenticator_removed: methods: totp → sms; email: U***@Example.com → a***@example.com; "
        "methods_changed_at: 2023-01-01T05:00:00Z → 2024-01-03T06:00:00Z"
    ) in told.out
    assert len(hundred.table(Path(facts["out"]) / "plan.csv")) == 101, "everybody, and where ann got her mail before"


def test_a_stop_for_people_who_are_missing_shows_some_of_them(hundred: Office) -> None:
    hundred.run(T30)
    for account_id in list(hundred.people)[:50]:
        hundred.leave(account_id)
    hundred.write()
    done = hundred.migrate("run", "--as-of", T29, "--json")
    assert done.code == 4
    assert done.facts["changes"] == {"gone": 50}
    assert done.facts["examples"][0] == {"account_id": "u000", "change": "gone", "before": {"methods": "sms"}, "after": {}}
    assert "Such as u009, gone: methods: sms → gone" in hundred.migrate("run", "--as-of", T29).out


def test_each_stop_leaves_a_folder_of_its_own(hundred: Office) -> None:
    hundred.run(T30)
    spoil(hundred, 60)
    folders = [Path(hundred.migrate("run", "--as-of", T29, "--json").facts["out"]) for _ in range(2)]
    assert [folder.name for folder in folders] == ["stopped-2024-01-03", "stopped-2024-01-03-2"]
    assert sorted(path.name for path in folders[0].iterdir()) == [
        "outcomes.csv", "plan.csv", "plan.json", "plan.parquet", "previews", "rejected.csv", "review.html",
    ]  # fmt: skip
    assert {path.stat().st_mode & 0o077 for path in folders[0].rglob("*")} == {0}


def test_an_export_that_is_twenty_days_old_reminds_nobody_until_a_fresh_one_is_read(hundred: Office) -> None:
    written = datetime(2023, 12, 13, 14, 0, tzinfo=UTC)
    os.utime(hundred.folder / "directory.csv", (written.timestamp(), written.timestamp()))
    done = hundred.migrate("run", "--as-of", T30, "--json")
    assert done.code == 0
    assert (done.facts["directory_as_of"], done.facts["stale"]) == ("2023-12-13T14:00:00Z", 100)
    assert done.facts["letters"] == {"sent": 0, "failed": 0, "uncertain": 0, "withdrawn": 0, "queued": 100}
    assert hundred.mails() == []
    old = "The directory is 20 days old (it speaks of 2023-12-13 06:00 PST): reminders wait until a fresh one is read."
    for command in ("run", "dry-run"):
        assert old in hundred.migrate(command, "--as-of", T30).out
    latest = hundred.folder / "reports" / "latest"
    assert '"read_at": "2023-12-13T14:00:00Z"' in (latest / "manifest.json").read_text()
    assert '"directory_as_of": "2023-12-13T14:00:00Z"' in (latest / "summary.json").read_text()
    (_, read), *warnings = said_of_the_directory(checked(hundred))
    assert read.endswith("100 accounts and 0 rejected; it speaks of 2023-12-13 06:00 PST")
    days = [said for state, said in warnings if state == "warning"]
    assert any("days old (it speaks of 2023-12-13 06:00 PST): reminders wait until a fresh one is read." in said for said in days)
    os.utime(hundred.folder / "directory.csv", (datetime(2024, 1, 2, tzinfo=UTC).timestamp(),) * 2)
    fresh = hundred.migrate("run", "--as-of", T30, "--json")
    assert (fresh.code, fresh.facts["stale"], fresh.facts["letters"]["sent"]) == (0, 0, 100)


class ToldDirectory(Directory):
    """Somebody else's directory, which says how old its data is and what makes it weaker, once it was read."""

    kind = "told"
    Settings = DirectorySettings
    read = False

    def frames(self) -> Iterator[pd.DataFrame]:
        ids = [f"u{number}" for number in range(3)]
        yield pd.DataFrame({"account_id": ids, "email": "team@example.com", "methods": "sms", "position": [1, 2, 3]})
        self.read = True

    def describe(self) -> str:
        return "told"

    def as_of(self) -> datetime:
        return datetime(2023, 12, 31, 2, 0, tzinfo=UTC) if self.read else datetime(2000, 1, 1, tzinfo=UTC)

    def caveats(self) -> tuple[str, ...]:
        return ("2 of 3 users are a <lower bound>: the report leaves out guests",) if self.read else ()


@pytest.fixture
def told(office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    entry = SimpleNamespace(name="told", value="theirs:ToldDirectory", load=lambda: ToldDirectory)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    office.directory = 'kind = "told"'
    office.write()
    config = office.folder / "config.toml"
    config.write_text(config.read_text().replace('formats = ["csv"]', 'formats = ["csv", "html"]'))
    return office


def test_what_makes_a_directory_weaker_is_repeated_wherever_its_numbers_are(told: Office) -> None:
    caveat = "2 of 3 users are a <lower bound>: the report leaves out guests"
    done = checked(told)
    assert done.facts["caveats"] == [caveat]
    assert ("warning", f"{caveat}.") in said_of_the_directory(done)
    for words in (("dry-run",), ("run", "--quiet"), ("status",)):
        assert f"Caveat: {caveat}." in told.migrate(*words, "--as-of", T30).out, words
    latest = told.folder / "reports" / "latest"
    manifest, summary = (json.loads((latest / name).read_text(encoding="utf-8")) for name in ("manifest.json", "summary.json"))
    assert manifest["directory"]["caveats"] == summary["caveats"] == [caveat]
    page = (latest / "report.html").read_text(encoding="utf-8")
    assert "<li>2 of 3 users are a &lt;lower bound&gt;: the report leaves out guests.</li>" in page
    assert "The directory as it was on 2023-12-30 18:00 PST." in page


def test_data_that_a_directory_calls_old_keeps_reminders_back_though_it_was_read_just_now(told: Office) -> None:
    done = told.migrate("run", "--as-of", T30)
    assert done.code == 0
    assert "The directory is 2 days old (it speaks of 2023-12-30 18:00 PST): reminders wait until a fresh one is read." in done.out
    assert told.mails() == []
    told.safety = "stale_hours = 61"
    told.write()
    assert len(told.mails()) == 0
    done = told.migrate("run", "--as-of", T30)
    assert "days old" not in done.out
    assert len(told.mails()) == 3


def test_a_directory_that_speaks_of_tomorrow_is_as_old_as_the_clock_says(told: Office) -> None:
    facts = told.migrate("run", "--json", "--as-of", "2023-12-30T06:00").facts
    assert facts["directory_as_of"].startswith("2023-12-30T14:00:0")
