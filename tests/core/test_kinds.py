from __future__ import annotations

import pytest
import sqlalchemy as sa
from campaigns import Campaign

from migrate.core.kinds import EVERY_ADDRESS, GAP, KINDS, MANDATORY
from migrate.files.resources import resource
from migrate.ledger.engine import Ledger
from migrate.ledger.schema import NOTICE_KINDS, letter
from migrate.mail.overrides import PARTS


def test_every_kind_is_a_folder_of_three_templates_and_every_folder_a_kind() -> None:
    root = resource("templates") / "mail"
    folders = {folder.name: folder for folder in root.iterdir() if not folder.name.startswith("_")}
    assert set(folders) == set(KINDS)
    for folder in folders.values():
        assert set(PARTS) <= {file.name for file in folder.iterdir()}


def test_only_confirmations_go_to_every_address_whatever_the_schedule_says() -> None:
    assert frozenset({"change_confirmation"}) == MANDATORY == EVERY_ADDRESS
    assert set(KINDS) - GAP == {"change_confirmation"}


def test_the_ledger_holds_letters_of_every_kind() -> None:
    assert set(KINDS) <= set(NOTICE_KINDS)


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The kinds of the letters that one person gets who waits to the end, and then moves; the cutoff moves meanwhile. Whoever adds a kind
    adds here what brings it."""
    campaign = Campaign(tmp_path_factory.mktemp("kinds"))
    campaign.person("anna", "sms")
    for day, cutoff in (("2023-08-01", 1), ("2023-08-02", 2), ("2024-01-03", 2), ("2024-02-01", 2), ("2024-02-03", 2)):
        campaign.path.write_text(campaign.path.read_text().replace("cutoff = 2024-02-01", f"cutoff = 2024-02-0{cutoff}"))
        campaign.run(f"{day} 18:00")
    campaign.person("anna", "totp")
    campaign.run("2024-02-05 18:00")
    with Ledger.open_readonly(campaign.config.ledger) as ledger, ledger.read() as connection:
        return set(connection.execute(sa.select(letter.c.kind).where(letter.c.state == "sent").distinct()).scalars())


@pytest.mark.parametrize("kind", KINDS)
def test_something_sends_letters_of_every_kind(sent: set[str], kind: str) -> None:
    assert kind in sent, f"no run of this story sends a {kind}: a kind is more than its templates and its line in core/kinds.py"
