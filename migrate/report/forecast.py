"""The forecast: how many people will still have to move at the cutoff, with a lower and an upper bound, from the run days so far. Pure.

Method. Each day a share of the people who must still move does so. The share depends on the kind of day:

- *Weekends*: a Saturday or Sunday counts as a part of a working day. The run days so far give the part; `_WEEKEND` is used where they do
  not.
- *Letters*: people move faster in the `STIRRED` days from a stage on. The share of those days comes from the last `_STAGES` stages that
  were seen, the share of quiet days from the last `_RECENT` days. Before a stage was seen all days are alike, and the forecast says so.

The shares are ratios of logarithms (people who join count against those who leave), so the sum over the days ahead gives the people who are
left as `left × e^-sum`. The interval should hold eight times in ten. Its width has three causes: the shares are estimated from few days
(their variance, with Student's t for as many), days differ (the same variance, once for each day ahead), and later letters do not work like
earlier ones (`_DRIFT` of the sum, found by `python -m benchmarks.forecast`, which prints how often the interval held).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from math import ceil, exp, log, sqrt
from operator import itemgetter
from typing import Final

ENOUGH: Final = 10
"""A forecast needs so many days from the first to the last run day."""
STIRRED: Final = 4
"""So many days from a stage's day on count as days after a letter."""
FEWEST: Final = 5
"""A forecast needs so many run days."""
_RECENT: Final = 28
_STAGES: Final = 2
_PACE: Final = 14
_WEEKEND: Final = 0.3
_WEEKENDS: Final = (0.05, 1.0)
_DRIFT: Final = 0.35
_SATURDAY: Final = 5
_T: Final = (3.08, 1.89, 1.64, 1.53, 1.48, 1.44, 1.41, 1.40, 1.38, 1.37, 1.36, 1.36, 1.35, 1.35, 1.34)
"""Student's t for an interval that holds eight times in ten, for 1, 2, … degrees of freedom."""
_NORMAL: Final = 1.30
_BOUNDS: Final = (itemgetter(1), itemgetter(2), itemgetter(3))
"""The middle, the lower and the upper bound of a day of the path."""


@dataclass(frozen=True, slots=True)
class Point:
    """How many accounts were not compliant on a day."""

    on: date
    count: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """How many people are left at the cutoff, eight times in ten between `low` and `high`; and the day on which the last one has moved,
    likewise between `earliest` and `latest` (None: not before the cutoff).

    `path` has for each day from the last run day to the cutoff the day and its `left`, `low` and `high`. `letters_seen` is false if letters
    are still to come and the run days have shown the effect of none.
    """

    left: int
    low: int
    high: int
    done_on: date | None
    earliest: date | None
    latest: date | None
    path: tuple[tuple[date, float, float, float], ...]
    letters_seen: bool


@dataclass(frozen=True, slots=True)
class Pace:
    """People who move in a day: of late (None: there are fewer than two run days), and as needed from now on."""

    late: float | None
    needed: float


@dataclass(frozen=True, slots=True)
class _Step:
    """From one run day to the next (`on`): the decrease of the logarithm, its length in working days, and whether most of them came
    after a letter."""

    on: date
    fall: float
    days: float
    stirred: bool


@dataclass(frozen=True, slots=True)
class _Share:
    """The share of people who move in a day, the variance for one day, and from how many days both are estimated."""

    rate: float
    spread: float
    days: float
    steps: int


def pace(line: Sequence[Point], cutoff: date) -> Pace | None:
    """The pace of the last two weeks, and the pace that reaches everybody by the cutoff; None without a run day, and from the cutoff on."""
    if not line or line[-1].on >= cutoff:
        return None
    last = line[-1]
    before = [point for point in line[:-1] if (last.on - point.on).days <= _PACE]
    late = (before[0].count - last.count) / (last.on - before[0].on).days if before else None
    return Pace(late, last.count / (cutoff - last.on).days)


def seen(line: Sequence[Point]) -> int:
    """How many days there are from the first run day to the last, both included."""
    return (line[-1].on - line[0].on).days + 1 if line else 0


