"""A run that died between recording and reporting."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from crash.books import books
from office import Office

from migrate.errors import ReportError
from migrate.ledger import schema
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
    assert [row["state"] for row in office.table(office.folder / "reports" / "2024-01-02-r00001" / "notices.csv")] == ["sent"]
    assert office.report("notices") == []
    assert completed(office) == {"r00001": "2024-01-02-r00001", "r00002": "2024-01-02-r00002"}
    followed = json.loads((office.folder / "reports" / "latest" / "manifest.json").read_text())["previous"]
    assert followed["folder"] == "2024-01-02-r00001"


def test_a_run_whose_letters_somebody_still_has_in_hand_is_left_to_whoever_that_is(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.hire("ada", "sms")
    office.write()
    with monkeypatch.context() as broken:
        broken.setattr(job, "write_reports", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert office.migrate("run", "--as-of", T30).code == 130
    with books(office) as ledger:
        ledger.execute(sa.update(schema.letter).values(state="claimed", owner="w", lease_until=datetime.now(UTC) + timedelta(minutes=5)))
    office.run("2024-01-02T12:00", "--no-send")
    assert completed(office) == {"r00001": None, "r00002": "2024-01-02-r00002"}


def completed(office: Office) -> dict[str, str | None]:
    """Run → its evidence, if it is complete."""
    with books(office) as ledger:
        found = ledger.execute(sa.select(schema.run.c.run_id, schema.run.c.state, schema.run.c.evidence)).all()
    return {run_id: Path(evidence).name if state == "completed" else None for run_id, state, evidence in found}


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
