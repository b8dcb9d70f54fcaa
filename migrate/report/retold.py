"""Checks evidence against the ledger: the tables of each run are made again and compared with the files (design §14)."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from migrate.files import texts
from migrate.files.digests import file_digest
from migrate.files.spill import scratch_folder
from migrate.ledger import identity, runs
from migrate.ledger.runs import Run
from migrate.report import evidence, tables
from migrate.report.recall import of_run
from migrate.report.settings import Format, ReportsSettings
from migrate.report.verify import Known, Problem

_TABLES: Final[dict[Format, tuple[str, ...]]] = {
    "csv": tuple(f"{table.name}.csv" for table in tables.TABLES),
    "parquet": ("accounts.parquet",),
}
_OURS: Final = ("columns.csv",)
"""columns.csv depends on this version of the program, and not on the run."""


def retold(connection: sa.Connection, campaign: str, found: Sequence[Known], watch: Callable[[], None] = lambda: None) -> Iterator[Problem]:
    """Finds where the ledger and a campaign's evidence differ, and evidence that the ledger knows and that is missing. `watch` is called
    after each folder. Evidence of other campaigns is skipped."""
    known = {run.run_id: run for run in runs.of_campaign(connection, campaign)}
    accepted = identity.accepted_digests(connection)
    ours = [each for each in found if each.campaign == campaign]
    for each in ours:
        run = known.get(each.run_id)
        if each.digest in accepted:  # evidence of another ledger, which a person accepted
            pass
        elif run is None:
            yield Problem(each.folder, f"the ledger knows no run {each.run_id}.")
        elif not each.rebuilt and run.manifest_digest != each.digest:
            yield Problem(each.folder, "manifest.json is not the one whose digest the ledger kept.")
        else:
            yield from _differences(connection, run, each)
        watch()
    if any(each.chained for each in ours):
        there = {each.digest for each in ours}
        for run in known.values():
            if run.manifest_digest is not None and run.manifest_digest not in there:
                yield Problem(Path(run.evidence or run.run_id), f"the ledger knows this evidence of run {run.run_id}, and it is not here.")


def _differences(connection: sa.Connection, run: Run, known: Known) -> Iterator[Problem]:
    files = known.of["files"]
    formats = tuple(name for name, made in _TABLES.items() if name == "csv" or set(made) & set(files))
    with scratch_folder() as scratch:
        told = evidence.rebuild(of_run(connection, run), ReportsSettings(dir=scratch, formats=formats), {}, scratch / "told")
        assert told is not None  # at least one format is asked for
        for name, count in known.of["rows"].items():
            if f"{name}.csv" not in files and told.rows.get(name) != count:
                yield Problem(known.folder, f"{name} had {count:,} rows, and the ledger tells of {told.rows.get(name, 0):,}.")
        for name in (name for format_ in formats for name in _TABLES[format_]):
            theirs, here = told.folder / name, known.folder / name
            if name in files and name not in _OURS and files[name]["sha256"] != file_digest(theirs):
                older = known.of["schema_version"] < tables.SCHEMA_VERSION
                if name.endswith(".csv") and here.is_file():
                    if line := _unlike(here, theirs, older=older):
                        yield Problem(known.folder, f"{name}: the ledger tells otherwise{line}")
                elif not older:
                    yield Problem(known.folder, f"{name}: the ledger tells otherwise.")


def _unlike(here: Path, theirs: Path, *, older: bool) -> str:
    """The first difference between two tables, as the end of a sentence; '.' if no cell differs, but the bytes do. For evidence of an
    `older` version only the columns that it has are compared, and '' means that they are equal."""
    texts.fields_of_any_length()
    with here.open(encoding="utf-8", newline="", errors="replace") as one, theirs.open(encoding="utf-8", newline="") as other:
        mine, told = csv.reader(one), csv.reader(other)
        columns, names = next(mine, []), next(told, [])
        place = [names.index(name) if name in names else len(names) for name in columns] if older else range(len(names))
        for line, (row, says) in enumerate(zip_longest(mine, told), 1):
            if row is None or says is None:
                return f": it has {'more' if row is None else 'fewer'} rows."
            meant = [says[at] if at < len(says) else "" for at in place]
            for name, cell, value in zip_longest(columns, row, meant, fillvalue=""):
                if cell != value:
                    at = row[0] if row else "an empty line"
                    return f", first in row {line} ({at}): {name} is {cell!r} in the file, and {value!r} in the ledger."
    return "" if older else "."
