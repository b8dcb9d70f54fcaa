from __future__ import annotations

from collections import Counter

from report.conftest import CAST, LETTERS, FrameChronicle, frame, instant, record, recorded

from migrate.report import words
from migrate.report.accounts import accounts_table
from migrate.report.tables import LETTER_COLUMNS
from migrate.report.tally import Counted, Part, Tally
from migrate.report.told import NOBODY, updated


def counted(chronicle: FrameChronicle, *, names: tuple[str, ...] = (), chunk: int = 1000) -> Counted:
    tally = Tally(chronicle, names)
    for start in range(0, len(chronicle.records), chunk):
        some = chronicle.records[start : start + chunk]
        ids = {each["account_id"] for each in some}
        letters = frame([each for each in chronicle.mail if each["account_id"] in ids], LETTER_COLUMNS)
        records = recorded(list(some))
        tally.add(records, accounts_table(records, updated(NOBODY, letters), chronicle.terms, chronicle.run.as_of))
    return tally.end(Counter((each["kind"], each["occasion"], each["state"]) for each in chronicle.mail))


def test_every_breakdown_counts_the_same_people() -> None:
    found = counted(FrameChronicle())
    for where, parts in found.where.items():
        assert (sum(part.in_scope for part in parts.values()), sum(part.open for part in parts.values())) == (8, 6), where
    assert sum(harm.people for harm in found.harms.values()) == 6
    assert found.cut.total() == 8


def test_it_does_not_matter_how_many_come_at_once() -> None:
    whole, parts = counted(FrameChronicle(), names=("gil",)), counted(FrameChronicle(), names=("gil",), chunk=1)
    assert whole == parts
    assert whole.names == {"gil": "Gil"}


def test_languages_are_those_of_locales_and_words_that_are_none_stand_together() -> None:
    locales = ("de-AT", "de_CH", "DE", "en", None, "", "<b>", "zz-top\n", "pt-BR")
    people = tuple(record(f"p{n}", locale=locale) for n, locale in enumerate(locales))
    found = counted(FrameChronicle(records=people, mail=())).where["language"]
    named = {words.language(code): part.in_scope for code, part in found.items()}
    assert named == {"German": 3, "English": 1, "not said": 2, "a word that is no language": 2, "Portuguese": 1}


def test_who_moved_in_the_last_seven_days_is_counted_where_they_are() -> None:
    people = (
        record("ann", "migrated", migrated_at=instant("2023-12-27T14:00:00Z")),
        record("bob", "migrated", migrated_at=instant("2023-12-26T13:00:00Z")),
        record("cat"),
    )
    assert counted(FrameChronicle(records=people, mail=())).where["department"] == {"Sales": Part(3, 1, 1)}


def test_why_mail_does_not_reach_somebody_is_said_the_strongest_reason_first() -> None:
    people = (
        record("a1", email=None, outcome="no_address"),
        record("a2", email="not an address"),
        record("a3", email="Leo@example.com"),
        record("a4"),
        record("a5", outcome="domain_not_allowed"),
        record("a6", "migrated", email=None),
        record("a7"),
    )
    letters = ({**LETTERS[0], "account_id": "a4", "state": "failed"}, {**LETTERS[0], "account_id": "a7"})
    found = counted(FrameChronicle(records=people, mail=letters))
    assert [(each.account_id, each.why) for each in found.unreached_people] == [
        ("a1", "no_address"), ("a2", "bad_address"), ("a3", "bounced"), ("a4", "failed"), ("a5", "domain_not_allowed"),
    ]  # fmt: skip
    assert found.unreached.total() == 5
    assert found.letters == {("reminder", "T-60", "failed"): 1, ("reminder", "T-60", "sent"): 1}


def test_whoever_can_register_nothing_is_counted_once_and_first() -> None:
    found = counted(FrameChronicle(records=(*CAST[:1], record("zed", privileged=True))))
    assert {word: (harm.people, harm.administrators, harm.untold) for word, harm in found.harms.items()} == {
        "no_destination": (1, 0, 0),
        "loses_second_step": (1, 1, 1),
    }
