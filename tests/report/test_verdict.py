from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.core.standing import OUT_OF_SCOPE, STANDINGS
from migrate.report.forecast import Forecast, Pace, Point
from migrate.report.moves import WHYS as WORDS
from migrate.report.verdict import Situation, flow, verdict
from migrate.report.words import WHYS

CUTOFF, TODAY = date(2027, 2, 1), date(2027, 1, 2)
COMPLIANT = ("migrated", "sms_fallback")


def expected(
    left: int, low: int, high: int, done: date | None = None, earliest: date | None = None, latest: date | None = None
) -> Forecast:
    return Forecast(left, low, high, done, earliest, latest, (), letters_seen=True)


def situation(**other: Any) -> Situation:
    line = [Point(TODAY - timedelta(days=n), 415 + 2 * n) for n in reversed(range(20))]
    plain = Situation(
        today=TODAY,
        opens=date(2026, 8, 1),
        cutoff=CUTOFF,
        past=False,
        in_scope=1063,
        open=415,
        line=line,
        expected=expected(370, 330, 405),
        pace=Pace(2.1, 13.8),
    )
    return replace(plain, **other)


def test_no_is_said_when_it_is_no() -> None:
    found = verdict(situation())
    assert (found.answer, found.said) == ("no", "No: about 370 people (330 to 405) will not have moved on 1 Feb 2027.")
    assert found.because == "It takes 13.8 people a day from now on; the last two weeks brought 2.1."


def test_whoever_has_a_later_cutoff_is_named_beside_the_number() -> None:
    said = " 58 of those who must still move have a later cutoff: see the waves."
    for at in (situation(later=58), situation(later=58, expected=None), situation(later=58, past=True, today=CUTOFF, hit=3)):
        assert said in f" {verdict(at).because}"
        assert "later cutoff" not in verdict(replace(at, later=0)).because


def test_yes_names_the_day_and_what_it_lies_between() -> None:
    soon = expected(0, 0, 0, date(2027, 1, 19), date(2027, 1, 12), date(2027, 1, 30))
    assert verdict(situation(expected=soon)).said == (
        "Yes, at this pace: the last of 415 people moves around 19 Jan 2027, 13 days before the cutoff "
        "(between 12 Jan 2027 and 30 Jan 2027)."
    )
    assert verdict(situation(open=0)).said == "Yes: all 1,063 people have moved, 30 days before the cutoff on 1 Feb 2027."


def test_a_handful_that_may_be_nobody_is_perhaps() -> None:
    found = verdict(situation(expected=expected(3, 0, 9)))
    assert (found.answer, found.said) == ("open", "Perhaps: at this pace 3 people (0 to 9) will not have moved on 1 Feb 2027.")


def test_too_little_is_said_to_be_too_little() -> None:
    few = [Point(TODAY - timedelta(days=2), 420), Point(TODAY, 415)]
    found = verdict(situation(line=few, expected=None))
    assert found.said == "Too early to say: 3 days seen, a forecast needs 10 and 5 run days. 415 people must still move by 1 Feb 2027."
    seldom = [Point(TODAY - timedelta(days=20), 420), Point(TODAY, 415)]
    said = verdict(situation(line=seldom, expected=None)).said
    assert said == "Too early to say: 2 run days seen, a forecast needs 5. 415 people must still move by 1 Feb 2027."
    assert verdict(situation(line=[], expected=None, pace=None)).said.startswith("Too early to say: there was no run.")


def test_on_the_day_of_the_cutoff_nothing_is_forecast_and_it_is_not_too_early() -> None:
    """A forecast ends at the cutoff, and until its hour nothing has been taken from anybody."""
    at = situation(today=CUTOFF, expected=None, pace=None, later=3)
    assert (verdict(at).answer, verdict(at).said) == ("open", "The cutoff is today: 415 people must still move.")
    assert verdict(at).because == "3 of those who must still move have a later cutoff: see the waves."
    assert verdict(replace(at, weak=True)).said == "The cutoff is today: at least 415 people must still move."
    assert verdict(replace(at, open=0)).said == "Yes: all 1,063 people have moved, on the day of the cutoff."


