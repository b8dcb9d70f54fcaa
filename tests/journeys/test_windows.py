"""Hosts by other clocks than the campaign's: by the lines of the guide every stage goes on its day, and what others lose is foretold."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from mail.scripted_smtp import ScriptedSmtp
from office import Office
from variants import first, soak

from migrate.core.timetable import lines_of

GUIDE = (Path(__file__).parents[2] / "docs" / "operate.md").read_text(encoding="utf-8")
DOCUMENTED = re.search(r"```\n(CRON_TZ=.*?)```", GUIDE, re.DOTALL)[1]
WITHOUT_ZONE = DOCUMENTED.partition("\n")[2]
HOSTS = ("UTC", "Asia/Kolkata", "Pacific/Auckland")
HOURS = '[schedule]\nsend_hours = "08:00-18:00"\ndays_before = [3, 2, 1]\ndays_after = [0]'
STAGES = ["opens", "T-3", "T-2", "T-1", "T+0"]
SPRING = ("2024-03-07", "2024-03-12")
"""Opening and cutoff around 10 March 2024, when the clocks of Los Angeles are put forward."""
AUTUMN = ("2024-10-31", "2024-11-05")
"""And around 3 November, when they are put back."""


def campaign(office: Office, opens: str, cutoff: str, more: str = HOURS) -> None:
    office.more = more
    office.hire("ada", "sms")
    office.write()
    config = office.folder / "config.toml"
    text = config.read_text(encoding="utf-8")
    text = text.replace("opens = 2023-08-01", f"opens = {opens}").replace("2024-02-01T00:00:00", f"{cutoff}T00:00:00")
    config.write_text(text, encoding="utf-8")


def foretold(office: Office, crontab: str, host: str, day: str) -> list[dict[str, Any]]:
    with time_machine.travel(f"{day}T12:00Z", tick=True):
        done = office.migrate("check", "--json", "--cron", crontab, "--zone", host)
    found: list[dict[str, Any]] = done.facts["cron"]
    assert done.code == (2 if any(each["lost"] for each in found) else 0)
    return found


def lived(office: Office, crontab: str, host: str, day: str, days: int) -> Counter[int]:
    """Every start that the lines name for some days, as the command is typed there; but for deliveries of nothing. Exit codes, counted."""
    lines, codes, queued = lines_of(crontab, ZoneInfo(host)), Counter[int](), 0
    now = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    until = now + timedelta(days=days)
    while (now := min(start for line in lines if (start := line.after(now)))) < until:
        for line in sorted((line for line in lines if line.after(now - timedelta(minutes=1)) == now), key=lambda line: not line.reads):
            if line.reads or queued:
                done = office.migrate("run" if line.reads else "send", "--json", "--as-of", now.isoformat())
                codes[done.code] += 1
                queued = done.facts["letters"]["queued"]
    return codes


def sent(office: Office) -> dict[str, datetime]:
    return {mail["X-Migrate-Occasion"]: mail["Date"].datetime.astimezone(UTC) for mail in office.mails()}


def day_before(day: str) -> str:
    return f"{datetime.fromisoformat(day) - timedelta(days=1):%Y-%m-%d}"


@pytest.mark.slow
@pytest.mark.parametrize(("opens", "cutoff"), [SPRING, AUTUMN])
def test_by_the_lines_of_the_guide_every_stage_goes_on_its_day_across_a_change_of_clocks(office: Office, opens: str, cutoff: str) -> None:
    """The host's clock has no part in it: all three start everything at the same instants."""
    campaign(office, opens, cutoff)
    first, *others = ([line.after(datetime(2024, 3, 9, 12, tzinfo=UTC)) for line in lines_of(DOCUMENTED, ZoneInfo(host))] for host in HOSTS)
    assert all(other == first for other in others)
    told = foretold(office, DOCUMENTED, "Asia/Kolkata", day_before(opens))
    assert lived(office, DOCUMENTED, "UTC", day_before(opens), 8).keys() == {0}
    found = sent(office)
    assert list(found) == STAGES
    assert len(office.mails()) == len(STAGES)
    last = datetime.fromisoformat(cutoff)
    days = {name: f"{last + timedelta(days=int(name[1:])):%Y-%m-%d}" for name in STAGES[1:]} | {"opens": opens}
    assert {name: f"{when.astimezone(ZoneInfo('America/Los_Angeles')):%Y-%m-%d %H:%M}" for name, when in found.items()} == {
        name: f"{day} 09:00" for name, day in days.items()
    }
    assert [(each["stage"], each["days_late"], each["lost"]) for each in told] == [(name, 0, None) for name in STAGES]


