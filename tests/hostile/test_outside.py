"""Each way out by itself: whatever goes in, what comes out is fit for the place it leaves for."""

from __future__ import annotations

import csv
import email
import email.policy
import io
import json
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from hostile.readers import shown
from hostile.strings import HALVES, STRINGS
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate import outside
from migrate.cli.console import Console
from migrate.errors import ConfigError
from migrate.mail.headers import Mailbox, encode_mailbox, encode_subject
from migrate.mail.letter import message_id
from migrate.report import cells, lines, resaved

ALL = [*STRINGS.values(), *HALVES]
ANY = st.text() | st.sampled_from(ALL) | st.lists(st.sampled_from(ALL), max_size=3).map("".join)


@pytest.fixture(autouse=True)
def _nothing_is_kept_back() -> None:
    outside.keep_back({})


@given(ANY)
def test_a_terminal_only_draws_and_on_one_line(text: str) -> None:
    line = outside.terminal(text)
    assert "\n" not in line and "\r" not in line
    assert len(line) <= outside.LONGEST_LINE
    shown(line)
    assert outside.terminal(line) == line


def test_what_is_printed_in_any_way_is_drawn_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ALL:
        console = Console()
        console.say(text)
        console.need(f"about {text}: more", "red")
        console.table([text], [(text,)], title=text)
        Console(json=True).result({"said": text})
        out = capsys.readouterr().out.encode("utf-8", "backslashreplace").decode()
        shown(out)
        assert out.count("Error") <= text.count("Error") * 8


@given(st.sampled_from(list(STRINGS.values())) | st.text(st.characters(exclude_categories=["Cs"])))
def test_json_reads_back_as_it_was_and_drives_no_terminal(text: str) -> None:
    written = outside.json_text({"a": text, text: 1})
    assert json.loads(written) == {"a": text, text: 1}
    shown(written)


def test_halves_of_characters_in_json_are_escapes() -> None:
    for text in HALVES:
        assert json.loads(outside.json_text(text).encode()) == text


@given(ANY)
def test_an_error_is_a_paragraph_whatever_it_quotes(text: str) -> None:
    error = ConfigError(f"{text!s} is wrong.", where=text, hint=text)
    assert len(error.lines()) == 1
    assert len(str(error).splitlines()) <= 1 or not str(error).isprintable()
    assert "\n" not in str(error)
    assert len(ConfigError("several.", items=[text, text]).lines()) == 3


@given(ANY)
def test_a_header_reads_back_as_one_header(text: str) -> None:
    name = outside.letter(text)
    subject = encode_subject(f"Move, {name}")
    sender = encode_mailbox(Mailbox(name, "a@example.com"), "From")
    raw = f"From: {sender}\r\nSubject: {subject}\r\n\r\nbody\r\n"
    read = email.message_from_bytes(raw.encode(), policy=email.policy.default)
    assert read.keys() == ["From", "Subject"]
    assert read.get_payload() == "body\r\n"
    assert [each.addr_spec for each in read["From"].addresses] == ["a@example.com"]
    assert " ".join(str(read["Subject"]).split()) == " ".join(f"Move, {name}".split())


@given(ANY)
def test_no_line_break_becomes_a_header(text: str) -> None:
    try:
        assert outside.is_one_line(outside.header(text))
    except ValueError:
        assert not outside.is_one_line(text)


@given(ANY)
def test_a_name_in_a_letter_is_short_and_has_no_link(text: str) -> None:
    name = outside.letter(text)
    assert len(name) <= outside.LONGEST_NAME
    assert outside.is_one_line(name)
    assert "://" not in name and "www." not in name.lower()
    assert not set(name) & set("\u202e\u2066\u2069\u200e\u200f\ufeff\u2060")


@given(ANY)
def test_the_words_of_a_server_are_one_short_line(text: str) -> None:
    for said in (outside.log(text), outside.log(text.encode("utf-8", "surrogatepass"))):
        assert said.isprintable()
        assert len(said) <= outside.LONGEST_LOG
        shown(said)


def test_a_message_id_is_one_word_whatever_it_is_made_of() -> None:
    assert all(message_id(text, domain="example.com").isascii() for text in STRINGS.values())


FORMULA = tuple("=+-@＝＋－＠﹦﹢﹣﹫")
PASSED_OVER = " \t\"'`\xa0\u3000\u200b\u200c\u200d\xad"


