"""Tables: what each report holds, and how it comes out of what the ledger remembers. Pure: frames, terms and an instant in, frames out.

A table's columns are declared once, in order, with their types; columns are only ever appended (`reports/README.md` says what each
one means). Where one row is an account the functions work chunk by chunk, so that no table ever stands in memory whole.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from migrate.accounts import INSTANT, methods_text
from migrate.report.cells import CellType
from migrate.report.terms import Terms
from migrate.schedule import upcoming
from migrate.standing import OUT_OF_SCOPE, STANDINGS

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION: Final = 2
"""Of the tables and the manifest together; grows when a column is appended."""

NO_DEPARTMENT: Final = "(none)"
TOTAL: Final = "(total)"


@dataclass(frozen=True)
class Table:
    """One report table: the stem of its file's name, its title for people, and its columns in order."""

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
}
"""A letter as the ledger knew it at an instant; `changed_at` is when it got into the state it had then."""

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
"""A change of a run; `had` and `has` are method bit sets."""

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
"""An exemption; `until` is its last day, inclusive. `removed_…` are missing while nobody has taken it back."""

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
    },
)

_TO_FILL_IN: Final[dict[str, CellType]] = {"owner": "text", "action": "text", "due": "date", "comment": "text"}

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
        **_TO_FILL_IN,
    },
)  # fmt: skip

SUMMARY: Final = Table("summary", "Summary", {"department": "text", "standing": "word", "count": "integer", "share": "number"})

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

TABLES: Final = (ACCOUNTS, ACTION_LIST, SUMMARY, NOTICES, CHANGES, EXEMPTIONS, REJECTED)

_TOLD: Final = ("sent", "uncertain")
WAITING: Final = ("queued", "sending")


def told(letters: pd.DataFrame) -> pd.DataFrame:
    """What accounts were told; columns notices_sent, last_notice(_at, _state), indexed by `account_id`. `letters` has `LETTER_COLUMNS`.

    The latest letter is the one queued last; of letters queued together, the one to the primary address, then the one whose reference
    comes first, so that the answer never depends on the order of rows.
    """
    counts = letters["state"].isin(_TOLD).groupby(letters["account_id"]).sum().astype("int64")
    ranked = letters.assign(_aside=letters["role"].ne("primary")).sort_values(
        ["account_id", "queued_at", "_aside", "reference"], ascending=[True, False, True, True]
    )
    latest = ranked.drop_duplicates("account_id").set_index("account_id")
    said = {
        "notices_sent": counts,
        "last_notice": latest["kind"] + " " + latest["occasion"],
        "last_notice_at": latest["changed_at"],
        "last_notice_state": latest["state"],
    }
    return latest.assign(**said)[list(said)]


def accounts_table(records: pd.DataFrame, letters: pd.DataFrame, terms: Terms, as_of: datetime) -> pd.DataFrame:
    """The accounts of a chunk with everything there is to say of them; columns of `ACCOUNTS`, rows in the order of `records`.

    `records` has `RECORD_COLUMNS`, `letters` `LETTER_COLUMNS` (of these accounts, or of more). An account that is gone from the
    directory is no row here: its going is a row of `CHANGES`. What a predecessor under a re-used id was told is not told of this person.
    """
    there = records[records["gone_at"].isna()]
    theirs = letters if letters.empty else letters.merge(there[["account_id", "tenure"]], on=["account_id", "tenure"])
    said = told(theirs).reindex(there["account_id"])
    said.index = there.index
    stage = upcoming(terms.stages, as_of)
    reminded = there["standing"].isin(terms.remind) | (there["reminded"] & ~there["compliant"] & ~there["standing"].isin(OUT_OF_SCOPE))
    table = there.assign(
        methods=methods_text(there["methods"]),
        days_left=_days_left(there["cutoff"], terms, as_of),
        notices_sent=said["notices_sent"].fillna(0).astype("int64"),
        last_notice=said["last_notice"].astype("str"),
        last_notice_at=said["last_notice_at"],
        last_notice_state=said["last_notice_state"].astype("str"),
        next_stage=_where(reminded, stage.name if stage else None),
        next_stage_on=_where(reminded, stage.on.isoformat() if stage else None),
    )
    return table[list(ACCOUNTS.columns)]


