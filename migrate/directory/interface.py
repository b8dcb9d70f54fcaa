"""The seam: what a directory is, the settings all kinds share, and the one verb, `read`.

To add a directory, write one file with a `Directory` subclass and its settings, and one line in `registry`; or, outside this
package, an entry point in the group `migrate.directories`. `migrate.directory.testing` tells whether it keeps the contract.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, Field, InstanceOf, field_validator, model_validator

from migrate.core.accounts import ACCOUNT_COLUMNS, ACCOUNT_TYPES, METHODS
from migrate.directory.meanings import Meanings
from migrate.directory.profiles import PROFILES
from migrate.directory.vocabulary import NO_STEP
from migrate.directory.words import COMMON, MethodWords, spelling
from migrate.errors import DirectoryError
from migrate.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

METHOD_PREFIX: Final = "methods."
"""A raw column `methods.<word>` holds whether that one method is registered (`[directory.method_columns]`)."""

REQUIRED: Final = ("account_id", "email", "methods")

YES_NO: Final = tuple(name for name, dtype in ACCOUNT_COLUMNS.items() if dtype in ("bool", "boolean"))
"""Our columns that say yes or no."""


def near(word: str, known: Iterable[str]) -> str:
    """The end of a sentence: the known words most like a mistaken one, or some of them when none is alike."""
    known = list(known)
    if alike := get_close_matches(word, known, n=3, cutoff=0.6):
        return f"did you mean {' or '.join(repr(each) for each in alike)}?"
    return f"there are {', '.join(known[:20])}{', …' * (len(known) > 20)}."


def _near(word: str, known: Iterable[str]) -> str:
    return near(word, known).removesuffix(".")  # the configuration ends the sentences of its keys


class ColumnSettings(Settings):
    """Where one of our columns is read from: `column` is theirs, or `not` one of theirs that says the opposite.

    `yes` and `no` are their words of a yes/no column, besides the common ones; `words` is their word → ours, of `account_type`.
    """

    column: str | None = Field(None, min_length=1)
    opposite: str | None = Field(None, min_length=1, alias="not")
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()
    words: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_column(self) -> Self:
        if (self.column is None) == (self.opposite is None):
            raise ValueError('names either column = "theirs", or not = "theirs" for a column that says the opposite')
        if both := {spelling(word) for word in self.yes} & {spelling(word) for word in self.no}:
            raise ValueError(f"gives {min(both)!r} as yes and as no")
        return self

    @property
    def theirs(self) -> str:
        """The name of their column."""
        return self.column or self.opposite or ""


def _column(value: object) -> object:
    if not isinstance(value, (str, dict, ColumnSettings)):
        raise ValueError('should be the name of their column, or a table such as { column = "theirs" }')
    return {"column": value} if isinstance(value, str) else value


Column = Annotated[ColumnSettings, BeforeValidator(_column)]
"""`"theirs"` alone is short for `{ column = "theirs" }`."""


class DirectorySettings(Settings):
    """What every `[directory]` has; a kind's own settings model adds its keys.

    `columns`: our column → theirs. `methods`: their method word → ours, or `none` for a word that is no second step.
    `method_columns`: method word → a column that says yes or no, instead of one column of words.
    `rows`: what a row of the source is: an account, or one method of an account (rows of one id are united);
    if it is not set, as the profile has it, or else an account.
    `profile`: the known export that the source is; it finds columns and knows words, and whatever is set beside it wins.
    `timeout`: seconds that the whole read may take, joins included; 0 is no limit.
    `join`: further sources, `[[directory.join]]`; `registry.table_model` makes the models of a file's own.
    """

    heading: ClassVar[str] = "directory"
    """The table of the configuration that these settings are, for errors."""
    written: ClassVar[tuple[str, ...]] = ()
    """Settings that `migrate init --kind` writes though they have a default: of several ways the usual one."""
    refused: ClassVar[tuple[str, ...]] = ()
    """Settings that every kind has, and this one refuses, so that `migrate init --kind` leaves them out."""

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
        """Our columns that the source must have: what it lacks, a join may bring."""
        return ("account_id",) if self.join else REQUIRED

    def met(self, header: Sequence[str]) -> None:
        """Hears the names of the source's columns before any of them is looked for; settings that only want to know them raise."""

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
    """What a directory says before it is read: `said` in a sentence; `warnings` of what will not be known; `wrong`, what ends a read."""

    said: str
    warnings: tuple[str, ...] = ()
    wrong: tuple[DirectoryError, ...] = ()


