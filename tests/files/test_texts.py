from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate import outside
from migrate.files import texts

TEXT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0\ufeff"))


@given(TEXT, st.booleans())
def test_any_text_is_read_as_it_was_saved_with_a_byte_order_mark_or_without(text: str, marked: bool) -> None:
    assert texts.decoded(text.encode("utf-8-sig" if marked else "utf-8")) == text


@given(TEXT.filter(bool), st.sampled_from(["utf-16", "utf-32", "utf-16-le", "utf-16-be"]))
def test_a_text_in_another_encoding_is_refused_or_was_saved_without_a_mark_and_in_no_latin_letter(text: str, encoding: str) -> None:
    try:
        texts.decoded(text.encode(encoding))
    except texts.NotTextError as error:
        assert "Save it as UTF-8" in str(error)
    else:
        assert encoding not in ("utf-16", "utf-32")
        assert not any(character < "\u0100" for character in text)


def test_the_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"\xef\xbb\xbf\nfine\nf\xfcr\n")
    with pytest.raises(texts.NotTextError, match=r"is not UTF-8 text \(line 3\)"):
        texts.read(tmp_path / "file")


def test_lines_end_in_one_way_and_a_value_has_no_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a\r\nb\rc\n\r\n")
    assert texts.read(tmp_path / "file") == "a\nb\nc\n\n"
    assert texts.read_value(tmp_path / "file") == "a\r\nb\rc"


@pytest.mark.parametrize("text", ["a\nb", "a\r", "a\x85b", "a\u2028b", "a\u2029b", "a\0", "\x1b[0m", "a\ud800"])
def test_a_line_break_or_a_control_character_is_found_in_a_line(text: str) -> None:
    assert not outside.is_one_line(text)


@pytest.mark.parametrize("text", ["", "a b", "a\u00a0b", "\u200d", "日本語 😀", "e\u0301"])
def test_words_of_any_script_are_one_line(text: str) -> None:
    assert outside.is_one_line(text)
