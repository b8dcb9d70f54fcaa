"""Clocks that are set back, nights in which they change, and zones far from UTC: nothing lost, nothing twice, dates right."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mail.scripted_smtp import ScriptedSmtp
from office import Office, body

from migrate.delivery import rate_limiter
from migrate.ledger import clock as real
from migrate.ledger.engine import Ledger, LedgerSettings
from migrate.outbox.claims import Claims, Settlement
from migrate.run import clock_guard as trusted
from migrate.run import job, path, sending, start

HOUR = timedelta(hours=1)
MORNING = datetime(2024, 1, 2, 18, 0, tzinfo=UTC)
"""10:00 in Los Angeles, on the day of T-30."""


@dataclass
class Machine:
    """The clock of the machine, which anybody may set."""

    now: datetime = MORNING

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """What every part of the command takes for the time, while no `--as-of` sets it."""
    machine, clock_from = Machine(), start.clock_from
    for part in (job, sending, start):
        monkeypatch.setattr(part, "clock_from", lambda as_of: clock_from(as_of) if as_of else machine)
    for part in (real, rate_limiter):
        monkeypatch.setattr(part, "_now", machine)
    monkeypatch.setattr(trusted, "synchronised", lambda: None)
    return machine


def by_smtp(office: Office, port: int, connections: int = 1) -> None:
    settings = f'host = "127.0.0.1"\nport = {port}\nsecurity = "none"\nrate = "1000/s"\nconnections = {connections}\ntimeout = 5'
    office.mail = f'transport = "smtp"\n[mail.smtp]\n{settings}'
    office.safety = "allow_time_travel = true"


def run(office: Office, code: int = 0) -> dict[str, Any]:
    """A run by the machine's clock."""
    office.write()
    done = office.migrate("run", "--json")
    assert done.code == code, (done.code, done.out, done.err)
    return done.facts


def send(office: Office, code: int = 0) -> dict[str, int]:
    done = office.migrate("send", "--json")
    assert done.code == code, (done.code, done.out, done.err)
    letters: dict[str, int] = done.facts["letters"]
    return letters


def set_cutoff(office: Office, cutoff: str, zone: str) -> None:
    office.write()
    config = office.folder / "config.toml"
    text = config.read_text(encoding="utf-8")
    text = text.replace("cutoff = 2024-02-01T00:00:00", f"cutoff = {cutoff}").replace("America/Los_Angeles", zone)
    config.write_text(text, encoding="utf-8")


def test_a_clock_set_back_between_runs_tells_nobody_twice_and_leaves_nobody_unsaid(office: Office, clock: Machine) -> None:
    office.hire("ada", "sms")
    run(office)
    clock.now -= HOUR
    office.hire("bob", "sms")
    facts = run(office)
    assert facts["outcomes"] == {"nothing_due": 1, "queued": 1}
    assert [(row["account_id"], row["state"]) for row in office.report("notices")] == [("bob", "sent")]
    clock.now += 2 * HOUR
    assert run(office)["outcomes"] == {"nothing_due": 2}
    assert office.report("notices") == []
    assert office.told() == [("ada@example.com", "T-30"), ("bob@example.com", "T-30")]


def test_a_clock_set_back_while_letters_go_out_leaves_none_out_of_the_reports(office: Office, clock: Machine) -> None:
    for n in range(6):
        office.hire(f"u{n}", "sms")

    def back() -> None:
        if len(server.messages) == 3:
            clock.now -= HOUR

    with ScriptedSmtp(dot=(back, "250 2.0.0 queued")) as server:
        by_smtp(office, server.port)
        facts = run(office)
    assert facts["letters"] == {"sent": 6, "failed": 0, "uncertain": 0, "withdrawn": 0, "queued": 0}
    assert Counter(row["state"] for row in office.report("notices")) == {"sent": 6}
    assert Counter(row["last_notice_state"] for row in office.report("accounts")) == {"sent": 6}
    again = office.folder / "again"
    assert office.migrate("report", "--as-of", "2024-01-02", "--out", str(again)).code == 0
    for table in ("notices", "accounts"):
        assert office.table(again / f"{table}.csv") == office.report(table)
    clock.now += 2 * HOUR
    assert run(office)["outcomes"] == {"nothing_due": 6}
    assert office.report("notices") == []


