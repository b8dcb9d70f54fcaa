"""Text files as people have them: what stands before the header, between the records and at the end."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from directory.conftest import csv_directory, write_csv, write_xlsx
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from pydantic import ValidationError

from migrate.directory import Directory, open_directory, settings_model
from migrate.directory.csv import CsvDirectory, CsvSettings
from migrate.directory.testing import assert_contract, assert_unreadable, comparable, read_all

File = Callable[..., Any]

HEADER = "account_id,email,display_name,methods\n"
ADA = "ada,ada@b.test,Ada,sms\n"
BOB = "bob,bob@b.test,Bob,totp\n"
TYPE = "#TYPE Selected.System.Management.Automation.PSCustomObject\r\n"


def rows_of(directory: Directory) -> pd.DataFrame:
    return assert_contract(lambda: directory)


def ids(directory: Directory) -> list[str]:
    rows = rows_of(directory)
    assert rows["rejection"].isna().all(), rows["rejection"].tolist()
    return rows["account_id"].tolist()


def reasons(directory: Directory) -> list[str]:
    return rows_of(directory)["rejection"].fillna("").tolist()


def semicolons(text: str) -> str:
    return text.replace(",", ";")


@pytest.mark.parametrize("first", [TYPE, "#type Deserialized.Thing\n", '"#TYPE System.Object"\n', "\n" + TYPE])
def test_the_type_line_of_powershell_is_skipped(file: File, first: str) -> None:
    assert ids(file(first + HEADER + ADA + BOB)) == ["ada", "bob"]


def test_a_header_that_begins_like_a_type_line_is_a_header(file: File) -> None:
    assert ids(file("#Type,account_id,email,methods\nx,ada,ada@b.test,sms\n")) == ["ada"]


@pytest.mark.parametrize("first", ["sep=;\n", "SEP=;\r\n", '"sep=;"\n', "sep=;;;;\n", "\nsep=;\n"])
def test_a_sep_line_is_skipped_and_believed(file: File, first: str) -> None:
    # The header alone would be taken for one with commas.
    content = first + 'account_id;email;methods;"a";b,c,d,e,f,g\nada;ada@b.test;sms,totp;;\n'
    assert (ids(file(content)), rows_of(file(content))["methods"].tolist()) == (["ada"], [9])


@pytest.mark.parametrize(("first", "delimiter"), [("sep=\t", "\t"), ("sep=\\t", "\t"), ("sep=,", ","), ("sep=|", "|"), ("sep=^", "^")])
def test_a_sep_line_names_any_delimiter(file: File, first: str, delimiter: str) -> None:
    assert ids(file(first + "\n" + (HEADER + ADA).replace(",", delimiter))) == ["ada"]


def test_a_delimiter_that_is_set_comes_before_a_sep_line(file: File) -> None:
    assert ids(file("sep=,\n" + semicolons(HEADER + ADA), delimiter=";")) == ["ada"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("first", ["sep=;\n", TYPE, "sep=;\n" + TYPE, TYPE + "sep=;\n"])
def test_lines_before_the_header_are_skipped_in_every_encoding(file: File, encoding: str, first: str) -> None:
    content = (first + semicolons(HEADER + "zoë;zoe@b.test;Zoë 日本;sms\n")).encode(encoding)
    assert ids(file(content)) == ["zoë"]
    assert ids(file(gzip.compress(content), "users.csv.gz")) == ["zoë"]
    assert rows_of(file(content))["display_name"].tolist() == ["Zoë 日本"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_byte_order_mark_is_recognised(file: File, encoding: str) -> None:
    assert ids(file((HEADER + "zoë,zoe@b.test,日本 Ā,sms\n").encode(encoding))) == ["zoë"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_an_encoding_that_is_set_may_have_its_mark(file: File, encoding: str) -> None:
    assert ids(file(("\ufeff" + HEADER + ADA).encode(encoding), encoding=encoding)) == ["ada"]


def test_an_encoding_that_is_set_comes_before_a_guess(file: File) -> None:
    content = "account_id,email,methods\n".replace(",", "\0,\0").encode("utf-16-le")
    assert "none of the columns account_id, email, methods" in str(assert_unreadable(lambda: file(content, encoding="latin-1")))


@pytest.mark.parametrize("name", ["users.csv", "users.csv.gz"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_header_is_in_the_line_that_is_said(file: File, name: str, end: str) -> None:
    text = ("MFA report, all users; exported 2024-01-02\n\n" + semicolons(HEADER + ADA)).replace("\n", end).encode()
    assert ids(file(gzip.compress(text) if name.endswith(".gz") else text, name, header=3)) == ["ada"]


def test_a_sep_line_above_a_title_is_believed(file: File) -> None:
    assert ids(file("sep=;\nReport\n" + semicolons(HEADER + ADA), header=3)) == ["ada"]


@pytest.mark.parametrize(
    ("before", "line"),
    [("MFA registration report\nExported, by, root, on, Monday\n", 3), ("Report\n", 2), ("\nReport\n\n\n", 5), (TYPE + '"Report;"\n', 3)],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_title_lines_above_the_header_are_told_with_the_setting(file: File, before: str, line: int, encoding: str) -> None:
    content = (before + semicolons(HEADER + ADA)).encode(encoding)
    error = assert_unreadable(lambda: file(content))
    assert (error.where, error.hint) == ("[directory] header", f"Write header = {line}.")
    assert f"is no header that fits, but line {line} is." in error.what
    assert ids(file(content, header=line)) == ["ada"]


@pytest.mark.parametrize("header", [1, 2, 4])
def test_a_header_in_the_wrong_line_is_told_with_the_right_one(file: File, header: int) -> None:
    error = assert_unreadable(lambda: file("Report\n\n" + HEADER + ADA, header=header))
    assert f"line {header} of " in error.what
    assert error.hint == "Write header = 3."


def test_a_line_that_the_file_does_not_have_is_told(file: File) -> None:
    error = assert_unreadable(lambda: file("\n" + HEADER + ADA, header=30))
    assert "has no line 30." in error.what
    assert error.hint == "Write header = 2."


def test_a_line_of_mapped_names_is_found(file: File) -> None:
    mapped = {"account_id": "Id", "email": "Mail", "methods": "Factors"}
    error = assert_unreadable(lambda: file("Report\nId,Mail,Name,Factors\nx,x@b.test,X,sms\n", columns=mapped))
    assert error.hint == "Write header = 2."


def test_where_no_line_fits_a_title_is_told_from_what_may_be_the_header(file: File) -> None:
    error = assert_unreadable(lambda: file("Report\n\nId;Mail;Factors\nx;x@b.test;sms\n"))
    assert error.where == "[directory.columns]"
    assert "none of the columns account_id, email, methods" in error.what
    assert (error.hint or "").endswith("If its header is line 3 (Id, Mail, Factors), write header = 3 in [directory] first.")


def test_where_nothing_fits_the_error_is_that_of_the_header(file: File) -> None:
    error = assert_unreadable(lambda: file("Id,Mail,Factors\nx,x@b.test,sms\n"))
    assert "It has Id, Mail, Factors." in error.what
    assert "header" not in (error.hint or "")


def test_a_header_before_the_first_line_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        CsvSettings(path="x.csv", header=0)


@pytest.mark.parametrize("last", ["", "Total users: 2\n", "(2 rows)\n", "----,----\n"])
def test_a_delimiter_at_the_end_of_every_row_is_read_without_it_and_told(file: File, last: str) -> None:
    directory = file(HEADER + ADA.replace("\n", ",\n") + BOB.replace("\n", ",\n") + last)
    rows = rows_of(directory)
    assert rows["methods"].tolist()[:2] == [1, 8]
    assert rows["rejection"].isna().tolist() == [True, True] + [False] * bool(last)
    assert directory.caveats() == ("every row of users.csv has one empty field more than the header: it was read without it",)


def test_where_only_some_rows_have_a_field_too_many_they_are_rejected(file: File) -> None:
    directory = file(HEADER + ADA.replace("\n", ",\n") + BOB)
    assert reasons(directory) == ["5 fields where the header has 4", ""]
    assert directory.caveats() == ()


def test_a_surplus_field_that_holds_something_is_no_trailing_delimiter(file: File) -> None:
    directory = file(HEADER + ADA.replace("\n", ",\n") + BOB.replace("\n", ",x\n"))
    assert reasons(directory) == ["5 fields where the header has 4"] * 2


def test_a_later_row_with_another_surplus_is_rejected(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CsvDirectory, "chunk_rows", 2)
    directory = file(HEADER + "a,a@b.test,A,sms,\nb,b@b.test,B,sms,\nc,c@b.test,C,sms,\nd,d@b.test,D,sms,x\ne,e@b.test,E,sms,,\n")
    assert reasons(directory) == ["", "", "", "5 fields where the header has 4", "6 fields where the header has 4"]


def test_a_header_that_ends_with_the_delimiter_as_well_has_a_column_without_a_name(file: File) -> None:
    directory = file((HEADER + ADA + BOB).replace("\n", ",\n"))
    assert (ids(directory), directory.caveats()) == (["ada", "bob"], ())


def test_caveats_are_those_of_the_last_read(file: File, tmp_path: Path) -> None:
    directory = file(HEADER + ADA.replace("\n", ",\n"))
    read_all(directory)
    (tmp_path / "users.csv").write_text(HEADER + ADA)
    read_all(directory)
    assert directory.caveats() == ()


@pytest.mark.parametrize(
    "line", ["----,----,----,----", "---- ---- ---- ----", "====,=,==,====", "────┼────┼────", "+------+------+", "-+-"]
)
def test_a_line_of_dashes_under_the_header_is_no_account(file: File, line: str) -> None:
    found = rows_of(file(HEADER + line + "\n" + ADA))
    assert found["rejection"].fillna("").tolist()[0].startswith("a line of dashes, no account")
    assert found["rejection"].isna().tolist() == [False, True]
    assert found["position"].tolist() == [1, 2]


def test_a_line_of_dashes_is_rejected_for_that_alone(file: File) -> None:
    assert reasons(file("account_id;enabled;email;methods\n---;---;---;---\nada;yes;ada@b.test;sms\n")) == [
        "a line of dashes, no account",
        "",
    ]


TOTALS = ["Total users: 2", "Count: 17", "(2 rows)", "2 rows selected", "2 rows selected.", "Summe: 3", "Anzahl der Benutzer: 1.234",
          "Grand total 17", "Total 2", "TOTAL = 2", "(2 rows affected)", "2 rows in set (0.00 sec)", "17 users", "(0 rows)", "Rows: 2",
          "Nombre total d'utilisateurs : 5", "(2 Zeilen)", "Record count: 2", "Total users 2"]  # fmt: skip


@pytest.mark.parametrize("total", TOTALS)
@pytest.mark.parametrize("padding", ["", ",,,", ",,,,"])
def test_a_line_of_totals_is_no_account(file: File, total: str, padding: str) -> None:
    found = rows_of(file(HEADER + ADA + BOB + f'"{total}"{padding}\n'))
    assert found["rejection"].fillna("").tolist() == ["", "", f"'{total}' is a line of totals, no account"]


def test_a_line_of_totals_need_not_be_under_the_ids(file: File) -> None:
    assert reasons(file("email,methods,account_id\na@b.test,sms,a\nTotal users: 1,,\n"))[1].startswith(
        "'Total users: 1' is a line of totals"
    )


def test_a_total_beside_the_number_of_rows_above_is_no_account(file: File) -> None:
    assert reasons(file(HEADER + ADA + BOB + "Total,2,,\n")) == ["", "", "'Total' is a line of totals, no account"]
    assert reasons(file(HEADER + "--,--,--,--\n" + ADA + BOB + "Grand total:,,2,\n"))[3] == "'Grand total:' is a line of totals, no account"
    assert reasons(file(HEADER + ADA + BOB + "Total,17,,\n")) == ["", "", ""]


@pytest.mark.parametrize(
    "account",
    ["bare", "A17", "total.recall@example.com", "total", "count", "Count Dracula", "total17", "user 17", "-", "17", "rows", "2nd user",
     "Total Recall 17", "svc:count", "1e3", "a=b", "#17", "+49", "(2)"],
)  # fmt: skip
def test_an_account_of_which_only_the_id_is_known_is_one(file: File, account: str) -> None:
    assert ids(file(HEADER + f"{account},,,\n")) == [account]


@pytest.mark.parametrize("account", [*TOTALS, "----"])
def test_an_account_with_more_than_an_odd_id_is_one(file: File, account: str) -> None:
    assert ids(file(HEADER + f'"{account}",x@b.test,X,sms\n')) == [account]


FOOTERS = ["Report generated 2024-01-01 by admin", "Total", "***** END *****", "CONFIDENTIAL"]


@pytest.mark.parametrize("name", ["users.csv", "users.xlsx"])
def test_rows_that_hold_an_id_and_nothing_else_are_counted_as_unlike_the_others(tmp_path: Path, name: str) -> None:
    people = [{"account_id": f"a{n}", "email": f"a{n}@b.test", "methods": "sms", "team": "red"} for n in range(6)]
    rows = [*people, *({"account_id": footer, "email": "", "methods": "", "team": ""} for footer in FOOTERS)]
    write = {"users.csv": write_csv, "users.xlsx": write_xlsx}[name]
    write(tmp_path / name, rows)
    directory = csv_directory(tmp_path / name)
    assert ids(directory) == [row["account_id"] for row in rows]
    said = "hold an id and nothing else, such as row 7 (Report generated 2024-01-01 by admin): they were read as accounts"
    assert directory.caveats() == (f"4 rows of {name} {said}",)
    write(tmp_path / name, [*people[:3], *rows[6:]])  # most are like that: they are what this file is
    assert ids(directory)
    assert directory.caveats() == ()
    write(tmp_path / name, [*people, {"account_id": "u7", "email": "", "methods": "", "team": "blue"}])  # it says more than we read
    assert ids(directory)
    assert directory.caveats() == ()


def test_a_line_that_is_no_account_does_not_lack_an_id_besides(file: File) -> None:
    text = " | account_id | email | methods\n+---+---+---\n | ada | ada@b.test | sms\n1 row in set (0.00 sec)\n"
    assert reasons(file(text)) == ["a line of dashes, no account", "", "'1 row in set (0.00 sec)' is a line of totals, no account"]


@pytest.mark.parametrize("null", ["NULL", "\\N", "<null>", "(null)"])
@pytest.mark.parametrize("name", ["users.csv", "users.xlsx"])
def test_what_a_sql_tool_writes_for_null_is_no_address_and_nobodys_name(tmp_path: Path, name: str, null: str) -> None:
    texts = ["email", "given_name", "display_name", "department", "manager_email", "phone", "methods", "last_sign_in_at", "enabled"]
    rows = [{"account_id": "a"} | dict.fromkeys(texts, null), {"account_id": "b"} | dict.fromkeys(texts[:6], "Null") | {"methods": "sms"}]
    rows[1] |= {"last_sign_in_at": "2024-01-02", "enabled": "no"}
    {"users.csv": write_csv, "users.xlsx": write_xlsx}[name](tmp_path / name, rows)
    read, tally = read_all(csv_directory(tmp_path / name))
    assert read["rejection"].isna().all()
    assert read[["email", "given_name", "display_name", "department", "manager_email"]].isna().all(axis=1).tolist() == [True, False]
    assert read["given_name"][1] == "Null"  # a surname
    assert not tally.unreadable_instants


def test_the_header_once_more_is_no_account(file: File) -> None:
    assert reasons(file(HEADER + ADA + HEADER + BOB)) == ["", "the header once more, no account", ""]


@pytest.mark.parametrize("rounded", ["1.00517E+11", "1,00517E+11", "1E+11", "-1.5e+16", "1.234567E+100"])
def test_an_id_in_scientific_notation_is_rejected_as_rounded(file: File, rounded: str) -> None:
    found = rows_of(file(semicolons(HEADER) + f"{rounded};x@b.test;X;sms\n"))
    assert found["rejection"].tolist() == [f"account_id: {rounded} is a number that a spreadsheet rounded; export ids as text"]


@pytest.mark.parametrize("account", ["1e11", "1E11", "E+11", "100517000000", "1234567890123456789012", "1.00517E+11x", "u+1E+11"])
def test_an_id_that_is_no_rounded_number_is_kept(file: File, account: str) -> None:
    assert ids(file(HEADER + f"{account},x@b.test,X,sms\n")) == [account]


@pytest.mark.parametrize("error", ["#N/A", "#REF!", "#NAME?", "#DIV/0!", "#NV", "#BEZUG!", "#¡REF!", "#N/D", "#######", "Err:502"])
def test_a_spreadsheets_error_in_a_column_of_ours_is_unreadable(file: File, error: str) -> None:
    found = rows_of(
        file(f"account_id,email,enabled,methods,cost\na,a@b.test,yes,{error},\nb,b@b.test,{error},sms,\nc,c@b.test,,sms,{error}\n")
    )
    said = f"'{error}' is an error of a spreadsheet, no value"
    assert found["rejection"].fillna("").tolist() == [f"methods: {said}", f"enabled: {said}", ""]


@pytest.mark.parametrize("text", ["#HR", "#1 team", "#IT", "# N/A", "!REF#", "N/A"])
def test_a_text_that_is_no_error_is_kept(file: File, text: str) -> None:
    assert rows_of(file(HEADER + f"a,a@b.test,{text},sms\n"))["display_name"].tolist() == [text]


def test_a_file_speaks_of_the_moment_it_was_last_modified(file: File, tmp_path: Path) -> None:
    directory = file(HEADER)
    os.utime(tmp_path / "users.csv", (0, 1_700_000_000))
    assert directory.as_of() == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    (tmp_path / "users.csv").unlink()
    assert directory.as_of() is None


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
TITLE = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\u2028\u2029'), max_size=12)
NAMES = ["account_id", "email", "display_name", "methods", "department"]


def written(table: list[list[str]], delimiter: str, end: str, last: str) -> str:
    text = StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerow(NAMES)
    csv.writer(text, delimiter=delimiter, lineterminator=last + end, quoting=csv.QUOTE_ALL).writerows(table)
    return text.getvalue()


@settings(max_examples=60, deadline=None)
@given(
    table=st.lists(st.lists(TEXT, min_size=5, max_size=5), min_size=1, max_size=5),
    delimiter=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    trailing=st.booleans(),
    before=st.sampled_from(["", "sep=", TYPE]),
    titles=st.none() | st.lists(TITLE, max_size=3),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]),
    packed=st.booleans(),
)
def test_whatever_a_file_is_dressed_in_its_accounts_are_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    table: list[list[str]],
    delimiter: str,
    end: str,
    trailing: bool,
    before: str,
    titles: list[str] | None,
    encoding: str,
    packed: bool,
) -> None:
    def accounts(content: bytes, name: str, **more: Any) -> pd.DataFrame:
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(content)
        return comparable(read_all(open_directory(settings_model("csv")(kind="csv", path=str(path), **more)))[0])

    above = [before + delimiter if before == "sep=" else before.strip()] * bool(before) + (titles or [])
    dressed = "".join(line + end for line in above) + written(table, delimiter, end, delimiter if trailing else "")
    if titles is not None and not before and encoding in ("utf-16-le", "utf-16-be"):
        titles_set = {"header": len(above) + 1, "encoding": encoding}  # a title may be in any script, and then nothing is recognised
    else:
        titles_set = {} if titles is None else {"header": len(above) + 1}
    content = dressed.encode(encoding)
    plain = accounts(written(table, ",", "\n", "").encode(), "plain.csv")
    name = "dressed.csv.gz" if packed else "dressed.csv"
    assert_frame_equal(plain, accounts(gzip.compress(content) if packed else content, name, **titles_set))
