"""Memory, kept small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from campaigns import Campaign

COMMAND = """
import sys
from migrate.cli import main
code = main(sys.argv[1:])
import pyarrow as pa
others = [name for name in pa.supported_memory_backends() if name != "system"]
print(pa.system_memory_pool().max_memory(), *(getattr(pa, f"{name}_memory_pool")().max_memory() for name in others), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("command", ["run", "dry-run", "report"])
def test_arrow_takes_all_memory_from_the_system_and_keeps_none_in_a_pool_of_its_own(tmp_path: Path, command: str) -> None:
    campaign = Campaign(tmp_path)
    campaign.edit("formats = []", 'formats = ["csv", "parquet"]')
    for number in range(3):
        campaign.person(f"person-{number}")
    campaign.run("2023-07-01T09:00")
    when = ["--as-of", "2023-07-02T09:00"] if command != "report" else []
    said = [sys.executable, "-c", COMMAND, "--config", str(campaign.path), command, *when]
    ended = subprocess.run(said, capture_output=True, text=True, check=True)
    system, *others = map(int, ended.stderr.split())
    assert system > 0
    assert not any(others)
