"""Several sources as one directory: the first says who exists, and each further one brings columns (design §4, Joins).

Both sides are sorted outside of memory by what they are joined on, and walked together. Everything is read before anything is handed over;
accounts come out in the order of the last join's key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import field_validator

from migrate.directory.interface import REQUIRED, Directory, DirectorySettings, Outlook
from migrate.directory.meanings import Meanings
from migrate.directory.profiled import ProfiledDirectory
from migrate.directory.united import COMMON, RANGE, UnitedDirectory
from migrate.errors import ConfigError, DirectoryError

if TYPE_CHECKING:
    import pandas as pd

    from migrate.directory.sorting import Keyed

NAMED: Final = 10
"""How many people a caveat names."""

_TABLE: Final = re.compile(r"^\[directory(?=[.\]])(?!\.join)")

KEEP: Final = frozenset({"account_id", "position", "rejection"})
"""What a join never brings."""


class JoinSettings(DirectorySettings):
    """`[[directory.join]]`, besides the settings of its kind: `on` is the column of ours that both have, `missing` what it says about the
    methods of an account that there is no row for. `registry.table_model` puts the two together."""

    heading: ClassVar[str] = "directory.join"

    on: Literal["account_id", "username", "email"]
    missing: Literal["unknown", "none"] = "unknown"

    @property
    def needed(self) -> tuple[str, ...]:
        return (self.on,)

    @field_validator("join", mode="before")
    @classmethod
    def _one_level(cls, join: Any) -> Any:
        if join:
            raise ValueError("a joined source has no joins; write [[directory.join]] once more instead")
        return join

    @field_validator("timeout")
    @classmethod
    def _one_time(cls, timeout: int) -> int:
        if timeout != DirectorySettings.model_fields["timeout"].default:
            raise ValueError("a joined source has no time of its own; timeout in [directory] is for all of them together")
        return timeout

    @property
    def named(self) -> frozenset[str]:
        """Our columns that the configuration says this source brings."""
        return frozenset(self.columns) | ({"methods"} if self.method_columns else frozenset())


@dataclass(slots=True)
class _Join:
    """A further source while it is read, and what was counted of it."""

    settings: JoinSettings
    source: Directory
    rows: Keyed
    nameless: int = 0
    unreadable: int = 0
    unread: str = ""
    without: int = 0
    without_enabled: int = 0
    shared: int = 0
    only_here: int = 0
    names: list[str] = field(default_factory=list)
    over: tuple[str, ...] = ()
    fills: tuple[str, ...] = ()
    unused: bool = False
    """Both sources have methods, and nobody says that those of this one count."""

    def decide(self, columns: Sequence[str], resorts: set[str]) -> None:
        """Which columns the join brings to accounts that have some: those that it is named for win, others fill what is missing.

        `resorts` are columns that the accounts have only from a last resort of a profile, such as an address from a sign-in name. The join
        replaces them if it has the real column, and they are then removed from `resorts`.
        """
        own = set(_resorts(self.source))
        over, fills = [], []
        for name in self.rows.columns:
            if name in KEEP or name == self.settings.on:
                continue
            if name in self.settings.named or (name in resorts and name not in own):
                over.append(name)
            elif name not in columns or not (name == "methods" or name in own):
                fills.append(name)
            elif name == "methods":
                self.unused = True
        self.over, self.fills = tuple(over), tuple(fills)
        resorts -= set(over)
        _only(self.source, set(fills))

    def a_key(self, rows: pd.DataFrame | None) -> tuple[pd.DataFrame, pd.Series]:
        """Of some rows one a key, by key; and by key why those that contradict each other cannot be used."""
        import pandas as pd

        from migrate.directory.sorting import KEY, contradictions

        brought = [*self.over, *self.fills]
        if rows is None:
            return pd.DataFrame(columns=brought, index=pd.Index([], dtype="str"), dtype="str"), pd.Series(dtype="str")
        here = self.source.describe()
        reasons = contradictions(rows, brought, f"of {here} have this {self.settings.on}")
        broken = rows["rejection"].notna()
        reasons = reasons.mask(broken, "row " + rows["position"].astype("str") + f" of {here}: " + rows["rejection"])
        said = rows[[KEY]].assign(reason=reasons, whole=~broken).dropna(subset=["reason"])
        refused = said.sort_values([KEY, "whole"], kind="stable").drop_duplicates(KEY).set_index(KEY)["reason"]
        good = rows[~rows[KEY].isin(refused.index)]
        if good[KEY].duplicated().any():
            return good.groupby(KEY, sort=False)[brought].first(), refused
        return good.set_index(KEY)[brought], refused

    def unmatched(self, rows: pd.DataFrame) -> None:
        """Counts people that only this source has, and rows that cannot be read; such a row of an account is a reason to reject it."""
        from migrate.directory.sorting import KEY
        from migrate.directory.values import harmless

        broken = rows[rows["rejection"].notna()]
        self.unreadable += len(broken)
        if len(broken) and not self.unread:
            self.unread = f"row {broken['position'].iloc[0]}: {harmless(broken['rejection'].iloc[0], 200)}"
        people = rows[rows["rejection"].isna()].drop_duplicates(KEY)
        self.only_here += len(people)
        named = people[self.settings.on] if self.settings.on in people else people[KEY]
        self.names += [harmless(name) for name in named.head(NAMED - len(self.names))]

    def caveats(self, first: str) -> Iterator[str]:
        """What is to be said about the join."""
        here, on = self.source.describe(), self.settings.on
        if self.only_here:
            such = ", such as " if self.only_here > NAMED else ": "
            who = counted(self.only_here, "person is", "people are")
            yield f"{who} only in {here}, and not in {first}{such}{', '.join(self.names)}"
        if self.without:
            enabled = f"{self.without_enabled:,} of them enabled"
            said = f"{counted(self.without, 'account has', 'accounts have')} no row in {here} ({enabled})"
            means = "an unknown second step" if self.settings.missing == "unknown" else "no second step"
            brings = "methods" in (*self.over, *self.fills)
            yield f"{said}, which counts as {means}: [directory.join] missing" if brings else said
        if self.unused:
            hint = "if these are the right ones, name them in [directory.join.columns]"
            yield f"the methods of {here} are not used, for {first} has methods: {hint}"
        if self.nameless:
            yield f"{counted(self.nameless, 'row', 'rows')} of {here} without {on} left out"
        if self.unreadable:
            rows = counted(self.unreadable, "row", "rows")
            yield f"{rows} of {here} cannot be read, and no account of {first} has their {on}: such as {self.unread}"
        if self.shared:
            yield f"{counted(self.shared, 'account', 'accounts')} of {first} with the {on} of another account share its row of {here}"


def counted(number: int, one: str, several: str) -> str:
    """A number with the word that goes with it."""
    return f"{number:,} {one if number == 1 else several}"


class JoinedDirectory(Directory):
    """A source, and those joined to it."""

    in_source_order = False

    def __init__(self, first: Directory, joins: Sequence[tuple[JoinSettings, Directory]]) -> None:
        super().__init__(first.settings)
        self.kind = first.kind  # type: ignore[misc]  # of its own, as its source has it
        self._first = first.without_shortcut()
        self._joins = [(settings, source.without_shortcut()) for settings, source in joins]
        self._caveats: tuple[str, ...] = ()

    def begun(self) -> AbstractContextManager[None]:
        return nullcontext()

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
        return COMMON

    def caveats(self) -> tuple[str, ...]:
        return self._caveats

    def frames(self) -> Iterator[pd.DataFrame]:
        from migrate.directory.sorting import KEY
        from migrate.files.spill import scratch_folder

        self._caveats = ()
        with scratch_folder() as folder:
            joins = [_read(folder / f"join{number}.arrow", *join) for number, join in enumerate(self._joins)]
            accounts = _keyed(folder / "accounts0.arrow", self._plain(), joins[0].settings.on, self._first.describe())
            resorts = set(_resorts(self._first))
            for number, join in enumerate(joins):
                join.decide(accounts.columns, resorts)
                frames = _walked(accounts, join)
                if join is not joins[-1]:
                    accounts = _keyed(folder / f"accounts{number + 1}.arrow", frames, joins[number + 1].settings.on, self.describe())
            _only(self._first, resorts)
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


def _resorts(source: Directory) -> tuple[str, ...]:
    found = source.source if isinstance(source, UnitedDirectory) else source
    return found.resorts if isinstance(found, ProfiledDirectory) else ()


def _only(source: Directory, resorts: set[str]) -> None:
    """Restricts the caveats of a source about last resorts to these columns: the others are not used."""
    found = source.source if isinstance(source, UnitedDirectory) else source
    if isinstance(found, ProfiledDirectory):
        found.resorts = tuple(ours for ours in found.resorts if ours in resorts)


@contextmanager
def of_the_join() -> Iterator[None]:
    """What a source says of its settings, said of the table in which they are."""
    try:
        yield
    except (ConfigError, DirectoryError) as error:
        raise type(error)(error.what, where=_TABLE.sub("[directory.join", error.where or ""), hint=error.hint) from error


def _read(path: Path, settings: JoinSettings, source: Directory) -> _Join:
    """A further source, read to the end and sorted by its key."""
    from migrate.directory.plain import in_our_words
    from migrate.directory.sorting import Keyed, key_of
    from migrate.directory.text import trimmed

    join = _Join(settings, source, Keyed(path))
    meanings = source.meanings()
    with of_the_join():
        for raw in source.frames():
            frame = in_our_words(raw, meanings)
            key = trimmed(key_of(frame, settings.on))
            there = key.notna()
            join.nameless += int((~there).sum())
            join.rows.append(frame[there], key[there])
    join.rows.close()
    if not join.rows.rows:
        hint = f"Export it again, or correct [directory.join.columns] {settings.on}."
        raise DirectoryError(f"{source.describe()} has no row with a {settings.on}.", where="[directory.join]", hint=hint)
    return join


def _keyed(path: Path, frames: Iterator[pd.DataFrame], on: str, where: str) -> Keyed:
    """Accounts by the key of a join. An account without one has a key that no row of a join has: its position, behind a NUL."""
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


def _walked(accounts: Keyed, join: _Join) -> Iterator[pd.DataFrame]:
    """The accounts with what a join brings, a range of keys at a time."""
    from migrate.directory.sorting import ranges

    for low, high in ranges([*accounts.cuts(RANGE), *join.rows.cuts(RANGE)]):
        left, right = accounts.between(low, high), join.rows.between(low, high)
        if left is not None:
            yield _brought(left, right, join)
        elif right is not None:
            join.unmatched(right)


def _brought(left: pd.DataFrame, right: pd.DataFrame | None, join: _Join) -> pd.DataFrame:
    """Accounts with what the rows of their keys bring; `right` are those rows, if there are any."""
    import numpy as np
    import pandas as pd

    from migrate.directory.plain import joined_reasons, listed
    from migrate.directory.sorting import KEY

    keys = left[KEY]
    rows, refused = join.a_key(right)
    there = keys.isin(rows.index) | keys.isin(refused.index)
    theirs = rows.reindex(keys).set_axis(left.index)
    found: dict[str, pd.Series] = {}
    for name in (*join.over, *join.fills):
        own = left[name] if name in left else pd.Series(np.nan, index=left.index, dtype="str")
        if name == "methods":
            found[name] = theirs[name].mask(~there, listed(["unknown"]) if join.settings.missing == "unknown" else None)
        elif name in join.over:
            found[name] = theirs[name].where(theirs[name].notna(), own)
        else:
            found[name] = own.where(own.notna(), theirs[name])
    frame = left.assign(**{name: column.astype("str") for name, column in found.items()})
    if len(refused):
        frame["rejection"] = joined_reasons(frame["rejection"], keys.map(refused).astype("str"))
    without = ~there & frame["rejection"].isna()
    join.without += int(without.sum())
    join.without_enabled += int((without & (frame["enabled"] != "no")).sum() if "enabled" in frame else without.sum())
    join.shared += int((keys.duplicated(keep=False) & there).sum())
    if right is not None:
        join.unmatched(right[~right[KEY].isin(keys)])
    return frame
