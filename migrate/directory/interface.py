"""The interface of every directory (`Directory`), and the settings that all kinds share.

To add a directory, write one file with a `Directory` subclass and its settings, and one line in `registry`; or, outside this package, an
entry point in the group `migrate.directories`. `migrate.directory.testing` checks that it keeps the contract.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar, Final, Literal, Self

from pydantic import Field, InstanceOf, field_validator, model_validator

from migrate.core.accounts import ACCOUNT_COLUMNS, ACCOUNT_TYPES, METHODS
from migrate.directory.column_settings import Column, ColumnSettings
from migrate.directory.meanings import Meanings
from migrate.directory.method_words import COMMON, MethodWords, spelling
from migrate.directory.profiles import PROFILES
from migrate.directory.vocabulary import NO_STEP
from migrate.errors import DirectoryError
from migrate.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

METHOD_PREFIX: Final = "methods."
"""A raw column `methods.<word>` holds whether that one method is registered (`[directory.method_columns]`)."""

REQUIRED: Final = ("account_id", "email", "methods")

YES_NO: Final = tuple(name for name, dtype in ACCOUNT_COLUMNS.items() if dtype in ("bool", "boolean"))
"""Our yes/no columns."""


def near(word: str, known: Iterable[str]) -> str:
    """The end of an error's sentence: the known words that are similar to a misspelt one, or some known words if none is similar."""
    known = list(known)
    if alike := get_close_matches(word, known, n=3, cutoff=0.6):
        return f"did you mean {' or '.join(repr(each) for each in alike)}?"
    return f"there are {', '.join(known[:20])}{', …' * (len(known) > 20)}."


def _near(word: str, known: Iterable[str]) -> str:
    return near(word, known).removesuffix(".")  # the configuration ends the sentences of its keys


class DirectorySettings(Settings):
    """The settings of every `[directory]`; the settings model of a kind adds its own keys.

    `columns`: our column → theirs. `methods`: their method word → ours, or `none` for a word that is no second step.
    `method_columns`: method word → their yes/no column for it, instead of one column of words.
    `rows`: whether a row of the source is an account or one method of an account; by default as the profile says, or else an account.
    `profile`: the known export that the source is; it knows columns and words, and other settings win over it.
    `timeout`: seconds that the whole read may take, joins included; 0 is no limit.
    `join`: further sources, `[[directory.join]]`; `registry.table_model` gives each the model of its kind.
    """

    heading: ClassVar[str] = "directory"
    """The name of the table in the configuration, for errors."""
    written: ClassVar[tuple[str, ...]] = ()
    """Settings that `migrate init --kind` writes although they are optional: of several ways to sign in, those of the usual one."""
    refused: ClassVar[tuple[str, ...]] = ()
    """Common settings that this kind refuses; `migrate init --kind` leaves them out."""

    kind: str
    profile: str | None = None
    rows: Literal["accounts", "methods"] | None = None
    join: tuple[InstanceOf[Settings], ...] = ()
    columns: dict[str, Column] = Field(default_factory=dict)
    methods: dict[str, str] = Field(default_factory=dict)
    method_columns: dict[str, str] = Field(default_factory=dict)
    timeout: int = Field(3600, ge=0, le=604_800)

    @property
    def needed(self) -> tuple[str, ...]:
        """Our columns that this source must have. With joins it is the id alone, since a join may bring the others."""
        return ("account_id",) if self.join else REQUIRED

    def header_read(self, header: Sequence[str]) -> None:
        """Called with the names of the source's columns, before ours are looked up among them. A model that serves only to learn a file's
        header overrides this, and raises."""

    @field_validator("profile")
    @classmethod
    def _known_profile(cls, profile: str | None) -> str | None:
        if profile is not None and profile not in PROFILES:
            raise ValueError(f"{profile!r} is no profile; {_near(profile, PROFILES)}")
        return profile

    @field_validator("columns")
    @classmethod
    def _our_columns(cls, columns: dict[str, ColumnSettings]) -> dict[str, ColumnSettings]:
        for ours, column in columns.items():
            if ours not in ACCOUNT_COLUMNS:
                raise ValueError(f"{ours!r} is none of our columns (write ours = theirs); {_near(ours, ACCOUNT_COLUMNS)}")
            if (column.yes or column.no or column.opposite) and ours not in YES_NO:
                raise ValueError(f"{ours!r} is no yes/no column, so that it has neither yes, no nor not; those are {', '.join(YES_NO)}")
            if column.words and ours != "account_type":
                raise ValueError(f"{ours!r} has no words; account_type has, and methods have theirs in [directory.methods]")
            for theirs, word in column.words.items():
                if word not in ACCOUNT_TYPES:
                    raise ValueError(f"{theirs!r} is given as {word!r}, which is no type of account; {_near(word, ACCOUNT_TYPES)}")
        return columns

    @field_validator("methods")
    @classmethod
    def _our_methods(cls, methods: dict[str, str]) -> dict[str, str]:
        meant: dict[str, str] = {}
        for theirs, ours in methods.items():
            if ours not in METHODS and ours != NO_STEP:
                raise ValueError(f"{ours!r} is no method (their word = ours); {_near(ours, (*METHODS, NO_STEP))}")
            if meant.setdefault(spelling(theirs), ours) != ours:
                raise ValueError(f"{theirs!r} is given two meanings; case, hyphens and underscores make no difference")
        return methods

    @model_validator(mode="after")
    def _one_source_of_methods(self) -> Self:
        if self.method_columns and "methods" in self.columns:
            raise ValueError("columns.methods and method_columns exclude each other; keep the one the source has")
        configured = {spelling(word): ours for word, ours in self.methods.items()}
        for word in self.method_columns:
            if (COMMON | configured).get(spelling(word), NO_STEP) == NO_STEP:
                raise ValueError(f"method_columns: {word!r} is no method (method = their column); {_near(word, METHODS)}")
        return self


