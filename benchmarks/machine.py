"""The machine and the versions that a measurement was made with."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from benchmarks.process import BUILD
from benchmarks.sqlite import shell


def machine() -> list[str]:
    """A line each: processor, memory, kernel, interpreter, disk, load."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        f"processor: {_processor()}, {os.cpu_count()} cores",
        f"memory: {memory:.1f} GiB",
        f"kernel: {platform.system()} {platform.release()}",
        f"interpreter: a million calls take {_calls() * 1000:.0f} ms",
        f"disk: an fsync of 4 KiB takes {_fsync() * 1000:.2f} ms",
        f"load average when it began: {load()}",
    ]


def versions() -> list[str]:
    """A line each: what was measured, and what it stands on."""
    sqlite = subprocess.run([shell(), "--version"], capture_output=True, text=True, check=True).stdout.split()[0]
    packages = [f"{name} {version(name)}" for name in ("pandas", "pyarrow", "SQLAlchemy")]
    return [
        f"migrate: {_commit()}",
        f"Python {platform.python_version()}, {', '.join(packages)}, ADBC driver: {_installed('adbc-driver-sqlite')}",
        f"sqlite3 {sqlite}, Postfix: {_postfix()}",
    ]


def load() -> str:
    return f"{os.getloadavg()[0]:.1f}"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _calls(times: int = 1_000_000) -> float:
    """Seconds of CPU. An interpreter that was compiled without optimizations may take half as long again on the same processor."""

    def nothing() -> None:
        pass

    start = time.process_time()
    for _ in range(times):
        nothing()
    return time.process_time() - start


def _fsync(times: int = 30) -> float:
    """Seconds of the median."""
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / "fsync"
    taken = []
    with path.open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(bytes(4096))
            start = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - start)
    path.unlink()
    return median(taken)


def _commit() -> str:
    said = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=BUILD, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "of no commit"


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _postfix() -> str:
    """Of the package whose programs delivery is measured with, as apt knows it."""
    said = subprocess.run(["apt-cache", "policy", "postfix"], capture_output=True, text=True, check=False).stdout
    return next((line.partition(":")[2].strip() for line in said.splitlines() if "Candidate" in line), "unknown")
