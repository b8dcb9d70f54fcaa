"""docs/entra.md says what is so: its configuration loads, and its permissions are those that are asked for."""

from __future__ import annotations

import re
from pathlib import Path

from edits import blocks, edited

from migrate.config import load
from migrate.config.playbooks import playbook
from migrate.directory.entra import people, permissions

GUIDE = (Path(__file__).parents[2] / "docs" / "entra.md").read_text(encoding="utf-8")


def test_what_it_puts_into_the_playbook_loads_and_is_all_that_is_to_edit(tmp_path: Path) -> None:
    (tmp_path / "entra.pem").write_text("-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n")
    text = playbook("entra-2027").config
    own, sender = blocks(GUIDE)
    for block, transport in ((own, "maildir"), (sender, "smtp")):
        text = edited(text, block)
        (tmp_path / "config.toml").write_text(text, encoding="utf-8")
        config = load(tmp_path / "config.toml")
        assert (config.directory.kind, config.mail.transport, config.campaign.organization) == ("entra", transport, "Contoso")
        assert "# EDIT" not in text
    assert config.mail.smtp is not None and config.mail.smtp.user == config.mail.sender_address
    assert config.mail.smtp.rates.per_day == 10_000


def test_its_table_has_every_permission_that_is_asked_for_and_no_other() -> None:
    table = GUIDE.partition("| permission |")[2].partition("\n\n")[0]
    told = {name for line in table.splitlines()[2:] for name in re.findall(r"`([\w-]+\.Read[\w.]*)`", line.split("|")[1])}
    needs = [each for each in vars(permissions).values() if isinstance(each, permissions.Need)]
    assert told == {name for need in needs for name in need.permissions}


def test_it_explains_every_group_of_our_making() -> None:
    made = [value for name, value in vars(people).items() if isinstance(value, str) and value.startswith("entra:")]
    assert len(made) == 3
    assert [each for each in made if f"`{each}`" not in GUIDE] == []
