"""The folder of a dry run has the same bytes however it was decided."""

from __future__ import annotations

from pathlib import Path

import pytest
from office import Office

from migrate.directory import snapshot
from migrate.review import dry_runs


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
