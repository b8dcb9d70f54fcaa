import base64
import csv
import hashlib
import html as html_of
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report.conftest import EVIDENCE_AT, RUN, SUMMARY, FrameChronicle, record

from migrate.report import actions, evidence, page
from migrate.report.chronicle import Day
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
            self.open.append("data" if ("type", "application/json") in attrs else tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().replace("data", "script") == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


def slow(told: Told) -> FrameChronicle:
    """A campaign of which a person or two a day moves, and most will not have at the cutoff."""

    class Slow(FrameChronicle):
        def days(self) -> list[Day]:
            dates = [date(2023, 12, 4) + timedelta(days=n) for n in range(30)]
            return [Day(on, {"sms_only": 200 - n, "migrated": 100 + n}) for n, on in enumerate(dates) if on.weekday() < 5]

    return Slow(**{name: getattr(told(), name) for name in ("run", "records", "mail")})


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


def data_of(text: str) -> dict[str, Any]:
    """What the page's script reads."""
    return dict(json.loads("".join(Reader(text).texts["data"])))


def column(found: dict[str, Any]) -> list[str]:
    return [found["values"][n] for n in found["at"]] if "at" in found else list(found["values"])


def said(text: str, id_: str) -> str:
    """The words of an element, in one line."""
    found = re.search(rf'<(\w+)[^>]* id="{id_}"[^>]*>(.*?)</\1>', text, re.DOTALL)
    assert found, id_
    return " ".join(re.sub(r"<[^>]+>", "", found[2]).split())


def test_the_figures_count_those_in_scope_and_say_what_they_were_a_week_ago(html: Any, chronicle: FrameChronicle) -> None:
    text = html(chronicle)
    assert [said(text, f"figure-{name}") for name in ("open", "done", "rest", "unreached")] == ["6", "2", "3", "2"]
    assert "−1 in a week" in text and said(text, "not-certain") == "1"
    assert "25.0 % of those in scope have moved" in text


def test_where_everybody_compliant_is_certain_nothing_is_said_of_it(html: Any, told: Told) -> None:
    assert "not certain" not in html(told(records=(record("ann"), record("cat", "migrated"), record("kim", "unknown")), mail=()))


def test_with_three_run_days_it_is_too_early_to_say_and_nothing_is_drawn(html: Any, chronicle: FrameChronicle) -> None:
    text = html(chronicle)
    assert said(text, "verdict") == ("Too early to say: 3 run days seen, a forecast needs 5. 6 people must still move by 1 Feb 2024.")
    assert "30 days to the cutoff on 1 Feb 2024 (America/Los_Angeles)." in " ".join(text.split())
    assert said(text, "expected") == "3 run days so far; a drawing needs 6. 6 must still move, 9 on 1 Dec 2023."
    assert '<svg class="chart' not in text


def test_no_is_said_when_it_is_no_with_the_pace_of_late_and_the_pace_needed(html: Any, told: Told) -> None:
    text = html(slow(told))
    assert re.fullmatch(r"No: about \d+ people \(\d+ to \d+\) will not have moved on 1 Feb 2024\.", said(text, "verdict"))
    assert re.match(r"It takes 5\.\d people a day from now on; the last two weeks brought 1\.\d\.", said(text, "because"))
    assert (
        said(text, "do")
        == "First: 1 person can register nothing that stays. Change the policy that stops them; no letter helps them before."
    )
    assert text.count('<svg class="chart') == 2 and 'class="band"' in text


def test_who_is_hurt_adds_up_to_those_who_must_still_move(html: Any, chronicle: FrameChronicle) -> None:
    text = html(chronicle)
    table = text[text.index('id="hurt"') : text.index('id="moved"')]
    rows = re.findall(r'<th scope="row">.*?<code>(\w+)</code></th><td class="number">(\d+)</td><td class="number">(\d+)</td>', table)
    assert rows == [("no_destination", "1", "0"), ("loses_second_step", "2", "0"), ("unaffected_but_surprised", "1", "1"),
                    ("unknown", "1", "0"), ("unaffected", "1", "0")]  # fmt: skip
    assert "They add up to the 6 who must still move." in table
    assert re.findall(r"<b>([^<]*)</b>", table) == ["Bob"]


def test_from_the_cutoff_on_the_past_is_spoken_of(html: Any, told: Told) -> None:
    after = replace(RUN, as_of=datetime(2024, 2, 3, 14, tzinfo=UTC))
    back = record("cat", "migrated", at_cutoff="loses_second_step")
    text = html(told(run=after, records=(record("ann"), back, record("dan", "sms_fallback")), mail=()))
    assert said(text, "verdict") == (
        "On 1 Feb 2024, 2 days ago, the cutoff took text messages from 2 people who had nothing else; "
        "1 of them has not come back to a second step."
    )
    assert "Who was hurt on the cutoff day" in text and "lost their second step" in text and "lost the second step" in text
    assert "will " not in re.sub(r"<s(cript|tyle).*?</s(cript|tyle)>", "", text, flags=re.DOTALL)


def test_why_the_number_moved_is_a_sum_that_adds_up(html: Any, chronicle: FrameChronicle) -> None:
    text = html(chronicle)
    part = text[text.index('id="moved"') : text.index('id="burndown"')]
    sums = re.findall(r'<p class="note">(\d+)((?: [+−] \d+)*) = (\d+)\.', part)
    assert sums
    for start, steps, end in sums:
        assert int(start) + sum(int(step.replace("− ", "-").replace("+ ", "")) for step in re.findall(r"[+−] \d+", steps)) == int(end) == 6


def test_exceptions_stand_with_their_last_day_what_ends_next_first(html: Any, chronicle: FrameChronicle) -> None:
    text = html(chronicle)
    part = " ".join(text[text.index('id="exceptions"') : text.index('id="limits"')].split())
    assert part.index("Gil") < part.index("Ann") < part.index("Pauses of mail") < part.index("9 Jan 2024 <b>in 7 days</b>")
    assert "1 Jan 2024 <b>ended</b>" in part


def test_whom_mail_does_not_reach_is_named_with_the_reason(html: Any, chronicle: FrameChronicle) -> None:
    text = html(chronicle)
    part = " ".join(text[text.index("Who cannot be reached") : text.index('id="exceptions"')].split())
    assert '<b>Jon</b> <span class="note">jon · Sales · no address in the directory</span>' in part
    assert "leo · Ärzte · the mail server called the address dead" in part


def test_the_list_holds_the_action_list_and_a_browser_without_scripts_sees_its_first_rows(html: Any, told: Told, tmp_path: Path) -> None:
    found = evidence.write(told(), ReportsSettings(dir=tmp_path / "both", formats=("csv", "html")), SUMMARY)
    assert found is not None
    with (found.folder / "action-list.csv").open(encoding="utf-8", newline="") as file:
        names, *rows = list(csv.reader(file))
    text = (found.folder / "report.html").read_text(encoding="utf-8")
    data = data_of(text)
    assert data["file"]["names"] == names
    assert [list(row) for row in zip(*map(column, data["file"]["columns"]), strict=True)] == rows
    assert column(data["shown"]["who"]) == [row[3] for row in rows]
    assert column(data["shown"]["wrong"])[0] == "text messages only; may register nothing that stays"
    body = text[text.index('<table id="list">') :]
    assert [html_of.unescape(each) for each in re.findall(r'<th scope="row">([^<]*) <span', body)] == column(data["shown"]["who"])


def test_what_makes_the_numbers_weaker_is_repeated(html: Any, told: Told) -> None:
    example = {"position": 7, "account_id": "u7", "rejection": "no account_id"}
    counts = {
        "caveats": ["a lower <bound>"],
        "unknown_words": {"YubiOTP legacy": 3},
        "rejections": [{"reason": "no account_id", "rows": 2, "example": example}],
        "advice": ["Say what kiosk means."],
    }
    text = " ".join(html(told(run=replace(RUN, counts=counts))).split())
    assert "at least 6 people" in text.lower()
    assert "<li>a lower &lt;bound&gt;.</li>" in text and "YubiOTP legacy (3)." in text and "Say what kiosk means." in text
    assert "<li>2 rows: no account_id. Such as row 7 (u7)</li>" in text


def test_beyond_its_limit_the_list_points_to_the_file(html: Any, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "LISTED", 2)
    text = html(told())
    assert "The first 2 of 6 are listed here; all of them are in action-list.csv." in text
    assert "bob@example.com" in text and "eve@example.com" not in text


def test_many_departments_end_in_a_note(html: Any, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "DEPARTMENTS", 1)
    assert "4 more departments are in summary.csv." in html(told())


def test_text_in_the_list_cannot_end_its_element(html: Any, told: Told) -> None:
    text = html(told(records=(record("ann", department="</script><!--"),), mail=()))
    assert column(data_of(text)["shown"]["department"]) == ["</script><!--"]


def test_a_campaign_without_accounts_or_runs_has_a_page_too(html: Any, told: Told) -> None:
    class Nothing(FrameChronicle):
        def days(self) -> list[Any]:
            return []

    text = html(Nothing(RUN, None, EVIDENCE_AT, records=(), mail=()))
    assert "There is no run to draw yet." in text
    assert "Nobody: everybody in scope has moved." in text
    assert Reader(text).open == []
