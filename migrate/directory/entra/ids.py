"""Ids of Graph, many of them in little memory: sorted arrays of 36 bytes each, which every page of users is looked up in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

LENGTH: Final = 36
_NOTHING: Final = np.zeros(0, dtype=f"S{LENGTH}")


def packed(ids: Sequence[Any]) -> np.ndarray:
    """Ids as an array, in their order. Raises ValueError for what is no id of Graph."""
    for each in ids:
        if not (isinstance(each, str) and 0 < len(each) <= LENGTH and each.isascii()):
            raise ValueError("an id is none")
    return np.array([each.encode() for each in ids], dtype=f"S{LENGTH}") if ids else _NOTHING


class Members:
    """A set of ids."""

    def __init__(self, parts: Iterable[np.ndarray] = ()) -> None:
        self.ordered = np.unique(np.concatenate([_NOTHING, *parts]))

    def __len__(self) -> int:
        return len(self.ordered)

    def has(self, ids: np.ndarray) -> np.ndarray:
        """Which of the ids are in it, true or false each."""
        return found(self.ordered, ids) >= 0

    @staticmethod
    def united(several: Iterable[Members]) -> Members:
        """All of several sets."""
        return Members([each.ordered for each in several])


def found(ordered: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Where each id stands in a sorted array, the first place of several; -1 for none."""
    if not len(ordered):
        return np.full(len(ids), -1)
    at = np.searchsorted(ordered, ids)
    return np.where(ordered[np.minimum(at, len(ordered) - 1)] == ids, at, -1)
