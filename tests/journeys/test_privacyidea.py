"""A real privacyIDEA server by the installed command: somebody on SMS is reminded, moves, and is told of each change once (issue 13)."""

from __future__ import annotations

import csv
import json
from mailbox import Maildir
from pathlib import Path
from typing import Any

import pytest
from office import called
from privacyidea_server import READING, PrivacyIdeaServer, Realm

CONFIG = """
[campaign]
name = "staff"
organization = "Example Corp"
product = "Example account"
opens = 2026-11-01
cutoff = 2027-02-01
support_email = "help@example.com"
[directory]
{directory}
[schedule]
days_before = [65, 30]
[mail]
from = "Example Corp <security@example.com>"
[reports]
formats = ["csv", "html"]
[safety]
guard_floor = 1000
"""


class Place:
    """A folder with a configuration that reads a realm, and the command run in it."""

    def __init__(self, folder: Path, realm: Realm, **more: Any) -> None:
        self.folder, self.realm = folder, realm
        table = realm.settings(**more)
        (folder / "secret.txt").write_text(table.pop("password"))
        lines = [f"{name} = {json.dumps(value)}" for name, value in table.items()]
        (folder / "config.toml").write_text(CONFIG.format(directory="\n".join([*lines, 'password = { file = "secret.txt" }'])))
        self.said = ""

    def migrate(self, *words: str, expect: int = 0) -> dict[str, Any]:
        done = called("--config", str(self.folder / "config.toml"), *words, "--json")
        self.said += done.out + done.err
        assert done.code == expect, done.out + done.err
        return json.loads(done.out) if done.out else {}  # type: ignore[no-any-return]

    def run(self, day: int) -> dict[str, Any]:
        return self.migrate("run", "--as-of", f"2026-11-{day}T06:00" if day < 31 else f"2026-12-{day - 30:02}T06:00")

    def letters(self) -> list[tuple[str, str]]:
        return sorted((each["To"].partition("@")[0], each["X-Migrate-Kind"]) for each in Maildir(self.folder / "outbox"))


@pytest.fixture
def realm(privacyidea: PrivacyIdeaServer) -> Realm:
    made = privacyidea.realm("sms", "app", "both", "push", "none", "off", "begun")
    for person in ("sms", "both", "off", "begun"):
        serial = made.sms(person)
        if person == "off":
            made.disable(serial)
    made.app("app")
    made.app("both")
    made.enrol("begun", "totp")  # without the code that finishes it
    made.push("push")
    return made


def test_somebody_on_sms_is_reminded_moves_and_is_told_of_each_change_once(realm: Realm, tmp_path: Path) -> None:
    here = Place(tmp_path, realm)
    checked = here.migrate("check")
    [access] = [each["said"] for each in checked["checks"] if each["part"] == "access"]
    assert "lets reader in; a read of realm" in access and "costs 4 calls for 7 users and 8 tokens" in access

    first = here.run(28)
    assert first["standing"] == {"sms_only": 2, "migrated": 2, "sms_fallback": 1, "no_second_step": 2}
    assert here.letters() == [("begun", "reminder"), ("sms", "reminder")]

    app = realm.app("sms")
    done = here.run(29)
    assert (done["changes"], done["letters"]["sent"]) == ({"authenticator_enabled": 1}, 1)
    assert done["standing"]["sms_only"] == 1 and done["standing"]["sms_fallback"] == 2
    assert here.run(30)["changes"] == {}

    realm.delete(app)
    realm.app("sms")
    assert here.run(31)["changes"] == {"authenticator_changed": 1}
    assert here.run(32)["changes"] == {}

    for token in realm.server.call("GET", f"/token/?user=sms&realm={realm.name}")["tokens"]:
        realm.delete(token["serial"])
    last = here.run(33)
    assert last["changes"] == {"two_step_disabled": 1}
    assert here.run(34)["changes"] == {}
    assert here.letters() == [("begun", "reminder"), *[("sms", "change_confirmation")] * 3, ("sms", "reminder")]
    told = here.migrate("explain", "sms")
    assert [each["change"] for each in told["changes"]] == ["authenticator_enabled", "authenticator_changed", "two_step_disabled"]
    with next(Path(last["evidence"]).glob("changes.csv")).open(encoding="utf-8") as file:
        assert [(row["account_id"], row["change"]) for row in csv.DictReader(file)] == [(f"{realm.name}:1001", "two_step_disabled")]


def test_a_right_that_is_taken_away_is_exit_3_and_changes_nothing(realm: Realm, tmp_path: Path) -> None:
    here = Place(tmp_path, realm)
    before = here.run(28)["standing"]
    realm.grant("userlist")
    here.migrate("run", "--as-of", "2026-11-29T06:00", expect=3)
    assert "the right tokenlist is missing" in here.said and f'realm "{realm.name}"' in here.said
    checked = here.migrate("check", expect=3)
    assert [each["state"] for each in checked["checks"] if each["part"] == "access"] == ["wrong", "wrong"]
    realm.grant("userlist", "tokenlist")
    after = here.run(30)
    assert (after["standing"], after["changes"]) == (before, {})


def test_neither_secrets_nor_numbers_come_out(realm: Realm, tmp_path: Path) -> None:
    here = Place(tmp_path, realm)
    here.migrate("check")
    here.run(28)
    here.migrate("explain", "sms")
    secrets = [READING, "eyJ", "15550100", *realm.secrets.values()]
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "secret.txt"]
    assert [secret for secret in secrets if secret in here.said or any(secret.encode() in each for each in written)] == []