def action_rows(accounts: pd.DataFrame) -> pd.DataFrame:
    """Of some rows of `ACCOUNTS`, those who still have something to do, with empty columns to fill in; columns of `ACTION_LIST`.

    Sorted by `action_order`, accounts that it does not tell apart in the order they came.
    """
    import pandas as pd

    open_cases = accounts[~accounts["compliant"] & ~accounts["standing"].isin(OUT_OF_SCOPE)]
    in_order = open_cases.assign(_last=~open_cases["privileged"]).sort_values(["_last", "cutoff", "department"], kind="stable")
    nothing = pd.Series(None, index=in_order.index, dtype="str")
    return in_order.assign(**dict.fromkeys(_TO_FILL_IN, nothing))[list(ACTION_LIST.columns)]


def standing_counts(accounts: pd.DataFrame) -> Counter[tuple[str, str]]:
    """How many of some rows of `ACCOUNTS` have which department (missing as `NO_DEPARTMENT`) and standing; counts of chunks add up."""
    sizes = accounts.groupby([accounts["department"].fillna(NO_DEPARTMENT), "standing"]).size().reset_index(name="count")
    columns = (sizes[name].tolist() for name in ("department", "standing", "count"))
    return Counter({(department, standing): count for department, standing, count in zip(*columns, strict=True)})


def summary_table(counts: Counter[tuple[str, str]]) -> pd.DataFrame:
    """`standing_counts` of all chunks as rows of `SUMMARY`: by department, those without one last, then the total.

    Shares are of all accounts, so that they add up to the total's 1.
    """
    import pandas as pd

    in_order = sorted(counts.items(), key=lambda item: (item[0][0] == NO_DEPARTMENT, item[0][0], STANDINGS.index(item[0][1])))
    total = counts.total()
    rows = [(department, standing, count) for (department, standing), count in in_order] + [(TOTAL, TOTAL, total)]
    table = pd.DataFrame(rows, columns=["department", "standing", "count"])
    return table.astype({"department": "str", "standing": "str"}).assign(share=(table["count"] / max(total, 1)).round(6))


def notices_table(letters: pd.DataFrame) -> pd.DataFrame:
    """Letters; `LETTER_COLUMNS` in, columns of `NOTICES` out."""
    return letters.rename(columns={"address": "to"})[list(NOTICES.columns)]


def changes_table(changes: pd.DataFrame, at: datetime) -> pd.DataFrame:
    """The changes of a run as they stood at an instant: one closed later was still open. `CHANGE_COLUMNS` in, columns of `CHANGES` out."""
    later = changes["closed_at"] > at
    table = changes.assign(
        had=methods_text(changes["had"]),
        has=methods_text(changes["has"]),
        state=changes["state"].mask(later, "open"),
        closed_at=changes["closed_at"].mask(later),
    )
    return table[list(CHANGES.columns)]


def exemptions_table(exemptions: pd.DataFrame, terms: Terms, as_of: datetime) -> pd.DataFrame:
    """The exemptions: expired ones first, then by their last day, and last those taken back.

    `EXEMPTION_COLUMNS` in, columns of `EXEMPTIONS` out.
    """
    import pandas as pd

    today = pd.Timestamp(terms.day(as_of))
    days = (pd.to_datetime(exemptions["until"], format="%Y-%m-%d") - today).dt.days.astype("int64")
    removed = exemptions["removed_at"].notna()
    table = exemptions.assign(days_to_expiry=days, expired=(days < 0) & ~removed, removed=removed)
    return table.sort_values(["removed", "until", "account_id", "created_at"])[list(EXEMPTIONS.columns)]


def rejected_table(rejected: pd.DataFrame) -> pd.DataFrame:
    """The rows that are no accounts; `REJECTED_COLUMNS` of `migrate.snapshot` in, columns of `REJECTED` out."""
    return rejected.rename(columns={"rejection": "reason"})[list(REJECTED.columns)]


def _days_left(cutoffs: pd.Series, terms: Terms, as_of: datetime) -> pd.Series:
    today = terms.day(as_of)
    days = {cutoff: (terms.day(cutoff.to_pydatetime()) - today).days for cutoff in cutoffs.dropna().unique()}
    return cutoffs.map(days).astype("Int64")


def _where(chosen: pd.Series, word: str | None) -> pd.Series:
    import pandas as pd

    return pd.Series(word, index=chosen.index, dtype="str").where(chosen)
