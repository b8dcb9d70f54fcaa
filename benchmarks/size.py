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
FARTHEST: Final = 20
"""Nothing is computed for more than so many times what was measured."""


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
    """What `at` accounts take: what was measured, or else what lies on the straight line through the two largest sizes that were."""
    known = [each for each in points if each.at == at]
    if known:
        return float(getattr(known[0], measure))
    less, more = sorted(points, key=lambda each: each.at)[-2:]
    slope = (getattr(more, measure) - getattr(less, measure)) / (more.at - less.at)
    return float(getattr(more, measure) + slope * (at - more.at))


def accounts(points: Sequence[Point]) -> str:
    """Runs by size: the measured ones, then the computed ones."""
    first, ordinary = ([each for each in points if (each.series, each.what) == ("accounts", what)] for what in ("first", "ordinary"))
    measured = [each.at for each in first]
    head = ("accounts", "the first run", "memory", "an ordinary day", "memory", "directory", "ledger", "cache")
    rows = []
    for at in [*measured, *(at for at in COMPUTED if at <= FARTHEST * measured[-1])]:
        runs = [told(further(runs, at, what)) for runs in (first, ordinary) for told, what in ((duration, "seconds"), (size, "peak"))]
        disk = [size(further(first, at, kind)) for kind in ("directory", "ledger", "cache")]
        rows.append([f"{at:,}" + ("" if at in measured else ", computed"), *runs, *disk])
    return _table(head, rows)


def changed(points: Sequence[Point]) -> str:
    """A day by the share that changed."""
    days = [each for each in points if each.series == "changed"]
    rows = [[f"{each.at} %", duration(each.seconds), duration(each.cpu), size(each.peak)] for each in days]
    return _table((f"changed since yesterday, of {days[0].what}", "a run", "processors", "memory"), rows)


def letters(points: Sequence[Point]) -> str:
    """A campaign day by its letters."""
    days = [each for each in points if each.series == "letters"]
    rows = []
    for count in dict.fromkeys(each.at for each in days):
        made, gone = (next(each for each in days if (each.at, each.what) == (count, what)) for what in ("queued", "delivered"))
        rate = f"{count / gone.seconds:,.0f}/s"
        rows.append([f"{count:,}", duration(made.seconds), size(made.peak), duration(gone.seconds), rate, size(gone.ledger)])
    return _table(("letters", "planned, composed, queued", "memory", "delivered", "letters a second", "ledger"), rows)


def steps(points: Sequence[Point]) -> str:
    """Where the time goes."""
    taken = {(each.series.removeprefix("steps of "), each.what): each.seconds for each in points if each.series.startswith("steps")}
    rows = [[step, *(duration(taken[day, step]) for day in ("a first run", "an ordinary day"))] for step in STEPS]
    whole = [duration(sum(spent for (day, _), spent in taken.items() if day == which)) for which in ("a first run", "an ordinary day")]
    (of,) = {each.at for each in points if each.series.startswith("steps")}
    return _table((f"step, with {of:,} accounts", "a first run", "an ordinary day"), [*rows, ["**all of it**", *whole]])


def made(points: Sequence[Point]) -> str:
    """How busy the machine was with other things."""
    busiest = max(each.load for each in points)
    said = "so a quiet machine takes less" if busiest > 2 else "with nothing else of weight at work"
    return f"Measured under a load average of {min(each.load for each in points):.1f} to {busiest:.1f}, {said}."


TABLES: Final[dict[str, Callable[[Sequence[Point]], str]]] = {
    "made": made, "steps": steps, "accounts": accounts, "changed": changed, "letters": letters,
}  # fmt: skip


def filled(page: str, points: Sequence[Point]) -> str:
    """The page with its tables made anew."""
    for name, table in TABLES.items():
        marked = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", flags=re.DOTALL)
        found = marked.search(page)
        if not found:
            raise ValueError(f"{PAGE.name} has no place for the table {name!r}")
        before, after = page[: found.end(1)], page[found.start(2) :]
        page = f"{before}{table(points)}\n{after}"
    return page


if __name__ == "__main__":
    from benchmarks.plots import draw

    found = read()
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    PICTURES.mkdir(exist_ok=True)
    draw(found, PICTURES)
