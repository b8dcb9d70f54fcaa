"""Evidence: a run's reports in one folder, with a manifest of its files (design §14).

A run that has just happened (`write`) and one of a past day (`rebuild`) take the same way: the same chronicle gives the same bytes. Every
table is first written as CSV, a part at a time; the page and the workbook are made from those files. One part of the accounts is written
while the next is worked out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from migrate.errors import ReportError
from migrate.files import NotOursError, Side, obstacle
from migrate.files.digests import Sealed, digest_of, file_digest
from migrate.process import memory
from migrate.report import accounts, cells, dictionary, folder, lines, manifest, signing, sums, tables
from migrate.report.background import BackgroundWriter
from migrate.report.cells import Cells
from migrate.report.chronicle import Chronicle
from migrate.report.moves import Moves
from migrate.report.parquet import ParquetFile
from migrate.report.settings import ReportsSettings
from migrate.report.spool import Spool
from migrate.report.tables import Table
from migrate.report.told import Told

if TYPE_CHECKING:
    import pandas as pd

    from migrate.report.tally import Tally


@dataclass(frozen=True, slots=True)
class Evidence:
    """Written evidence: its folder, the SHA-256 of its manifest, how many rows each table has, and the digest of what it left for the next
    evidence (`told.Carried`), None if it left nothing."""

    folder: Path
    manifest_digest: str
    rows: dict[str, int]
    told: str | None


def write(chronicle: Chronicle, reports: ReportsSettings, summary: Mapping[str, Any], told_folder: Path | None = None) -> Evidence | None:
    """Writes the evidence of the run that has just happened and points `latest` at it; None if no formats are configured.

    `summary` is what `migrate run --json` prints; its `evidence` is filled in here. What accounts were told is left in `told_folder`, if
    there is one, for the next evidence. Raises ReportError, and leaves nothing behind then.
    """
    if not reports.formats:
        return None
    evidence = _write(chronicle, reports, None, summary, told_folder, rebuilt=False)
    folder.point(reports.dir, evidence.folder.name)
    return evidence


def rebuild(chronicle: Chronicle, reports: ReportsSettings, summary: Mapping[str, Any], out: Path | None = None) -> Evidence | None:
    """Writes the evidence of a past run again into `out`, which must be new or empty (default: beside the other evidence, numbered).

    The tables have the same bytes as the first time; the manifest says `rebuilt`; `latest` is not changed. Raises ReportError as `write`
    does.
    """
    if not reports.formats:
        return None
    if out is not None and (why := obstacle(out)):
        raise _in_the_way(out, why)
    return _write(chronicle, reports, out, summary, None, rebuilt=True)


def name(chronicle: Chronicle) -> str:
    """`<as-of date>-<run id>`, the date being the campaign's calendar day."""
    return f"{chronicle.terms.day(chronicle.run.as_of)}-{chronicle.run.run_id}"


def _write(
    chronicle: Chronicle, reports: ReportsSettings, out: Path | None, summary: Mapping[str, Any], told_folder: Path | None, *, rebuilt: bool
) -> Evidence:
    """Writes into `out`; without `out`, into the reports folder under the first free name."""
    formats = frozenset(reports.formats)
    if "xlsx" in formats:
        from migrate.report import workbook

        workbook.available()
    with folder.making(out or reports.dir / name(chronicle)) as side:
        writer = _EvidenceWriter(chronicle, side, formats)
        writer.letters()
        writer.accounts()
        writer.summary()
        writer.tables()
        if "html" in formats:
            from migrate.report import page

            assert writer.tally is not None  # the page was asked for
            counts = page.Counts(writer.counts, writer.not_certain, writer.rows, writer.tally.end(writer.told.letters), writer.moves)
            writer.file("report.html", lambda out: page.write(out, chronicle, counts, writer.csv("action-list")))
        if "helpdesk" in formats:
            from migrate.report import helpdesk

            writer.file(helpdesk.NAME, lambda out: helpdesk.write(out, chronicle))
        if "xlsx" in formats:
            from migrate.report import workbook

            writer.file("report.xlsx", lambda out: workbook.write(out, chronicle, writer.csvs(), writer.scratch, formats))
        while True:
            final = out or reports.dir / folder.free(reports.dir, name(chronicle))
            whole = {**summary, "evidence": str(final)}
            writer.file("summary.json", partial(_fill, whole))
            known = manifest.build(chronicle, side.path, writer.rows, writer.digests, rebuilt=rebuilt)
            writer.file(manifest.NAME, partial(_fill, known))
            digest = file_digest(side.path / manifest.NAME)
            besides = {manifest.NAME: digest}
            if reports.signing_key:
                signature = signing.sign(reports.signing_key, manifest.canonical(known))
                writer.file(signing.NAME, partial(_put, signature))
                besides[signing.NAME] = digest_of(signature)
            writer.file(sums.NAME, partial(_put, sums.text(known["files"], besides)))
            try:
                side.place(None if out else final.name)
            except NotOursError as error:  # another process took the name first
                if out:
                    raise _in_the_way(out, error.what) from None
                side.drop("summary.json")
                for made in (manifest.NAME, sums.NAME, *([signing.NAME] if reports.signing_key else [])):
                    side.drop(made)
            else:
                return Evidence(final, digest, writer.rows, writer.left(told_folder))


def _fill(value: Mapping[str, Any], out: BinaryIO) -> None:
    out.write(manifest.canonical(value))


def _put(content: bytes, out: BinaryIO) -> None:
    out.write(content)


