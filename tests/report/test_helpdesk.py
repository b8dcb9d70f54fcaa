"""The help desk's page: in a real browser, from a file, without a request."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from browser import Browser, chromium
from report.conftest import SUMMARY, FrameChronicle, letter
from report.test_page import Reader

from migrate.ledger.references import ALPHABET, reference
from migrate.report import evidence
from migrate.report.settings import ReportsSettings

HELPDESK: Any = ("helpdesk",)
SUBJECTS = ("Text-message codes end on 31 January", "Ärger? „Nein“ 李雷 👩‍💻", "For Zoltan Quixote: please move")
ASK = """(() => {
  document.getElementById("reference").value = %s;
  document.getElementById("address").value = %s;
  document.querySelector("button").click();
  return document.getElementById("answer").innerText;
})()"""


def page(folder: Path, *letters: dict[str, Any]) -> Path:
    found = evidence.write(FrameChronicle(mail=letters), ReportsSettings(dir=folder / "reports", formats=HELPDESK), SUMMARY)
    assert found is not None
    return found.folder / "helpdesk.html"


def of(number: int, **other: Any) -> dict[str, Any]:
    """One letter of many."""
    address = other.pop("address", f"Person.{number}@example.com")
    return letter(f"p{number}", reference=reference("a secret", (number,), address), address=address, letter_id=number, **other)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10,000 letters; their subjects name people, as an operator's may."""
    return page(tmp_path_factory.mktemp("many"), *(of(number, subject=SUBJECTS[number % 3]) for number in range(10_000)))


def asked(browser: Browser, ref: str, address: str) -> str:
    return " ".join(str(browser.evaluate(ASK % (json.dumps(ref), json.dumps(address)))).split())


def test_of_10_000_letters_a_genuine_one_is_and_a_forged_one_or_another_s_is_not(browser: Browser, many: Path) -> None:
    browser.open(many)
    for number, subject in ((4_711, SUBJECTS[1]), (0, SUBJECTS[0]), (9_998, SUBJECTS[2])):
        genuine = of(number)["reference"]
        told = asked(browser, genuine, f"person.{number}@example.com")
        assert told.startswith("Genuine What it is reminder: before the cutoff")
        assert f"Sent on 2024-01-02 Subject {subject} Compare the day" in told
    genuine = of(4_711)["reference"]
    assert asked(browser, f" {genuine[:4].lower()}-{genuine[4:]} ", "Ann <PERSON.4711@example.com> ").startswith("Genuine")
    forged = next(genuine[:-1] + other for other in ALPHABET if other != genuine[-1])
    another, here = of(1)["reference"], "person.4711@example.com"
    for ref, address in ((forged, here), (genuine, "person.4712@example.com"), (another, here), (another, "nobody@example.com")):
        told = asked(browser, ref, address)
        assert told.startswith("Not genuine No letter with this reference went to this address until 2024-01-02T14:00:09.250000Z.")
        assert "Sent on" not in told
    assert asked(browser, "7KQ", "person.1@example.com").startswith("Both are needed")
    assert asked(browser, genuine, "").startswith("Both are needed")


def test_the_page_asks_for_nothing_and_says_nothing_on_the_console(browser: Browser, many: Path) -> None:
    browser.open(many)
    asked(browser, of(7)["reference"], "person.7@example.com")
    assert browser.asked == [many.as_uri()]
    assert browser.said == []


@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_a_telephone_and_a_wide_screen(browser: Browser, many: Path, width: int, dark: bool) -> None:
    browser.open(many)
    browser.sized(width, 800, dark=dark)
    asked(browser, of(7)["reference"], "person.7@example.com")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = (browser.evaluate(f"getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor"))
    assert (ink, paper) == (("rgb(230, 237, 243)", "rgb(20, 24, 29)") if dark else ("rgb(27, 31, 36)", "rgb(255, 255, 255)"))


def test_no_address_name_subject_or_reference_is_in_the_file(many: Path) -> None:
    raw = many.read_bytes()
    for word in (b"person", b"example.com", b"Zoltan", b"Quixote", b"Text-message", b"31 January", of(4_711)["reference"].encode()):
        assert word.lower() not in raw.lower(), word
    entries = json.loads(Reader(raw.decode()).texts["data"][0])["letters"]
    assert len(entries) == 10_000
    assert entries == sorted(entries)  # in no order of people
    for entry in entries[:200]:
        decoded = base64.b64decode(entry[:16]) + base64.b64decode(entry[16:])
        assert b"example" not in decoded
        assert b"reminder" not in decoded
    assert len(raw) < 2_000_000


