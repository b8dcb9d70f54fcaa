"""The report page as people use it: in a real browser, on a telephone, in the dark, on paper, with a hundred thousand rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import date, timedelta
from importlib import resources
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from browser import Browser, chromium
from hostile.readers import counted
from report.conftest import CAST, LETTERS, SUMMARY, FrameChronicle, record

from migrate.report import evidence
from migrate.report.chronicle import Day
from migrate.report.settings import ReportsSettings

SHOWN = "[...document.querySelectorAll('#list tbody th button')].map((each) => each.textContent)"
GIVE = """var give = (where, value, event) => {
  const field = document.querySelector(where);
  field.value = value;
  field.dispatchEvent(new Event(event));
}"""
SAVED = """(async () => {
  let kept;
  URL.createObjectURL = (blob) => { kept = blob; return "#"; };
  document.getElementById("save").click();
  return await kept.text();
})()"""


class Long(FrameChronicle):
    """With run days enough to be drawn and forecast."""

    def days(self) -> list[Day]:
        dates = [date(2023, 11, 20) + timedelta(days=n) for n in range(44)]
        return [Day(on, {"sms_only": 60 - n, "migrated": 20 + n, "exempt": 4}) for n, on in enumerate(dates) if on.weekday() < 5]


def made(folder: Path, chronicle: FrameChronicle) -> Path:
    found = evidence.write(chronicle, ReportsSettings(dir=folder / "reports", formats=("csv", "html")), SUMMARY)
    assert found is not None
    return found.folder / "report.html"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    people = [record(f"p{n:03}", department=f"Team {n % 7}", display_name=f"Person {n}") for n in range(120)]
    records = sorted([*CAST, *people], key=lambda each: each["account_id"])
    return made(tmp_path_factory.mktemp("page"), Long(records=tuple(records), mail=tuple(LETTERS)))


def violations(browser: Browser) -> list[Any]:
    """What axe finds wrong, each with the first element concerned."""
    axe = (resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
    browser.evaluate(axe + "; 0")
    found = json.loads(browser.evaluate("axe.run({ iframes: false }).then((done) => JSON.stringify(done.violations))"))
    return [(each["id"], each["help"], each["nodes"][0]["html"][:200]) for each in found]


@pytest.mark.parametrize(("width", "dark"), [(360, False), (360, True), (1600, False), (1600, True)])
def test_it_asks_for_nothing_says_nothing_and_axe_finds_nothing(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.open(page)
    browser.sized(width, 800, dark=dark)
    assert violations(browser) == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.asked == [page.as_uri()] and browser.said == []


def test_on_a_telephone_the_verdict_and_the_figures_stand_on_the_first_screen(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.sized(360, 740)
    below = "Math.max(...[...document.querySelectorAll('#verdict, #because, .numbers dd')].map((e) => e.getBoundingClientRect().bottom))"
    assert browser.evaluate(below) <= 740
    seen = (
        "[...document.querySelectorAll('svg.chart')].filter((each) => each.getBoundingClientRect().width).map((each) => each.classList[1])"
    )
    assert browser.evaluate(seen) == ["on-narrow"]


def test_on_a_telephone_no_word_of_a_heading_is_broken(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.sized(360, 740)
    lines = """JSON.stringify([...document.querySelectorAll('thead th:not(:has(button))')].filter((th) => th.offsetHeight).map((each) => {
      const range = document.createRange(); range.selectNodeContents(each);
      return [each.textContent, new Set([...range.getClientRects()].map((line) => Math.round(line.bottom))).size];
    }))"""
    found = json.loads(browser.evaluate(lines))
    assert len(found) > 10
    assert [(words, count) for words, count in found if count > len(words.split())] == []


def test_on_paper_there_are_no_controls_and_the_list_is_there(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.sized(700, 1000, dark=True, medium="print")
    browser.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    seen = "[...document.querySelectorAll('.tools, .show')].filter((each) => each.getBoundingClientRect().height).length"
    assert browser.evaluate(seen) == 0
    assert browser.evaluate(f"{SHOWN}.length") == 126
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.evaluate("document.documentElement.scrollWidth") <= 700
    browser.sized(1280, 900)


def test_it_sorts_pages_searches_chooses_opens_and_saves_what_is_shown(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.sized(1280, 900)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 1280
    first = browser.evaluate(SHOWN)
    assert first[:2] == ["Ann", "Bob"] and len(first) == 50
    assert browser.evaluate("document.getElementById('shown').textContent") == "1–50 of 126"
    browser.evaluate("document.getElementById('on').click(); document.getElementById('on').click()")
    assert len(browser.evaluate(SHOWN)) == 26
    browser.evaluate("document.querySelector('th[data-column=who] button').click()")
    names = browser.evaluate(SHOWN)
    assert [each for each in names if each.startswith("Person")][:3] == ["Person 0", "Person 1", "Person 2"]
    browser.evaluate("document.querySelector('th[data-column=who] button').click()")
    assert browser.evaluate(SHOWN)[0] == "Person 119"
    assert browser.evaluate("document.querySelector('th[data-column=who]').getAttribute('aria-sort')") == "descending"
    browser.evaluate(f"{GIVE}; give('select[data-column=department]', 'Team 3', 'change')")
    assert len(browser.evaluate(SHOWN)) == 17
    browser.evaluate(f"{GIVE}; give('#filter', 'PERSON \"person 1\"', 'input')")
    browser.evaluate("new Promise((done) => setTimeout(done, 200))")
    assert browser.evaluate(SHOWN) == ["Person 115", "Person 108", "Person 101", "Person 17", "Person 10"]
    rows = list(csv.DictReader(io.StringIO(browser.evaluate(SAVED))))
    with (page.parent / "action-list.csv").open(encoding="utf-8", newline="") as file:
        whole = {row["account_id"]: row for row in csv.DictReader(file)}
    assert rows == [whole[name] for name in ("p115", "p108", "p101", "p017", "p010")]
    browser.evaluate("document.querySelector('#list tbody th button').click()")
    assert "p115@example.com" in browser.evaluate("document.querySelector('.detail').textContent")
    browser.evaluate("document.getElementById('all').click()")
    assert browser.evaluate("document.getElementById('shown').textContent") == "1–50 of 126"
    assert browser.said == []


def test_the_tables_lead_into_the_list(browser: Browser, page: Path) -> None:
    browser.open(page)
    counts = browser.evaluate("""[...document.querySelectorAll('button.show')].map((button) => {
      button.click();
      const said = document.getElementById('shown').textContent;
      const cell = button.closest('tr') && button.closest('tr').querySelectorAll('td.number');
      const count = button.dataset.harm ? cell[0] : button.dataset.choose ? cell[1] : null;
      return [button.dataset.harm || button.dataset.value, count && count.textContent, /of ([0-9,]+)/.exec(said)[1]];
    })""")
    assert len(counts) >= 10
    assert [(name, said) for name, said, found in counts if said != "0" and said is not None and said != found] == []


@pytest.mark.soak
def test_a_hundred_thousand_rows_open_in_three_seconds_and_sort_in_one(browser: Browser, tmp_path: Path) -> None:
    people = tuple(
        record(
            f"p{n:06}", department=f"Team {n % 97}", display_name=f"Person {n * 7919 % 100_000}", manager_email=f"b{n % 999}@example.com"
        )
        for n in range(100_000)
    )
    page = made(tmp_path, Long(records=people, mail=(), chunk=20_000))
    began = perf_counter()
    browser.open(page)
    opened = perf_counter() - began
    click = "document.querySelector('th[data-column={}] button').click()"
    sort = "(() => {{ const began = performance.now(); " + click + "; return performance.now() - began; }})()"
    took = {name: browser.evaluate(sort.format(name)) for name in ("who", "department", "wrong", "told")}
    counted(f"{page.stat().st_size / 1e6:.0f} MB opened in {opened:.2f} s; milliseconds to sort by {took}")
    assert browser.evaluate(SHOWN)
    assert opened < 3 and max(took.values()) < 1000
