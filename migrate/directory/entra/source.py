"""The directory of kind `entra` (design §4, §16)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from migrate.directory.entra.settings import EntraSettings
from migrate.directory.interface import Directory, DirectorySettings, Outlook
from migrate.directory.meanings import Meanings
from migrate.directory.method_words import MethodWords, vendor_words
from migrate.directory.web import needs

if TYPE_CHECKING:
    import pandas as pd

    from migrate.directory.web.budget import Clock


class EntraDirectory(Directory):
    """Reads one tenant of Microsoft Entra ID through Microsoft Graph. `clock`: the clock by which calls wait; tests set a faster one."""

    kind = "entra"
    Settings = EntraSettings
    words = vendor_words("entra")
    clock: ClassVar[Clock | None] = None

    settings: EntraSettings

    def __init__(self, settings: DirectorySettings) -> None:
        super().__init__(settings)
        self._caveats: tuple[str, ...] = ()

    def describe(self) -> str:
        return f"the users of {self.settings.tenant} in Entra ID ({urlsplit(self.settings.graph).netloc})"

    def meanings(self) -> Meanings:
        return Meanings.of(self._words(), {})

    def caveats(self) -> tuple[str, ...]:
        return self._caveats

    def frames(self) -> Iterator[pd.DataFrame]:
        needs("entra", "httpx", "msal")
        from migrate.directory.entra.reading import Reading
        from migrate.directory.web.budget import CLOCK

        self._caveats = ()
        reading = Reading(self.settings, self._words(), self.clock or CLOCK, self.heard, joined=bool(self.settings.join))
        yield from reading.frames()
        self._caveats = tuple(sorted(reading.caveats))  # several threads add them, in any order

    def outlooks(self) -> tuple[Outlook, ...]:
        needs("entra", "httpx", "msal")
        from migrate.directory.entra.outlook import outlook
        from migrate.directory.web.budget import CLOCK

        return (outlook(self.settings, self.clock or CLOCK),)

    def _words(self) -> MethodWords:
        return MethodWords(self.words, self.settings.methods)
