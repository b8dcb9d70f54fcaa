"""Accepts or refuses a reviewed plan: what `migrate run --plan` does with the folder of a dry run (design §13).

`read` compares plan.csv, as a spreadsheet may have saved it, with what the dry run wrote. Rows may be missing; nothing else may differ,
neither in the file nor in the configuration or the templates. The `Approval` then says for each reminder that is due whether the plan has
it, and gives the reminders that the reviewer deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from migrate.config import Config
from migrate.config.anchors import HIDDEN
from migrate.core.accounts import conform
from migrate.core.kinds import MANDATORY
from migrate.core.letters import STRUCK_OUT
from migrate.core.moment import Moment
from migrate.errors import GuardError
from migrate.files.digests import file_digest
from migrate.mail.compose import Composer
from migrate.outbox.queueing import QUEUE_COLUMNS
from migrate.report import cells, resaved
from migrate.review import plan_files, vouching
from migrate.review.plan_files import FACTS, PLAN, PLAN_COLUMNS, PLAN_PARQUET, PlanFacts

NOT_LISTED: Final = "not in the plan"
_SHOWN: Final = 10
_LONGEST: Final = 80
_JUDGED: Final = ["account_id", "tenure", "occasion", "told_cutoff", "address", "standing", "language"]
_NOTHING: Final = "Nothing was recorded and nothing sent."
_ANEW: Final = "Type `migrate dry-run --out ANOTHER` (a plan that was reviewed is not written over) and review the new plan."


@dataclass(frozen=True, slots=True)
class Applied:
    """What a run reports of the plan it applied: the digest, who approved it, how many reminders it let out, and what was deleted from
    it."""

    digest: str
    approved_by: str
    approved: int
    struck_out: int
    confirmations_deleted: int


@dataclass(frozen=True, slots=True)
class Approval:
    """A plan as it was reviewed. `as_of` is the instant it was made for; `digest` (hex) covers the plan, the rows left in it, and who
    approved it.

    `reminders` has a row for each reminder of the plan, by account id (a dry run plans one for an account): `_JUDGED`, and `struck`, which
    is 1 where the reviewer deleted a reminder that is due now. `confirmations_deleted` counts the confirmations whose row was deleted; they
    are sent all the same. `twin` is the SHA-256 of plan.parquet.
    """

    folder: Path
    as_of: datetime
    digest: str
    by: str
    reminders: pd.DataFrame
    confirmations_deleted: int
    twin: str = ""

    @property
    def struck(self) -> int:
        return int(self.reminders["struck"].sum())

    @property
    def approved(self) -> int:
        return len(self.reminders) - self.struck

    def told(self) -> Applied:
        """What a run reports of the plan it applied."""
        return Applied(self.digest, self.by, self.approved, self.struck, self.confirmations_deleted)

    def left_out(self, letters: pd.DataFrame) -> pd.Series:
        """The reason why each letter that is due now (`COMPOSED_COLUMNS`) may not be sent by this plan; '' where it may, as for every
        confirmation."""
        planned = self.reminders.reindex(letters["account_id"]).set_index(letters.index)
        someone_else = (planned["tenure"] != letters["tenure"]) | (planned["told_cutoff"] != letters["told_cutoff"])
        rows = [
            (letters["kind"].isin(MANDATORY), ""),
            (planned["occasion"].isna() | someone_else, NOT_LISTED),
            (planned["occasion"] != letters["occasion"], NOT_LISTED + ", which has " + planned["occasion"]),
            (planned["struck"].eq(1), STRUCK_OUT),
            (planned["address"] != letters["address"], "the address changed since the plan"),
            (planned["standing"] != letters["standing"], "the standing changed since the plan, from " + planned["standing"]),
            (planned["language"] != letters["language"], "the language changed since the plan, from " + planned["language"]),
        ]
        conditions, reasons = zip(*rows, strict=True)
        chosen = np.select([c.to_numpy(bool) for c in conditions], [np.asarray(reason, dtype=object) for reason in reasons], default="")
        return pd.Series(chosen, index=letters.index, dtype="str")

    def struck_out(self) -> Iterator[pd.DataFrame]:
        """`QUEUE_COLUMNS` of the reminders that the reviewer deleted, as they were planned."""
        if not self.struck:
            return
        struck = self.reminders[self.reminders["struck"] == 1]
        deleted = pa.array(struck.index, type=pa.large_string())
        due = pa.array(struck["occasion"].unique(), type=pa.large_string())
        try:
            with (self.folder / PLAN_PARQUET).open("rb") as file, pq.ParquetFile(file) as twin:
                # The file was read before the directory, and somebody may have replaced it meanwhile.
                file.seek(0)
                if hashlib.file_digest(file, "sha256").hexdigest() != self.twin:
                    raise _another(self.folder)
                for batch in twin.iter_batches(batch_size=10_000, columns=list(QUEUE_COLUMNS)):
                    reminder = pc.invert(pc.is_in(batch.column("kind"), pa.array(sorted(MANDATORY), pa.large_string())))
                    these = pc.and_(pc.is_in(batch.column("account_id"), deleted), pc.is_in(batch.column("occasion"), due))
                    mine = batch.filter(pc.and_(reminder, these))
                    if mine.num_rows:
                        yield conform(mine.to_pandas(), QUEUE_COLUMNS)
        except OSError as error:
            raise _unreadable(self.folder, error) from None


def read(folder: Path, config: Config, composer: Composer, moment: Moment, by: str, secret: str | None) -> Approval:
    """Reads the reviewed plan in a folder. A deleted row strikes out its reminder only if that reminder is due now.

    Raises GuardError with the difference if the plan may not be applied at this moment, or if the `secret` of the campaign (None: there is
    none) does not vouch for it.
    """
    facts = _facts(folder)
    _still_holds(facts, folder, config, composer, moment.now, secret)
    if others := [path.name for path in sorted(folder.glob("plan.*")) if path.suffix.lower() in plan_files.ELSEWHERE]:
        raise GuardError(
            f"{others[0]} lies beside {PLAN}, and only {PLAN} is read. {_NOTHING}",
            where=str(folder),
            hint=f"If {others[0]} is what was reviewed, save it as {PLAN}; then move it away.",
        )
    twin = _planned(folder, facts)
    kept = _kept(folder, facts)
    reminder = ~twin["kind"].isin(MANDATORY).to_numpy(bool)
    due = moment.is_due(twin["occasion"], twin["told_cutoff"])
    struck = ~kept & due.to_numpy(bool)
    reminders = twin.loc[reminder, _JUDGED].assign(struck=struck[reminder].astype("int8")).set_index("account_id")
    named = hashlib.sha256((folder / FACTS).read_bytes() + kept.tobytes() + by.encode())
    return Approval(folder, facts.as_of, named.hexdigest(), by, reminders, int((~kept & ~reminder).sum()), facts.twin)


def _facts(folder: Path) -> PlanFacts:
    try:
        return PlanFacts.model_validate_json((folder / FACTS).read_bytes())
    except FileNotFoundError:
        raise GuardError(
            f"there is no {FACTS}, so this is no dry run's folder. {_NOTHING}",
            where=str(folder),
            hint="Type `migrate dry-run` to make one.",
        ) from None
    except OSError as error:
        raise GuardError(f"{FACTS} cannot be read: {error.strerror or error}. {_NOTHING}", where=str(folder)) from None
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"])) or "the file"
        raise GuardError(
            f"{FACTS} is not as a dry run of this version writes it ({at}: {first['msg']}). {_NOTHING}", where=str(folder), hint=_ANEW
        ) from None


def _still_holds(facts: PlanFacts, folder: Path, config: Config, composer: Composer, now: datetime, secret: str | None) -> None:
    """Refuses a plan that was made for another campaign, ledger or directory, that was edited, that is too old, or that was made before
    the configuration or a template changed."""
    where = str(folder)
    if facts.campaign != config.campaign.name:
        raise GuardError(
            f"this is a plan of the campaign {facts.campaign!r}, and the configuration is of {config.campaign.name!r}. {_NOTHING}",
            where=where,
            hint="Name the configuration it was made with (--config).",
        )
    if secret is None or not facts.holds(secret):
        raise GuardError(
            f"no dry run of this ledger wrote this {FACTS}, or somebody changed it since. {_NOTHING}",
            where=where,
            hint=f"{_ANEW} The dry run must use the same [ledger] url, and before the first run the same [reports] dir.",
        )
    if facts.config != config.digest:
        changed = _changed(facts.settings, config.settings)
        raise GuardError(f"the configuration changed since the plan: {changed}. {_NOTHING}", where=where, hint=_ANEW)
    if facts.source != vouching.directory_mark(secret, config.directory):
        raise GuardError(f"this is a plan of another directory than [directory] names now. {_NOTHING}", where=where, hint=_ANEW)
    if facts.mail != composer.digest:
        now_used = plan_files.template_digests(composer.sources)
        names = sorted(name for name in facts.templates.keys() | now_used.keys() if facts.templates.get(name) != now_used.get(name))
        raise GuardError(f"templates changed since the plan: {', '.join(_first(names, len(names)))}. {_NOTHING}", where=where, hint=_ANEW)
    if now >= facts.expires_at:
        raise GuardError(
            f"the plan expired on {facts.expires_at:%Y-%m-%d %H:%M} UTC, and it is {now:%Y-%m-%d %H:%M} UTC ([safety] plan_hours = "
            f"{config.safety.plan_hours}). {_NOTHING}",
            where=where,
            hint=_ANEW,
        )


def _planned(folder: Path, facts: PlanFacts) -> pd.DataFrame:
    try:
        if file_digest(folder / PLAN_PARQUET) != facts.twin:
            raise _another(folder)
        return pd.DataFrame(pq.read_table(folder / PLAN_PARQUET, columns=[*_JUDGED, "kind"]).to_pandas())
    except OSError as error:
        raise _unreadable(folder, error) from None


def _another(folder: Path) -> GuardError:
    return GuardError(f"{PLAN_PARQUET} is not the one that the dry run wrote. {_NOTHING}", where=str(folder), hint=_ANEW)


def _unreadable(folder: Path, error: OSError) -> GuardError:
    return GuardError(f"{PLAN_PARQUET} cannot be read: {error.strerror or error}. {_NOTHING}", where=str(folder), hint=_ANEW)


def _kept(folder: Path, facts: PlanFacts) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which rows of the plan are still in plan.csv. Raises GuardError if plan.csv has any other row."""
    marks = pd.Index(facts.rows)
    kept = np.zeros(len(marks), dtype=bool)
    strangers: list[dict[Hashable, Any]] = []
    more = 0
    for rows in resaved.read(folder / PLAN, PLAN_COLUMNS):
        at = marks.get_indexer(pd.Index(resaved.marks(rows, PLAN_COLUMNS)))
        twice = (at >= 0) & (kept[at] | pd.Series(at).duplicated().to_numpy())
        odd = rows[(at < 0) | twice].assign(twice=twice[(at < 0) | twice])
        strangers += odd.head(_SHOWN - len(strangers)).to_dict("records")
        more += len(odd)
        kept[at[at >= 0]] = True
    if strangers:
        said = _differences(folder, strangers, kept)
        raise GuardError(
            f"{more} row{'s' if more > 1 else ''} of {PLAN} {'are' if more > 1 else 'is'} not as the dry run wrote "
            f"{'them' if more > 1 else 'it'}:",
            where=str(folder),
            items=_first(said, more),
            hint=f"{_NOTHING} Rows may be deleted, and nothing else: put them back as they were. If a spreadsheet rewrote account ids as "
            "numbers or dates, type `migrate dry-run` for a new file and open that one with every column as text; --out puts it into "
            "another folder, since a plan that was reviewed is not written over.",
        )
    return kept


