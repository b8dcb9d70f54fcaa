"""A run that died between recording and reporting."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from office import Office

from migrate.errors import ReportError
from migrate.run import job, reporting

T30 = "2024-01-02T06:00"


def test_a_run_whose_reports_could_not_be_written_is_completed_by_report(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.hire("ada", "sms")

    def no_room(*_: object) -> None:
        raise ReportError("the disk is full.", where="[reports] dir")

    office.write()
    with monkeypatch.context() as broken:
        broken.setattr(reporting.evidence, "write", no_room)
        assert office.migrate("run", "--as-of", T30).code == 2
    assert office.told() == [("ada@example.com", "T-30")]
    assert not (office.folder / "reports" / "latest").exists()
    done = office.migrate("report")
    assert done.code == 0, done.err
    assert "Run r00001 had ended before its reports were written" in done.out
    assert [row["last_notice_state"] for row in office.report("accounts")] == ["sent"]
    assert "had ended" not in office.migrate("report").out


def test_a_run_that_died_before_it_could_report_holds_up_no_later_one(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.hire("ada", "sms")
    office.write()
    with monkeypatch.context() as broken:
        broken.setattr(job, "write_reports", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert office.migrate("run", "--as-of", T30).code == 130
    facts = office.run("2024-01-02T12:00")
    assert facts["outcomes"] == {"nothing_due": 1}
    assert [row["state"] for row in office.report("notices")] == ["sent"]


def test_a_run_that_died_before_it_knew_the_fingerprint_of_its_read_gets_it_from_the_ledger(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Office(tmp_path / "other")
    for each in (office, other):
        each.hire("ada", "sms")
        each.hire("bob", "totp", dept=None)
        each.hire("", "totp")
        each.run("2024-01-01T06:00")
        each.change("bob", dept="Legal")
        each.write()
    with monkeypatch.context() as broken:
        broken.setattr(job, "keep", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert office.migrate("run", "--as-of", T30).code == 130
    assert office.migrate("report").code == 0
    other.run(T30)
    found = [json.loads((each.folder / "reports/latest/manifest.json").read_text())["directory"]["fingerprint"] for each in (office, other)]
    assert found[0] == found[1] != ""


def test_the_clock_that_was_set_is_the_instant_of_the_run(office: Office) -> None:
    office.hire("ada", "sms")
    assert office.run("2024-02-01T08:00:00+00:00")["as_of"] == "2024-02-01T08:00:00Z"
    assert [mail["X-Migrate-Occasion"] for mail in office.mails()] == ["T+0"]
