"""Examines an export for `migrate init --from`: which known export it is, or what its columns seem to hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

from migrate.core.accounts import ACCOUNT_COLUMNS
from migrate.directory.columns import names_of
from migrate.directory.csv import CsvDirectory, CsvSettings
from migrate.directory.meanings import registered
from migrate.directory.method_words import MethodWords, says_registered
from migrate.directory.profiles import PROFILES, Profile, form, recognised
from migrate.directory.sheets import Workbook
from migrate.directory.textfile import TextFile
from migrate.directory.values import yes_or_no
from migrate.errors import ConfigError, DirectoryError

GUESSES: Final[dict[str, tuple[str, ...]]] = {
    "account_id": (
        "account_id", "id", "user_id", "object_id", "employee_id", "employee_number", "uid", "guid", "sam_account_name", "key",
        "personalnummer",
    ),
    "username": ("username", "user_name", "login", "user_principal_name", "upn", "user", "account", "sam_account_name"),
    "email": ("email", "mail", "e_mail", "email_address", "e_mail_address", "primary_email", "work_email", "mailadresse"),
    "display_name": ("display_name", "name", "full_name"),
    "given_name": ("given_name", "first_name", "firstname", "vorname"),
    "locale": ("locale", "language", "preferred_language", "sprache"),
    "department": ("department", "dept", "division", "abteilung"),
    "manager_email": ("manager_email", "manager_mail"),
    "enabled": ("enabled", "active", "account_enabled", "status", "state", "account_status", "employment_status", "user_status"),
    "account_type": ("account_type", "user_type"),
    "methods": (
        "methods", "mfa_methods", "factors", "methods_registered", "mfa", "mfa_factor", "second_factor", "authentication_methods", "factor",
        "method", "mfa_method", "factor_type", "mfa_type", "authentication_method", "auth_method", "auth_methods",
    ),
    "default_method": ("default_method", "default_mfa_method", "preferred_method"),
}  # fmt: skip
"""Our column → its usual names in an export that is not a known one."""

SAMPLE: Final = 20_000
"""At most so many records are examined."""

_YES: Final = frozenset({"active", "aktiv", "actif", "activo", "attivo", "actief", "aktywny", "current", "employed"})
_NO: Final = frozenset({
    "inactive", "inaktiv", "inactif", "inactivo", "suspended", "deprovisioned", "deactivated", "terminated", "ausgetreten", "gesperrt",
    "locked", "blocked", "deleted", "left",
})  # fmt: skip
"""The words of a status that certainly mean no. All others are left to a person, and until then their rows are rejected."""

OPPOSITES: Final = re.compile(
    "(?<!un)(?<!not)(?<!non)(?<!nicht)(?<!pas)(?<!niet)(?:"
    "suspended|disabled|lockedout|locked|blocked|blockcredential|deprovisioned|inactive|archived|deactivated|"
    "terminated|revoked|deleted|expired|barred|banned|frozen|offboarded|departed|gesperrt|deaktiviert|inaktiv|ausgetreten|ausgeschieden|"
    "suspendu|bloqu|inactif|bloccato|disattivato|bloqueado|desactivado|geblokkeerd|uitgeschakeld|zablokowan)"
)
"""Matches the name of a column that means the opposite of `enabled`; the name comes in lower case, without spaces and underscores."""

_PHONES: Final = ("sms", "voice", "phone")
_TOLD: Final = (*_PHONES, "totp", "push", "passkey", "hardware_otp", "certificate", "email_otp", "backup_code")
"""The methods that a column may be named after. `unknown` and `external` are left out: they are as often said of an account."""
_SAYS: Final = re.compile(r"(?i)\b(?:has|is|uses)[\s_-]+|[\s_-]+(?:enabled|registered|enrolled|active|set ?up)\b")
"""The words around a method in the name of a column that says yes or no to it."""

_KEYS: Final[tuple[Literal["account_id", "username", "email"], ...]] = ("account_id", "username", "email")
_ENOUGH: Final = 0.5
"""Two columns hold the same values if this share of the shorter one is in the other."""


def a_to_z(name: str) -> str:
    """A name in lower case without spaces, hyphens and underscores: `is_suspended`, `isSuspended` and `Is Suspended` are one."""
    return re.sub("[^a-z]", "", name.lower())


@dataclass(frozen=True, slots=True)
class Key:
    """The key to join two exports on: our column, and its name in the `first` and in the `second` export (None: that export's guesses or
    profile name it already)."""

    ours: Literal["account_id", "username", "email"]
    first: str | None
    second: str | None


@dataclass(frozen=True, slots=True)
class Export:
    """A file with its header. `known` is the known export that it is; if it is none, `columns` are the guesses: ours → theirs.

    `settings` are those needed to read the file, `records` its first ones. `opposite` is true if the column for `enabled` means the
    opposite; `yes` and `no` are its words. `method_columns` is method → the column that says yes or no to it.
    """

    path: Path
    header: tuple[str, ...]
    known: Profile | None
    columns: dict[str, str] = field(default_factory=dict)
    settings: Mapping[str, str | int] = field(default_factory=dict)
    records: Sequence[Sequence[Any]] = ()
    opposite: bool = False
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()
    method_columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def methods(self) -> bool:
        """Whether the export says which second step people have, or whether they have one."""
        return self.known.brings_methods if self.known else "methods" in self.columns or bool(self.method_columns)

    @property
    def people(self) -> bool:
        """Whether the export says who exists."""
        return self.known.people if self.known else "account_id" in self.columns

    @property
    def unread(self) -> tuple[str, ...]:
        """The names of columns that are not read."""
        read = {*self.columns.values(), *self.method_columns.values()}
        by_themselves = {form(ours) for ours in ACCOUNT_COLUMNS if ours not in self.columns}
        return tuple(name for name in self.header if name and name not in read and form(name) not in by_themselves)

    @property
    def in_use(self) -> str | None:
        """The unread column that seems to say, in a row a method, whether the method is in use; None if there is none."""
        if self.settings.get("rows") != "methods":
            return None
        return next((name for name in self.unread if _in_use(self.values(name))), None)

    def has(self, ours: str) -> bool:
        """Whether the export has one of our columns."""
        return self.theirs(ours) is not None

    def theirs(self, ours: str) -> str | None:
        """The export's name for one of our columns; None if it has none."""
        if self.known is None:
            return self.columns.get(ours)
        present = {form(name): name for name in reversed(self.header)}
        return next((present[form(name)] for name in self.known.aliases.get(ours, (ours,)) if form(name) in present), None)

    def values(self, theirs: str | None) -> frozenset[str]:
        """The values of one of its columns, in lower case."""
        return frozenset(_values(self.header, self.records, theirs)) if theirs is not None else frozenset()

    def valued(self, ours: str) -> frozenset[str]:
        """The values of one of our columns, in lower case."""
        return self.values(self.theirs(ours))


