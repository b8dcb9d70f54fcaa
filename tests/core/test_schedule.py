"""Schedule (design §7)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from cast import CAMPAIGN, at
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from migrate.core.campaign import CampaignSettings
from migrate.core.schedule import WEEK, ScheduleSettings, Stage, due, given_way, stages, swallowed, upcoming

ALL = stages(CAMPAIGN, ScheduleSettings())


def due_name(now: datetime) -> str | None:
    stage = due(ALL, now)
    return stage.name if stage else None


@pytest.mark.parametrize(
    ("now", "stage"),
    [
        ("2023-08-01 06:59", None),
        ("2023-08-01 07:00", "opens"),
        ("2023-12-03 07:59", "opens"),
        ("2023-12-03 08:00", "T-60"),
        ("2024-01-31 08:00", "T-1"),
        ("2024-02-01 07:59", "T-1"),
        ("2024-02-01 08:00", "T+0"),
        ("2024-02-15 07:59", "T+0"),
        ("2024-02-15 08:00", "T+14"),
        ("2030-01-01 00:00", "T+14"),
    ],
)
def test_the_newest_stage_that_has_begun_is_due(now: str, stage: str | None) -> None:
    assert due_name(at(now)) == stage


def test_before_the_cutoff_comes_reminder_then_final_reminder_and_after_it_cutoff_passed() -> None:
    assert {stage.name: stage.kind for stage in ALL} == {
        "opens": "announcement",
        "T-60": "reminder",
        "T-30": "reminder",
        "T-14": "reminder",
        "T-7": "reminder",
        "T-3": "final_reminder",
        "T-1": "final_reminder",
        "T+0": "cutoff_passed",
        "T+14": "cutoff_passed",
    }


def test_a_cutoff_in_the_afternoon_ends_the_stages_before_it_and_begins_the_one_on_its_day() -> None:
    campaign = CAMPAIGN.model_copy(update={"cutoff": datetime(2024, 2, 1, 17)})
    of = stages(campaign, ScheduleSettings())
    assert due(of, at("2024-02-02 00:59")).name == "T-1"
    assert due(of, at("2024-02-02 01:00")).name == "T+0"


def test_without_a_stage_on_the_cutoff_day_nothing_is_due_until_the_next_one() -> None:
    of = stages(CAMPAIGN, ScheduleSettings(days_after=(14,)))
    assert due(of, at("2024-02-01 08:00")) is None
    assert due(of, at("2024-02-15 08:00")).name == "T+14"


def test_stages_before_the_opening_do_not_exist_and_the_opening_wins_its_day() -> None:
    campaign = CAMPAIGN.model_copy(update={"opens": date(2024, 1, 2)})
    assert [stage.name for stage in stages(campaign, ScheduleSettings())][:2] == ["opens", "T-14"]


def test_days_left_are_calendar_days_of_the_campaigns_zone() -> None:
    assert CAMPAIGN.days_left(at("2024-01-31 07:59")) == 2
    assert CAMPAIGN.days_left(at("2024-01-31 08:00")) == 1
    assert CAMPAIGN.days_left(at("2024-02-03 08:00")) == -2


def test_a_day_that_daylight_saving_shortens_is_still_one_day() -> None:
    campaign = CAMPAIGN.model_copy(update={"cutoff": datetime(2024, 3, 11)})
    (last,) = [stage for stage in stages(campaign, ScheduleSettings(days_before=(1,), days_after=())) if stage.name == "T-1"]
    assert last.on == date(2024, 3, 10)
    assert last.ends - last.begins == timedelta(hours=23)


def test_on_a_day_whose_midnight_does_not_exist_stages_begin_when_the_day_does() -> None:
    """Cairo's clocks go from 00:00 to 01:00 on Friday 24 April 2026, which is 22:00 in UTC."""
    begins = at("2026-04-23 22:00")
    there = {"timezone": "Africa/Cairo", "opens": date(2026, 4, 1), "cutoff": datetime(2026, 4, 24)}
    of = stages(CAMPAIGN.model_copy(update=there), ScheduleSettings(days_before=(1,), days_after=(0,)))
    assert [(stage.name, stage.begins, stage.ends) for stage in of[1:]] == [
        ("T-1", at("2026-04-22 22:00"), begins),
        ("T+0", begins, None),
    ]
    opening = CAMPAIGN.model_copy(update=there | {"opens": date(2026, 4, 24), "cutoff": datetime(2026, 5, 24)})
    found = stages(opening, ScheduleSettings(days_before=(29,)))
    assert [(stage.name, stage.on, stage.begins) for stage in found][:2] == [
        ("opens", date(2026, 4, 24), begins),
        ("T-29", date(2026, 4, 25), at("2026-04-24 21:00")),
    ]
    assert due(found, begins - timedelta(seconds=1)) is None
    assert due(found, begins) == found[0]


