"""What the processors did, as Linux tells it below /proc."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """The fields of a process after its name; FileNotFoundError or ProcessLookupError if it has ended."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def children(pid: int) -> list[int]:
    """The processes that a process has started and that have not ended."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                if _stat(int(entry.name))[1] == str(pid):
                    found.append(int(entry.name))
    return found


def cpu(pid: int) -> float:
    """CPU seconds that a process and its children have used, children that have ended included; 0 if the process itself has ended."""
    total = 0
    for one in (pid, *children(pid)):
        with suppress(FileNotFoundError, ProcessLookupError):
            total += sum(map(int, _stat(one)[11:15]))
    return total / _TICKS


def busy() -> float:
    """Seconds that all processors together have worked, for whomever."""
    user, nice, system, _idle, _waiting, *interrupts = map(int, Path("/proc/stat").read_text(encoding="utf-8").split("\n")[0].split()[1:9])
    return (user + nice + system + sum(interrupts)) / _TICKS
