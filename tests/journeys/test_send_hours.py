"""Send days and send hours: stages move to days on which letters may go, and letters wait for the hours (design §7)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from mail.scripted_smtp import ScriptedSmtp
from office import Office

WORKDAYS = '[schedule]\nsend_days = ["mon", "tue", "wed", "thu", "fri"]\nsend_hours = "08:00-18:00"'
ADA, BOB = "ada@example.com", "bob@example.com"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """T-30 is Tuesday 2 January 2024, T-14 Thursday 18 January, T-7 Thursday 25 January, T-3 Monday 29 January."""
    office = Office(tmp_path / "office", more=WORKDAYS)
    office.hire("ada", "sms")
    return office


def by_smtp(office: Office, port: int, rate: str = "1000/s") -> None:
    settings = f'host = "127.0.0.1"\nport = {port}\nsecurity = "none"\nrate = "{rate}"\nconnections = 1'
    office.mail = f'transport = "smtp"\n[mail.smtp]\n{settings}'
    office.safety = "allow_time_travel = true"


def sent(office: Office, as_of: str, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = office.migrate("send", "--json", "--as-of", as_of, *arguments)
    assert done.code == code, (done.code, done.out, done.err)
    return done.facts


def test_a_run_before_the_hours_queues_says_until_when_and_send_delivers_inside_them(office: Office) -> None:
    until = "1 letter waits for the send hours, until Tuesday 2024-01-02 08:00 PST."
    office.write()
    done = office.migrate("run", "--as-of", "2024-01-02T06:00")
    assert done.code == 0
    assert until in done.out
    assert until in office.migrate("status", "--as-of", "2024-01-02T07:00").out
    assert sent(office, "2024-01-02T07:58")["waiting"] == {"reminders": 1, "until": "2024-01-02T16:00:00Z", "too_long": 0}
    assert office.told() == []
    facts = sent(office, "2024-01-02T08:00")
    assert (facts["letters"]["sent"], facts["waiting"]) == (1, {"reminders": 0, "until": None, "too_long": 0})
    assert office.told() == [(ADA, "T-30")]


def test_a_run_says_in_json_and_in_its_evidence_until_when_letters_wait(office: Office) -> None:
    facts = office.run("2024-01-02T06:00")
    assert facts["waiting"] == {"reminders": 1, "until": "2024-01-02T16:00:00Z", "too_long": 0}
    assert facts["letters"] == {"sent": 0, "failed": 0, "uncertain": 0, "withdrawn": 0, "queued": 1}
    first = json.loads((office.folder / "reports" / "latest" / "summary.json").read_bytes())
    assert first["waiting"] == facts["waiting"]
    again = office.migrate("report", "--as-of", "2024-01-02", "--out", str(office.folder / "again"))
    assert again.code == 0, again.err
    told = json.loads((office.folder / "again" / "summary.json").read_bytes())
    assert told | {"evidence": None} == first | {"evidence": None}


def test_after_the_hours_on_friday_letters_wait_until_monday_and_their_days_left_are_counted_afresh(office: Office) -> None:
    office.more = f"{WORKDAYS}\ndays_before = [27]"
    facts = office.run("2024-01-05T18:00")
    assert facts["waiting"]["until"] == "2024-01-08T16:00:00Z"
    office.run("2024-01-07T18:00")
    sent(office, "2024-01-08T08:00")
    (mail,) = office.mails()
    assert "24 days" in mail.get_body(("plain",)).get_content()


def test_confirmations_wait_for_nothing(office: Office) -> None:
    office.hire("bob", "sms")
    office.run("2023-07-20T10:00")
    office.change("bob", mfa="totp")
    facts = office.run("2024-01-06T03:00")
    assert office.told() == [(BOB, "change-1")]
    assert facts["waiting"] == {"reminders": 1, "until": "2024-01-08T16:00:00Z", "too_long": 0}


def test_stages_move_to_send_days_and_everything_that_names_their_day_says_so(office: Office) -> None:
    """The cutoff is a Monday: T-1 and T-3 would be weekend days, T+5 a Saturday."""
    office.more = f"{WORKDAYS}\ndays_before = [14, 3, 1]\ndays_after = [0, 5]"
    office.write()
    config = office.folder / "config.toml"
    config.write_text(config.read_text().replace("cutoff = 2024-02-01T00:00:00", "cutoff = 2024-01-29T00:00:00"))

    def run(as_of: str) -> dict[str, Any]:
        done = office.migrate("run", "--json", "--as-of", as_of)
        assert done.code == 0, done.err
        return done.facts

    checked = office.migrate("check").out
    assert "T-14 on 2024-01-15, T-1 on 2024-01-26, T+0 on 2024-01-29, T+5 on 2024-02-05" in checked
    assert "T-3 (2024-01-26) is left out: [schedule] send_days moves it to the day of another stage, or too far." in checked
    run("2024-01-15T10:00")
    (row,) = office.report("accounts")
    assert (row["next_stage"], row["next_stage_on"]) == ("T-1", "2024-01-26")
    explained = office.migrate("explain", "ada", "--json", "--as-of", "2024-01-20T10:00").facts
    assert explained["next"] == {"stage": "T-1", "on": "2024-01-26"}
    stage = office.migrate("status", "--json", "--as-of", "2024-01-20T10:00").facts
    assert (stage["stage"]["on"], stage["next_stage"]["on"]) == ("2024-01-15", "2024-01-26")
    assert run("2024-01-25T10:00")["outcomes"] == {"nothing_due": 1}
    run("2024-01-26T10:00")
    run("2024-01-27T10:00")
    run("2024-01-29T10:00")
    run("2024-02-03T10:00")
    run("2024-02-05T10:00")
    mails = [(mail["X-Migrate-Occasion"], mail["X-Migrate-Kind"]) for mail in office.mails()]
    assert mails == [("T-14", "reminder"), ("T-1", "final_reminder"), ("T+0", "cutoff_passed"), ("T+5", "cutoff_passed")]
    assert "3 days" in office.mails()[1].get_body(("plain",)).get_content()


def test_a_missed_friday_is_made_up_inside_the_hours_and_never_past_the_cutoff(office: Office) -> None:
    office.more = f"{WORKDAYS}\ndays_before = [5]"
    office.run("2024-01-28T10:00")
    assert office.migrate("explain", "ada", "--json", "--as-of", "2024-01-28T10:00").facts["next"]["stage"] == "T+0"
    sent(office, "2024-01-29T08:00")
    assert office.told() == [(ADA, "T-5")]


def test_explain_names_the_first_day_on_which_a_letter_can_go(office: Office) -> None:
    office.run("2023-07-20T10:00")

    def next_on(as_of: str) -> dict[str, Any]:
        found: dict[str, Any] = office.migrate("explain", "ada", "--json", "--as-of", as_of).facts["next"]
        return found

    assert next_on("2024-01-02T17:59") == {"stage": "T-30", "on": "2024-01-02"}
    assert next_on("2024-01-05T18:00") == {"stage": "T-30", "on": "2024-01-08"}
    # By the morning after, the newer stage is due.
    assert next_on("2024-01-24T18:00") == {"stage": "T-7", "on": "2024-01-25"}
    # The hours begin again only after the cutoff: it would go at once.
    assert next_on("2024-01-31T18:00") == {"stage": "T-1", "on": "2024-01-31"}
    assert next_on("2024-02-01T00:00") == {"stage": "T+0", "on": "2024-02-01"}


def test_a_letter_that_waited_through_a_send_day_is_exit_5_until_it_goes(office: Office) -> None:
    """Nothing sends but a run before the hours: queued on Tuesday, and on Wednesday Tuesday's hours are over."""
    office.run("2024-01-02T06:00")
    assert office.run("2024-01-02T20:00", code=5)["waiting"]["too_long"] == 1
    done = office.migrate("run", "--quiet", "--as-of", "2024-01-03T06:00")
    assert done.code == 5
    assert "1 letter has waited through a whole send day: `migrate send` must run inside the send hours" in done.out
    assert sent(office, "2024-01-03T07:00", code=5)["waiting"]["too_long"] == 1
    assert sent(office, "2024-01-03T09:00")["waiting"]["too_long"] == 0