def _in_the_way(out: Path, why: str) -> ReportError:
    return ReportError(f"{out} {why}, and evidence is never written over.", where="--out", hint="Name a folder that does not exist yet.")


def _tally(chronicle: Chronicle) -> Tally:
    """The counter of what the page shows. It collects the names of accounts with an exemption or a pause."""
    from migrate.report.tally import Tally

    return Tally(chronicle, {each for granted in (chronicle.exemptions(), chronicle.pauses()) for each in granted["account_id"]})


class _EvidenceWriter:
    """Evidence while it is written: its own files, and a scratch folder beside them for files that are only read to make others."""

    def __init__(self, chronicle: Chronicle, side: Side, formats: frozenset[str]) -> None:
        self._chronicle = chronicle
        self._side = side
        self._formats = formats
        self.scratch = side.scratch
        self.counts: Counter[tuple[str, str]] = Counter()
        self.not_certain: Counter[tuple[str, str]] = Counter()
        self.tally = _tally(chronicle) if "html" in formats else None
        self.moves = Moves(chronicle)
        self.told = Told(chronicle.carried(), chronicle.letters_of, side.scratch)
        self.rows: dict[str, int] = {}
        self._seals: dict[str, Sealed] = {}

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each table's file."""
        return {name: file.hexdigest() for name, file in self._seals.items()}

    def csv(self, table: str) -> Path:
        """Where a table's CSV file is: among the evidence if CSV is a format of it, else in the scratch folder."""
        return (self._side.path if "csv" in self._formats else self.scratch) / f"{table}.csv"

    def csvs(self) -> list[tuple[Table, Path, int]]:
        """Every table with its CSV file and how many rows it has."""
        return [(table, self.csv(table.name), self.rows[table.name]) for table in tables.TABLES]

    def file(self, name: str, fill: Callable[[BinaryIO], object]) -> None:
        with self._side.create(self._side.path / name) as out:
            fill(out)

    def accounts(self) -> None:
        """Writes accounts.csv, accounts.parquet and action-list.csv, and counts what the summary needs, in one pass over the accounts.
        The letters come before."""
        memory.trimmed()  # gives the run's memory back before the reports need theirs
        with ExitStack() as stack:
            spool = stack.enter_context(Spool(self.scratch / "spool"))
            out = self._sealed(stack, self.csv("accounts"))
            parquet = None
            if "parquet" in self._formats:
                parquet = stack.enter_context(ParquetFile(self._sealed(stack, self._side.path / "accounts.parquet")))
            writer = stack.enter_context(BackgroundWriter())
            columns = tables.ACCOUNTS.columns
            out.write(lines.header(columns))
            self.rows["accounts"] = 0
            for rows in self._walk(spool):
                self.rows["accounts"] += rows.count
                writer.do(partial(lines.append, out, rows, columns))
                if parquet and rows.count:
                    writer.do(partial(parquet.write, rows))
            self.rows["action-list"] = spool.write(self._sealed(stack, self.csv("action-list")))

    def _walk(self, spool: Spool) -> Iterator[Cells]:
        for records in self._chronicle.accounts():
            self.moves.add(records)
            ids = records["account_id"]
            told = self.told.of(ids[0].as_py(), ids[-1].as_py())
            raw = accounts.accounts_table(records, told, self._chronicle.terms, self._chronicle.run.as_of)
            self.counts += accounts.standing_counts(raw)
            if self.tally:
                self.tally.add(records, raw)
            self.not_certain += accounts.standing_counts(accounts.not_certain(raw))
            spool.add(accounts.action_rows(raw))
            yield cells.safely(raw, tables.ACCOUNTS.columns)
        self.moves.end()

    def letters(self) -> None:
        """Writes the table of the letters that moved or wait, and notes what they say of their accounts."""

        def moved() -> Iterator[pd.DataFrame]:
            for letters in self._chronicle.letters():
                self.told.add(letters)
                yield tables.notices_table(letters)

        self._table(tables.NOTICES, moved())
        self.told.added()

    def left(self, folder: Path | None) -> str | None:
        """Leaves what accounts were told for the next evidence; its digest, or None if there is no folder for it."""
        return self.told.end(self._chronicle.events()).keep(folder) if folder else None

    def summary(self) -> None:
        self._table(tables.SUMMARY, [tables.summary_table(self.counts, self.not_certain)])

    def tables(self) -> None:
        """Writes every table whose rows are not accounts."""
        chronicle = self._chronicle
        as_of, at = chronicle.run.as_of, chronicle.evidence_at
        self._table(tables.MOVES, [self.moves.table()])
        self._table(tables.CHANGES, (tables.changes_table(frame, at) for frame in chronicle.changes()))
        self._table(tables.EXEMPTIONS, [tables.exemptions_table(chronicle.exemptions(), chronicle.terms, as_of)])
        self._table(tables.REJECTED, map(tables.rejected_table, chronicle.rejected()))
        self._table(tables.COLUMNS, [dictionary.columns_table()])

    def _table(self, table: Table, frames: Iterable[pd.DataFrame]) -> None:
        with ExitStack() as stack:
            out = self._sealed(stack, self.csv(table.name))
            self.rows[table.name] = lines.write(out, (cells.typed(frame, table.columns) for frame in frames), table.columns)

    def _sealed(self, stack: ExitStack, path: Path) -> Sealed:
        """A new file, closed together with the stack."""
        self._seals[path.name] = stack.enter_context(Sealed(self._side.create(path)))
        return self._seals[path.name]
