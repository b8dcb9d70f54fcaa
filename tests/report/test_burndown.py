import xml.etree.ElementTree as ET
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.conftest import TERMS

from migrate.report.burndown import DRAWN, Chart, chart, points
from migrate.report.chronicle import Day
from migrate.report.forecast import Point, forecast

CUTOFF = date(2024, 2, 1)
STAGES = [stage.on for stage in TERMS.stages]


def falling(*counts: int, on: date = date(2024, 1, 2)) -> list[Point]:
    return [Point(on + timedelta(days=i), count) for i, count in enumerate(counts)]


def drawn(line: list[Point], width: int = 960, height: int = 320) -> Chart | None:
    return chart(line, forecast(line, STAGES, CUTOFF), TERMS.stages, TERMS.opens, CUTOFF, width=width, height=height)


def test_a_point_counts_the_accounts_that_still_have_to_move() -> None:
    days = [Day(date(2024, 1, 2), {"sms_only": 3, "sms_default": 2, "unknown": 1, "no_second_step": 1, "migrated": 9, "sms_fallback": 8,
                                   "inactive": 7, "exempt_sso": 6, "exempt": 5})]  # fmt: skip
    assert points(days, TERMS) == [Point(date(2024, 1, 2), 7)]


@pytest.mark.parametrize("count", range(DRAWN))
def test_fewer_than_six_run_days_are_not_drawn(count: int) -> None:
    assert drawn(falling(*range(9, 9 - count, -1))) is None


def test_a_day_without_a_run_is_a_gap_and_not_a_slope() -> None:
    line = [*falling(9, 8, 7), *falling(5, 4, 3, on=date(2024, 1, 8))]
    found = drawn(line)
    assert found is not None
    assert [len(piece.split()) for piece in found.lines] == [3, 3]
    assert len(found.dots) == 6


def test_the_axis_begins_at_nought_and_words_on_it_do_not_overlap() -> None:
    for width in (960, 360):
        found = drawn(falling(*range(100, 80, -1)), width)
        assert found is not None
        assert found.counts[0].text == "0" and found.counts[0].at == found.floor
        named = [mark.at for mark in found.days] + [found.cutoff]
        assert all(b - a >= 60 for a, b in pairwise(named))
        stages = [mark.at for mark in found.stages if mark.text]
        assert all(b - a >= 26 for a, b in pairwise(stages))
        assert len(found.stages) == 7


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 10**7)), min_size=DRAWN, max_size=30, unique_by=lambda point: point[0]),
    st.sampled_from([(960, 320), (360, 280)]),
)
def test_every_drawing_stays_in_its_frame(days: list[tuple[int, int]], size: tuple[int, int]) -> None:
    line = [Point(date(2023, 7, 1) + timedelta(days=day), count) for day, count in sorted(days)]
    found: Any = drawn(line, *size)
    pieces = [*found.lines, found.ahead, found.band]
    for piece in pieces:
        ET.fromstring(f'<polyline points="{piece}"/>')
    places = [tuple(map(float, place.split(","))) for piece in pieces for place in piece.split()]
    assert all(0 <= x <= size[0] and 0 <= y <= size[1] for x, y in [*places, *found.dots])
    assert len(found.dots) == len(line)
    assert bool(found.ahead) == (forecast(line, STAGES, CUTOFF) is not None)
