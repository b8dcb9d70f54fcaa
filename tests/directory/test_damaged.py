"""Damaged files: whichever bytes were flipped, added or lost, the file is read or refused in a sentence, and no bug is seen."""

from __future__ import annotations

import encodings.aliases
import io
import random
import zipfile
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from migrate.directory import Tally, bounds, read
from migrate.directory.csv import CsvDirectory, CsvSettings
from migrate.errors import DirectoryError

OURS = b"0123456789<>/\"' rABtsn-"


def book() -> bytes:
    import openpyxl

    made = openpyxl.Workbook()
    made.active.append(["account_id", "email", "methods", "enabled", "last_sign_in_at"])
    for i in range(40):
        made.active.append([f"u{i}", f"u{i}@example.com", "sms; totp" if i % 3 else "=1+1", i % 2 == 0, datetime(2023, 1, 1 + i % 28)])
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def parquet() -> bytes:
    import pyarrow as pa
    from pyarrow import parquet as pq

    rows = range(400)
    out = io.BytesIO()
    columns = {
        "account_id": [f"u{i}" for i in rows],
        "email": [f"u{i}@example.com" for i in rows],
        "methods": [["sms", "totp"] for _ in rows],
    }
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


def damaged(content: bytes, chance: random.Random) -> bytes:
    found = bytearray(content)
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(found))
        match chance.randrange(4):
            case 0:
                found[at] = chance.randrange(256)
            case 1:
                found[at] ^= 1 << chance.randrange(8)
            case 2:
                del found[at : at + chance.randrange(1, 30)]
            case _:
                found[at:at] = bytes(chance.choice(OURS) for _ in range(chance.randrange(1, 6)))
    return bytes(found)


def damaged_inside(content: bytes, chance: random.Random) -> bytes:
    """A workbook whose archive is whole, and one part of it damaged or missing."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = chance.choice(list(parts))
    parts[name] = damaged(parts[name], chance)
    if chance.random() < 0.1:
        del parts[name]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return out.getvalue()


def outcome(path: Path, encoding: str | None = None) -> str:
    """What becomes of a file: it is read, or refused in a sentence; anything else passes through."""
    try:
        for _ in read(CsvDirectory(CsvSettings(path=str(path), encoding=encoding)), language="en", tally=Tally()):
            pass
    except DirectoryError as error:
        assert error.exit_code == 3 and error.where and len(str(error)) < 1_000
        return "refused"
    except ValidationError:
        return "no setting"
    return "read"


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # openpyxl leaves files open that it fails on
@pytest.mark.parametrize("variants", [pytest.param(60, id="60"), pytest.param(500, id="500", marks=pytest.mark.soak)])
@pytest.mark.parametrize("kind", ["archive", "inside", "parquet"])
def test_a_damaged_file_is_read_or_refused_in_a_sentence(tmp_path: Path, kind: str, variants: int) -> None:
    chance = random.Random(20261128)
    content = parquet() if kind == "parquet" else book()
    path = tmp_path / ("a.parquet" if kind == "parquet" else "a.xlsx")
    found: Counter[str] = Counter()
    for _ in range(variants):
        path.write_bytes(damaged_inside(content, chance) if kind == "inside" else damaged(content, chance))
        found[outcome(path)] += 1
    assert found.total() == variants
    assert found["refused"] > variants // 10


def test_a_parquet_file_with_bytes_that_are_no_text_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet as pq

    broken = pa.array([b"sms\xff\xfe"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 1, broken.buffers())
    pq.write_table(pa.table({"account_id": ["a"], "email": ["a@example.com"], "methods": text}), tmp_path / "a.parquet")
    with pytest.raises(DirectoryError, match="is no complete Parquet file"):
        list(CsvDirectory(CsvSettings(path=str(tmp_path / "a.parquet"))).frames())


@pytest.mark.parametrize("encoding", ["base64", "hex", "zip", "rot13", "no such", "a\0b"])
def test_a_codec_that_is_no_encoding_of_text_is_no_setting(encoding: str) -> None:
    with pytest.raises(ValidationError, match="is no encoding of text"):
        CsvSettings(path="a.csv", encoding=encoding)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what some of them say of an escape they do not know
def test_a_file_in_any_encoding_python_knows_is_read_or_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    chance = random.Random(1)
    contents = [b"account_id,email,methods\na,\xff\xfe\x80,sms\n", b"account_id,email,methods\\x,\\u12\n--\xc3\n", chance.randbytes(3_000)]
    found: Counter[str] = Counter()
    for encoding in sorted({*encodings.aliases.aliases.values(), "undefined", "idna", "punycode", "unicode_escape", "raw_unicode_escape"}):
        for content in contents:
            path.write_bytes(content)
            found[outcome(path, encoding)] += 1
    assert found["refused"] and found["no setting"]


@pytest.mark.parametrize("column", ["name.givenName", "given"])
def test_a_column_with_a_dot_in_its_name_has_the_limit_of_any_other(column: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    from pyarrow import parquet as pq

    pq.write_table(pa.table({"id": ["a"], "other": ["b" * 9000], column: ["c" * 9000]}), tmp_path / "a.parquet")
    read = pq.read_metadata(tmp_path / "a.parquet")
    bounds.check_parquet(tmp_path / "a.parquet", read, {"id", column})
    monkeypatch.setattr(bounds, "_CHUNK_OF_A_COLUMN", 5000)
    bounds.check_parquet(tmp_path / "a.parquet", read, {"id"})
    with pytest.raises(DirectoryError, match=f"for the column '{column}'"):
        bounds.check_parquet(tmp_path / "a.parquet", read, {"id", column})


def test_what_lies_inside_a_column_is_part_of_it_and_what_only_begins_alike_is_not() -> None:
    assert bounds.is_part_of("methods.list.element", {"methods"}) and bounds.is_part_of("name.givenName", {"name.givenName"})
    assert not bounds.is_part_of("name.givenName", {"givenName"}) and not bounds.is_part_of("names", {"name"})