@given(st.datetimes(min_value=datetime(2023, 1, 1), max_value=datetime(2025, 1, 1)))
def test_what_is_due_never_goes_back_and_never_lies_ahead(moment: datetime) -> None:
    now = moment.replace(tzinfo=UTC)
    stage, next_one = due(ALL, now), upcoming(ALL, now)
    if stage:
        assert stage.begins <= now
        assert stage.ends is None or now < stage.ends
    if next_one:
        assert next_one.begins > now
        assert stage is None or next_one.begins > stage.begins


def test_a_gap_that_would_hold_a_stage_back_is_named() -> None:
    assert [stage.name for stage in swallowed(ALL, 3)] == ["T-1", "T+0"]
    assert swallowed(ALL, 1) == ()


WORKDAYS = ScheduleSettings(send_days=WEEK[:5])
MONDAY = CAMPAIGN.model_copy(update={"cutoff": datetime(2024, 1, 29)})


def dates(of: tuple[Stage, ...]) -> dict[str, str]:
    return {stage.name: f"{stage.on:%a %d %b}" for stage in of}


def test_before_the_cutoff_a_stage_without_a_send_day_moves_back_and_after_it_forward() -> None:
    saturday = CAMPAIGN.model_copy(update={"opens": date(2023, 8, 5), "cutoff": datetime(2024, 2, 3)})
    assert dates(stages(saturday, WORKDAYS)) == {
        "opens": "Mon 07 Aug",
        "T-60": "Tue 05 Dec",
        "T-30": "Thu 04 Jan",
        "T-14": "Fri 19 Jan",
        "T-7": "Fri 26 Jan",
        "T-3": "Wed 31 Jan",
        "T-1": "Fri 02 Feb",
        "T+0": "Mon 05 Feb",
        "T+14": "Mon 19 Feb",
    }


def test_of_stages_that_move_to_one_day_the_newest_exists_alone_and_the_others_have_given_way() -> None:
    schedule = WORKDAYS.model_copy(update={"days_before": (1, 3, 2, 14), "days_after": (5, 0, 6)})
    assert dates(stages(MONDAY, schedule)) == {
        "opens": "Tue 01 Aug", "T-14": "Mon 15 Jan", "T-1": "Fri 26 Jan", "T+0": "Mon 29 Jan", "T+6": "Mon 05 Feb",
    }  # fmt: skip
    assert [stage.name for stage in given_way(MONDAY, schedule)] == ["T-3", "T-2", "T+5"]
    assert given_way(MONDAY, schedule.model_copy(update={"send_days": WEEK})) == ()


def test_a_stage_that_moves_to_the_opening_or_before_it_does_not_exist() -> None:
    """Saturday's opening is announced on Monday, and Sunday's reminder would come on the Friday before."""
    campaign = CAMPAIGN.model_copy(update={"opens": date(2024, 1, 27), "cutoff": datetime(2024, 1, 30)})
    schedule = WORKDAYS.model_copy(update={"days_before": (1, 2)})
    assert dates(stages(campaign, schedule)) == {"opens": "Mon 29 Jan", "T+0": "Tue 30 Jan", "T+14": "Tue 13 Feb"}
    assert [stage.name for stage in given_way(campaign, schedule)] == ["T-2", "T-1"]


def test_an_opening_that_moves_to_the_cutoff_does_not_exist() -> None:
    campaign = CAMPAIGN.model_copy(update={"opens": date(2024, 1, 27), "cutoff": datetime(2024, 1, 29)})
    assert dates(stages(campaign, WORKDAYS)) == {"T+0": "Mon 29 Jan", "T+14": "Mon 12 Feb"}
    assert [stage.name for stage in given_way(campaign, WORKDAYS)] == ["opens", "T-1"]


def test_the_minimum_gap_is_counted_between_the_days_to_which_stages_move() -> None:
    schedule = WORKDAYS.model_copy(update={"days_before": (4, 2)})
    assert [stage.name for stage in swallowed(stages(MONDAY, schedule), 2)] == ["T-2"]
    assert swallowed(stages(MONDAY, schedule.model_copy(update={"send_days": WEEK})), 2) == ()


@st.composite
def campaigns(draw: st.DrawFn) -> CampaignSettings:
    zone = draw(st.sampled_from(["UTC", "America/Los_Angeles", "Pacific/Kiritimati", "Pacific/Pago_Pago", "America/Havana"]))
    opens = draw(st.dates(date(2023, 1, 1), date(2024, 12, 31)))
    cutoff = datetime.combine(opens + timedelta(days=draw(st.integers(2, 200))), draw(st.times()))
    return CampaignSettings(**(CAMPAIGN.model_dump() | {"opens": opens, "cutoff": cutoff, "timezone": zone}))


