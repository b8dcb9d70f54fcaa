"""Exports in files: what delimiters, encodings, quotes and cuts do."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import openpyxl
import pandas as pd
import pytest
from powerless import powerless
from pydantic import ValidationError

from migrate.core.accounts import words_of
from migrate.directory import Directory
from migrate.directory.bounds import VALUE
from migrate.directory.csv import CsvDirectory, CsvSettings
from migrate.directory.testing import assert_contract, assert_unreadable, read_all

File = Callable[..., Directory]

HEADER = "account_id,email,display_name,methods\n"


def rows_of(directory: Directory) -> pd.DataFrame:
    return assert_contract(lambda: directory)


def test_surnames_and_numbers_stay_text(file: File) -> None:
    rows = rows_of(file(HEADER + "007,a@b.test,NA,sms\n1e3,c@d.test,null,totp\n+49,x@y.test,True,sms\n"))
    assert rows["account_id"].tolist() == ["007", "1e3", "+49"]
    assert rows["display_name"].tolist() == ["NA", "null", "True"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out(file: File, delimiter: str) -> None:
    records = ["account_id", '"e,m;a|i\tl"', "email", "methods"], ["a", "", "a@b.test", '"sms,totp"']
    content = "\n" + "\n".join(delimiter.join(record) for record in records)
    row = rows_of(file(content)).iloc[0]
    assert (row["email"], words_of(row["methods"])) == ("a@b.test", ("sms", "totp"))


def test_the_delimiter_can_be_set(file: File) -> None:
    assert rows_of(file("account_id:email:methods\na:a@b.test:sms\n", delimiter=":"))["methods"].tolist() == [1]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_with_a_byte_order_mark_are_found_out(file: File, encoding: str) -> None:
    assert rows_of(file((HEADER + "zoë,z@b.test,Zoë 日本,sms\n").encode(encoding)))["display_name"].tolist() == ["Zoë 日本"]


def test_other_encodings_are_set(file: File) -> None:
    content = (HEADER + "z,z@b.test,Zoë,sms\n").encode("cp1252")
    assert rows_of(file(content, encoding="cp1252"))["display_name"].tolist() == ["Zoë"]


@pytest.mark.parametrize("before", [0, 1, 30_000])
def test_undecodable_bytes_are_told_with_their_line(file: File, before: int) -> None:
    content = (HEADER + "a,a@b.test,Ada,sms\n" * before).encode() + "z,z@b.test,Zoë,sms\n".encode("cp1252") + b"b,b@b.test,B,sms\n"
    error = assert_unreadable(lambda: file(content))
    assert f"line {before + 2} of " in str(error)
    assert "cp1252" in (error.hint or "")


def test_quoted_line_breaks_and_delimiters_are_part_of_a_field(file: File) -> None:
    rows = rows_of(file(HEADER + 'a,a@b.test,"Ada\nLove,""lace""",sms\r\nb,b@b.test,Bob,totp\r\n'))
    assert rows["display_name"].tolist() == ['AdaLove,"lace"', "Bob"]
    assert rows["position"].tolist() == [1, 2]


def test_blank_lines_are_no_records_and_a_last_line_needs_no_end(file: File) -> None:
    rows = rows_of(file("\n" + HEADER + "\na,a@b.test,A,sms\n\n\nb,b@b.test,B,sms"))
    assert rows[["account_id", "position"]].to_numpy().tolist() == [["a", 1], ["b", 2]]


def test_a_ragged_record_is_rejected_and_takes_no_other_with_it(file: File) -> None:
    rows = rows_of(file(HEADER + "a,a@b.test,A\nb,b@b.test,B,sms,more\nc,c@b.test,C,sms\n"))
    assert rows["rejection"].fillna("").tolist() == ["3 fields where the header has 4", "5 fields where the header has 4", ""]
    assert rows["account_id"].tolist() == ["a", "b", "c"]


