"""Notices and outcomes (design §7, §8)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cast import CAMPAIGN, accounts, at, nothing_mailed, person, recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.core.accounts import METHODS, conform
from migrate.core.changes import OPEN_COLUMNS, compare
from migrate.core.confirmations import Confirmations, confirm
from migrate.core.letters import LAST_TOLD_COLUMNS, TOLD_COLUMNS, WAITING_COLUMNS
from migrate.core.moment import Moment
from migrate.core.plan import Planned, plan, to_be_reminded, without_destination
from migrate.core.schedule import ScheduleSettings, due, stages
from migrate.core.standing import PolicySettings, assess, destination
from migrate.core.waves import Waves
from migrate.core.words import MAILED, OUTCOMES
from migrate.decide.addressing import judge

STAGES = stages(CAMPAIGN, ScheduleSettings())
T30 = at("2024-01-02 14:00")
CUTOFF = "2024-02-01T08:00:00Z"
ANYBODY = judge((), ())


def planned(
    people: list[dict],
    *,
    now: datetime = T30,
    before: pd.DataFrame | None = None,
    exempt: dict[str, str] | None = None,
    paused: dict[str, str] | None = None,
    confirming: tuple[str, ...] = (),
    judged=ANYBODY,
    gap: int = 1,
    anyway: bool = False,
    **mailed: pd.DataFrame,
) -> Planned:
    policy = PolicySettings(remind_without_destination=anyway)
    compared = compare(accounts(*people), recorded() if before is None else before, frozenset(), policy, "basis", Waves(CAMPAIGN), now)
    ids = compared.accounts["account_id"]
    exempt_until, paused_until = (ids.map(until or {}).astype("str") for until in (exempt, paused))
    standing = assess(compared.accounts, policy, exempt_until.notna(), now)
    moment = Moment(now, due(STAGES, now), CAMPAIGN, gap)
    reminded = to_be_reminded(compared, standing, policy, moment.after_cutoff)
    stuck = without_destination(destination(compared.accounts, policy), policy)
    given = (ids.isin(confirming), exempt_until, paused_until, stuck, nothing_mailed(**mailed))
    return plan(compared, standing, reminded, *given, judged, moment)


def outcome(account: dict | None = None, **given: Any) -> tuple[str, str]:
    found = planned([account or person("a")], **given).outcomes.iloc[0]
    return found["outcome"], found["outcome_reason"]


def told(state: str, *, reason: str | None = None, address: str = "a@example.com", tenure: int = 1, cutoff: str = CUTOFF) -> pd.DataFrame:
    row = {"account_id": "a", "tenure": tenure, "told_cutoff": cutoff, "address": address, "state": state, "reason": reason}
    row |= {"kind": "reminder", "occasion": "T-30", "settled_at": None if state in ("queued", "claimed", "sending") else T30, "ends": None}
    return conform(pd.DataFrame([row]), TOLD_COLUMNS)


def last_told(text: str) -> pd.DataFrame:
    return conform(
        pd.DataFrame([{"account_id": "a", "tenure": 1, "last_told_at": at(text), "told_cutoff": CUTOFF, "moves": 0}]), LAST_TOLD_COLUMNS
    )


def waiting(occasion: str = "T-60", tenure: int = 1, ends: datetime | None = CAMPAIGN.cutoff_at) -> pd.DataFrame:
    row = {"letter_id": 7, "account_id": "a", "tenure": tenure, "occasion": occasion, "told_cutoff": CUTOFF, "ends": ends}
    return conform(pd.DataFrame([row]), WAITING_COLUMNS)


def test_whoever_depends_on_sms_is_reminded_of_the_newest_stage() -> None:
    found = planned([person("a"), person("b", "totp")])
    assert found.outcomes.to_numpy().tolist() == [["queued", "T-30"], ["not_reminded", "migrated"]]
    letter = found.reminders.iloc[0]
    assert (letter["account_id"], letter["kind"], letter["occasion"], letter["address"]) == ("a", "reminder", "T-30", "a@example.com")
    assert (letter["told_cutoff"], letter["ends"]) == (CUTOFF, pd.Timestamp(CAMPAIGN.cutoff_at))
    assert pd.isna(letter["last_told_at"])


def test_who_is_out_of_scope_is_named_so() -> None:
    assert outcome(person("a", enabled=False)) == ("inactive", "")
    assert outcome(person("a", federated=True)) == ("exempt_sso", "")
    assert outcome(exempt={"a": "2024-03-01"}) == ("exempt", "until 2024-03-01")


def test_before_the_opening_nothing_is_due() -> None:
    assert outcome(now=at("2023-07-01 12:00")) == ("nothing_due", "")


@pytest.mark.parametrize("state", ["queued", "claimed", "sending", "sent", "uncertain"])
def test_a_stage_that_was_told_is_not_due_again(state: str) -> None:
    assert outcome(told=told(state)) == ("nothing_due", state)


def test_a_letter_of_a_newer_stage_told_by_a_clock_since_set_back_stands_in_the_way_too() -> None:
    planned_stages = stages(CAMPAIGN, ScheduleSettings())
    moment = Moment(T30, due(planned_stages, T30), CAMPAIGN, 1, newer=("T-14", "T-7"))
    assert moment.occasions == ("T-30", "T-14", "T-7")
    assert Moment(at("2023-07-01 12:00"), None, CAMPAIGN, 1).occasions == ()


def test_a_letter_a_reviewer_withdrew_is_never_due_again_and_any_other_withdrawn_one_is() -> None:
    assert outcome(told=told("withdrawn", reason="reviewer")) == ("nothing_due", "withdrawn")
    assert outcome(told=told("withdrawn", reason="migrated")) == ("queued", "T-30")


def test_a_letter_that_failed_is_due_again_at_another_address_only() -> None:
    assert outcome(told=told("failed", address="A@example.com")) == ("nothing_due", "failed")
    assert outcome(told=told("failed", address="old@example.com")) == ("queued", "T-30")


def test_what_was_told_of_another_cutoff_or_another_person_does_not_count() -> None:
    assert outcome(told=told("sent", cutoff="2024-01-01T08:00:00Z")) == ("queued", "T-30")
    assert outcome(told=told("sent", tenure=2)) == ("queued", "T-30")


@pytest.mark.parametrize(
    ("may_enrol", "reason"),
    [("", "nothing may be registered"), ("sms", "may register sms"), ("sms,voice,email_otp", "may register sms, voice, email_otp")],
)
def test_who_may_register_nothing_accepted_is_not_asked_to(may_enrol: str, reason: str) -> None:
    found = planned([person("a", may_enrol=may_enrol)])
    assert found.outcomes.to_numpy().tolist() == [["no_destination", reason]]
    assert found.reminders.empty


def test_who_may_register_something_accepted_or_of_whom_nobody_knows_is_reminded() -> None:
    assert outcome(person("a", may_enrol="sms,passkey")) == ("queued", "T-30")
    assert outcome(person("a", may_enrol=None)) == ("queued", "T-30")


def test_without_a_destination_people_are_reminded_only_if_the_policy_says_so() -> None:
    stuck = person("a", may_enrol="sms")
    assert outcome(stuck, anyway=True) == ("queued", "T-30")
    assert outcome(stuck, anyway=True, told=told("sent")) == ("nothing_due", "sent")
    assert planned([stuck], anyway=True, waiting=waiting(), paused={"a": "2024-01-05"}).withdrawn.empty


def test_no_destination_comes_after_what_asks_for_no_reminder_and_before_what_keeps_one_back() -> None:
    stuck = {"may_enrol": "sms"}
    assert outcome(person("a", enabled=False, **stuck)) == ("inactive", "")
    assert outcome(person("a", **stuck), exempt={"a": "2024-03-01"}) == ("exempt", "until 2024-03-01")
    assert outcome(person("a", "", **stuck)) == ("not_reminded", "no_second_step")
    assert outcome(person("a", **stuck), now=at("2023-07-01 12:00")) == ("nothing_due", "")
    for state in ("sending", "sent", "uncertain"):
        assert outcome(person("a", **stuck), told=told(state)) == ("nothing_due", state)
    for later in ({"last_told": last_told("2024-01-02 08:30")}, {"paused": {"a": "2024-01-05"}}, {"judged": judge((), {"a@example.com"})}):
        assert outcome(person("a", **stuck), **later) == ("no_destination", "may register sms")
    assert planned([person("a", **stuck)], confirming=("a",)).outcomes.to_numpy().tolist() == [["", ""]]


def test_a_letter_that_waits_for_somebody_without_a_destination_is_withdrawn_and_stands_in_no_way() -> None:
    for occasion in ("T-60", "T-30"):
        found = planned([person("a", may_enrol="")], waiting=waiting(occasion), told=told("queued"))
        assert found.withdrawn.to_numpy().tolist() == [[7, "no_destination"]]
        assert found.outcomes.to_numpy().tolist() == [["no_destination", "nothing may be registered"]]
    before = planned([person("a", may_enrol="")], waiting=waiting(), now=at("2023-07-01 12:00"))
    assert before.withdrawn.to_numpy().tolist() == [[7, "no_destination"]]
    assert planned([person("a", "totp", may_enrol="")], waiting=waiting()).withdrawn.to_numpy().tolist() == [[7, "migrated"]]


def test_a_letter_withdrawn_for_want_of_a_destination_is_due_again_once_there_is_one() -> None:
    assert outcome(person("a", may_enrol="totp"), told=told("withdrawn", reason="no_destination")) == ("queued", "T-30")


def test_the_gap_counts_calendar_days_of_the_campaigns_zone() -> None:
    late, early = "2024-01-02 07:30", "2024-01-02 08:30"
    assert outcome(last_told=last_told(early), gap=1) == ("too_soon", "last letter on 2024-01-02")
    assert outcome(last_told=last_told(late), gap=1) == ("queued", "T-30")
    assert outcome(last_told=last_told(late), gap=2) == ("too_soon", "last letter on 2024-01-01")


def test_a_pause_holds_a_reminder() -> None:
    assert outcome(paused={"a": "2024-01-05"}) == ("paused", "until 2024-01-05")


@pytest.mark.parametrize(
    ("email", "judged", "expected"),
    [
        (None, ANYBODY, ("no_address", "")),
        ("a b@example.com", ANYBODY, ("bad_address", "it has a space in it")),
        ("a@example.com", judge(("example.org",), ()), ("domain_not_allowed", "example.com")),
        ("A@example.com", judge((), {"a@example.com"}), ("bounced", "")),
    ],
)
def test_an_address_that_cannot_be_mailed_ends_in_its_own_outcome(email: str | None, judged, expected: tuple[str, str]) -> None:
    assert outcome(person("a", email=email), judged=judged) == expected


def test_who_gets_a_confirmation_gets_no_reminder_in_that_run() -> None:
    found = planned([person("a")], confirming=("a",))
    assert found.outcomes.to_numpy().tolist() == [["", ""]]
    assert found.reminders.empty


def test_after_the_cutoff_who_was_reminded_and_is_still_not_compliant_hears_of_it() -> None:
    now, stopped = at("2024-02-01 14:00"), person("a", "")
    assert outcome(stopped, now=now, before=recorded(stopped, reminded=True)) == ("queued", "T+0")
    assert outcome(stopped, now=now, before=recorded(stopped, reminded=False)) == ("not_reminded", "no_second_step")
    assert outcome(person("a", "totp"), now=now, before=recorded(person("a", "totp"), reminded=True)) == ("not_reminded", "migrated")
    assert outcome(person("a", "sms"), now=now) == ("queued", "T+0")


@pytest.mark.parametrize(
    ("account", "reason"),
    [(person("a", "totp"), "migrated"), (person("a", enabled=False), "inactive"), (person("a", federated=True), "exempt_sso")],
)
def test_a_waiting_letter_is_withdrawn_when_its_account_is_no_longer_reminded(account: dict, reason: str) -> None:
    found = planned([account], waiting=waiting()).withdrawn
    assert found.to_numpy().tolist() == [[7, reason]]


def test_a_waiting_letter_is_withdrawn_for_a_newer_stage_only_when_that_is_queued() -> None:
    assert planned([person("a")], waiting=waiting()).withdrawn.to_numpy().tolist() == [[7, "newer_stage"]]
    assert planned([person("a")], waiting=waiting(), paused={"a": "2024-01-05"}).withdrawn.empty


def test_a_waiting_letter_past_its_end_is_withdrawn_as_that_and_not_for_the_newer_stage() -> None:
    after = {"now": CAMPAIGN.cutoff_at, "waiting": waiting("T-1")}
    assert planned([person("a")], **after).withdrawn.to_numpy().tolist() == [[7, "past_cutoff"]]
    assert planned([person("a")], **after, paused={"a": "2024-02-05"}).withdrawn.to_numpy().tolist() == [[7, "past_cutoff"]]
    assert planned([person("a", "totp")], **after).withdrawn.to_numpy().tolist() == [[7, "migrated"]]
    later = {"now": CAMPAIGN.cutoff_at + timedelta(days=14), "waiting": waiting("T+0", ends=None)}
    assert planned([person("a")], **later).withdrawn.to_numpy().tolist() == [[7, "newer_stage"]]


def test_a_waiting_letter_of_somebody_gone_or_replaced_is_withdrawn() -> None:
    before = recorded(person("a"))
    assert planned([], before=before, waiting=waiting()).withdrawn.to_numpy().tolist() == [[7, "gone"]]
    other = person("a", username="z", email="z@example.com")
    found = planned([other], before=recorded(person("a"), gone_at=T30), waiting=waiting(), paused={"a": "2024-01-05"})
    assert found.withdrawn.to_numpy().tolist() == [[7, "another_person"]]


def confirmed(
    account: dict,
    changes: list[tuple[int, str]],
    previous: tuple[str, ...] = (),
    judged=ANYBODY,
    known: tuple[str, ...] = (),
    most: int = 10,
) -> Confirmations:
    people = accounts(account)
    open_ = pd.DataFrame(
        [{"account_id": "a", "seq": seq, "tenure": 1, "change": word, "seen_at": T30, "had": 1, "has": 8} for seq, word in changes]
    )
    earlier = addresses_of_a("address", previous)
    earlier["role"] = ["primary" if address.startswith("own") else "notification" for address in previous]
    recorded = addresses_of_a("folded", known)
    return confirm(people, pd.Series(1, index=people.index), conform(open_, OPEN_COLUMNS), earlier, recorded, judged, most)


def addresses_of_a(column: str, found: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame({"account_id": pd.Series(["a"] * len(found), dtype="str"), column: pd.Series(found, dtype="str")})


def test_a_confirmation_goes_once_to_every_address() -> None:
    account = person("a", notification_emails="N@example.com\nA@example.com")
    found = confirmed(account, [(1, "authenticator_enabled")], ("old@example.com", "n@example.com"))
    assert found.letters[["address", "role", "occasion", "priority"]].to_numpy().tolist() == [
        ["a@example.com", "primary", "change-1", 0],
        ["N@example.com", "notification", "change-1", 0],
        ["old@example.com", "previous", "change-1", 0],
    ]
    assert found.outcomes.to_numpy().tolist() == [["a", "queued", "change_confirmation"]]


def test_of_many_addresses_those_that_were_there_before_are_told_first() -> None:
    strangers = "\n".join(f"a{n}@strangers.example" for n in range(50))
    account = person("a", email="taken@example.com", notification_emails=f"{strangers}\nmine@example.com")
    found = confirmed(account, [(1, "authenticator_enabled")], ("own@example.com", "z@example.com"), known=("mine@example.com",), most=4)
    assert sorted(found.letters["address"]) == ["mine@example.com", "own@example.com", "taken@example.com", "z@example.com"]


def test_whoever_puts_other_addresses_in_the_place_of_those_there_were_pushes_none_out() -> None:
    account = person("a", notification_emails="\n".join(f"a{n}@strangers.example" for n in range(50)))
    had = ("mine@example.com", "older@example.com")
    found = confirmed(account, [(1, "authenticator_enabled")], had, known=("mine@example.com",), most=4)
    assert sorted(found.letters["address"]) == ["a0@strangers.example", "a@example.com", "mine@example.com", "older@example.com"]


def test_addresses_that_cannot_be_mailed_take_nobodys_place() -> None:
    broken = "\n".join(f"a{n} example" for n in range(50))
    found = confirmed(person("a", notification_emails=f"{broken}\nmine@example.com"), [(1, "sms_removed")], most=2)
    assert found.letters["address"].tolist() == ["a@example.com", "mine@example.com"]


def test_an_old_address_that_cannot_be_mailed_spoils_no_other() -> None:
    found = confirmed(person("a"), [(1, "sms_removed")], ("a at example",))
    assert found.letters["address"].tolist() == ["a@example.com"]
    assert found.outcomes["outcome"].tolist() == ["queued"]


def test_two_open_changes_are_two_notices() -> None:
    found = confirmed(person("a"), [(1, "sms_removed"), (2, "authenticator_changed")])
    assert found.letters["occasion"].tolist() == ["change-1", "change-2"]


def test_a_confirmation_finds_its_way_around_a_bad_primary_address() -> None:
    found = confirmed(person("a", email=None, notification_emails="n@example.com"), [(1, "sms_removed")])
    assert found.letters["address"].tolist() == ["n@example.com"]
    assert found.outcomes["outcome"].tolist() == ["queued"]


def test_a_confirmation_that_reaches_nobody_has_the_outcome_of_the_primary_address() -> None:
    found = confirmed(person("a", email="x y@example.com"), [(1, "sms_removed")])
    assert found.letters.empty
    assert found.outcomes.to_numpy().tolist() == [["a", "bad_address", "it has a space in it"]]


_people = st.lists(
    st.builds(
        lambda n, methods, enabled, federated, email, may_enrol: person(
            f"u{n}", ",".join(methods), enabled=enabled, federated=federated, email=email, may_enrol=may_enrol
        ),
        st.integers(0, 40),
        st.sets(st.sampled_from(METHODS)),
        st.booleans(),
        st.booleans(),
        st.sampled_from([None, "ok@example.com", "a b@c", "x@example.org"]),
        st.sampled_from([None, "", "sms,voice", "sms,passkey"]),
    ),
    max_size=12,
    unique_by=lambda p: p["account_id"],
)


@settings(deadline=None, max_examples=30)
@given(_people, st.integers(-5, 240), st.randoms())
def test_everybody_has_one_outcome_whatever_the_order_and_only_the_queued_have_a_letter(people: list[dict], day: int, shuffle) -> None:
    now = at("2023-08-01 14:00") + timedelta(days=day)
    people = sorted(people, key=lambda p: p["account_id"])
    found = planned(people, now=now)
    assert set(found.outcomes["outcome"]) <= set(OUTCOMES)
    assert len(found.outcomes) == len(people)
    queued = [p["account_id"] for p, o in zip(people, found.outcomes["outcome"], strict=True) if o == "queued"]
    assert found.reminders["account_id"].tolist() == queued
    stuck = [p["account_id"] for p, o in zip(people, found.outcomes["outcome"], strict=True) if o == "no_destination"]
    assert not set(stuck) & set(queued)
    assert {p["may_enrol"] for p in people if p["account_id"] in stuck} <= {"", "sms,voice"}
    assert {p["may_enrol"] for p in people if p["account_id"] in queued} <= {None, "sms,passkey"}
    mixed = list(people)
    shuffle.shuffle(mixed)
    again = planned(mixed, now=now)
    by_id = {p["account_id"]: o for p, o in zip(mixed, again.outcomes["outcome"], strict=True)}
    assert [by_id[p["account_id"]] for p in people] == found.outcomes["outcome"].tolist()


def test_the_words_of_the_outcomes_and_the_changes_are_the_designs() -> None:
    assert len(OUTCOMES) == len(set(OUTCOMES)) == 17
    assert len(MAILED) == 6
    assert np.isin(["queued", "held", "not_in_plan"], OUTCOMES).all()
