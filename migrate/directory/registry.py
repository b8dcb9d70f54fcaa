"""Which directory a `kind` is: ours by a line below, imported on use, and others' by the entry-point group `migrate.directories`."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from migrate.directory.interface import Directory, DirectorySettings, near
from migrate.directory.words import MethodWords, spelling
from migrate.errors import ConfigError

GROUP: Final = "migrate.directories"

DIRECTORIES: Final[dict[str, str]] = {
    "sql": "migrate.directory.sql:SqlDirectory",
    "csv": "migrate.directory.csv:CsvDirectory",
}


def _others() -> dict[str, EntryPoint]:
    return {found.name: found for found in entry_points(group=GROUP)}


def kinds() -> tuple[str, ...]:
    """Every kind that can be configured, ours first."""
    return tuple(dict.fromkeys([*DIRECTORIES, *_others()]))


def directory_class(kind: str) -> type[Directory]:
    """The class of a kind; `ConfigError` if there is none or somebody else's cannot be imported."""
    if kind in DIRECTORIES:
        module, name = DIRECTORIES[kind].split(":")
        found = getattr(import_module(module), name)
    elif (other := _others().get(kind)) is not None:
        try:
            found = other.load()
        except Exception as error:
            raise ConfigError(
                f"the directory {kind!r} is provided by {other.value}, which cannot be loaded: {error}",
                where="[directory] kind",
                hint="Repair or reinstall the package that provides it.",
            ) from error
    else:
        raise ConfigError(f"{kind!r} is no kind of directory; {near(kind, kinds())}", where="[directory] kind")
    if not (isinstance(found, type) and issubclass(found, Directory)):
        raise ConfigError(f"what provides {kind!r} is no migrate.directory.Directory", where="[directory] kind")
    return found


def settings_model(kind: str) -> type[DirectorySettings]:
    """The settings model of the whole `[directory]` table of a kind."""
    return directory_class(kind).Settings


def open_directory(settings: DirectorySettings) -> Directory:
    """The directory that the settings describe; nothing is connected to or read yet."""
    return directory_class(settings.kind)(settings)


def mapping_digest(settings: DirectorySettings) -> str:
    """12 hex characters over everything that decides how a source's words become methods, and over nothing else.

    When it differs from the one recorded with an account, a difference in methods is `reclassified` (design §6).
    """
    words = MethodWords(directory_class(settings.kind).words, settings.methods)
    columns = {spelling(word): column for word, column in settings.method_columns.items()}
    return words.digest(columns or (settings.columns["methods"].theirs if "methods" in settings.columns else "methods"))