@pytest.mark.slow
@pytest.mark.parametrize("host", first(1, HOSTS))
@pytest.mark.parametrize(("opens", "cutoff"), [SPRING, soak(*AUTUMN)])
def test_what_lines_without_a_zone_make_late_or_lose_is_what_check_foretells(office: Office, opens: str, cutoff: str, host: str) -> None:
    campaign(office, opens, cutoff)
    told = foretold(office, WITHOUT_ZONE, host, day_before(opens))
    codes = lived(office, WITHOUT_ZONE, host, day_before(opens), 8)
    found = sent(office)
    assert {each["stage"] for each in told if each["sent_at"]} == set(found)
    for each in told:
        if each["sent_at"]:
            assert timedelta() <= found[each["stage"]] - datetime.fromisoformat(each["sent_at"]) < timedelta(minutes=1), each
    assert "T-1" in found
    lost = [each["stage"] for each in told if each["lost"]]
    late = [each["stage"] for each in told if each["days_late"]]
    # The letter of T-3 goes on the day of T-2, which the gap then holds back until T-1.
    late_by_a_day = (["T-2"], ["opens", "T-3", "T+0"])
    amiss = {
        ("2024-03-07", "UTC"): late_by_a_day,
        ("2024-03-07", "Asia/Kolkata"): (["T-2", "T+0"], []),
        ("2024-03-07", "Pacific/Auckland"): ([], []),
        ("2024-10-31", "UTC"): late_by_a_day,
        ("2024-10-31", "Asia/Kolkata"): (["opens", "T-3"], []),
        ("2024-10-31", "Pacific/Auckland"): ([], []),
    }[opens, host]
    assert (lost, late) == amiss
    # Letters that waited through the hours of a whole day.
    assert (codes[5] > 0) == (host == "Asia/Kolkata")


@pytest.mark.soak
@pytest.mark.parametrize("zoned", [True, False])
@pytest.mark.parametrize(
    ("zone", "host", "opens", "cutoff", "hours"),
    [
        ("Pacific/Chatham", "America/Los_Angeles", "2024-04-03", "2024-04-08", "09:30-16:45"),
        ("Pacific/Auckland", "UTC", "2024-09-25", "2024-09-30", "08:00-18:00"),
        ("Asia/Kolkata", "Pacific/Auckland", "2024-04-03", "2024-04-08", "10:00-12:00"),
        ("Australia/Lord_Howe", "UTC", "2024-10-02", "2024-10-07", "08:00-18:00"),
        # Neither of these cutoff days has a midnight.
        ("Africa/Cairo", "America/Los_Angeles", "2024-04-21", "2024-04-26", "08:00-18:00"),
        ("America/Santiago", "UTC", "2024-09-03", "2024-09-08", "08:00-18:00"),
    ],
)
def test_wherever_campaign_and_host_are_the_guides_lines_lose_nothing_and_check_foretells_what_others_do(
    office: Office, zone: str, host: str, opens: str, cutoff: str, hours: str, zoned: bool
) -> None:
    campaign(office, opens, cutoff, HOURS.replace("08:00-18:00", hours))
    config = office.folder / "config.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("America/Los_Angeles", zone), encoding="utf-8")
    lines = DOCUMENTED.replace("America/Los_Angeles", zone) if zoned else WITHOUT_ZONE
    told = foretold(office, lines, host, day_before(opens))
    lived(office, lines, host, day_before(opens), 8)
    found = sent(office)
    assert set(found) == {each["stage"] for each in told if each["sent_at"]}
    for each in told:
        if each["sent_at"]:
            assert timedelta() <= found[each["stage"]] - datetime.fromisoformat(each["sent_at"]) < timedelta(minutes=1), each
    if zoned:
        assert [(each["stage"], each["days_late"], each["lost"], each["outside_hours"]) for each in told] == [
            (stage, 0, None, False) for stage in STAGES
        ]


