"""Directories that are asked over HTTP: one way to call, to wait, to page and to batch, whatever the product.

A read through this room is whole or a `DirectoryError`: a call that may pass is tried again, in bounds; anything else ends the read.
"""

from __future__ import annotations

from importlib import import_module

from migrate.errors import DirectoryError


def needs(extra: str, *libraries: str) -> None:
    """Raises DirectoryError if a library is not installed without which a kind of directory cannot be read."""
    for library in libraries:
        try:
            import_module(library)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] != library:
                raise
            raise DirectoryError(
                f'kind = "{extra}" needs a library that is not installed ({library}).',
                where="[directory] kind",
                hint=f"Type `pip install 'sms-migrate[{extra}]'`.",
            ) from error
