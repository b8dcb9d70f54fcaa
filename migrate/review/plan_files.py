"""The files of a plan: their names, columns, rows, and the facts in plan.json (design §13).

`dry_runs` writes them; `approval` reads them back after the review.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict

from migrate.core.kinds import MANDATORY
from migrate.decide.composing import COMPOSED_COLUMNS
from migrate.decide.draft import Draft
from migrate.directory.snapshot import REJECTED_COLUMNS
from migrate.incremental import Whole
from migrate.report.cells import CellType
from migrate.review import vouching

PLAN: Final = "plan.csv"
FACTS: Final = "plan.json"
PLAN_PARQUET: Final = "plan.parquet"

PLAN_COLUMNS: Final[dict[str, CellType]] = {
    "notice": "word", "account_id": "text", "to": "text", "kind": "word", "occasion": "word", "language": "word", "subject": "text",
    "standing": "word", "days_left": "integer", "held": "boolean",
}  # fmt: skip
"""The columns of plan.csv; one row is a letter. `held` is true if the blast-radius guard would hold the letter back without an approved
plan."""
ELSEWHERE: Final = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers", ".tsv", ".txt")
"""Suffixes of a plan that was saved in another format than plan.csv."""
OUTCOME_COLUMNS: Final[dict[str, CellType]] = {
    "account_id": "text", "position": "integer", "username": "text", "email": "text", "display_name": "text", "standing": "word",
    "outcome": "word", "outcome_reason": "text",
}  # fmt: skip
"""The columns of outcomes.csv; one row is a row read. `position` is where a rejected row stood in the source; a rejected row has no
standing."""
PLAN_PARQUET_COLUMNS: Final[dict[str, str]] = (
    {"notice": "str"} | {n: of for n, of in COMPOSED_COLUMNS.items() if n != "row"} | {"held": "bool"}
)
"""The columns of plan.parquet: the letters of plan.csv as they were drafted, in the same order."""


class PlanFacts(BaseModel):
    """plan.json: what the plan depends on, and what its rows say.

    `config` and `mail` are the digests of the configuration and of the templates, `settings` and `templates` what each is made of; `twin`
    is the SHA-256 of plan.parquet, and `rows` has the mark of each of its rows, in order. `source` names the directory, and `mac` vouches
    for everything else (`migrate.review.vouching`); both are empty where there is no secret. `tool_version`, `created_at`, `directory` (the
    fingerprint of the read), `counts` and `outcomes` are for readers: nothing compares them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    tool_version: str
    campaign: str
    as_of: datetime
    created_at: datetime
    expires_at: datetime
    directory: str
    config: str
    settings: dict[str, str]
    mail: str
    templates: dict[str, str]
    counts: dict[str, int]
    outcomes: dict[str, int]
    twin: str
    rows: list[str]
    source: str = ""
    mac: str = ""

    def vouched(self, secret: str) -> PlanFacts:
        """The same facts with their MAC."""
        return self.model_copy(update={"mac": vouching.mac(secret, self._told())})

    def holds(self, secret: str) -> bool:
        """Whether the MAC was made of these facts with a secret."""
        return vouching.holds(self.mac, secret, self._told())

    def _told(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"mac"})


def template_digests(sources: Mapping[str, str]) -> dict[str, str]:
    """Name → SHA-256 of each text that letters are composed from."""
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in sources.items()}


def plan_rows(made: Draft) -> Iterator[pd.DataFrame]:
    """`PLAN_COLUMNS` of every letter that would be queued or held back."""
    return (listed(letters) for letters in letter_rows(made))


def listed(twin: pd.DataFrame) -> pd.DataFrame:
    """Letters (`PLAN_PARQUET_COLUMNS`) as plan.csv lists them."""
    return twin.rename(columns={"address": "to"})[list(PLAN_COLUMNS)]


def outcome_rows(made: Draft, whole: Whole) -> Iterator[pd.DataFrame]:
    """`OUTCOME_COLUMNS` of every row read."""
    for records in whole.records.frames():
        read = records[records["gone_at"].isna() & (records["outcome"] != "rejected")]
        yield read.assign(position=pd.Series(pd.NA, index=read.index, dtype="Int64"))[list(OUTCOME_COLUMNS)]
    for rejected in made.rejected.frames():
        blank = pd.Series(pd.NA, index=rejected.index, dtype="str")
        rows = rejected[list(REJECTED_COLUMNS)].rename(columns={"rejection": "outcome_reason"})
        yield rows.assign(outcome="rejected", username=blank, email=blank, display_name=blank, standing=blank)[list(OUTCOME_COLUMNS)]


def letter_rows(made: Draft) -> Iterator[pd.DataFrame]:
    """`PLAN_PARQUET_COLUMNS` of every letter that would be queued or held back."""
    for letters in made.letters.frames():
        held = made.held & ~letters["kind"].isin(MANDATORY)
        yield letters.assign(notice=_notices(letters), held=held)[list(PLAN_PARQUET_COLUMNS)]


def _notices(letters: pd.DataFrame) -> list[str]:
    """A short name for the notice of each letter, the same in every dry run; letters of one notice share it. It never looks like a
    number to a spreadsheet."""
    keys = zip(letters["account_id"], letters["tenure"], letters["occasion"], letters["told_cutoff"], strict=True)
    return ["n" + hashlib.sha256("\x1f".join(map(str, key)).encode()).hexdigest()[:16] for key in keys]
