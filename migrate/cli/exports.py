"""What `migrate init --from` makes of exports: which they are, and the `[directory]` that reads them (design §4, Profiles)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from migrate.directory.csv import CsvDirectory, CsvSettings
from migrate.directory.profiles import PROFILES, Profile, form, profile, recognised
from migrate.errors import ConfigError

GUESSES: Final[dict[str, tuple[str, ...]]] = {
    "account_id": ("account_id", "id", "user_id", "object_id", "employee_id", "employee_number", "uid", "guid", "sam_account_name", "key"),
    "username": ("username", "user_name", "login", "user_principal_name", "upn", "user", "account", "sam_account_name"),
    "email": ("email", "mail", "e_mail", "email_address", "e_mail_address", "primary_email", "work_email"),
    "display_name": ("display_name", "name", "full_name"),
    "given_name": ("given_name", "first_name", "firstname"),
    "locale": ("locale", "language", "preferred_language"),
    "department": ("department", "dept", "division"),
    "manager_email": ("manager_email", "manager_mail"),
    "enabled": ("enabled", "active", "account_enabled", "status", "state", "account_status"),
    "account_type": ("account_type", "user_type"),
    "methods": ("methods", "mfa_methods", "factors", "methods_registered", "mfa", "mfa_factor", "second_factor", "authentication_methods"),
    "default_method": ("default_method", "default_mfa_method", "preferred_method"),
}
"""Our column → what it is often called in an export that is no known one."""

_EDIT: Final = "    # EDIT: a guess"
_WIDE: Final = 41


@dataclass(frozen=True, slots=True)
class Export:
    """A file with its header; `known` is the export it is, `columns` are those guessed where it is none: ours → theirs."""

    path: Path
    header: tuple[str, ...]
    known: Profile | None
    columns: dict[str, str] = field(default_factory=dict)

    @property
    def methods(self) -> bool:
        """True if it says which second step somebody has, or that there is one."""
        return self.known.brings_methods if self.known else "methods" in self.columns

    @property
    def people(self) -> bool:
        """True if it can say who exists."""
        return self.known.people if self.known else "account_id" in self.columns

    def has(self, ours: str) -> bool:
        """True if a column of ours is there, not merely for want of anything better."""
        if self.known is None:
            return ours in self.columns
        present = {form(name) for name in self.header}
        return any(form(name) in present for name in self.known.aliases.get(ours, (ours,)))


class _Met(Exception):  # noqa: N818 - it is no error: the header is all that was wanted
    """The header of a file."""


class _Header(CsvSettings):
    def met(self, header: Sequence[str]) -> None:
        raise _Met(*header)


def header_of(path: Path) -> tuple[str, ...]:
    """The header of a file in any form that kind csv reads. Raises DirectoryError."""
    try:
        next(CsvDirectory(_Header.model_validate({"path": str(path)})).frames(), None)
    except _Met as met:
        return met.args
    return ()


def look_at(path: Path) -> Export:
    """The export in a file. Raises ConfigError if it is none that can be used, DirectoryError if it cannot be read."""
    header = tuple(header_of(path))
    known = recognised(header)
    if known is not None:
        return Export(path, header, known)
    present = {form(name): name for name in reversed(header)}
    columns = {
        ours: found for ours, names in GUESSES.items() if (found := next((present[form(n)] for n in names if form(n) in present), None))
    }
    if "account_id" not in columns and (stand_in := columns.get("username") or columns.get("email")):
        columns = {"account_id": stand_in} | columns
    if "account_id" not in columns or len(columns) < 2:
        shown = ", ".join(header[:12]) + ", …" * (len(header) > 12)
        raise ConfigError(
            f"is no known export, and has no columns that could be used. It has {shown or 'no header'}. Known are {', '.join(PROFILES)}.",
            where=str(path),
            hint='Write its columns into the file of `migrate init --kind csv`, under [directory.columns] (docs/connect.md, "Columns").',
        )
    return Export(path, header, None, columns)


@dataclass(frozen=True, slots=True)
class Found:
    """What was made of one or two exports: the `[directory]` as text, and what to say about it."""

    text: str
    said: tuple[str, ...]


def directory_of(paths: Sequence[Path], base: Path) -> Found:
    """The `[directory]` for one or two exports; paths below `base`, the folder of the configuration, are written relative to it."""
    exports = sorted(map(look_at, paths), key=_who_exists, reverse=True)
    first, *others = exports
    if len(exports) > 1 and not any(export.methods for export in exports):
        raise ConfigError(
            f"neither {exports[0].path} nor {exports[1].path} has a column of methods.",
            where="--from",
            hint="Export the methods as well: docs/connect.md lists the exports that have them.",
        )
    lines = ["[directory]                              # where accounts are read from; it is never written to"]
    lines += _source(first, base)
    lines += _columns(first, "directory.columns", first.columns)
    for second in others:
        lines += _join(first, second, base)
    return Found("\n".join([*lines, "", ""]), tuple(_said(exports)))


def _who_exists(export: Export) -> tuple[bool, bool, bool]:
    """Sorts the source that says who exists before the others: a known list of people, one with ids of its own, one without methods."""
    return export.people, export.known is not None and export.people, not export.methods


def _source(export: Export, base: Path) -> Iterator[str]:
    yield _setting("kind", "csv", "an export in a file")
    path = export.path.absolute()
    shown = path.relative_to(base.absolute()) if path.is_relative_to(base.absolute()) else path
    yield _setting("path", str(shown), "a relative path starts at the folder of this file")
    if export.known is not None:
        yield _setting("profile", export.known.name, export.known.what)


def _columns(export: Export, table: str, columns: dict[str, str]) -> Iterator[str]:
    if export.known is None and columns:
        yield f"\n[{table}]".ljust(_WIDE + 1) + "# our column = theirs"
        yield from (f"{ours} = {_quoted(theirs)}{_EDIT}" for ours, theirs in columns.items())


def _join(first: Export, second: Export, base: Path) -> Iterator[str]:
    on = _on(first, second)
    absent = second.known.absent if second.known else "unknown"
    yield "\n[[directory.join]]                       # a second source; the first one says who exists"
    yield from _source(second, base)
    yield _setting("on", on, "the column that both have")
    if second.methods:
        yield _setting("missing", absent, 'methods of an account that it has no row for: "unknown", or "none"')
    wanted = (
        {"methods", "default_method"}
        if second.methods
        else {"email", "display_name", "given_name", "locale", "department", "manager_email"}
    )
    columns = {ours: theirs for ours, theirs in second.columns.items() if ours == on or (ours in wanted and not first.has(ours))}
    yield from _columns(second, "directory.join.columns", columns)


def _on(first: Export, second: Export) -> Literal["account_id", "username", "email"]:
    """What two exports are joined on: the best that both have."""
    for ours in ("account_id", "username", "email"):
        if first.has(ours) and second.has(ours) and (ours != "account_id" or (first.known and second.known)):
            return ours
    raise ConfigError(
        f"{first.path} and {second.path} have no column in common by which people could be told.",
        where="--from",
        hint="Export the id, the username or the address in both.",
    )


def _said(exports: Sequence[Export]) -> Iterator[str]:
    for export in exports:
        if export.known is None:
            yield f"{export.path} is no export that is known; its columns were guessed. Look at the lines marked EDIT."
            continue
        yield f"{export.path} is: {export.known.what}."
        yield from (f"  It tells: {sentence}" for sentence in export.known.tells)
        told = [sentence for sentence in export.known.cannot if len(exports) == 1 or "join" not in sentence]
        yield from (f"  It cannot tell: {sentence}" for sentence in told)
    if not any(export.methods for export in exports):
        wanted = [f"{name} ({profile(name).what})" for name in PROFILES if profile(name).brings_methods and not profile(name).people]
        yield f"No file has methods, so that `migrate check` will refuse it. Add one: `migrate init --from FILE FILE`, such as {wanted[0]}."
    known = [export.known for export in exports if export.known is not None]
    if len(exports) == 1 and known and known[0].join:
        yield f"To be complete it needs {known[0].join}: `migrate init --from FILE FILE`."


def _setting(key: str, value: str, comment: str) -> str:
    return f"{key} = {_quoted(value)}".ljust(_WIDE) + f"# {comment}"


def _quoted(text: str) -> str:
    """A text as TOML has it; a path's backslashes and a header's quotation marks included."""
    import json

    return json.dumps(text, ensure_ascii=False)
