from __future__ import annotations

from datetime import UTC, date, time

from migrate.demo.calendar import MAIL_DAYS, MISSED, TWICE, cron, firings
from migrate.demo.config import CAMPAIGN, DAYS, STAGES

WORKING = [day for day in DAYS if day.weekday() < 5]


def test_cron_mostly_fires_once_at_six_on_working_days():
    usual = [day for day in DAYS if cron(day) == (time(6),)]
    assert set(usual) < set(WORKING)
    assert len(usual) == len(WORKING) - len(MISSED) - len(TWICE) > 35


def test_some_days_are_missed_and_one_of_them_is_the_day_of_a_stage():
    missed = {day for day in WORKING if not cron(day)}
    assert missed == set(MISSED)
    assert missed & {stage.on for stage in STAGES} == {date(2024, 1, 18)}


def test_some_days_fire_twice_and_some_of_them_are_days_of_a_stage():
    twice = {day for day in DAYS if len(cron(day)) == 2}
    assert twice == set(TWICE)
    assert len(twice & {stage.on for stage in STAGES}) == 2


def test_firings_only_go_forward_and_are_on_their_own_day_in_the_campaigns_zone():
    instants = [at for day in DAYS for at in firings(day)]
    assert instants == sorted(set(instants))
    assert [CAMPAIGN.today(at.astimezone(UTC)) for at in instants] == [day for day in DAYS for _ in cron(day)]


def test_a_missed_stage_is_mailed_on_the_next_day_on_which_cron_fires():
    assert [mailed for mailed, stage in zip(MAIL_DAYS, STAGES, strict=True) if mailed != stage.on] == [date(2024, 1, 19)]
