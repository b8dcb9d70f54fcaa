"""The meanings of a source's words: method words, yes and no, types of accounts (design §4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from migrate.directory.method_words import MethodWords, says_registered, spelling
from migrate.directory.values import account_type, flag, plain, yes_or_no

if TYPE_CHECKING:
    from migrate.directory.column_settings import ColumnSettings

ACCOUNT_CONTROL: Final = "useraccountcontrol"
"""The column with Active Directory's flags of an account; the bit 2 means disabled ([MS-ADTS] §2.2.16, `ADS_UF_ACCOUNT_DISABLE`)."""
_DISABLED: Final = 0x2


@dataclass(frozen=True, slots=True)
class YesNo:
    """The words for yes and no in one column: the operator's words come before the common ones. `inverted`: the column says the opposite.
    `bit`: the column is a number, in which this bit says yes.
    """

    yes: frozenset[str] = frozenset()
    no: frozenset[str] = frozenset()
    inverted: bool = False
    bit: int | None = None

    @classmethod
    def of(cls, ours: str, column: ColumnSettings) -> YesNo:
        """The words for a column of ours, as the configuration maps it."""
        control = ours == "enabled" and spelling(column.theirs) == ACCOUNT_CONTROL
        return cls(
            yes=frozenset(map(spelling, column.yes)),
            no=frozenset(map(spelling, column.no)),
            inverted=(column.opposite is not None) != control,
            bit=_DISABLED if control else None,
        )

    def read(self, value: object) -> bool | None:
        """True or false, or None for no value. Raises ValueError for a value that is neither."""
        said = self._said(value)
        return said if said is None or not self.inverted else not said

    def _said(self, value: object) -> bool | None:
        word = spelling(plain(value))
        if word in self.yes:
            return True
        if word in self.no:
            return False
        return flag(value, self.bit) if self.bit else yes_or_no(value)


def registered(value: object) -> bool | None:
    """Whether a column a method says that the method is registered; None for no value. Raises ValueError if it says neither."""
    try:
        return yes_or_no(value)
    except ValueError:
        if (said := says_registered(plain(value))) is None:
            raise
        return said


@dataclass(frozen=True, slots=True)
class Meanings:
    """The meanings of one source's words. `yes_no`: columns with words of their own. `types`: their type of account → ours."""

    methods: MethodWords
    yes_no: Mapping[str, YesNo] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, methods: MethodWords, columns: Mapping[str, ColumnSettings]) -> Meanings:
        """The meanings by the method words and a table `[directory.columns]`."""
        yes_no = {ours: YesNo.of(ours, column) for ours, column in columns.items()}
        types = {spelling(theirs): ours for theirs, ours in columns["account_type"].words.items()} if "account_type" in columns else {}
        return cls(methods, yes_no, types)

    def says_yes(self, ours: str, value: object) -> bool | None:
        """Whether a value of a yes/no column says yes; None for no value. Raises ValueError if it says neither."""
        return self.yes_no.get(ours, _COMMON).read(value)

    def account_type(self, text: str) -> str | None:
        """One of `ACCOUNT_TYPES`, or None for no value. Raises ValueError for any other word."""
        return self.types.get(spelling(text)) or account_type(text)


_COMMON: Final = YesNo()
