"""Which examples the properties are tried with (CONTRIBUTING.md)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROPERTY = """\
from hypothesis import given, strategies as st

@given(st.integers())
def test_a_property(number):
    print("drawn", number)

def test_no_property():
    pass
"""


def drawn(folder: Path, *, new: bool) -> list[str]:
    """What a property, run by itself under this project's settings, was tried with."""
    test = folder / "test_property.py"
    test.write_text(PROPERTY)
    asked = {"MIGRATE_NEW_EXAMPLES": "1"} if new else {}
    environment = {name: value for name, value in os.environ.items() if name != "MIGRATE_NEW_EXAMPLES"}
    tests = Path(__file__).parent
    options = ["-p", "conftest", "-c", str(tests.parent / "pyproject.toml"), "--rootdir", str(folder), "-m", "property", "-rP", "-q"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(test)],
        cwd=folder,
        env=environment | asked | {"PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed, 1 deselected" in done.stdout, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if line.startswith("drawn")]


def test_the_tests_draw_the_same_examples_every_time_and_a_soak_new_ones(tmp_path: Path) -> None:
    same = drawn(tmp_path, new=False)
    assert len(same) == 25
    assert drawn(tmp_path, new=False) == same
    assert drawn(tmp_path, new=True)[:100] != same
    assert not (tmp_path / ".hypothesis" / "examples").exists(), "what failed once elsewhere decides nothing here"


def test_make_soak_asks_for_new_ones() -> None:
    recipe = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8").partition("\nsoak:")[2].partition("\n\n")[0]
    assert 'MIGRATE_NEW_EXAMPLES=1 $(BIN)/python -m pytest -m "property and not soak"' in recipe
    assert "-m soak" in recipe
