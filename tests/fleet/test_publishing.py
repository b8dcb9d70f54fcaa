"""The roll-up as a table and a page: order, sums, and what somebody else wrote."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import stat
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hostile.readers import in_browser
from report.test_page import Reader

from migrate.core.standing import STANDINGS
from migrate.errors import ReportError
from migrate.fleet.figures import Figures
from migrate.fleet.publishing import DATA, PAGE, TABLE, page, publish, table
from migrate.fleet.rollup import COLUMNS, Rollup, Row, rolled_up
from migrate.fleet.states import STATES

AT = datetime(2026, 11, 29, 6, 3, tzinfo=UTC)
HOSTILE = '=cmd|calc!A1</td><script>alert(1)</script><img src="http://evil.example.com/x">\u202e'


def figures(**other: object) -> Figures:
    standing = {"migrated": 30, "sms_fallback": 10, "sms_only": 50, "unknown": 10, "exempt": 3, "inactive": 7}
    made = Figures(
        organization="Contoso Ltd", campaign="sms", days_to_cutoff=64, run_id="r00001", as_of=AT, completed=True,
        read_at=datetime(2026, 11, 29, 5, 59, tzinfo=UTC), stale=False, accounts=110, standing=standing, compliant=40, not_compliant=60,
        out_of_scope=10, not_certain=2, at_cutoff=50, without_destination=4, notified=55, unreachable=6, moved=7, held=0,
        caveats=("the report is up to 36 hours behind",),
    )  # fmt: skip
    return replace(made, **other)  # type: ignore[arg-type]


def row(tenant: str, state: str = "ok", *, assessed: bool = True, said: str = "2 sent", **other: object) -> Row:
    return Row(tenant, state, {"ok": 0, "held": 4, "partial": 5, "busy": 75}.get(state, 3), said, figures(**other), assessed)


@pytest.fixture
def rollup() -> Rollup:
    return rolled_up(
        "fleet.toml",
        "run",
        AT,
        [
            row("adatum"),
            row("fabrikam", without_destination=9),
            row("litware", "busy"),
            row("northwind", "partial", said="1 sent, 1 failed"),
            row("contoso", "not_consented", assessed=False, said="grant it", accounts=5000, compliant=5000),
            Row("broken", "failed", 2, "is no TOML"),
            row("woodgrove", "held", said="more than max_messages"),
            row("zoo", "unreachable", assessed=False),
            row("proseware", "no_licence", assessed=False),
        ],
    )


def rows(rollup: Rollup) -> dict[str, dict[str, str]]:
    return {each["tenant"]: each for each in csv.DictReader(io.StringIO(table(rollup).decode()))}


def test_what_needs_a_person_stands_first(rollup: Rollup) -> None:
    assert list(rows(rollup)) == [
        "broken", "contoso", "proseware", "woodgrove", "zoo", "northwind", "litware", "fabrikam", "adatum",
    ]  # fmt: skip
    assert rollup.states == {
        "failed": 1, "not_consented": 1, "no_licence": 1, "held": 1, "unreachable": 1, "partial": 1, "busy": 1, "ok": 2,
    }  # fmt: skip


def test_a_tenant_has_a_column_a_standing_and_its_counts(rollup: Rollup) -> None:
    found = rows(rollup)["fabrikam"]
    assert list(found) == list(COLUMNS)
    assert set(STANDINGS) <= set(COLUMNS)
    assert found == {
        "tenant": "fabrikam", "state": "ok", "assessed": "true", "read_at": "2026-11-29T05:59:00Z", "accounts": "110", "inactive": "7",
        "exempt_sso": "0", "exempt": "3", "migrated": "30", "sms_fallback": "10", "sms_default": "0", "sms_only": "50", "unknown": "10",
        "no_second_step": "0", "compliant": "40", "not_compliant": "60", "out_of_scope": "10", "not_certain": "2", "share_compliant": "0.4",
        "at_cutoff": "50", "without_destination": "9", "notified": "55", "unreachable": "6", "moved": "7",
        "caveats": "the report is up to 36 hours behind", "days_to_cutoff": "64", "organization": "Contoso Ltd", "said": "2 sent",
    }  # fmt: skip


def test_a_tenant_that_was_not_assessed_has_no_number_and_counts_in_no_sum(rollup: Rollup) -> None:
    found = rows(rollup)["contoso"]
    told = {"tenant", "state", "assessed", "read_at", "days_to_cutoff", "organization", "said"}
    assert {name for name, value in found.items() if value} == told
    totals = rollup.totals
    assert (totals.tenants, totals.assessed, totals.accounts) == (9, 5, 550)
    assert totals.share == 0.4
    assert sum(int(each["accounts"] or 0) for each in rows(rollup).values()) == totals.accounts


def test_where_nobody_was_assessed_there_is_no_percentage(rollup: Rollup) -> None:
    nobody = rolled_up("fleet.toml", "run", AT, [each for each in rollup.rows if not each.assessed])
    assert nobody.totals.share is None
    text = page(nobody).decode()
    assert '<dd id="share">–</dd>' in text
    assert "No tenant was assessed." in text
    assert not re.search(r"\d %", text)


def test_the_page_tells_the_sums_of_those_that_were_assessed(rollup: Rollup) -> None:
    text = " ".join(page(rollup).decode().split())
    assert "9 tenants, 5 assessed" in text
    assert "6 need a person. In those that were assessed 300 accounts must still move. The next cutoff is in 64 days." in text
    assert '<dd id="share">40.0 %</dd>' in text
    assert "Without numbers, since not assessed: broken, contoso, proseware, zoo." in text
    assert "5,000" not in text


def test_what_an_organisation_wrote_is_neither_markup_nor_a_formula() -> None:
    hostile = row(HOSTILE, "held", said=HOSTILE, organization=HOSTILE, caveats=(HOSTILE,))
    found = rolled_up(HOSTILE, "run", AT, [hostile])
    [cells] = rows(found).values()
    for name in ("tenant", "said", "organization", "caveats"):
        assert cells[name].startswith("'=cmd"), name
        assert "\u202e" not in cells[name]
    reader = Reader(page(found).decode())
    assert reader.open == []
    assert {tag for tag, _, _ in reader.attributes} & {"img", "script"} == set()
    assert "\u202e" not in page(found).decode()
    assert json.loads(json.dumps(found.facts(), default=str))["tenants"][0]["tenant"] == HOSTILE


def test_the_page_is_well_formed_refers_to_nothing_and_allows_its_own_style_alone(rollup: Rollup) -> None:
    reader = Reader(page(rollup).decode())
    assert reader.open == []
    assert not [name for _, name, _ in reader.attributes if name in {"src", "href", "action", "srcset", "style"} or name.startswith("on")]
    style = "".join(reader.texts["style"])
    assert "url(" not in style and "@import" not in style
    [policy] = [value for tag, name, value in reader.attributes if name == "content" and value.startswith("default-src")]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert all(f".{state}" in style for state in STATES)


@pytest.mark.parametrize("width", [360, 1600])
def test_in_a_browser_the_page_fits_and_asks_for_nothing(rollup: Rollup, tmp_path: Path, width: int) -> None:
    long = row("a-tenant-with-a-name-that-is-rather-long-for-a-column-of-a-table", said="https://login.example.com/" + "x" * 120)
    text = page(rolled_up("fleet.toml", "run", AT, [*rollup.rows, long, row("hostile", organization=HOSTILE)])).decode()
    (tmp_path / "page.html").write_text(text)
    _, asked = in_browser(tmp_path / "page.html", tmp_path / "profile")
    assert asked == []
    # A copy without its policy, so that a script can measure it from within; in a frame, for no window is as narrow as a telephone.
    measuring = "<script>onload = () => parent.postMessage(`${innerWidth} ${document.documentElement.scrollWidth}`, '*')</script>"
    copy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text).replace("</head>", f"{measuring}</head>")
    (tmp_path / "copy.html").write_text(copy)
    heard = "<script>onmessage = told => document.title = told.data</script>"
    frame = f'<!DOCTYPE html><title></title>{heard}<iframe src="copy.html" width="{width}" height="900" frameborder="0"></iframe>'
    (tmp_path / "frame.html").write_text(frame)
    dom, _ = in_browser(tmp_path / "frame.html", tmp_path / "profile")
    [(window, wide)] = re.findall(r"<title>(\d+) (\d+)</title>", dom)
    assert (int(window), int(wide) <= width) == (width, True), wide


def test_files_are_private_and_a_roll_up_takes_the_place_of_the_last_one(rollup: Rollup, tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    publish(rollup, folder)
    (folder / "mine.txt").write_text("mine")
    first = (folder / PAGE).read_text()
    publish(rolled_up("fleet.toml", "report", AT, rollup.rows[:1]), folder)
    assert (folder / PAGE).read_text() != first
    assert sorted(path.name for path in folder.iterdir()) == [TABLE, PAGE, DATA, "mine.txt"]
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in (TABLE, PAGE, DATA)} == {0o600}
    told = json.loads((folder / DATA).read_text())
    assert (told["command"], told["at"], len(told["tenants"])) == ("report", "2026-11-29T06:03:00Z", 1)


@pytest.mark.parametrize("name", [TABLE, PAGE, DATA])
def test_somebody_else_s_file_is_not_replaced_and_then_none_is(rollup: Rollup, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("tenants of my own\n")
    with pytest.raises(ReportError, match=f"{name} is another file, and is not replaced"):
        publish(rollup, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "tenants of my own\n"


def test_a_folder_that_cannot_be_written_says_what_to_type_then(rollup: Rollup, tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("")
    with pytest.raises(ReportError, match=r"cannot be written .* Then type `migrate fleet report`\."):
        publish(rollup, tmp_path / "reports")
