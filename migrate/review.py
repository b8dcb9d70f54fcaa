"""A dry run written down for review: the plan, every outcome, and how the mails would look (design §13).

Nothing here sends or records. The folder is personal data like any report: it is private, and appears whole or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pandas as pd

from migrate.draft import Draft
from migrate.plan import CONFIRMATION
from migrate.report import cells, folder, lines
from migrate.report.cells import CellType
from migrate.snapshot import REJECTED_COLUMNS

PLAN_COLUMNS: Final[dict[str, CellType]] = {
    "notice": "word", "account_id": "text", "to": "text", "kind": "word", "occasion": "word", "language": "word", "subject": "text",
    "standing": "word", "days_left": "integer", "held": "boolean",
}  # fmt: skip
"""`held` is true for what the blast-radius guard would hold back without an approved plan."""
OUTCOME_COLUMNS: Final[dict[str, CellType]] = {
    "account_id": "text", "position": "integer", "username": "text", "email": "text", "display_name": "text", "standing": "word",
    "outcome": "word", "outcome_reason": "text",
}  # fmt: skip
"""A row read a row. `position` is where a rejected row stood in the source; a rejected row has no standing."""


def plan_rows(made: Draft) -> Iterator[pd.DataFrame]:
    """`PLAN_COLUMNS`, a letter a row: what would be queued, and what would be held."""
    for letters in made.letters.frames():
        yield pd.DataFrame(
            {
                "notice": _notices(letters),
                "account_id": letters["account_id"],
                "to": letters["address"],
                "kind": letters["kind"],
                "occasion": letters["occasion"],
                "language": letters["language"],
                "subject": letters["subject"],
                "standing": letters["standing"],
                "days_left": letters["days_left"],
                "held": made.held & (letters["kind"] != CONFIRMATION),
            }
        )


def outcome_rows(made: Draft) -> Iterator[pd.DataFrame]:
    """`OUTCOME_COLUMNS`, a row read a row."""
    for records in made.recorded():
        read = records[records["gone_at"].isna() & (records["outcome"] != "rejected")]
        yield read.assign(position=pd.Series(pd.NA, index=read.index, dtype="Int64"))[list(OUTCOME_COLUMNS)]
    for rejected in made.rejected.frames():
        blank = pd.Series(pd.NA, index=rejected.index, dtype="str")
        rows = rejected[list(REJECTED_COLUMNS)].rename(columns={"rejection": "outcome_reason"})
        yield rows.assign(outcome="rejected", username=blank, email=blank, display_name=blank, standing=blank)[list(OUTCOME_COLUMNS)]


def write(made: Draft, out: Path) -> Path:
    """Writes plan.csv, outcomes.csv and previews/ into `out`, which replaces an earlier dry run of that name and nothing else.

    Raises ReportError if the folder cannot be written, or is there and is no dry run.
    """
    with folder.side_folder(out) as side:
        with folder.create(side / "plan.csv") as file:
            lines.write(file, (cells.typed(rows, PLAN_COLUMNS) for rows in plan_rows(made)), PLAN_COLUMNS)
        with folder.create(side / "outcomes.csv") as file:
            lines.write(file, (cells.typed(rows, OUTCOME_COLUMNS) for rows in outcome_rows(made)), OUTCOME_COLUMNS)
        previews = side / "previews"
        previews.mkdir(mode=0o700)
        for (kind, language), letter in sorted(made.samples.items()):
            for suffix, content in (("eml", letter.message), ("html", letter.html.encode())):
                with folder.create(previews / f"{kind}-{language}.{suffix}") as file:
                    file.write(content)
        folder.replace(side, out, known_by="plan.csv")
    return out


def _notices(letters: pd.DataFrame) -> list[str]:
    """A short name of each notice, the same in every dry run: letters of one notice share it."""
    keys = zip(letters["account_id"], letters["tenure"], letters["occasion"], letters["told_cutoff"], strict=True)
    return [hashlib.sha256("\x1f".join(map(str, key)).encode()).hexdigest()[:16] for key in keys]
