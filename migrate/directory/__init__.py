"""The directory: where accounts are read from, one file a kind (design §2, §4).

A directory hands over raw rows under our column names; `read` translates them, once, into the frames everything after it
trusts. `interface` is the seam an author implements, `registry` finds the implementation of a `kind`, `translate` is the one
place where a source's values become ours, `testing` is the harness every directory must pass.
"""

from migrate.directory.interface import Directory, DirectorySettings, Outlook, Tally, read
from migrate.directory.registry import kinds, mapping_digest, open_directory, settings_model, table_model

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
