"""docs/privacyidea.md says what is so: its configurations load, its policy is enough, and its types of tokens are known."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from migrate.core.accounts import METHODS
from migrate.directory import table_model
from migrate.directory.privacyidea.rights import TOKENS, USERS
from migrate.directory.vocabulary import VENDORS

GUIDE = (Path(__file__).parents[2] / "docs" / "privacyidea.md").read_text(encoding="utf-8")


def test_its_configurations_load() -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        table = tomllib.loads(block.replace('{ env = "MIGRATE_PRIVACYIDEA_PASSWORD" }', '"x"'))["directory"]
        assert table_model(table).model_validate(table).kind in ("privacyidea", "csv")


def test_its_policy_has_what_is_asked_for_and_no_more() -> None:
    [body] = re.findall(r"-d '(\{.*\})'", GUIDE)
    policy = json.loads(body)
    assert policy["scope"] == "admin" and policy["action"].split(", ") == [USERS.action, TOKENS.action]


def test_its_table_has_every_type_of_token_and_what_it_becomes() -> None:
    table = GUIDE.partition("| type | method |")[2].partition("\n\n")[0]
    told: dict[str, str] = {}
    for line in table.splitlines()[2:]:
        types, ours = line.strip("| ").split(" | ")
        named = re.match(r"`(\w+)`", ours)
        told |= dict.fromkeys(re.findall(r"`(\w+)`", types), named[1] if named and named[1] in METHODS else "none")
    assert told == {theirs: ours for ours, each in VENDORS["privacyidea"].items() for theirs in each}
