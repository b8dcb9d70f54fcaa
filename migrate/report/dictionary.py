"""The dictionary: what each column of the reports holds, in words. It is the source of columns.csv and of the tables in
`reports/README.md`.

`python -m migrate.report.dictionary` writes those tables again; the README's text above them stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from migrate.core.accounts import ACCOUNT_TYPES, METHODS
from migrate.core.standing import AT_CUTOFF, DESTINATIONS, STANDINGS
from migrate.core.words import CHANGES, OUTCOMES
from migrate.ledger.schema import CHANGE_STATES, NOTICE_KINDS, ROLES
from migrate.ledger.states import STATES
from migrate.report import tables
from migrate.report.cells import CellType
from migrate.report.moves import WHYS
from migrate.report.tables import Table

if TYPE_CHECKING:
    import pandas as pd

_UNITS: Final[dict[CellType, str]] = {"instant": "UTC", "date": "day in the campaign's time zone", "number": "share, 0 to 1"}
_SAME: Final = "as in accounts.csv"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a column holds: a sentence, its unit where the type does not say it, and its words where they are listed nowhere else."""

    text: str
    unit: str = ""
    words: tuple[str, ...] = ()


_M = Meaning
_METHODS: Final = (*METHODS,)
_STATES: Final = (*STATES,)

ROWS: Final[dict[str, str]] = {
    "accounts": (
        "One row is an account that is in the directory, in order of `account_id`, byte by byte. An account that has gone is a row of\n"
        "changes.csv in the run that missed it, and no row here."
    ),
    "action-list": (
        "One row is an account in scope that is not compliant: those without a destination first, then administrators, then the nearest\n"
        "cutoff, then by department (none last), then by `account_id`. `owner`, `action`, `due` and `comment` are empty, to be filled in."
    ),
    "summary": "One row is a department and a standing that some of its accounts have; the last row is the total.",
    "moves": (
        "One row is a standing that accounts had in the evidence before this, the one that they have now, and why they moved. They\n"
        "add up: of each standing, the accounts of the evidence before, less those that left it, and those that came, are\n"
        "the accounts of this one. In the campaign's first evidence everybody joined."
    ),
    "notices": (
        "One row is a letter that changed its state since the evidence before this, or that still waits. A notice has a letter for each\n"
        "address."
    ),
    "changes": "One row is a change that this run saw, in order of `account_id` and `seq`.",
    "exemptions": "One row is an exemption: expired ones first, then those that expire next, and last those that somebody has taken back.",
    "rejected": "One row is a row of the directory that is no account. Of these, an account whose id is known stays as it was recorded.",
    "columns": "One row is a column of one of these files: this dictionary, so that it goes with the evidence.",
}
"""Table → what one row of it is."""

