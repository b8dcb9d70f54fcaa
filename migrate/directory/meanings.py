"""What the words of one source mean: its method words, its yes and no, its types of account (design §4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from migrate.directory.values import account_type, flag, plain, yes_or_no
from migrate.directory.words import MethodWords, spelling

if TYPE_CHECKING:
    from migrate.directory.interface import ColumnSettings

ACCOUNT_CONTROL: Final = "useraccountcontrol"
"""Active Directory's flags of an account; bit 2 of them means that it is disabled ([MS-ADTS] §2.2.16, `ADS_UF_ACCOUNT_DISABLE`)."""
_DISABLED: Final = 0x2


@dataclass(frozen=True, slots=True)
class YesNo:
    """The yes and no of one column: the operator's words before the common ones; `inverted` if the column says the opposite.

    `bit` is set for a number of which one bit says yes.
    """

    yes: frozenset[str] = frozenset()
    no: frozenset[str] = frozenset()
    inverted: bool = False
    bit: int | None = None

    @classmethod
    def of(cls, ours: str, column: ColumnSettings) -> YesNo:
        """What a column of the configuration says."""
        control = ours == "enabled" and spelling(column.theirs) == ACCOUNT_CONTROL
        return cls(
            yes=frozenset(map(spelling, column.yes)),
            no=frozenset(map(spelling, column.no)),
            inverted=(column.opposite is not None) != control,
            bit=_DISABLED if control else None,
        )

    def read(self, value: object) -> bool | None:
        """True or false, or None for no value. Raises ValueError for a value that is neither."""
        found = self._said(value)
        return found if found is None or not self.inverted else not found

    def _said(self, value: object) -> bool | None:
        word = spelling(plain(value))
        if word in self.yes:
            return True
        if word in self.no:
            return False
        return flag(value, self.bit) if self.bit else yes_or_no(value)


@dataclass(frozen=True, slots=True)
class Meanings:
    """What the words of one source mean. `yes_no` has the columns that are not read in the common way; `types` is their word → ours."""

    methods: MethodWords
    yes_no: Mapping[str, YesNo] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, methods: MethodWords, columns: Mapping[str, ColumnSettings]) -> Meanings:
        """What a table `[directory.columns]` says, beside the method words."""
        yes_no = {ours: YesNo.of(ours, column) for ours, column in columns.items()}
        types = {spelling(theirs): ours for theirs, ours in columns["account_type"].words.items()} if "account_type" in columns else {}
        return cls(methods, yes_no, types)

    def says_yes(self, ours: str, value: object) -> bool | None:
        """What a value of a yes/no column says; None for no value. Raises ValueError."""
        return self.yes_no.get(ours, _COMMON).read(value)

    def account_type(self, text: str) -> str | None:
        """One of `ACCOUNT_TYPES`, or None for no value. Raises ValueError."""
        return self.types.get(spelling(text)) or account_type(text)


_COMMON: Final = YesNo()
