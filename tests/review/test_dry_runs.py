"""What a reviewer reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from office import Office

from migrate.directory import snapshot
from migrate.review import dry_runs

GUIDE = Path(__file__).parents[2] / "docs" / "review.md"


def test_the_guide_names_every_column_of_the_plan_in_order() -> None:
    part = GUIDE.read_text(encoding="utf-8").partition("## The columns of plan.csv")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", part, flags=re.MULTILINE) == list(dry_runs.PLAN_COLUMNS)


@pytest.mark.parametrize("group", [2, 10_000])
def test_a_plan_is_the_same_bytes_however_many_accounts_are_decided_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: int
) -> None:
    """What the cache leaves to decide comes in other parts than a whole directory."""
    monkeypatch.setattr(dry_runs, "_ROW_GROUP", group)
    office = Office(tmp_path / "office")
    for n in range(7):
        office.hire(f"u{n}")
    office.write()
    plans = []
    for number in (3, 1000):
        monkeypatch.setattr(snapshot, "RANGE", number)
        out = tmp_path / f"by {number}"
        assert office.migrate("dry-run", "--as-of", "2024-01-02T14:00", "--out", str(out)).code == 0
        plans.append([(out / name).read_bytes() for name in ("plan.csv", "plan.parquet", "outcomes.csv")])
    assert plans[0] == plans[1]
