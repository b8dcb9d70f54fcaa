"""Turns an error of PostgreSQL, MariaDB or a pooler in front of them into a sentence that says what to do.

The code decides: PostgreSQL's SQLSTATE, or its first two characters for a whole class; MariaDB's number. An error is our own mistake, and
must show as a bug, if its code is not listed here and the driver does not call it operational (a syntax error, an unknown function), or
if it names a table or a column that no ledger has.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from migrate.errors import LedgerError
from migrate.ledger import mysql
from migrate.ledger.schema import metadata


class Kind(NamedTuple):
    """A kind of error: the sentence about the database (`it`) with the server's own words (`said`), what to do, and the codes."""

    what: str
    hint: str
    states: frozenset[str]
    numbers: frozenset[int] = frozenset()


_AGAIN: Final = "Type the same command again; nothing is sent twice."
_KINDS: Final = (
    Kind(
        "the disk of {it} is full, so the last change was not written: {said}",
        f"Make room. {_AGAIN}",
        frozenset({"53100"}),
        frozenset({3, 1021, 1114}),
    ),
    Kind(
        "{it} takes no further connection: {said}",
        "Let it take more connections, or set mail.smtp.connections lower; then type the same command again.",
        frozenset({"53300"}),
        frozenset({1040, 1203, 1226}),
    ),
    Kind(
        "{it} does not have enough memory: {said}",
        f"Raise the limit that it names. {_AGAIN}",
        frozenset({"53", "54"}),
        frozenset({1037, 1038, 1041}),
    ),
    Kind(
        "{it} does not accept the sign-in: {said}",
        "Look at the user and the password in the URL, then type `migrate check`.",
        frozenset({"28"}),
        frozenset({1045, 1698}),
    ),
    Kind(
        "{it} does not let this account do what a ledger needs: {said}",
        "Grant it all rights on the ledger's tables, and the right to create them; then type `migrate check`.",
        frozenset({"42501"}),
        frozenset({1044, 1142, 1143, 1227, 1370}),
    ),
    Kind(
        "{it} cannot be written: {said}",
        "Name the server that takes writes, not a copy of it, and an account that is not read-only.",
        frozenset({"25006"}),
        frozenset({1290, 1836}),
    ),
    Kind(
        "{it} does not exist: {said}",
        "Create it, or name another one; `migrate run` makes the tables.",
        frozenset({"3D000", "3F000"}),
        frozenset({1049}),
    ),
    Kind(
        "{it} broke off a statement that took too long: {said}",
        "Let this account's statements take longer (statement_timeout, max_statement_time), then type the same command again.",
        frozenset({"57014"}),
        frozenset({1969, 3024, 1317}),
    ),
    Kind(
        "the pooler in front of {it} refuses a command that a ledger needs: {said}",
        "Look at its settings: a ledger needs pool_mode = transaction or session, and a connection for each worker.",
        frozenset({"08P01"}),
    ),
    Kind(
        "{it} ended the connection: {said}",
        f"Make sure that it runs. {_AGAIN}",
        frozenset({"08", "57", "58", "25P02", "25P03", "25P04"}),
        frozenset({1053, 1927, 2006, 2013, 4031}),
    ),
    Kind(
        "{it} cannot store or compare a text: {said}",
        "It must hold all of Unicode: make the database with the encoding UTF8 (PostgreSQL) or utf8mb4 (MariaDB).",
        frozenset({"22021", "22P05", "42P21", "42P22"}),
        frozenset({1267, 1300, 1366, 3988}),
    ),
    Kind(
        "a value does not fit into a column of {it}: {said}",
        "`migrate ledger check` says whether its columns are still those of a ledger; else the directory holds a value that is too large.",
        frozenset({"22001", "22003", "22008", "22P02", "42804"}),
        frozenset({1264, 1265, 1406}),
    ),
    Kind(
        "{it} refuses a statement of this size: {said}",
        "Set the server's max_allowed_packet to 64M or more.",
        frozenset(),
        frozenset({1153, 1301, 2020}),
    ),
    Kind(
        "something between here and {it} mixes up sessions: {said}",
        "Name the server itself, or a pooler that keeps transactions whole (PgBouncer with pool_mode = transaction or session).",
        frozenset({"26000", "42P05", "34000", "25P01", "0B000"}),
    ),
    Kind(
        "{it} is damaged: {said}",
        "Put a backup in its place.",
        frozenset({"XX001", "XX002"}),
        frozenset({126, 127, 144, 145, 1034, 1035, 1194, 1712}),
    ),
    Kind(
        "{it} cannot do what a ledger needs: {said}",
        "A ledger needs PostgreSQL, or MariaDB 10.6 or newer, with their usual features; `migrate check` tries it again.",
        frozenset({"0A", "F0", "HV", "XX", "P0", "38", "39", "55", "72"}),
        frozenset({1235, 1286, 1644, 1665, 1785}),
    ),
)
_OURS: Final = frozenset({1305})
"""Errors of a statement that PyMySQL calls operational all the same: 1305 is an unknown function."""
_MISSING_TABLE: Final = (frozenset({"42P01"}), frozenset({1146, 1051}))
_MISSING_COLUMN: Final = (frozenset({"42703"}), frozenset({1054}))
_NAMES: Final = re.compile(r"""["'`]([^"'`]+)["'`]""")
_BARE: Final = re.compile(r"column ([\w.]+) does not exist|no such \w+: ([\w.]+)|no column named (\w+)")


