from datetime import date, timedelta
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.conftest import TERMS

from migrate.report.burndown import HEIGHT, WIDTH, Forecast, Point, chart, forecast, points
from migrate.report.chronicle import Day

CUTOFF = date(2024, 2, 1)


def falling(*counts: int, on: date = date(2024, 1, 1)) -> list[Point]:
    return [Point(on + timedelta(days=day), count) for day, count in enumerate(counts)]


def test_only_standings_in_scope_that_are_not_compliant_are_burnt_down() -> None:
    standing = {
        "inactive": 1,
        "exempt_sso": 2,
        "exempt": 4,
        "migrated": 8,
        "sms_fallback": 16,
        "sms_default": 32,
        "sms_only": 64,
        "unknown": 128,
    }
    assert points([Day(CUTOFF, standing)], TERMS) == [Point(CUTOFF, 32 + 64 + 128)]


def test_a_steady_fall_is_drawn_on_to_the_cutoff() -> None:
    assert forecast(falling(100, 98, 96), CUTOFF) == Forecast(left=96 - 2 * 29, done_on=None)


def test_a_fall_that_reaches_nobody_before_the_cutoff_names_the_day() -> None:
    assert forecast(falling(30, 20, 10), CUTOFF) == Forecast(left=0, done_on=date(2024, 1, 4))
    assert forecast(falling(31, 21, 11), CUTOFF) == Forecast(left=0, done_on=date(2024, 1, 5))


def test_a_rise_is_not_called_done() -> None:
    assert forecast(falling(10, 12), CUTOFF) == Forecast(left=12 + 2 * 30, done_on=None)


def test_nobody_left_already_is_done_today_or_stays_so() -> None:
    assert forecast(falling(2, 0), CUTOFF) == Forecast(left=0, done_on=date(2024, 1, 2))
    assert forecast(falling(0, 0), CUTOFF) == Forecast(left=0, done_on=None)


def test_only_the_last_four_weeks_set_the_pace() -> None:
    long_ago = [Point(date(2023, 10, 1), 100_000), Point(date(2023, 11, 1), 100)]
    assert forecast([*long_ago, *falling(100, 98, 96)], CUTOFF) == forecast(falling(100, 98, 96), CUTOFF)


@pytest.mark.parametrize("line", [[], falling(5), falling(5, 4, on=CUTOFF - timedelta(days=1)), falling(5, 4, on=CUTOFF)])
def test_there_is_no_forecast_from_one_run_or_once_the_cutoff_is_here(line: list[Point]) -> None:
    assert forecast(line, CUTOFF) is None


def test_without_a_run_there_is_nothing_to_draw() -> None:
    assert chart([], None, TERMS.opens, CUTOFF) is None


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 10**7)), min_size=1, max_size=30, unique_by=lambda point: point[0]))
def test_every_drawing_stays_in_its_frame(days: list[tuple[int, int]]) -> None:
    line = [Point(date(2023, 7, 1) + timedelta(days=day), count) for day, count in sorted(days)]
    expected = forecast(line, CUTOFF)
    drawn = chart(line, expected, TERMS.opens, CUTOFF)
    assert drawn is not None
    ET.fromstring(f'<polyline points="{drawn.line}"/>')
    places = [tuple(map(float, place.split(","))) for place in f"{drawn.line} {drawn.ahead}".split()]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in places)
    assert len(drawn.dots) == len(line)
    assert bool(drawn.ahead) == (expected is not None)
