"""Reads directories over HTTP: calls, rate limits, paging and batches, the same for every product.

A read is complete, or ends in a `DirectoryError`. A call that failed for a passing reason is tried again a few times; any other failure
ends the read.
"""

from __future__ import annotations

from importlib import import_module

from migrate.errors import DirectoryError


def needs(extra: str, *libraries: str) -> None:
    """Raises DirectoryError if a library is missing that a kind of directory needs; `extra` is the extra of our package that has it."""
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
