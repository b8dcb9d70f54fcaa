"""`migrate`, with a watch on its steps: what each took is written to steps.json in the folder in which it runs.

python -m benchmarks.steps run --no-send …
"""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

WRITTEN: Final = "steps.json"
REST: Final = "starting Python, the configuration, and the rest"
FINDING: Final = "finding the cache of the last read"
READING: Final = "reading all rows, and comparing them with the cache"
DECIDING: Final = "assessing, comparing, planning and composing"
RECORDING: Final = "writing to the ledger what is new, and committing"
KEEPING: Final = "waiting for the new cache, and keeping it"
REPORTING: Final = "reports, and completing the run"
STEPS: Final = (FINDING, READING, DECIDING, RECORDING, KEEPING, REPORTING, REST)

Taken = dict[str, list[float]]
"""Step → seconds on the wall, seconds that all processors worked for the run meanwhile."""


class Watch:
    """Notes what steps take; a step within another is no part of that one."""

    def __init__(self) -> None:
        self.taken: Taken = {}
        self._within: list[list[float]] = [[0.0, 0.0]]

    def on(self, owner: object, name: str, step: str) -> None:
        """Puts the watch around a function."""
        watched: Callable[..., Any] = getattr(owner, name)

        @functools.wraps(watched)
        def timed(*given: Any, **named: Any) -> Any:
            wall, cpu = time.perf_counter(), time.process_time()
            self._within.append([0.0, 0.0])
            try:
                return watched(*given, **named)
            finally:
                whole = (time.perf_counter() - wall, time.process_time() - cpu)
                inner, outer = self._within.pop(), self._within[-1]
                spent = self.taken.setdefault(step, [0.0, 0.0])
                for i in (0, 1):
                    spent[i] += whole[i] - inner[i]
                    outer[i] += whole[i]

        setattr(owner, name, timed)


def main() -> int:
    """The command, watched; its exit code."""
    from migrate.cli import main as migrate
    from migrate.ledger.engine import Ledger
    from migrate.run import job, keeping, path

    watch = Watch()
    for owner, name, step in (
        (keeping, "cache_of_last", FINDING),
        (path, "take", READING),
        (path, "draft", DECIDING),
        (Ledger, "write", RECORDING),
        (job, "keep", KEEPING),
        (job, "write_reports", REPORTING),
    ):
        watch.on(owner, name, step)
    code = migrate()
    Path(WRITTEN).write_text(json.dumps(watch.taken), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