def test_before_the_opening_there_is_a_day_and_a_number() -> None:
    found = verdict(situation(opens=date(2027, 1, 10)))
    assert found.said == "The campaign opens on 10 Jan 2027: 415 people must move by 1 Feb 2027."


def test_a_weak_read_is_a_lower_bound() -> None:
    assert verdict(situation(weak=True)).said == "No: at least 370 people (330 to 405) will not have moved on 1 Feb 2027."
    assert "At least 415 people" in verdict(situation(weak=True, expected=None)).said


@pytest.mark.parametrize(
    ("hit", "not_back", "still", "said"),
    [
        (
            408,
            137,
            140,
            "took text messages from 408 people who had nothing else; 137 of them have not come back to a second step.",
        ),
        (2, 2, 2, "the cutoff took text messages from 2 people who had nothing else; none of them has come back to a second step."),
        (2, 0, 3, "the cutoff took text messages from 2 people who had nothing else; all of them have come back to a second step."),
        (0, 0, 3, "the cutoff took nothing from anybody; 3 people must still move."),
        (0, 0, 0, "when the cutoff came"),
    ],
)
def test_from_the_cutoff_on_it_says_whom_it_hit(hit: int, not_back: int, still: int, said: str) -> None:
    after = situation(today=CUTOFF + timedelta(days=2), past=True, expected=None, pace=None, hit=hit, not_back=not_back, open=still)
    assert said in verdict(after).said
    assert "1 Feb 2027" in verdict(after).said and "will" not in verdict(after).said


def test_what_to_do_first_is_what_no_letter_mends() -> None:
    assert verdict(situation(stuck=12, unreached=4)).do.startswith("First: 12 people can register nothing that stays.")
    assert verdict(situation(unreached=1, most="Sales")).do == (
        "First: mail does not reach 1 person who must still move. See Mail for who, and why."
    )
    assert verdict(situation(most="Sales (200 of 415)")).do == "Most of those who must still move are in Sales (200 of 415)."
    assert verdict(situation()).do == ""


def test_the_flow_says_each_cause_in_words_and_with_its_sign() -> None:
    moves = {
        ("sms_only", "migrated", "switched"): 31,
        ("", "sms_only", "joined"): 12,
        ("", "migrated", "joined"): 5,
        ("migrated", "sms_only", "went back"): 1,
        ("sms_only", "sms_default", "switched"): 2,
        ("unknown", "migrated", "reclassified"): 3,
    }
    found = flow(moves, 415, COMPLIANT)
    assert found.rows == (
        (-3, "3 people are judged by other rules or words now", "reclassified"),
        (-31, "31 people moved to a method that stays", "switched"),
        (1, "1 person went back to text messages, or lost the second step", "went back"),
        (12, "12 people are new in the directory", "joined"),
    )
    assert (found.then, found.sum, found.aside) == (436, "436 − 3 − 31 + 1 + 12 = 415", 7)


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["", *STANDINGS]), st.sampled_from(["", *STANDINGS]), st.sampled_from(sorted(WORDS))),
        st.integers(1, 10**6),
        max_size=30,
    ),
    st.integers(0, 10**9),
)
def test_every_flow_adds_up_and_loses_nobody(moves: dict[tuple[str, str, str], int], now: int) -> None:
    found = flow(moves, now, COMPLIANT)
    assert found.then + sum(by for by, _, _ in found.rows) == found.now == now
    assert sum(abs(by) for by, _, _ in found.rows) + found.aside == sum(moves.values())
    settled = {*COMPLIANT, *OUT_OF_SCOPE, ""}
    assert found.now - found.then == sum(count * ((to not in settled) - (was not in settled)) for (was, to, _), count in moves.items())


def test_every_reason_of_moves_is_said_in_words() -> None:
    assert set(WHYS) == set(WORDS)