def test_one_letter_s_entry_is_no_digest_that_others_could_look_up(tmp_path: Path) -> None:
    """Neither of the address, nor of the reference, nor of both without the page's salt."""
    text = page(tmp_path, of(1)).read_text(encoding="utf-8")
    ref, address = of(1)["reference"], "person.1@example.com"
    for known in (address, ref, f"{ref}{address}", f"{ref}\0{address}"):
        digest = hashlib.sha256(known.encode()).digest()
        assert base64.b64encode(digest[:12]).decode() not in text
        assert digest.hex() not in text


def test_another_run_s_page_has_other_entries(tmp_path: Path) -> None:
    from dataclasses import replace

    from report.conftest import RUN

    pages = []
    for run in (RUN, replace(RUN, run_id="r00004")):
        found = evidence.write(FrameChronicle(run=run, mail=(of(1),)), ReportsSettings(dir=tmp_path / "r", formats=HELPDESK), SUMMARY)
        assert found is not None
        pages.append(json.loads(Reader((found.folder / "helpdesk.html").read_text(encoding="utf-8")).texts["data"][0]))
    assert pages[0]["salt"] != pages[1]["salt"]
    assert not set(pages[0]["letters"]) & set(pages[1]["letters"])


def test_a_letter_that_may_not_have_arrived_says_so_and_one_that_was_never_sent_is_not_genuine(browser: Browser, tmp_path: Path) -> None:
    unsure, failed = of(1, state="uncertain", subject=None), of(2, state="failed")
    browser.open(page(tmp_path, unsure, failed))
    told = asked(browser, unsure["reference"], unsure["address"])
    assert told.startswith("Probably genuine")
    assert "Subject not known" in told
    assert asked(browser, failed["reference"], failed["address"]).startswith("Not genuine")


def test_an_address_of_another_alphabet_is_found_however_it_is_typed(browser: Browser, tmp_path: Path) -> None:
    sent = of(1, address="Zoë.Ødegård@exämple.de")
    browser.open(page(tmp_path, sent))
    assert asked(browser, sent["reference"], "zoe\u0308.ødegård@EXÄMPLE.de").startswith("Genuine")


def test_what_a_subject_says_is_text_and_no_markup(browser: Browser, tmp_path: Path) -> None:
    sent = of(1, subject='</script><script>document.title = "evil"</script><img src=x onerror="document.title=1">')
    browser.open(page(tmp_path, sent))
    assert '<img src=x onerror="document.title=1">' in asked(browser, sent["reference"], sent["address"])
    assert browser.evaluate("document.title") == "Is this mail real? Example Corp"
    assert browser.evaluate("document.querySelectorAll('img').length") == 0


def test_the_policy_forbids_every_request_and_admits_the_page_s_own_script_alone(tmp_path: Path) -> None:
    text = page(tmp_path, of(1)).read_text(encoding="utf-8")
    reader = Reader(text)
    assert reader.open == []
    (policy,) = [value for tag, name, value in reader.attributes if tag == "meta" and name == "content" and value.startswith("default-src")]
    source = text.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; script-src 'sha256-{digest}';")
    assert not re.search(r"fetch|XMLHttpRequest|WebSocket|import\s*\(|sendBeacon|new Image|localStorage|indexedDB", source)


def test_the_letters_of_a_ledger_come_as_of_the_instant(tmp_path: Path) -> None:
    from report.test_recall import DAY_ONE, SECOND, first_run, later_life

    from migrate.ledger.engine import Ledger, LedgerSettings
    from migrate.report.helpdesk import SENT_COLUMNS
    from migrate.report.recall import of_run

    with Ledger.open(LedgerSettings(url=f"sqlite:///{tmp_path / 'm.db'}"), create=True) as ledger:
        run = first_run(ledger)
        later_life(ledger, run)
        with ledger.read() as connection:
            (told,) = of_run(connection, run, DAY_ONE + 5 * SECOND).sent()
            (none,) = of_run(connection, run, DAY_ONE + SECOND).sent()
    assert told[["address", "kind", "state", "subject"]].to_numpy().tolist() == [
        ["ann@example.com", "reminder", "sent", "Text-message codes end"]
    ]
    assert none.empty
    assert isinstance(told, pd.DataFrame)
    assert list(told.columns) == list(SENT_COLUMNS)
