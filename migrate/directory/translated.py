"""The rows of a directory, read and translated: what every later step trusts (design §2, §4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from migrate.directory.interface import Directory, Tally

if TYPE_CHECKING:
    import pandas as pd


def read(directory: Directory, *, language: str, tally: Tally) -> Iterator[pd.DataFrame]:
    """The rows of a directory as frames of `ROW_COLUMNS`, in the order of `Directory.frames`; `language` replaces a missing or unreadable
    locale. Raises DirectoryError, also after `[directory] timeout` seconds, or for more than `bounds.ROWS` rows."""
    from migrate.directory.bounds import Deadline, counted
    from migrate.directory.translate import Translator

    translator = Translator(directory, language=language, tally=tally)
    for raw in counted(directory.without_shortcut(), Deadline(directory.settings.timeout)):
        yield translator.translate(raw)
