"""Every row of design §18, measured here and now: `make bench`, or `python -m benchmarks`. Exits with 1 if a bound is not met.

All of it takes an hour at most; `--quick` leaves out the large company, which most of that goes to, with the rows on how a run grows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from benchmarks import delivery, runs
from benchmarks.machine import load, machine, versions
from benchmarks.process import ROOT

RESULTS: Final = ROOT / "benchmarks" / "RESULTS.md"
FEWER: Final = 100_000
ALL_MET: Final = "All bounds are met."
NOT_ALL_MET: Final = "**Not every bound is met.**"
BROKEN_OFF: Final = "**The measurement was broken off: rows are missing.**"


def _delivery(asked: argparse.Namespace) -> Iterator[Any]:
    for series in delivery.SERIES:
        yield from series(asked.letters)


PARTS: Final[dict[str, Callable[[argparse.Namespace], Iterator[Any]]]] = {
    "ordinary": lambda asked: runs.ordinary(asked.accounts, large=not asked.quick),
    "campaign": lambda asked: runs.campaign(asked.accounts),
    "everybody": lambda asked: runs.everybody(min(asked.accounts, FEWER) if asked.quick else asked.accounts),
    "delivery": _delivery,
}
"""What can be measured by itself, in the usual order."""


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=runs.ACCOUNTS, help="accounts of the company (default: %(default)s)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"without a company {runs.LARGE} times as large, and with {FEWER:,} who are reminded on one day instead of everybody",
    )
    parser.add_argument("--letters", type=int, default=delivery.LETTERS, help="letters of the delivery rows (default: %(default)s)")
    parser.add_argument(
        "--only",
        action="append",
        choices=[*PARTS],
        metavar="PART",
        help=f"measure this part alone: {', '.join(PARTS)}; may be repeated",
    )
    parser.add_argument("--write", action="store_true", help=f"keep what is found in benchmarks/{RESULTS.name}")
    return parser.parse_args(given)


def measured(asked: argparse.Namespace) -> Iterator[Any]:
    """The rows and remarks, one after the other as they are found."""
    for name in asked.only or PARTS:
        yield from PARTS[name](asked)


def met(row: object) -> bool:
    """A row is met or not, and a remark always."""
    return bool(getattr(row, "met", True))


def verdict(rows: Sequence[object]) -> str:
    """What is to be said of all of them."""
    return ALL_MET if all(map(met, rows)) else NOT_ALL_MET


def page(command: str, day: str, about: Sequence[str], lines: Sequence[str], said: str) -> str:
    """The text of RESULTS.md."""
    head = [
        "# Results of the benchmarks",
        "",
        f"Made on {day} by `{command}`.",
        "",
        "Every ratio was measured in one sitting on one machine. Another machine finds other seconds, and much the same ratios.",
        "",
        *(f"- {line}" for line in about),
        "",
        said,
        "",
        "What was found, each as the median [least–most] of its rounds:",
        "",
    ]
    return "\n".join([*head, *(f"- {line}" for line in lines)]) + "\n"


def main(given: Sequence[str] | None = None) -> int:
    asked = arguments(given)
    about = [*machine(), *versions()]
    print("\n".join(about), flush=True)
    found: list[object] = []
    command = " ".join(["python -m benchmarks", *(sys.argv[1:] if given is None else given)])

    def write(said: str) -> None:
        if asked.write:
            told = [*about, f"load average when it ended: {load()}"]
            RESULTS.write_text(page(command, f"{datetime.now(UTC):%Y-%m-%d}", told, [*map(str, found)], said), encoding="utf-8")

    for row in measured(asked):
        found.append(row)
        print(row, flush=True)
        write(BROKEN_OFF)
    write(said := verdict(found))
    print(said)
    return 0 if all(map(met, found)) else 1


if __name__ == "__main__":
    sys.exit(main())