@st.composite
def schedules(draw: st.DrawFn) -> ScheduleSettings:
    days = st.lists(st.integers(1, 90), unique=True, max_size=8)
    return ScheduleSettings(
        days_before=draw(days),
        days_after=draw(st.lists(st.integers(0, 30), unique=True, max_size=4)),
        send_days=draw(st.lists(st.sampled_from(WEEK), unique=True, min_size=1)),
    )


@given(campaigns(), schedules())
def test_wherever_stages_move_they_keep_their_order_and_their_side_of_the_cutoff(
    campaign: CampaignSettings, schedule: ScheduleSettings
) -> None:
    of, hours = stages(campaign, schedule), schedule.hours(campaign.zone)
    for earlier, later in pairwise(of):
        assert earlier.begins < later.begins
        assert earlier.on <= later.on
    for stage in of:
        assert hours.sends_on(stage.on)
        assert stage.on >= campaign.opens
        assert stage.begins >= campaign.instant(stage.on)
        if stage.kind == "cutoff_passed":
            nominal = campaign.cutoff_date + timedelta(days=int(stage.name[2:]))
            assert stage.begins >= campaign.cutoff_at
            assert stage.ends is None
            assert timedelta() <= stage.on - nominal < timedelta(days=7)
        else:
            assert stage.begins < campaign.cutoff_at == stage.ends
        if stage.name.startswith("T-"):
            nominal = campaign.cutoff_date - timedelta(days=int(stage.name[2:]))
            assert timedelta() <= nominal - stage.on < timedelta(days=7)


@given(campaigns(), schedules())
def test_every_stage_exists_or_has_given_way_and_what_exists_without_send_days_never_changes(
    campaign: CampaignSettings, schedule: ScheduleSettings
) -> None:
    every_day = stages(campaign, schedule.model_copy(update={"send_days": WEEK}))
    names = [stage.name for stage in every_day]
    left = [stage.name for stage in stages(campaign, schedule)]
    gone = [stage.name for stage in given_way(campaign, schedule)]
    assert [name for name in names if name in left] == left
    assert sorted(left + gone) == sorted(names)
    days = [stage.on for stage in every_day if stage.kind != "cutoff_passed"]
    assert len(days) == len(set(days))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"send_days": ["mon", "monday"]}, "'monday' is no weekday; did you mean 'mon'?"),
        ({"send_days": ["Tues"]}, "did you mean 'tue'?"),
        ({"send_days": ["fro"]}, "did you mean 'fri'?"),
        ({"send_days": ["montag", "workdays"]}, "the weekdays are mon, tue, wed, thu, fri, sat, sun"),
        ({"send_days": ["mon", "mon"]}, "names a day twice"),
        ({"send_days": []}, "at least 1 item"),
        ({"send_days": "mon"}, "valid tuple"),
        ({"send_hours": "8-18"}, "'8-18' is no span of hours; did you mean '08:00-18:00'?"),
        ({"send_hours": "8:30 to 18h15"}, "did you mean '08:30-18:15'?"),
        ({"send_hours": "mornings"}, "write it as in '08:00-18:00'"),
        ({"send_hours": "18:00-08:00"}, "ends before it has begun"),
        ({"send_hours": "08:00-08:00"}, "ends before it has begun"),
        ({"send_hours": "08:60-18:00"}, "names a time that no clock shows"),
        ({"send_hours": "08:00-24:01"}, "names a time that no clock shows"),
    ],
)
def test_send_days_and_hours_that_cannot_be_meant_are_refused_with_what_may_be(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ScheduleSettings(**settings)
    assert complaint in str(refused.value)


@pytest.mark.parametrize("settings", [{"days_before": [7, 7]}, {"days_before": [0]}, {"days_after": [-1]}, {"min_gap_days": -1}])
def test_a_schedule_that_makes_no_sense_is_refused(settings: dict) -> None:
    with pytest.raises(ValidationError):
        ScheduleSettings(**settings)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"opens": "2023-08-01"}, "without quotes"),
        ({"opens": date(2024, 2, 1)}, "must lie before cutoff"),
        ({"timezone": "Mars/Olympus"}, "no time zone"),
        ({"name": "a campaign"}, "pattern"),
    ],
)
def test_a_campaign_that_makes_no_sense_is_refused(change: dict, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        CampaignSettings(**(CAMPAIGN.model_dump() | change))