def test_of_a_record_with_a_field_too_many_only_a_first_field_is_certain(file: File) -> None:
    rows = rows_of(file("email,display_name,account_id,methods\na@b.test,Lovelace, Ada,a,sms\n"))
    assert rows["account_id"].isna().all()
    assert rows["rejection"].tolist() == ["5 fields where the header has 4; no account_id"]


def test_nul_characters_end_up_in_no_account(file: File) -> None:
    rows = rows_of(file(HEADER + "a\0,a@b.test,A,sms\nb,b@b.te\0st,B\0B,sms\n"))
    assert rows["rejection"].fillna("").tolist() == ["account_id holds a control character", ""]
    assert (rows["email"][1], rows["display_name"][1]) == ("b@b.te\ufffdst", "BB")


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_an_empty_file_is_an_error(file: File, content: str) -> None:
    assert "is empty" in str(assert_unreadable(lambda: file(content)))


def test_two_columns_of_one_name_are_an_error(file: File) -> None:
    error = assert_unreadable(lambda: file("account_id,email,Email,E-mail,methods\na,a@b.test,x,y,sms\n", columns={"email": "EMAIL"}))
    assert "3 columns called 'EMAIL'" in str(error)


def test_an_exactly_fitting_name_comes_before_a_similar_one(file: File) -> None:
    assert rows_of(file("account_id,E-Mail,email,methods\na,x,a@b.test,sms\n"))["email"].tolist() == ["a@b.test"]


@pytest.mark.parametrize("tail", ['b,b@b.test,"B', 'b,b@b.test,"B\nc,c@b.test,C,sms\n', 'b,b@b.test,"B"x,sms\n'])
def test_a_quotation_mark_that_is_not_closed_is_an_error_with_its_line(file: File, tail: str) -> None:
    error = assert_unreadable(lambda: file(HEADER + "a,a@b.test,A,sms\n" + tail))
    assert "near line" in str(error)
    assert "quotation mark" in str(error)


def test_an_endless_field_is_an_error_and_not_a_full_memory(file: File) -> None:
    content = HEADER + 'a,a@b.test,"A' + "x,sms\n" * (VALUE // 5)
    assert "quotation mark" in str(assert_unreadable(lambda: file(content)))


def test_utf_16_without_a_byte_order_mark_is_an_error(file: File) -> None:
    assert "line 1 of " in str(assert_unreadable(lambda: file(HEADER.encode("utf-16-le")[1:], encoding="utf-16")))


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_gzip_is_an_error(file: File, keep: float) -> None:
    whole = gzip.compress((HEADER + "".join(f"{i},{i}@b.test,N{i * 7919},sms\n" for i in range(5000))).encode())
    assert_unreadable(lambda: file(whole[: int(len(whole) * keep)], "users.csv.gz"))


def test_a_gzip_with_a_broken_checksum_is_an_error(file: File) -> None:
    whole = bytearray(gzip.compress((HEADER + "a,a@b.test,A,sms\n").encode()))
    whole[-8] ^= 1
    assert "gzip" in str(assert_unreadable(lambda: file(bytes(whole), "users.csv.gz")))


def test_what_is_no_gzip_is_an_error(file: File) -> None:
    assert "gzip" in str(assert_unreadable(lambda: file(HEADER, "users.csv.gz")))


@pytest.mark.parametrize(("name", "what"), [("users.parquet", "Parquet"), ("users.xlsx", "workbook"), ("users.xls", "format")])
def test_what_is_not_what_its_name_says_is_an_error(file: File, name: str, what: str) -> None:
    assert what in str(assert_unreadable(lambda: file("no such thing", name)))


def test_a_file_that_may_not_be_read_is_an_error(file: File, tmp_path: Path) -> None:
    directory = file(HEADER)
    (tmp_path / "users.csv").chmod(0)
    assert "Permission denied" in str(powerless(lambda: assert_unreadable(lambda: directory)))


def test_a_parquet_file_keeps_its_types_and_lists(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "account_id": pd.array([2**60 + 1, None, 3], dtype="Int64"),
            "email": "a@b.test",
            "methods": [["sms", "Security Key"], None, []],
            "enabled": pd.array([True, None, False], dtype="boolean"),
            "last_sign_in_at": pd.to_datetime(["2024-01-01T00:00:00+02:00", None, "2024-01-02"], format="ISO8601", utc=True),
            "notification_emails": [["x@b.test", "y@b.test"], [], None],
        }
    )
    frame.to_parquet(tmp_path / "users.parquet")
    rows = rows_of(CsvDirectory(CsvSettings(path=str(tmp_path / "users.parquet"))))
    assert rows["account_id"].fillna("-").tolist() == [str(2**60 + 1), "-", "3"]
    assert [words_of(bits) for bits in rows["methods"]] == [("sms", "passkey"), (), ()]
    assert rows["enabled"].tolist() == [True, True, False]
    assert rows["notification_emails"].tolist() == ["x@b.test\ny@b.test", "", ""]
    assert rows["last_sign_in_at"][0] == pd.Timestamp("2023-12-31T22:00:00Z")


