"""Every hostile string in every column and every name, through the commands as people type them, into everything that they write; and read
back by those who read it: a terminal, a mail program, CSV readers, pandas, openpyxl, LibreOffice, Chromium, Parquet, JSON."""

from __future__ import annotations

import csv
import email
import email.policy
import io
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hostile.readers import counted, in_browser, shown
from hostile.strings import STRINGS, few
from hostile.test_outside import runs
from office import Office
from spreadsheet import LibreOffice
from variants import soak

from migrate.report.tables import TABLES
from migrate.report.workbook import SHEETS

T30, NEXT = "2024-01-02T06:00", "2024-01-03T06:00"
Country = Callable[[str], LibreOffice]
TEXTS = ("login", "name", "given", "lang", "dept", "manager", "mobile", "groups", "security_mails", "last_used_method")
WORDS = ("mfa", "mfa_default", "may_enrol")
INSTANTS = ("mfa_changed_at", "last_login", "last_used_at")
REFUSED = ("active", "sso", "kind", "admin", "in_policy")
TEXT_COLUMNS = {name for table in TABLES for name, of in table.columns.items() if of == "text"}


@dataclass
class Company:
    """A company of hostile strings after two runs and a dry run, with all that the commands printed."""

    office: Office
    strings: dict[str, str]
    printed: list[str] = field(default_factory=list)

    @property
    def reports(self) -> Path:
        return (self.office.folder / "reports" / "latest").resolve()

    def said(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        done = self.office.migrate(*arguments)
        assert done.code in codes, (arguments, done.code, done.err[-2000:])
        self.printed += [done.out, done.err]
        return done.out

    def files(self) -> Iterator[Path]:
        """Every CSV file that was written."""
        yield from self.reports.glob("*.csv")
        yield from (self.office.folder / "reports").glob("dry-run-*/*.csv")


def founded(folder: Path, strings: dict[str, str]) -> Company:
    """Each string in each column of some account, and as an id and an address."""
    office = Office(folder, safety="max_rejected = 1.0")
    office.more = 'formats = ["csv", "html", "parquet", "xlsx", "helpdesk"]'
    for n, text in enumerate(strings.values()):
        office.hire(f"p{n}", "sms", **dict.fromkeys(TEXTS, text))
        office.hire(f"w{n}", **{"mfa": "sms"} | dict.fromkeys((*WORDS, *INSTANTS), text))
        office.hire(f"m{n}", "sms", mail=text, dept=f"{n}")
        office.people[f"id{n}"] = office.people["p0"] | {"id": text, "login": f"id{n}", "mail": f"id{n}@example.com"}
        office.people[f"r{n}"] = office.people[f"p{n}"] | {"id": f"r{n}", "mail": f"r{n}@example.com"} | dict.fromkeys(REFUSED, text)
    office.write()
    config = office.folder / "config.toml"
    config.write_text(config.read_text().replace('formats = ["csv"]\n', ""))
    company = Company(office, strings)
    company.said("check", "--quick")
    company.said("run", "--as-of", T30)
    for n in range(len(strings)):
        office.people[f"p{n}"]["mfa"] = "totp"
    office.write_rows(list(office.people.values()))
    company.said("dry-run", "--as-of", NEXT, codes=(0, 4))
    company.said("run", "--json", "--as-of", NEXT, "--accept-directory", codes=(0,))
    company.said("status")
    return company


@pytest.fixture(scope="module", params=["few", soak("all")])
def company(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Company:
    return founded(tmp_path_factory.mktemp("hostile") / "office", few() if request.param == "few" else STRINGS)


def test_every_row_has_an_outcome_and_nothing_stops_the_run(company: Company) -> None:
    facts = json.loads(next(out for out in company.printed if '"run_id"' in out))
    assert facts["read"] == 5 * len(company.strings) == sum(facts["outcomes"].values())
    assert facts["letters"]["failed"] == facts["letters"]["uncertain"] == 0
    counted(f"{len(company.strings)} strings, {facts['read']} rows, {len(company.office.mails())} letters")


def test_a_terminal_only_draws_what_was_printed(company: Company) -> None:
    assert sum(map(len, company.printed)) > 1_000
    for output in company.printed:
        shown(output)


def test_every_account_is_explained_without_an_effect_on_the_terminal(company: Company) -> None:
    most = len(company.strings) if len(company.strings) > 300 else 12
    for n, text in list(enumerate(company.strings.values()))[:: max(1, len(company.strings) // most)]:
        company.said("explain", f"p{n}")
        for asked in ("--json", text) if text.strip() and "\0" not in text and not text.startswith("-") else ():
            done = company.office.migrate("explain", *(["--json", f"p{n}"] if asked == "--json" else [text]))
            assert done.code in (0, 2), done.err
            shown(done.out)
            shown(done.err)
            assert not done.err or len(done.err.splitlines()) == 1
    for output in company.printed:
        shown(output)


def test_every_letter_is_one_letter_to_one_person(company: Company) -> None:
    known = {
        "From", "To", "Auto-Submitted", "X-Auto-Response-Suppress", "X-Migrate-Campaign", "X-Migrate-Kind", "X-Migrate-Occasion",
        "X-Migrate-Reference", "Content-Language", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Return-Path",
    }  # fmt: skip
    paths = list((company.office.folder / "outbox" / "new").iterdir())
    assert len(paths) > 2 * len(company.strings)
    for path in paths:
        raw = path.read_bytes()
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        assert set(mail.keys()) == known and len(mail.keys()) == len(known)
        assert not mail.defects
        assert len(mail["To"].addresses) == 1
        assert max(map(len, raw.splitlines())) <= 998
        text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]", text + html)
        assert "evil.example/" not in text and "http://evil" not in text + html
        assert "<script" not in html.lower() and "onerror=" not in re.sub(r"&lt;.*", "", html)


def test_csv_readers_agree_and_find_no_formula(company: Company) -> None:
    files = list(company.files())
    assert len(files) >= 10
    for path in files:
        text = path.read_bytes().decode()
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        assert {len(row) for row in rows} == {len(rows[0])}, path.name
        frame = pd.read_csv(path, dtype="str", keep_default_na=False, header=None, encoding="utf-8")
        assert frame.to_numpy().tolist() == rows, path.name
        for cell in (cell for row in rows for cell in row if not re.fullmatch(r"-?[0-9.]+|-", cell)):
            assert not runs(cell), (path.name, cell[:80])
            assert not any(runs(part) for separator in ";|\t\n\r" for part in cell.split(separator)), (path.name, cell[:80])
            assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]", cell), (path.name, cell[:80])


def test_openpyxl_finds_the_cells_of_the_csv_and_nothing_else(company: Company) -> None:
    book = openpyxl.load_workbook(company.reports / "report.xlsx")
    for sheet, name in zip(book, SHEETS, strict=True):
        with (company.reports / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        found = [list(row) for row in sheet.iter_rows()]
        assert len(found) == len(rows)
        assert not [cell.value for row in found for cell in row if cell.data_type == "f" or cell.hyperlink]
        at = [rows[0].index(column) for column in ("account_id", "username", "display_name", "department", "groups") if column in rows[0]]
        for cells, row in zip(found, rows, strict=True):
            assert [(cells[n].value or "").replace("_x005F_", "_") for n in at] == [row[n][:32_767] for n in at]


def test_parquet_holds_the_accounts_of_the_csv(company: Company) -> None:
    twin = pq.read_table(company.reports / "accounts.parquet")
    with (company.reports / "accounts.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for name in ("account_id", "username", "display_name", "department", "groups", "manager_email"):
        assert [value or "" for value in twin[name].to_pylist()] == [row[name] for row in rows]


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_page_is_made_of_our_own_elements(company: Company) -> None:
    page = Page()
    text = (company.reports / "report.html").read_text(encoding="utf-8")
    page.feed(text)
    assert not page.tags & {"img", "iframe", "link", "base", "object", "embed", "form", "math"}
    assert not {name for name in page.attributes if name.startswith("on")} | (page.attributes & {"href", "src"})
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


def test_json_is_json_and_fit_for_a_terminal(company: Company) -> None:
    files = [*company.reports.glob("*.json"), *(company.office.folder / "reports").glob("dry-run-*/plan.json")]
    assert len(files) >= 2
    for text in [*(path.read_text(encoding="utf-8") for path in files), *(out for out in company.printed if out.startswith("{"))]:
        json.loads(text)
        shown(text)


@pytest.mark.soak
def test_libreoffice_finds_no_formula_in_any_file_whatever_separates_its_cells(
    company: Company, libreoffice: Country, tmp_path: Path
) -> None:
    peer = libreoffice("en-US")
    (tmp_path / "control.csv").write_text("a,b\n=1+1,x;=2+2\n")
    assert "formula" in {kind for rows in peer.read(tmp_path / "control.csv", ",").values() for row in rows for _, kind in row}
    looked_at = 0
    for path in company.files():
        for separator in ",;\t|":
            for rows in peer.read(path, separator).values():
                looked_at += sum(map(len, rows))
                assert not [text for row in rows for text, kind in row if kind == "formula"], (path.name, separator)
    counted(f"{looked_at:,} cells of CSV files")


@pytest.mark.soak
def test_libreoffice_finds_the_names_in_the_workbook_as_they_are_in_the_csv(company: Company, libreoffice: Country) -> None:
    sheets = libreoffice("en-US").read(company.reports / "report.xlsx")
    # Yes and no are TRUE() and FALSE() there.
    assert {text for rows in sheets.values() for row in rows for text, kind in row if kind == "formula"} <= {"0.0", "1.0"}
    at = {name: [n for n, column in enumerate(rows[0]) if column[0] in TEXT_COLUMNS] for name, rows in sheets.items()}
    assert not [row[n] for name, rows in sheets.items() for row in rows for n in at[name] if row[n][1] == "formula"]
    with (company.reports / "accounts.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    found = sheets["Accounts"]
    assert len(found) == len(rows)
    for column in ("account_id", "username", "display_name", "department"):
        at = rows[0].index(column)
        assert [row[at][0] for row in found] == [row[at] for row in rows], column


@pytest.mark.soak
def test_chromium_runs_no_script_of_theirs_and_asks_for_nothing(company: Company, tmp_path: Path) -> None:
    pages = [company.reports / "report.html", company.reports / "helpdesk.html"]
    for page in [*pages, *sorted((company.office.folder / "reports").glob("dry-run-*/previews/*.html"))[:1]]:
        title = re.search(r"<title>(.*?)</title>", page.read_text(encoding="utf-8"))
        dom, asked = in_browser(page, tmp_path / "profile")
        assert not asked
        assert title and f"<title>{title[1]}</title>" in dom
        assert "owned</title>" not in dom


@pytest.fixture(params=["few", soak("all")])
def names(request: pytest.FixtureRequest) -> list[str]:
    """Names of files, columns, tables and sheets."""
    return list((few() if request.param == "few" else STRINGS).values())


def test_names_of_columns_and_tables_are_told_as_text(names: list[str], office: Office) -> None:
    short = list(dict.fromkeys(name[:200] for name in names if "\0" not in name))
    office.hire("a", "sms")
    office.write()
    with (office.folder / "directory.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "mail", "mfa", *short])
        writer.writerow(["a", "a@example.com", "sms", *short])
    with closing(sqlite3.connect(office.folder / "tables.db")) as database, database:
        for name in filter(None, short):
            quoted = name.replace('"', '""')
            database.execute(f'CREATE TABLE IF NOT EXISTS "{quoted}" (a)')
    config = office.folder / "config.toml"
    before, _, after = config.read_text().partition("[directory]\n")
    rest = after[after.index("[mail]") :]
    columns = '[directory.columns]\naccount_id = "id"\nemail = "mail"\nmethods = "mfa"\n'
    file, tables = 'kind = "csv"\npath = "directory.csv"\n', 'kind = "sql"\nurl = "sqlite:///tables.db"\ntable = "nowhere"\n'
    for source, more, code in ((file, "", 0), (file, 'phone = "nowhere"\n', 3), (tables, "", 3)):
        config.write_text(f"{before}[directory]\n{source}{columns}{more}{rest}")
        done = office.migrate("check")
        assert done.code == code, done.out
        shown(done.out)
        shown(done.err)


def test_names_of_files_and_words_of_a_database_are_told_as_text(names: list[str], office: Office) -> None:
    office.hire("a", "sms")
    office.write()
    config = (office.folder / "config.toml").read_text()
    told = 0
    for name in names[:: max(1, len(names) // (100 if len(names) > 300 else 6))]:
        text = json.dumps(name[:200], ensure_ascii=True)
        if "\\ud" in text or "\0" in name or "\x7f" in name:
            continue
        for source in (
            f'kind = "csv"\npath = {text}',
            f'kind = "sql"\nurl = "sqlite:///directory.db"\nquery = {json.dumps("select * from [" + name[:200])}',
        ):
            (office.folder / "config.toml").write_text(config.replace('kind = "sql"\nurl = "sqlite:///directory.db"\ntable = "users"', source), encoding="utf-8")  # fmt: skip  # noqa: E501
            for command in (["dry-run"], ["check"], ["check", "--json"])[: 3 if len(names) > 300 else 1]:
                done = office.migrate(*command)
                assert done.code in (2, 3), (name, done)
                shown(done.out)
                shown(done.err)
                told += 1
        done = office.migrate("dry-run", "--out", name.replace("/", "_")[:100] or "x", "--account", name[:300].replace("\0", ""))
        shown(done.out)
        shown(done.err)
        done = office.migrate(name[:300].replace("\0", "") or "x")
        assert done.code == 2
        shown(done.err)
    counted(f"{told} messages")
