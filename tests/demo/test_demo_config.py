from __future__ import annotations

import tomllib
from pathlib import Path

from migrate.core.accounts import ACCOUNT_COLUMNS, METHODS
from migrate.demo.config import CAMPAIGN, DAYS, STAGES, demo_config
from migrate.demo.people import LEGACY, WORDS


def config() -> dict[str, dict]:
    return tomllib.loads(demo_config(Path("demo")))


def test_the_file_names_the_command_that_uses_it():
    assert "migrate --config 'my demo/config.toml' status" in demo_config(Path("my demo"))


def test_a_folder_with_a_line_break_in_its_name_does_not_break_the_file():
    assert tomllib.loads(demo_config(Path("a\nb\x1b"))) == config()


def test_every_path_is_relative_to_the_folder():
    told = config()
    assert told["directory"]["url"] == "sqlite:///directory.db"
    assert told["ledger"]["url"] == "sqlite:///migrate.db"
    assert (told["mail"]["maildir"]["path"], told["reports"]["dir"]) == ("outbox", "reports")


def test_the_mapping_has_a_word_of_ours_for_every_word_of_the_product_but_one():
    mapping = config()["directory"]["methods"]
    assert set(WORDS) - set(mapping) == {LEGACY}
    assert set(mapping.values()) <= set(METHODS)


def test_every_column_of_ours_that_the_product_has_is_mapped():
    assert set(ACCOUNT_COLUMNS) - set(config()["directory"]["columns"]) == {
        "last_used_method",
        "last_used_at",
        "may_enrol",
        "in_policy",
        "groups",
    }


def test_the_campaign_opens_some_45_days_before_its_cutoff():
    assert (CAMPAIGN.cutoff_date - CAMPAIGN.opens).days == 45


def test_the_days_reach_from_the_opening_past_the_last_stage():
    assert DAYS[0] == CAMPAIGN.opens == STAGES[0].on
    assert DAYS[-1] > STAGES[-1].on
    assert [stage.name for stage in STAGES] == ["opens", "T-30", "T-14", "T-7", "T-3", "T-1", "T+0", "T+14"]