@dataclass(frozen=True, slots=True)
class Outlook:
    """What `check` says of a directory before it is read. `said`: a sentence. `warnings`: what will not be known. `wrong`: errors that
    would end a read."""

    said: str
    warnings: tuple[str, ...] = ()
    wrong: tuple[DirectoryError, ...] = ()


class Directory(ABC):
    """A source of accounts."""

    kind: ClassVar[str]
    Settings: ClassVar[type[DirectorySettings]]
    words: ClassVar[Mapping[str, str]] = {}
    """The directory's own method words → ours, added to the common ones of `migrate.directory.method_words`."""
    in_source_order: bool = True
    """False if `frames` gives the rows in another order than the source's, so that their positions do not increase."""

    def __init__(self, settings: DirectorySettings) -> None:
        self.settings = settings
        self.heard: Callable[[int], None] = lambda _: None

    @abstractmethod
    def frames(self) -> Iterator[pd.DataFrame]:
        """The whole directory, a chunk of rows at a time, in the source's order (but see `in_source_order`). Reads everything, or raises
        DirectoryError.

        Columns: any of ours (`migrate.core.accounts.ACCOUNT_COLUMNS`), with the values as the source gives them (text, numbers, booleans,
        instants, lists; missing is None or NaN). `account_id` and `email` are always there, and `methods` or at least one
        `methods.<word>`; a source of a join needs only `account_id` and the column that it is joined on. Besides: `position`, the row's
        number in the source, from 1; and, if the source itself shows that a row is broken, `rejection`, the reason.
        """

    def begun(self) -> AbstractContextManager[None]:
        """A context in which a thread reads the first frames in advance, if the directory can do that; `frames` then begins with them."""
        return nullcontext()

    def without_shortcut(self) -> Directory:
        """The same directory, read without a shortcut: for use after `frames` raised `migrate.directory.arrow.ShortcutRefused`."""
        return self

    def watched(self, watch: Callable[[int], None]) -> None:
        """Sets a function that is called with the number of further records read while `frames` has nothing to give yet; perhaps in
        another thread."""
        self.heard = watch

    def outlooks(self) -> tuple[Outlook, ...]:
        """What `check` says of each source before it is read, such as missing permissions and the cost of a read. Raises DirectoryError."""
        return ()

    @abstractmethod
    def describe(self) -> str:
        """What is read and from where, in one line without secrets."""

    def meanings(self) -> Meanings:
        """What the words of this source mean."""
        settings = self.settings
        return Meanings.of(MethodWords(self.words, settings.methods), settings.columns)

    def as_of(self) -> datetime | None:
        """The instant whose state the source shows, such as the last change of a file. None means the time of the read."""
        return None

    def caveats(self) -> tuple[str, ...]:
        """What makes the last complete read less reliable, or was corrected in it; a sentence each without its full stop.

        Complete once `frames` is exhausted (design §4, Caveats). `check`, the summary of a run, the evidence and the report page show it.
        """
        return ()


@dataclass(slots=True)
class Tally:
    """What `read` counts; complete when it is exhausted.

    `rows`: all rows. `rejected`: rows that are no accounts. `unknown_words`: unknown method words, as the source spells them, each counted
    once for each row. By column: `unreadable_instants`, instants that became null; `lost_lists`, lists in whose place the export wrote
    something else, and every list of `may_enrol` that cannot be read; `cut`, values and lists that were cut because they are too long.
    """

    rows: int = 0
    rejected: int = 0
    unknown_words: Counter[str] = field(default_factory=Counter)
    unreadable_instants: Counter[str] = field(default_factory=Counter)
    lost_lists: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)

    def caveats(self) -> tuple[str, ...]:
        """What makes the read less reliable, a sentence each without its full stop."""
        return tuple(
            f"{count:,} {'row has' if count == 1 else 'rows have'} more in {name} than is kept: what is too long was cut (…)"
            for name, count in self.cut.items()
        )
