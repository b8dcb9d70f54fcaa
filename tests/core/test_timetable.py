"""What the lines of a crontab make of a campaign (design §7)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cast import CAMPAIGN, at
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.core.campaign import CampaignSettings
from migrate.core.schedule import WEEK, ScheduleSettings
from migrate.core.timetable import Fate, Line, follow, lines_of, proposed

OPERATE = (Path(__file__).parents[2] / "docs" / "operate.md").read_text(encoding="utf-8")
"""The guide whose lines people copy."""
DOCUMENTED = re.search(r"```\n(CRON_TZ=.*?)```", OPERATE, re.DOTALL)[1]
PACIFIC, UTC_ = ZoneInfo("America/Los_Angeles"), ZoneInfo("UTC")
HOSTS = ("UTC", "Asia/Kolkata", "Pacific/Auckland")
OFFICE = ScheduleSettings(send_hours="08:00-18:00")
STALE = timedelta(hours=36)
WITHOUT_ZONE = DOCUMENTED.partition("\n")[2]


def campaign(opens: date, cutoff: datetime, zone: str = "America/Los_Angeles") -> CampaignSettings:
    return CampaignSettings(**(CAMPAIGN.model_dump() | {"opens": opens, "cutoff": cutoff, "timezone": zone}))


def fates(
    text: str, host: str = "UTC", of: CampaignSettings = CAMPAIGN, schedule: ScheduleSettings = OFFICE, now: str = "2023-07-20 12:00"
) -> dict[str, Fate]:
    return {fate.stage.name: fate for fate in follow(lines_of(text, ZoneInfo(host)), of, schedule, STALE, at(now))}


def said(found: dict[str, Fate], zone: ZoneInfo = PACIFIC) -> dict[str, str]:
    """When each stage is sent by the campaign's clock, or why it is lost."""
    return {
        name: fate.lost or f"{fate.sent_at.astimezone(zone):%b %d %H:%M}" + (" outside" if fate.outside_hours else "")
        for name, fate in found.items()
    }


def test_a_line_is_read_with_its_zone_and_the_command_that_it_starts() -> None:
    lines = lines_of(DOCUMENTED, UTC_)
    assert [(line.times, str(line.zone), line.reads, line.delivers) for line in lines] == [
        ("30 6 * * *", "America/Los_Angeles", True, True),
        ("0 9-17 * * *", "America/Los_Angeles", False, True),
    ]


@pytest.mark.parametrize(
    ("written", "jobs"),
    [
        ("30 6 * * *", ["run"]),
        ("30 6 * * * run", ["run"]),
        ("0 9-17/2 * jan-mar mon,wed send", ["send"]),
        ("@DAILY\tmigrate run", ["run"]),
        ("@daily root cd /srv/migrate && /usr/bin/flock -n lock .venv/bin/migrate --config c.toml run -q", ["run"]),
        ("5 7 * * 1-5 docker run --rm image migrate send --workers 2", ["send"]),
        ("5 7 * * 7 python -m migrate run; python -m migrate send", ["run"]),
        ("30 6 * * * migrate run --no-send", ["run only"]),
        ("# 30 6 * * * migrate run\nMAILTO=ops@example.com\nPATH=/usr/bin:/bin\n\n@reboot /usr/bin/daemon run", []),
        ("0 12 * * * migrate status --max-age 26h > /dev/null", []),
        ("0 4 * * * /usr/bin/backup run", []),
        ("0 4 * * * echo \"it's migrate run", ["run"]),
        ("0 4 * * * sh -c 'cd /srv/migrate && .venv/bin/migrate run --quiet'", ["run"]),
        ("0 4 * * * bash -lc \"flock -n /tmp/lock -c 'migrate send'\"", ["send"]),
        ("0 4 * * * sh -c 'echo nothing of ours'", []),
    ],
)
def test_of_a_crontab_the_lines_count_that_start_a_job_of_ours(written: str, jobs: list[str]) -> None:
    found = lines_of(written, UTC_)
    names = {(True, True): "run", (False, True): "send", (True, False): "run only"}
    assert [names[line.reads, line.delivers] for line in found] == jobs


def test_a_zone_in_a_line_holds_there_and_one_above_holds_below() -> None:
    text = '0 1 * * *\nCRON_TZ=Asia/Tokyo 0 2 * * *\n0 3 * * *\nCRON_TZ = "Europe/Berlin"\n0 4 * * *\n0 5 * * *'
    zones = [str(line.zone) for line in lines_of(text, UTC_)]
    assert zones == ["UTC", "Asia/Tokyo", "UTC", "Europe/Berlin", "Europe/Berlin"]


