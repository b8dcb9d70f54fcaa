"""Single values: yes and no, kinds of accounts, languages, lists of addresses, instants."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.directory import values
from migrate.directory.instants import instants
from migrate.directory.text import as_text, column, masked


@pytest.mark.parametrize("value", [True, 1, 1.0, np.int64(1), np.bool_(True), "1", "1.0", " TRUE ", "t", "Yes", "y", "on", b"\x01"])
def test_yes_is_yes_however_it_is_spelt(value: Any) -> None:
    assert values.yes_or_no(value) is True


@pytest.mark.parametrize("value", [False, 0, 0.0, np.int64(0), np.bool_(False), "0", "0.0", "false", "F", "no", "N", "Off", b"\x00"])
def test_no_is_no_however_it_is_spelt(value: Any) -> None:
    assert values.yes_or_no(value) is False


@pytest.mark.parametrize("value", ["", "  "])
def test_nothing_is_neither(value: Any) -> None:
    assert values.yes_or_no(value) is None


@given(st.text() | st.integers() | st.floats() | st.binary() | st.lists(st.booleans()))
def test_whatever_is_not_clearly_yes_or_no_is_refused(value: Any) -> None:
    word = values.plain(value).strip().casefold()
    bits = isinstance(value, bytes) and set(value) <= {0, 1}
    if word in values._YES | values._NO | {""} or bits or values._null(word):
        assert values.yes_or_no(value) in (True, False, None)
    else:
        with pytest.raises(ValueError, match="neither yes nor no"):
            values.yes_or_no(value)


@given(st.text() | st.binary() | st.floats() | st.decimals() | st.characters(categories=["Cs"]) | st.lists(st.none() | st.text()))
def test_every_value_has_a_text_that_can_be_stored(value: Any) -> None:
    assert values.plain(value).encode().decode() == values.plain(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12, "12"),
        (12.0, "12"),
        (12.5, "12.5"),
        (Decimal("12.00"), "12"),
        (Decimal("NaN"), "NaN"),
        (float("inf"), "inf"),
        (b"abc", "abc"),
        (b"\xff\x00", "ff00"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (date(2024, 2, 1), "2024-02-01"),
        (datetime(2024, 2, 1, tzinfo=UTC), "2024-02-01T00:00:00+00:00"),
        (True, "true"),
        ("a\ud800b", "a\x00b"),
        (np.array(["a", "b"]), '["a", "b"]'),
    ],
)
def test_a_value_as_text(value: Any, text: str) -> None:
    assert values.plain(value) == text


def test_ids_of_a_nullable_number_column_are_whole_numbers() -> None:
    assert as_text(pd.Series([12.0, np.nan, 7.0])).fillna("-").tolist() == ["12", "-", "7"]
    assert as_text(pd.Series([2**60 + 1, None], dtype=object)).fillna("-").tolist() == [str(2**60 + 1), "-"]
    assert as_text(pd.Series([2**80, 1], dtype=object)).tolist() == [str(2**80), "1"]
    assert as_text(column(["a", None, "\ud800"])).fillna("-").tolist() == ["a", "-", "\x00"]


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("de_DE.UTF-8", "de-DE"),
        ("de-de", "de-DE"),
        ("DE", "de"),
        ("sr_RS@latin", "sr-RS"),
        ("zh-hans-cn", "zh-Hans-CN"),
        ("es-419", "es-419"),
        ("de-ch-1901", "de-CH-1901"),
        (" fr ", "fr"),
        ("C", None),
        ("POSIX", None),
        ("German", None),
        ("de-DE,de;q=0.9", None),
        ("", None),
        ("de" + "-abcde" * 9, None),
        ("en\n", "en"),
    ],
)
def test_a_locale_becomes_a_language_tag(text: str, tag: str | None) -> None:
    assert values.language_tag(text) == tag


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a@x.test", "a@x.test"),
        ("a@x.test;b@x.test , a@x.test", "a@x.test\nb@x.test"),
        ("a@x.test b@x.test\nc@x.test", "a@x.test\nb@x.test\nc@x.test"),
        ('["a@x.test", "b@x.test"]', "a@x.test\nb@x.test"),
        ('["a@x.test\\nb@x.test", 7]', "a@x.test\ufffdb@x.test"),
        ("[broken", "[broken"),
        ("{a@x.test,b@x.test}", "a@x.test\nb@x.test"),
        ("['a@x.test', None, 'b@x.test']", "a@x.test\nb@x.test"),
        ("[null]", ""),
        ("{NULL,a@x.test}", "a@x.test"),
        ("a@x.test,,nan", "a@x.test"),
        ("[]", ""),
        ("", ""),
    ],
)
def test_addresses_come_one_a_line(text: str, told: str) -> None:
    assert values.addresses(text) == told


@given(st.text())
def test_addresses_hold_no_control_character_and_come_once(text: str) -> None:
    found = values.addresses(text).split("\n")
    assert len(found) == len(set(found))
    assert not any(values.CONTROL.search(address) for address in found)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05"),
        ("2024-01-02T03:04:05+02:00", "2024-01-02T01:04:05"),
        ("2024-01-02 03:04:05", "2024-01-02T03:04:05"),
        ("2024-01-02 03:04:05 UTC", "2024-01-02T03:04:05"),
        ("2024-01-02 03:04:05.123456789+0000", "2024-01-02T03:04:05.123456"),
        ("2024/01/02 03:04:05", "2024-01-02T03:04:05"),
        ("2024-01-02", "2024-01-02"),
        ("20240102", "2024-01-02"),
        ("1704164645", "2024-01-02T03:04:05"),
        ("1704164645.5", "2024-01-02T03:04:05.5"),
        ("1704164645123", "2024-01-02T03:04:05.123"),
        ("2199-12-31T23:59:59.9999999", "2199-12-31T23:59:59.999999"),
        ("1971-01-01", "1971-01-01"),
    ],
)
def test_an_instant_is_read(text: str, instant: str) -> None:
    for series in (pd.Series([text, None], dtype="str"), pd.Series([text, None, "1999-01-01T00:00:00.1234567"], dtype="str")):
        found, unreadable = instants(series)
        assert not unreadable.any()
        assert str(found.dtype) == "datetime64[us, UTC]"
        assert found[0] == pd.Timestamp(instant, tz="UTC").as_unit("us")
        assert pd.isna(found[1])


NO_INSTANT = [
    "now", "today", "yesterday", "2024", "12", "2024-13-01", "0000-00-00 00:00:00", "99999999999999", "nat", "infinity", "-infinity",
    "2200-01-01", "9999-12-31T23:59:59.9999999Z", "0044-03-15 00:00:00 BC", "12024-01-01 00:00:00+00",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_INSTANT)
def test_what_is_no_instant_is_null_and_counted(text: str) -> None:
    found, unreadable = instants(pd.Series([text, None, "2024-01-01"], dtype="str"))
    assert unreadable.tolist() == [True, False, False]
    assert found.isna().tolist() == [True, True, False]


NEVER = ["", "  ", "0", "0.0", "1970-01-01", "0001-01-01T00:00:00", "1601-01-01T00:00:00Z"]


@pytest.mark.parametrize("text", NEVER)
def test_never_is_null_and_not_counted(text: str) -> None:
    found, unreadable = instants(pd.Series([text, "2024-01-01T00:00:00.1234567"], dtype="str"))
    assert (found.isna().tolist(), unreadable.any()) == ([True, False], False)


def test_what_no_calendar_holds_is_null_and_counted_in_typed_columns_too() -> None:
    for zone in (None, "UTC", "Asia/Tokyo"):
        typed = pd.Series(pd.to_datetime(["9999-12-31", "2024-01-02"])).dt.tz_localize(zone)
        found, unreadable = instants(typed)
        assert found.isna().tolist() == unreadable.tolist() == [True, False]


def test_python_and_pandas_instants_are_read() -> None:
    expected = pd.Series(pd.to_datetime(["2024-01-02T03:04:05Z"])).astype("datetime64[us, UTC]")
    for value in (datetime(2024, 1, 2, 3, 4, 5), datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), 1704164645, 1704164645.0, 1704164645000):
        for series in (pd.Series([value], dtype=object), pd.Series([value])):
            found, unreadable = instants(series)
            assert not unreadable.any()
            pd.testing.assert_series_equal(found, expected)
    assert instants(pd.Series([date(2024, 1, 2)], dtype=object))[0][0] == pd.Timestamp("2024-01-02", tz="UTC")


@given(st.lists(st.none() | st.text(), min_size=1))
def test_no_text_breaks_the_reading_of_instants(texts: list[str | None]) -> None:
    found, unreadable = instants(as_text(column(texts)))
    assert not (unreadable & found.notna().to_numpy()).any()


def test_of_a_telephone_number_the_last_two_digits_are_left() -> None:
    numbers = pd.Series(["+49 30 123-4567", "1234", "123", "ext.", None, "٠١٢٣٤٥٦"], dtype="str")
    assert masked(numbers).fillna("-").tolist() == ["••••67", "••••34", "••••", "••••", "-", "••••"]


def test_a_reason_repeats_a_hostile_text_harmlessly_and_not_at_length() -> None:
    shown = values.harmless("a\r\n\x1b[31m\u202e" + "x" * 500)
    assert len(shown) == values.SHOWN
    assert not values.CONTROL.search(shown)
