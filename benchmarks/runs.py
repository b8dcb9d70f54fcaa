"""Runs: every kind of day over all accounts, against SQLite's own dump of the same table (design §18).

A run is a whole process. It and the dump are measured in turn, and shown by their medians. Between two rounds a day passes, on which one
account in a hundred changes and nobody is mailed. Before the first of them as many accounts changed as in a month: a ledger is never young
for long, and what superseded versions of accounts cost a run shows only then.

    python -m benchmarks.runs [ACCOUNTS]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from statistics import mean, median
from typing import Final

from benchmarks.company import CHANGED, LATER_STAGES, MIGRATE, ON_SMS_LATE, OPENS, STAGES, Company, company
from benchmarks.postfix import smtp_sink
from benchmarks.process import HIDE_ADBC, PYTHON, ROOT, Spent, measure
from benchmarks.rows import Remark, Row
from benchmarks.sqlite import dump, export

ACCOUNTS: Final = 1_000_000
LARGE: Final = 5
"""How many times as many accounts the large company has."""
ROUNDS: Final = 3
MONTH: Final = 30 * CHANGED
"""The share of the accounts that change in a month."""
REPORTS: Final = ("csv", "html", "xlsx", "parquet")
WITHOUT_ADBC: Final = (*PYTHON, "-c", f"{HIDE_ADBC}; from migrate.cli import main; sys.exit(main())")


def days(here: Company, rounds: int = ROUNDS, share: float = CHANGED) -> tuple[list[Spent], list[Spent]]:
    """Ordinary days: what the runs took, and the dumps before them."""
    runs: list[Spent] = []
    dumps: list[Spent] = []
    for _ in range(rounds):
        here.change(share)
        dumps.append(dump(here.directory))
        runs.append(here.quiet_run())
    return runs, dumps


def seconds(spent: Sequence[Spent]) -> float:
    return median(each.seconds for each in spent)


def peak(spent: Sequence[Spent]) -> float:
    """MiB, of the largest."""
    return max(each.peak for each in spent)


def _told(spent: Sequence[Spent]) -> str:
    if len(spent) == 1:
        return str(spent[0])
    taken = [each.seconds for each in spent]
    cpu = median(each.cpu for each in spent)
    return f"{median(taken):.2f} s [{min(taken):.2f}–{max(taken):.2f}], {cpu:.2f} s of CPU, {peak(spent):.0f} MiB"


def against_dump(name: str, bound: float, runs: list[Spent], dumps: list[Spent]) -> Row:
    """The row that sets runs beside dumps."""
    return Row(name, seconds(runs) / seconds(dumps), bound, f"{_told(runs)} against {_told(dumps)}")


def as_it_grows(small: Sequence[dict[str, Spent]], large: dict[str, Spent], sizes: tuple[int, int]) -> Iterator[Row]:
    """The rows on the time and memory of days (name → what it took) as the company grows. The small one was measured several times."""
    few, many = (f"{count:,}" for count in sizes)
    for name, spent in large.items():
        taken = [each[name].seconds for each in small]
        told = f"{' and '.join(f'{each:.2f} s' for each in taken)}, {spent.seconds:.2f} s"
        yield Row(f"{name}, time from {few} to {many} accounts", spent.seconds / mean(taken), 5.5, told)
        yield Row(f"{name}, peak memory, {many} accounts", spent.peak, 500, str(spent), "MiB")


def memory(small: list[Spent], large: list[Spent], sizes: tuple[int, int]) -> Iterator[Row]:
    """The rows on memory and time of a quiet day as the company grows."""
    for count, spent in zip(sizes, (small, large), strict=True):
        yield Row(f"peak memory, {count:,} accounts", peak(spent), 400, _told(spent), "MiB")
    least, most = sorted((peak(small), peak(large)))
    yield Row("peak memory, the one more than the other", (most / least - 1) * 100, 15, f"{least:.0f} and {most:.0f} MiB", "%")
    told = f"{seconds(small):.2f} s and {seconds(large):.2f} s"
    yield Row(f"time from {sizes[0]:,} to {sizes[1]:,} accounts", seconds(large) / seconds(small), 5.5, told)


def answers_at_once() -> Row:
    """What `migrate --help` takes."""
    taken = [measure([*MIGRATE, "--help"], ROOT) for _ in range(7)]
    return Row("migrate --help", seconds(taken), 0.3, _told(taken), "s")


def ordinary(accounts: int = ACCOUNTS, *, large: bool = False) -> Iterator[Row | Remark]:
    """The rows on runs, and what else may happen to the same company, as they are measured."""
    yield answers_at_once()
    with company(accounts) as here:
        small = _begun(here)
        yield from _told_remarks(small, accounts)
        runs, dumps = days(here)
        yield against_dump(f"a daily run, {accounts:,} SQL accounts, 1 % changed, no reports", 4, runs, dumps)
        yield from _without_the_usual(here)
        here.configure(("csv", "parquet"))
        here.quiet_run()
        yield against_dump("the same with reports as CSV and Parquet", 7, *days(here))
        yield from _other_days(here)
    if large:
        many = accounts * LARGE
        with company(many) as here:
            large_days = _begun(here)
            yield from _told_remarks(large_days, many)
            large_runs = days(here)[0]
        # The small company is measured before the large one and after it, since a machine is seldom as fast for ten minutes as before.
        with company(accounts) as here:
            again = _begun(here)
            yield from as_it_grows([small, again], large_days, (accounts, many))
            yield from memory(runs + days(here)[0], large_runs, (accounts, many))
    else:
        yield Row(f"peak memory, {accounts:,} accounts", peak(runs), 400, _told(runs), "MiB")


def _told_remark(name: str, *spent: Spent) -> Remark:
    return Remark(name, _told(spent))


def _told_remarks(days: dict[str, Spent], accounts: int) -> Iterator[Remark]:
    for name, spent in days.items():
        yield _told_remark(f"{name}, {accounts:,} accounts", spent)


def _begun(here: Company) -> dict[str, Spent]:
    """A company's first two days: name → what it took."""
    first = here.quiet_run()
    here.change(MONTH)
    return {"the first run": first, f"a day on which {MONTH:.0%} changed, as in a month": here.quiet_run()}


