"""Memory, kept small: most of a run's is taken in large pieces that are needed for a moment only."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Final

_ARENAS: Final = 2
_M_ARENA_MAX: Final = -8  # mallopt(3)


def frugal() -> None:
    """Lets pieces that are no longer needed serve again, whichever thread asks next, or go back to the system.

    Arrow's own pool keeps what it once had, and the GNU allocator keeps apart for each thread what that thread gave back. Files are written
    and compressed with the pool that Arrow begins with, whatever another one is set later: so this is for before Arrow is imported.
    """
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    # musl, the other allocator on Linux, has no such option, and needs none.
    if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):
        mallopt(_M_ARENA_MAX, _ARENAS)


def trimmed() -> None:
    """Gives back to the system what is free at the moment."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