class Directory(ABC):
    """Where accounts are read from."""

    kind: ClassVar[str]
    Settings: ClassVar[type[DirectorySettings]]
    words: ClassVar[Mapping[str, str]] = {}
    """The directory's own method words → ours, added to the common ones of `migrate.directory.words`."""
    in_source_order: bool = True
    """False if `frames` hands the rows over in another order than the source's, so that their positions go up and down."""

    def __init__(self, settings: DirectorySettings) -> None:
        self.settings = settings
        self.heard: Callable[[int], None] = lambda _: None

    @abstractmethod
    def frames(self) -> Iterator[pd.DataFrame]:
        """The whole directory, a chunk of rows at a time, in the source's order.

        Columns: any of ours (`migrate.core.accounts.ACCOUNT_COLUMNS`) with the values as the source gives them (text, numbers,
        booleans, instants, lists; missing is None or NaN), `account_id` and `email` always, and `methods` or one or more
        `methods.<word>`; `position`, the row's number in the source, from 1; and, where the source itself shows that a row is
        broken, `rejection`, the reason. Everything is read, or `DirectoryError` is raised.
        """

    def begun(self) -> AbstractContextManager[None]:
        """A context in which what `frames` gives first is read already, if the directory can do so beside other work."""
        return nullcontext()

    def without_shortcut(self) -> Directory:
        """The same directory, read without a shortcut: for use after `frames` raised `migrate.directory.arrow.ShortcutRefused`."""
        return self

    def watched(self, watch: Callable[[int], None]) -> None:
        """Lets `watch` hear how many more records came, while `frames` has nothing to give yet; perhaps in another thread."""
        self.heard = watch

    def outlooks(self) -> tuple[Outlook, ...]:
        """What `check` says of each source before it is read: what is not permitted, and what a read costs. Raises DirectoryError."""
        return ()

    @abstractmethod
    def describe(self) -> str:
        """What is read and from where, in one line without secrets."""

    def meanings(self) -> Meanings:
        """What the words of this source mean."""
        settings = self.settings
        return Meanings.of(MethodWords(self.words, settings.methods), settings.columns)

    def as_of(self) -> datetime | None:
        """The instant of which the source speaks, if it says so: a file that of its last change. None means the time of the read."""
        return None

    def caveats(self) -> tuple[str, ...]:
        """What makes the answer of the last complete read weaker or what was put right in it, a sentence each without its full stop.

        Complete once `frames` is exhausted (design §4, Caveats); `check`, the summary of a run, the evidence and the report page repeat it.
        """
        return ()


@dataclass(slots=True)
class Tally:
    """What `read` counts while it reads; complete when it is exhausted.

    `rows` were read, `rejected` of them are no accounts. `unknown_words` are method words nobody knows, as the source spells
    them, each counted once a row. `unreadable_instants` counts, by column, the instants that became null; `lost_lists` the lists that the
    export lost; `cut` the values and lists that were too long to be kept whole.
    """

    rows: int = 0
    rejected: int = 0
    unknown_words: Counter[str] = field(default_factory=Counter)
    unreadable_instants: Counter[str] = field(default_factory=Counter)
    lost_lists: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)

    def caveats(self) -> tuple[str, ...]:
        """What makes the answer weaker, a sentence each without its full stop."""
        return tuple(
            f"{count:,} {'row has' if count == 1 else 'rows have'} more in {name} than is kept: what is too long was cut (…)"
            for name, count in self.cut.items()
        )


def read(directory: Directory, *, language: str, tally: Tally) -> Iterator[pd.DataFrame]:
    """Frames of exactly `ROW_COLUMNS`, in the source's order; `language` stands in for a locale that is missing or unreadable."""
    from migrate.directory.bounds import Time, counted
    from migrate.directory.translate import Translator

    translator = Translator(directory, language=language, tally=tally)
    for raw in counted(directory.without_shortcut(), Time(directory.settings.timeout)):
        yield translator.translate(raw)