def _without_the_usual(here: Company) -> Iterator[Remark]:
    """Days on which something is missing that makes a run fast."""
    here.change()
    yield _told_remark("the first day without the ADBC driver", here.quiet_run(WITHOUT_ADBC))
    here.change()
    yield _told_remark("an ordinary day without the ADBC driver", here.quiet_run(WITHOUT_ADBC))
    here.change()
    here.forget_cache()
    yield _told_remark("a day after the cache was deleted", here.quiet_run())


def _other_days(here: Company) -> Iterator[Remark]:
    """The same people in a file; and the day on which a stage begins, which is the company's last."""
    here.configure(source="csv")
    export(here.directory, here.folder / "directory.csv")
    here.quiet_run()
    here.change()
    export(here.directory, here.folder / "directory.csv")
    yield _told_remark("an ordinary day, the directory being a CSV file", here.quiet_run())
    here.configure()
    here.quiet_run()
    here.day = OPENS
    spent, facts = here.run()
    yield Remark(f"the day a stage begins, {facts['letters']['queued']:,} letters queued", str(spent))


def campaign(accounts: int = ACCOUNTS, rounds: int = ROUNDS, *, bounds: tuple[float, float] = (400, 500)) -> Iterator[Row | Remark]:
    """The rows on every kind of day: three in ten depend on SMS, and three stages have been mailed to them.

    `bounds` are the MiB of memory that a quiet day and any day may take.
    """
    with company(accounts, share=ON_SMS_LATE) as here, smtp_sink() as port:
        here.configure(port=port)
        begun = _begun(here)
        (_, first), (month, grown) = begun.items()
        yield against_dump(f"the first run, {accounts:,} accounts", 25, [first], [dump(here.directory) for _ in range(rounds)])
        yield _told_remark(f"{month}, {accounts:,} accounts", grown)
        days = [first, grown]
        for here.day in STAGES:
            spent, facts = here.run()
            queued = facts["letters"]["queued"]
            yield _queueing(f"the day a stage begins, {queued:,} letters queued", spent, queued)
            days.append(spent)
            if here.day == STAGES[-1]:
                waiting = list(_again(here, rounds, here.change))
                yield _day(f"a day with {queued:,} letters waiting", 8, waiting)
            yield Remark(f"{queued:,} letters delivered", str(here.send()[0]))
        kinds = {
            "after": list(_again(here, rounds, here.change)),
        }
        yield _day(f"the day after a stage, {queued:,} letters settled since the last read", 8, kinds["after"])
        here.change()
        here.quiet_run()
        kinds["quiet"] = list(_again(here, rounds, here.change))
        yield _day("a quiet day, 1 % changed in other columns", 4, kinds["quiet"])
        kinds["switched"] = list(_again(here, rounds, here.switch))
        yield _day(f"a day on which {CHANGED:.0%} changed their methods, a letter each", 8, kinds["switched"])
        kinds["rules"] = list(_again(here, rounds, lambda: _other_rules(here)))
        yield _day("everybody decided anew, rules having changed", 15, kinds["rules"])
        kinds["anew"] = list(_again(here, rounds, lambda: _forgotten(here)))
        yield _day("everybody decided anew, without a cache", 15, kinds["anew"])
        yield from _reported(here, rounds, kinds["quiet"], "three", port)
        days += [run for name, each in kinds.items() if name != "quiet" for run, _ in each] + [run for run, _ in waiting]
        yield Row(f"peak memory of a quiet day, {accounts:,} accounts", peak([run for run, _ in kinds["quiet"]]), bounds[0], "", "MiB")
        yield Row(f"peak memory of any day, {accounts:,} accounts", peak(days), bounds[1], "", "MiB")
        here.configure(port=port)
        for here.day in LATER_STAGES:
            here.run()
            here.send()
        here.change()
        here.run()
        yield from _reported(here, rounds, list(_again(here, rounds, here.change)), "six", port)


