"""What a reviewer reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from migrate import review

GUIDE = Path(__file__).parents[1] / "docs" / "review.md"


def test_the_guide_names_every_column_of_the_plan_in_order() -> None:
    part = GUIDE.read_text(encoding="utf-8").partition("## The columns of plan.csv")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", part, flags=re.MULTILINE) == list(review.PLAN_COLUMNS)


@pytest.mark.parametrize(
    ("path", "shown"),
    [("reports/dry-run-2024-01-02", "reports/dry-run-2024-01-02"), ("my reports/d", "'my reports/d'"), ("../elsewhere", "../elsewhere")],
)
def test_a_path_is_shown_as_it_is_typed_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, shown: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert review.typed(Path(path)) == shown
    if not path.startswith(".."):
        assert review.typed(tmp_path / path) == shown


def test_a_path_that_is_not_below_is_shown_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert review.typed(tmp_path / "there") == str(tmp_path / "there")
