"""A directory whose rows come from another one, and are changed on the way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from migrate.directory.interface import Directory, Outlook


class WrappedDirectory(Directory):
    """Reads `source`; a subclass says what becomes of its rows. Everything else is as the source has it."""

    def __init__(self, source: Directory) -> None:
        super().__init__(source.settings)
        self.kind = source.kind  # type: ignore[misc]  # of its own, as its source has it
        self.source = source.without_shortcut()

    def watched(self, watch: Callable[[int], None]) -> None:
        self.source.watched(watch)

    def outlooks(self) -> tuple[Outlook, ...]:
        return self.source.outlooks()

    def describe(self) -> str:
        return self.source.describe()

    def as_of(self) -> datetime | None:
        return self.source.as_of()

    def caveats(self) -> tuple[str, ...]:
        return self.source.caveats()
