import base64
import csv
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report.conftest import EVIDENCE_AT, RUN, SUMMARY, FrameChronicle, record

from migrate.report import evidence, page
from migrate.report.settings import ReportsSettings

Told = Callable[..., FrameChronicle]
VOID = {"meta", "input", "link", "br", "hr", "img"}


class Reader(HTMLParser):
    """The page as a browser would take it: tags that close, attributes, texts by element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


@pytest.fixture
def html(tmp_path: Path) -> Callable[[FrameChronicle], str]:
    def render(chronicle: FrameChronicle) -> str:
        found = evidence.write(chronicle, ReportsSettings(dir=tmp_path / "reports", formats=("html",)), SUMMARY)
        assert found is not None
        return (found.folder / "report.html").read_text(encoding="utf-8")

    return render


def test_the_page_is_well_formed_and_refers_to_nothing_outside(html: Any, chronicle: FrameChronicle) -> None:
    text = html(chronicle)
    reader = Reader(text)
    assert reader.open == []
    references = [
        (tag, name) for tag, name, _ in reader.attributes if name in {"src", "href", "action", "data", "poster", "srcset", "xlink:href"}
    ]
    assert references == []
    style = "".join(reader.texts["style"])
    assert "url(" not in style
    assert "@import" not in style
    assert not re.search(r"fetch|XMLHttpRequest|WebSocket|import\s*\(|sendBeacon|new Image", "".join(reader.texts["script"]))
    assert not {name for _, name, _ in reader.attributes if name == "style" or name.startswith("on")}


def test_the_policy_forbids_every_request_and_admits_this_script_and_style_alone(html: Any, chronicle: FrameChronicle) -> None:
    reader = Reader(html(chronicle))
    (policy,) = [value for tag, name, value in reader.attributes if tag == "meta" and name == "content" and value.startswith("default-src")]

    def digest(element: str) -> str:
        return "sha256-" + base64.b64encode(hashlib.sha256("".join(reader.texts[element]).encode()).digest()).decode()

    assert policy == (
        f"default-src 'none'; script-src '{digest('script')}'; style-src '{digest('style')}'; base-uri 'none'; form-action 'none'"
    )


def test_names_cannot_become_markup(html: Any, told: Told) -> None:
    hostile = '</script><script>alert(1)</script><img src=x onerror="alert(2)">{{ 7*7 }}'
    text = html(told(records=(record("ann", display_name=hostile, department=hostile),), mail=()))
    reader = Reader(text)
    assert text.count("<script>") == 1
    assert "img" not in {tag for tag, _, _ in reader.attributes}
    assert hostile in reader.texts["td"]
    assert hostile in reader.texts["th"]


def test_the_headline_counts_those_in_scope(html: Any, chronicle: FrameChronicle) -> None:
    reader = Reader(html(chronicle))
    assert dict(zip(reader.texts["dt"], reader.texts["dd"], strict=True)) == {
        "not compliant": "6",
        "compliant": "2",
        "of these not certain: a second step nobody knows by name": "1",
        "done, of those in scope": "25.0 %",
        "out of scope": "3",
        "accounts": "11",
    }


def test_where_everybody_compliant_is_certain_nothing_is_said_of_it(html: Any, told: Told) -> None:
    assert "not certain" not in html(told(records=(record("ann"), record("cat", "migrated"), record("kim", "unknown")), mail=()))


def test_the_forecast_is_said_in_words(html: Any, chronicle: FrameChronicle) -> None:
    text = " ".join(html(chronicle).split())
    assert "30 days to the cutoff on 2024-02-01 (America/Los_Angeles)." in text
    assert "At the pace of the last four weeks 4 accounts are still not compliant at the cutoff." in text


def test_the_action_list_is_the_table_s_and_in_its_order(html: Any, chronicle: FrameChronicle) -> None:
    text = html(chronicle)
    body = text[text.index('<table id="list">') :]
    names = re.findall(r"<tr><td>(?:true|false)</td><td>[^<]*</td><td>([^<]*)</td>", body)
    assert names == ["ann", "bob", "leo", "&#39;@SUM(1+9)*cmd", "jon", "kim"]
    assert re.findall(r"<td>(no|yes|unknown)</td><td class=\"number\">", body) == ["no", "yes", *["unknown"] * 4]


def test_beyond_its_limit_the_action_list_points_to_the_file(html: Any, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "LISTED", 2)
    text = html(told())
    assert "The first 2 of 6 accounts are listed here; all of them are in action-list.csv." in text
    assert "bob@example.com" in text
    assert "eve@example.com" not in text


def test_many_departments_end_in_a_note(html: Any, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "DEPARTMENTS", 1)
    text = html(told())
    assert "4 more departments are in summary.csv." in text


def test_a_campaign_without_accounts_or_runs_has_a_page_too(html: Any, told: Told) -> None:
    class Nothing(FrameChronicle):
        def days(self) -> list[Any]:
            return []

    text = html(Nothing(RUN, None, EVIDENCE_AT, records=(), mail=()))
    assert "There is no run to draw yet." in text
    assert "Nobody: every account in scope is compliant." in text
    assert Reader(text).open == []


def test_the_page_tells_the_same_action_list_as_the_csv(told: Told, tmp_path: Path) -> None:
    found = evidence.write(told(), ReportsSettings(dir=tmp_path / "reports", formats=("csv", "html")), SUMMARY)
    assert found is not None
    with (found.folder / "action-list.csv").open(encoding="utf-8", newline="") as file:
        listed = [[row[name] for name in page.SHOWN] for row in csv.DictReader(file)]
    text = (found.folder / "report.html").read_text(encoding="utf-8")
    reader = Reader(text[text.index('<table id="list">') : text.index("</table>", text.index('<table id="list">'))] + "</table>")
    assert reader.texts["td"] == [cell for row in listed for cell in row if cell]