def workbook(path: Path, **sheets: list[list[Any]]) -> None:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)


def test_a_sheet_keeps_its_numbers_and_skips_rows_that_are_wholly_empty(tmp_path: Path) -> None:
    head = ["account_id", "email", "enabled", "methods"]
    workbook(tmp_path / "u.xlsx", One=[head, [7, "a@b.test", True, "sms"], [], [8.0, "b@b.test", 0], [9, "c", 1, "sms", "more"], [None]])
    rows = rows_of(CsvDirectory(CsvSettings(path=str(tmp_path / "u.xlsx"))))
    assert rows["account_id"].tolist() == ["7", "8", "9"]
    assert rows["enabled"].tolist()[:2] == [True, False]
    assert rows["rejection"].fillna("").tolist() == ["", "", "5 fields where the header has 4"]


def test_a_workbook_with_a_broken_sheet_is_an_error(tmp_path: Path) -> None:
    workbook(tmp_path / "whole.xlsx", One=[["account_id", "email", "methods"], ["a", "a@b.test", "sms"], ["b", "b@b.test", "sms"]])
    with ZipFile(tmp_path / "whole.xlsx") as whole, ZipFile(tmp_path / "u.xlsx", "w") as broken:
        for name in whole.namelist():
            content = whole.read(name)
            broken.writestr(name, content[: len(content) * 3 // 4] if "sheet1" in name else content)
    assert "no complete workbook" in str(assert_unreadable(lambda: CsvDirectory(CsvSettings(path=str(tmp_path / "u.xlsx")))))


def test_a_sheet_is_chosen_by_name(tmp_path: Path) -> None:
    head = ["account_id", "email", "methods"]
    workbook(tmp_path / "u.xlsx", Cover=[["hello"]], Users=[head, ["a", "a@b.test", "sms"]], Nothing=[])
    assert len(rows_of(CsvDirectory(CsvSettings(path=str(tmp_path / "u.xlsx"), sheet="Users")))) == 1
    error = assert_unreadable(lambda: CsvDirectory(CsvSettings(path=str(tmp_path / "u.xlsx"), sheet="User")))
    assert "did you mean 'Users'?" in str(error)
    assert "is empty" in str(assert_unreadable(lambda: CsvDirectory(CsvSettings(path=str(tmp_path / "u.xlsx"), sheet="Nothing"))))


def test_an_unknown_encoding_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(ValidationError, match="is no encoding"):
        CsvSettings(path="x.csv", encoding="utf8000")


def test_it_describes_itself_by_its_path(file: File, tmp_path: Path) -> None:
    assert file(HEADER).describe() == f"the file {tmp_path / 'users.csv'}"


def test_memory_does_not_grow_with_the_file(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CsvDirectory, "chunk_rows", 100)
    directory = file(HEADER + "".join(f"{i},{i}@b.test,N,sms\n" for i in range(1050)))
    assert [len(frame) for frame in directory.frames()] == [100] * 10 + [50]
    assert len(read_all(directory)[0]) == 1050
