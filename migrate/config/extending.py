"""`extends = "../common.toml"`: takes the settings of another file as defaults, and remembers which file each setting is from (design §16).

Tables of the same name are merged key by key. A value, a list or a reference such as `{ env = "NAME" }` is taken as a whole, from the
extending file if both have it. A relative path is relative to the folder of the file in which it is written, so that a common file can name
its own secrets and templates. Default paths are relative to the folder of the first file.
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
"""How many files may extend each other in a chain."""


@dataclass(frozen=True, slots=True)
class Origins:
    """Which file each setting is written in. `own`: the first file. `elsewhere`: key → file, for settings that come from other files."""

    own: Path
    elsewhere: dict[Key, Path] = field(default_factory=dict)

    def file(self, at: Key) -> Path:
        """The file in which a setting, or the list or value that contains it, is written."""
        return next((self.elsewhere[at[:end]] for end in range(len(at), 0, -1) if at[:end] in self.elsewhere), self.own)

    def folder(self, at: Key) -> Path:
        """The folder that a relative path at this key is relative to."""
        return self.file(at).absolute().parent


def extended(path: Path, parsed: Callable[[Path], dict[str, Any]]) -> tuple[dict[str, Any], Origins]:
    """The tables of a file, with those of the files it extends as defaults. `parsed` reads a file. Raises ConfigError if the files extend
    each other in a circle, or one cannot be read."""
    chain = _chain(path, parsed)
    origins = Origins(path)
    whole: dict[str, Any] = {}
    for file, tables in reversed(chain):
        whole = _over(whole, tables, (), file, origins)
    return whole, origins


def _chain(path: Path, parsed: Callable[[Path], dict[str, Any]]) -> list[tuple[Path, dict[str, Any]]]:
    """The files of a chain with their tables, each before the one that it extends."""
    chain: list[tuple[Path, dict[str, Any]]] = []
    seen: list[Path] = []
    following: Path | None = path
    while following is not None:
        if (place := following.resolve()) in seen:
            round_about = " → ".join(str(file) for file, _ in chain) + f" → {following}"
            raise ConfigError(f"comes back to a file that extends it: {round_about}.", where=f"{chain[-1][0]}, {EXTENDS}")
        if len(chain) == _MOST:
            raise ConfigError(f"is the {_MOST}th file in a row that extends another.", where=f"{chain[-1][0]}, {EXTENDS}")
        seen.append(place)
        try:
            tables = parsed(following)
        except ConfigError as error:
            if not chain:
                raise
            by = chain[-1][0]
            raise ConfigError(error.what, where=f"{by}, {EXTENDS} {_written(by, following)!r}") from error
        named = tables.pop(EXTENDS, None)
        chain.append((following, tables))
        following = None if named is None else _next(named, chain[-1][0])
    return chain


def _next(named: object, file: Path) -> Path:
    if not isinstance(named, str) or not named.strip() or "\0" in named:
        raise ConfigError('is no file: write it as extends = "../common.toml".', where=f"{file}, {EXTENDS}")
    return file.parent / named


def _written(file: Path, extends: Path) -> str:
    """The path of an extended file, as the extending file may have written it."""
    return str(extends.relative_to(file.parent) if extends.is_relative_to(file.parent) else extends)


def _over(under: Any, value: Any, at: Key, file: Path, origins: Origins) -> Any:
    """A `value` that is written in `file`, merged over the default `under`."""
    if not _joined(at, under, value):
        _forget(at, origins)
        if file != origins.own:
            for leaf in _leaves(at, value):
                origins.elsewhere[leaf] = file
        return value
    return under | {key: _over(under.get(key), each, (*at, key), file, origins) for key, each in value.items()}


def _joined(at: Key, under: Any, value: Any) -> bool:
    """Whether both are tables to merge key by key. An entry of a table whose keys are the reader's own words is taken as a whole."""
    tables = isinstance(under, dict) and isinstance(value, dict)
    return tables and not is_reference(at, under) and not is_reference(at, value) and not (len(at) > 1 and at[-2] in OPEN_TABLES)


def _leaves(at: Key, value: Any) -> list[Key]:
    """The keys whose origin is remembered: of a table each setting in it, of anything else the key itself."""
    if isinstance(value, dict) and not is_reference(at, value):
        return [leaf for key, each in value.items() for leaf in _leaves((*at, key), each)]
    return [at]


def _forget(at: Key, origins: Origins) -> None:
    """Forgets where a value came from, and everything in it, because it is replaced."""
    for gone in [key for key in origins.elsewhere if key[: len(at)] == at]:
        del origins.elsewhere[gone]
