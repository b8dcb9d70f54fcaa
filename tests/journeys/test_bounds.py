"""Sources larger than any export: each is refused in a sentence, or cut and counted, and memory stays small (docs/connect.md).

The command is the installed one, in a process of its own, whose memory is measured. `python -m pytest -m "soak or not soak" -s` on this
file prints what each took.
"""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

MIB = 1 << 20
MOST = 600
"""MiB that a run may have in memory."""
HEADER = "account_id,email,methods\n"

CONFIG = """\
[campaign]
name = "bounds"
organization = "Example Corp"
product = "Example account"
opens = 2023-08-01
cutoff = 2024-02-01T00:00:00
settings_path = ["Settings"]
support_email = "help@example.com"
[directory]
{directory}
[mail]
from = "Example Corp <security@example.com>"
[safety]
max_rejected = 1.0
[ledger]
url = "sqlite:///migrate.db"
[reports]
formats = ["csv", "html", "parquet", "xlsx"]
"""


@dataclass(frozen=True)
class Measured:
    """How a command ended, in which time (seconds) and at which height of its memory (MiB)."""

    code: int
    said: str
    seconds: float
    memory: float

    def assert_refused(self, *words: str) -> None:
        """It ended with exit 3 and one sentence of a few lines, which has these words."""
        assert self.code == 3, self.said
        assert "Traceback" not in self.said and len(self.said) < 2000, self.said
        for word in words:
            assert word in self.said


MEASURED = (
    "import resource as r, subprocess as s, sys; print(s.call(sys.argv[1:]), r.getrusage(r.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)"
)
"""Between the test and the command: what a process is forked from counts as its own memory, and the tests have used much."""


def command(folder: Path, *arguments: str, memory: int = MOST) -> Measured:
    """The installed command in a folder. Its memory may be no higher than so many MiB."""
    begun = time.monotonic()
    python = sys.executable
    typed = [python, "-c", MEASURED, python, "-m", "migrate", *arguments]
    ended = subprocess.run(typed, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    said, _, measured = ended.stdout.rstrip().rpartition("\n")
    code, kib = map(int, measured.split())
    done = Measured(code, said, time.monotonic() - begun, kib / 1024)
    name = os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].removesuffix(" (call)")
    sys.stdout.write(f"\n| {name} | {done.code} | {done.seconds:.1f} s | {done.memory:.0f} MiB |\n")
    assert done.memory < memory
    return done


def run(folder: Path, directory: str, *arguments: str, as_of: str = "2023-12-01T12:00:00Z") -> Measured:
    (folder / "config.toml").write_text(CONFIG.format(directory=directory))
    return command(folder, "run", "--as-of", as_of, *arguments)


def csv_of(name: str) -> str:
    return f'kind = "csv"\npath = "{name}"'


def lines(folder: Path, name: str, *pieces: tuple[bytes, int], opened: Callable[..., Any] = open) -> str:
    """A file of pieces, each so many times."""
    with opened(folder / name, "wb") as file:
        for piece, times in pieces:
            for _ in range(times):
                file.write(piece)
    return csv_of(name)


soak = pytest.mark.soak
BIG_LINES = [pytest.param(30, id="30 MB"), pytest.param(500, id="500 MB", marks=soak)]
BIG_ZIPS = [pytest.param(100, id="100 MB"), pytest.param(3000, id="3 GB", marks=[soak, pytest.mark.timeout(600)])]


@pytest.mark.parametrize("megabytes", BIG_LINES)
def test_a_line_that_never_ends_is_no_row(tmp_path: Path, megabytes: int) -> None:
    done = run(tmp_path, lines(tmp_path, "a.csv", (HEADER.encode() + b"a,a@example.com,", 1), (b"x" * 10**6, megabytes)))
    done.assert_refused("[directory] path", "line of more than 1 MiB")


@pytest.mark.parametrize("megabytes", BIG_ZIPS)
def test_a_gzip_file_of_one_line_is_refused_before_it_is_unpacked(tmp_path: Path, megabytes: int) -> None:
    done = run(tmp_path, lines(tmp_path, "a.csv.gz", (HEADER.encode(), 1), (b"x" * 10**6, megabytes), opened=gzip.open))
    done.assert_refused("line of more than 1 MiB")


@soak
def test_a_gzip_file_of_one_row_over_and_over_is_refused(tmp_path: Path) -> None:
    row = b"a,a@example.com," + b"x" * 100_000 + b"\n"
    done = run(tmp_path, lines(tmp_path, "a.csv.gz", (HEADER.encode(), 1), (row, 4_000), opened=gzip.open))
    done.assert_refused("unpacks to more than 200 times its size")


