"""Waves: who is matched, by which of them, and for how long (design §7)."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cast import CAMPAIGN, accounts, at, person
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.core.moment import Moment
from migrate.core.moves import own_days
from migrate.core.schedule import ScheduleSettings
from migrate.core.waves import Waves, WavesSettings

NOW = at("2023-12-10 14:00")


def waves(*each: dict[str, Any], ids: frozenset[str] = frozenset()) -> Waves:
    named = [{"name": f"w{number}"} | wave for number, wave in enumerate(each)]
    return Waves.of(CAMPAIGN, WavesSettings.model_validate(named), {Path("ids.csv"): ids})


def nobody(count: int) -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series([None] * count, dtype="str") for name in ("fixed_wave", "wave_basis")})


def assigned(of: Waves, people: list[dict[str, Any]], before: pd.DataFrame | None = None) -> pd.DataFrame:
    frame = accounts(*people)
    prior = nobody(len(frame)) if before is None else before
    return of.assign(frame, prior, pd.Series(before is not None, index=frame.index), NOW)


@pytest.mark.parametrize(
    ("match", "in_it", "not_in_it"),
    [
        ({"department": ["finance"]}, {"department": " Finance "}, {"department": "Financial control"}),
        ({"department": ["Sales", "Finance"]}, {"department": "Finance"}, {"department": None}),
        ({"locale": ["fr"]}, {"locale": "fr-CA"}, {"locale": "fry"}),
        ({"locale": ["pt-BR"]}, {"locale": "pt_br"}, {"locale": "pt"}),
        ({"account_type": ["guest", "service"]}, {"account_type": "guest"}, {"account_type": "person"}),
        ({"privileged": True}, {"privileged": True}, {"privileged": False}),
        ({"privileged": False}, {"privileged": False}, {"privileged": True}),
        ({"groups": ["role:Global Administrator"]}, {"groups": "staff\nRole:global administrator"}, {"groups": "role:Global"}),
        ({"ids": "ids.csv"}, {"account_id": "a"}, {"account_id": "A"}),
        ({"last_sign_in_days": 30}, {"last_sign_in_at": at("2023-11-10 13:00")}, {"last_sign_in_at": at("2023-11-10 15:00")}),
        ({"last_sign_in_days": 30}, {"last_sign_in_at": at("2022-01-01 00:00")}, {"last_sign_in_at": None}),
        (
            {"last_sms_use_days": 30},
            {"last_used_method": "sms", "last_used_at": at("2023-01-01 00:00")},
            {"last_used_method": "totp", "last_used_at": at("2023-01-01 00:00")},
        ),
        (
            {"last_sms_use_days": 30},
            {"last_used_method": "phone", "last_used_at": at("2023-11-10 13:00")},
            {"last_used_method": "sms", "last_used_at": at("2023-12-01 00:00")},
        ),
        ({"groups": ["x"], "account_type": ["guest"]}, {"account_type": "guest"}, {"groups": "y"}),
    ],
)
def test_a_wave_takes_whom_any_of_its_keys_says_and_a_key_is_true_of_any_of_its_values(
    match: dict[str, Any], in_it: dict[str, Any], not_in_it: dict[str, Any]
) -> None:
    of = waves({"match": match}, ids=frozenset({"a"}))
    people = [person("a") | in_it, person("b") | not_in_it]
    assert assigned(of, people)["wave"].tolist() == ["w0", ""]


_person = st.fixed_dictionaries({
    "groups": st.sampled_from(["", "a", "b", "a\nb"]),
    "department": st.sampled_from([None, "a", "b"]),
    "privileged": st.booleans(),
})  # fmt: skip
_wave = st.fixed_dictionaries({
    "match": st.sampled_from([{"groups": ["a"]}, {"groups": ["b"]}, {"department": ["a", "b"]}, {"privileged": True}]),
    "follows": st.booleans(),
})  # fmt: skip


def says(wave: dict[str, Any], who: dict[str, Any]) -> bool:
    """The rule of a match in other words."""
    (key, value), *_ = wave["match"].items()
    return who[key] == value if key == "privileged" else bool(set((who[key] or "").split("\n")) & set(value))


@settings(deadline=None)
@given(st.lists(_wave, max_size=4), st.lists(_person, min_size=1, max_size=6), st.lists(_person, min_size=6, max_size=6))
def test_the_first_wave_that_matches_wins_and_stays_unless_one_that_follows_comes_or_goes(
    wanted: list[dict[str, Any]], first: list[dict[str, Any]], then: list[dict[str, Any]]
) -> None:
    of = waves(*wanted)
    names = [f"w{number}" for number in range(len(wanted))]
    there = [person(f"p{n}") | who for n, who in enumerate(first)]
    before = assigned(of, there)
    expected = [next((name for name, wave in zip(names, wanted, strict=True) if says(wave, who)), "") for who in first]
    assert before["wave"].tolist() == expected
    later = assigned(of, [person(f"p{n}") | who for n, who in enumerate(then[: len(first)])], before)
    for was, who, wave in zip(first, then, later["wave"], strict=False):
        matching = (name for name, each in zip(names, wanted, strict=True) if says(each, who if each["follows"] else was))
        assert wave == next(matching, "")
    again = assigned(of, there, later)
    assert again["wave"].tolist() == expected, "as they were once more, they are where they were"
    assert again["fixed_wave"].equals(before["fixed_wave"]) and again["wave_basis"].equals(before["wave_basis"])


def test_only_who_is_matched_in_another_way_is_assigned_anew_and_a_day_moves_nobody() -> None:
    match = {"groups": ["a"]}
    before = assigned(waves({"match": match}), [person("p", groups="a"), person("q")])
    moved = waves({"match": match, "cutoff": date(2024, 7, 1), "opens": date(2023, 9, 1)})
    changed = [person("p"), person("q", groups="a")]
    assert assigned(moved, changed, before)["wave"].tolist() == ["w0", ""]
    assert assigned(waves({"match": {"groups": ["a", "b"]}}), changed, before)["wave"].tolist() == ["", "w0"]
    listed = waves({"match": {"ids": "ids.csv"}}, ids=frozenset({"p"}))
    assert listed.basis != waves({"match": {"ids": "ids.csv"}}, ids=frozenset({"q"})).basis


def test_whoever_is_put_on_a_list_of_ids_or_struck_off_it_is_assigned_anew_and_nobody_else_is() -> None:
    wanted = ({"match": {"ids": "ids.csv"}}, {"match": {"groups": ["a"]}})
    first = [person("p", groups="a"), person("q", groups="a"), person("r")]
    then = [person("p", groups="a"), person("q"), person("r", groups="a")]
    before = assigned(waves(*wanted, ids=frozenset({"x"})), first)
    assert before["wave"].tolist() == ["w1", "w1", ""]
    listed = assigned(waves(*wanted, ids=frozenset({"x", "p"})), then, before)
    assert listed["wave"].tolist() == ["w0", "w1", ""], "q and r stay where they are, whatever became of them"
    again = assigned(waves(*wanted, ids=frozenset({"x", "r"})), then, listed)
    assert again["wave"].tolist() == ["w1", "w1", "w0"]
    assert assigned(waves(*wanted, ids=frozenset({"x"})), [])["wave"].tolist() == []


def test_without_waves_nothing_is_recorded_of_them() -> None:
    found = assigned(Waves(CAMPAIGN), [person("p")])
    assert found["wave"].tolist() == [""] and found[["fixed_wave", "wave_basis"]].isna().all(axis=None)


def test_an_instant_is_for_each_account_what_its_own_days_make_of_it() -> None:
    of = waves({"match": {"privileged": True}, "cutoff": datetime(2023, 12, 10)}, {"match": {"groups": ["a"]}, "opens": date(2024, 1, 1)})
    moment = Moment.of(of, ScheduleSettings(), NOW)
    own = own_days(pd.Series(["", "w0", "w1", "w0"], dtype="str"), moment.by_wave)
    assert own["stage"].tolist() == ["T-60", "T+0", "", "T+0"]
    assert own["kind"].tolist() == ["reminder", "cutoff_passed", "", "cutoff_passed"]
    assert own["after_cutoff"].tolist() == [False, True, False, True]
    assert own["told_cutoff"].tolist() == ["2024-02-01T08:00:00Z", "2023-12-10T08:00:00Z", "2024-02-01T08:00:00Z", "2023-12-10T08:00:00Z"]
    assert set(moment.occasions) == {"T-60", "T-30", "T-14", "T-7", "T-3", "T-1", "T+0", "T+14"}
