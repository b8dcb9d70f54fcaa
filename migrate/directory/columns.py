"""Which of a table's columns is which of ours: `[directory.columns]`, `[directory.method_columns]`, or our own name.

And, for a file whose header does not fit, which other line of it would.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from migrate.accounts import ACCOUNT_COLUMNS
from migrate.directory.interface import METHOD_PREFIX, REQUIRED, DirectorySettings
from migrate.errors import DirectoryError

OPENING: Final = 50
"""How many lines of a file, or rows of each sheet, are tried when the header does not fit."""

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


@dataclass(frozen=True, slots=True)
class Candidate:
    """A line or row that may be the header: where it is (`line 3`), the settings that say so, and the names in it."""

    place: str
    settings: dict[str, int | str]
    names: Sequence[Any]

    @property
    def filled(self) -> list[str]:
        return [text for name in self.names if name is not None and (text := str(name).strip())]

    @property
    def written(self) -> str:
        """Its settings as they are typed."""
        return " and ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in self.settings.items())


def names_of(header: Iterable[Any]) -> list[str]:
    """The names in a header as text."""
    return ["" if name is None else str(name).strip() for name in header]


def misplaced(
    settings: DirectorySettings, error: DirectoryError, names: Sequence[str], candidates: Iterable[Candidate], *, place: str, source: str
) -> DirectoryError:
    """`error`, which `locate` raised of the header at `place`; or one that names the candidate that fits and how to say so.

    A title has one field, a header three or more: if none fits, and what was taken for a header is a title, the first of the widest
    candidates is named for a look beside the error itself.
    """
    widest: Candidate | None = None
    for candidate in candidates:
        try:
            locate(settings, names_of(candidate.names), source=source)
        except DirectoryError:
            filled = candidate.filled
            # Records have addresses, and the same word in two fields; headers have neither.
            likely = len(filled) > 2 and len(set(filled)) == len(filled) and not any("@" in name for name in filled)
            if likely and len(filled) > len(widest.filled if widest else []):
                widest = candidate
        else:
            return DirectoryError(
                f"{place} of {source} is no header that fits, but {candidate.place} is." if names else error.what,
                where=f"[directory] {next(iter(candidate.settings))}",
                hint=f"Write {candidate.written}.",
            )
    if widest is None or sum(map(bool, names)) > 1:
        return error
    listed = ", ".join(widest.filled[:_SHOWN]) + ", …" * (len(widest.filled) > _SHOWN)
    hint = f"{error.hint or ''} If its header is {widest.place} ({listed}), write {widest.written} in [directory] first.".lstrip()
    return DirectoryError(error.what, where=error.where, hint=hint)
