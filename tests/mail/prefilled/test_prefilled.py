"""A letter that is filled in and one that is written are the same, byte for byte."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mail.post import MARIA, NOW, campaign, compose, mail, whole

from migrate.core.accounts import METHODS
from migrate.core.kinds import KINDS
from migrate.core.standing import STANDINGS
from migrate.core.words import CHANGES
from migrate.mail.compose import Composer, UnrenderableError
from migrate.mail.facts import Facts
from migrate.mail.guides import GUIDES
from migrate.mail.letter import Letter
from migrate.mail.plain import Wanted
from migrate.mail.prefilled import PrefilledLetters, letters
from migrate.mail.sample import samples

_NAMES = st.one_of(st.none(), st.sampled_from(["Maria", "Zoë & Co <b>", "王小明", "%(name)s", 'O\'Hara "Q"']), st.text(max_size=90))
_WORDS = st.lists(st.sampled_from(METHODS), unique=True, max_size=3).map(tuple)
_FACTS = st.builds(
    Facts,
    username=st.one_of(st.sampled_from(["maria.santos", "é" * 260, "a&" * 120]), st.text(max_size=300)),
    standing=st.sampled_from(STANDINGS),
    methods=_WORDS,
    had=_WORDS,
    display_name=_NAMES,
    given_name=_NAMES,
    locale=st.sampled_from([None, "en-US", "de-DE", "nonsense"]),
    default_method=st.one_of(st.none(), st.sampled_from(METHODS)),
    phone=st.sampled_from([None, "", "•••42", "42"]),
    change=st.sampled_from([None, *CHANGES]),
    seen_at=st.sampled_from([None, NOW]),
)


class NoPrefilledLetters(PrefilledLetters):
    """The fast way switched off."""

    def letter(self, wanted: Wanted) -> None:
        """Every letter is written the plain way."""


def writing(composer: Composer) -> Composer:
    """The composer without the fast way."""
    composer._prefilled = NoPrefilledLetters(composer._plain)
    return composer


FILLS, WRITES = Composer(mail(), campaign()), writing(Composer(mail(), campaign()))
FRENCH = {"organization": "Société Générale", "product": "Compte d'été"}
LONG = {"from": f"Υπηρεσία, {'Ψηφιακής Ασφάλειας ' * 8}(IT) <noreply@example.com>", "reply_to": "Help, Desk <help@bücher.example>"}
GREEK = {"organization": "Υπηρεσία Ψηφιακής Ασφάλειας " * 8, "product": "λογαριασμός 🔐" * 9}
FILLS_GREEK, WRITES_GREEK = Composer(mail(**LONG), campaign(**GREEK)), writing(Composer(mail(**LONG), campaign(**GREEK)))
FILLS_FRENCH, WRITES_FRENCH = Composer(mail(), campaign(**FRENCH)), writing(Composer(mail(), campaign(**FRENCH)))


def outcome(composer: Composer, facts: Facts, **how: Any) -> Letter | str:
    try:
        return whole(compose(facts, by=composer, **how))
    except UnrenderableError as error:
        return str(error)


def test_every_template_of_ours_may_be_filled_in() -> None:
    assert all(FILLS._prefilled.fills(kind) for kind in KINDS)


@settings(deadline=None, max_examples=150)
@given(
    facts=_FACTS,
    kind=st.sampled_from(list(KINDS)),
    to=st.sampled_from(["maria@example.com", "jürgen@example.com", "a@bücher.example", "x" * 64 + "@example.com"]),
    occasion=st.sampled_from(["T-14", "change-1"]),
    days=st.integers(0, 20),
)
def test_a_letter_that_is_filled_in_is_the_one_that_would_be_written(facts: Facts, kind: str, to: str, occasion: str, days: int) -> None:
    how = {"kind": kind, "to": to, "occasion": occasion, "now": NOW + timedelta(days=days)}
    assert outcome(FILLS, facts, **how) == outcome(WRITES, facts, **how)
    assert outcome(FILLS_FRENCH, facts, **how) == outcome(WRITES_FRENCH, facts, **how)
    assert outcome(FILLS_GREEK, facts, **how) == outcome(WRITES_GREEK, facts, **how)


HOSTILE = [
    "Zoë & Co <b>", "Maria\r\nBcc: thief@evil.example", "=?utf-8?q?Maria?=", "%(name)s {{ 7 * 7 }}", ".", "\u202emoc.live", "王小明\0",
    "x" * 1200, "= =3D ",
]  # fmt: skip


@pytest.mark.parametrize("guide", GUIDES)
def test_both_ways_give_the_same_letter_in_every_language_and_guide_to_everybody(guide: str) -> None:
    """Of every kind, to every sample account, each under a hostile name as well."""
    there = campaign(guide=guide, sign_in_address="https://mysignins.microsoft.com/security-info", **FRENCH)
    fills, writes = Composer(mail(links=True), there), writing(Composer(mail(links=True), there))
    languages, names = sorted(fills.languages), itertools.cycle(HOSTILE)
    assert languages == ["ar", "de", "en"]
    for kind, language in itertools.product(KINDS, languages):
        for sample in samples(kind, there):
            person, name = replace(sample.facts, locale=language), next(names)
            for facts in (person, replace(person, given_name=name, display_name=name, username=name)):
                how = {"kind": kind, "occasion": sample.occasion, "now": sample.now, "to": sample.to}
                letter = whole(compose(facts, by=fills, **how))
                assert letter.language == language and letter == whole(compose(facts, by=writes, **how))
    assert all(fills._prefilled.fills(kind) for kind in KINDS) and all(fills._prefilled._skeletons.values())


def test_a_rehearsal_s_letters_are_written_the_plain_way() -> None:
    rehearsal = Composer(mail(), campaign(), "rehearsal@example.com")
    letter = compose(by=rehearsal)
    assert letter.to == "rehearsal@example.com" and letter.subject.startswith("[Rehearsal for maria.santos@example.com] ")
    assert not rehearsal._prefilled._skeletons


def test_people_who_differ_in_nothing_else_share_one_rendering() -> None:
    composer = Composer(mail(), campaign())
    people = [replace(MARIA, username=f"user{n}", given_name=f"N{n}") for n in range(20)]
    assert len({compose(facts, by=composer).message for facts in people}) == 20
    assert len(composer._prefilled._skeletons) == 1
    compose(replace(MARIA, given_name=None, display_name=None), by=composer)
    assert len(composer._prefilled._skeletons) == 2


def test_readers_whose_tags_lead_to_the_same_words_and_formats_share_one_rendering() -> None:
    composer = Composer(mail(), campaign())
    for tag in (None, "en", "ja", "ko-KR", "not a tag"):
        compose(replace(MARIA, locale=tag), by=composer)
    assert len(composer._prefilled._skeletons) == 1
    for tag in ("en-US", "de-DE", "de-AT", "de-de"):
        compose(replace(MARIA, locale=tag), by=composer)
    assert len(composer._prefilled._skeletons) == 4


def test_of_many_skeletons_those_that_were_used_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "_KEPT", 2)
    composer, made = Composer(mail(), campaign()), []
    rendered = composer._plain.rendered
    monkeypatch.setattr(composer._plain, "rendered", lambda wanted, *marks: made.append(wanted.now) or rendered(wanted, *marks))
    days = [NOW - timedelta(days=day) for day in range(4)]
    for day in (0, 1, 0, 2, 0, 3, 0):
        compose(by=composer, now=days[day])
    assert made == days


def test_no_more_skeletons_are_kept_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "_KEPT", 3)
    composer = Composer(mail(), campaign())
    for day in range(10):
        compose(by=composer, now=NOW - timedelta(days=day))
        assert len(composer._prefilled._skeletons) <= 3


def overriding(folder: Path, **parts: str) -> tuple[Composer, Composer]:
    """A composer that fills where it may, and one that writes, with an operator's reminder."""
    (folder / "reminder").mkdir(exist_ok=True)
    for name, text in parts.items():
        (folder / "reminder" / f"{name.replace('_', '.')}.j2").write_text(text, encoding="utf-8")
    return Composer(mail(templates=folder), campaign()), writing(Composer(mail(templates=folder), campaign()))


