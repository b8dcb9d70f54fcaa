"""review.html: what a reviewer sees of a dry run, in a real browser."""

from __future__ import annotations

import csv
import re
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser, chromium
from campaigns import Campaign
from report.test_page_in_chromium import violations

from migrate.cli import main
from migrate.core.words import CHANGES, OUTCOMES
from migrate.review import page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """A run, and since then a change, somebody new, a hostile name; a letter is due."""
    made = Campaign(tmp_path_factory.mktemp("reviewed"))
    for name in ("ann", "bob", "cat"):
        made.person(name)
    made.person("dan", "sms", federated="yes")
    made.run("2023-12-20 14:00")
    made.person("ann", "totp")
    made.person("eve", display_name='</iframe></pre><script>alert(1)</script>"')
    made.person("fay", email="")
    made.write()
    return made


def reviewed(campaign: Campaign, out: Path, *options: str, code: int = 0) -> str:
    assert main(["--config", str(campaign.path), "dry-run", "--as-of", "2024-01-02T14:00", "--out", str(out), *options]) == code
    return (out / page.NAME).read_text(encoding="utf-8")


def test_it_says_who_hears_what_who_does_not_and_what_is_new(campaign: Campaign, tmp_path: Path, browser: Browser) -> None:
    text = reviewed(campaign, tmp_path / "plan")
    browser.open(tmp_path / "plan" / page.NAME)
    browser.sized(1600, 900)
    words = browser.evaluate("document.body.innerText")
    assert "4 letters would go to 4 people on 2 Jan 2024." in words
    with (tmp_path / "plan" / "plan.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    table = browser.evaluate("[...document.querySelectorAll('#plan ~ .wide tbody th')].map((each) => each.textContent)")
    assert table == [row["to"] for row in rows]
    counts = browser.evaluate("[...document.querySelectorAll('#outcomes ~ table td')].map((each) => Number(each.textContent))")
    assert sum(counts) == 6
    assert "1 have an authenticator now authenticator_enabled" in words and "2 are in the directory and were not before" in words
    assert "a letter is due, but there is no address no_address" in words
    assert f"run --plan {tmp_path / 'plan'}" in words
    assert browser.evaluate("document.querySelectorAll('iframe[sandbox=\"\"]').length") == len(re.findall("<pre", text)) == 2
    assert browser.asked[0].startswith("file:") and not [each for each in browser.asked if each.startswith("http")]
    assert browser.said == []


@pytest.mark.parametrize("width", [360, 1600])
def test_axe_finds_nothing_and_it_fits_a_telephone(campaign: Campaign, tmp_path: Path, browser: Browser, width: int) -> None:
    reviewed(campaign, tmp_path / "plan")
    browser.open(tmp_path / "plan" / page.NAME)
    browser.sized(width, 800, dark=width == 360)
    assert violations(browser) == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_a_guard_has_the_first_word(campaign: Campaign, tmp_path: Path) -> None:
    held = campaign.copy(tmp_path / "held")
    held.edit("[ledger]", "[safety]\nmax_messages = 1\n\n[ledger]")
    text = reviewed(held, tmp_path / "plan")
    assert "would be held on 2 Jan 2024: more than may go without an approved plan." in text or "A guard would stop this run" in text
    assert text.index('class="guard"') < text.index('id="hears"')
    assert "<b>held</b>" in text


def test_a_letter_in_it_is_the_preview_and_may_do_nothing(campaign: Campaign, tmp_path: Path, browser: Browser) -> None:
    reviewed(campaign, tmp_path / "plan")
    browser.open(tmp_path / "plan" / page.NAME)
    shown = browser.evaluate("[...document.querySelectorAll('iframe')].map((each) => each.srcdoc)")
    previews = {path.read_text(encoding="utf-8") for path in (tmp_path / "plan" / "previews").glob("*.html")}
    assert set(shown) == previews
    assert browser.evaluate("document.querySelector('iframe').contentDocument") is None, "it is nobody's own origin"


def test_dry_run_opens_it_in_the_browser(campaign: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    reviewed(campaign, tmp_path / "plan", "--open")
    assert opened == [(tmp_path / "plan" / page.NAME).as_uri()]


def test_every_outcome_and_every_change_is_said_in_plain_words() -> None:
    assert set(page.OUTCOMES) == set(OUTCOMES)
    assert set(page.CHANGES) == set(CHANGES)
