"""Which of a table's columns is which of ours: `[directory.columns]`, `[directory.method_columns]`, or our own name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from migrate.accounts import ACCOUNT_COLUMNS
from migrate.directory.interface import METHOD_PREFIX, REQUIRED, DirectorySettings
from migrate.errors import DirectoryError

_LOOSE = re.compile(r"[\s_-]+")
_SHOWN = 12


def _loose(name: str) -> str:
    return _LOOSE.sub("", name).casefold()


def _find(wanted: str, present: Sequence[str], source: str, where: str) -> int | None:
    for form in (str, _loose):
        hits = [i for i, name in enumerate(present) if form(name) == form(wanted)]
        if len(hits) == 1:
            return hits[0]
        if hits:
            raise DirectoryError(
                f"{source} has {len(hits)} columns called {wanted!r}, so which is meant cannot be told.",
                where=where,
                hint="Give each column a name of its own in the source.",
            )
    return None


def _has(wanted: str, present: Sequence[str]) -> str:
    alike = {_loose(name): name for name in present}
    hits = [alike[form] for form in get_close_matches(_loose(wanted), list(alike), n=3, cutoff=0.6)]
    if hits:
        return f"Did you mean {' or '.join(repr(hit) for hit in hits)}?"
    more = ", …" if len(present) > _SHOWN else ""
    return f"It has {', '.join(present[:_SHOWN])}{more}."


def locate(settings: DirectorySettings, present: Sequence[str], *, source: str) -> dict[str, int]:
    """Raw column name (one of ours, or `methods.<word>`) → index into `present`, the names a table has.

    A name fits exactly, or else whatever its case, spaces, hyphens and underscores. A column of ours that is not mapped is found
    under our own name, or left out; `source` names the table in a `DirectoryError` about one that is missing or there twice.
    """
    found: dict[str, int] = {}
    mapped = {ours: (column.theirs, f"[directory.columns] {ours}") for ours, column in settings.columns.items()}
    mapped |= {METHOD_PREFIX + word: (theirs, f"[directory.method_columns] {word}") for word, theirs in settings.method_columns.items()}
    for raw, (theirs, where) in mapped.items():
        index = _find(theirs, present, source, where)
        if index is None:
            raise DirectoryError(f"{source} has no column {theirs!r}.", where=where, hint=_has(theirs, present))
        found[raw] = index
    for ours in ACCOUNT_COLUMNS:
        if ours in found or (ours == "methods" and settings.method_columns):
            continue
        index = _find(ours, present, source, f"[directory.columns] {ours}")
        if index is not None:
            found[ours] = index
        elif ours in REQUIRED:
            raise DirectoryError(
                f"{source} has no column {ours!r}, and none is named for it. {_has(ours, present)}",
                where="[directory.columns]",
                hint=f'Name theirs there: {ours} = "…"{", or a column a method in [directory.method_columns]" * (ours == "methods")}.',
            )
    return found