def test_a_weekend_is_no_waiting_and_neither_is_a_letter_queued_inside_the_hours_of_the_day(office: Office) -> None:
    office.run("2024-01-05T10:00", "--no-send")
    assert sent(office, "2024-01-06T10:00")["waiting"]["too_long"] == 0
    assert sent(office, "2024-01-08T07:00")["waiting"] == {"reminders": 1, "until": "2024-01-08T16:00:00Z", "too_long": 0}


def test_without_send_hours_a_send_day_is_the_calendars(office: Office) -> None:
    office.more = ""
    office.run("2024-01-02T06:00", "--no-send")
    assert office.run("2024-01-03T23:50", "--no-send")["waiting"]["too_long"] == 0
    assert office.run("2024-01-04T00:01", "--no-send", code=5)["waiting"]["too_long"] == 1


def test_a_letter_that_the_server_puts_off_has_not_waited(office: Office) -> None:
    with ScriptedSmtp(rcpt="450 4.2.0 greylisted") as server:
        by_smtp(office, server.port)
        office.run("2024-01-02T17:50")
        assert sent(office, "2024-01-03T17:59")["waiting"]["too_long"] == 0
        assert sent(office, "2024-01-03T18:30")["waiting"]["too_long"] == 0
    assert sent(office, "2024-01-04T19:00", code=5)["waiting"]["too_long"] == 1


