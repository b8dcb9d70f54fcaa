"""The interface of a profile: the header, the words and the limits of a well-known export (design §4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import pandas as pd

    from migrate.directory.method_words import MethodWords

BESIDE: Final = "beside."
"""The prefix of raw columns `beside.<name>`, which only the profile's `finish` reads, to make our columns from them."""

_REMARK: Final = re.compile(r"\[[^\]]*\]|\([^)]*\)")
_JOINTS: Final = re.compile(r"[\s_.\-'\"\ufeff]+")

Names = tuple[str, ...]


def told_apart_by(what: str) -> str:
    """The caveat for an export whose accounts have no identifier of their own."""
    return f"accounts are told apart by their {what}, so that whoever gets another one counts as somebody new"


def form(name: str) -> str:
    """The form in which names of columns are compared: without case, joining marks, quotes and remarks such as `[READ ONLY]`."""
    return _JOINTS.sub("", _REMARK.sub("", name)).casefold()


@dataclass(frozen=True, slots=True)
class Profile:
    """A known export.

    * `aliases`: our column → its names there, the best first. `resorts`: our column → (names of columns to take as a last resort, the
      caveat about that). `method_columns`: method word → names of a yes/no column.
    * `beside`: names of columns that only `finish` reads; `finish` makes our columns from them, and never replaces one that is there.
      `makes_methods`: those of them that methods are made from.
    * `vendor`: the product whose method words are understood (`vocabulary.VENDORS`). `yes_no`: our column → (their yes, their no). `types`:
      their type of account → ours. `nothing`: values that mean no value.
    * `signs`: what a header must have to be of this export: of each group one name. `people`: the export says who exists. `absent`: the
      methods of an account that is not in it, as in `[directory.join] missing`. `nobody`: a row in which all these columns are blank is
      about nobody.
    * `tells`, `cannot`: sentences for people. `caveats`: what makes every read of it less reliable, without full stop.
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
        """True if the export says which second step an account has, or that it has one."""
        return bool("methods" in self.aliases or self.method_columns)
