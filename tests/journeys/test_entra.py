"""A tenant of Entra ID by the installed command: checked, reminded, confirmed; and what must not leave the directory does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from mailbox import Maildir
from pathlib import Path
from typing import Any

import pytest
from graph.server import READING, Fake
from graph.tenant import Person, Tenant, guid
from office import called

CONFIG = """
[campaign]
name = "entra"
organization = "Contoso"
product = "Contoso account"
opens = 2026-11-01
cutoff = 2027-02-01
support_email = "help@contoso.com"
[directory]
{directory}
[policy]
accepted = ["passkey", "push", "totp", "hardware_otp", "certificate", "external"]
[schedule]
days_before = [65, 30]
[mail]
from = "Contoso <security@contoso.com>"
[reports]
formats = ["csv", "html"]
[safety]
guard_floor = 1000
max_messages = 5000
"""
SECRETS = ("hunter2", "+1 303", "303444", "XXXXXXXX42", "Password in the cloud", "eyJ")


class Place:
    """A folder with a configuration of a tenant, and the command run in it."""

    def __init__(self, folder: Path, fake: Fake, **more: Any) -> None:
        self.folder, self.fake = folder, fake
        table = fake.settings(client_secret={"file": "secret.txt"}) | more
        written = {name: '{ file = "secret.txt" }' if isinstance(value, dict) else json.dumps(value) for name, value in table.items()}
        lines = [f"{name} = {value}" for name, value in written.items()]
        (folder / "secret.txt").write_text(fake.secret)
        (folder / "config.toml").write_text(CONFIG.format(directory="\n".join(lines)))
        self.said = ""

    def migrate(self, *words: str, expect: int = 0) -> dict[str, Any]:
        done = called("--config", str(self.folder / "config.toml"), *words, "--json")
        self.said += done.out + done.err
        assert done.code == expect, done.out + done.err
        return json.loads(done.out) if done.out else {}  # type: ignore[no-any-return]

    def letters(self) -> list[tuple[str, str]]:
        return sorted((each["To"], each["X-Migrate-Kind"]) for each in Maildir(self.folder / "outbox"))


def person(number: int, *methods: str, **more: Any) -> Person:
    name = f"user{number}@contoso.com"
    return Person(guid(number), name, name, f"User {number}", methods=list(methods), number=f"+1 303 {4440000 + number}", **more)


@pytest.fixture
def fake() -> Iterator[Fake]:
    held = Tenant()
    held.domains["contoso.com"] = "Managed"
    for each in (
        person(1, "mobilePhone", default="sms"),
        person(2, "mobilePhone", "microsoftAuthenticatorPush", default="push"),
        person(3, "passKeySynced"),
        person(4, "mobilePhone", enabled=False),
    ):
        held.add(each)
        each.signed_in = [(held.now, "Text message")]
    with Fake(held) as made:
        yield made
    assert made.violations == []


def test_somebody_on_sms_is_reminded_registers_a_passkey_and_is_told_so_once(fake: Fake, tmp_path: Path) -> None:
    here = Place(tmp_path, fake)
    checked = here.migrate("check")
    [access] = [each["said"] for each in checked["checks"] if each["part"] == "access"]
    assert "lets the application in, with AuditLog.Read.All" in access and "a read of 4 users costs about" in access
    assert any("up to 36 hours behind" in caveat for caveat in checked["caveats"])
    first = here.migrate("run", "--as-of", "2026-11-28T06:00")
    assert first["standing"] == {"sms_only": 1, "sms_fallback": 1, "migrated": 1, "inactive": 1}
    assert here.letters() == [("user1@contoso.com", "reminder")]
    fake.tenant.registers(fake.tenant.people[guid(1)], "passKeySynced")
    fake.tenant.advance(hours=24)
    assert here.migrate("run", "--as-of", "2026-11-29T06:00")["changes"] == {}
    fake.tenant.advance(hours=24)
    assert here.migrate("run", "--as-of", "2026-11-30T06:00")["changes"] == {"authenticator_enabled": 1}
    assert here.migrate("run", "--as-of", "2026-12-01T06:00")["changes"] == {}
    assert here.letters() == [("user1@contoso.com", "change_confirmation"), ("user1@contoso.com", "reminder")]


def test_check_names_the_role_of_a_wave_that_is_not_read(fake: Fake, tmp_path: Path) -> None:
    """Whoever holds it would have the campaign's days without a word."""
    waves = """
[[waves]]
name = "admins"
match = { groups = ["staff", "role:global administrator", "role:User Administrator"] }
cutoff = 2027-07-01
"""
    for roles, unread in (([], ["global administrator", "User Administrator"]), (["Global Administrator", "User Administrator"], [])):
        here = Place(tmp_path, fake, **({"roles": roles} if roles else {}))
        path = tmp_path / "config.toml"
        path.write_text(path.read_text() + waves)
        said = [each["said"] for each in here.migrate("check")["checks"] if "[directory] roles" in each["said"]]
        assert said == [
            f"wave admins matches the role {role}, which [directory] roles does not name: whoever holds it has the campaign's days. "
            f'Write roles = ["{role}"] there, beside those that it has.'
            for role in unread
        ]


def test_somebody_who_is_disabled_has_lost_no_authenticator(fake: Fake, tmp_path: Path) -> None:
    here = Place(tmp_path, fake)
    here.migrate("run", "--as-of", "2026-11-28T06:00")
    fake.tenant.people[guid(2)].enabled = False
    after = here.migrate("run", "--as-of", "2026-11-29T06:00")
    assert after["changes"] == {} and after["standing"]["inactive"] == 2
    fake.tenant.people[guid(2)].enabled = True
    assert here.migrate("run", "--as-of", "2026-11-30T06:00")["changes"] == {}


def test_a_tenant_without_consent_or_licence_is_exit_3_and_changes_nothing(fake: Fake, tmp_path: Path) -> None:
    here = Place(tmp_path, fake)
    here.migrate("run", "--as-of", "2026-11-28T06:00")
    fake.grant(*(set(READING) - {"AuditLog.Read.All"}))
    here.migrate("run", "--as-of", "2026-11-29T06:00", expect=3)
    assert "/adminconsent?client_id=" in here.said
    checked = here.migrate("check", expect=3)
    assert [each["state"] for each in checked["checks"] if each["part"] == "access"] == ["wrong", "wrong"]
    fake.grant(*READING)
    fake.tenant.licensed = False
    here.migrate("run", "--as-of", "2026-11-30T06:00", expect=3)
    assert "has no Entra ID P1 or P2" in here.said
    assert len(here.letters()) == 1


def test_numbers_details_of_sign_ins_and_secrets_are_nowhere(fake: Fake, tmp_path: Path) -> None:
    here = Place(tmp_path, fake, detail=["phones", "per_user_mfa", "sign_ins"], sign_in_days=30)
    here.migrate("check")
    here.migrate("dry-run", "--as-of", "2026-11-28T06:00")
    here.migrate("run", "--as-of", "2026-11-28T06:00")
    fake.secret = "hunter2~changed"
    here.migrate("run", "--as-of", "2026-11-29T06:00", "--quiet", expect=3)
    assert fake.numbers_shown >= 6
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "secret.txt"]
    assert len(files) > 20
    found = [(path.name, secret) for path in files for secret in SECRETS if secret.encode() in path.read_bytes()]
    assert found == []
    assert [secret for secret in SECRETS if secret in here.said] == []
