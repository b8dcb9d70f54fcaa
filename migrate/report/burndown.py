"""The burn-down: accounts that are not compliant on each run day, and the chart of them with the forecast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

from migrate.core.schedule import Stage
from migrate.core.standing import OUT_OF_SCOPE
from migrate.report.chronicle import Day
from migrate.report.forecast import Forecast, Point
from migrate.report.terms import Terms

DRAWN: Final = 6
"""A chart needs so many run days."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 48, 28
_UNDER: Final = 22
_ROOM: Final = 64
"""The least distance between two labels on the axis of days; closer ones would overlap."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place on an axis of the chart, and its label ('' for none)."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The chart, in the coordinates of an SVG view box of `width` × `height`. `lines`, `ahead` and `band` are SVG point lists; a line
    ends before a day without a run. `end` is the height at which the forecast's number is written."""

    width: int
    height: int
    left: int
    right: int
    top: int
    floor: int
    lines: tuple[str, ...]
    dots: tuple[tuple[float, float], ...]
    ahead: str
    band: str
    end: float | None
    cutoff: float
    stages: tuple[Mark, ...]
    days: tuple[Mark, ...]
    counts: tuple[Mark, ...]


def points(days: Sequence[Day], terms: Terms) -> list[Point]:
    """The burn-down of some run days. All are counted by the terms of the latest run."""
    settled = OUT_OF_SCOPE | set(terms.compliant)
    return [Point(day.on, sum(count for word, count in day.standing.items() if word not in settled)) for day in days]


def chart(
    line: Sequence[Point], expected: Forecast | None, stages: Sequence[Stage], opens: date, cutoff: date, *, width: int, height: int
) -> Chart | None:
    """The chart of a burn-down; None if there are fewer than `DRAWN` points."""
    if len(line) < DRAWN:
        return None
    first, last = min(line[0].on, opens), max(line[-1].on, cutoff)
    span = max((last - first).days, 1)
    top = _ceiling(max([point.count for point in line] + [each[1] for each in (expected.path if expected else ())]))
    floor = height - _BOTTOM

    def place(on: date, count: float) -> tuple[float, float]:
        x = _LEFT + (width - _LEFT - _RIGHT) * (on - first).days / span
        return round(x, 1), round(floor - (floor - _TOP) * min(count, top) / top, 1)

    dots = tuple(place(point.on, point.count) for point in line)
    pieces: list[list[tuple[float, float]]] = [[dots[0]]]
    for (one, other), dot in zip(pairwise(line), dots[1:], strict=True):
        if (other.on - one.on).days > 1:
            pieces.append([])
        pieces[-1].append(dot)
    path = expected.path if expected else ()
    band = [place(on, high) for on, _, _, high in path] + [place(on, low) for on, _, low, _ in reversed(path)]
    return Chart(
        width=width,
        height=height,
        left=_LEFT,
        right=width - _RIGHT,
        top=_TOP,
        floor=floor,
        lines=tuple(_joined(piece) for piece in pieces if len(piece) > 1),
        dots=dots,
        ahead=_joined([place(on, left) for on, left, _, _ in path]),
        band=_joined(band),
        end=_end(place(cutoff, path[-1][2])[1], place(cutoff, path[-1][3])[1], floor) if path else None,
        cutoff=place(cutoff, 0)[0],
        stages=_spaced([Mark(place(stage.on, 0)[0], stage.name) for stage in stages if first <= stage.on < cutoff], 26),
        days=_days(first, last, place(cutoff, 0)[0], place),
        counts=tuple(Mark(place(first, count)[1], f"{count:,}") for count in sorted({0, top // 2, top})),
    )


def _end(low: float, high: float, floor: int) -> float:
    """The height of the forecast's number: below the band, or above it where there is no room below."""
    return low + 15 if floor - low > _UNDER else high - 7


def _days(first: date, last: date, cutoff: float, place: Callable[[date, float], tuple[float, float]]) -> tuple[Mark, ...]:
    """Marks at the first of each month, and at the first day if there is room."""
    firsts = [first, *(on for n in range(1, (last - first).days) if (on := first + timedelta(days=n)).day == 1)]
    marks = [Mark(place(on, 0)[0], f"{on.day} {on:%b}") for on in firsts]
    return tuple(mark for mark in _spaced(marks, _ROOM) if mark.text and abs(mark.at - cutoff) >= _ROOM)


def _spaced(marks: Sequence[Mark], room: float) -> tuple[Mark, ...]:
    """Takes the label off each mark that would overlap the one before; the mark itself stays."""
    kept: list[Mark] = []
    free = -room
    for mark in marks:
        if mark.at >= free:
            kept.append(mark)
            free = mark.at + room
        else:
            kept.append(Mark(mark.at, ""))
    return tuple(kept)


def _ceiling(most: float) -> int:
    """The top of the axis: the least even number, with at most two digits before its zeros, that is not below `most`."""
    step: int = 10 ** max(len(str(int(most))) - 2, 0)
    above = -(-int(most + 0.999) // step) * step
    return max(above + above % 2, 2)


def _joined(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in places)
