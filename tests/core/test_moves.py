"""Moved cutoffs: whoever was told another one is told once that it is another one now (design §7)."""

from __future__ import annotations

from typing import Any

import pandas as pd
from cast import CAMPAIGN, accounts, at, nothing_mailed, person, recorded
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.core.accounts import conform
from migrate.core.changes import compare
from migrate.core.letters import LAST_TOLD_COLUMNS, TOLD_COLUMNS, WAITING_COLUMNS, Mailed
from migrate.core.moment import Moment
from migrate.core.plan import Planned, plan, to_be_reminded
from migrate.core.schedule import ScheduleSettings
from migrate.core.standing import PolicySettings, assess
from migrate.core.waves import Waves
from migrate.decide.addressing import judge

CUTOFFS = tuple(CAMPAIGN.model_copy(update={"cutoff": CAMPAIGN.cutoff.replace(month=month)}) for month in (2, 3, 4))


def planned(campaign: Any, now: Any, mailed: Mailed, methods: str = "sms") -> Planned:
    waves, policy = Waves(campaign), PolicySettings()
    compared = compare(accounts(person("a", methods)), recorded(person("a")), frozenset(), policy, "basis", waves, now)
    none = pd.Series([None], dtype="str")
    standing = assess(compared.accounts, policy, none.notna(), now)
    moment = Moment.of(waves, ScheduleSettings(), now)
    reminded = to_be_reminded(compared, standing, policy, moment.after_cutoff)
    no = pd.Series([False])
    return plan(compared, standing, reminded, no, none, none, no, mailed, judge((), ()), moment)


class Books:
    """The letters of one account: what the ledger would hand to a plan."""

    def __init__(self) -> None:
        self.letters: list[dict[str, Any]] = []

    def mailed(self) -> Mailed:
        told = [each for each in self.letters if each["state"] == "sent"]
        last = [
            {
                "account_id": "a",
                "tenure": 1,
                "last_told_at": told[-1]["settled_at"],
                "told_cutoff": told[-1]["told_cutoff"],
                "moves": sum(each["kind"] == "cutoff_moved" for each in told),
            }
        ] if told else []  # fmt: skip
        waiting = [each | {"letter_id": number} for number, each in enumerate(self.letters) if each["state"] == "queued"]
        frames = {"told": (self.letters, TOLD_COLUMNS), "last_told": (last, LAST_TOLD_COLUMNS), "waiting": (waiting, WAITING_COLUMNS)}
        return nothing_mailed(**{name: conform(pd.DataFrame(rows), columns) for name, (rows, columns) in frames.items() if rows})

    def take(self, found: Planned, now: Any, *, sent: bool) -> dict[str, Any] | None:
        """What the plan says is written down; what was queued, and by then is sent, or waits. The letter that was planned."""
        for letter_id, reason in found.withdrawn.itertuples(index=False):
            self.letters[letter_id] |= {"state": "withdrawn", "reason": reason, "settled_at": now}
        new = found.reminders.to_dict("records")
        for row in new:
            key = (row["occasion"], row["told_cutoff"])
            self.letters = [each for each in self.letters if (each["occasion"], each["told_cutoff"]) != key]
            self.letters.append(row | {"state": "queued", "reason": None, "settled_at": None})
        for each in self.letters:
            if sent and each["state"] == "queued":
                each |= {"state": "sent", "settled_at": now}
        return new[0] if new else None


@settings(deadline=None, max_examples=10)
@given(st.lists(st.tuples(st.sampled_from(CUTOFFS), st.booleans()), min_size=1, max_size=5))
def test_a_correction_goes_to_whoever_was_last_told_another_cutoff_and_to_nobody_else_and_never_twice(
    days: list[tuple[Any, bool]],
) -> None:
    books = Books()
    keys: set[tuple[str, str]] = set()
    for number, (campaign, sent) in enumerate(days):
        now = at(f"2023-12-{4 + number:02} 14:00")
        told = next((each["told_cutoff"] for each in reversed(books.letters) if each["state"] == "sent"), None)
        waits = {(each["occasion"], each["told_cutoff"]) for each in books.letters if each["state"] == "queued"}
        letter = books.take(planned(campaign, now, books.mailed()), now, sent=sent)
        moved = letter is not None and letter["kind"] == "cutoff_moved"
        waited = any(occasion.startswith("moved") and cutoff == campaign.told_cutoff for occasion, cutoff in waits)
        assert moved == (told not in (None, campaign.told_cutoff) and not waited)
        if letter and moved:
            assert letter["earlier_cutoff"] == told
            if sent:
                key = (letter["occasion"], letter["told_cutoff"])
                assert key not in keys, "told twice"
                keys.add(key)
        if sent and told is not None:
            last = [each for each in books.letters if each["state"] == "sent"][-1]
            assert last["told_cutoff"] == campaign.told_cutoff, "whoever was told anything knows the cutoff of now"
        assert sum(each["state"] == "queued" for each in books.letters) <= 1
        assert planned(campaign, now, books.mailed()).reminders.empty, "a second run the same day does nothing"


def test_whoever_has_moved_on_is_not_told_that_the_cutoff_has() -> None:
    books = Books()
    books.take(planned(CUTOFFS[0], at("2023-12-04 14:00"), books.mailed()), at("2023-12-04 14:00"), sent=True)
    assert planned(CUTOFFS[1], at("2023-12-05 14:00"), books.mailed()).reminders["occasion"].tolist() == ["moved-1"]
    assert planned(CUTOFFS[1], at("2023-12-05 14:00"), books.mailed(), "totp").reminders.empty


def test_a_correction_struck_out_by_a_reviewer_or_failed_is_not_planned_again_and_later_stages_are() -> None:
    for state, reason in (("withdrawn", "reviewer"), ("failed", "5.1.1")):
        books = Books()
        books.take(planned(CUTOFFS[0], at("2023-12-04 14:00"), books.mailed()), at("2023-12-04 14:00"), sent=True)
        books.take(planned(CUTOFFS[1], at("2023-12-05 14:00"), books.mailed()), at("2023-12-05 14:00"), sent=False)
        books.letters[-1] |= {"state": state, "reason": reason, "settled_at": at("2023-12-05 15:00"), "address": "a@example.com"}
        assert planned(CUTOFFS[1], at("2023-12-06 14:00"), books.mailed()).outcomes.to_numpy().tolist() == [["nothing_due", state]]
        assert planned(CUTOFFS[1], at("2024-01-01 14:00"), books.mailed()).reminders["occasion"].tolist() == ["T-60"]
