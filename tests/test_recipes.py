"""docs/recipes.md, followed to the letter: each recipe in a copy of the repository of its own."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n?)*)", GUIDE, flags=re.MULTILINE))
NEEDED = ("migrate", "templates", "tests", "reports", "pyproject.toml", "config.example.toml", "README.md", "docs")


@dataclass(frozen=True)
class Block:
    """A block of a recipe: in what language, for which file if any, and what stands in it."""

    language: str
    path: str
    text: str


def blocks(recipe: str) -> list[Block]:
    return [Block(*found) for found in re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", recipe, flags=re.MULTILINE | re.DOTALL)]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in NEEDED:
        source = ROOT / name
        if source.is_dir():
            # With what is compiled, which stays valid; not what another process is writing just now.
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("*.pyc.*"))
        else:
            shutil.copy(source, tmp_path)
    return tmp_path


def change(path: Path, diff: str) -> None:
    """Changes a file as the lines of a diff say: what they say was there stands in it once."""
    lines = diff.splitlines()
    assert {line[:1] for line in lines} <= {" ", "-", "+", ""}, diff
    before = "".join(f"{line[1:]}\n" for line in lines if line[:1] in (" ", "-"))
    after = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-")
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{path.name} does not have these lines once:\n{before}"
    path.write_text(text.replace(before, after), encoding="utf-8")


def run(line: str, folder: Path) -> None:
    """Types a command; one behind a `!` has to fail, as a test that ran and failed does."""
    wanted, words = (1, line[2:]) if line.startswith("! ") else (0, line)
    program, *arguments = shlex.split(words)
    programs = {"pytest": ["-m", "pytest", "-q", "-p", "no:cacheprovider"], "python": [], "pybabel": ["-m", "babel.messages.frontend"]}
    command = [sys.executable, *programs[program], *arguments]
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{folder / 'tests'}"}
    environment.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == wanted, f"{line}\n{done.stdout[-3000:]}{done.stderr[-2000:]}"


@pytest.mark.parametrize("title", RECIPES)
def test_whoever_follows_the_recipe_arrives(title: str, copy: Path) -> None:
    steps = blocks(RECIPES[title])
    assert sum(step.language == "sh" for step in steps) >= 1
    for step in steps:
        path = copy / step.path
        if step.language == "sh":
            for line in step.text.splitlines():
                run(line, copy)
        elif step.language == "diff":
            change(path, step.text)
        else:
            assert not path.exists()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text, encoding="utf-8")


def test_there_is_a_recipe_for_each_change_that_people_make() -> None:
    assert list(RECIPES) == ["A directory", "A mail kind", "A report column", "An outcome", "A language", "A ping"]
