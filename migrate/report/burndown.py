"""The burn-down: accounts that are not compliant, run day by run day, and where a straight line takes them by the cutoff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import linear_regression
from typing import Final

from migrate.core.standing import OUT_OF_SCOPE
from migrate.report.chronicle import Day
from migrate.report.terms import Terms

_RECENT: Final = timedelta(days=28)
WIDTH, HEIGHT = 720, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 24, 16, 32


@dataclass(frozen=True, slots=True)
class Point:
    """How many accounts were not compliant on a day."""

    on: date
    count: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """Where the straight line leads: how many are left at the cutoff, and the day on which nobody is, if that comes before it."""

    left: int
    done_on: date | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A place on an axis of the drawing, and what is written there."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The drawing, in the coordinates of an SVG view box of `WIDTH` × `HEIGHT`; `line` and `ahead` are SVG point lists."""

    line: str
    dots: tuple[tuple[float, float], ...]
    ahead: str
    cutoff: float
    days: tuple[Mark, ...]
    counts: tuple[Mark, ...]


def points(days: Sequence[Day], terms: Terms) -> list[Point]:
    """The burn-down of some run days, under the terms of the latest."""
    settled = OUT_OF_SCOPE | set(terms.compliant)
    return [Point(day.on, sum(count for word, count in day.standing.items() if word not in settled)) for day in days]


def forecast(line: Sequence[Point], cutoff: date) -> Forecast | None:
    """The straight line through the last four weeks' points, drawn on from the latest.

    None before there are two points, and once the cutoff is here.
    """
    if not line or line[-1].on >= cutoff:
        return None
    last = line[-1]
    recent = [point for point in line if last.on - point.on <= _RECENT]
    if len(recent) < 2:
        return None
    slope = linear_regression([(point.on - last.on).days for point in recent], [point.count for point in recent]).slope
    ahead = (cutoff - last.on).days
    left = max(0, round(last.count + slope * ahead))
    zero = -last.count / slope if slope < 0 else None
    return Forecast(left, last.on + timedelta(days=-int(-zero // 1)) if zero is not None and zero <= ahead else None)


def chart(line: Sequence[Point], expected: Forecast | None, opens: date, cutoff: date) -> Chart | None:
    """The drawing of a burn-down; None if there is no point."""
    if not line:
        return None
    first, last = min(line[0].on, opens), max(line[-1].on, cutoff)
    span, top = max((last - first).days, 1), max([point.count for point in line] + [expected.left if expected else 0, 1])

    def place(on: date, count: float) -> tuple[float, float]:
        x = _LEFT + (WIDTH - _LEFT - _RIGHT) * (on - first).days / span
        return round(x, 1), round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * count / top, 1)

    ahead: list[tuple[float, float]] = []
    if expected:
        ahead = [place(line[-1].on, line[-1].count), place(expected.done_on, 0) if expected.done_on else place(cutoff, expected.left)]
        ahead += [place(cutoff, 0)] if expected.done_on else []
    dots = tuple(place(point.on, point.count) for point in line)
    return Chart(
        line=_joined(dots),
        dots=dots,
        ahead=_joined(ahead),
        cutoff=place(cutoff, 0)[0],
        days=tuple(Mark(place(on, 0)[0], on.isoformat()) for on in sorted({first, cutoff, last})),
        counts=tuple(Mark(place(first, count)[1], f"{count:,}") for count in sorted({0, round(top / 2), top})),
    )


def _joined(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in places)
