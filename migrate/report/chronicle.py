"""The chronicle: one run as the ledger knew it at one instant. Reports are made from nothing else.

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

    from migrate.ledger.runs import Run
    from migrate.report.told import Carried


@dataclass(frozen=True, slots=True)
class Day:
    """A run day: how many accounts had each standing at the last run of a calendar day in the campaign's zone."""

    on: date
    standing: dict[str, int]


class Chronicle(Protocol):
    """One run at one instant. Accounts and letters come in frames of limited size.

    `evidence_at` is the instant of the tables. `previous` is the campaign's latest earlier run that left evidence; its evidence is called
    "the evidence before".
    """

    @property
    def run(self) -> Run: ...

    @property
    def terms(self) -> Terms: ...

    @property
    def evidence_at(self) -> datetime: ...

    @property
    def previous(self) -> Run | None: ...

    def accounts(self) -> Iterator[pa.Table]:
        """Accounts (`WALKED` of `migrate.report.moves`) in order of their ids; no part is empty."""

    def carried(self) -> Carried | None:
        """What accounts had been told at the evidence before, if that was kept: then only the letters that moved since are asked for."""

    def events(self) -> int | None:
        """The number of letter events up to the last one that counts; None if none can be committed out of order (`Carried.events`)."""

    def letters_of(self, first: str, last: str) -> pd.DataFrame:
        """All letters (`TOLD_COLUMNS`) of the accounts with ids from `first` to `last`, both included."""

    def superseded(self, low: str | None, high: str | None) -> pd.DataFrame:
        """The earlier records (`SUPERSEDED_COLUMNS` of `migrate.report.moves`) of accounts that were recorded anew since the evidence
        before, in order of id: those with an id above `low` and up to `high` (None is no bound)."""

    def arrived(self, records: pa.Table) -> list[str]:
        """The ids of those accounts (`WALKED`) that were recorded for the first time since the evidence before."""

    def letters(self) -> Iterator[pd.DataFrame]:
        """Letters (`LETTER_COLUMNS`) that changed state since the evidence before, and those that wait."""

    def sent(self) -> Iterator[pd.DataFrame]:
        """All letters that were sent, or may have been, by `evidence_at` (`SENT_COLUMNS` of `migrate.report.helpdesk`)."""

    def changes(self) -> Iterator[pd.DataFrame]:
        """The run's changes (`CHANGE_COLUMNS`), in order of account and sequence number."""

    def exemptions(self) -> pd.DataFrame:
        """The exemptions granted by `evidence_at` (`EXEMPTION_COLUMNS`), also those that have ended or were taken back."""

    def pauses(self) -> pd.DataFrame:
        """The pauses granted by `evidence_at`, with the same columns."""

    def dead(self) -> frozenset[str]:
        """The addresses (lower case) that counted as dead at `evidence_at`, because a mail server had called them so."""

    def week(self) -> Chronicle | None:
        """This run compared with the last run at least seven calendar days older, instead of with `previous`. None if there is no such run,
        or if it is `previous`."""

    def rejected(self) -> Iterator[pd.DataFrame]:
        """The rejected rows of the directory (`REJECTED_COLUMNS`, `migrate.directory.snapshot`), by their position."""

    def days(self) -> list[Day]:
        """The campaign's run days up to this run, oldest first."""
