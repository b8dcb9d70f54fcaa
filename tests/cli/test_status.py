"""`migrate status`: what it prints, and for whom."""

from __future__ import annotations

import io
import json
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from campaigns import Campaign

from migrate.cli import main
from migrate.cli.status import _bar, _chart, _share
from migrate.ledger import schema
from migrate.report.burndown import Point
from migrate.status import Parts


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Two runs: of four accounts one is exempt and one has migrated between them."""
    made = Campaign(tmp_path_factory.mktemp("lived"))
    made.person("ann")
    made.person("bob")
    made.person("cat", "sms,totp", default_method="sms")
    made.person("dan", "sms", federated="yes")
    made.run("2024-01-02 14:00")
    made.person("ann", "totp")
    made.run("2024-01-12 14:00")
    return made


@pytest.fixture
def campaign(lived: Campaign, tmp_path: Path) -> Campaign:
    return lived.copy(tmp_path / "campaign")


def shown(campaign: Campaign, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["--config", str(campaign.path), "status", "--as-of", "2024-01-12T12:00", *options]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_elsewhere_than_on_a_terminal_it_is_plain_numbers(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(campaign, capsys)
    assert "text messages work until the end of Wednesday, 31 January 2024 (Pacific Standard Time, UTC-08:00); 20 days left." in out
    assert "Stage now: T-30 (reminder) since 2024-01-02. Next: T-14 (reminder) on 2024-01-18." in out
    assert "compliant           1  25.0%\nnot compliant       2  50.0%\nout of scope        1  25.0%\n" in out
    assert "2024-01-02              3\n2024-01-12              2\n" in out
    assert "Forecast for the cutoff, along a straight line: 0 not compliant, none from 2024-02-01 on." in out
    assert "Letters: 0 queued, 0 sending, 4 sent, 0 failed, 0 uncertain, 0 withdrawn." in out
    assert not set(out) & set("█░·\x1b")


def test_it_says_how_many_compliant_accounts_are_not_certain(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert "not certain" not in shown(campaign, capsys)
    campaign.person("ann", "totp,other")
    campaign.person("eve", "push")
    campaign.run("2024-01-12 15:00")
    assert "Compliant: 2, of which 1 not certain (a second step nobody knows by name).\n" in shown(campaign, capsys)


def test_on_a_terminal_there_are_bars(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", screen)
    assert main(["--config", str(campaign.path), "status"]) == 0
    assert "█" * 12 + "░" * 26 + "·" * 12 in screen.getvalue()
    assert "2024-01-12  " + "█" * 33 + " 2" in screen.getvalue()


@pytest.mark.parametrize("parts", [Parts(1, 1, 1), Parts(0, 0, 1), Parts(999, 1, 0), Parts(2, 3, 9)])
def test_the_bar_is_always_of_one_length(parts: Parts) -> None:
    assert len(_bar(parts)) == 50


def test_a_long_burn_down_keeps_its_ends_and_a_height_a_terminal_has() -> None:
    points = [Point(date(2024, 1, 1) + timedelta(days=n), 0) for n in range(100)]
    lines = _chart(points)
    assert len(lines) == 14
    assert (lines[0][:10], lines[-1][:10]) == ("2024-01-01", "2024-04-09")


def test_nothing_has_no_share() -> None:
    assert _share(0, 0) == "–"
    assert _share(1, 4) == "25.0%"


def test_before_the_first_run_it_says_so_and_exits_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(Campaign(tmp_path), capsys)
    assert "There has been no run yet." in out
    assert not (tmp_path / "migrate.db").exists()


def test_the_one_json_object_has_the_same_facts(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(shown(campaign, capsys, "--json"))
    assert told["accounts"] == {"compliant": 1, "not_compliant": 2, "out_of_scope": 1, "not_certain": 0, "total": 4}
    assert told["stage"] == {"name": "T-30", "kind": "reminder", "on": "2024-01-02"}
    assert told["next_stage"]["name"] == "T-14"
    assert told["burn_down"] == [{"on": "2024-01-02", "count": 3}, {"on": "2024-01-12", "count": 2}]
    assert told["last_run"]["run_id"] == "r00002"
    assert told["cutoff"] == "2024-02-01T08:00:00Z"


def test_what_needs_a_person_is_said(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    campaign.grant(schema.exemption, "bob", "2024-01-11")
    campaign.grant(schema.exemption, "cat", "2024-01-13")
    campaign.person("bob", "totp", email="")
    campaign.run("2024-01-12 16:00")
    out = shown(campaign, capsys)
    assert "The exemption of bob ended on 2024-01-11; ask ciso.\n" in out
    assert "The exemption of cat ends on 2024-01-13 (1 day left); ask ciso.\n" in out


def test_after_the_cutoff_it_speaks_of_the_past(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(campaign.path), "status", "--as-of", "2024-02-02"]) == 0
    out = capsys.readouterr().out
    assert "text messages worked until" in out
    assert "the cutoff was 1 day ago" in out
    assert "Forecast" not in out


def test_a_bad_instant_is_one_sentence(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(campaign.path), "status", "--as-of", "tomorrow"]) == 2
    assert capsys.readouterr().err.startswith("Error: --as-of: 'tomorrow' is no instant.")
