"""Directories: the sources that accounts are read from, one module or folder for each kind (design §2, §4).

A directory gives raw rows under our column names. `read` translates them, once, to the frames that all later steps trust. `interface` is
what the author of a directory implements; `registry` finds the implementation of a `kind`; `translate` turns a source's values into ours;
`testing` is the test harness that every directory must pass.
"""

from migrate.directory.interface import Directory, DirectorySettings, Outlook, Tally
from migrate.directory.registry import kinds, mapping_digest, open_directory, settings_model, table_model
from migrate.directory.translated import read

__all__ = [
    "Directory",
    "DirectorySettings",
    "Outlook",
    "Tally",
    "kinds",
    "mapping_digest",
    "open_directory",
    "read",
    "settings_model",
    "table_model",
]
