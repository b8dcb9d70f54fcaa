from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.forecast import tried
from migrate.report.forecast import ENOUGH, Forecast, Pace, Point, forecast, pace, seen

CUTOFF = date(2024, 2, 1)
MONDAY = date(2023, 12, 4)


def days(*counts: int, on: date = MONDAY, every_day: bool = True) -> list[Point]:
    """Points from a Monday on, a day each; without `every_day` none at weekends."""
    line = [Point(on + timedelta(days=n), count) for n, count in enumerate(counts)]
    return line if every_day else [point for point in line if point.on.weekday() < 5]


def falling(
    start: int, share: float, length: int, *, weekend: float = 1.0, stages: tuple[date, ...] = (), after: float = 0.0
) -> list[Point]:
    """A share of those left goes each day: of a weekend day's, so much; in the four days from a stage on, `after` instead."""
    left, line = float(start), []
    for n in range(length):
        on = MONDAY + timedelta(days=n)
        line.append(Point(on, round(left)))
        moving = after if any(0 <= (on - stage).days < 4 for stage in stages) else share
        left *= 1 - moving * (weekend if on.weekday() >= 5 else 1.0)
    return line


def made(line: list[Point], stages: tuple[date, ...] = (), cutoff: date = CUTOFF) -> Forecast:
    found = forecast(line, stages, cutoff)
    assert found is not None
    return found


@pytest.mark.parametrize("line", [[], days(5), days(9, 8, 7, 6), days(*range(20, 11, -1)), [days(9)[0], Point(date(2024, 1, 20), 5)]])
def test_too_little_is_no_forecast(line: list[Point]) -> None:
    assert forecast(line, (), CUTOFF) is None


def test_from_the_cutoff_on_nothing_is_forecast() -> None:
    line = falling(100, 0.02, 61)
    assert line[-2].on == CUTOFF
    for until_then in (line, line[:-1]):
        assert forecast(until_then, (), CUTOFF) is None and pace(until_then, CUTOFF) is None
    assert forecast(line[:-2], (), CUTOFF) is not None


def test_a_steady_share_goes_on_and_the_truth_lies_in_the_interval() -> None:
    whole = falling(10_000, 0.02, 60)
    found = made(whole[:30])
    assert abs(found.left - whole[-1].count) < 200
    assert found.low <= whole[-1].count <= found.high
    assert found.done_on is None


def test_weekends_are_known_from_the_days_so_far_though_nobody_runs_the_job_then() -> None:
    whole = falling(10_000, 0.04, 60, weekend=0.0)
    weekdays = [point for point in whole[:25] if point.on.weekday() < 5]
    assert abs(made(weekdays).left - whole[-1].count) < 0.02 * 10_000
    assert abs(made(weekdays).left - whole[-1].count) < abs(made(falling(10_000, 0.04, 25)).left - whole[-1].count)


def test_the_effect_of_a_letter_is_known_once_one_was_seen() -> None:
    stages = (date(2023, 12, 14), date(2024, 1, 15))
    whole = falling(10_000, 0.002, 60, stages=stages, after=0.08)
    before, later = made(whole[:11], stages), made(whole[:25], stages)
    assert (before.letters_seen, later.letters_seen) == (False, True)
    assert abs(later.left - whole[-1].count) < 400 < abs(before.left - whole[-1].count)
    assert later.low <= whole[-1].count <= later.high


def test_a_rise_goes_on_and_is_not_called_done() -> None:
    found = made(days(*range(100, 130)))
    assert found.left > 129 and found.done_on is None and found.high > found.left


def test_the_last_person_moves_on_a_day_before_the_cutoff() -> None:
    found = made(falling(40, 0.25, 14))
    assert found.left == 0 and found.done_on is not None and found.earliest is not None
    assert date(2023, 12, 17) < found.earliest <= found.done_on < CUTOFF


def test_where_nobody_is_left_that_is_said_of_today() -> None:
    found = made(days(*range(12, -1, -1)))
    assert (found.left, found.low, found.high, found.done_on) == (0, 0, 0, date(2023, 12, 16))


def test_the_pace_is_of_two_weeks_and_of_the_days_that_are_left() -> None:
    assert pace(days(*range(120, 99, -1)), date(2024, 1, 3)) == Pace(1.0, 10.0)
    assert pace(days(9), CUTOFF) == Pace(None, 9 / 59)
    assert pace([], CUTOFF) is None and seen([]) == 0


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 10**7)), max_size=40, unique_by=lambda point: point[0]), st.integers(1, 400))
def test_whatever_the_days_the_interval_holds_its_middle(points: list[tuple[int, int]], ahead: int) -> None:
    line = [Point(MONDAY + timedelta(days=day), count) for day, count in sorted(points)]
    cutoff = (line[-1].on if line else MONDAY) + timedelta(days=ahead)
    found = forecast(line, (MONDAY, MONDAY + timedelta(days=30), cutoff - timedelta(days=7)), cutoff)
    assert (found is None) == (len(line) < 5 or seen(line) < ENOUGH)
    if found:
        assert 0 <= found.low <= found.left <= found.high
        assert all(low <= left <= high for _, left, low, high in found.path)
        assert [on for on, *_ in found.path] == [line[-1].on + timedelta(days=n) for n in range(ahead + 1)]


def test_the_interval_holds_eight_times_in_ten_on_simulated_campaigns() -> None:
    tries = [held for _, held, _, _ in tried(120)]
    assert len(tries) > 600
    assert 0.7 < sum(tries) / len(tries) < 0.9
