"""Exemptions and pauses in the ledger, on every database."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
import sqlalchemy as sa
from cast import person, recorded
from ledger.scenes import MINUTE, NOW, Scene, confirmation, queue_row

from migrate import outbox
from migrate.ledger import account_lookup, account_rows, exemptions, schema
from migrate.ledger.exemptions import Grant, Kind
from migrate.ledger.prior import Prior

GRANT = Grant("a1", date(2024, 2, 10), "ciso", "at sea", NOW, "jo")


@pytest.mark.parametrize(("kind", "other"), [("exemption", "pause"), ("pause", "exemption")])
def test_what_is_granted_is_there_until_it_is_removed_and_its_row_stays(scene: Scene, kind: Kind, other: Kind) -> None:
    longer, of_another = replace(GRANT, until=date(2024, 3, 1)), replace(GRANT, account_id="A1")
    with scene.ledger.begin() as connection:
        exemptions.grant(connection, kind, scene.campaign_id, [longer, GRANT, of_another])
        exemptions.grant(connection, kind, scene.campaign_id, [])
        assert exemptions.granted(connection, kind, scene.campaign_id) == [of_another, GRANT, longer]
        assert exemptions.granted(connection, kind, scene.campaign_id, ["a1"]) == [GRANT, longer]
        assert exemptions.granted(connection, other, scene.campaign_id) == []
        assert exemptions.remove(connection, kind, scene.campaign_id, "a1", NOW + MINUTE, by="kim", reason="is back") == 2
        assert exemptions.remove(connection, kind, scene.campaign_id, "a1", NOW + MINUTE, by="lee", reason="is away") == 0
        assert exemptions.granted(connection, kind, scene.campaign_id) == [of_another]
        table = {"exemption": schema.exemption, "pause": schema.pause}[kind]
        removal = {"removed_at": NOW + MINUTE, "removed_by": "kim", "removed_reason": "is back"}
        assert exemptions.granted(connection, kind, scene.campaign_id, removed=True) == [
            replace(each, **removal) for each in (GRANT, longer)
        ]
        assert connection.execute(sa.select(table.c.removed_at).order_by(table.c.id)).scalars().all() == [NOW + MINUTE, NOW + MINUTE, None]
        assert dict(Prior(connection, "sms").exceptions(kind, NOW.date())) == {"A1": "2024-02-10"}


def test_an_account_is_known_by_its_very_id(scene: Scene) -> None:
    with scene.ledger.begin() as connection:
        account_rows.record_accounts(connection, scene.campaign_id, scene.run_seq, recorded(person("a1"), person("a2")))
        assert account_lookup.known(connection, scene.campaign_id, {"a1", "A2", "a1 ", "zoe"}) == {"a1"}
        assert account_lookup.known(connection, scene.campaign_id, set()) == set()


def test_reminders_that_wait_are_withdrawn_and_confirmations_are_not(scene: Scene) -> None:
    scene.queue(queue_row("a1"), queue_row("a2"), queue_row("a3"), confirmation("a1"))
    (sent,) = (letter for letter in scene.worker().exchange([], NOW, 4).begun if letter.account_id == "a3")
    with scene.ledger.begin() as connection:
        connection.execute(sa.update(schema.letter).where(schema.letter.c.id != sent.letter_id).values(state="queued"))
        assert outbox.reminders_waiting(connection, scene.campaign_id) == 2
        assert outbox.withdraw_reminders(connection, scene.campaign_id, ["a1", "a3"], NOW, actor="jo", reason="exempt") == [1]
        assert outbox.reminders_waiting(connection, scene.campaign_id) == 1
    states = {(row.account_id, row.kind): (row.state, row.reason) for row in scene.letters().values() if row.account_id != "a1"}
    assert states == {("a2", "reminder"): ("queued", None), ("a3", "reminder"): ("sending", None)}
    last = sa.select(schema.letter_event.c.actor, schema.letter_event.c.reason).order_by(schema.letter_event.c.id.desc()).limit(1)
    with scene.ledger.read() as connection:
        assert tuple(connection.execute(last).one()) == ("jo", "exempt")