def test_check_says_in_words_what_wrong_lines_do_and_what_to_write(office: Office) -> None:
    campaign(office, *SPRING)
    with time_machine.travel("2024-03-06T12:00Z", tick=True):
        done = office.migrate("check", "--cron", WITHOUT_ZONE, "--zone", "UTC")
        assert done.code == 2
        assert "lost: T-2 (2024-03-10); the stage before was sent less than [schedule] min_gap_days ago." in done.out
        assert "late: opens by 1 day (Friday 2024-03-08 08:00 PST), T-3 by 1 day (Sunday 2024-03-10 08:00 PDT)" in done.out
        assert "outside the send hours, for none are left before the cutoff: T-1 (Monday 2024-03-11 23:30 PDT)." in done.out
        assert "Write `CRON_TZ=America/Los_Angeles` on a line of its own, and `30 8 * * *` before `migrate run` below it" in done.out
        mended = office.migrate("check", "--cron", "CRON_TZ=America/Los_Angeles\n30 8 * * * migrate run", "--zone", "UTC")
        assert "every stage goes on its day, by '30 8 * * *' run (America/Los_Angeles)" in mended.out
        lost = office.migrate("check", "--quiet", "--cron", "30 6 * * *", "--zone", "America/Los_Angeles")
        assert lost.code == 2
        assert "lost: opens (2024-03-07), T-3 (2024-03-09), T-2 (2024-03-10)" in lost.out
        assert "nothing sends the letters until the next stage takes their place." in lost.out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--zone", "UTC"), "--zone: goes with --cron."),
        (("--cron", "30 6 * * *", "--zone", "Mars"), "--zone: Mars is no time zone."),
        (("--cron", "61 6 * * *"), "--cron: '61 6 * * *' has a bad minute; write five fields as in '30 6 * * mon-fri'."),
        (("--cron", "0 9 * * * migrate send"), "--cron: no line starts `migrate run`. Type the line of the crontab"),
    ],
)
def test_a_crontab_that_tells_nothing_is_refused(office: Office, arguments: tuple[str, ...], complaint: str) -> None:
    office.write()
    done = office.migrate("check", *arguments)
    assert done.code == 2
    assert complaint in done.err


@pytest.mark.parametrize(("clock", "doubted"), [("UTC", True), ("America/Los_Angeles", False), (":America/Tijuana", False)])
def test_check_doubts_a_host_by_another_clock_only_where_letters_wait_for_hours(
    office: Office, monkeypatch: pytest.MonkeyPatch, clock: str, doubted: bool
) -> None:
    monkeypatch.setenv("TZ", clock)
    campaign(office, *SPRING)
    said = "cron's clock here is that of UTC, and [schedule] send_hours go by America/Los_Angeles"
    assert (said in office.migrate("check").out) == doubted
    campaign(office, *SPRING, more="")
    assert "cron's clock here" not in office.migrate("check").out


def test_a_letter_that_no_window_reaches_before_the_cutoff_goes_at_once_and_the_run_says_so(office: Office) -> None:
    campaign(office, *SPRING)
    done = office.migrate("run", "--as-of", "2024-03-11T22:30")
    assert done.code == 0, done.err
    assert "1 letter went outside the send hours: the next ones begin only after the cutoff." in done.out
    assert "wait" not in done.out
    assert list(sent(office)) == ["T-1"]
    told = office.migrate("report", "--as-of", "2024-03-11", "--out", str(office.folder / "again"))
    assert told.code == 0, told.err


def test_send_delivers_it_at_night_too_while_the_night_before_letters_wait(office: Office) -> None:
    campaign(office, *SPRING)
    office.migrate("run", "--no-send", "--as-of", "2024-03-10T22:30")
    waits = office.migrate("send", "--json", "--as-of", "2024-03-10T23:00").facts
    assert (waits["letters"]["sent"], waits["waiting"]["reminders"], waits["outside_hours"]) == (0, 1, 0)
    office.migrate("run", "--no-send", "--as-of", "2024-03-11T22:30")
    status = office.migrate("status", "--json", "--as-of", "2024-03-11T22:40").facts
    assert status["waiting"] == {"reminders": 0, "until": None, "too_long": 0}
    goes = office.migrate("send", "--json", "--until-empty", "--as-of", "2024-03-11T23:00").facts
    assert (goes["letters"]["sent"], goes["waiting"]["reminders"], goes["outside_hours"]) == (1, 0, 1)
    assert list(sent(office)) == ["T-1"]