@pytest.mark.parametrize("quoted", [pytest.param(b'"a\n",', id="one record"), pytest.param(b",a\n", id="no quotation mark", marks=soak)])
def test_a_record_over_a_million_lines_is_refused_or_its_lines_are_rows(tmp_path: Path, quoted: bytes) -> None:
    done = run(tmp_path, lines(tmp_path, "a.csv", (HEADER.encode(), 1), (quoted, 2_000_000)))
    if quoted.startswith(b'"'):
        done.assert_refused("[directory] path")
    else:
        assert done.code == 4 and "not one is an account" in done.said


@pytest.mark.parametrize("columns", [pytest.param(100_000, id="100,000", marks=soak), pytest.param(1_000_000, id="1,000,000")])
def test_a_file_of_a_million_columns_is_read_or_refused(tmp_path: Path, columns: int) -> None:
    names = ",".join(["account_id", "email", "methods", *(f"c{i}" for i in range(columns))]).encode()
    done = run(tmp_path, lines(tmp_path, "a.csv", (names + b"\n", 1), (b"a,a@example.com,sms" + b"," * columns + b"\n", 3)))
    if columns > 100_000:
        done.assert_refused("line of more than 1 MiB")
    else:
        assert done.code in (0, 4), done.said


@pytest.mark.parametrize("words", [pytest.param(2_000, id="2,000"), pytest.param(1_000_000, id="1,000,000", marks=soak)])
def test_a_million_words_that_nobody_knows_are_counted_and_the_first_of_them_told(tmp_path: Path, words: int) -> None:
    with (tmp_path / "a.csv").open("w") as file:
        file.write(HEADER)
        file.writelines(f"{i},p{i}@example.com,word{i}\n" for i in range(words))
    done = run(tmp_path, csv_of("a.csv"), "--json")
    assert done.code == 0, done.said
    unknown = json.loads(done.said)["unknown_words"]
    assert len(unknown) == 1_001
    assert unknown["(other spellings)"] == words - 1_000
    for words_typed in (("check",), ("dry-run", "--as-of", "2023-12-02T12:00:00Z"), ("run", "--as-of", "2023-12-02T12:00:00Z")):
        done = command(tmp_path, *words_typed)
        assert done.code == 0 and len(done.said.splitlines()) < 100, done.said[:5000]


def test_lists_within_lists_are_no_list_of_words(tmp_path: Path) -> None:
    deep = "[" * 50_000 + "]" * 50_000
    (tmp_path / "a.csv").write_text(HEADER + f'a,a@example.com,"{deep}"\nb,b@example.com,sms\n')
    done = run(tmp_path, csv_of("a.csv"), "--json")
    assert done.code == 0, done.said
    assert json.loads(done.said)["rejected"] == 1


SHEET = b'<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
NAMES = b"".join(b'<c t="inlineStr"><is><t>%s</t></is></c>' % name for name in (b"account_id", b"email", b"methods"))


SHARED = (
    b'<Override PartName="/xl/sharedStrings.xml" '
    b'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"/>'
)


