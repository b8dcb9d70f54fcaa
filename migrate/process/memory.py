"""Keeps the memory of the process small. A run allocates large blocks that it needs for a moment only; here they are given back."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Final

_ARENAS: Final = 2
_LARGE: Final = 4 << 20
"""A block of this many bytes or more is mapped by itself, and unmapped when it is freed."""
_M_ARENA_MAX: Final = -8  # mallopt(3)
_M_MMAP_THRESHOLD: Final = -3


def frugal() -> None:
    """Makes freed memory available to every thread, or to the system, at once. Call this before Arrow and NumPy are imported.

    By default Arrow's own pool keeps what it has allocated, and the GNU allocator keeps what a thread has freed for that thread, and
    large blocks too once it has seen some of them freed. Arrow writes and compresses files with the pool that it starts with, whatever
    pool is set later. NumPy's library for linear algebra, which nothing here uses, starts a thread for each processor; they would keep
    processors busy for a moment, and memory to the end.
    """
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    # musl, the other allocator on Linux, has no such option, and needs none.
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(_M_ARENA_MAX, _ARENAS)
        mallopt(_M_MMAP_THRESHOLD, _LARGE)


def trimmed() -> None:
    """Gives memory that is free at the moment back to the system."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
