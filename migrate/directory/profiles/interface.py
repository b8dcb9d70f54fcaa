"""What a profile is: the header, the words and the limits of an export that many have (design §4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import pandas as pd

    from migrate.directory.words import MethodWords

BESIDE: Final = "beside."
"""A raw column `beside.<name>` is one that only a profile reads, to make ours from it; it goes no further."""

_REMARK: Final = re.compile(r"\[[^\]]*\]|\([^)]*\)")
_JOINTS: Final = re.compile(r"[\s_.\-'\"\ufeff]+")

Names = tuple[str, ...]


def told_apart_by(what: str) -> str:
    """What is said of accounts that have no identifier of their own."""
    return f"accounts are told apart by their {what}, so that whoever gets another one counts as somebody new"


def form(name: str) -> str:
    """The form in which names of columns are compared: no case, joints, quotes, nor remarks such as `[READ ONLY]`."""
    return _JOINTS.sub("", _REMARK.sub("", name)).casefold()


@dataclass(frozen=True, slots=True)
class Profile:
    """A known export.

    `aliases`: our column → what it is called there, the best name first. `resorts`: the same, for want of anything better: our column →
    (names, what is then said). `method_columns`: method word → names of a yes/no column. `beside`: names of columns that only `finish`
    reads, which makes ours from them and never replaces one that is there; `makes_methods` are those of them that methods come from.
    `vendor`: whose method words are understood, of `vocabulary.VENDORS`; `yes_no`: our column → (their yes, their no); `types`: their type
    of account → ours. `nothing`: values that stand for none.

    `signs`: what a header must have to be this export, a group of names a sign. `people`: it says who exists. `absent`: what it means
    for an account not to be in it, as `[directory.join] missing` has it. `nobody`: without all of these columns a row is about nobody.
    `tells` and `cannot` are sentences for people; `caveats`, without full stop, are what weakens every answer.
    """

    name: str
    what: str
    signs: tuple[Names, ...]
    tells: tuple[str, ...]
    cannot: tuple[str, ...]
    aliases: Mapping[str, Names] = field(default_factory=dict)
    resorts: Mapping[str, tuple[Names, str]] = field(default_factory=dict)
    method_columns: Mapping[str, Names] = field(default_factory=dict)
    beside: Mapping[str, Names] = field(default_factory=dict)
    vendor: str | None = None
    yes_no: Mapping[str, tuple[Names, Names]] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    nothing: frozenset[str] = frozenset()
    rows: Literal["accounts", "methods"] = "accounts"
    people: bool = True
    absent: Literal["unknown", "none"] = "unknown"
    makes_methods: Names = ()
    nobody: Names = ()
    caveats: tuple[str, ...] = ()
    join: str = ""
    finish: Callable[[pd.DataFrame, MethodWords], pd.DataFrame] | None = None

    def fits(self, header: Iterable[str]) -> bool:
        """True if a header has every sign of this export."""
        present = {form(name) for name in header}
        return all(any(form(name) in present for name in sign) for sign in self.signs)

    @property
    def brings_methods(self) -> bool:
        """True if it says which second step somebody has, or that there is one."""
        return bool("methods" in self.aliases or self.method_columns)
