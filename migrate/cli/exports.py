"""Recognises exports for `migrate init --from`, and writes the `[directory]` that reads them (design §4, Profiles)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from migrate.cli.guesses import Export, Key, look_at, shared_values
from migrate.directory.columns import told_names
from migrate.directory.profiles import PROFILES, profile
from migrate.errors import ConfigError

_EDIT: Final = "    # EDIT: a guess"
_WIDE: Final = 41
_WHY: Final = {
    "encoding": "EDIT: a guess, for it is not UTF-8; what Excel for Windows writes",
    "sheet": "the sheet that fits",
    "header": "the line or row that holds the names of the columns",
    "rows": "EDIT: a guess: ids stand in several rows, a method in each",
}
"""The comment beside a setting that was found out."""
_WHO_SIGNS_IN: Final = ' If one of them says who cannot sign in any more, name it, or they are mailed too: enabled = { not = "…" }.'


@dataclass(frozen=True, slots=True)
class DirectoryTable:
    """The text of the `[directory]` that reads one or two exports, and what to say about it."""

    text: str
    said: tuple[str, ...]


def directory_of(paths: Sequence[Path], base: Path) -> DirectoryTable:
    """The `[directory]` for one or two exports. Paths below `base`, the folder of the configuration, are written relative to it."""
    exports = sorted(map(look_at, paths), key=_who_exists, reverse=True)
    first, *others = exports
    if len(exports) > 1 and not any(export.methods for export in exports):
        raise ConfigError(
            f"neither {exports[0].path} nor {exports[1].path} has a column of methods.",
            where="--from",
            hint="Export the methods as well: docs/connect.md lists the exports that have them.",
        )
    lines = ["[directory]                              # where accounts are read from; it is never written to"]
    lines += _source(first, base)
    key = _on(first, others[0]) if others else None
    more = {key.ours: key.first} if key and key.first else {} if others else _addresses(first)
    lines += _columns(first, "directory.columns", first.columns | more)
    lines += _method_columns(first, "directory.method_columns")
    if key:
        lines += _join(first, others[0], key, base)
    return DirectoryTable("\n".join([*lines, "", ""]), tuple(_said(exports, key)))


def _who_exists(export: Export) -> tuple[bool, bool, bool]:
    """A sort key that puts the export which says who exists first: a known list of people, then one with ids of its own, then one
    without methods."""
    return export.people, export.known is not None and export.people, not export.methods


def _source(export: Export, base: Path) -> Iterator[str]:
    yield _setting("kind", "csv", "an export in a file")
    path = export.path.absolute()
    shown = path.relative_to(base.absolute()) if path.is_relative_to(base.absolute()) else path
    yield _setting("path", str(shown), "a relative path starts at the folder of this file")
    if export.known is not None:
        yield _setting("profile", export.known.name, export.known.what)
    for key, value in export.settings.items():
        yield _setting(key, value, _WHY[key])


def _addresses(export: Export) -> dict[str, str]:
    """The usernames as the addresses of an export that has no others, if all of them look like addresses."""
    names = export.columns.get("username")
    if export.known is not None or "email" in export.columns or names is None:
        return {}
    values = export.values(names)
    return {"email": names} if values and all("@" in value for value in values) else {}


def _columns(export: Export, table: str, columns: dict[str, str]) -> Iterator[str]:
    if export.known is None and columns:
        yield f"\n[{table}]".ljust(_WIDE + 1) + "# our column = theirs"
        yield from (f"{ours} = {_named(export, ours, theirs)}{_EDIT}" for ours, theirs in columns.items())


def _method_columns(export: Export, table: str) -> Iterator[str]:
    if export.method_columns:
        yield f"\n[{table}]".ljust(_WIDE + 1) + "# our method = their yes/no column"
        yield from (f"{ours} = {_quoted(theirs)}{_EDIT}" for ours, theirs in export.method_columns.items())


def _named(export: Export, ours: str, theirs: str) -> str:
    """A line of `[directory.columns]`, with the column's words for yes and no."""
    if ours != "enabled" or not (export.opposite or export.yes or export.no):
        return _quoted(theirs)
    if export.opposite:
        return f"{{ not = {_quoted(theirs)} }}"
    return f"{{ column = {_quoted(theirs)}, yes = {_quoted(list(export.yes))}, no = {_quoted(list(export.no))} }}"


