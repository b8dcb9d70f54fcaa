"""The errors that a command may end with, and the exit code of each (design §15).

All derive from `MigrateError`. An error carries what happened, where, and what to type next; the command line prints exactly that
paragraph. Any other exception is a bug and ends in exit code 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

from migrate import outside


class MigrateError(Exception):
    """An error that tells a person, in one paragraph, what happened (`what`), `where`, and what to do (`hint`). Each part is one line, even
    if a quoted name holds line breaks; `items` are printed as further lines before the hint. `kind` is a fixed word for programs."""

    exit_code = 1
    kind: ClassVar[str] = "error"

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None, items: Sequence[str] = ()) -> None:
        super().__init__(what)
        self.what = outside.one_line(what)
        self.where = where and outside.one_line(where)
        self.hint = hint and outside.one_line(hint)
        self.items = tuple(outside.one_line(item) for item in items)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The paragraph as lines: one line, or with items the head, each item, and the hint."""
        head = f"{self.where}: {self.what}" if self.where else self.what
        if self.items:
            return [head, *(f"  {item}" for item in self.items), *([self.hint] if self.hint else [])]
        return [f"{head} {self.hint}" if self.hint else head]

    def facts(self) -> dict[str, Any]:
        """The object `error` in the output of `--json`."""
        told = {"kind": self.kind, "exit_code": self.exit_code, "what": self.what, "where": self.where, "hint": self.hint}
        return told | {"items": list(self.items)}


class ConfigError(MigrateError):
    """The configuration or the command line cannot be used as it stands."""

    exit_code = 2
    kind = "configuration"


class TemplateError(ConfigError):
    """A mail template cannot be loaded or rendered."""

    kind = "template"


class LedgerError(MigrateError):
    """The ledger cannot be opened, upgraded or written."""

    exit_code = 2
    kind = "ledger"


class NoLedgerError(LedgerError):
    """There is no ledger where one should be."""

    kind = "no_ledger"


class ReportError(MigrateError):
    """A report folder cannot be written."""

    exit_code = 2
    kind = "report"


class DirectoryError(MigrateError):
    """The directory could not be read completely; nothing was changed."""

    exit_code = 3
    kind = "directory"


class UnreachableError(DirectoryError):
    """The directory's server cannot be reached, or gives no usable answer."""

    kind = "unreachable"


class NotConsentedError(DirectoryError):
    """The application has no permission to read what it needs from the directory."""

    kind = "not_consented"


class NoLicenceError(DirectoryError):
    """The organisation has no licence for data that must be read."""

    kind = "no_licence"


class GuardError(MigrateError):
    """A guard stopped the run; no reminder was queued."""

    exit_code = 4
    kind = "guard"


class MailServerError(MigrateError):
    """The mail server is unreachable or refuses; the rest stays queued."""

    exit_code = 6
    kind = "mail_server"


class OverdueError(MigrateError):
    """No run has completed within the time that `migrate status --max-age` allows."""

    exit_code = 7
    kind = "overdue"


class LockedError(MigrateError):
    """Another run of this campaign is running."""

    exit_code = 75
    kind = "busy"


class DoneAlreadyError(LockedError):
    """Another run of this campaign has just done the same work."""

    kind = "done_already"


_ORDER: Final = (75, 2, 3, 4, 6, 5)
"""Exit codes by precedence: of several, the first one here counts (design §15)."""


def first_of(codes: Iterable[int]) -> int:
    """The exit code for several results together: 0 if nothing went wrong, else the first by `_ORDER`. A code that is not in `_ORDER`, such
    as 1 for a bug, takes precedence over all."""
    return min((code for code in codes if code), key=lambda code: _ORDER.index(code) if code in _ORDER else -1, default=0)
