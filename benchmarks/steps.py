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
IMAGE: Final = "checking the image of the last read"
READING: Final = "reading all rows, and setting them beside the image"
DECIDING: Final = "assessing, comparing, planning and composing"
CARRYING: Final = "putting together the records of everybody"
RECORDING: Final = "writing to the ledger what is new"
KEEPING: Final = "digesting and keeping the new image"
REPORTING: Final = "reports, and completing the run"
STEPS: Final = (IMAGE, READING, DECIDING, CARRYING, RECORDING, KEEPING, REPORTING, REST)

Taken = dict[str, list[float]]
"""Step → seconds on the wall, seconds of CPU."""


def watch(owner: object, name: str, step: str, taken: Taken) -> None:
    """Puts the watch around a function."""
    watched: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(watched)
    def timed(*given: Any, **named: Any) -> Any:
        wall, cpu = time.perf_counter(), time.thread_time()
        try:
            return watched(*given, **named)
        finally:
            spent = taken.setdefault(step, [0.0, 0.0])
            spent[0] += time.perf_counter() - wall
            spent[1] += time.thread_time() - cpu

    setattr(owner, name, timed)


def main() -> int:
    """The command, watched; its exit code."""
    from migrate import image, job
    from migrate.cli import main as migrate
    from migrate.reading import Read

    taken: Taken = {}
    for owner, name, step in (
        (job, "_image", IMAGE),
        (job, "take", READING),
        (job, "draft", DECIDING),
        (Read, "kept", CARRYING),
        (job, "write_down", RECORDING),
        (image, "keep", KEEPING),
        (job, "_report", REPORTING),
    ):
        watch(owner, name, step, taken)
    code = migrate()
    Path(WRITTEN).write_text(json.dumps(taken), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
