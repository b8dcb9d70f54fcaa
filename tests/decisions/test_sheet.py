"""A file of exemptions, as a person's spreadsheet wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrate.decisions.sheet import Line, read
from migrate.errors import ConfigError

HEADER = "account_id,until,owner,reason\n"


def written(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "exemptions.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_line_has_the_number_at_which_it_begins(tmp_path: Path, end: str) -> None:
    text = (HEADER + 'a,2024-01-01,Jo,"two\nlines"\n\n ,,,\nb,2024-01-02,Jo,"a, comma"\n').replace("\n", end)
    assert read(written(tmp_path, text)) == [
        Line(2, "a", "2024-01-01", "Jo", f"two{end}lines"),
        Line(6, "b", "2024-01-02", "Jo", "a, comma"),
    ]


def test_semicolons_a_byte_order_mark_another_order_and_more_columns_are_read(tmp_path: Path) -> None:
    text = "until;note;owner; account_id ;reason\n2024-01-01;x;Jo;a;at sea, far off\n"
    assert read(written(tmp_path, text, "utf-8-sig")) == [Line(2, "a", "2024-01-01", "Jo", "at sea, far off")]


def test_a_short_line_lacks_what_is_missing(tmp_path: Path) -> None:
    assert read(written(tmp_path, HEADER + "a,2024-01-01\n")) == [Line(2, "a", "2024-01-01", "", "")]


@pytest.mark.parametrize("text", ["", "account_id,owner\na,Jo\n"])
def test_missing_columns_are_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"has no column .*until.*reason"):
        read(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "encoding", "said"),
    [
        (HEADER + "ä,2024-01-01,Jo,x\n", "latin-1", r"is not UTF-8 text \(line 2\)\. Save it as UTF-8\."),
        (HEADER + "ä,2024-01-01,Jo,x\n", "utf-16", r"is UTF-16 and not UTF-8 text\. Save it as UTF-8\."),
        (HEADER + 'a,"b"c,Jo,x\n', "utf-8", "is no CSV file"),
    ],
)
def test_what_is_no_csv_file_is_refused(tmp_path: Path, text: str, encoding: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(written(tmp_path, text, encoding))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.csv: cannot be read: No such file"):
        read(tmp_path / "missing.csv")