def explained(error: DBAPIError, described: str, url: sa.URL) -> LedgerError | None:
    """A server's error as a LedgerError; None if it is our own mistake."""
    cause = error.orig
    number, state = mysql.code(cause), getattr(cause, "sqlstate", None) or ""
    said = _said(cause, number, url)
    if _has(_MISSING_TABLE, state, number) or _has(_MISSING_COLUMN, state, number):
        return missing(described, said) if of_a_ledger(said) else None
    for kind in _KINDS:
        if state in kind.states or state[:2] in kind.states or number in kind.numbers:
            return LedgerError(kind.what.format(it=described, said=said), where="[ledger] url", hint=kind.hint)
    if number in _OURS or not isinstance(error, OperationalError | InterfaceError):
        return None
    return LedgerError(f"cannot use {described}: {said}", where="[ledger] url", hint="`migrate check` tries it again.")


def _said(cause: BaseException | None, number: int | None, url: sa.URL) -> str:
    """The server's own words in one line, without the password and without the statement."""
    words = str(cause if not number or cause is None else cause.args[-1]) or type(cause).__name__
    words = " ".join(words.partition("\nCONTEXT:")[0].partition("\nLINE ")[0].split())
    for secret in (url.password, *(value for name, value in url.query.items() if "pass" in name.casefold())):
        words = words.replace(secret, "…") if isinstance(secret, str) and secret else words
    return words if words.endswith((".", "!", "?")) else f"{words}."


def _has(codes: tuple[frozenset[str], frozenset[int]], state: str, number: int | None) -> bool:
    return state in codes[0] or number in codes[1]


def of_a_ledger(said: str) -> bool:
    """Whether an error names a table or column of a ledger. Then it is missing in the database; else we made the name up."""
    known = set(metadata.tables) | {column.name for table in metadata.tables.values() for column in table.columns} | {"alembic_version"}
    return any(
        name.rpartition(".")[2] in known for name in (*_NAMES.findall(said), *(word for found in _BARE.findall(said) for word in found))
    )


def missing(described: str, said: str) -> LedgerError:
    """The error for a ledger that lacks a table or a column."""
    return LedgerError(
        f"{described} lacks a table or a column of a ledger: {said}",
        where="[ledger] url",
        hint="Somebody removed it, or this account uses another schema (search_path): correct that, or put a backup in its place.",
    )
