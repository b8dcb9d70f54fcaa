"""What a hint names can be typed as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns import Campaign

from migrate.config import load
from migrate.config.commands import command, typed


@pytest.mark.parametrize(
    ("path", "shown"),
    [("reports/dry-run-2024-01-02", "reports/dry-run-2024-01-02"), ("my reports/d", "'my reports/d'"), ("../elsewhere", "../elsewhere")],
)
def test_a_path_is_shown_as_it_is_typed_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, shown: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert typed(Path(path)) == shown
    if not path.startswith(".."):
        assert typed(tmp_path / path) == shown


def test_a_path_that_is_not_below_is_shown_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert typed(tmp_path / "there") == str(tmp_path / "there")


def test_a_command_names_the_configuration_only_where_it_would_not_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my campaign").mkdir()
    Campaign(tmp_path / "my campaign")
    config = load(tmp_path / "my campaign" / "config.toml")
    monkeypatch.chdir(tmp_path)
    assert command(config, "run") == "`migrate --config 'my campaign/config.toml' run`"
    monkeypatch.setenv("MIGRATE_CONFIG", "my campaign/config.toml")
    assert command(config, "run") == "`migrate run`"
    monkeypatch.setenv("MIGRATE_CONFIG", "")
    monkeypatch.chdir(tmp_path / "my campaign")
    assert command(config, "run") == "`migrate run`"
    monkeypatch.chdir("/")
    assert command(config, "run").startswith(f"`migrate --config '{str(tmp_path)[1:]}/my campaign/config.toml'")
