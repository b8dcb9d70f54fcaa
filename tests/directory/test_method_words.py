"""Method words: what texts of them mean, and when two configurations mean the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.core.accounts import METHODS, methods_of, words_of
from migrate.directory import lists
from migrate.directory.method_words import COMMON, MethodWords, spelling, vendor_words
from migrate.directory.vocabulary import ALIASES, NO, NO_STEP, ONLY_THERE, VENDORS

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
        ("FIDO2 (WebAuthn)", ["passkey"]),
        ("hardware-otp", ["hardware_otp"]),
        ("HARDWARE OTP", ["hardware_otp"]),
        ("google_authenticator", ["totp"]),
        ("password", []),
        ("security_question;sms", ["sms"]),
        ("none", []),
        ("mfa", ["unknown"]),
        ("sms;sms;SMS", ["sms"]),
        ("Email one-time passcode", ["email_otp"]),
        ("SMS one-time passcode", ["sms"]),
        ("Password Authenticator", []),
        ("Phone Authenticator", ["phone"]),
        ("Phone - Authenticator app", ["phone", "totp"]),
        ("sms mobile app", ["sms", "totp"]),
        ("SMS / TOTP", ["sms", "totp"]),
        ("Google Authenticator / Phone call", ["voice", "totp"]),
        ("No methods registered", []),
        ("keine", []),
        ("totp, not verified", ["other"]),
        ("Authenticator app; unconfirmed", ["other"]),
    ],
)
def test_a_text_of_words_is_taken_apart(text: str, methods: list[str]) -> None:
    assert meaning(text) == tuple(methods)
    assert PLAIN.read(text).unreadable is None


def test_a_piece_with_an_unknown_word_is_one_unknown_word_spelt_as_it_was() -> None:
    reading = PLAIN.read("sms; Retina  Scan ;sms pigeon")
    assert words_of(reading.methods) == ("sms", "other")
    assert reading.unknown == ("Retina  Scan", "sms pigeon")


@pytest.mark.parametrize(
    "word",
    ["Email app", "backup code authenticator", "Voice one-time passcode", "Call - one time passcode", "Recovery codes app", "Password app",
     "Telephone authenticator", "Security questions - authenticator", "Text message OATH token"],
)  # fmt: skip
def test_a_word_that_says_of_which_kind_the_method_before_it_is_is_no_method_of_its_own(word: str) -> None:
    reading = PLAIN.read(word)
    assert (words_of(reading.methods), reading.unknown) == (("other",), (word,))
    assert words_of(PLAIN.read(f"sms, {word}").methods) == ("sms", "other")


@pytest.mark.parametrize("text", ['["sms"', "[", '["sms", 1]', '[["sms"]]', "[" * 100_000, '{"sms": true}', "{sms", "{{sms}}"])
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


MARKS = ",;|，；｜、،؛<[]{}()\"'@\x1f"
WORDS = st.text(st.characters(exclude_characters=MARKS, exclude_categories=["Zs", "Zl", "Zp", "Cc", "Cs"]), min_size=1)


@given(st.lists(WORDS, min_size=1))
def test_every_word_nobody_knows_is_told(words: list[str]) -> None:
    reading = PLAIN.read(",".join(words))
    known = [word for word in words if word.casefold() not in lists.NULLS]
    if reading.lost or any(spelling(word) in map(spelling, NO) for word in known):
        return
    assert set(reading.unknown) == {word for word in known if PLAIN.method(word) is None}


EVERY_WORD = sorted({word for each in (ALIASES, *VENDORS.values()) for words in each.values() for word in words} | {*METHODS})
A_METHOD = [word for word in EVERY_WORD if COMMON.get(spelling(word), NO_STEP) not in (NO_STEP, "other", "unknown")]
NEGATED = [
    "{} disabled", "no {}", "{} (off)", "not {}", "{}: no", "{}=false", "{} - inactive", "{} not registered", "without {}", "ohne {}",
    "{} deaktiviert", "sans {}", "disabled: {}", "{}, disabled", "{};off", "No{}", "{}Disabled", "{} n/a", "{} removed", "un{}",
]  # fmt: skip


@pytest.mark.parametrize("form", NEGATED)
def test_a_no_beside_any_known_word_is_never_that_word(form: str) -> None:
    for word in A_METHOD:
        told = form.format(word)
        reading = PLAIN.read(told)
        assert words_of(reading.methods) == ("other",), told
        assert reading.unknown == (told,)


@pytest.mark.parametrize("end", ["...", "…", "..", "... "])
def test_a_word_that_was_cut_off_is_never_the_word_it_begins_with(end: str) -> None:
    for word in A_METHOD:
        assert words_of(PLAIN.read(word + end).methods) == ("other",), word
        assert words_of(PLAIN.read(f"sms,{word}{end}").methods) == ("sms", "other"), word


@given(st.sampled_from(EVERY_WORD), st.randoms())
def test_how_a_word_is_spelt_does_not_change_what_it_means(word: str, random: Any) -> None:
    parts = word.replace("#", "# ").split()
    joint = random.choice([" ", "-", "_", ".", ":", "/", "  ", ") ("])
    shape = random.choice([str.upper, str.lower, str.title, str.swapcase])
    camel = parts[0].lower() + "".join(part[:1].upper() + part[1:] for part in parts[1:])
    for told in (shape(word), joint.join(parts), shape(joint.join(parts)), camel):
        assert PLAIN.method(told) == PLAIN.method(word), told


@pytest.mark.parametrize(
    ("vendor", "theirs", "ours"),
    [(vendor, theirs, ours) for vendor, each in VENDORS.items() for ours, words in each.items() for theirs in words],
)
def test_the_words_of_each_product_are_known(vendor: str, theirs: str, ours: str) -> None:
    assert MethodWords(vendor_words(vendor), {}).method(theirs) == ours
    if theirs not in ONLY_THERE.get(vendor, ()):
        assert PLAIN.method(theirs) == ours


def test_what_is_understood_in_one_product_alone_means_something_else_or_nothing_elsewhere() -> None:
    for vendor, words in ONLY_THERE.items():
        for word in words:
            assert PLAIN.method(word) != vendor_words(vendor)[word]


def test_a_list_that_the_export_lost_is_no_unknown_word() -> None:
    for text in ("System.Object[]", "System.String[]", "System.Collections.Generic.List`1[System.String]", "[object Object]",
                 "Microsoft.Online.Administration.StrongAuthenticationMethod Microsoft.Online.Administration.StrongAuthenticationMethod",
                 "sms;System.Object[]"):  # fmt: skip
        reading = PLAIN.read(text)
        assert (reading.lost, reading.methods, reading.unknown) == (True, 0, ())


def test_the_operators_words_come_before_the_directorys_and_those_before_the_common_ones() -> None:
    words = MethodWords({"call": "push", "sms": "phone", "app": "passkey"}, {"App": "totp", "totp": "none"})
    assert meaning("call", words) == ("push",)
    assert meaning("sms", words) == ("phone",)
    assert meaning("app", words) == ("totp",)
    assert meaning("totp", words) == ()


def test_each_alias_means_one_method() -> None:
    assert set(ALIASES) <= {*METHODS, NO_STEP}
    spelt = [alias for aliases in ALIASES.values() for alias in aliases]
    assert len(spelt) == len(set(map(spelling, spelt)))
    assert all(COMMON[spelling(alias)] == ours for ours, aliases in ALIASES.items() for alias in aliases)
    assert COMMON["external"] == "external"


def test_reading_many_texts_does_not_remember_them_all() -> None:
    words = MethodWords({}, {})
    words._KEEP = 10
    for number in range(100):
        words.read(f"word{number}")
    assert len(words._read) <= 10
