"""`extends = "../common.toml"`: a file whose settings are defaults, key by key, and what stands in which file (design §16).

A table is joined with the table of the same name; a value, a list and a reference such as `{ env = "NAME" }` is taken whole from the file
that has it, the nearer one first. A relative path is relative to the folder of the file in which it is written, so that a
common file names its own secrets and templates, whoever extends it; what nobody sets is relative to the folder of the first file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from migrate.config.references import OPEN_TABLES, Key, is_reference
from migrate.errors import ConfigError

EXTENDS: Final = "extends"
_MOST: Final = 16
"""Files in a chain: more than anybody can keep in mind."""


@dataclass(frozen=True, slots=True)
class Origins:
    """In which file each setting is written: `own` is the first file, `elsewhere` holds the values that come from others."""

    own: Path
    elsewhere: dict[Key, Path] = field(default_factory=dict)

    def file(self, at: Key) -> Path:
        """The file of a setting, or of the list or value that it stands in."""
        return next((self.elsewhere[at[:end]] for end in range(len(at), 0, -1) if at[:end] in self.elsewhere), self.own)

    def folder(self, at: Key) -> Path:
        """What a relative path is relative to where it is written there."""
        return self.file(at).absolute().parent


def extended(path: Path, parsed: Callable[[Path], dict[str, Any]]) -> tuple[dict[str, Any], Origins]:
    """The tables of a file with the defaults of those that it extends, as `parsed` reads them. Raises ConfigError for a chain that comes
    back to a file of its own, and for what cannot be read."""
    chain = _chain(path, parsed)
    origins = Origins(path)
    whole: dict[str, Any] = {}
    for file, tables in reversed(chain):
        whole = _over(whole, tables, (), file, origins)
    return whole, origins


def _chain(path: Path, parsed: Callable[[Path], dict[str, Any]]) -> list[tuple[Path, dict[str, Any]]]:
    """Each file and its tables, the nearest first."""
    found: list[tuple[Path, dict[str, Any]]] = []
    seen: list[Path] = []
    following: Path | None = path
    while following is not None:
        if (place := following.resolve()) in seen:
            round_about = " → ".join(str(file) for file, _ in found) + f" → {following}"
            raise ConfigError(f"comes back to a file that extends it: {round_about}.", where=f"{found[-1][0]}, {EXTENDS}")
        if len(found) == _MOST:
            raise ConfigError(f"is the {_MOST}th file in a row that extends another.", where=f"{found[-1][0]}, {EXTENDS}")
        seen.append(place)
        try:
            tables = parsed(following)
        except ConfigError as error:
            if not found:
                raise
            by = found[-1][0]
            raise ConfigError(error.what, where=f"{by}, {EXTENDS} {_written(by, following)!r}") from error
        named = tables.pop(EXTENDS, None)
        found.append((following, tables))
        following = None if named is None else _next(named, found[-1][0])
    return found


def _next(named: object, file: Path) -> Path:
    if not isinstance(named, str) or not named.strip() or "\0" in named:
        raise ConfigError('is no file: write it as extends = "../common.toml".', where=f"{file}, {EXTENDS}")
    return file.parent / named


def _written(file: Path, extends: Path) -> str:
    """A file as the one that extends it names it."""
    return str(extends.relative_to(file.parent) if extends.is_relative_to(file.parent) else extends)


def _over(under: Any, value: Any, at: Key, file: Path, origins: Origins) -> Any:
    """A value over the default `under` it, written in a file."""
    if not _joined(at, under, value):
        _forget(at, origins)
        if file != origins.own:
            for leaf in _leaves(at, value):
                origins.elsewhere[leaf] = file
        return value
    return under | {key: _over(under.get(key), each, (*at, key), file, origins) for key, each in value.items()}


def _joined(at: Key, under: Any, value: Any) -> bool:
    """Whether both are tables whose keys are settings; in a table of the reader's own words each word is one."""
    tables = isinstance(under, dict) and isinstance(value, dict)
    return tables and not is_reference(at, under) and not is_reference(at, value) and not (len(at) > 1 and at[-2] in OPEN_TABLES)


def _leaves(at: Key, value: Any) -> list[Key]:
    """What has an origin of its own: a table's settings one by one, anything else whole."""
    if isinstance(value, dict) and not is_reference(at, value):
        return [leaf for key, each in value.items() for leaf in _leaves((*at, key), each)]
    return [at]


def _forget(at: Key, origins: Origins) -> None:
    """What stood at a place came from elsewhere, and is replaced."""
    for gone in [key for key in origins.elsewhere if key[: len(at)] == at]:
        del origins.elsewhere[gone]