def runs(cell: str) -> bool:
    """Whether a spreadsheet may take a cell for a formula; an apostrophe first, also behind a quotation mark, makes it text."""
    return not cell.lstrip('"').startswith("'") and cell.lstrip(PASSED_OVER).startswith(FORMULA)


@settings(deadline=None)  # the first example imports pandas
@given(st.lists(st.sampled_from(list(STRINGS.values())) | st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_no_cell_is_a_formula_wherever_a_spreadsheet_ends_it(texts: list[str]) -> None:
    columns: dict[str, cells.CellType] = {"a": "text", "b": "text"}
    table = cells.safely(pa.table({name: pa.array(texts, pa.large_string()) for name in columns}), columns)
    out = io.BytesIO()
    lines.write(out, [table], columns)
    text = out.getvalue().decode()
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert len(rows) == len(texts) + 1
    for row in rows[1:]:
        assert len(row) == 2
        for cell in row:
            assert not runs(cell)
            assert not any(runs(part) for separator in ";|\t\n\r\x0b\x85\u2028" for part in cell.split(separator))
    # As somebody's spreadsheet takes the same lines apart at semicolons, quotation marks and all.
    for line in text.split("\n")[1:]:
        assert not any(runs(part) for part in line.split(";"))


def test_a_cell_is_its_text_again_without_the_apostrophes() -> None:
    for text in STRINGS.values():
        [made] = cells.safe(pa.array([text], pa.large_string())).to_pylist()
        if text.isprintable() and "'" not in text:
            assert made.replace("'", "") == text


def test_a_plan_is_compared_by_what_its_cells_say() -> None:
    for text in STRINGS.values():
        [made] = cells.safe(pa.array([text], pa.large_string())).to_pylist()
        assert resaved.value(made) == resaved.value(f" {made} ")


def test_a_workbook_holds_text_and_no_markup(tmp_path: Path) -> None:
    import xlsxwriter

    from migrate.report.workbook import _of_plain_text

    kept = {name: text for name, text in STRINGS.items() if len(text) <= 32_767}
    book = xlsxwriter.Workbook(tmp_path / "x.xlsx", {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    sheet = book.add_worksheet("x", worksheet_class=_of_plain_text())
    for row, text in enumerate(kept.values()):
        sheet.write_string(row, 0, text)
    book.close()
    read = [cell for [cell] in openpyxl.load_workbook(tmp_path / "x.xlsx")["x"].iter_rows(max_col=1)]
    assert len(read) == len(kept)
    assert {cell.data_type for cell in read} <= {"s", "inlineStr", "n"}  # n: an empty one
    for cell, (name, text) in zip(read, kept.items(), strict=True):
        wanted = "".join(each for each in text if each in "\t\n" or outside.page(each))
        found = (cell.value or "").replace("_x005F_", "_")
        assert found.replace("\r\n", "\n").strip() == wanted.strip(), name


def test_a_page_has_no_controls_and_what_is_no_text_stays_as_it_is() -> None:
    for text in ALL:
        made: Any = outside.page(text)
        assert not any((ord(each) < 0x20 and each not in "\t\n") or 0x7F <= ord(each) < 0xA0 for each in made)
    assert outside.page(7) == 7


@pytest.mark.parametrize(
    "said",
    [
        "the file {} does not exist.", "{}/reports/x", "is {!r}: no", "[{}]", "{}",
    ],
)  # fmt: skip
def test_what_is_kept_back_is_in_nothing_that_is_printed(said: str, capsys: pytest.CaptureFixture[str]) -> None:
    secret = "root:$6$salt$hash'\"\\:19000:0:99999:7:::\ndaemon:*:19000:0"
    outside.keep_back({secret: "the content of shadow", "open-sesame-4711": "the value of $X"})
    for value, head in ((secret, "root:$6$salt"), ("open-sesame-4711", "open-sesame")):
        text = said.format(value)
        Console().say(text)
        Console().say(text[: len(text) // 2 + 8])
        Console(json=True).result({"a": [text], "b": {"c": text}})
        out = capsys.readouterr().out
        assert head not in out and "daemon:*" not in out
        assert "the content of shadow" in out or "the value of $X" in out


def test_a_short_value_hides_no_words() -> None:
    outside.keep_back({"sql": "the value of $KIND", "data": "the value of $FOLDER"})
    assert outside.terminal("read the sql database") == "read the sql database"
    assert outside.terminal("data/x") == "the value of $FOLDER/x"
