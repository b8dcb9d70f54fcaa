"""Sets of Graph ids in little memory: sorted arrays of 36 bytes for each id, in which the ids of a page are looked up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

LENGTH: Final = 36
_NOTHING: Final = np.zeros(0, dtype=f"S{LENGTH}")


def packed(ids: Sequence[Any]) -> np.ndarray:
    """Ids as an array, in the same order. Raises ValueError for a value that is no id of Graph."""
    for each in ids:
        if not (isinstance(each, str) and 0 < len(each) <= LENGTH and each.isascii()):
            raise ValueError("an id is none")
    return np.array([each.encode() for each in ids], dtype=f"S{LENGTH}") if ids else _NOTHING


class IdSet:
    """A set of ids."""

    def __init__(self, parts: Iterable[np.ndarray] = ()) -> None:
        self.ordered = np.unique(np.concatenate([_NOTHING, *parts]))

    def __len__(self) -> int:
        return len(self.ordered)

    def has(self, ids: np.ndarray) -> np.ndarray:
        """For each id whether it is in the set."""
        return found(self.ordered, ids) >= 0

    @staticmethod
    def united(several: Iterable[IdSet]) -> IdSet:
        """The union of several sets."""
        return IdSet([each.ordered for each in several])


def found(ordered: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The index of each id in a sorted array, the first of several; -1 if it is not there."""
    if not len(ordered):
        return np.full(len(ids), -1)
    at = np.searchsorted(ordered, ids)
    return np.where(ordered[np.minimum(at, len(ordered) - 1)] == ids, at, -1)