@pytest.mark.parametrize(
    ("written", "complaint"),
    [
        ("30 6 * *", "has 4 of the five fields"),
        ("61 6 * * *", "has a bad minute"),
        ("30 25 * * *", "has a bad hour"),
        ("30 6 * * 8", "has a bad day-of-week"),
        ("30 6 30 feb *", "has a bad day-of-month"),
        ("30 6 L * *", "'L' in '30 6 L * *' is no field"),
        ("30 6 * * mon#1", "is no field"),
        ("0~30 6 * * *", "is no field"),
        ("half past six on days", "is no field"),
        ("@reboot", "@reboot names no time of day"),
        ("CRON_TZ=Mars/Olympus\n30 6 * * *", "'Mars/Olympus' is no time zone"),
    ],
)
def test_what_no_cron_takes_is_refused_with_what_to_write(written: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        lines_of(written, UTC_)


def starts(line: Line, since: str, count: int) -> list[str]:
    found, now = [], at(since)
    for _ in range(count):
        now = line.after(now)
        found.append(f"{now:%d %H:%M}")
    return found


def test_where_a_clock_skips_a_time_cron_starts_the_job_right_after_it() -> None:
    """On 10 March 2024 the clocks of Los Angeles go from 02:00 to 03:00, which is 10:00 in UTC."""
    assert starts(Line("30 2 * * *", PACIFIC), "2024-03-09 00:00", 3) == ["09 10:30", "10 10:00", "11 09:30"]


def test_where_a_clock_shows_a_time_twice_cron_starts_the_job_once_but_one_of_every_hour_twice() -> None:
    """On 3 November 2024 the clocks of Los Angeles show 01:00 to 02:00 twice, from 08:00 in UTC on."""
    assert starts(Line("30 1 * * *", PACIFIC), "2024-11-02 12:00", 2) == ["03 08:30", "04 09:30"]
    assert starts(Line("30 * * * *", PACIFIC), "2024-11-03 08:00", 3) == ["03 08:30", "03 09:30", "03 10:30"]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(("opens", "cutoff"), [(date(2024, 1, 8), datetime(2024, 3, 14)), (date(2024, 8, 1), datetime(2024, 11, 6))])
def test_by_the_lines_of_the_guide_every_stage_goes_on_its_day_whatever_the_clock_of_the_host(
    host: str, opens: date, cutoff: datetime
) -> None:
    """Both campaigns go over a change of the clocks, in Los Angeles and elsewhere."""
    found = fates(DOCUMENTED, host, campaign(opens, cutoff), now="2024-01-01 12:00")
    assert list(found) == ["opens", "T-60", "T-30", "T-14", "T-7", "T-3", "T-1", "T+0", "T+14"]
    assert {name: (fate.on_its_day, fate.outside_hours) for name, fate in found.items()} == dict.fromkeys(found, (True, False))


def test_a_host_in_utc_sends_each_stage_a_day_late_and_the_last_one_at_night() -> None:
    assert said(fates(WITHOUT_ZONE, "UTC")) == {
        "opens": "Aug 02 08:00", "T-60": "Dec 04 08:00", "T-30": "Jan 03 08:00", "T-14": "Jan 19 08:00", "T-7": "Jan 26 08:00",
        "T-3": "Jan 30 08:00", "T-1": "Jan 31 22:30 outside", "T+0": "Feb 02 08:00", "T+14": "Feb 16 08:00",
    }  # fmt: skip


def test_a_host_in_kolkata_runs_just_inside_the_hours_in_winter_and_just_outside_them_in_summer() -> None:
    """06:30 in Kolkata is 17:00 in Los Angeles the day before, and 18:00 while the clocks there are put forward."""
    winter = fates(WITHOUT_ZONE, "Asia/Kolkata", campaign(date(2023, 12, 1), datetime(2024, 2, 1)))
    assert all(fate.on_its_day and not fate.outside_hours for fate in winter.values())
    summer = campaign(date(2024, 1, 8), datetime(2024, 3, 14))
    assert said(fates(WITHOUT_ZONE, "Asia/Kolkata", summer)) == {
        "opens": "Jan 08 17:00", "T-60": "Jan 14 17:00", "T-30": "Feb 13 17:00", "T-14": "Feb 29 17:00", "T-7": "Mar 07 17:00",
        "T-3": "newer_stage", "T-1": "Mar 13 18:00 outside", "T+0": "newer_stage", "T+14": "waits",
    }  # fmt: skip


def test_a_host_in_auckland_is_in_time_by_chance() -> None:
    assert all(fate.on_its_day for fate in fates(WITHOUT_ZONE, "Pacific/Auckland").values())


def test_a_run_outside_the_hours_alone_sends_nothing_but_what_no_window_reaches() -> None:
    found = said(fates("30 6 * * *", "UTC"))
    assert {found.pop("T-1"), found.pop("T+14")} == {"Jan 31 22:30 outside", "waits"}
    assert set(found.values()) == {"newer_stage"}


def test_a_stage_between_two_weekly_runs_is_lost_and_one_that_still_counts_comes_late() -> None:
    found = said(fates("0 9 * * mon", "America/Los_Angeles"))
    assert found == {
        "opens": "Aug 07 09:00", "T-60": "Dec 04 09:00", "T-30": "Jan 08 09:00", "T-14": "Jan 22 09:00", "T-7": "no_run",
        "T-3": "Jan 29 09:00", "T-1": "no_run", "T+0": "Feb 05 09:00", "T+14": "Feb 19 09:00",
    }  # fmt: skip


def test_a_letter_whose_end_comes_while_nothing_sends_is_lost_to_the_cutoff() -> None:
    found = said(fates("0 20 * * * run --no-send\n0 9 * * * send", "America/Los_Angeles"))
    assert found["T-3"] == "Jan 30 09:00"
    assert found["T-1"] == "past_cutoff"


def test_a_delivery_waits_for_a_run_once_the_directory_was_read_too_long_ago() -> None:
    found = said(fates("0 19 1 * * run\n0 9 3 * * send\n0 7 4 * * run --no-send\n0 9 4 * * send", "America/Los_Angeles"))
    assert found["opens"] == "Aug 04 09:00"


def test_a_gap_that_a_late_letter_makes_too_short_holds_the_next_stage_back() -> None:
    schedule = OFFICE.model_copy(update={"days_before": (7, 1), "min_gap_days": 6})
    assert said(fates("0 9 * * *", "America/Los_Angeles", schedule=schedule))["T-1"] == "Jan 31 09:00"
    assert said(fates("0 9 26-31 * *\n0 9 1 * *", "America/Los_Angeles", schedule=schedule))["T-1"] == "too_soon"


def test_only_stages_from_today_on_are_judged_and_those_before_count_as_sent() -> None:
    assert list(fates(DOCUMENTED, now="2024-01-25 23:00")) == ["T-7", "T-3", "T-1", "T+0", "T+14"]
    assert list(fates(DOCUMENTED, now="2024-01-26 09:00")) == ["T-3", "T-1", "T+0", "T+14"]
    assert fates(DOCUMENTED, now="2024-03-01 00:00") == {}


@st.composite
def campaigns(draw: st.DrawFn) -> CampaignSettings:
    zone = draw(st.sampled_from(["America/Los_Angeles", "Africa/Cairo", "America/Havana", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC"]))
    opens = draw(st.dates(date(2026, 1, 1), date(2027, 6, 1)))
    cutoff = datetime.combine(opens + timedelta(days=draw(st.integers(2, 120))), draw(st.times()))
    return campaign(opens, cutoff, zone)


@st.composite
def schedules(draw: st.DrawFn) -> ScheduleSettings:
    begins = draw(st.integers(4 * 60, 22 * 60))
    ends = draw(st.integers(begins + 30, 24 * 60))
    chosen: dict[str, Any] = {
        "days_before": draw(st.lists(st.integers(1, 60), unique=True, max_size=6)),
        "days_after": draw(st.lists(st.integers(1, 20), unique=True, max_size=3)),  # T+0 may begin after the run of its day
        "send_days": draw(st.lists(st.sampled_from(WEEK), unique=True, min_size=1)),
        "send_hours": "{:02}:{:02}-{:02}:{:02}".format(*divmod(begins, 60), *divmod(ends, 60)),
    }
    return ScheduleSettings(**chosen)


@settings(deadline=None)
@given(campaigns(), schedules(), st.sampled_from(HOSTS))
def test_by_the_line_that_is_proposed_every_stage_goes_on_its_day_inside_the_hours(
    of: CampaignSettings, schedule: ScheduleSettings, host: str
) -> None:
    line = proposed(of, schedule)
    text = f"CRON_TZ={line.zone}\n{line.times} migrate run"
    found = fates(text, host, of, schedule, now="2025-12-01 00:00")
    hours = schedule.hours(of.zone)
    for fate in found.values():
        assert fate.on_its_day, fate
        assert hours.open_at(fate.sent_at)
    assert len({of.today(fate.sent_at) for fate in found.values()}) == len(found)


@settings(deadline=None)
@given(campaigns(), schedules(), st.lists(st.sampled_from(["run", "send", "run --no-send"]), max_size=4), st.data())
def test_by_any_lines_no_stage_goes_before_its_day_out_of_its_turn_or_past_its_end(
    of: CampaignSettings, schedule: ScheduleSettings, jobs: list[str], data: st.DataObject
) -> None:
    hours_of_day = st.sampled_from(["6", "23", "*/6", "0,12", "9-17"])
    text = "\n".join(f"{data.draw(st.integers(0, 59))} {data.draw(hours_of_day)} * * * {job}" for job in jobs)
    sent = [fate for fate in fates(text, "Asia/Kolkata", of, schedule, now="2025-12-01 00:00").values() if fate.sent_at]
    hours = schedule.hours(of.zone)
    for fate in sent:
        assert fate.sent_at >= fate.stage.begins
        assert fate.stage.ends is None or fate.sent_at < fate.stage.ends
        assert hours.open_at(fate.sent_at) != fate.outside_hours
        assert not fate.outside_hours or hours.next_open(fate.sent_at) >= fate.stage.ends
    assert [fate.sent_at for fate in sent] == sorted(fate.sent_at for fate in sent)
    if not any(line.reads for line in lines_of(text, UTC_)):
        assert sent == []
    assert all(fate.sent_at.tzinfo is UTC for fate in sent)
