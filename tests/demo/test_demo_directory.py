"""The demo's directory, read the way the job reads it: through the demo's own configuration."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from migrate.config import Config, load
from migrate.core.accounts import ACCOUNT_TYPES
from migrate.core.standing import STANDINGS, assess
from migrate.demo.calendar import cron
from migrate.demo.config import CAMPAIGN, DAYS, SCHEDULE
from migrate.demo.journey import build
from migrate.demo.world import World
from migrate.directory import Tally, open_directory, read
from migrate.mail.addresses import problems


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(build(tmp_path / "demo"))


def accounts(config: Config, tally: Tally | None = None) -> pd.DataFrame:
    rows = pd.concat(read(open_directory(config.directory), language=config.campaign.language, tally=tally or Tally()))
    return rows[rows["rejection"].isna()].set_index("account_id", drop=False)


def standing(config: Config) -> pd.Series:
    found = accounts(config)
    return assess(found, config.policy, pd.Series(False, index=found.index), datetime(2024, 1, 1, tzinfo=UTC))


def test_the_configuration_loads_and_is_the_campaign_the_world_lives_by(config: Config):
    assert (config.campaign, config.schedule) == (CAMPAIGN, SCHEDULE)
    assert config.safety.max_messages >= 1000


def test_the_words_nobody_knows_the_rejected_row_and_the_unreadable_instant_are_the_planted_ones(config: Config):
    World(config.path.parent / "directory.db")
    tally = Tally()
    found = accounts(config, tally)
    assert tally.unknown_words == {"YubiOTP legacy": 5}
    assert tally.unreadable_instants == {"last_sign_in_at": 1}
    assert (tally.rows, tally.rejected) == (995, 1)
    assert set(found["account_type"]) == set(ACCOUNT_TYPES)


def test_five_people_to_be_reminded_cannot_be_mailed(config: Config):
    World(config.path.parent / "directory.db")
    found = accounts(config)
    unmailable = found[found["email"].isna() | problems(found["email"]).notna()]
    assert unmailable["email"].isna().sum() == 4
    assert list(standing(config)[unmailable.index]) == ["sms_only"] * 5


def test_nearly_half_are_to_be_reminded_at_the_opening_and_every_standing_but_exempt_occurs(config: Config):
    World(config.path.parent / "directory.db")
    share = standing(config).value_counts(normalize=True)
    assert 0.40 <= share["sms_only"] + share["sms_default"] <= 0.50
    assert set(share.index) == set(STANDINGS) - {"exempt"}


def test_no_run_meets_more_changed_methods_than_the_partial_directory_guard_lets_pass(config: Config):
    world = World(config.path.parent / "directory.db")
    before = accounts(config)["methods"]
    for day in DAYS:
        world.live(day)
        if not cron(day):
            continue
        now = accounts(config)["methods"]
        both = before.index.intersection(now.index)
        if day != CAMPAIGN.cutoff_date:
            assert (before[both] != now[both]).mean() < config.safety.max_changes
        assert len(before.index.difference(now.index)) < config.safety.max_shrink * len(before)
        before = now


def test_after_the_cutoff_nobody_is_on_text_messages_and_some_are_without_a_second_step(config: Config):
    world = World(config.path.parent / "directory.db")
    for day in DAYS:
        world.live(day)
    counts = standing(config).value_counts()
    assert not counts.index.intersection(["sms_only", "sms_default", "sms_fallback"]).size
    assert counts["no_second_step"] > 50
