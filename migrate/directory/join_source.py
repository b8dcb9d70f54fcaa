"""A further source of a join (`[[directory.join]]`): its settings, its rows sorted by the key, and what it brings to the accounts.

`JoinedDirectory` reads each source to its end (`JoinSource.read`), lets it choose the columns that it brings (`decide`), and then hands it
the accounts of one range of keys after the other, together with the source's own rows of that range (`add_to`). What is odd is counted on
the way, and said at the end (`caveats`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import field_validator

from migrate.directory.interface import Directory, DirectorySettings
from migrate.directory.profiled import ProfiledDirectory
from migrate.directory.united import UnitedDirectory
from migrate.errors import ConfigError, DirectoryError

if TYPE_CHECKING:
    import pandas as pd

    from migrate.directory.sorting import Keyed

NAMED: Final = 10
"""How many people a caveat names at most."""

_TABLE: Final = re.compile(r"^\[directory(?=[.\]])(?!\.join)")

KEEP: Final = frozenset({"account_id", "position", "rejection"})
"""Columns of the accounts that a join never overwrites."""


class JoinSettings(DirectorySettings):
    """The settings that every `[[directory.join]]` has; `registry.table_model` adds those of its kind.

    `on`: our column that both sides have and are joined on. `missing`: the methods of an account that has no row in this source, either
    `unknown` or `none`.
    """

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
        """Our columns that the configuration names for this source."""
        return frozenset(self.columns) | ({"methods"} if self.method_columns else frozenset())


@dataclass(slots=True)
class JoinSource:
    """A further source, its `rows` sorted by the key of the join, and what was counted of it.

    `over`: columns whose value here wins over the account's own. `fills`: columns whose value is taken only where the account has none.
    `nameless`: rows without a key. `unreadable`: rejected rows that belong to no account; `unread` describes the first. `without`: accounts
    that have no row here, `without_enabled` of them enabled. `shared`: accounts that share a row here with another account. `only_here`:
    people who are in no account; `names` has the first of them.
    """

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
    """Both sources have methods, and the configuration does not name those of this one: they are not used."""

    @classmethod
    def read(cls, path: Path, settings: JoinSettings, source: Directory) -> JoinSource:
        """A further source, read to the end and sorted by its key."""
        from migrate.directory.plain import in_our_words
        from migrate.directory.sorting import Keyed, key_of
        from migrate.directory.text import trimmed

        join = cls(settings, source, Keyed(path))
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

    def decide(self, columns: Sequence[str], resorts: set[str]) -> None:
        """Chooses the columns that this source brings to accounts with `columns`: `over` and `fills`.

        A column that the configuration names for this source wins over the accounts' own; any other only fills gaps. `resorts` are columns
        that the accounts have only from a last resort of a profile, such as an address from a sign-in name. The source replaces them if it
        has the real column, and they are then removed from `resorts`.
        """
        own = set(resorts_of(self.source))
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
        keep_resorts(self.source, set(fills))

    def _one_a_key(self, rows: pd.DataFrame | None) -> tuple[pd.DataFrame, pd.Series]:
        """The columns that `rows` bring, one row for each key, indexed by key; and, indexed by key, the reason why the rows of a key
        cannot be used: they contradict each other, or one of them is rejected."""
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

    def add_to(self, left: pd.DataFrame, right: pd.DataFrame | None) -> pd.DataFrame:
        """The accounts `left` of a range of keys, with the columns that this source's rows of the range (`right`) bring to them.

        An account whose rows here cannot be used is rejected. Counts the accounts without a row, and the rows without an account.
        """
        import numpy as np
        import pandas as pd

        from migrate.directory.plain import joined_reasons, listed
        from migrate.directory.sorting import KEY

        keys = left[KEY]
        rows, refused = self._one_a_key(right)
        there = keys.isin(rows.index) | keys.isin(refused.index)
        theirs = rows.reindex(keys).set_axis(left.index)
        columns: dict[str, pd.Series] = {}
        for name in (*self.over, *self.fills):
            own = left[name] if name in left else pd.Series(np.nan, index=left.index, dtype="str")
            if name == "methods":
                columns[name] = theirs[name].mask(~there, listed(["unknown"]) if self.settings.missing == "unknown" else None)
            elif name in self.over:
                columns[name] = theirs[name].where(theirs[name].notna(), own)
            else:
                columns[name] = own.where(own.notna(), theirs[name])
        frame = left.assign(**{name: column.astype("str") for name, column in columns.items()})
        if len(refused):
            frame["rejection"] = joined_reasons(frame["rejection"], keys.map(refused).astype("str"))
        without = ~there & frame["rejection"].isna()
        self.without += int(without.sum())
        self.without_enabled += int((without & (frame["enabled"] != "no")).sum() if "enabled" in frame else without.sum())
        self.shared += int((keys.duplicated(keep=False) & there).sum())
        if right is not None:
            self.unmatched(right[~right[KEY].isin(keys)])
        return frame

    def unmatched(self, rows: pd.DataFrame) -> None:
        """Counts rows that belong to no account: people whom only this source has, and rows that cannot be read."""
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
        """What a run says about this join, a sentence each without its full stop; `first` describes the source of the accounts."""
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


def resorts_of(source: Directory) -> tuple[str, ...]:
    """Our columns that a source has, in its last read, only from a last resort of its profile."""
    profiled = source.source if isinstance(source, UnitedDirectory) else source
    return profiled.resorts if isinstance(profiled, ProfiledDirectory) else ()


def keep_resorts(source: Directory, resorts: set[str]) -> None:
    """Keeps the caveats of a source about last resorts for these columns only, since the others are not used."""
    profiled = source.source if isinstance(source, UnitedDirectory) else source
    if isinstance(profiled, ProfiledDirectory):
        profiled.resorts = tuple(ours for ours in profiled.resorts if ours in resorts)


@contextmanager
def of_the_join() -> Iterator[None]:
    """Lets errors of a source name `[directory.join]`, where its settings stand, instead of `[directory]`."""
    try:
        yield
    except (ConfigError, DirectoryError) as error:
        raise type(error)(error.what, where=_TABLE.sub("[directory.join", error.where or ""), hint=error.hint) from error


def counted(number: int, one: str, several: str) -> str:
    """The number with the singular or the plural: "1 row", "2 rows"."""
    return f"{number:,} {one if number == 1 else several}"
