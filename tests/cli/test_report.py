"""`migrate report`: a past run's reports, from the ledger alone."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import pytest
import sqlalchemy as sa
from campaigns import Campaign

from migrate.cli import main
from migrate.ledger import schema
from migrate.ledger.engine import Ledger


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Runs on 2, 3 (twice) and 12 January, evidence as CSV; the third moved a person, and one of them left."""
    made = Campaign(tmp_path_factory.mktemp("lived"))
    made.edit("formats = []", 'formats = ["csv"]')
    made.person("ann")
    made.person("bob", phone="+15550100042")
    made.run("2024-01-02 14:00")
    made.run("2024-01-03 14:00")
    made.person("ann", "totp")
    made.run("2024-01-04 07:59")
    made.leaves("bob")
    made.run("2024-01-12 14:00")
    return made


@pytest.fixture
def campaign(lived: Campaign, tmp_path: Path) -> Campaign:
    return lived.copy(tmp_path / "campaign")


def report(campaign: Campaign, *arguments: str) -> int:
    return main(["--config", str(campaign.path), "report", *arguments])


def evidence(campaign: Campaign, run_id: str) -> Path:
    (found,) = (campaign.folder / "reports").glob(f"*-{run_id}")
    return found


@pytest.mark.parametrize(
    ("arguments", "run_id"),
    [
        ((), "r00004"),
        (("--as-of", "2024-01-02"), "r00001"),
        (("--as-of", "2024-01-03"), "r00003"),
        (("--as-of", "2024-01-03T00:30"), "r00003"),
    ],
)
def test_the_last_run_of_the_day_is_rebuilt_byte_for_byte(
    arguments: tuple[str, ...], run_id: str, campaign: Campaign, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    assert report(campaign, "--out", str(out), *arguments) == 0
    original = evidence(campaign, run_id)
    assert {path.name for path in out.iterdir()} == {path.name for path in original.iterdir()}
    for path in original.glob("*.csv"):
        assert (out / path.name).read_bytes() == path.read_bytes()


def test_the_summary_is_what_the_run_printed(campaign: Campaign, tmp_path: Path) -> None:
    for run_id, day in (("r00001", "2024-01-02"), ("r00003", "2024-01-03"), ("r00004", "2024-01-12")):
        out = tmp_path / run_id
        assert report(campaign, "--as-of", day, "--out", str(out)) == 0
        said, original = (json.loads((folder / "summary.json").read_text()) for folder in (out, evidence(campaign, run_id)))
        assert said | {"evidence": None} == original | {"evidence": None}
        assert said["evidence"] == str(out)


def test_rebuilt_reports_stand_beside_the_others_and_are_not_the_latest(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(campaign, "--as-of", "2024-01-02", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["run_id"] == "r00001"
    assert told["evidence"] == str(campaign.folder / "reports" / "2024-01-02-r00001-2")
    assert told["rows"]["accounts"] == 2
    assert (campaign.folder / "reports" / "latest").resolve().name == "2024-01-12-r00004"


def test_formats_are_chosen_for_the_occasion(campaign: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "page"
    assert report(campaign, "--format", "html", "--format", "html", "--out", str(out)) == 0
    assert {path.name for path in out.iterdir()} == {"SHA256SUMS", "manifest.json", "report.html", "summary.json"}
    assert capsys.readouterr().out == f"Reports of run r00004 as of 2024-01-12 06:00 PST: {out}\n"
    assert report(campaign, "--format", "pdf") == 2
    assert "'pdf' is no format. There are csv, html, xlsx, parquet, helpdesk." in capsys.readouterr().err


def test_the_page_is_opened_in_the_browser(
    campaign: Campaign, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: bool(opened.append(url)))
    assert report(campaign, "--format", "html", "--out", str(tmp_path / "page"), "--open") == 0
    page = tmp_path / "page" / "report.html"
    assert opened == [page.as_uri()]
    assert f"No browser could be started here: open {page} yourself." in capsys.readouterr().out
    assert report(campaign, "--format", "csv", "--out", str(tmp_path / "csv"), "--open") == 2
    assert "--open: needs report.html, and html is not among the formats." in capsys.readouterr().err


def test_a_day_without_a_run_names_the_nearest_earlier_one(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert report(campaign, "--as-of", "2024-01-11") == 2
    assert "the nearest earlier day with one is 2024-01-03. Type `migrate report --as-of 2024-01-03`." in capsys.readouterr().err
    assert report(campaign, "--as-of", "2024-01-01") == 2
    assert "nor on any day before" in capsys.readouterr().err


def test_evidence_is_never_written_over(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    original = evidence(campaign, "r00001")
    before = {path.name: path.read_bytes() for path in original.iterdir()}
    assert report(campaign, "--as-of", "2024-01-02", "--out", str(original)) == 2
    assert "is not empty" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in original.iterdir()} == before


def test_the_ledger_is_only_read(campaign: Campaign, tmp_path: Path) -> None:
    before = campaign.ledger.read_bytes()
    assert report(campaign, "--out", str(tmp_path / "out")) == 0
    assert campaign.ledger.read_bytes() == before


def test_without_a_run_or_a_format_there_is_nothing_to_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fresh = Campaign(tmp_path)
    assert report(fresh) == 2
    assert "Type `migrate report --format csv`" in capsys.readouterr().err
    assert report(fresh, "--format", "csv") == 2
    assert "has no completed run" in capsys.readouterr().err


def test_the_last_run_is_completed_if_it_was_not(campaign: Campaign, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Ledger.open(campaign.config.ledger, create=False) as ledger, ledger.begin() as connection:
        connection.execute(sa.update(schema.run).where(schema.run.c.seq == 4).values(state="recorded", evidence_at=None))
    assert report(campaign, "--out", str(tmp_path / "out")) == 0
    out = capsys.readouterr().out
    assert out.startswith("Run r00004 had ended before its reports were written")
    assert "\nReports of run r00004 " in out
