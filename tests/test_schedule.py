"""Schedule (design §7)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from cast import CAMPAIGN, at
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from migrate.campaign import CampaignSettings
from migrate.schedule import ScheduleSettings, due, stages, swallowed, upcoming

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
