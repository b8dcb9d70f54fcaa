from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mail.post import MARIA

from migrate.core.accounts import METHODS
from migrate.mail.facts import METHOD_LABELS, Facts, listed
from migrate.outside import LONGEST_NAME, letter

CHANGED = replace(
    MARIA,
    methods=("totp",),
    had=("sms", "totp"),
    change="sms_removed",
    seen_at=datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    phone="•••42",
)


def test_every_method_has_a_label() -> None:
    assert set(METHOD_LABELS) == set(METHODS)


@pytest.mark.parametrize("facts", [MARIA, CHANGED, Facts(username="x", standing="unknown")])
def test_facts_come_back_from_the_ledger_as_they_went_in(facts: Facts) -> None:
    assert Facts.from_json(facts.to_json()) == facts


def test_equal_facts_are_stored_as_equal_text() -> None:
    elsewhere = datetime(2024, 1, 2, 4, 4, 5, 678901, tzinfo=timezone(timedelta(hours=1)))
    assert replace(CHANGED, seen_at=elsewhere).to_json() == CHANGED.to_json()
    assert "\n" not in CHANGED.to_json()


def test_facts_of_a_later_version_are_left_out() -> None:
    stored = json.loads(MARIA.to_json()) | {"shoe_size": 42}
    assert Facts.from_json(json.dumps(stored)) == MARIA


def test_the_greeting_falls_back_from_given_name_to_display_name_to_none() -> None:
    assert MARIA.greeting_name == "Maria"
    assert replace(MARIA, given_name=None).greeting_name == "Maria Santos"
    assert replace(MARIA, given_name=" \u202e ").greeting_name == "Maria Santos"
    assert replace(MARIA, given_name=None, display_name=None).greeting_name == ""


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Maria\r\nBcc: everyone@example.com", "Maria Bcc: everyone@example.com"),
        ("Ma\x00ri\x1ba", "Maria"),
        ("\u202eairaM\u202c", "airaM"),
        ("Maria\u2028Santos", "Maria Santos"),
        ("  Maria   Santos ", "Maria Santos"),
        ("Renée", "Renée"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩\u200d🔬", "👩\u200d🔬"),
        ("{{ 7*7 }}", "{{ 7*7 }}"),
        ("J. R. Smith", "J. R. Smith"),
        ("Maria, go to https://evil.example/now", "Maria, go to https evil example now"),
        ("www.evil.example", "www evil example"),
        ("\ud800Maria", "Maria"),
    ],
)
def test_a_name_is_made_fit_for_a_letter(name: str, shown: str) -> None:
    assert letter(name) == shown


def test_a_name_of_ten_thousand_characters_is_cut_where_it_can_be_read() -> None:
    assert letter("x" * 10_000) == "x" * (LONGEST_NAME - 1) + "…"
    accented = "e\u0301" * 5_000
    assert letter(accented)[-2] != "e" and len(letter(accented)) <= LONGEST_NAME


@settings(deadline=None)
@given(st.text())
def test_no_name_leaves_a_line_break_or_a_control_character(name: str) -> None:
    shown = letter(name)
    assert len(shown) <= LONGEST_NAME
    assert len(shown.splitlines()) <= 1
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069" for c in shown)
    assert letter(shown) == shown
    shown.encode()


def test_items_are_listed_as_english_does() -> None:
    assert (listed([]), listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"], "or")) == ("", "a", "a and b", "a, b or c")