def workbook(folder: Path, sheet: list[tuple[bytes, int]], strings: list[tuple[bytes, int]] | None = None) -> str:
    """A workbook whose sheet consists of pieces, each so many times."""
    import openpyxl

    plain = folder / "plain.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["account_id", "email", "methods"])
    book.save(plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(folder / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as new:
        parts = {name: [(old.read(name), 1)] for name in old.namelist()} | {"xl/worksheets/sheet1.xml": sheet}
        if strings is not None:
            parts["xl/sharedStrings.xml"] = strings
            kinds = old.read("[Content_Types].xml").replace(b"</Types>", SHARED + b"</Types>")
            parts["[Content_Types].xml"] = [(kinds, 1)]
        for name, pieces in parts.items():
            with new.open(name, "w", force_zip64=True) as part:
                for piece, times in pieces:
                    for _ in range(times):
                        part.write(piece)
    return csv_of("a.xlsx")


@pytest.mark.parametrize("megabytes", BIG_ZIPS)
def test_a_workbook_with_one_cell_of_gigabytes_is_refused_before_it_is_unpacked(tmp_path: Path, megabytes: int) -> None:
    begun = SHEET + b"<row>" + NAMES + b'</row><row><c t="inlineStr"><is><t>'
    done = run(tmp_path, workbook(tmp_path, [(begun, 1), (b"x" * 10**6, megabytes), (b"</t></is></c></row></sheetData></worksheet>", 1)]))
    done.assert_refused("[directory] path", "longer than 32,767 characters")


@soak
def test_a_workbook_with_one_row_of_gigabytes_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    begun = SHEET + b"<row>" + NAMES + b"</row><row>"
    done = run(tmp_path, workbook(tmp_path, [(begun, 1), (b"<c/>" * 10**6, 100), (b"</row></sheetData></worksheet>", 1)]))
    done.assert_refused("has a row, or a part without rows")


@soak
def test_a_workbook_with_more_rows_than_a_sheet_has_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, workbook(tmp_path, [(SHEET, 1), (b"<row/>" * 10**6, 20), (b"</sheetData></worksheet>", 1)]))
    done.assert_refused("more than 1,048,576 rows")


@soak
def test_a_workbook_whose_rows_are_numbered_beyond_a_sheet_is_refused(tmp_path: Path) -> None:
    row = b'<row r="999999999999"><c t="inlineStr"><is><t>a</t></is></c></row>'
    done = run(tmp_path, workbook(tmp_path, [(SHEET + b"<row>" + NAMES + b"</row>" + row + b"</sheetData></worksheet>", 1)]))
    done.assert_refused("more than 1,048,576 rows")


@soak
def test_a_workbook_with_millions_of_texts_is_refused(tmp_path: Path) -> None:
    begun = b'<?xml version="1.0"?><sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    sheet = [(SHEET + b"<row>" + NAMES + b"</row></sheetData></worksheet>", 1)]
    done = run(tmp_path, workbook(tmp_path, sheet, [(begun, 1), (b"<si><t>a</t></si>" * 10**5, 25), (b"</sst>", 1)]))
    done.assert_refused("different texts")


@soak
def test_a_long_text_that_every_cell_shares_does_not_fill_the_memory(tmp_path: Path) -> None:
    begun = b'<?xml version="1.0"?><sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    row = b'<row><c t="inlineStr"><is><t>a</t></is></c>' + b'<c t="s"><v>0</v></c>' * 2 + b"</row>"
    sheet = [(SHEET + b"<row>" + NAMES + b"</row>", 1), (row, 1_000), (b"</sheetData></worksheet>", 1)]
    done = run(tmp_path, workbook(tmp_path, sheet, [(begun + b"<si><t>" + b"y" * 32_000 + b"</t></si></sst>", 1)]))
    assert done.code == 0 and "accounts" in done.said, done.said


@pytest.mark.parametrize("megabytes", [pytest.param(1, id="2 MB in each row"), pytest.param(0.1, id="200 KB in each row", marks=soak)])
@pytest.mark.parametrize("listed", [False, True], ids=["texts", "lists"])
def test_a_parquet_file_that_repeats_one_text_does_not_fill_the_memory(tmp_path: Path, megabytes: float, listed: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 100_000
    text = "x" * int(megabytes * 2 * MIB)
    indices = pa.array([0] * rows, pa.int32())
    column: Any = pa.DictionaryArray.from_arrays(indices, pa.array([text]))
    if listed:
        column = pa.ListArray.from_arrays(pa.array(range(rows + 1), pa.int32()), column)
    table = pa.table({"account_id": [str(i) for i in range(rows)], "email": ["a@example.com"] * rows, "methods": column})
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd")
    assert (tmp_path / "a.parquet").stat().st_size < 2 * MIB
    directory = csv_of("a.parquet")
    if megabytes < 1:
        directory += "\ntimeout = 4"
        run(tmp_path, directory).assert_refused("[directory] timeout")
    else:
        run(tmp_path, directory).assert_refused("value of more than 1 MiB")


@soak
def test_a_parquet_file_with_a_page_of_gigabytes_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = "x" * (300 * MIB)
    table = pa.table({"account_id": ["a"], "email": ["a@example.com"], "methods": [text]})
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd", use_dictionary=False, write_statistics=False)
    assert (tmp_path / "a.parquet").stat().st_size < MIB
    run(tmp_path, csv_of("a.parquet")).assert_refused("smaller row groups")


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"


@pytest.mark.parametrize("wanted", ["", "WHERE x < 0"], ids=["of rows", "without a row"])
def test_a_view_without_end_is_given_up_when_its_time_is_over(tmp_path: Path, wanted: str) -> None:
    with sqlite3.connect(tmp_path / "d.db") as database:
        people = "SELECT x AS account_id, x || '@example.com' AS email, 'sms' AS methods FROM c"
        database.execute(f"CREATE VIEW people AS {ENDLESS} {people} {wanted}")
    database.close()
    done = run(tmp_path, 'kind = "sql"\nurl = "sqlite:///d.db"\ntable = "people"\ntimeout = 1')
    done.assert_refused("1 seconds", "[directory] timeout")
    assert done.seconds < 30


@soak
def test_a_value_of_a_gigabyte_in_a_view_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "d.db") as database:
        database.execute("CREATE VIEW people AS SELECT 'a' AS account_id, 'a@example.com' AS email, hex(zeroblob(400000000)) AS methods")
    database.close()
    run(tmp_path, 'kind = "sql"\nurl = "sqlite:///d.db"\ntable = "people"').assert_refused("too big")
