"""Work done without root's powers, so that a test of permissions is one whoever runs it."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_T = TypeVar("_T")
_VERSION_3 = 0x20080522


def powerless(work: Callable[[], _T]) -> _T:
    """What `work` gives in a thread of its own that may do only what permissions allow the owner of a file.

    The superuser may read and write anywhere by a capability, which a thread can give up, and cannot have back; threads that it starts
    never had it. Its user stays the same, so that it can still read this Python and this repository.
    """

    def alone() -> _T:
        if os.geteuid() == 0:
            _give_up()
        return work()

    with ThreadPoolExecutor(1, thread_name_prefix="powerless") as pool:
        return pool.submit(alone).result()


def _give_up() -> None:
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, twice 32 of each
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(header, nothing):
        raise OSError(ctypes.get_errno(), "the capabilities of this thread cannot be given up")
