"""How often the forecast's interval holds: campaigns are simulated day by day, and each is forecast on several of its days.

    python -m benchmarks.forecast [CAMPAIGNS]

The campaigns differ in everything that the forecast does not know: how many people, how many react to a letter and how fast that wears
off, whether the last letters move more people than the first, how little happens at weekends, whether anybody runs the job then, who
joins, which department is moved in one go, which days have no run. The interval is meant to hold eight times in ten.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from migrate.report.forecast import Point, forecast

_AHEAD = (45, 30, 21, 14, 7, 3)


@dataclass(frozen=True, slots=True)
class Campaign:
    """What was seen: the run days up to and with the cutoff, and on which days letters went."""

    line: tuple[Point, ...]
    stages: tuple[date, ...]
    cutoff: date


def simulated(seed: int) -> Campaign:
    """A campaign of its own for each seed."""
    random = Random(f"campaign {seed}")
    cutoff = date(2024, 2, 1) + timedelta(days=random.randrange(365))
    opens = cutoff - timedelta(days=random.choice((45, 60, 90, 120, 180)))
    days_before = random.choice(((30, 14, 7, 3, 1), (60, 30, 14, 7, 1), (90, 60, 30, 14, 7, 3, 1), (28, 7)))
    stages = (opens, *(cutoff - timedelta(days=n) for n in days_before if cutoff - timedelta(days=n) > opens))
    left = float(round(10 ** random.uniform(1.8, 4.5)))
    quiet = 10 ** random.uniform(-3.0, -1.8)
    reaction, wears = 10 ** random.uniform(-1.9, -0.8), random.uniform(0.3, 0.7)
    urgency, weekend = random.uniform(0.8, 1.6), random.uniform(0.0, 0.6)
    joining = random.choice((0.0, 0.0, 0.0005, 0.001))
    works_weekends, missed = random.random() < 0.4, random.choice((0.0, 0.02, 0.1))
    in_one_go = (
        {opens + timedelta(days=random.randrange((cutoff - opens).days)): random.uniform(0.01, 0.1)} if random.random() < 0.3 else {}
    )
    start, line, stirred = left, [], 0.0
    for n in range((cutoff - opens).days + 1):
        day = opens + timedelta(days=n)
        if day == cutoff or ((works_weekends or day.weekday() < 5) and random.random() >= missed):
            line.append(Point(day, round(left)))
        if day in stages:
            closeness = 1 - (cutoff - day).days / (cutoff - opens).days
            stirred = reaction * (1 + (urgency - 1) * closeness) * random.lognormvariate(0, 0.25)
        rate = (quiet + stirred) * (weekend if day.weekday() >= 5 else 1.0) * random.lognormvariate(0, 0.3)
        stirred *= wears
        left -= _binomial(random, round(left), min(rate + in_one_go.get(day, 0.0), 1.0))
        left += _binomial(random, round(start), joining)
    return Campaign(tuple(line), stages, cutoff)


def _binomial(random: Random, of: int, share: float) -> int:
    if of < 200:
        return sum(random.random() < share for _ in range(of))
    return min(of, max(0, round(random.gauss(of * share, (of * share * (1 - share)) ** 0.5))))


def tried(campaigns: int) -> Iterator[tuple[int, bool, float, float]]:
    """For each forecast: days ahead, whether the interval held, its width and the error of its middle, as shares of those then left."""
    for seed in range(campaigns):
        found = simulated(seed)
        truth = found.line[-1].count
        for ahead in _AHEAD:
            known = [point for point in found.line if (found.cutoff - point.on).days >= ahead]
            made = forecast(known, found.stages, found.cutoff)
            if made is not None and known[-1].count >= 10:
                of = known[-1].count
                yield ahead, made.low <= truth <= made.high, (made.high - made.low) / of, abs(made.left - truth) / of


def main() -> None:
    """Prints how often the interval held, by how far ahead the cutoff was."""
    by: dict[int, list[tuple[bool, float, float]]] = defaultdict(list)
    for ahead, *rest in tried(int(sys.argv[1]) if len(sys.argv) > 1 else 1000):
        by[ahead].append((bool(rest[0]), rest[1], rest[2]))
    print("days ahead  forecasts  interval held  median width  median error")
    every = [row for tries in by.values() for row in tries]
    for ahead, rows in [*sorted(by.items(), reverse=True), (0, every)]:
        middle = len(rows) // 2
        width, error = (sorted(row[n] for row in rows)[middle] for n in (1, 2))
        held = sum(row[0] for row in rows) / len(rows)
        print(f"{ahead or 'all':>10}  {len(rows):>9,}  {held:>13.1%}  {width:>12.1%}  {error:>12.1%}")


if __name__ == "__main__":
    main()
