"""Evidence: a run's reports in one folder, with a manifest of what they are (design §14).

One road for both a run that has just happened (`write`) and one of a past day (`rebuild`): the same chronicle gives the same bytes.
Every table is written as CSV first, a chunk at a time; the page and the workbook are made from those files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from migrate.errors import ReportError
from migrate.report import accounts, cells, folder, lines, manifest, tables
from migrate.report.chronicle import Chronicle
from migrate.report.settings import ReportsSettings
from migrate.report.spool import Spool
from migrate.report.tables import Table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a run's evidence is, the SHA-256 of its manifest, and how many rows each table has."""

    folder: Path
    manifest_digest: str
    rows: dict[str, int]


def write(chronicle: Chronicle, reports: ReportsSettings, summary: Mapping[str, Any]) -> Evidence | None:
    """Writes the evidence of the run that has just happened and lets `latest` point to it; None if no formats are asked for.

    `summary` is what `migrate run --json` prints; its `evidence` is filled in here. Raises ReportError, and then leaves nothing behind.
    """
    if not reports.formats:
        return None
    evidence = _write(chronicle, reports, reports.dir / folder.free(reports.dir, name(chronicle)), summary, rebuilt=False)
    folder.point(reports.dir, evidence.folder.name)
    return evidence


def rebuild(chronicle: Chronicle, reports: ReportsSettings, summary: Mapping[str, Any], out: Path | None = None) -> Evidence | None:
    """Writes the evidence of a past run again into `out`, which must be new or empty (default: beside the other evidence, numbered).

    The tables are byte for byte what they were; the manifest says `rebuilt`; `latest` stays where it is. Raises as `write` does.
    """
    if not reports.formats:
        return None
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ReportError(
            f"{out} is not empty, and evidence is never written over.", where="--out", hint="Name a folder that does not exist yet."
        )
    final = out or reports.dir / folder.free(reports.dir, name(chronicle))
    return _write(chronicle, reports, final, summary, rebuilt=True)


def name(chronicle: Chronicle) -> str:
    """`<as-of date>-<run id>`, the date being the campaign's calendar day."""
    return f"{chronicle.terms.day(chronicle.run.as_of)}-{chronicle.run.run_id}"


def _write(chronicle: Chronicle, reports: ReportsSettings, final: Path, summary: Mapping[str, Any], *, rebuilt: bool) -> Evidence:
    formats = frozenset(reports.formats)
    if "xlsx" in formats:
        from migrate.report import workbook

        workbook.available()
    with folder.side_folder(final) as side:
        draft = _Draft(chronicle, side, formats)
        draft.accounts()
        draft.summary()
        draft.tables()
        if "html" in formats:
            from migrate.report import page

            draft.file("report.html", lambda out: page.write(out, chronicle, draft.counts, draft.rows, draft.csv("action-list")))
        if "xlsx" in formats:
            from migrate.report import workbook

            draft.file("report.xlsx", lambda out: workbook.write(out, chronicle, draft.csvs(), draft.scratch))
        whole = {**summary, "evidence": str(final)}
        draft.file("summary.json", lambda out: out.write(manifest.canonical(whole)))
        draft.clear()
        facts = manifest.build(chronicle, side, draft.rows, rebuilt=rebuilt)
        draft.file(manifest.NAME, lambda out: out.write(manifest.canonical(facts)))
        digest = manifest.digest(side / manifest.NAME)
        for path in side.iterdir():
            folder.settle(path)
        folder.place(side, final)
    return Evidence(final, digest, draft.rows)


class _Draft:
    """Evidence while it is written: the files in the side folder, those made only to make others from in a scratch folder within."""

    def __init__(self, chronicle: Chronicle, side: Path, formats: frozenset[str]) -> None:
        self._chronicle = chronicle
        self._side = side
        self._formats = formats
        self.scratch = side / ".scratch"
        self.scratch.mkdir(mode=0o700)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.rows: dict[str, int] = {}

    def csv(self, table: str) -> Path:
        """Where a table stands as CSV; among the evidence only if that was asked for."""
        return (self._side if "csv" in self._formats else self.scratch) / f"{table}.csv"

    def csvs(self) -> list[tuple[Table, Path]]:
        """Every table and where it stands."""
        return [(table, self.csv(table.name)) for table in tables.TABLES]

    def file(self, name: str, fill: Callable[[BinaryIO], object]) -> None:
        with folder.create(self._side / name) as out:
            fill(out)

    def accounts(self) -> None:
        """accounts.csv, accounts.parquet, action-list.csv and what the summary counts, in one walk over the accounts."""
        columns = tables.ACCOUNTS.columns
        with ExitStack() as stack:
            spool = stack.enter_context(Spool(self.scratch / "spool"))
            out = stack.enter_context(folder.create(self.csv("accounts")))
            self.rows["accounts"] = lines.write(out, self._walk(spool, stack), columns)
            with folder.create(self.csv("action-list")) as listed:
                self.rows["action-list"] = spool.write(listed)

    def _walk(self, spool: Spool, stack: ExitStack) -> Iterator[Any]:
        import pyarrow.parquet as pq

        columns = tables.ACCOUNTS.columns
        twin = beside = None
        if "parquet" in self._formats:
            out = stack.enter_context(folder.create(self._side / "accounts.parquet"))
            few = [name for name, of in columns.items() if of in ("word", "instant", "date") or name == "department"]
            twin = stack.enter_context(pq.ParquetWriter(out, cells.schema(columns), compression="zstd", use_dictionary=few))
            beside = stack.enter_context(ThreadPoolExecutor(1))
        for records, letters in self._chronicle.accounts():
            there = accounts.accounts_table(records, letters, self._chronicle.terms, self._chronicle.run.as_of)
            self.counts += accounts.standing_counts(there)
            spool.add(accounts.action_rows(there))
            rows = cells.safely(there, columns)
            # Arrow compresses without Python's lock, so the twin is written while the CSV is.
            written = beside.submit(lambda: twin.write_table(rows.cast(cells.schema(columns)))) if twin is not None and beside is not None and rows.num_rows else None
            yield rows
            if written is not None:
                written.result()

    def summary(self) -> None:
        self._table(tables.SUMMARY, [tables.summary_table(self.counts)])

    def tables(self) -> None:
        """Every table whose rows are no accounts."""
        chronicle = self._chronicle
        as_of, at = chronicle.run.as_of, chronicle.evidence_at
        self._table(tables.NOTICES, map(tables.notices_table, chronicle.letters()))
        self._table(tables.CHANGES, (tables.changes_table(frame, at) for frame in chronicle.changes()))
        self._table(tables.EXEMPTIONS, [tables.exemptions_table(chronicle.exemptions(), chronicle.terms, as_of)])
        self._table(tables.REJECTED, map(tables.rejected_table, chronicle.rejected()))

    def _table(self, table: Table, frames: Iterable[pd.DataFrame]) -> None:
        with folder.create(self.csv(table.name)) as out:
            self.rows[table.name] = lines.write(out, (cells.typed(frame, table.columns) for frame in frames), table.columns)

    def clear(self) -> None:
        folder.remove(self.scratch)
