"""The benchmarks measure what they say, in small; how fast anything is, is no matter of tests."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks import company as companies
from benchmarks import delivery, growth, people, size, variety
from benchmarks.company import OPENS, Company, company
from benchmarks.growth import Point
from benchmarks.process import HIDE_ADBC, PYTHON, ROOT, beside_us, measure
from benchmarks.rows import Remark, Row
from benchmarks.runs import WITHOUT_ADBC, against_dump, as_it_grows, days, memory
from benchmarks.steps import STEPS
from migrate.config import load
from migrate.mail.compose import Composer

FEW = 500


def rows_of(path: Path) -> dict[str, tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return {row[0]: row[1:] for row in database.execute("SELECT * FROM users")}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    monkeypatch.setattr(companies, "BUILD", tmp_path / "bench")
    with company(FEW) as made:
        yield made


def test_the_same_people_are_made_again(tmp_path: Path) -> None:
    for name in ("a.db", "b.db"):
        people.make(tmp_path / name, FEW, 0.2)
    assert rows_of(tmp_path / "a.db") == rows_of(tmp_path / "b.db")
    assert len(rows_of(tmp_path / "a.db")) == FEW


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_the_share_that_was_asked_for_depends_on_sms(tmp_path: Path, share: float) -> None:
    people.make(tmp_path / "people.db", FEW, share)
    default = [row[8] for row in rows_of(tmp_path / "people.db").values()]
    assert default.count("sms") == FEW * share


def test_a_day_changes_the_share_that_was_asked_for_and_no_method(tmp_path: Path) -> None:
    path = tmp_path / "people.db"
    people.make(path, FEW, 0.2)
    before = rows_of(path)
    people.change(path, 0.1, 1)
    after = rows_of(path)
    stayed = before.keys() & after.keys()
    assert len(after) == FEW
    assert len(after.keys() - before.keys()) == 5
    assert sum(before[account] != after[account] for account in stayed) == 45
    assert [account for account in stayed if before[account][5:] != after[account][5:]] == []


@pytest.mark.cache
def test_a_company_lives_its_days_unheard_until_a_stage_begins(here: Company) -> None:
    runs, dumps = days(here, rounds=1, share=0.1)
    assert (len(runs), len(dumps)) == (1, 1)
    assert (here.folder / "migrate.db.image").is_dir()
    assert all(here.disk())
    here.day = OPENS
    _, facts = here.run()
    assert facts["letters"]["queued"] == FEW / 5
    with pytest.raises(RuntimeError, match="100 letters were queued on a day without any"):
        here.quiet_run()


def test_a_day_on_which_methods_change_is_confirmed_by_mail(here: Company) -> None:
    here.quiet_run()
    here.switch(0.1)
    _, facts = here.run()
    assert facts["letters"]["queued"] == FEW / 10


def test_what_happened_in_a_round_has_not_happened_afterwards(here: Company) -> None:
    here.quiet_run()
    before = (here.day, rows_of(here.directory), here.disk())
    with here.undone():
        here.change(0.1)
        here.quiet_run()
        assert rows_of(here.directory) != before[1]
    assert (here.day, rows_of(here.directory), here.disk()) == before


def test_a_run_of_too_few_accounts_is_no_measurement(here: Company) -> None:
    with closing(sqlite3.connect(here.directory)) as database, database:
        database.execute("DELETE FROM users WHERE rowid = 1")
    with pytest.raises(RuntimeError, match="499 accounts were read, and there are 500"):
        here.quiet_run()


def test_the_steps_of_a_run_are_all_watched(here: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "company", lambda _: companies.company(FEW))
    found = list(growth.steps(FEW))
    assert [each.what for each in found] == [*STEPS, *STEPS]
    assert all(each.seconds >= 0 for each in found)


def test_a_hidden_driver_is_neither_found_nor_needed(tmp_path: Path) -> None:
    asked = f"{HIDE_ADBC}; from migrate.directory import arrow; print(arrow.available())"
    assert measure([*PYTHON, "-c", asked], tmp_path).printed == "False\n"
    assert measure([*WITHOUT_ADBC, "--version"], tmp_path).printed.startswith("migrate ")


def test_memory_is_that_of_the_command_alone(tmp_path: Path) -> None:
    # Measured from a small process, as benchmarks do: what the tests themselves hold would be counted in.
    script = "from pathlib import Path; from benchmarks.process import PYTHON, measure; "
    script += "print(*(measure([*PYTHON, '-c', each], Path()).peak for each in ('pass', 'bytearray(300 << 20)')))"
    done = subprocess.run([*PYTHON, "-c", script], env=beside_us(), cwd=tmp_path, capture_output=True, text=True, check=True)
    least, more = map(float, done.stdout.split())
    assert least < 150 < 300 <= more


def test_letters_of_many_ways_are_all_composed(monkeypatch: pytest.MonkeyPatch) -> None:
    composed: list[tuple[str | None, tuple[str, ...], str | None]] = []
    compose = Composer.compose
    monkeypatch.setattr(
        Composer,
        "compose",
        lambda self, kind, facts, **rest: (
            composed.append((facts.locale, facts.methods, facts.default_method)) or compose(self, kind, facts, **rest)
        ),
    )
    assert variety.milliseconds(load(ROOT / "config.example.toml"), [0, 7, len(variety.WAYS) - 1, 7]) > 0
    assert composed == [variety.WAYS[way] for way in (0, 7, -1, 7)]


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"ended with 3: no such day"):
        measure([*PYTHON, "-c", "import sys; print('no such day', file=sys.stderr); sys.exit(3)"], tmp_path)


def spent(seconds: float, peak: float = 100) -> companies.Spent:
    return companies.Spent(seconds, seconds, peak, "")


def test_a_row_is_met_up_to_its_bound() -> None:
    row = against_dump("a run", 4, [spent(9), spent(8), spent(30)], [spent(2), spent(2.25), spent(4)])
    assert (row.ratio, row.met) == (4.0, True)
    assert not replace(row, ratio=4.01).met
    assert "NOT met" in str(replace(row, ratio=4.01))


def test_memory_may_neither_be_much_nor_grow() -> None:
    rows = list(memory([spent(2, 200)], [spent(12, 401)], (1, 5)))
    assert [row.met for row in rows] == [True, False, False, False]
    assert [row.met for row in memory([spent(2, 380)], [spent(11, 390)], (1, 5))] == [True, True, True, True]


def test_every_kind_of_day_may_take_five_and_a_half_times_as_long_with_five_times_the_accounts() -> None:
    rows = list(as_it_grows([{"a day": spent(1)}, {"a day": spent(3)}], {"a day": spent(11, 501)}, (1, 5)))
    assert [row.met for row in rows] == [True, False]
    assert [row.met for row in as_it_grows([{"a day": spent(2)}], {"a day": spent(11.1, 500)}, (1, 5))] == [False, True]


def rate(found: float) -> delivery.Row:
    """A row of deliveries, whose bound is the least."""
    return delivery.Row("a", found, 0.5, (found,), (1.0,))


@pytest.mark.parametrize(
    ("row", "met"),
    [(rate(0.5), True), (rate(0.49), False), (Row("a", 1, 2, ""), True), (Row("a", 3, 2, ""), False), (Remark("a", "b"), True)],
)
def test_delivery_is_met_from_its_bound_on_and_a_run_up_to_it(row: object, met: bool) -> None:
    assert bench.met(row) is met


@pytest.mark.parametrize(("busy", "there", "times"), [(1.25, 4, 2.0), (1.0, 2, 2.0), (1.25, 2, 1.6), (1.6, 2, 1.25)])
def test_two_processes_deliver_twice_as_much_at_most_and_less_with_few_processors(busy: float, there: int, times: float) -> None:
    assert delivery.of_two(busy, there) == pytest.approx(times)


@pytest.mark.parametrize(
    ("there", "ratio", "met"), [(2, 1.36, [True]), (2, 1.35, [False]), (4, 1.7, [True, True]), (4, 1.69, [False, True])]
)
def test_two_processes_have_the_bound_of_the_machine_and_with_four_processors_that_of_the_program(
    there: int, ratio: float, met: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: there)
    rows = list(delivery.two_of_one(ratio, 1.25, (ratio,), (1.0,), ""))
    assert [row.met for row in rows if isinstance(row, delivery.Row)] == met
    assert ("is for 4 processors and more" in str(rows[-1])) is (there == 2)


def test_parts_are_measured_alone_in_the_order_in_which_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {name: lambda _asked, name=name: iter([name]) for name in bench.PARTS}
    monkeypatch.setattr(bench, "PARTS", parts)
    assert list(bench.measured(bench.arguments(["--only", "delivery", "--only", "campaign"]))) == ["delivery", "campaign"]
    assert list(bench.measured(bench.arguments([]))) == ["ordinary", "campaign", "everybody", "delivery"]


@pytest.mark.parametrize(("ratio", "code", "said"), [(1, 0, "All bounds are met."), (3, 1, "**Not every bound is met.**")])
def test_the_results_are_kept_with_their_command(
    ratio: float, code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(bench, "measured", lambda asked: iter([Row("a run", ratio, 2, "slowly"), Remark("a day", "long")]))
    monkeypatch.setattr(bench, "machine", lambda: ["processor: one"])
    monkeypatch.setattr(bench, "versions", lambda: ["Python"])
    assert bench.main(["--quick", "--write"]) == code
    page = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "`python -m benchmarks --quick --write`" in page
    assert said in page
    assert f"- a run: {ratio:.2f} × (at most 2 ×: {'met' if code == 0 else 'NOT met'})  slowly\n- a day: long\n" in page


def test_what_was_found_before_a_measurement_broke_off_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_off(_asked: object) -> Iterator[Row]:
        yield Row("a run", 1, 2, "slowly")
        raise KeyboardInterrupt

    monkeypatch.setattr(bench, "RESULTS", tmp_path / "RESULTS.md")
    monkeypatch.setattr(bench, "measured", broken_off)
    monkeypatch.setattr(bench, "machine", list)
    monkeypatch.setattr(bench, "versions", list)
    with pytest.raises(KeyboardInterrupt):
        bench.main(["--write"])
    page = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert bench.BROKEN_OFF in page
    assert "- a run: 1.00 × (at most 2 ×: met)  slowly\n" in page


def point(series: str, at: int, seconds: float = 1.0) -> Point:
    return Point(series, at, "first", seconds, seconds)


def test_a_series_that_is_measured_again_replaces_itself_alone(tmp_path: Path) -> None:
    path = tmp_path / "growth.csv"
    growth.keep([point("accounts", 10), point("accounts", 100), point("changed", 1)], path)
    growth.keep([point("accounts", 10, 2.0)], path)
    assert growth.read(path) == [point("accounts", 10, 2.0), point("changed", 1)]


def test_what_was_not_measured_lies_on_the_line_through_the_two_largest() -> None:
    measured = [point("accounts", 10, 50.0), point("accounts", 100, 10.0), point("accounts", 1000, 19.0)]
    assert size.further(measured, 10_000, "seconds") == pytest.approx(109.0)
    assert size.further(measured, 10, "seconds") == 50.0


@pytest.mark.parametrize(("most", "computed"), [(400_000, 0), (1_000_000, 1), (5_000_000, 2)])
def test_nothing_is_computed_far_beyond_what_was_measured(most: int, computed: int) -> None:
    measured = [replace(point("accounts", at), what=what) for at in (10_000, most) for what in ("first", "ordinary")]
    assert size.accounts(measured).count("computed") == computed


@pytest.mark.parametrize(("seconds", "told"), [(0.26, "0.3 s"), (119, "119.0 s"), (120, "2.0 min"), (9000, "2.5 h")])
def test_a_duration_can_be_read(seconds: float, told: str) -> None:
    assert size.duration(seconds) == told


def test_the_page_on_size_says_what_was_measured() -> None:
    page = size.PAGE.read_text(encoding="utf-8")
    assert size.filled(page, growth.read()) == page


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="has no place for the table 'made'"):
        size.filled("# How large", [point("accounts", 1)])


def test_pictures_are_the_same_for_the_same_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks.plots import draw

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        draw(growth.read(), tmp_path / name)
    drawn = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert sorted(drawn) == sorted(path.name for path in size.PICTURES.iterdir())
    assert drawn == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    assert all(b"<text" in content for content in drawn.values())
