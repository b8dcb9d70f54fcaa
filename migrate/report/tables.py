"""Tables: the columns of each report, and how its rows are made of what the ledger has. Pure: frames, terms and an instant in, frames out.

A table's columns are declared once, in order, with their types; columns are only ever appended (`reports/README.md` says what each one
means). Tables in which one row is an account are made in `migrate.report.accounts`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from migrate.core.accounts import INSTANT, methods_text
from migrate.core.standing import STANDINGS
from migrate.report.cells import CellType
from migrate.report.terms import Terms

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION: Final = 4
"""The version of the tables and the manifest together; it grows when a column is appended."""

NO_DEPARTMENT: Final = "(none)"
TOTAL: Final = "(total)"


@dataclass(frozen=True)
class Table:
    """One report table: the name of its file without suffix, its title for people, and its columns in order."""

    name: str
    title: str
    columns: dict[str, CellType]


LETTER_COLUMNS: Final[dict[str, str]] = {
    "letter_id": "int64",
    "account_id": "str",
    "tenure": "int64",
    "kind": "str",
    "occasion": "str",
    "address": "str",
    "role": "str",
    "reference": "str",
    "state": "str",
    "reason": "str",
    "attempts": "int64",
    "reply": "str",
    "queued_at": INSTANT,
    "settled_at": INSTANT,
    "changed_at": INSTANT,
    "subject": "str",
    "was": "str",
}
"""A letter as of an instant; `changed_at` is when it reached the state that it had then, `was` its state at the evidence before (missing if
it was not there yet, or if all letters are asked for)."""

_OF_ACCOUNTS: Final = ("account_id", "tenure", "kind", "occasion", "role", "reference", "was", "state", "queued_at", "changed_at")
TOLD_COLUMNS: Final = {name: LETTER_COLUMNS[name] for name in _OF_ACCOUNTS}
"""The columns of a letter that say what its account was told."""

CHANGE_COLUMNS: Final[dict[str, str]] = {
    "account_id": "str",
    "seq": "int64",
    "tenure": "int64",
    "change": "str",
    "mailed": "bool",
    "state": "str",
    "seen_at": INSTANT,
    "had": "int32",
    "has": "int32",
    "closed_at": INSTANT,
}
"""A change that a run saw; `had` and `has` are bit sets of methods."""

EXEMPTION_COLUMNS: Final[dict[str, str]] = {
    "account_id": "str",
    "until": "str",
    "owner": "str",
    "reason": "str",
    "created_at": INSTANT,
    "created_by": "str",
    "removed_at": INSTANT,
    "removed_by": "str",
    "removed_reason": "str",
}
"""An exemption; `until` is its last day, inclusive. The columns `removed_…` are missing if nobody took it back."""

ACCOUNTS: Final = Table(
    "accounts",
    "Accounts",
    {
        "account_id": "text",
        "username": "text",
        "email": "text",
        "display_name": "text",
        "department": "text",
        "manager_email": "text",
        "account_type": "word",
        "privileged": "boolean",
        "wave": "text",
        "cutoff": "instant",
        "standing": "word",
        "compliant": "boolean",
        "methods": "word",
        "default_method": "word",
        "phone": "text",
        "at_cutoff": "word",
        "days_left": "integer",
        "standing_since": "instant",
        "migrated_at": "instant",
        "outcome": "word",
        "outcome_reason": "text",
        "notices_sent": "integer",
        "last_notice": "word",
        "last_notice_at": "instant",
        "last_notice_state": "word",
        "next_stage": "word",
        "next_stage_on": "date",
        "exempt_until": "date",
        "certain": "boolean",
        "destination": "word",
        "in_policy": "boolean",
        "last_used_method": "word",
        "last_used_at": "instant",
        "groups": "text",
    },
)

TO_FILL_IN: Final[dict[str, CellType]] = {"owner": "text", "action": "text", "due": "date", "comment": "text"}

ACTION_LIST: Final = Table(
    "action-list",
    "Action list",
    {
        **{
            name: ACCOUNTS.columns[name]
            for name in (
                "account_id", "username", "email", "display_name", "department", "manager_email", "account_type", "privileged", "standing",
                "at_cutoff", "cutoff", "days_left", "methods", "default_method", "phone", "outcome", "outcome_reason", "notices_sent",
                "last_notice", "last_notice_at", "last_notice_state", "next_stage", "next_stage_on",
            )
        },
        **TO_FILL_IN,
        "destination": ACCOUNTS.columns["destination"],
    },
)  # fmt: skip

SUMMARY: Final = Table(
    "summary", "Summary", {"department": "text", "standing": "word", "count": "integer", "share": "number", "not_certain": "integer"}
)

NOTICES: Final = Table(
    "notices",
    "Notices",
    {
        "account_id": "text",
        "kind": "word",
        "occasion": "word",
        "to": "text",
        "role": "word",
        "reference": "word",
        "state": "word",
        "reason": "text",
        "attempts": "integer",
        "reply": "text",
        "queued_at": "instant",
        "settled_at": "instant",
        "changed_at": "instant",
        "subject": "text",
    },
)

CHANGES: Final = Table(
    "changes",
    "Changes",
    {
        "account_id": "text",
        "change": "word",
        "seen_at": "instant",
        "had": "word",
        "has": "word",
        "mailed": "boolean",
        "state": "word",
        "closed_at": "instant",
        "seq": "integer",
        "tenure": "integer",
    },
)

EXEMPTIONS: Final = Table(
    "exemptions",
    "Exemptions",
    {
        "account_id": "text",
        "until": "date",
        "days_to_expiry": "integer",
        "expired": "boolean",
        "owner": "text",
        "reason": "text",
        "created_at": "instant",
        "created_by": "text",
        "removed_at": "instant",
        "removed_by": "text",
        "removed_reason": "text",
    },
)

REJECTED: Final = Table("rejected", "Rejected", {"position": "integer", "account_id": "text", "reason": "text"})

MOVES: Final = Table("moves", "Moves", {"from": "word", "to": "word", "why": "word", "count": "integer"})

COLUMNS: Final = Table(
    "columns", "Columns", {"file": "word", "column": "word", "type": "word", "unit": "word", "words": "word", "meaning": "word"}
)

TABLES: Final = (ACCOUNTS, ACTION_LIST, SUMMARY, MOVES, NOTICES, CHANGES, EXEMPTIONS, REJECTED, COLUMNS)


def summary_table(counts: Counter[tuple[str, str]], not_certain: Counter[tuple[str, str]]) -> pd.DataFrame:
    """Rows of `SUMMARY`: by department, accounts without one last, then the total. `counts` are `accounts.standing_counts` of all accounts,
    `not_certain` those of the accounts that are not certain.

    Shares are parts of all accounts, so that they add up to the total's 1.
    """
    import pandas as pd

    in_order = sorted(counts.items(), key=lambda item: (item[0][0] == NO_DEPARTMENT, item[0][0], STANDINGS.index(item[0][1])))
    total = counts.total()
    rows = [(*key, count, not_certain[key]) for key, count in in_order] + [(TOTAL, TOTAL, total, not_certain.total())]
    table = pd.DataFrame(rows, columns=["department", "standing", "count", "not_certain"])
    table = table.astype({"department": "str", "standing": "str"}).assign(share=(table["count"] / max(total, 1)).round(6))
    return table[list(SUMMARY.columns)]


def notices_table(letters: pd.DataFrame) -> pd.DataFrame:
    """The letters as columns of `NOTICES`; `letters` has `LETTER_COLUMNS`."""
    return letters.rename(columns={"address": "to"})[list(NOTICES.columns)]


def changes_table(changes: pd.DataFrame, at: datetime) -> pd.DataFrame:
    """The changes of a run as columns of `CHANGES`, as of an instant: one that was closed later was still open. `changes` has
    `CHANGE_COLUMNS`."""
    later = changes["closed_at"] > at
    table = changes.assign(
        had=methods_text(changes["had"]),
        has=methods_text(changes["has"]),
        state=changes["state"].mask(later, "open"),
        closed_at=changes["closed_at"].mask(later),
    )
    return table[list(CHANGES.columns)]


def exemptions_table(exemptions: pd.DataFrame, terms: Terms, as_of: datetime) -> pd.DataFrame:
    """The exemptions as columns of `EXEMPTIONS`: ended ones first, then by their last day; those taken back come last.

    `exemptions` has `EXEMPTION_COLUMNS`.
    """
    import pandas as pd

    today = pd.Timestamp(terms.day(as_of))
    days = (pd.to_datetime(exemptions["until"], format="%Y-%m-%d") - today).dt.days.astype("int64")
    removed = exemptions["removed_at"].notna()
    table = exemptions.assign(days_to_expiry=days, expired=(days < 0) & ~removed, removed=removed)
    return table.sort_values(["removed", "until", "account_id", "created_at"])[list(EXEMPTIONS.columns)]


def rejected_table(rejected: pd.DataFrame) -> pd.DataFrame:
    """The rejected rows as columns of `REJECTED`; `rejected` has `REJECTED_COLUMNS` of `migrate.directory.snapshot`."""
    return rejected.rename(columns={"rejection": "reason"})[list(REJECTED.columns)]
