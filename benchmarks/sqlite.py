"""SQLite's own shell, whose dump of a table is what a run is measured against: the one on PATH, or Debian's, unpacked below `build/`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.process import BUILD, Spent, measure


def shell() -> str:
    """The path of `sqlite3`. Raises CalledProcessError where there is none and apt cannot help."""
    if found := shutil.which("sqlite3"):
        return found
    unpacked = BUILD / "sqlite3"
    if not (unpacked / "usr/bin/sqlite3").exists():
        unpacked.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "sqlite3"], cwd=unpacked, check=True, capture_output=True)
        (deb,) = unpacked.glob("sqlite3_*.deb")
        subprocess.run(["dpkg", "-x", deb, unpacked], check=True)
        deb.unlink()
    return str(unpacked / "usr/bin/sqlite3")


def dump(directory: Path) -> Spent:
    """The whole table as CSV, into nothing."""
    return measure([shell(), "-csv", str(directory), "select * from users"], directory.parent, discard=True)


def export(directory: Path, path: Path) -> None:
    """The whole table as a CSV file with a header."""
    with path.open("wb") as file:
        subprocess.run([shell(), "-csv", "-header", str(directory), "select * from users"], stdout=file, check=True)
