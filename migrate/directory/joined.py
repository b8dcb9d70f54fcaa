"""Several sources as one directory: the first says which accounts exist, and each further one adds columns (design §4, Joins).

A sort-merge join, one further source after the other. Every further source is read first and sorted by the key of its join, in files
(`migrate.directory.join_source`). The accounts are sorted by the key of the first join, get its columns a range of keys at a time, are
sorted again by the key of the next join, and so on. They come out in the order of the last join's key, once everything has been read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from migrate.directory.interface import REQUIRED, Directory, Outlook
from migrate.directory.join_source import JoinSettings, JoinSource, keep_resorts, of_the_join, resorts_of
from migrate.directory.meanings import Meanings
from migrate.directory.united import OUR_WORDS, RANGE
from migrate.errors import DirectoryError

if TYPE_CHECKING:
    import pandas as pd

    from migrate.directory.sorting import Keyed


class JoinedDirectory(Directory):
    """A source of accounts (`first`), and the sources that are joined to it."""

    in_source_order = False

    def __init__(self, first: Directory, joins: Sequence[tuple[JoinSettings, Directory]]) -> None:
        super().__init__(first.settings)
        self.kind = first.kind  # type: ignore[misc]  # of its own, as its source has it
        self._first = first.without_shortcut()
        self._joins = [(settings, source.without_shortcut()) for settings, source in joins]
        self._caveats: tuple[str, ...] = ()

    def watched(self, watch: Callable[[int], None]) -> None:
        for source in (self._first, *(each for _, each in self._joins)):
            source.watched(watch)

    def outlooks(self) -> tuple[Outlook, ...]:
        first = self._first.outlooks()
        with of_the_join():
            return first + tuple(each for _, source in self._joins for each in source.outlooks())

    def describe(self) -> str:
        return " joined with ".join([self._first.describe(), *(source.describe() for _, source in self._joins)])

    def as_of(self) -> datetime | None:
        known = [at for at in (self._first.as_of(), *(source.as_of() for _, source in self._joins)) if at is not None]
        return min(known, default=None)

    def meanings(self) -> Meanings:
        return OUR_WORDS

    def caveats(self) -> tuple[str, ...]:
        return self._caveats

    def frames(self) -> Iterator[pd.DataFrame]:
        from migrate.directory.sorting import KEY
        from migrate.files.spill import scratch_folder

        self._caveats = ()
        with scratch_folder() as folder:
            joins = [JoinSource.read(folder / f"join{number}.arrow", *join) for number, join in enumerate(self._joins)]
            accounts = _keyed(folder / "accounts0.arrow", self._plain(), joins[0].settings.on, self._first.describe())
            resorts = set(resorts_of(self._first))
            for number, join in enumerate(joins):
                join.decide(accounts.columns, resorts)
                frames = _walked(accounts, join)
                if join is not joins[-1]:
                    accounts = _keyed(folder / f"accounts{number + 1}.arrow", frames, joins[number + 1].settings.on, self.describe())
            keep_resorts(self._first, resorts)
            if accounts.rows:
                self._whole([*accounts.columns, *joins[-1].over, *joins[-1].fills])
            for frame in frames:
                yield frame.drop(columns=KEY)
        said = [*self._first.caveats()]
        for join in joins:
            said += [*join.source.caveats(), *join.caveats(self._first.describe())]
        self._caveats = tuple(dict.fromkeys(said))

    def _plain(self) -> Iterator[pd.DataFrame]:
        from migrate.directory.plain import in_our_words

        meanings = self._first.meanings()
        for raw in self._first.frames():
            yield in_our_words(raw, meanings)

    def _whole(self, columns: list[str]) -> None:
        """Raises DirectoryError if no source brings a column that there must be."""
        for ours in REQUIRED:
            if ours not in columns:
                raise DirectoryError(
                    f"{self.describe()}: none of them has a column {ours!r}, and none is named for it.",
                    where="[directory.columns]",
                    hint=f'Name theirs there, or in [directory.join.columns]: {ours} = "…".',
                )


def _keyed(path: Path, frames: Iterator[pd.DataFrame], on: str, where: str) -> Keyed:
    """The accounts, sorted in a file by the key of a join. An account without a key gets one that no row of a join has: a NUL and its
    position."""
    from migrate.directory.sorting import KEY, Keyed, key_of
    from migrate.directory.text import trimmed

    accounts = Keyed(path)
    for frame in frames:
        frame = frame.drop(columns=KEY, errors="ignore")
        if on not in frame and on != "username":
            raise DirectoryError(
                f"{where} has no column {on!r} to join on, and none is named for it.",
                where="[directory.columns]",
                hint=f'Name theirs there: {on} = "…"; or join on another column.',
            )
        key = trimmed(key_of(frame, on))
        accounts.append(frame, key.fillna("\0" + frame["position"].astype("str")))
    accounts.close()
    return accounts


def _walked(accounts: Keyed, join: JoinSource) -> Iterator[pd.DataFrame]:
    """The accounts with the columns that a join adds, a range of keys at a time."""
    from migrate.directory.sorting import ranges

    for low, high in ranges([*accounts.cuts(RANGE), *join.rows.cuts(RANGE)]):
        left, right = accounts.between(low, high), join.rows.between(low, high)
        if left is not None:
            yield join.add_to(left, right)
        elif right is not None:
            join.unmatched(right)
