"""One command from start to end: the seconds it took, the processor's and the wall's, and the most memory it had.

Linux counts a program's memory from that of whoever started it, so nothing large is imported or kept in the process that measures.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
BUILD: Final = ROOT / "build" / "bench"
"""Where what is measured is kept."""

PYTHON: Final = (sys.executable,)
HIDE_ADBC: Final = "import sys; sys.modules['adbc_driver_sqlite'] = None"
"""Makes of a Python one in which the driver is not installed: a module that is None can be neither found nor imported."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a command took: `seconds` on the wall, `cpu` seconds of processors, `peak` MiB of memory; and what it printed."""

    seconds: float
    cpu: float
    peak: float
    printed: str

    def __str__(self) -> str:
        return f"{self.seconds:.2f} s, {self.cpu:.2f} s of CPU, {self.peak:.0f} MiB"


def measure(command: Sequence[str], folder: Path, *, discard: bool = False) -> Spent:
    """Runs a command in a folder. RuntimeError if it fails, with what it said."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        child = subprocess.Popen(command, cwd=folder, env=beside_us(), stdout=subprocess.DEVNULL if discard else out, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}: {err.read().decode()}")
        return Spent(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out.read().decode())


def beside_us() -> dict[str, str]:
    """An environment in which Python finds this very checkout."""
    return os.environ | {"PYTHONPATH": str(ROOT)}