def _in_use(values: frozenset[str]) -> bool:
    """True for the words of a status: all of them say yes or no, and one says no."""
    said = {says_registered(value) for value in values}
    return False in said and None not in said


def shared_values(first: Export, second: Export) -> Key | None:
    """The columns of two exports that hold the same values, if a known export or a guess uses one of them to identify people.

    Columns of numbers are left out: the same numbers often count something else in the other file.
    """
    best, found = 0.0, None
    for ours in _KEYS:
        for here, there in ((first, second), (second, first)):
            mine = _texts(here.valued(ours))
            if there.known is not None or not mine:
                continue
            own = None if here.known is not None else here.theirs(ours)
            for name in filter(None, dict.fromkeys(there.header)):
                other = _texts(there.values(name))
                share = len(mine & other) / min(len(mine), len(other)) if other and len(mine & other) >= min(2, len(mine)) else 0.0
                if share >= _ENOUGH and share > best:
                    best, found = share, Key(ours, own, name) if here is first else Key(ours, name, own)
    return found


def _texts(values: frozenset[str]) -> frozenset[str]:
    return frozenset(value for value in values if not value.isdecimal())


def look_at(path: Path) -> Export:
    """Examines the export in a file. Raises ConfigError if it cannot be used, DirectoryError if it cannot be read."""
    shown = ""
    for settings, header, records in _openings(path):
        known = recognised(header)
        # If a profile does not read a column `sms`, its people would look compliant by the columns that it reads.
        if known is not None and not _method_columns(header, records, known):
            return Export(path, header, known, settings=settings, records=records)
        guessed = _guessed(path, header, settings, records)
        if guessed is not None:
            return guessed
        shown = shown or ", ".join(header[:12]) + ", …" * (len(header) > 12)
    raise ConfigError(
        f"is no known export, and has no columns that could be used. It has {shown or 'no header'}. Known are {', '.join(PROFILES)}.",
        where=str(path),
        hint='Write its columns into the file of `migrate init --kind csv`, under [directory.columns] (docs/connect.md, "Columns").',
    )


class _Met(Exception):  # noqa: N818 - it is no error: the header is all that was wanted
    """The header of a file."""


class _Header(CsvSettings):
    def header_read(self, header: Sequence[str]) -> None:
        raise _Met(*header)


_Opening = tuple[dict[str, str | int], tuple[str, ...], list[Sequence[Any]]]


def _openings(path: Path) -> Iterator[_Opening]:
    """The ways in which the file may begin (settings, header and first records): as it is, then with each further line as the header."""
    if path.suffix.casefold() in (".parquet", ".xls", ".ods") or not path.is_file():
        yield {}, _header_of(path, {}), []
        return
    encoding = _encoding(path)
    yield _opening(path, encoding)
    for candidate in _source(path, encoding).candidates():
        yield _opening(path, encoding | candidate.settings)


