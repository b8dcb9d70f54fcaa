"""A source that is a known export, read with the knowledge of its profile (design §4, Profiles)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from migrate.directory.column_settings import ColumnSettings
from migrate.directory.columns import RESORT
from migrate.directory.interface import Directory, DirectorySettings
from migrate.directory.meanings import Meanings
from migrate.directory.method_words import MethodWords, vendor_words
from migrate.directory.profiles import BESIDE, Profile, profile
from migrate.directory.wrapped import WrappedDirectory

if TYPE_CHECKING:
    import pandas as pd


def rows_are_methods(settings: DirectorySettings) -> bool:
    """True if a row of the source is one method: by `rows` of the configuration, or else by the profile."""
    rows = settings.rows or (profile(settings.profile).rows if settings.profile else "accounts")
    return rows == "methods"


def words_of(own: Mapping[str, str], settings: DirectorySettings) -> MethodWords:
    """The method words of a source: those of its kind, its profile and the configuration; later ones win."""
    vendor = profile(settings.profile).vendor if settings.profile else None
    return MethodWords({**own, **(vendor_words(vendor) if vendor else {})}, settings.methods)


class ProfiledDirectory(WrappedDirectory):
    """Another directory, with the columns and words that its profile knows."""

    def __init__(self, source: Directory) -> None:
        super().__init__(source)
        self.profile: Profile = profile(source.settings.profile or "")
        self.in_source_order = source.in_source_order
        self.resorts: tuple[str, ...] = ()
        """Our columns that the last read took from a last resort of the profile (`Profile.resorts`)."""
        self._words = words_of(source.words, source.settings)
        self._nobody = 0

    def meanings(self) -> Meanings:
        columns = {ours: self._of_profile(ours) for ours in (*self.profile.yes_no, *(("account_type",) if self.profile.types else ()))}
        for ours, set_so in self.settings.columns.items():
            known = columns.get(ours)
            if known is not None and not (set_so.yes or set_so.no or set_so.opposite or set_so.words):
                set_so = set_so.model_copy(update={"yes": known.yes, "no": known.no, "words": known.words})
            columns[ours] = set_so
        return Meanings.of(self._words, columns)

    def _of_profile(self, ours: str) -> ColumnSettings:
        yes, no = self.profile.yes_no.get(ours, ((), ()))
        types = dict(self.profile.types) if ours == "account_type" else {}
        return ColumnSettings.model_validate({"column": ours, "yes": yes, "no": no, "words": types})

    def caveats(self) -> tuple[str, ...]:
        said = [*super().caveats(), *self.profile.caveats]
        said += [f"{self.describe()}: {self.profile.resorts[ours][1]}" for ours in self.resorts]
        if self._nobody:
            said.append(f"{self._nobody:,} row{'s' * (self._nobody != 1)} of {self.describe()} without an owner left out")
        return tuple(said)

    def frames(self) -> Iterator[pd.DataFrame]:
        self.resorts, self._nobody = (), 0
        for raw in self.source.frames():
            frame = self._cleared(raw)
            self.resorts = tuple(name.removeprefix(RESORT) for name in frame.columns if name.startswith(RESORT))
            if self.profile.finish is not None:
                frame = self.profile.finish(frame, self._words)
            frame = self._of_somebody(frame)
            yield frame[[name for name in frame.columns if not name.startswith(BESIDE)]]

    def _cleared(self, raw: pd.DataFrame) -> pd.DataFrame:
        """The frame without values that the profile says stand for no value."""
        if not self.profile.nothing:
            return raw
        from migrate.directory.text import as_text, trimmed

        cleared = {}
        for name in raw.columns.difference(["position", "rejection"], sort=False):
            nothing = trimmed(as_text(raw[name])).str.casefold().isin(self.profile.nothing)
            if nothing.any():
                cleared[name] = raw[name].mask(nothing)
        return raw.assign(**cleared)

    def _of_somebody(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame without rows that are about nobody (`Profile.nobody`), which are counted."""
        if not self.profile.nobody or not set(self.profile.nobody) <= set(frame):
            return frame
        from migrate.directory.text import as_text, trimmed

        nobody = frame["rejection"].isna() if "rejection" in frame else frame["position"].notna()
        for name in self.profile.nobody:
            nobody &= trimmed(as_text(frame[name])).isna()
        self._nobody += int(nobody.sum())
        return frame[~nobody]
