"""docs/entra.md says what is so: its configuration loads, and its permissions are those that are asked for."""

from __future__ import annotations

import re
from pathlib import Path

from migrate.config import load
from migrate.directory.entra import people, permissions

GUIDE = (Path(__file__).parents[2] / "docs" / "entra.md").read_text(encoding="utf-8")


def test_its_configuration_loads(tmp_path: Path) -> None:
    [block] = re.findall(r"^```toml\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)
    (tmp_path / "config.toml").write_text(block, encoding="utf-8")
    (tmp_path / "entra.pem").write_text("-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n")
    config = load(tmp_path / "config.toml")
    assert config.directory.kind == "entra"
    assert config.schedule.days_before == (60, 45, 30, 15, 7, 1)


def test_its_table_has_every_permission_that_is_asked_for_and_no_other() -> None:
    table = GUIDE.partition("| permission |")[2].partition("\n\n")[0]
    told = {name for line in table.splitlines()[2:] for name in re.findall(r"`([\w-]+\.Read[\w.]*)`", line.split("|")[1])}
    needs = [each for each in vars(permissions).values() if isinstance(each, permissions.Need)]
    assert told == {name for need in needs for name in need.permissions}


def test_it_explains_every_group_of_our_making() -> None:
    made = [value for name, value in vars(people).items() if isinstance(value, str) and value.startswith("entra:")]
    assert len(made) == 3
    assert [each for each in made if f"`{each}`" not in GUIDE] == []