def _again(here: Company, rounds: int, happens: Callable[[], object]) -> Iterator[tuple[Spent, Spent]]:
    """The same day several times over: what its run took, and the dump before it."""
    for _ in range(rounds):
        with here.undone():
            happens()
            dumped = dump(here.directory)
            yield here.run()[0], dumped


def _other_rules(here: Company) -> None:
    here.change()
    here.change_rules()


def _forgotten(here: Company) -> None:
    here.change()
    here.forget_cache()


def _day(name: str, bound: float, pairs: Sequence[tuple[Spent, Spent]]) -> Row:
    return against_dump(name, bound, [run for run, _ in pairs], [dumped for _, dumped in pairs])


def _reported(here: Company, rounds: int, quiet: Sequence[tuple[Spent, Spent]], stages: str, port: int) -> Iterator[Row]:
    """What the default reports add to a `quiet` day. The first ones, which tell of every letter there ever was, are not among them."""
    here.configure(REPORTS, port=port)
    here.change()
    here.run()
    pairs = list(_again(here, rounds, here.change))
    without, dumped = seconds([run for run, _ in quiet]), seconds([each for _, each in pairs])
    with_reports = [run for run, _ in pairs]
    told = f"{_told(with_reports)} against {without:.2f} s without, and {dumped:.2f} s of the dump"
    yield Row(
        f"added by the default reports to a quiet day, {stages} stages in the ledger", (seconds(with_reports) - without) / dumped, 8, told
    )


def _queueing(name: str, spent: Spent, queued: int) -> Row:
    """The row on composing and queueing: the whole run divided by its letters."""
    return Row(f"{name}, a letter", spent.seconds / queued * 1000, 0.2, str(spent), "ms")


def everybody(accounts: int) -> Iterator[Row]:
    """The first day of a campaign that concerns everybody: planned, composed and queued."""
    with company(accounts, share=1.0) as here:
        here.quiet_run()
        here.day = OPENS
        spent, facts = here.run()
        queued = facts["letters"]["queued"]
        yield _queueing(f"the first campaign day, {queued:,} letters for {accounts:,} accounts", spent, queued)


SERIES: Final[tuple[Callable[[int], Iterator[Row | Remark]], ...]] = (ordinary, campaign, everybody)

if __name__ == "__main__":
    how_many = int(sys.argv[1]) if len(sys.argv) > 1 else ACCOUNTS
    for series in SERIES:
        for row in series(how_many):
            print(row, flush=True)