PEOPLE = [
    MARIA, replace(MARIA, given_name="Zoë <Ann>"), replace(MARIA, given_name="Al"), replace(MARIA, given_name=None, display_name=None),
    replace(MARIA, username="x" * 250), replace(MARIA, username="&" * 250), replace(MARIA, phone="•••42"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("For {{ account.name or 'you' }}: 100 % sure", "{{ account.username }} " * 5),
        ("{{ 'x' * 80 }}", "{{ 'é' }} {{ account.username }}\n.\n. {{ account.name }} \n{{ account.phone }}"),
        ("{{ account.name | upper or 'YOU' }}", "{{ account.name[:3] }}"),
        ("s", "{{ 'a' if account.name == 'Al' else 'b' }}"),
        ("{{ account.name }}", "t"),
        ("s", "{{ 'x' * 998 }}\n{{ account.name }}"),
        ("s", "{{ 'x' * 999 }}\n{{ account.name }}"),
        ("s", "{{ unknown if account.name else 'fine' }}"),
    ],
)
def test_an_operators_letters_are_the_same_too(subject: str, body: str, tmp_path: Path) -> None:
    fills, writes = overriding(tmp_path, subject_txt=subject, body_txt=body, body_html=f"<p>{body}</p>")
    for facts in [*PEOPLE, *PEOPLE]:
        assert outcome(fills, facts) == outcome(writes, facts)


def test_a_template_that_looks_at_a_name_costs_no_other_kind_its_skeletons(tmp_path: Path) -> None:
    fills, _ = overriding(tmp_path, subject_txt="{{ account.name | upper }}", body_txt="t", body_html="<p>h</p>")
    assert {kind for kind in KINDS if not fills._prefilled.fills(kind)} == {"reminder"}


def test_who_cannot_be_written_to_holds_up_nobody_else(tmp_path: Path) -> None:
    body = "{% if account.standing == 'unknown' %}{{ nonsense }}{% endif %}{{ account.name }}"
    fills, _ = overriding(tmp_path, subject_txt="s", body_txt=body, body_html="<p>h</p>")
    for _ in range(2):
        assert "nonsense" in str(outcome(fills, replace(MARIA, standing="unknown")))
        assert isinstance(outcome(fills, MARIA), Letter)


@pytest.mark.parametrize("reference", ["7KQ4MX2P", "22222222", "a=b", "é2345678", "x" * 70, "1&2<3>45"])
def test_a_line_that_names_nothing_but_the_reference_is_broken_where_it_would_be(reference: str, tmp_path: Path) -> None:
    """Quoted once for everybody, with every place that a soft break may have before, in and after the reference."""
    lines = [f"{'y' * length}{{{{ reference }}}}{'=' * (length % 3)}{'z' * (length % 7)}" for length in range(55, 160)]
    body = "\n".join(["{{ 'é' }}", "{{ reference }}", "{{ reference }} {{ reference }}", *lines])
    fills, writes = overriding(tmp_path, subject_txt="s", body_txt=body, body_html=f"<p>{body}</p>")
    assert outcome(fills, MARIA, reference=reference) == outcome(writes, MARIA, reference=reference)