def test_outside_the_hours_no_mail_server_is_asked_for_nothing(office: Office) -> None:
    by_smtp(office, 9)
    assert office.run("2024-01-02T06:00")["letters"]["queued"] == 1
    assert office.run("2024-01-02T08:00", code=6)["letters"]["queued"] == 1


@pytest.mark.parametrize("workers", ["1", "2"])
def test_until_empty_ends_outside_the_hours_and_says_until_when(office: Office, workers: str) -> None:
    office.run("2024-01-02T06:00")
    facts = sent(office, "2024-01-02T07:30", "--until-empty", "--workers", workers)
    assert facts["waiting"]["until"] == "2024-01-02T16:00:00Z"
    assert office.told() == []


def test_until_empty_ends_when_the_directory_is_stale(office: Office) -> None:
    office.more = ""
    office.run("2024-01-02T06:00", "--no-send")
    assert sent(office, "2024-01-03T18:30", "--until-empty")["stale"] == 1


def test_a_stale_directory_waits_for_a_run_whatever_the_hours(office: Office) -> None:
    office.run("2024-01-02T06:00")
    done = office.migrate("send", "--as-of", "2024-01-03T18:30")
    assert "1 letter waits: `migrate run` reads it again (if it is an export, make that anew first)." in done.out
    assert "send hours, until" not in done.out


def test_the_hours_end_while_letters_go_out_and_the_rest_waits(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds go by at each look at the clock."""
    for n in range(20):
        office.hire(f"u{n:02}", "sms")
    start = datetime(2024, 1, 2, 17, 59, tzinfo=ZoneInfo("America/Los_Angeles"))
    ticks = count()
    monkeypatch.setattr("migrate.run.start.clock_from", lambda _: lambda: start + next(ticks) * timedelta(seconds=2))
    with ScriptedSmtp() as server:
        by_smtp(office, server.port)
        facts = office.run("2024-01-02T17:59")
        assert len(server.messages) == facts["letters"]["sent"]
    assert 0 < facts["letters"]["sent"] < 21
    assert facts["letters"]["sent"] + facts["letters"]["queued"] == 21
    assert facts["waiting"]["until"] == "2024-01-03T16:00:00Z"


def test_a_dry_run_foretells_along_the_hours(office: Office) -> None:
    for n in range(120):
        office.hire(f"u{n:03}", "sms")
    by_smtp(office, 9, rate="1/min")
    office.write()
    said = office.migrate("dry-run", "--as-of", "2024-01-05T17:00").out
    # An hour is left on Friday for 60 of the 121 letters.
    assert "121 letters at 1/min: done on Monday, 8 January." in said


def test_a_dry_run_on_the_last_day_foretells_past_the_hours(office: Office) -> None:
    for n in range(120):
        office.hire(f"u{n:03}", "sms")
    by_smtp(office, 9, rate="1/min")
    office.write()
    for as_of, done in (("2024-01-31T17:00", "19:01"), ("2024-01-31T19:00", "21:01")):
        assert f"121 letters at 1/min: done about {done}." in office.migrate("dry-run", "--as-of", as_of).out