def _join(first: Export, second: Export, key: Key, base: Path) -> Iterator[str]:
    absent = second.known.absent if second.known else "unknown"
    yield "\n[[directory.join]]                       # a second source; the first one says who exists"
    yield from _source(second, base)
    yield _setting("on", key.ours, "the column that both have")
    if second.methods:
        yield _setting("missing", absent, 'methods of an account that it has no row for: "unknown", or "none"')
    wanted = (
        {"methods", "default_method"}
        if second.methods
        else {"email", "display_name", "given_name", "locale", "department", "manager_email"}
    )
    named = second.columns | ({key.ours: key.second} if key.second else {})
    columns = {ours: theirs for ours, theirs in named.items() if ours == key.ours or (ours in wanted and not first.has(ours))}
    yield from _columns(second, "directory.join.columns", columns)
    yield from _method_columns(second, "directory.join.method_columns")


def _on(first: Export, second: Export) -> Key:
    """The key to join two exports on: the best one that both have by name, or else the columns that hold the same values."""
    named = [
        Key(ours, None, None)
        for ours in ("account_id", "username", "email")
        if first.has(ours) and second.has(ours) and (ours != "account_id" or (first.known and second.known))
    ]
    meets = next((key for key in named if first.valued(key.ours) & second.valued(key.ours)), None)
    found = meets or shared_values(first, second) or next(iter(named), None)
    if found is None:
        raise ConfigError(
            f"{first.path} and {second.path} have no column in common by which people could be told.",
            where="--from",
            hint="Export the id, the username or the address in both, spelt alike.",
        )
    return found


def _said(exports: Sequence[Export], key: Key | None) -> Iterator[str]:
    for export in exports:
        if export.known is None:
            yield f"{export.path} is no export that is known; its columns were guessed. Look at the lines marked EDIT."
            if left := [name for name in export.unread if key is None or name not in (key.first, key.second)]:
                ask = "" if export.has("enabled") or export is not exports[0] else _WHO_SIGNS_IN
                yield f"  Not read: {told_names(left, is_table=bool(export.columns))}.{ask}"
            if len(exports) == 1 and (names := _addresses(export)):
                yield f"  No addresses but {names['email']}, to which letters go then: it need not be a mailbox."
            if export.in_use:
                yield (
                    f"  {export.in_use} seems to say which methods are in use, and is not read: leave the rows of the others out of the "
                    "export, or people count as having what they never finished to set up."
                )
            continue
        yield f"{export.path} is: {export.known.what}."
        yield from (f"  It tells: {sentence}" for sentence in export.known.tells)
        told = [sentence for sentence in export.known.cannot if len(exports) == 1 or "join" not in sentence]
        yield from (f"  It cannot tell: {sentence}" for sentence in told)
    if not any(export.methods for export in exports):
        wanted = [f"{name} ({profile(name).what})" for name in PROFILES if profile(name).brings_methods and not profile(name).people]
        yield f"No file has methods, so that `migrate check` will refuse it. Add one: `migrate init --from FILE FILE`, such as {wanted[0]}."
    known = [export.known for export in exports if export.known is not None]
    if len(exports) == 1 and known and known[0].join:
        yield f"To be complete it needs {known[0].join}: `migrate init --from FILE FILE`."


def _setting(key: str, value: str | int, comment: str) -> str:
    return f"{key} = {_quoted(value)}".ljust(_WIDE) + f"# {comment}"


def _quoted(text: str | int | list[str]) -> str:
    """A value in TOML, with backslashes and quotation marks escaped."""
    import json

    return json.dumps(text, ensure_ascii=False)
