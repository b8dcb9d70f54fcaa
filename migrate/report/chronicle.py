"""The chronicle: one run as the ledger remembers it at one instant, which is all that a report is made of.

A report written at the end of a run and one rebuilt years later read the same chronicle, so they say the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol

from migrate.report.terms import Terms

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import sqlalchemy as sa

    from migrate.ledger.runs import Run


@dataclass(frozen=True, slots=True)
class Day:
    """The last run of a calendar day of the campaign's zone: how many accounts had which standing."""

    on: date
    standing: dict[str, int]


class Chronicle(Protocol):
    """One run at one instant. Frames come in chunks where a row is an account or a letter.

    `evidence_at` is the instant that the tables speak of; `previous` is the campaign's latest run before that left evidence.
    """

    @property
    def run(self) -> Run: ...

    @property
    def terms(self) -> Terms: ...

    @property
    def evidence_at(self) -> datetime: ...

    @property
    def previous(self) -> Run | None: ...

    def accounts(self) -> Iterator[tuple[pa.Table, pd.DataFrame]]:
        """Accounts (`WALKED` of `migrate.report.moves`) in order of their ids, each chunk with the letters (`TOLD_COLUMNS`) of its
        accounts."""

    def stood(self, low: str | None, high: str | None) -> pd.DataFrame:
        """Where accounts with an id above `low` and up to `high` (None is no bound) stood in the evidence before (`STOOD_COLUMNS` of
        `migrate.report.moves`): those alone that have another version now, in order of id."""

    def arrived(self, records: pa.Table) -> list[str]:
        """The ids of those accounts (`WALKED`) that have been recorded since the evidence before for the first time."""

    def letters(self) -> Iterator[pd.DataFrame]:
        """Letters (`LETTER_COLUMNS`) that changed state since the evidence before, or wait."""

    def sent(self) -> Iterator[pd.DataFrame]:
        """All letters that were sent, or may have been, until then (`SENT_COLUMNS` of `migrate.report.helpdesk`)."""

    def changes(self) -> Iterator[pd.DataFrame]:
        """The run's changes (`CHANGE_COLUMNS`), in order of account and sequence number."""

    def exemptions(self) -> pd.DataFrame:
        """The exemptions granted until then (`EXEMPTION_COLUMNS`), expired ones and those taken back by then too."""

    def pauses(self) -> pd.DataFrame:
        """The pauses of mail granted until then, as `exemptions`."""

    def dead(self) -> frozenset[str]:
        """The addresses that a mail server called dead and that counted as such then, in lower case."""

    def week(self) -> Chronicle | None:
        """The same run beside the last one of seven days before or earlier; None if there is none, or if it is the `previous` one."""

    def rejected(self) -> Iterator[pd.DataFrame]:
        """The rows of the directory that are no account (`REJECTED_COLUMNS`, `migrate.directory.snapshot`), by their position."""

    def days(self) -> list[Day]:
        """The campaign's run days up to this run, oldest first."""


def of_run(connection: sa.Connection, run: Run, at: datetime | None = None) -> Chronicle:
    """The chronicle of a recorded run, told from the ledger as of `at`: now for a run that has just happened, else when it was reported.

    The terms are those that the run wrote down in `counts["terms"]` (`Terms.to_json`).
    """
    from migrate.report.recall import LAST_EVENT, Recall

    known = None if at else run.counts.get(LAST_EVENT)
    return Recall(connection, run, Terms.from_json(run.counts["terms"]), at or run.evidence_at or run.started_at, known)
