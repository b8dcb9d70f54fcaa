from __future__ import annotations

from migrate.files.resources import resource
from migrate.mail.kinds import KINDS
from migrate.mail.overrides import PARTS


def test_every_kind_is_a_folder_of_three_templates_and_every_folder_a_kind() -> None:
    root = resource("templates") / "mail"
    folders = {folder.name: folder for folder in root.iterdir() if folder.name != "_frame"}
    assert set(folders) == set(KINDS)
    for folder in folders.values():
        assert set(PARTS) <= {file.name for file in folder.iterdir()}


def test_only_confirmations_go_to_every_address_whatever_the_schedule_says() -> None:
    assert [kind.name for kind in KINDS.values() if kind.mandatory] == ["change_confirmation"]
    assert [kind.name for kind in KINDS.values() if kind.every_address] == ["change_confirmation"]
    assert not KINDS["change_confirmation"].counts_toward_gap
