"""The seam: what a directory is, the settings all kinds share, and the one verb, `read`.

To add a directory, write one file with a `Directory` subclass and its settings, and one line in `registry`; or, outside this
package, an entry point in the group `migrate.directories`. `migrate.directory.testing` tells whether it keeps the contract.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar, Final, Self

from pydantic import Field, field_validator, model_validator

from migrate.accounts import ACCOUNT_COLUMNS, METHODS
from migrate.directory.words import COMMON, NO_STEP, spelling
from migrate.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

METHOD_PREFIX: Final = "methods."
"""A raw column `methods.<word>` holds whether that one method is registered (`[directory.method_columns]`)."""

REQUIRED: Final = ("account_id", "email", "methods")


def near(word: str, known: Iterable[str]) -> str:
    """The end of a sentence: the known words most like a mistaken one, or some of them when none is alike."""
    known = list(known)
    if alike := get_close_matches(word, known, n=3, cutoff=0.6):
        return f"did you mean {' or '.join(repr(each) for each in alike)}?"
    return f"there are {', '.join(known[:20])}{', …' * (len(known) > 20)}."


def _near(word: str, known: Iterable[str]) -> str:
    return near(word, known).removesuffix(".")  # the configuration ends the sentences of its keys


class DirectorySettings(Settings):
    """What every `[directory]` has; a kind's own settings model adds its keys.

    `columns`: our column → theirs. `methods`: their method word → ours, or `none` for a word that is no second step.
    `method_columns`: method word → a column that says yes or no, instead of one column of words.
    """

    kind: str
    columns: dict[str, str] = Field(default_factory=dict)
    methods: dict[str, str] = Field(default_factory=dict)
    method_columns: dict[str, str] = Field(default_factory=dict)

    @field_validator("columns")
    @classmethod
    def _our_columns(cls, columns: dict[str, str]) -> dict[str, str]:
        for ours in columns:
            if ours not in ACCOUNT_COLUMNS:
                raise ValueError(f"{ours!r} is none of our columns (write ours = theirs); {_near(ours, ACCOUNT_COLUMNS)}")
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


class Directory(ABC):
    """Where accounts are read from."""

    kind: ClassVar[str]
    Settings: ClassVar[type[DirectorySettings]]
    words: ClassVar[Mapping[str, str]] = {}
    """The directory's own method words → ours, added to the common ones of `migrate.directory.words`."""

    def __init__(self, settings: DirectorySettings) -> None:
        self.settings = settings

    @abstractmethod
    def frames(self) -> Iterator[pd.DataFrame]:
        """The whole directory, a chunk of rows at a time, in the source's order.

        Columns: any of ours (`migrate.accounts.ACCOUNT_COLUMNS`) with the values as the source gives them (text, numbers,
        booleans, instants, lists; missing is None or NaN), `account_id` and `email` always, and `methods` or one or more
        `methods.<word>`; `position`, the row's number in the source, from 1; and, where the source itself shows that a row is
        broken, `rejection`, the reason. Everything is read, or `DirectoryError` is raised.
        """

    def begun(self) -> AbstractContextManager[None]:
        """A context in which what `frames` gives first is read already, if the directory can do so beside other work."""
        return nullcontext()

    def long_way(self) -> Directory:
        """The same directory without a shortcut, for when `frames` raised `migrate.directory.arrow.Unlike`."""
        return self

    @abstractmethod
    def describe(self) -> str:
        """What is read and from where, in one line without secrets."""


@dataclass(slots=True)
class Tally:
    """What `read` counts while it reads; complete when it is exhausted.

    `rows` were read, `rejected` of them are no accounts. `unknown_words` are method words nobody knows, as the source spells
    them, each counted once a row. `unreadable_instants` counts, by column, the instants that became null.
    """

    rows: int = 0
    rejected: int = 0
    unknown_words: Counter[str] = field(default_factory=Counter)
    unreadable_instants: Counter[str] = field(default_factory=Counter)


def read(directory: Directory, *, language: str, tally: Tally) -> Iterator[pd.DataFrame]:
    """Frames of exactly `ROW_COLUMNS`, in the source's order; `language` stands in for a locale that is missing or unreadable."""
    from migrate.directory.translate import Translator

    translator = Translator(directory, language=language, tally=tally)
    for raw in directory.long_way().frames():
        yield translator.translate(raw)