def test_a_stale_directory_keeps_it_back_all_the_same(office: Office) -> None:
    campaign(office, *SPRING)
    office.migrate("run", "--no-send", "--as-of", "2024-03-11T00:30")
    with_age = office.migrate("send", "--json", "--as-of", "2024-03-11T23:59").facts
    assert with_age["letters"]["sent"] == 1
    other = Office(office.folder.parent / "other", safety="stale_hours = 12")
    campaign(other, *SPRING)
    other.migrate("run", "--no-send", "--as-of", "2024-03-11T00:30")
    facts = other.migrate("send", "--json", "--as-of", "2024-03-11T23:59").facts
    assert (facts["letters"]["sent"], facts["stale"]) == (0, 1)


def test_letters_that_the_hours_end_upon_on_the_last_day_go_all_the_same(office: Office) -> None:
    campaign(office, *SPRING)
    for n in range(5):
        office.hire(f"u{n}", "sms")
    office.write_rows(list(office.people.values()))
    office.migrate("run", "--no-send", "--as-of", "2024-03-11T17:00")
    facts = office.migrate("send", "--json", "--as-of", "2024-03-11T18:00").facts
    assert (facts["letters"]["sent"], facts["outside_hours"]) == (6, 6)


def test_a_letter_withdrawn_at_the_cutoff_without_a_try_is_exit_5_of_the_send_that_finds_it(office: Office) -> None:
    campaign(office, *SPRING)
    office.migrate("run", "--no-send", "--as-of", "2024-03-11T22:30")
    done = office.migrate("send", "--as-of", "2024-03-12T00:30")
    assert done.code == 5
    assert "1 letter was withdrawn: the cutoff came before any try. notices.csv of the reports lists them; `migrate explain" in done.out
    assert "`migrate check --cron` whether cron starts `migrate run`" in done.out
    again = office.migrate("send", "--json", "--as-of", "2024-03-12T00:31")
    assert (again.code, again.facts["too_late"]) == (0, 0)


@pytest.mark.parametrize("after", [[0], [2]])
def test_a_letter_withdrawn_at_the_cutoff_without_a_try_is_exit_5_of_the_run_that_finds_it(office: Office, after: list[int]) -> None:
    """Whether or not the run has a newer stage for its account."""
    campaign(office, *SPRING, more=HOURS.replace("[0]", str(after)))
    office.migrate("run", "--no-send", "--as-of", "2024-03-11T22:30")
    done = office.migrate("run", "--json", "--as-of", "2024-03-12T09:00")
    assert (done.code, done.facts["too_late"], done.facts["letters"]["withdrawn"]) == (5, 1, 1)
    row = next(row for row in office.report("notices") if row["occasion"] == "T-1")
    assert (row["state"], row["reason"]) == ("withdrawn", "past_cutoff")
    again = office.migrate("report", "--as-of", "2024-03-12", "--out", str(office.folder / "again"))
    assert again.code == 0, again.err


def test_whoever_has_moved_meanwhile_missed_nothing(office: Office) -> None:
    campaign(office, *SPRING)
    office.migrate("run", "--no-send", "--as-of", "2024-03-11T22:30")
    office.change("ada", mfa="totp")
    office.write_rows(list(office.people.values()))
    done = office.migrate("run", "--json", "--as-of", "2024-03-12T09:00")
    assert (done.code, done.facts["too_late"], done.facts["letters"]["withdrawn"]) == (0, 0, 1)


def test_a_letter_that_the_server_put_off_past_the_cutoff_was_tried(office: Office) -> None:
    with ScriptedSmtp(rcpt="450 4.2.0 greylisted") as server:
        office.mail = f'transport = "smtp"\n[mail.smtp]\nhost = "127.0.0.1"\nport = {server.port}\nsecurity = "none"\nconnections = 1'
        office.safety = "allow_time_travel = true"
        campaign(office, *SPRING)
        assert office.migrate("run", "--as-of", "2024-03-11T22:30").code == 0
        done = office.migrate("send", "--json", "--as-of", "2024-03-12T00:30")
    assert (done.code, done.facts["too_late"]) == (0, 0)
