"""docs/connect.md says what is so: its settings are accepted, its code runs, its word table is the one in force."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
from office import called

from migrate.core.accounts import ACCOUNT_COLUMNS
from migrate.directory import table_model
from migrate.directory.profiles import PROFILES, profile
from migrate.directory.vocabulary import ALIASES

GUIDE = (Path(__file__).parents[2] / "docs" / "connect.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", blocks("toml"))
def test_its_settings_are_accepted(block: str) -> None:
    table: dict[str, Any] = tomllib.loads(block)["directory"]
    if isinstance(table.get("url"), dict):
        table["url"] = "postgresql://reader@db.example.com/identity"
    if isinstance(table.get("certificate"), dict):
        table["certificate"] = "-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----"
    assert table_model(table).model_validate(table)


def test_its_code_keeps_the_contract() -> None:
    code = blocks("python")
    assert len(code) == 2
    exec(compile("\n".join(code), "docs/connect.md", "exec", dont_inherit=True), {"__name__": "guide"})


def test_its_word_table_is_the_one_in_force() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|$", GUIDE.split("| ours | also called |")[1], flags=re.MULTILINE))
    assert {ours: tuple(theirs.split(", ")) for ours, theirs in told.items()} == ALIASES


def test_it_names_every_column() -> None:
    assert [name for name in ACCOUNT_COLUMNS if f"`{name}`" not in GUIDE] == []


PAGES = sorted((Path(__file__).parents[2] / "docs" / "connect").glob("*.md"))


def test_every_profile_has_a_page_that_the_guide_links() -> None:
    assert {page.stem for page in PAGES} == set(PROFILES)
    assert all(f"(connect/{name}.md)" in GUIDE for name in PROFILES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_what_its_profile_says_and_its_commands_work(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, known = page.read_text(encoding="utf-8"), profile(page.stem)
    assert all(f"\n- {sentence}\n" in text for sentence in (*known.tells, *known.cannot))
    assert all(f"\n- {caveat}.\n" in text for caveat in known.caveats)
    assert known.join in text
    monkeypatch.chdir(tmp_path)
    for name, content in re.findall(r"^```csv (\S+)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        (tmp_path / name).write_text(content, encoding="utf-8")
    [block] = re.findall(r"^```console\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    for line in block.splitlines():
        command = shlex.split(line.removeprefix("$ migrate "))
        done = called(*command)
        assert done.code == 0, done.out + done.err
        if command[0] == "init":
            assert f"is: {known.what}." in done.out
            assert f'profile = "{known.name}"' in (tmp_path / "config.toml").read_text(encoding="utf-8")
