"""The directory of kind `privacyidea` (design §4, §16)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from migrate.directory.interface import Directory, DirectorySettings, Outlook
from migrate.directory.meanings import Meanings
from migrate.directory.method_words import MethodWords, vendor_words
from migrate.directory.privacyidea.settings import PrivacyIdeaSettings
from migrate.directory.web import needs

if TYPE_CHECKING:
    import pandas as pd

    from migrate.directory.web.budget import Clock


class PrivacyIdeaDirectory(Directory):
    """Reads one realm of a privacyIDEA server. `clock`: the clock by which calls wait; tests set a faster one."""

    kind = "privacyidea"
    Settings = PrivacyIdeaSettings
    words = vendor_words("privacyidea")
    clock: ClassVar[Clock | None] = None

    settings: PrivacyIdeaSettings

    def __init__(self, settings: DirectorySettings) -> None:
        super().__init__(settings)
        self._caveats: tuple[str, ...] = ()

    def describe(self) -> str:
        what = "the users" if self.settings.users else "the tokens"
        return f"{what} of realm {self.settings.realm} in privacyIDEA ({self.settings.host})"

    def meanings(self) -> Meanings:
        return Meanings.of(self._words(), self.settings.columns)

    def caveats(self) -> tuple[str, ...]:
        return self._caveats

    def frames(self) -> Iterator[pd.DataFrame]:
        needs("privacyidea", "httpx")
        from migrate.directory.privacyidea.reading import Reading
        from migrate.directory.web.budget import CLOCK

        self._caveats = ()
        reading = Reading(self.settings, self._words(), self.clock or CLOCK, self.heard)
        yield from reading.frames()
        self._caveats = tuple(reading.caveats)

    def outlooks(self) -> tuple[Outlook, ...]:
        needs("privacyidea", "httpx")
        from migrate.directory.privacyidea.outlook import outlook
        from migrate.directory.web.budget import CLOCK

        return (outlook(self.settings, self.clock or CLOCK),)

    def _words(self) -> MethodWords:
        return MethodWords(self.words, self.settings.methods)
