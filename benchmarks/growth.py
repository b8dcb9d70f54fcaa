"""What a run costs as accounts, changes and letters grow. What is found is kept in growth.csv; `benchmarks.size` draws and tabulates it.

    python -m benchmarks.growth [--large] [accounts] [changed] [letters] [steps]

A series that is measured anew replaces the one that was kept.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from benchmarks.company import OPENS, Company, company
from benchmarks.machine import load
from benchmarks.postfix import smtp_sink
from benchmarks.process import PYTHON, Spent
from benchmarks.runs import ROUNDS
from benchmarks.steps import REST, STEPS, WRITTEN

GROWTH: Final = Path(__file__).with_name("growth.csv")
SIZES: Final = (10_000, 100_000, 1_000_000)
LARGEST: Final = 5_000_000
SHARES: Final = (0, 1, 10, 100)
LETTERS: Final = (1_000, 10_000, 100_000)
WATCHED: Final = (*PYTHON, "-m", "benchmarks.steps")


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement: `at` so many accounts, percent or letters, `what` took `seconds`, `cpu` seconds and `peak` MiB of memory.
    `directory`, `ledger` and `cache` are MiB on the disk afterwards; `load` is the machine's load average then."""

    series: str
    at: int
    what: str
    seconds: float
    cpu: float
    peak: float = 0
    directory: float = 0
    ledger: float = 0
    cache: float = 0
    load: float = 0


def point(series: str, at: int, what: str, spent: Spent, here: Company) -> Point:
    """A measurement in a company."""
    directory, ledger, cache = (round(size, 1) for size in here.disk())
    taken = (round(spent.seconds, 2), round(spent.cpu, 2), round(spent.peak, 1))
    return Point(series, at, what, *taken, directory, ledger, cache, float(load()))


def middle(spent: Sequence[Spent]) -> Spent:
    """The one whose seconds are the median."""
    return sorted(spent, key=lambda each: each.seconds)[len(spent) // 2]


def accounts(sizes: Sequence[int]) -> Iterator[Point]:
    """A first run and an ordinary day against the number of accounts."""
    for size in sizes:
        with company(size) as here:
            yield point("accounts", size, "first", here.quiet_run(), here)
            days = []
            for _ in range(ROUNDS):
                here.change()
                days.append(here.quiet_run())
            yield point("accounts", size, "ordinary", middle(days), here)


def changed(size: int) -> Iterator[Point]:
    """A day against the share of the accounts that changed, in percent."""
    with company(size) as here:
        here.quiet_run()
        for percent in SHARES:
            here.change(percent / 100)
            yield point("changed", percent, f"{size:,} accounts", here.quiet_run(), here)


def letters(counts: Sequence[int]) -> Iterator[Point]:
    """A day on which everybody is to be reminded: planned, composed and queued; then delivered to Postfix's `smtp-sink`."""
    for count in counts:
        with company(count, share=1.0) as here, smtp_sink() as port:
            here.configure(port=port)
            here.quiet_run()
            here.day = OPENS
            for what, does, key in (("queued", here.run, "queued"), ("delivered", here.send, "sent")):
                spent, facts = does()
                if facts["letters"][key] != count:
                    raise RuntimeError(f"{count:,} letters were to be {what}: {facts['letters']}")
                yield point("letters", count, what, spent, here)


def steps(size: int) -> Iterator[Point]:
    """Where the time of a first run and of an ordinary day goes."""
    with company(size) as here:
        for series in ("steps of a first run", "steps of an ordinary day"):
            spent = here.quiet_run(WATCHED)
            taken: dict[str, list[float]] = json.loads((here.folder / WRITTEN).read_text(encoding="utf-8"))
            taken[REST] = [spent.seconds - sum(wall for wall, _ in taken.values()), spent.cpu - sum(cpu for _, cpu in taken.values())]
            for step in STEPS:
                wall, cpu = taken[step]
                yield Point(series, size, step, round(wall, 2), round(cpu, 2), load=float(load()))
            here.change()


def read(path: Path = GROWTH) -> list[Point]:
    """What is kept."""
    if not path.exists():
        return []
    kinds: dict[str, Callable[[str], Any]] = {"series": str, "at": int, "what": str}
    with path.open(encoding="utf-8", newline="") as file:
        return [Point(**{name: kinds.get(name, float)(value) for name, value in row.items()}) for row in csv.DictReader(file)]


def keep(found: Sequence[Point], path: Path = GROWTH) -> None:
    """Puts points in the place of those of the same series."""
    measured = {each.series for each in found}
    points = [each for each in read(path) if each.series not in measured] + list(found)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Point)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(each) for each in sorted(points, key=lambda each: each.series))


def main(given: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("series", nargs="*", default=["accounts", "changed", "letters", "steps"])
    parser.add_argument("--large", action="store_true", help=f"also {LARGEST:,} accounts")
    parser.add_argument("--most", type=int, default=SIZES[-1], help="the most accounts besides (default: %(default)s)")
    asked = parser.parse_args(given)
    sizes = [size for size in SIZES if size <= asked.most] + ([LARGEST] if asked.large else [])
    series: dict[str, Callable[[], Iterator[Point]]] = {
        "accounts": lambda: accounts(sizes),
        "changed": lambda: changed(asked.most),
        "letters": lambda: letters([count for count in LETTERS if count <= asked.most]),
        "steps": lambda: steps(asked.most),
    }
    for name in asked.series:
        found = []
        for each in series[name]():
            print(each, file=sys.stderr)
            found.append(each)
        keep(found)


if __name__ == "__main__":
    main()