@pytest.mark.parametrize("gap", [0, 1])
def test_a_clock_set_back_over_midnight_sends_no_older_stage_after_the_newer_one(office: Office, clock: Machine, gap: int) -> None:
    """Half an hour into the day of T-14, then half an hour before it, when T-30 would count."""
    office.more = f"[schedule]\nmin_gap_days = {gap}"
    office.hire("ada", "sms")
    clock.now = datetime(2024, 1, 18, 8, 30, tzinfo=UTC)
    run(office)
    clock.now -= HOUR
    run(office)
    assert office.told() == [("ada@example.com", "T-14")]
    clock.now += 2 * HOUR
    run(office)
    assert office.told() == [("ada@example.com", "T-14")]


def test_a_clock_set_back_over_midnight_leaves_the_newer_letter_waiting(office: Office, clock: Machine) -> None:
    office.more = '[schedule]\nsend_hours = "08:00-18:00"'
    office.hire("ada", "sms")
    clock.now = datetime(2024, 1, 18, 8, 30, tzinfo=UTC)
    run(office)
    clock.now -= HOUR
    facts = run(office)
    assert (facts["outcomes"], facts["letters"]["withdrawn"]) == ({"nothing_due": 1}, 0)
    explained = office.migrate("explain", "ada", "--json", "--as-of", clock.now.isoformat()).facts
    assert explained["next"] == {"stage": "T-7", "on": "2024-01-25"}
    clock.now += 9 * HOUR
    assert send(office)["sent"] == 1
    assert office.told() == [("ada@example.com", "T-14")]


def test_letters_in_the_hands_of_a_dead_worker_stay_there_until_their_lease_ends_by_the_new_clock(office: Office, clock: Machine) -> None:
    office.hire("ada", "sms")
    office.hire("bob", "sms")
    office.run("2023-07-20T06:00")
    office.change("bob", mfa="totp")
    office.write()
    assert office.migrate("run", "--no-send").code == 0
    with closing(sqlite3.connect(office.folder / "migrate.db")) as ledger, ledger:
        until = int((clock.now + timedelta(minutes=5)).timestamp() * 1_000_000)
        ledger.execute("UPDATE letter SET state = 'sending', owner = 'dead', lease_until = ?", [until])
    clock.now -= HOUR
    assert send(office) == {"sent": 0, "failed": 0, "uncertain": 0, "queued": 0}
    clock.now += HOUR
    assert send(office)["sent"] == 0
    clock.now += timedelta(minutes=6)
    # The reminder is uncertain and stays so; the confirmation goes out once more, by itself.
    assert send(office, code=5) == {"sent": 1, "failed": 0, "uncertain": 1, "queued": 0}
    assert send(office) == {"sent": 0, "failed": 0, "uncertain": 0, "queued": 0}
    assert office.told() == [("bob@example.com", "change-1")]


def test_a_letter_that_was_put_off_is_sent_once_when_the_clock_has_come_that_far_again(office: Office, clock: Machine) -> None:
    office.hire("ada", "sms")
    with ScriptedSmtp(rcpt=["450 4.2.0 greylisted"]) as server:
        by_smtp(office, server.port)
        assert run(office)["letters"]["queued"] == 1
        clock.now -= HOUR
        assert send(office)["queued"] == 1
        clock.now += HOUR + timedelta(minutes=20)
        assert send(office)["sent"] == 1
        assert send(office)["sent"] == 0
    assert len(server.messages) == 1


