"""What a reviewer reads."""

from __future__ import annotations

import re
from pathlib import Path

from migrate.review import plan_files

GUIDE = Path(__file__).parents[2] / "docs" / "review.md"


def test_the_guide_names_every_column_of_the_plan_in_order() -> None:
    part = GUIDE.read_text(encoding="utf-8").partition("## The columns of plan.csv")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", part, flags=re.MULTILINE) == list(plan_files.PLAN_COLUMNS)
