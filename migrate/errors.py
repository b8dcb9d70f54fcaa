"""What can go wrong, and what each thing means for the exit code (design §15).

One root exception. An error carries what happened, where, and what to type next; the command line prints exactly that
paragraph. Anything that is not a `MigrateError` is a bug and ends in exit code 1.
"""

from __future__ import annotations


class MigrateError(Exception):
    """An error with a paragraph a person can act on."""

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head} {self.hint}" if self.hint else head


class ConfigError(MigrateError):
    """The configuration or the command line cannot be used as it stands."""

    exit_code = 2


class TemplateError(ConfigError):
    """A mail template cannot be loaded or rendered."""


class LedgerError(MigrateError):
    """The ledger cannot be opened, upgraded or written."""

    exit_code = 2


class NoLedgerError(LedgerError):
    """There is no ledger where one should be."""


class ReportError(MigrateError):
    """A report folder cannot be written."""

    exit_code = 2


class DirectoryError(MigrateError):
    """The directory could not be read completely; nothing was changed."""

    exit_code = 3


class GuardError(MigrateError):
    """A guard stopped the run; no reminder was queued."""

    exit_code = 4


class MailServerError(MigrateError):
    """The mail server is unreachable or refuses; the rest stays queued."""

    exit_code = 6


class OverdueError(MigrateError):
    """No run has completed within the time that `migrate status --max-age` allows."""

    exit_code = 7


class LockedError(MigrateError):
    """Another run of this campaign is at work."""

    exit_code = 75
