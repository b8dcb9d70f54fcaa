"""docs/connect.md says what is so: its settings are accepted, its code runs, its word table is the one in force."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from migrate.accounts import ACCOUNT_COLUMNS
from migrate.directory import settings_model
from migrate.directory.vocabulary import ALIASES

GUIDE = (Path(__file__).parents[2] / "docs" / "connect.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", blocks("toml"))
def test_its_settings_are_accepted(block: str) -> None:
    table: dict[str, Any] = tomllib.loads(block)["directory"]
    if isinstance(table.get("url"), dict):
        table["url"] = "postgresql://reader@db.example.com/identity"
    assert settings_model(table["kind"]).model_validate(table)


def test_its_code_keeps_the_contract() -> None:
    code = blocks("python")
    assert len(code) == 2
    exec(compile("\n".join(code), "docs/connect.md", "exec", dont_inherit=True), {"__name__": "guide"})


def test_its_word_table_is_the_one_in_force() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|$", GUIDE.split("| ours | also called |")[1], flags=re.MULTILINE))
    assert {ours: tuple(theirs.split(", ")) for ours, theirs in told.items()} == ALIASES


def test_it_names_every_column() -> None:
    assert [name for name in ACCOUNT_COLUMNS if f"`{name}`" not in GUIDE] == []
