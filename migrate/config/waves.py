"""Checks the days of `[[waves]]` against the campaign's, and reads the files of ids that waves name."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from migrate.config.complaints import Complaint, misfit
from migrate.core.campaign import CampaignSettings
from migrate.core.waves import Waves, WavesSettings
from migrate.directory.interface import DirectorySettings
from migrate.errors import ConfigError
from migrate.files import texts

_COLUMN: Final = "account_id"
_ROLE: Final = "role:"
"""What stands before a directory role among an account's groups."""


def misdated(waves: WavesSettings, campaign: CampaignSettings) -> Iterator[Complaint]:
    """A complaint for each wave whose opening is not before its cutoff; days that a wave does not set are the campaign's."""
    for number, wave in enumerate(waves.root):
        own = wave.within(campaign)
        if own.opens >= own.cutoff_date:
            key = "cutoff" if wave.cutoff is not None else "opens"
            yield misfit(("waves", number, key), f"the wave {wave.name} opens on {own.opens}, not before its cutoff, {own.cutoff_date}")


def unread_roles(waves: Waves, directory: DirectorySettings) -> Iterator[tuple[str, str]]:
    """Waves, and the directory roles that they match and that a directory with a list of `roles` does not read: nobody is known to hold
    them."""
    lists = [roles for each in (directory, *directory.join) if (roles := getattr(each, "roles", None)) is not None]
    known = {role.casefold() for roles in lists for role in roles}
    for wave in waves.waves if lists else ():
        for group in wave.match.groups or ():
            role = group.strip().casefold().removeprefix(_ROLE)
            if group.strip().casefold().startswith(_ROLE) and role not in known:
                yield wave.name, group.strip()[len(_ROLE) :]


def ids_by_file(waves: WavesSettings) -> dict[Path, frozenset[str]]:
    """The ids in each file that a wave names: its column `account_id`, or its only column. Raises ConfigError."""
    return {path: _ids(path, wave.name) for wave in waves.root if (path := wave.match.ids)}


def _ids(path: Path, wave: str) -> frozenset[str]:
    where = f"[waves.match] ids of {wave}, {path}"
    try:
        texts.fields_of_any_length()
        rows = [row for row in csv.reader(texts.read(path).splitlines()) if any(cell.strip() for cell in row)]
    except texts.NotTextError as error:
        raise ConfigError(f"{error}.", where=where) from None
    except (OSError, csv.Error) as error:
        raise ConfigError(f"cannot be read ({getattr(error, 'strerror', None) or error}).", where=where) from None
    header = [cell.strip() for cell in rows[0]] if rows else []
    if _COLUMN in header:
        place, rows = header.index(_COLUMN), rows[1:]
    elif all(len(row) == 1 for row in rows):
        place = 0
    else:
        raise ConfigError(
            f"has no column {_COLUMN}, but {len(header)} others.",
            where=where,
            hint=f"Name the column with the ids {_COLUMN} in its first line.",
        )
    short = next((number for number, row in enumerate(rows, 1) if len(row) <= place), None)
    if short is not None:
        raise ConfigError(f"has no {_COLUMN} in row {short} below its header.", where=where)
    ids = frozenset(row[place].strip() for row in rows) - {""}
    if not ids:
        raise ConfigError("lists no id, so the wave would be nobody's.", where=where, hint="Write an account_id a line, or delete `ids`.")
    return ids
