"""Single files that a later command replaces."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from migrate import files

OURS = {"a.csv": re.compile(rb"name,"), "b.csv": re.compile(rb"name,")}


def put(folder: Path, text: bytes = b"name,\n1\n") -> None:
    files.put(folder, "table", dict.fromkeys(OURS, text), OURS)


def test_they_are_made_with_their_folder_and_replaced_when_they_begin_as_ours(tmp_path: Path) -> None:
    put(tmp_path / "made" / "here")
    put(tmp_path / "made" / "here", b"name,\n2\n")
    assert {path.name: path.read_bytes() for path in (tmp_path / "made" / "here").iterdir()} == dict.fromkeys(OURS, b"name,\n2\n")


@pytest.mark.parametrize(
    ("there", "why"), [("file", "is another file"), ("folder", "is a folder"), ("link", "is no plain file"), ("empty", "is another file")]
)
def test_what_is_not_ours_stays_and_nothing_else_changes(tmp_path: Path, there: str, why: str) -> None:
    folder = tmp_path / "folder"
    put(folder)
    (folder / "b.csv").unlink()
    other = tmp_path / "other.csv"
    other.write_bytes(b"name,\nmine\n")
    match there:
        case "file":
            (folder / "b.csv").write_bytes(b"mine\n")
        case "empty":
            (folder / "b.csv").write_bytes(b"")
        case "folder":
            (folder / "b.csv").mkdir()
        case "link":
            (folder / "b.csv").symlink_to(other)
    with pytest.raises(files.NotOursError) as raised:
        put(folder, b"name,\n2\n")
    assert raised.value.what == why
    assert (folder / "a.csv").read_bytes() == b"name,\n1\n"
    assert other.read_bytes() == b"name,\nmine\n"
    assert sorted(path.name for path in folder.iterdir()) == ["a.csv", "b.csv"], "no work folder is left"
