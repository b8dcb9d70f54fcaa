"""Method words: what texts of them mean, and when two configurations mean the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.accounts import METHODS, methods_of, words_of
from migrate.directory.words import ALIASES, COMMON, NO_STEP, MethodWords

PLAIN = MethodWords({}, {})


def meaning(text: str, words: MethodWords = PLAIN) -> tuple[str, ...]:
    return words_of(words.read(text).methods)


@pytest.mark.parametrize(
    ("text", "methods"),
    [
        ("sms", ["sms"]),
        ("SMS;Totp", ["sms", "totp"]),
        ("sms,totp", ["sms", "totp"]),
        ("sms | voice", ["sms", "voice"]),
        ("sms totp", ["sms", "totp"]),
        ('["sms", "totp"]', ["sms", "totp"]),
        ("[]", []),
        ("", []),
        (" ,; ", []),
        ("{sms,totp}", ["sms", "totp"]),
        ('{sms,"security key"}', ["sms", "passkey"]),
        ("Mobile phone", ["phone"]),
        ("Mobile phone, Software OATH token", ["phone", "totp"]),
        ("mobile phone security key", ["phone", "passkey"]),
        ("FIDO2 (WebAuthn)", ["other"]),
        ("hardware-otp", ["hardware_otp"]),
        ("HARDWARE OTP", ["hardware_otp"]),
        ("google_authenticator", ["totp"]),
        ("password", []),
        ("security_question;sms", ["sms"]),
        ("none", []),
        ("mfa", ["unknown"]),
        ("sms;sms;SMS", ["sms"]),
    ],
)
def test_a_text_of_words_is_taken_apart(text: str, methods: list[str]) -> None:
    assert meaning(text) == tuple(methods)
    assert PLAIN.read(text).unreadable is None


def test_a_piece_with_an_unknown_word_is_one_unknown_word_spelt_as_it_was() -> None:
    reading = PLAIN.read("sms; Retina  Scan ;sms pigeon")
    assert words_of(reading.methods) == ("sms", "other")
    assert reading.unknown == ("Retina  Scan", "sms pigeon")


@pytest.mark.parametrize("text", ['["sms"', "[", '["sms", 1]', "[null]", '[["sms"]]', "[" * 100_000, '{"sms": true}', "{sms", "{{sms}}"])
def test_what_is_no_list_of_words_is_unreadable(text: str) -> None:
    assert PLAIN.read(text).unreadable is not None
    assert PLAIN.read(text).methods == 0


@given(st.sets(st.sampled_from(METHODS)), st.sampled_from([",", ";", "|", " ", ", ", " ; "]), st.randoms())
def test_our_words_are_known_whatever_the_separator_order_and_case(words: set[str], separator: str, random: Any) -> None:
    told = [random.choice([word, word.upper(), word.title(), word.replace("_", "-")]) for word in words]
    random.shuffle(told)
    bits = methods_of(frozenset(words))
    assert PLAIN.read(separator.join(told)).methods == bits
    assert PLAIN.read(json.dumps(told)).methods == bits


@given(st.text())
def test_no_text_breaks_the_reader_and_unknown_words_are_always_other(text: str) -> None:
    reading = PLAIN.read(text)
    assert bool(reading.unknown) <= bool(reading.methods & methods_of(("other",)))
    assert reading.unreadable is None or reading.methods == 0


@given(st.lists(st.text(st.characters(exclude_characters=",;|[]{}\x1f", exclude_categories=["Zs", "Cc", "Cs"]), min_size=1), min_size=1))
def test_every_word_nobody_knows_is_told(words: list[str]) -> None:
    reading = PLAIN.read(",".join(words))
    unknown = [word.strip() for word in words if word.strip() and PLAIN.method(word) is None]
    assert set(reading.unknown) == set(unknown)


def test_the_operators_words_come_before_the_directorys_and_those_before_the_common_ones() -> None:
    words = MethodWords({"call": "push", "sms": "phone", "app": "passkey"}, {"App": "totp", "totp": "none"})
    assert meaning("call", words) == ("push",)
    assert meaning("sms", words) == ("phone",)
    assert meaning("app", words) == ("totp",)
    assert meaning("totp", words) == ()


def test_each_alias_means_one_method() -> None:
    assert set(ALIASES) <= {*METHODS, NO_STEP}
    spelt = [alias for aliases in ALIASES.values() for alias in aliases]
    assert len(spelt) == len(set(spelt))
    ours = {alias: word for word, aliases in ALIASES.items() for alias in aliases} | {word: word for word in METHODS}
    assert all(COMMON[alias] == word for alias, word in ours.items() if alias in COMMON)
    assert COMMON["external"] == "external"


def test_reading_many_texts_does_not_remember_them_all() -> None:
    words = MethodWords({}, {})
    words._KEEP = 10
    for number in range(100):
        words.read(f"word{number}")
    assert len(words._read) <= 10
