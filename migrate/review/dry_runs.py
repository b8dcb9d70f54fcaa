"""Writes a dry run down for review: the plan, every outcome, and how the mails would look (design §13).

Nothing is sent or recorded. The folder is personal data like any report: it is private, and appears whole or not at all. plan.json has what
`migrate run --plan` later compares the reviewed plan.csv with; plan.parquet has the letters themselves, where no spreadsheet edits them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from migrate import __version__, files, outside
from migrate.config import Config
from migrate.config.commands import command, typed
from migrate.core.accounts import ADDRESS_SEPARATOR
from migrate.core.kinds import MANDATORY
from migrate.core.words import OUTCOMES, in_order
from migrate.decide.draft import Draft
from migrate.errors import ConfigError, GuardError, ReportError
from migrate.files import NotOursError, Side
from migrate.files.digests import file_digest
from migrate.incremental import Whole
from migrate.report import cells, folder, lines, resaved, tables
from migrate.report.cells import Cells
from migrate.review import page, vouching
from migrate.review.plan_files import (
    ELSEWHERE,
    FACTS,
    OUTCOME_COLUMNS,
    PLAN,
    PLAN_COLUMNS,
    PLAN_PARQUET,
    PLAN_PARQUET_COLUMNS,
    PlanFacts,
    letter_rows,
    listed,
    outcome_rows,
    plan_rows,
    template_digests,
)

DRY_RUN: Final = "dry run"
"""The mark in a folder that says a dry run wrote it."""

_ROW_GROUP: Final = 10_000

_TOLD: Final = ("account_id", "standing", "outcome", "outcome_reason")
_LETTER: Final = ("to", "kind", "occasion", "language", "subject", "held")
_ARROW: Final = {"str": pa.large_string(), "int32": pa.int32(), "int64": pa.int64(), "bool": pa.bool_()}


def place(config: Config, now: datetime) -> Path:
    """The default folder of a dry run."""
    return config.reports.dir / f"dry-run-{config.campaign.today(now)}"


def name_of_stop(config: Config, now: datetime) -> str:
    """The name of the folder, inside the reports folder, for a run that a guard stopped: what it would have done. Numbered if the name
    is taken."""
    return f"stopped-{config.campaign.today(now)}"


def write(made: Draft, whole: Whole, config: Config, out: Path, created_at: datetime, stopped: Sequence[str] = ()) -> PlanFacts:
    """Writes the plan, outcomes.csv, rejected.csv, previews/ and review.html into `out`. `stopped` are the words of the guards that would
    stop the run.

    An earlier dry run of that name is replaced. Raises ReportError if the folder cannot be written, or has anything in it that a dry run
    did not write, such as a reviewed plan.
    """
    spare(out, config)
    with _explained(out, config), files.making(out, DRY_RUN) as side:
        facts = _write_all(made, whole, config, side, created_at, out, stopped)
        side.replace()
    return facts


def write_stop(made: Draft, whole: Whole, config: Config, now: datetime, created_at: datetime, stopped: Sequence[str]) -> Path:
    """Writes the plan of a run that a guard stopped, in a folder of its own beside the reports. Raises ReportError as `write` does."""
    base, name = config.reports.dir, name_of_stop(config, now)
    with _explained(base / name, config), files.making(base / name, DRY_RUN) as side:
        _write_all(made, whole, config, side, created_at, base / name, stopped)
        while True:
            free = folder.free(base, name)
            try:
                side.place(free)
            except NotOursError:  # another run was quicker
                continue
            return base / free


def spare(out: Path, config: Config) -> None:
    """Raises ReportError if a dry run must not replace a folder: it has something that no dry run wrote, or a reviewer's work in it.

    A reviewer's work is a plan.csv with one byte changed, or any file beside it.
    """
    why = files.strange(out, DRY_RUN)
    if why is not None:
        raise _left_alone(out, why, config)


def _left_alone(out: Path, why: str, config: Config) -> ReportError:
    beside = [path.name for path in sorted(out.glob("plan.*")) if path.suffix.lower() in ELSEWHERE] if out.is_dir() else []
    changed = None
    if (out / PLAN).is_file() and not out.is_symlink() and ((out / FACTS).is_file() or (out / files.MARK).is_file()):
        changed = f"{beside[0]} lies beside {PLAN}" if beside else _reviewed(out)
    if changed:
        return ReportError(
            f"{changed}: somebody has reviewed this plan, and it is not written over.",
            where=str(out),
            hint=f"Choose another folder with --out, apply the plan with {command(config, f'run --plan {typed(out)}')}, or move it away.",
        )
    return ReportError(
        f"{out} {why}, and is left as it is.",
        where="--out",
        hint=f"Name a folder that is not there yet with --out{'' if not out.is_dir() else ', or move or remove that one yourself'}.",
    )


@contextmanager
def _explained(out: Path, config: Config) -> Iterator[None]:
    try:
        yield
    except NotOursError as error:
        raise _left_alone(out, error.what, config) from error
    except OSError as error:
        raise ReportError(
            f"the plan cannot be written to {out}: {error.strerror or error}.",
            where="--out",
            hint="Make room or make the folder above it writable for this user, or name another folder.",
        ) from error


def _write_all(made: Draft, whole: Whole, config: Config, side: Side, created_at: datetime, out: Path, stopped: Sequence[str]) -> PlanFacts:
    facts = _write_plan(made, whole.fingerprint, config, side, created_at)
    with side.create(side.path / "outcomes.csv") as file:
        lines.write(file, (cells.typed(rows, OUTCOME_COLUMNS) for rows in outcome_rows(made, whole)), OUTCOME_COLUMNS)
    with side.create(side.path / "rejected.csv") as file:
        rejected = (tables.rejected_table(rows) for rows in made.rejected.frames())
        lines.write(file, (cells.typed(rows, tables.REJECTED.columns) for rows in rejected), tables.REJECTED.columns)
    previews = side.folder("previews")
    for (kind, language), letter in sorted(made.samples.items()):
        for suffix, content in (("eml", letter.message), ("html", letter.html.encode())):
            with side.create(previews / f"{kind}-{language}.{suffix}") as file:
                file.write(content)
    with side.create(side.path / page.NAME) as file:
        page.write(file, made, config, out, page.first_rows(plan_rows(made)), stopped)
    return facts


def _reviewed(out: Path) -> str | None:
    """How the rows of plan.csv differ from what the dry run wrote, compared by value as in `migrate run --plan`; None if they do not
    differ."""
    try:
        written = Counter(json.loads((out / FACTS).read_bytes())["rows"])
    except (OSError, ValueError, LookupError, TypeError):
        return f"what the dry run wrote into {PLAN} cannot be told, since {FACTS} is not as it was"
    there: Counter[str] = Counter()
    try:
        for rows in resaved.read(out / PLAN, PLAN_COLUMNS):
            there.update(resaved.marks(rows, PLAN_COLUMNS))
    except GuardError as error:
        return f"{PLAN} {error.what.rstrip('.')}"
    deleted, other = (written - there).total(), (there - written).total()
    if not deleted and not other:
        return None
    said = f"{deleted - other:,} deleted" if deleted > other else ""
    edited = f"{other:,} edited or added" if other else ""
    return f"{PLAN} was changed since its dry run (rows: {', '.join(each for each in (said, edited) if each)})"


def accounts_of(made: Draft, whole: Whole, asked: str) -> list[dict[str, Any]]:
    """What would become of the accounts of an id, a username or any address: objects of `migrate dry-run --json`.

    Case matters for ids alone. A rejected row is found by its id, and by the names and addresses recorded earlier. Raises ConfigError if
    nobody matches.
    """
    exact = asked.strip()
    found: list[dict[str, Any]] = []
    rejected = {exact}
    for records in whole.records.frames():
        meant = records[records["gone_at"].isna() & _named(records, exact)]
        read = meant["outcome"] != "rejected"
        rejected |= set(meant.loc[~read, "account_id"])
        found += _dicts(meant.loc[read, list(_TOLD)])
    for rows in made.rejected.frames():
        mine = rows[rows["account_id"].isin(rejected)]
        reason = "row " + mine["position"].astype("str") + ": " + mine["rejection"]
        found += _dicts(mine[["account_id"]].assign(standing=None, outcome="rejected", outcome_reason=reason))
    if not found:
        raise ConfigError(
            f"no account of this read is {asked!r}.", where="--account", hint="Type its id, its username or one of its addresses."
        )
    letters: dict[str, list[dict[str, Any]]] = {}
    for rows in plan_rows(made):
        for letter in _dicts(rows.loc[rows["account_id"].isin({each["account_id"] for each in found}), ["account_id", *_LETTER]]):
            letters.setdefault(letter.pop("account_id"), []).append(letter)
    # A rejected row may share its id with an account: the letters belong to the account.
    return [each | {"letters": letters.get(each["account_id"], []) if each["outcome"] != "rejected" else []} for each in found]


def _named(records: pd.DataFrame, who: str) -> pd.Series:
    """True where an account has this id, or this username or address in any case."""
    if not who:
        return pd.Series(False, index=records.index)
    folded, between = who.lower(), ADDRESS_SEPARATOR
    among = (between + records["notification_emails"].fillna("").str.lower() + between).str.contains(
        between + folded + between, regex=False
    )
    same = (records["account_id"] == who) | (records["username"].str.lower() == folded) | (records["email"].str.lower() == folded)
    return (same.fillna(False) | among).astype(bool)


def _dicts(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


class _PlanParquet:
    """plan.parquet while it is written. Its row groups have `_ROW_GROUP` letters, however many are added at a time, so that its bytes
    depend on the letters alone."""

    def __init__(self, file: BinaryIO, schema: pa.Schema) -> None:
        self._out = pq.ParquetWriter(file, schema, compression="zstd")
        self._held = schema.empty_table()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None and self._held.num_rows:
            self._out.write_table(self._held)
        self._out.close()

    def add(self, letters: pa.Table) -> None:
        self._held = pa.concat_tables([self._held, letters]).combine_chunks()
        while self._held.num_rows >= _ROW_GROUP:
            self._out.write_table(self._held.slice(0, _ROW_GROUP))
            self._held = self._held.slice(_ROW_GROUP)


def _write_plan(made: Draft, fingerprint: str, config: Config, side: Side, created_at: datetime) -> PlanFacts:
    marks: list[str] = []
    reminders = 0
    schema = pa.schema([(name, _ARROW.get(of, pa.timestamp("us", tz="UTC"))) for name, of in PLAN_PARQUET_COLUMNS.items()])
    with side.create(side.path / PLAN_PARQUET) as beside, _PlanParquet(beside, schema) as twin:

        def tables() -> Iterator[Cells]:
            nonlocal reminders
            for letters in letter_rows(made):
                twin.add(pa.Table.from_pandas(letters, schema=schema, preserve_index=False))
                table = cells.typed(listed(letters), PLAN_COLUMNS)
                marks.extend(resaved.marks(resaved.as_text(table, PLAN_COLUMNS), PLAN_COLUMNS))
                reminders += int((~letters["kind"].isin(MANDATORY)).sum())
                yield table

        with side.create(side.path / PLAN) as file:
            lines.write(file, tables(), PLAN_COLUMNS)
    rules, now = made.rules, made.rules.moment.now.astimezone(UTC)
    secret = rules.secret or vouching.set_aside(config, make=True)
    facts = PlanFacts(
        version=1,
        tool_version=__version__,
        campaign=config.campaign.name,
        as_of=now,
        created_at=created_at,
        expires_at=now + timedelta(hours=config.safety.plan_hours),
        directory=fingerprint,
        config=config.digest,
        settings=dict(config.settings),
        mail=rules.composer.digest,
        templates=template_digests(rules.composer.sources),
        counts={"read": made.read, "rows": len(marks), "reminders": reminders, "confirmations": len(marks) - reminders},
        outcomes=in_order(made.outcomes, OUTCOMES),
        twin=file_digest(side.path / PLAN_PARQUET),
        rows=marks,
        source=vouching.directory_mark(secret, config.directory) if secret else "",
    )
    facts = facts.vouched(secret) if secret else facts
    with side.create(side.path / FACTS) as file:
        file.write(outside.escaped_json(facts.model_dump_json(indent=1)).encode() + b"\n")
    return facts