def forecast(line: Sequence[Point], stages: Collection[date], cutoff: date) -> Forecast | None:
    """Forecasts from the run days, oldest first, until the cutoff; `stages` are the days on which letters went or will go.

    None if there are too few days (`ENOUGH` days, `FEWEST` run days), and from the cutoff on.
    """
    if len(line) < FEWEST or seen(line) < ENOUGH or line[-1].on >= cutoff:
        return None
    last = line[-1]
    if last.count == 0:
        flat = tuple((last.on + timedelta(days=n), 0.0, 0.0, 0.0) for n in range((cutoff - last.on).days + 1))
        return Forecast(0, 0, 0, last.on, last.on, last.on, flat, letters_seen=True)
    after = {on + timedelta(days=n) for on in stages for n in range(STIRRED)}
    weekend = _weekend(line, after)
    steps = [_step(one, other, weekend, after) for one, other in pairwise(line)]
    quiet = _share([step for step in steps if (last.on - step.on).days < _RECENT and not step.stirred])
    told = sorted(on for on in stages if line[0].on <= on < last.on)[-_STAGES:]
    within = {on + timedelta(days=n) for on in told for n in range(STIRRED)}
    stirred = _share([step for step in steps if step.stirred and {step.on, step.on - timedelta(days=1)} & within])
    every = _share([step for step in steps if (last.on - step.on).days < _RECENT]) or _share(steps)
    assert every is not None  # there are steps
    quiet, letters_seen = quiet or every, stirred is not None
    stirred = stirred or every
    return _ahead(last, cutoff, weekend, after, quiet, stirred, letters_seen=letters_seen)


def _ahead(
    last: Point, cutoff: date, weekend: float, after: Collection[date], quiet: _Share, stirred: _Share, *, letters_seen: bool
) -> Forecast:
    days = {False: 0.0, True: 0.0}
    degrees = max(1, min(len(_T) + 1, quiet.steps + stirred.steps - 2))
    width = _T[degrees - 1] if degrees <= len(_T) else _NORMAL
    path = [(last.on, float(last.count), float(last.count), float(last.count))]
    for n in range(1, (cutoff - last.on).days + 1):
        # A run early on a day shows what happened on the day before.
        lived = last.on + timedelta(days=n - 1)
        days[lived in after] += weekend if lived.weekday() >= _SATURDAY else 1.0
        total, variance = 0.0, 0.0
        for share, ahead in ((quiet, days[False]), (stirred, days[True])):
            total += share.rate * ahead
            variance += share.spread * (ahead + ahead * ahead / share.days)
        variance += (_DRIFT * total) ** 2
        variance += abs(1 - exp(-max(total, 0.0))) / last.count  # whole people move: the variance of a count
        off = width * sqrt(variance)
        left, low, high = (last.count * exp(-min(max(each, -3.0), 50.0)) for each in (total, total + off, total - off))
        path.append((last.on + timedelta(days=n), left, low, high))

    _, left, low, high = path[-1]
    done, earliest, latest = (next((each[0] for each in path if count(each) < 0.5), None) for count in _BOUNDS)
    return Forecast(round(left), int(low), ceil(high), done, earliest, latest, tuple(path), letters_seen)


def _lived(one: Point, other: Point) -> list[date]:
    """The days between two run days. A run early on a day shows what happened on the day before."""
    return [one.on + timedelta(days=n) for n in range((other.on - one.on).days)]


def _step(one: Point, other: Point, weekend: float, after: Collection[date]) -> _Step:
    weights = {False: 0.0, True: 0.0}
    for day in _lived(one, other):
        weights[day in after] += weekend if day.weekday() >= _SATURDAY else 1.0
    return _Step(other.on, _fall(one, other), weights[False] + weights[True], weights[True] >= weights[False])


def _fall(one: Point, other: Point) -> float:
    return log((one.count + 0.5) / (other.count + 0.5))


def _weekend(line: Sequence[Point], after: Collection[date]) -> float:
    """The part of a working day that a weekend day counts for, from quiet days: those at weekends compared with the others."""
    fall = {False: 0.0, True: 0.0}
    work, off = {False: 0, True: 0}, 0
    for one, other in pairwise(line):
        lived = _lived(one, other)
        if any(day in after for day in lived) or len(lived) > STIRRED:
            continue
        resting = [day for day in lived if day.weekday() >= _SATURDAY]
        fall[bool(resting)] += _fall(one, other)
        work[bool(resting)] += len(lived) - len(resting)
        off += len(resting)
    if off < 4 or work[False] < 8 or fall[False] <= 0:
        return _WEEKEND
    rate = fall[False] / work[False]
    return min(max((fall[True] / rate - work[True]) / off, _WEEKENDS[0]), _WEEKENDS[1])


def _share(steps: Sequence[_Step]) -> _Share | None:
    """The share of some steps of one kind; None if there are no steps."""
    days = sum(step.days for step in steps)
    if not days:
        return None
    rate = sum(step.fall for step in steps) / days
    squares = [(step.fall - rate * step.days) ** 2 / step.days for step in steps]
    spread = sum(squares) / max(len(squares) - 1, 1) if len(squares) > 1 else rate * rate
    return _Share(rate, spread, days, len(squares))
