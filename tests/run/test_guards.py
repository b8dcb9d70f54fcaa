"""Where exactly a guard begins to stop a run, and with which numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from campaigns import Campaign

from migrate.config import Config
from migrate.config.safety import SafetySettings
from migrate.decide.decided import Tally
from migrate.run import guards


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return Campaign(tmp_path_factory.mktemp("guards")).config


def said(config: Config, made: Tally, **safety: Any) -> str:
    """What the guard says of a draft; nothing if it lets it pass."""
    return "; ".join(str(error) for error in guards.partial_directory(made, replace(config, safety=SafetySettings(**safety))))


@pytest.mark.parametrize(
    ("missing", "known", "safety", "passes"),
    [
        (20, 20, {}, True),
        (21, 21, {}, False),
        (100, 1000, {}, True),
        (101, 1000, {}, False),
        (290, 1000, {"max_shrink": 0.29}, True),
        (29, 100, {"max_shrink": 0.29}, True),
        (30, 100, {"max_shrink": 0.29}, False),
        (1, 1000, {"max_shrink": 0, "guard_floor": 0}, False),
        (1000, 1000, {"max_shrink": 1}, True),
        (0, 0, {"max_shrink": 0, "guard_floor": 0}, True),
    ],
)
def test_as_many_may_be_missing_as_the_share_says_and_not_one_more(
    config: Config, missing: int, known: int, safety: dict[str, Any], passes: bool
) -> None:
    assert (said(config, Tally(missing=missing, known=known), **safety) == "") is passes


@pytest.mark.parametrize(
    ("changed", "accepted", "safety", "passes"),
    [
        (20, 20, {}, True),
        (21, 21, {}, False),
        (200, 1000, {}, True),
        (201, 1000, {}, False),
        (58, 100, {"max_changes": 0.58}, True),
        (500, 100_000, {}, True),
        (501, 100_000, {}, False),
    ],
)
def test_as_many_may_have_changed_as_the_share_and_the_number_say(
    config: Config, changed: int, accepted: int, safety: dict[str, Any], passes: bool
) -> None:
    assert (said(config, Tally(mailed_changes=changed, accepted=accepted), **safety) == "") is passes


def test_a_refusal_says_how_many_there_are_and_how_many_there_may_be(config: Config) -> None:
    assert "21 of 205 known accounts (10%) are missing from the directory, and at most 20 (10%) may be." in said(
        config, Tally(missing=21, known=205)
    )
    share = said(config, Tally(mailed_changes=1201, accepted=6000), max_messages=1500)
    assert "1,201 of 6,000 accounts (20%) changed their methods since the last read, and at most 1,200 (20%) may." in share
    assert share.startswith("[safety] max_changes: ")
    number = said(config, Tally(mailed_changes=501, accepted=100_000))
    assert "501 of 100,000 accounts (1%) changed their methods since the last read, and at most 500 may." in number
    assert number.startswith("[safety] max_messages: ")


def test_one_reminder_more_than_may_go_unreviewed_is_one_too_many(config: Config) -> None:
    safety = replace(config, safety=SafetySettings(max_messages=7))
    assert guards.blast_radius(Tally(reminders=7), safety, Path("plan")) is None
    held = guards.blast_radius(Tally(reminders=8), safety, Path("plan"))
    assert held is not None
    assert held.exit_code == 4
    assert "8 reminders are due and at most 7 may go out unreviewed" in str(held)
