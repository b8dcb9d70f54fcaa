"""Writes a dry run down for review: the plan, every outcome, and how the mails would look (design §13).

Nothing is sent or recorded. The folder is personal data like any report: it is private, and appears whole or not at all. plan.json has what
`migrate run --plan` later compares the reviewed plan.csv with; plan.parquet has the letters themselves, where no spreadsheet edits them.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Literal, Self

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from migrate import __version__, files, outside
from migrate.config import Config
from migrate.config.commands import command, typed
from migrate.core.accounts import ADDRESS_SEPARATOR
from migrate.core.kinds import MANDATORY
from migrate.core.words import OUTCOMES, in_order
from migrate.decide.composing import COMPOSED_COLUMNS
from migrate.decide.draft import Draft
from migrate.directory.snapshot import REJECTED_COLUMNS
from migrate.errors import ConfigError, GuardError, ReportError
from migrate.files import NotOursError, Side
from migrate.files.digests import file_digest
from migrate.incremental import Whole
from migrate.report import cells, folder, lines, resaved, tables
from migrate.report.cells import Cells, CellType
from migrate.review import page, vouching

PLAN: Final = "plan.csv"
FACTS: Final = "plan.json"
TWIN: Final = "plan.parquet"
DRY_RUN: Final = "dry run"
"""The mark in a folder that says a dry run wrote it."""

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
TWIN_COLUMNS: Final[dict[str, str]] = {"notice": "str"} | {n: of for n, of in COMPOSED_COLUMNS.items() if n != "row"} | {"held": "bool"}
"""The columns of plan.parquet: the letters of plan.csv as they were drafted, in the same order."""
_ROW_GROUP: Final = 10_000

_TOLD: Final = ("account_id", "standing", "outcome", "outcome_reason")
_LETTER: Final = ("to", "kind", "occasion", "language", "subject", "held")
_ARROW: Final = {"str": pa.large_string(), "int32": pa.int32(), "int64": pa.int64(), "bool": pa.bool_()}


class PlanFacts(BaseModel):
    """plan.json: what the plan depends on, and what its rows say.

    `config` and `mail` are the digests of the configuration and of the templates, `settings` and `templates` what each is made of; `twin`
    is the SHA-256 of plan.parquet, and `rows` has the mark of each of its rows, in order. `source` names the directory, and `mac` vouches
    for everything else (`migrate.review.vouching`); both are empty where there is no secret. Days left, the fingerprint of the directory
    and the counts are for readers: nothing compares them.
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


def place(config: Config, now: datetime) -> Path:
    """The default folder of a dry run."""
    return config.reports.dir / f"dry-run-{config.campaign.today(now)}"


def name_of_stop(config: Config, now: datetime) -> str:
    """The name of the folder, inside the reports folder, for a run that a guard stopped: what it would have done. Numbered if the name
    is taken."""
    return f"stopped-{config.campaign.today(now)}"


def template_digests(sources: Mapping[str, str]) -> dict[str, str]:
    """Name → SHA-256 of each text that letters are composed from."""
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in sources.items()}


def plan_rows(made: Draft) -> Iterator[pd.DataFrame]:
    """`PLAN_COLUMNS` of every letter that would be queued or held back."""
    return (listed(letters) for letters in _twin_rows(made))


def listed(twin: pd.DataFrame) -> pd.DataFrame:
    """Letters (`TWIN_COLUMNS`) as plan.csv lists them."""
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


class _Twin:
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
    schema = pa.schema([(name, _ARROW.get(of, pa.timestamp("us", tz="UTC"))) for name, of in TWIN_COLUMNS.items()])
    with side.create(side.path / TWIN) as beside, _Twin(beside, schema) as twin:

        def tables() -> Iterator[Cells]:
            nonlocal reminders
            for letters in _twin_rows(made):
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
        twin=file_digest(side.path / TWIN),
        rows=marks,
        source=vouching.directory_mark(secret, config.directory) if secret else "",
    )
    facts = facts.vouched(secret) if secret else facts
    with side.create(side.path / FACTS) as file:
        file.write(outside.escaped_json(facts.model_dump_json(indent=1)).encode() + b"\n")
    return facts


def _twin_rows(made: Draft) -> Iterator[pd.DataFrame]:
    for letters in made.letters.frames():
        held = made.held & ~letters["kind"].isin(MANDATORY)
        yield letters.assign(notice=_notices(letters), held=held)[list(TWIN_COLUMNS)]


def _notices(letters: pd.DataFrame) -> list[str]:
    """A short name for the notice of each letter, the same in every dry run; letters of one notice share it. It never looks like a
    number to a spreadsheet."""
    keys = zip(letters["account_id"], letters["tenure"], letters["occasion"], letters["told_cutoff"], strict=True)
    return ["n" + hashlib.sha256("\x1f".join(map(str, key)).encode()).hexdigest()[:16] for key in keys]