def test_while_a_run_is_at_work_a_clock_set_back_lets_no_other_in(office: Office, clock: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    office.hire("ada", "sms")
    take, codes = path.take, []

    def slowly(*arguments: Any) -> Any:
        monkeypatch.setattr(path, "take", take)
        clock.now -= HOUR
        codes.append(office.migrate("run").code)
        return take(*arguments)

    monkeypatch.setattr(path, "take", slowly)
    run(office)
    assert codes == [75]
    assert office.told() == [("ada@example.com", "T-30")]


def test_a_directory_read_in_the_hour_that_comes_again_is_not_stale(office: Office, clock: Machine) -> None:
    office.hire("ada", "sms")
    office.write()
    assert office.migrate("run", "--no-send").code == 0
    clock.now -= HOUR
    assert send(office)["sent"] == 1


def test_a_clock_far_ahead_stops_a_run_and_so_does_the_right_one_after_it(office: Office, clock: Machine) -> None:
    """A run by a clock that is a year ahead would tell everybody of the last stage, and of none of those before it, ever."""
    office.hire("ada", "sms")
    run(office)
    clock.now += timedelta(days=365)
    before = office.remembered()
    done = office.migrate("run")
    assert (done.code, done.err.count("\n")) == (4, 1)
    for word in ("the clock says 2025-01-01", "was as of 2024-01-02", "8,760 hours ago", "stale_hours = 36", "--accept-clock"):
        assert word in done.err
    dry = office.migrate("dry-run", "--json")
    assert (dry.code, "the clock says 2025-01-01" in dry.facts["stopped"][0]) == (4, True)
    assert "run r00001, the last one, was as of 2024-01-02" in " ".join(office.migrate("check", "--quick").out.split())
    assert office.remembered() == before
    clock.now -= timedelta(days=365)
    assert run(office)["outcomes"] == {"nothing_due": 1}
    clock.now += timedelta(days=16)
    assert office.migrate("run", "--accept-clock").code == 0
    assert office.told() == [("ada@example.com", "T-14"), ("ada@example.com", "T-30")]
    clock.now -= timedelta(days=1, minutes=1)
    done = office.migrate("run")
    assert (done.code, "one of the two was wrong" in done.err, "`migrate run --accept-clock`" in done.err) == (4, True, True)
    clock.now += timedelta(minutes=2)
    run(office)
    assert len(office.mails()) == 2


def test_a_host_that_was_down_goes_on_by_itself_where_a_time_server_keeps_its_clock(
    office: Office, clock: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.hire("ada", "sms")
    run(office)
    clock.now += timedelta(hours=35)
    run(office)
    clock.now += timedelta(days=15)
    monkeypatch.setattr(trusted, "synchronised", lambda: clock.now - timedelta(days=10))
    assert office.migrate("run").code == 4
    monkeypatch.setattr(trusted, "synchronised", lambda: clock.now)
    run(office)
    assert office.told() == [("ada@example.com", "T-14"), ("ada@example.com", "T-30")]


def test_after_days_that_were_played_through_there_is_nothing_to_compare_the_clock_with(office: Office, clock: Machine) -> None:
    office.hire("ada", "sms")
    office.run("2023-07-20T06:00")
    assert run(office)["outcomes"] == {"queued": 1}


def test_a_delivery_whose_days_are_played_through_takes_no_letter_out_of_a_workers_hands(office: Office) -> None:
    """`send --as-of` twenty hours ahead, while another worker is saying a confirmation."""
    office.hire("ada", "sms")
    office.run("2024-01-02T06:00")
    office.change("ada", mfa="totp")
    office.run("2024-01-03T06:00", "--no-send")
    with Ledger.open(LedgerSettings(url=f"sqlite:///{office.folder / 'migrate.db'}"), create=False) as ledger:
        at = datetime(2024, 1, 3, 14, 5, tzinfo=UTC)
        worker = Claims(ledger, 1, "at-work")
        (letter,) = worker.exchange([], at).begun
        done = office.migrate("send", "--json", "--as-of", "2024-01-04T02:00")
        assert (done.code, done.facts["letters"]["sent"], len(office.mails())) == (0, 0, 1)
        assert worker.settle(letter, Settlement("sent"), at)
        assert office.migrate("ledger", "check").code == 0
    assert office.migrate("send", "--as-of", "2024-01-05T06:00").code == 0
    assert len(office.mails()) == 1


NIGHTS = {
    "the clock skips 02:00 to 03:00": ("2024-03-10T00:00:00", datetime(2024, 3, 9, 7, 30, tzinfo=UTC)),
    "the clock shows 01:00 to 02:00 twice": ("2024-11-03T00:00:00", datetime(2024, 11, 2, 6, 30, tzinfo=UTC)),
}


@pytest.mark.parametrize("night", NIGHTS)
def test_runs_through_a_night_of_change_tell_each_stage_once_on_its_day(office: Office, night: str) -> None:
    """The cutoff is the midnight before; the runs are at half past the hours around each midnight and in the night of change."""
    cutoff, start = NIGHTS[night]
    office.more = "[schedule]\ndays_before = [1]\ndays_after = [0, 1]"
    office.hire("ada", "sms")
    set_cutoff(office, cutoff, "America/Los_Angeles")
    day = datetime.fromisoformat(cutoff)
    lasts = 23 if day.month == 3 else 25
    for hours in (0, 1, 24, 25, 26, 27, 24 + lasts, 25 + lasts):
        done = office.migrate("run", "--quiet", "--as-of", (start + hours * HOUR).isoformat())
        assert (done.code, done.out, done.err) == (0, "", "")
    found = [(mail["X-Migrate-Occasion"], mail["Date"].datetime.astimezone(UTC) - start) for mail in office.mails()]
    assert [occasion for occasion, _ in found] == ["opens", "T-1", "T+0", "T+1"]
    assert [round(after / HOUR) for _, after in found] == [0, 1, 25, 25 + lasts]
    assert f"the end of {day - timedelta(days=1):%A, %-d %B %Y}" in body(office.mails()[1])


def test_an_instant_typed_without_an_offset_is_the_first_of_two_and_with_one_either(office: Office) -> None:
    office.hire("ada", "sms")
    first = office.run("2024-11-03T01:30")
    second = office.run("2024-11-03T01:30-08:00")
    skipped = office.run("2025-03-09T02:30")
    assert [facts["as_of"] for facts in (first, second, skipped)] == [
        "2024-11-03T08:30:00Z",
        "2024-11-03T09:30:00Z",
        "2025-03-09T10:30:00Z",
    ]


@pytest.mark.parametrize(
    ("cutoff", "at", "until"),
    [
        ("2024-11-03T01:30:00", "2024-11-03T08:30:00+00:00", "Sunday, 3 November 2024, 01:30 (Pacific Daylight Time, UTC-07:00)"),
        ("2024-11-03T01:30:00-08:00", "2024-11-03T09:30:00+00:00", "Sunday, 3 November 2024, 01:30 (Pacific Standard Time, UTC-08:00)"),
        ("2024-03-10T02:30:00", "2024-03-10T10:30:00+00:00", "Sunday, 10 March 2024, 03:30 (Pacific Daylight Time, UTC-07:00)"),
    ],
)
def test_a_cutoff_in_an_hour_that_comes_twice_or_never_is_one_instant_and_so_named(
    office: Office, cutoff: str, at: str, until: str
) -> None:
    """The first of two, if no offset says otherwise; in a skipped hour as far after the skip as it would have been."""
    office.hire("ada", "sms")
    set_cutoff(office, cutoff, "America/Los_Angeles")
    instant = datetime.fromisoformat(at)
    for moment, occasions in ((instant - timedelta(seconds=30), ["T-1"]), (instant, ["T-1"]), (instant + 24 * HOUR, ["T-1", "T+0"])):
        assert office.migrate("run", "--as-of", moment.isoformat()).code == 0
        assert [mail["X-Migrate-Occasion"] for mail in office.mails()] == occasions
    assert until in body(office.mails()[0])


def test_on_a_cutoff_day_without_a_midnight_letters_name_the_day_before_and_the_stages_keep_their_days(office: Office) -> None:
    """Cairo's clocks go from 00:00 to 01:00 on Friday 24 April 2026: the day begins at 22:00 in UTC."""
    office.hire("ada", "sms")
    set_cutoff(office, "2026-04-24T00:00:00", "Africa/Cairo")
    for moment, occasions in (
        ("2026-04-23T21:59:30+00:00", ["T-1"]),
        ("2026-04-23T22:00:00+00:00", ["T-1", "T+0"]),
    ):
        assert office.migrate("run", "--as-of", moment).code == 0
        assert [mail["X-Migrate-Occasion"] for mail in office.mails()] == occasions
    reminder = body(office.mails()[0])
    assert "the end of Thursday, 23 April 2026 (Eastern European Standard Time, UTC+02:00)" in reminder
    assert "01:00" not in reminder
    assert "24 April" not in reminder
    status = office.migrate("status", "--json", "--as-of", "2026-04-23T21:00:00+00:00").facts
    assert (status["days_left"], status["next_stage"]["on"]) == (1, "2026-04-24")
    assert status["until"] == "the end of Thursday, 23 April 2026 (Eastern European Standard Time, UTC+02:00)"


def test_send_hours_hold_on_both_nights(office: Office) -> None:
    office.more = '[schedule]\nsend_hours = "01:15-02:45"'
    for n, (before, inside) in enumerate(
        [
            ("2024-03-10T09:14:00+00:00", "2024-03-10T09:15:00+00:00"),
            ("2024-11-03T08:14:00+00:00", "2024-11-03T08:15:00+00:00"),
        ]
    ):
        office.hire(f"u{n}", "sms")
        facts = office.run(before)
        assert datetime.fromisoformat(facts["waiting"]["until"]) == datetime.fromisoformat(inside)
        assert len(office.mails()) == n
        assert office.migrate("send", "--as-of", inside).code == 0
        assert len(office.mails()) == n + 1


@pytest.mark.parametrize(
    ("zone", "utc", "named"),
    [
        ("Pacific/Kiritimati", "2024-01-31T10:00:00+00:00", "Line Islands Time, UTC+14:00"),
        ("Pacific/Pago_Pago", "2024-02-01T11:00:00+00:00", "American Samoa Standard Time, UTC-11:00"),
    ],
)
def test_far_from_utc_the_cutoff_comes_at_the_campaigns_midnight(tmp_path: Path, zone: str, utc: str, named: str) -> None:
    office = Office(tmp_path / "office")
    office.hire("ada", "sms")
    office.hire("bob", "sms")
    cutoff = datetime.fromisoformat(utc)

    def run_at(moment: datetime) -> dict[str, Any]:
        set_cutoff(office, "2024-02-01T00:00:00", zone)
        done = office.migrate("run", "--json", "--as-of", moment.isoformat())
        assert done.code == 0, done.err
        return done.facts

    eve = cutoff - 24 * HOUR
    run_at(eve - timedelta(minutes=1))
    assert {row["days_left"] for row in office.report("accounts")} == {"2"}
    run_at(eve)
    assert {row["days_left"] for row in office.report("accounts")} == {"1"}
    run_at(cutoff - timedelta(minutes=1))
    assert {(row["days_left"], row["next_stage_on"]) for row in office.report("accounts")} == {("1", "2024-02-01")}
    assert office.told() == [(f"{name}@example.com", stage) for name in ("ada", "bob") for stage in ("T-1", "T-3")]
    # The organisation switches text messages off at that moment.
    office.change("bob", mfa="")
    assert run_at(cutoff)["changes"] == {"cutoff_removal": 1}
    assert {row["days_left"] for row in office.report("accounts")} == {"0"}
    assert Path(office.migrate("status", "--json").facts["last_run"]["evidence"]).name.startswith("2024-02-01-")
    run_at(cutoff + timedelta(hours=1))
    assert Counter(stage for _, stage in office.told()) == {"T-3": 2, "T-1": 2, "T+0": 2}
    last = next(mail for mail in office.mails() if mail["X-Migrate-Occasion"] == "T-1")
    assert f"the end of Wednesday, 31 January 2024 ({named})" in body(last)
    assert last["Date"].datetime.astimezone(UTC) >= eve
    assert office.migrate("report", "--as-of", "2024-01-31", "--out", str(office.folder / "eve")).code == 0
    assert {row["days_left"] for row in office.table(office.folder / "eve" / "accounts.csv")} == {"1"}
