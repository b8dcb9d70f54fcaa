"""Which column of a source is which of ours (`[directory.columns]`)."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from migrate.directory.method_words import spelling
from migrate.settings import Settings


class ColumnSettings(Settings):
    """Where one of our columns is read from: `column` is their column, or `not` is their column with the opposite meaning.

    `yes`, `no`: their words in a yes/no column, added to the common ones. `words`: their word → ours, for `account_type`.
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