def _opening(path: Path, settings: dict[str, str | int]) -> _Opening:
    header = _header_of(path, settings)
    records: list[Sequence[Any]] = []
    with suppress(DirectoryError):  # `migrate check` says what is wrong further down
        records += islice(_source(path, settings).records(), 1, SAMPLE)
    return settings, header, records


def _header_of(path: Path, settings: Mapping[str, str | int]) -> tuple[str, ...]:
    try:
        next(CsvDirectory(_Header.model_validate({"path": str(path), **settings})).frames(), None)
    except _Met as met:
        return tuple(met.args)
    return ()


def _source(path: Path, settings: Mapping[str, str | int]) -> TextFile | Workbook:
    given = CsvSettings.model_validate({"path": str(path), **settings})
    return Workbook(path, given.sheet, given.header) if path.suffix.casefold() in (".xlsx", ".xlsm") else TextFile(path, given)


def _encoding(path: Path) -> dict[str, str | int]:
    """The setting for the encoding: none if it is found out by itself, else that of Excel for Windows."""
    for settings in ({}, {"encoding": "cp1252"}):
        try:
            for _ in islice(_source(path, settings).records(), SAMPLE):
                pass
        except DirectoryError as error:
            if error.where != "[directory] encoding":
                break
        else:
            return dict(settings)
    return {}


def _guessed(path: Path, header: tuple[str, ...], settings: dict[str, str | int], records: list[Sequence[Any]]) -> Export | None:
    """The export that is not a known one, if enough of its columns can be guessed; else None."""
    present = {form(name): name for name in reversed(header)}
    columns = {
        ours: found for ours, names in GUESSES.items() if (found := next((present[form(n)] for n in names if form(n) in present), None))
    }
    opposite = False
    if "enabled" not in columns and (theirs := _opposite(header, records)):
        columns["enabled"], opposite = theirs, True
    if "account_id" not in columns and (stand_in := columns.get("username") or columns.get("email")):
        columns = {"account_id": stand_in} | columns
    said = {} if "methods" in columns else _method_columns(header, records)
    if "account_id" not in columns or len(columns) + len(said) < 2:
        return None
    words = sorted({str(value).strip() for value in _values(header, records, columns.get("enabled"), folded=False)})
    yes, no = (tuple(word for word in words if word.casefold() in known) for known in (_YES, _NO))
    if "methods" in columns and _rows_are_methods(header, records, columns):
        settings = settings | {"rows": "methods"}
    return Export(path, header, None, columns, settings, records, opposite, yes, no, said)


def _method_columns(header: Sequence[str], records: Sequence[Sequence[Any]], known: Profile | None = None) -> dict[str, str]:
    """Method → the first column that is named after it and says yes or no. For a known export, only columns of telephones that it does
    not read."""
    read: set[str] = set()
    if known is not None:
        read = {form(name) for table in (known.aliases, known.method_columns, known.beside) for names in table.values() for name in names}
    words, found = MethodWords({}, {}), dict[str, str]()
    for name in header:
        word = words.method(_SAYS.sub(" ", re.sub("(?<=[a-z])(?=[A-Z])", " ", name)).strip())
        if word is not None and word in (_PHONES if known else _TOLD) and word not in found and form(name) not in read:
            with suppress(ValueError):
                if {registered(value) for value in _values(header, records, name)} - {None}:
                    found[word] = name
    return found


def _opposite(header: Sequence[str], records: Sequence[Sequence[Any]]) -> str | None:
    """The column that says with yes or no who cannot sign in; None if there is none."""
    for name in header:
        if OPPOSITES.search(a_to_z(name)):
            try:
                said = {yes_or_no(value) for value in _values(header, records, name)}
            except ValueError:
                continue
            if said - {None}:
                return name
    return None


def _rows_are_methods(header: Sequence[str], records: Sequence[Sequence[Any]], columns: Mapping[str, str]) -> bool:
    """Whether one row is one method of a person: ids repeat, each time with another method."""
    seen: dict[str, set[str]] = {}
    at, methods = header.index(columns["account_id"]), header.index(columns["methods"])
    for record in records:
        if len(record) == len(header) and record[at] not in (None, ""):
            seen.setdefault(str(record[at]).strip(), set()).add(str(record[methods]))
    return sum(len(each) > 1 for each in seen.values()) > len(seen) / 20


def _values(header: Sequence[str], records: Sequence[Sequence[Any]], name: str | None, *, folded: bool = True) -> Iterator[str]:
    """The values of a column that are not empty, in lower case if `folded`."""
    if name is None:
        return
    at = names_of(header).index(name)
    for record in records:
        if at < len(record) and record[at] not in (None, "") and (text := str(record[at]).strip()):
            yield text.casefold() if folded else text
