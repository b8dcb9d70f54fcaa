"""`migrate init`: a start, and never a loss."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migrate.cli import main
from migrate.config import load
from migrate.mail.compose import Composer
from migrate.resources import resource


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_writes_the_example_for_its_owner_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    config = here / "config.toml"
    assert config.read_bytes() == resource("config.example.toml").read_bytes()
    assert config.stat().st_mode & 0o777 == 0o600
    assert capsys.readouterr().out.endswith("then type `migrate check`.\n")
    assert [path.name for path in here.iterdir()] == ["config.toml"]


def test_what_it_writes_can_be_loaded() -> None:
    main(["init"])
    assert load(Path("config.toml")).campaign.name == "sms-retirement"


@pytest.mark.parametrize("arguments", [["init"], ["init", "--templates"]])
def test_it_never_overwrites_a_configuration(here: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (here / "config.toml").write_text("mine")
    code = main(arguments)
    assert (here / "config.toml").read_text() == "mine"
    assert code == (0 if "--templates" in arguments else 2)
    captured = capsys.readouterr()
    assert "config.toml" in captured.out + captured.err
    assert "left as it is" in captured.out + captured.err


def test_a_dangling_link_is_something_that_is_there(here: Path) -> None:
    (here / "config.toml").symlink_to(here / "elsewhere")
    assert main(["init"]) == 2
    assert not (here / "elsewhere").exists()


def test_it_never_overwrites_templates_and_then_writes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "templates").mkdir()
    assert main(["init", "--templates"]) == 2
    assert "templates is there already" in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["templates"]


def test_the_templates_it_copies_compose_every_letter(here: Path) -> None:
    assert main(["init", "--templates"]) == 0
    config = here / "config.toml"
    config.write_text(config.read_text(encoding="utf-8").replace('# templates = "templates"', 'templates = "templates"'), encoding="utf-8")
    loaded = load(config)
    assert loaded.mail.templates == here / "templates"
    assert len(list(Composer(loaded.mail, loaded.campaign).try_all())) > 5


def test_a_folder_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "no/such/config.toml", "init"]) == 2
    assert capsys.readouterr().err == "Error: no/such/config.toml: cannot be written: No such file or directory.\n"


def test_another_place_is_told_in_the_next_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "other.toml", "init"]) == 0
    assert "`migrate --config other.toml check`" in capsys.readouterr().out
    assert (here / "other.toml").exists()


def test_the_environment_names_the_place(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MIGRATE_CONFIG", "named.toml")
    assert main(["init"]) == 0
    assert (here / "named.toml").exists()
    assert "`migrate check`" in capsys.readouterr().out


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"written": ["config.toml"], "kept": []}
