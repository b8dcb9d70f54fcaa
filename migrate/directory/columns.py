"""Finds our columns among those of a table, by `[directory.columns]`, `[directory.method_columns]` or our own names.

For a file whose header does not fit, it also finds another line that would.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from migrate.core.accounts import ACCOUNT_COLUMNS
from migrate.directory.interface import METHOD_PREFIX, DirectorySettings
from migrate.directory.profiles import BESIDE, Profile, form, profile
from migrate.directory.values import harmless
from migrate.errors import DirectoryError

OPENING: Final = 50
"""How many lines of a file, or rows of each sheet, are tried as a header if the first does not fit."""

_LOOSE = re.compile(r"[\s_-]+")
_SHOWN = 12
_NAME = re.compile(r"[^\W\d_][\w .,()/#&'’%°*+<>?-]{0,63}|[\w.]{1,40}")
"""A possible name of a column. Lines of other kinds of files do not fit: keys with values, or fields with colons between them."""

RESORT: Final = f"{BESIDE}resort."
"""The prefix of a raw column `beside.resort.<ours>`, which marks that our column was taken from a last resort of the profile."""


def _loose(name: str) -> str:
    return _LOOSE.sub("", name).casefold()


def _find(wanted: str, present: Sequence[str], source: str, where: str) -> int | None:
    for alike in (str, _loose):
        hits = [i for i, name in enumerate(present) if alike(name) == alike(wanted)]
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
    return _all_of(present)


def _all_of(present: Sequence[str]) -> str:
    return f"It has {told_names(present)}."


def told_names(present: Sequence[str], *, is_table: bool = False) -> str:
    """The names of columns for a sentence. A text that does not look like a name is left out, and so is a single name unless it is known to
    come from a table: the file may be no table at all, and have a password in its first line."""
    names = [harmless(name) for name in present if _NAME.fullmatch(name)] if is_table or sum(map(bool, present)) > 1 else []
    others = len(present) - len(names)
    said = ", ".join(names[:_SHOWN]) + ", …" * (len(names) > _SHOWN)
    if not others:
        return said
    nameless = f"{others} {'column' if others == 1 else 'columns'} without a name that could be told"
    return f"{said} and {nameless}" if names else nameless


def locate(settings: DirectorySettings, present: Sequence[str], *, source: str) -> dict[str, int]:
    """Raw column name (one of ours, or `methods.<word>`) → index into `present`, the names of a table's columns.

    Names are compared exactly first, then without case, spaces, hyphens and underscores. A column of ours that the configuration does not
    map is found by the profile or under our own name, or left out. With a profile there may be columns `beside.<name>`, for its `finish`.
    Raises DirectoryError, which calls the table `source`, for a column that is missing or there twice.
    """
    settings.header_read(present)
    place_of: dict[str, int] = {}
    table = settings.heading
    mapped = {ours: (column.theirs, f"[{table}.columns] {ours}") for ours, column in settings.columns.items()}
    mapped |= {METHOD_PREFIX + word: (theirs, f"[{table}.method_columns] {word}") for word, theirs in settings.method_columns.items()}
    for raw, (theirs, where) in mapped.items():
        index = _find(theirs, present, source, where)
        if index is None:
            raise DirectoryError(f"{source} has no column {theirs!r}.", where=where, hint=_has(theirs, present))
        place_of[raw] = index
    known = profile(settings.profile) if settings.profile else None
    if known is not None:
        place_of |= _by_profile(known, settings, present, place_of, source)
    for ours in ACCOUNT_COLUMNS:
        if ours in place_of or (ours == "methods" and settings.method_columns):
            continue
        index = _find(ours, present, source, f"[{table}.columns] {ours}")
        if index is not None:
            place_of[ours] = index
    if known is not None:
        place_of |= _last_resorts(known, present, place_of, source, table)
    missing = [ours for ours in settings.needed if ours not in place_of and not (ours == "methods" and _methods_made(known, place_of))]
    if missing:
        what = f"no column {missing[0]!r}, and none is named for it" if len(missing) == 1 else f"none of the columns {', '.join(missing)}"
        near = _has(missing[0], present) if len(missing) == 1 else _all_of(present)
        typed = " and ".join(f'{ours} = "…"' for ours in missing)
        raise DirectoryError(
            f"{source} has {what}. {near}",
            where=f"[{table}.columns]",
            hint=f"Name theirs there: {typed}{f', or a column a method in [{table}.method_columns]' * ('methods' in missing)}"
            f"{f', or join {known.join}' if known is not None and known.join else ''}.",
        )
    # A joined source may have no id; then the column that it is joined on takes its place.
    return place_of if "account_id" in place_of else place_of | {"account_id": place_of[settings.needed[0]]}


def _methods_made(known: Profile | None, columns: Iterable[str]) -> bool:
    """True if methods come from other columns than one of words."""
    made = {BESIDE + name for name in known.makes_methods} if known is not None else set()
    return any(raw.startswith(METHOD_PREFIX) or raw in made for raw in columns)


def _aliased(names: Sequence[str], present: Sequence[str], source: str, where: str) -> int | None:
    """The index of the first of these names that the table has."""
    forms = [form(name) for name in present]
    for name in names:
        hits = [i for i, each in enumerate(forms) if each == form(name)]
        if len(hits) > 1:
            hits = [i for i in hits if present[i] == name] or hits
        if len(hits) > 1:
            raise DirectoryError(
                f"{source} has {len(hits)} columns called {name!r}, so which is meant cannot be told.",
                where=where,
                hint="Name the right one there, or give each column a name of its own in the source.",
            )
        if hits:
            return hits[0]
    return None


def _by_profile(
    known: Profile, settings: DirectorySettings, present: Sequence[str], place_of: dict[str, int], source: str
) -> dict[str, int]:
    """The columns that the profile finds, besides those that the configuration names."""
    methods_named = "methods" in place_of or bool(settings.method_columns)
    wanted = {ours: names for ours, names in known.aliases.items() if ours not in place_of and not (ours == "methods" and methods_named)}
    if not methods_named:
        wanted |= {METHOD_PREFIX + word: names for word, names in known.method_columns.items()}
    wanted |= {BESIDE + name: names for name, names in known.beside.items()}
    hits = {raw: _aliased(names, present, source, f"[{settings.heading}.columns] {raw}") for raw, names in wanted.items()}
    return {raw: index for raw, index in hits.items() if index is not None}


def _last_resorts(known: Profile, present: Sequence[str], place_of: dict[str, int], source: str, table: str) -> dict[str, int]:
    """Columns that the profile takes as a last resort, under our name and under `RESORT`."""
    more: dict[str, int] = {}
    for ours, (names, _) in known.resorts.items():
        if ours not in place_of and (index := _aliased(names, present, source, f"[{table}.columns] {ours}")) is not None:
            more |= {ours: index, RESORT + ours: index}
    return more


@dataclass(frozen=True, slots=True)
class Candidate:
    """A line or row that may be the header: its place (`line 3`), the settings that would choose it, and the names in it."""

    place: str
    settings: dict[str, int | str]
    names: Sequence[Any]

    @property
    def filled(self) -> list[str]:
        return [text for name in self.names if name is not None and (text := str(name).strip())]

    @property
    def written(self) -> str:
        """Its settings as a person types them."""
        return " and ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in self.settings.items())


def names_of(header: Iterable[Any]) -> list[str]:
    """The names of a header as text."""
    return ["" if name is None else str(name).strip() for name in header]


def misplaced(
    settings: DirectorySettings, error: DirectoryError, names: Sequence[str], candidates: Iterable[Candidate], *, place: str, source: str
) -> DirectoryError:
    """The error to raise after `locate` raised `error` for the header at `place`. If a candidate fits, it names that one, and the settings
    to choose it.

    If none fits and the header looks like a title (one field), the error is `error` with a hint to look at the first of the widest
    candidates (at least three fields).
    """
    widest: Candidate | None = None
    for candidate in candidates:
        try:
            locate(settings, names_of(candidate.names), source=source)
        except DirectoryError:
            filled = candidate.filled
            # A record may hold an address, or the same word twice; a header does not.
            likely = len(filled) > 2 and len(set(filled)) == len(filled) and all(map(_NAME.fullmatch, filled))
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
    its_names = told_names(widest.filled)
    hint = f"{error.hint or ''} If its header is {widest.place} ({its_names}), write {widest.written} in [directory] first.".lstrip()
    return DirectoryError(error.what, where=error.where, hint=hint)
