"""Finds the directory of a `kind`: ours are listed below and imported on use; others come from the entry points `migrate.directories`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from pydantic import ConfigDict, create_model

from migrate.directory.interface import Directory, DirectorySettings, near
from migrate.directory.join_source import JoinSettings, of_the_join
from migrate.directory.joined import JoinedDirectory
from migrate.directory.method_words import spelling
from migrate.directory.profiled import ProfiledDirectory, rows_are_methods, words_of
from migrate.directory.united import UnitedDirectory
from migrate.errors import ConfigError

GROUP: Final = "migrate.directories"

DIRECTORIES: Final[dict[str, str]] = {
    "sql": "migrate.directory.sql:SqlDirectory",
    "csv": "migrate.directory.csv:CsvDirectory",
    "entra": "migrate.directory.entra.source:EntraDirectory",
    "privacyidea": "migrate.directory.privacyidea.source:PrivacyIdeaDirectory",
}


def _others() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def kinds() -> tuple[str, ...]:
    """Every kind that can be configured, ours first."""
    return tuple(dict.fromkeys([*DIRECTORIES, *_others()]))


def directory_class(kind: str) -> type[Directory]:
    """The class of a kind. Raises ConfigError if there is no such kind, or if another package's class cannot be imported."""
    if kind in DIRECTORIES:
        module, name = DIRECTORIES[kind].split(":")
        loaded = getattr(import_module(module), name)
    elif (other := _others().get(kind)) is not None:
        try:
            loaded = other.load()
        except Exception as error:
            raise ConfigError(
                f"the directory {kind!r} is provided by {other.value}, which cannot be loaded: {error}",
                where="[directory] kind",
                hint="Repair or reinstall the package that provides it.",
            ) from error
    else:
        raise ConfigError(f"{kind!r} is no kind of directory; {near(kind, kinds())}", where="[directory] kind")
    if not (isinstance(loaded, type) and issubclass(loaded, Directory)):
        raise ConfigError(f"what provides {kind!r} is no migrate.directory.Directory", where="[directory] kind")
    return loaded


def settings_model(kind: str) -> type[DirectorySettings]:
    """The settings model of the `[directory]` table of a kind, without joins."""
    return directory_class(kind).Settings


def table_model(table: Mapping[str, Any]) -> type[DirectorySettings]:
    """The settings model for a `[directory]` table as read from a file: the model of its kind, with a model for each of its joins in order.

    The table must have a `kind` that is text. Raises ConfigError for an unknown kind; its `where` is that key of the table or join. A join
    without a kind raises nothing here: validation reports it.
    """
    model = settings_model(table["kind"])
    joins = table.get("join")
    if not isinstance(joins, list) or not joins:
        return model
    each: Any = tuple(_join_model(join.get("kind") if isinstance(join, dict) else None) for join in joins)
    made: type[DirectorySettings] = create_model(model.__name__, __base__=model, join=(tuple[each], ()))
    return made


class _Kindless(JoinSettings):
    """Used while the kind of a join is missing or no text, so that the error is about the kind."""

    model_config = ConfigDict(extra="ignore")


def _join_model(kind: object) -> type[JoinSettings]:
    """The settings model of a join: the model of its kind with the settings of `JoinSettings`."""
    if not isinstance(kind, str):
        return _Kindless
    try:
        model = settings_model(kind)
    except ConfigError as error:
        raise ConfigError(error.what, where="[directory.join] kind", hint=error.hint) from error
    bases: Any = (JoinSettings, model)
    required: Any = (model.model_fields["kind"].annotation, ...)
    made: type[JoinSettings] = create_model(f"{model.__name__}Join", __base__=bases, kind=required)
    return made


def open_directory(settings: DirectorySettings) -> Directory:
    """The directory that the settings describe, with joins and profiles; it connects to nothing and reads nothing yet."""
    joins = [each for each in settings.join if isinstance(each, JoinSettings)]
    source = _opened(settings, "account_id")
    with of_the_join():
        further = [(each, _opened(each, each.on)) for each in joins]
    return JoinedDirectory(source, further) if joins else source


def _opened(settings: DirectorySettings, by: str) -> Directory:
    """One source, wrapped for its profile and for rows that are methods."""
    source = directory_class(settings.kind)(settings)
    if settings.profile is not None:
        source = ProfiledDirectory(source)
    return UnitedDirectory(source, by) if rows_are_methods(settings) else source


def mapping_digest(settings: DirectorySettings) -> str:
    """A digest (12 hex characters) of everything that decides how a source's words become methods, and of nothing else.

    If it differs from the digest that is recorded with an account, a difference in methods is `reclassified` (design §6).
    """
    whole = [_mapping(settings), *(_mapping(join) for join in settings.join if isinstance(join, JoinSettings))]
    if len(whole) == 1:
        return whole[0]
    told = [[join.on, join.missing, sorted(join.named)] for join in settings.join if isinstance(join, JoinSettings)]
    return sha256(json.dumps([whole, told]).encode()).hexdigest()[:12]


def _mapping(settings: DirectorySettings) -> str:
    """The digest of one source, without joins."""
    words = words_of(directory_class(settings.kind).words, settings)
    columns = {spelling(word): column for word, column in settings.method_columns.items()}
    named = columns or (settings.columns["methods"].theirs if "methods" in settings.columns else "methods")
    rows = ["methods"] if rows_are_methods(settings) else []
    return words.digest(named, *rows, *([settings.profile] if settings.profile else []))
