"""The tables and pictures of docs/size.md, made from growth.csv: `python -m benchmarks.size`.

A table stands in the page between `<!-- NAME -->` and `<!-- /NAME -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks.growth import Point, read
from benchmarks.process import ROOT
from benchmarks.steps import STEPS

PAGE: Final = ROOT / "docs" / "size.md"
PICTURES: Final = ROOT / "docs" / "size"
COMPUTED: Final = (10_000_000, 100_000_000)


def duration(seconds: float) -> str:
    """Seconds in a unit in which they can be read."""
    for unit, many in (("h", 3600), ("min", 60)):
        if seconds >= 2 * many:
            return f"{seconds / many:.1f} {unit}"
    return f"{seconds:.1f} s"


def size(mib: float) -> str:
    """MiB in a unit in which they can be read."""
    return f"{mib / 1024:.1f} GiB" if mib >= 1024 else f"{mib:.0f} MiB"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows))


def further(points: Sequence[Point], at: int, measure: str) -> float:
    """What `at` accounts take, on the straight line through the two largest sizes that were measured."""
    less, more = sorted(points, key=lambda each: each.at)[-2:]
    slope = (getattr(more, measure) - getattr(less, measure)) / (more.at - less.at)
    return float(getattr(more, measure) + slope * (at - more.at))


def accounts(points: Sequence[Point]) -> str:
    """Runs by size: the measured ones, then the computed ones."""
    first, ordinary = ([each for each in points if (each.series, each.what) == ("accounts", what)] for what in ("first", "ordinary"))
    head = ("accounts", "the first run", "an ordinary day", "memory, at most", "directory", "ledger", "image")
    rows = []
    for size_of in [*(each.at for each in first), *COMPUTED]:
        known = size_of in {each.at for each in first}
        peak = max(further(runs, size_of, "peak") if not known else _at(runs, size_of).peak for runs in (first, ordinary))
        days = [duration(_at(runs, size_of).seconds if known else further(runs, size_of, "seconds")) for runs in (first, ordinary)]
        disk = [size(getattr(_at(first, size_of), kind) if known else further(first, size_of, kind)) for kind in ("directory", "ledger", "image")]
        rows.append([f"{size_of:,}" + ("" if known else ", computed"), *days, size(peak), *disk])
    return _table(head, rows)


def _at(points: Sequence[Point], size_of: int) -> Point:
    return next(each for each in points if each.at == size_of)


def changed(points: Sequence[Point]) -> str:
    """A day by the share that changed."""
    rows = [[f"{each.at} %", duration(each.seconds), duration(each.cpu), size(each.peak)] for each in points if each.series == "changed"]
    return _table(("changed since yesterday", "a run", "of that CPU", "memory, at most"), rows)


def letters(points: Sequence[Point]) -> str:
    """A campaign day by its letters."""
    days = [each for each in points if each.series == "letters"]
    rows = []
    for count in dict.fromkeys(each.at for each in days):
        queued, delivered = (next(each for each in days if (each.at, each.what) == (count, what)) for what in ("queued", "delivered"))
        rate = f"{count / delivered.seconds:,.0f}/s"
        rows.append([f"{count:,}", duration(queued.seconds), duration(delivered.seconds), rate, size(queued.ledger), size(delivered.ledger)])
    return _table(("letters", "planned, composed, queued", "delivered", "letters a second", "ledger, queued", "delivered"), rows)


def steps(points: Sequence[Point]) -> str:
    """Where the time goes."""
    taken = {(each.series.removeprefix("steps of "), each.what): each.seconds for each in points if each.series.startswith("steps")}
    rows = [[step, *(duration(taken[day, step]) for day in ("a first run", "an ordinary day"))] for step in STEPS]
    whole = [duration(sum(spent for (day, _), spent in taken.items() if day == which)) for which in ("a first run", "an ordinary day")]
    return _table(("step", "a first run", "an ordinary day"), [*rows, ["**all of it**", *whole]])


def made(points: Sequence[Point]) -> str:
    """How busy the machine was with other things."""
    busiest = max(each.load for each in points)
    said = "so that every second here is one too many, not one too few" if busiest > 2 else "with nothing else of weight at work"
    return f"Measured under a load average of {min(each.load for each in points):.1f} to {busiest:.1f}, {said}."


TABLES: Final[dict[str, Callable[[Sequence[Point]], str]]] = {
    "made": made, "steps": steps, "accounts": accounts, "changed": changed, "letters": letters,
}  # fmt: skip


def filled(page: str, points: Sequence[Point]) -> str:
    """The page with its tables made anew."""
    for name, table in TABLES.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", flags=re.DOTALL)
        if not marked.search(page):
            raise ValueError(f"{PAGE.name} has no place for the table {name!r}")
        page = marked.sub(lambda place, text=table(points): f"{place[1]}{text}\n{place[2]}", page)
    return page


if __name__ == "__main__":
    from benchmarks.plots import draw

    found = read()
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    PICTURES.mkdir(exist_ok=True)
    draw(found, PICTURES)
