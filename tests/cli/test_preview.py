"""`migrate preview`: what a mail looks like; nothing is sent or stored."""

from __future__ import annotations

import stat
import webbrowser
from pathlib import Path

import pytest
from campaigns import Campaign

from migrate.cli import main
from migrate.core.kinds import KINDS


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return Campaign(tmp_path)


def preview(campaign: Campaign, *arguments: str) -> int:
    return main(["--config", str(campaign.path), "preview", *arguments])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_subject_and_a_text(kind: str, campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert preview(campaign, kind) == 0
    to, subject, blank, text, *_ = capsys.readouterr().out.splitlines()
    assert to == "To: maria.santos@example.com"
    assert subject.startswith("Subject: ")
    assert (blank, text) == ("", "Hello Maria,")
    assert sorted(path.name for path in campaign.folder.iterdir()) == ["config.toml"]


def test_a_misspelt_kind_names_the_near_ones(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert preview(campaign, "remider") == 2
    assert "Did you mean reminder or final_reminder?" in capsys.readouterr().err
    assert preview(campaign, "xyz") == 2
    assert "There are announcement, reminder, " in capsys.readouterr().err


def test_each_change_has_its_own_confirmation(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert preview(campaign, "change_confirmation", "--change", "two_step_disabled") == 0
    assert "was turned off" in capsys.readouterr().out.splitlines()[1]
    assert preview(campaign, "change_confirmation", "--change", "gone") == 2
    assert "sms_removed, two_step_disabled" in capsys.readouterr().err
    assert preview(campaign, "reminder", "--change", "sms_removed") == 2


def test_the_page_and_the_headers_are_printed_on_request(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert preview(campaign, "reminder", "--html") == 0
    assert capsys.readouterr().out.lower().startswith("<!doctype html>")
    assert preview(campaign, "reminder", "--headers") == 0
    headers = capsys.readouterr().out
    assert "X-Migrate-Kind: reminder\n" in headers
    assert "Hello" not in headers
    assert preview(campaign, "reminder", "--headers", "--html") == 2


def test_a_language_sets_the_form_of_dates_and_says_if_it_has_no_text(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert preview(campaign, "reminder", "--language", "en-US") == 0
    captured = capsys.readouterr()
    assert "Wednesday, January 31, 2024" in captured.out
    assert captured.err == ""
    assert preview(campaign, "reminder", "--language", "tlh") == 0
    assert "There are no texts for 'tlh'" in capsys.readouterr().err


def test_the_browser_gets_a_file_that_only_its_owner_may_read(
    campaign: Campaign, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(webbrowser, "open", lambda url: bool(opened.append(url)))
    assert preview(campaign, "reminder", "--open") == 0
    name, advice = capsys.readouterr().out.splitlines()
    path = Path(name)
    assert opened == [path.as_uri()]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "text messages" in path.read_text(encoding="utf-8")
    assert advice == f"No browser could be started here: open {path} yourself."


def test_a_real_account_takes_the_samples_place(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    campaign.person("ann", display_name="Ann Archer")
    campaign.person("eve", email="")
    campaign.run("2024-01-02 14:00")
    assert preview(campaign, "change_confirmation", "--account", "ann") == 2
    assert "account ann has had no such change." in capsys.readouterr().err
    campaign.person("ann", "totp")
    campaign.run("2024-01-03 14:00")
    before = campaign.ledger.read_bytes()
    assert preview(campaign, "change_confirmation", "--account", "ann") == 0
    out = capsys.readouterr().out
    assert out.startswith("To: ann@example.com\n")
    assert "Hello Ann Archer," in out
    assert "Wednesday, 3 January 2024" in out
    assert "Removed: text message (SMS)" in out
    assert preview(campaign, "change_confirmation", "--account", "ann", "--change", "sms_removed") == 2
    assert preview(campaign, "reminder", "--account", "eve") == 2
    assert "account eve has no address." in capsys.readouterr().err
    assert campaign.ledger.read_bytes() == before