def _differences(folder: Path, strangers: list[dict[Hashable, Any]], kept: np.ndarray[Any, np.dtype[np.bool_]]) -> list[str]:
    """A line for each row that the dry run did not write: the row it was before somebody edited it, or that it was added."""
    columns = list(PLAN_COLUMNS)
    twin = pq.read_table(folder / PLAN_PARQUET, columns=[name if name != "to" else "address" for name in columns]).filter(pa.array(~kept))
    near = _near(twin, {str(row["notice"]).strip() for row in strangers}, {str(row["account_id"]).strip() for row in strangers})
    lines = []
    for row in strangers:
        who = f"line {row[resaved.LINE]} ({_short(row['account_id'])})"
        same = near[(near["notice"] == str(row["notice"]).strip()) | (near["account_id"] == str(row["account_id"]).strip())]
        if row["twice"]:
            lines.append(f"{who} stands there twice")
        elif same.empty:
            lines.append(f"{who} was added: {row['kind']} {row['occasion']} to {_short(row['to'])}")
        else:
            differ = [[name for name in columns if resaved.value(was[name]) != resaved.value(row[name])] for was in same.to_dict("records")]
            best = min(range(len(differ)), key=lambda n: len(differ[n]))
            was = same.iloc[best]
            lines.append(f"{who}: " + ", ".join(f"{name} was {_short(was[name])}, is {_short(row[name])}" for name in differ[best]))
    return lines


def _near(twin: pa.Table, notices: set[str], ids: set[str]) -> pd.DataFrame:
    """The rows of the plan, as text, that have one of these notices or account ids."""
    wanted = pc.or_(
        pc.is_in(twin["notice"], pa.array(sorted(notices), pa.large_string())),
        pc.is_in(twin["account_id"], pa.array(sorted(ids), pa.large_string())),
    )
    return resaved.as_text(cells.typed(plan_files.listed(twin.filter(wanted).to_pandas()), PLAN_COLUMNS), PLAN_COLUMNS)


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    names = [name for name in dict.fromkeys([*before, *now]) if before.get(name) != now.get(name)]
    return "; ".join(_first([f"{name} {_was_and_is(before.get(name), now.get(name))}" for name in names], len(names)))


def _was_and_is(before: str | None, now: str | None) -> str:
    if any(value is not None and value.startswith(HIDDEN) for value in (before, now)):
        return "is another"
    return f"was {_clipped(before or 'not set')}, is {_clipped(now or 'not set')}"


def _first(said: list[str], total: int) -> list[str]:
    more = total - min(len(said), _SHOWN)
    return [*said[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]


def _short(text: object) -> str:
    return repr(_clipped(str(text)))


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