MEANINGS: Final[dict[str, dict[str, Meaning]]] = {
    "accounts": {
        "account_id": _M("the directory's identifier"),
        "username": _M("what the person signs in with"),
        "email": _M("primary address, well-formed or not"),
        "display_name": _M("name"),
        "department": _M("department"),
        "manager_email": _M("the manager's address"),
        "account_type": _M("what kind of account it is", words=ACCOUNT_TYPES),
        "privileged": _M("holds an administrator role"),
        "wave": _M("the wave whose days apply; empty: the campaign's own"),
        "cutoff": _M("from when on a retired method no longer works for this account"),
        "standing": _M("where the account is with respect to the campaign", words=STANDINGS),
        "compliant": _M("nothing is left to do; false also for standings out of scope (inactive, exempt_sso, exempt)"),
        "methods": _M("registered methods, comma-separated", words=_METHODS),
        "default_method": _M("the method used first", words=_METHODS),
        "phone": _M("telephone number, all but the last two digits hidden"),
        "at_cutoff": _M("what the cutoff does to this account", words=AT_CUTOFF),
        "days_left": _M("calendar days from the as-of day to the cutoff day; negative after it", "days"),
        "standing_since": _M("the run that first saw this standing"),
        "migrated_at": _M("the run that saw the account become migrated; empty if it is not, or always was"),
        "outcome": _M("what the last run that read the account did about it", words=OUTCOMES),
        "outcome_reason": _M("why"),
        "notices_sent": _M("letters of any kind in state sent or uncertain, to any address", "letters"),
        "last_notice": _M(
            "kind and occasion of the letter queued last, whatever became of it; of several queued together, the one to the primary address"
        ),
        "last_notice_at": _M("when that letter got into its state"),
        "last_notice_state": _M("that letter's state", words=_STATES),
        "next_stage": _M("the next stage to begin after the as-of instant; empty for accounts that would not be reminded"),
        "next_stage_on": _M("its day, which is a send day"),
        "exempt_until": _M("last day of the exemption in force"),
        "certain": _M("false: one of the methods is `unknown` or `other`, a second step that nobody knows by name"),
        "destination": _M(
            "yes: has an accepted method or may register one; no: the directory lets it register none; unknown: nobody says",
            words=DESTINATIONS,
        ),
        "in_policy": _M("the directory's policy still lets the account use a retired method; empty if nobody says"),
        "last_used_method": _M("the method used last; stands in for the default where none is known", words=_METHODS),
        "last_used_at": _M("when it was used"),
        "groups": _M("groups and directory roles, with semicolons between them"),
    },
    "action-list": {
        "owner": _M("who sees to it"),
        "action": _M("what they will do"),
        "due": _M("by when"),
        "comment": _M("anything else"),
    },
    "summary": {
        "department": _M("department; `(none)` for accounts without one, `(total)` in the last row"),
        "standing": _M("standing; `(total)` in the last row", words=STANDINGS),
        "count": _M("accounts", "accounts"),
        "share": _M("their share of all accounts of accounts.csv"),
        "not_certain": _M("how many of them are not certain", "accounts"),
    },
    "moves": {
        "from": _M("the standing in the evidence before; empty for accounts that were not in the directory", words=STANDINGS),
        "to": _M("the standing now; empty for accounts that are not in the directory any more", words=STANDINGS),
        "why": _M("; ".join(f"{word}: {told}" for word, told in WHYS.items()), words=(*WHYS,)),
        "count": _M("accounts", "accounts"),
    },
    "notices": {
        "account_id": _M("whom it is about"),
        "kind": _M("kind of the notice", words=NOTICE_KINDS),
        "occasion": _M("the stage, or the number of the change that it confirms (`change-3`), or of the move that it corrects (`moved-1`)"),
        "to": _M("address of the letter"),
        "role": _M("what that address is to the account", words=ROLES),
        "reference": _M("the eight characters in the letter's footer"),
        "state": _M("what became of it so far", words=_STATES),
        "reason": _M("why it is in that state"),
        "attempts": _M("how often it was begun with", "tries"),
        "reply": _M("the mail server's last words"),
        "queued_at": _M("when it was queued"),
        "settled_at": _M("when it was sent, failed, became uncertain or was withdrawn"),
        "changed_at": _M("when it got into its state"),
        "subject": _M("the subject it was sent with; empty unless it was"),
    },
    "changes": {
        "account_id": _M("whose methods changed"),
        "change": _M("what changed", words=CHANGES),
        "seen_at": _M("the run that saw it"),
        "had": _M("methods before, comma-separated", words=_METHODS),
        "has": _M("methods now, comma-separated", words=_METHODS),
        "mailed": _M("a change of this kind is confirmed by mail"),
        "state": _M("recorded (nobody is told), open, confirmed, or unsaid (given up)", words=CHANGE_STATES),
        "closed_at": _M("when it was confirmed or given up"),
        "seq": _M("number of the change among the account's", "1 is the first"),
        "tenure": _M("how many people have had this id, this one included", "people"),
    },
    "exemptions": {
        "account_id": _M("whom it exempts"),
        "until": _M("its last day, inclusive"),
        "days_to_expiry": _M("days from the as-of day to the last day; negative once expired", "days"),
        "expired": _M("its last day is over, and nobody has taken it back"),
        "owner": _M("who answers for it"),
        "reason": _M("why it was given"),
        "created_at": _M("when it was given"),
        "created_by": _M("who entered it"),
        "removed_at": _M("when it was taken back; empty while it was not"),
        "removed_by": _M("who took it back"),
        "removed_reason": _M("why"),
    },
    "rejected": {
        "position": _M("where it stood in the source", "1 is the first row"),
        "account_id": _M("its identifier, if it has one"),
        "reason": _M("why it is no account"),
    },
    "columns": {
        "file": _M("the file that the column is in"),
        "column": _M("its name"),
        "type": _M("how its values are written", words=("text", "word", "boolean", "integer", "number", "instant", "date")),
        "unit": _M("what a number counts, or the zone of a time; empty where there is none"),
        "words": _M("the only words that it has, comma-separated; empty where there are others"),
        "meaning": _M("what it holds"),
    },
}
"""Table → column → what it holds. Columns of action-list.csv that come from accounts.csv are described there."""


def meaning(table: Table, column: str) -> Meaning:
    """What a column of a table holds; KeyError if it is not described."""
    told = MEANINGS[table.name].get(column)
    found = told or MEANINGS[tables.ACCOUNTS.name][column]
    return Meaning(found.text, found.unit or _UNITS.get(table.columns[column], ""), found.words)


def columns_table(of: Iterable[Table] = tables.TABLES) -> pd.DataFrame:
    """The dictionary as rows of `COLUMNS`, table by table."""
    import pandas as pd

    rows = [
        (f"{table.name}.csv", name, kind, told.unit, ", ".join(told.words), told.text.replace("`", ""))
        for table in of
        for name, kind in table.columns.items()
        for told in (meaning(table, name),)
    ]
    return pd.DataFrame(rows, columns=list(tables.COLUMNS.columns), dtype="str")


def readme(text: str) -> str:
    """The README of the reports with new tables of columns; the text above the first table stays."""
    return text.partition("\n## ")[0].rstrip("\n") + "\n" + "".join(f"\n{line}\n" for table in tables.TABLES for line in _section(table))


def _section(table: Table) -> Iterator[str]:
    yield f"## {table.name}.csv"
    yield ROWS[table.name]
    lines = ["| column | type | unit, or words | meaning |", "| --- | --- | --- | --- |"]
    for name, kind in table.columns.items():
        told = meaning(table, name)
        same = name not in MEANINGS[table.name]
        lines.append(f"| {name} | {kind} | {'' if same else told.unit or ', '.join(told.words)} | {_SAME if same else told.text} |")
    yield "\n".join(lines)


if __name__ == "__main__":
    from migrate.files.resources import resource

    _readme: Path = resource("reports/README.md")
    _readme.write_text(readme(_readme.read_text(encoding="utf-8")), encoding="utf-8")
