"""Addresses that count as dead, and letters put back together, on every database."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from cast import person, recorded
from ledger.scenes import MINUTE, NOW, Scene, confirmation, queue_row

from migrate.ledger import account_rows, bounces, schema
from migrate.outbox import again
from migrate.outbox.claims import Bounce, Settlement

DAY = timedelta(days=1)


def dead(scene: Scene, address: str, seen: timedelta = MINUTE, days: int = 90, code: str = "5.1.1") -> None:
    row = {"campaign_id": scene.campaign_id, "address": address, "hard": True, "code": code, "reply": f"550 {code} no"}
    with scene.ledger.begin() as connection:
        connection.execute(sa.insert(schema.bounce).values(row | {"seen_at": NOW + seen, "until": NOW + days * DAY}))


def test_an_address_is_marked_once_however_often_and_however_it_is_spelt(scene: Scene) -> None:
    for address, seen, days in (("Ada@x.example", 3, 90), ("ada@X.example", 1, 95), ("ÄDA@x.example", 2, 90), ("old@x.example", 0, 0)):
        dead(scene, address, seen * MINUTE, days)
    with scene.ledger.read() as connection:
        marks = bounces.dead_addresses(connection, scene.campaign_id, NOW + DAY)
        assert [(each.address, each.since, each.until) for each in marks] == [
            ("ada@X.example", NOW + MINUTE, NOW + 95 * DAY),
            ("ÄDA@x.example", NOW + 2 * MINUTE, NOW + 90 * DAY),
        ]
        assert marks[0].reply == "550 5.1.1 no"
        for asked in ("ADA@x.example", "äda@x.example"):
            (found,) = bounces.dead_addresses(connection, scene.campaign_id, NOW + DAY, addresses=[asked])
            assert found.address.lower() == asked.lower()
        late = bounces.dead_addresses(connection, scene.campaign_id, NOW + DAY, since=NOW + 2 * MINUTE)
        assert [each.address for each in late] == ["ÄDA@x.example", "Ada@x.example"]
        assert bounces.dead_addresses(connection, scene.campaign_id + 1, NOW + DAY) == []


def test_what_was_cleared_says_by_whom_and_why_and_what_was_marked_before_stays(scene: Scene) -> None:
    dead(scene, "ada@x.example", MINUTE)
    dead(scene, "ADA@x.example", 5 * MINUTE)
    with scene.ledger.begin() as connection:
        done = bounces.clear(connection, scene.campaign_id, NOW + DAY, by="jo", reason="mended", since=NOW + 2 * MINUTE)
        assert [each.address for each in done] == ["ADA@x.example"]
        assert [each.address for each in bounces.dead_addresses(connection, scene.campaign_id, NOW + DAY)] == ["ada@x.example"]
        assert bounces.cleared(connection, scene.campaign_id, ["Ada@x.example", "bob@x.example"]) == [
            bounces.Cleared("ADA@x.example", NOW + DAY, "jo", "mended")
        ]
        assert bounces.clear(connection, scene.campaign_id, NOW + DAY, by="jo", reason="mended", addresses=["bob@x.example"]) == []
        assert len(bounces.clear(connection, scene.campaign_id, NOW + DAY, by="kim", reason="too", addresses=["Ada@X.example"])) == 1
        assert bounces.dead_addresses(connection, scene.campaign_id, NOW + DAY) == []


def test_a_mark_that_two_people_clear_at_once_is_cleared_by_the_first(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    dead(scene, "ada@x.example")
    dead(scene, "bob@x.example")
    with scene.ledger.read() as connection:
        seen = bounces._in_force(connection, scene.campaign_id, NOW + DAY, None, None)
    with scene.ledger.begin() as connection:
        bounces.clear(connection, scene.campaign_id, NOW + DAY, by="jo", reason="came back", addresses=["ada@x.example"])
    # Who came second had looked before the first was done.
    monkeypatch.setattr(bounces, "_in_force", lambda *_: seen)
    with scene.ledger.begin() as connection:
        second = bounces.clear(connection, scene.campaign_id, NOW + DAY + MINUTE, by="kim", reason="all of them")
        assert [each.address for each in second] == ["bob@x.example"]
        assert [each.by for each in bounces.cleared(connection, scene.campaign_id, ["ada@x.example", "bob@x.example"])] == ["jo", "kim"]


@pytest.mark.parametrize("addresses", [None, ["a@x.example", "SHARED@x.example", "nobody@x.example"]])
def test_who_is_reminded_is_found_by_standing_and_by_address(scene: Scene, addresses: list[str] | None) -> None:
    people = [
        person("a1", email="a@x.example") | {"standing": "sms_only", "compliant": False, "reminded": True},
        person("a2", email="Shared@x.example") | {"standing": "sms_default", "compliant": False, "reminded": True},
        person("a3", email="shared@X.example") | {"standing": "unknown", "compliant": False, "reminded": True},
        person("a4", email="shared@x.example") | {"standing": "unknown", "compliant": False, "reminded": False},
        person("a5", email="shared@x.example") | {"standing": "inactive", "compliant": False, "reminded": True},
        person("a6", email="shared@x.example") | {"standing": "migrated", "compliant": True, "reminded": True},
        person("a7", email="shared@x.example") | {"standing": "sms_only", "compliant": False, "reminded": True, "gone_at": NOW},
        person("a8", email=None) | {"standing": "sms_only", "compliant": False, "reminded": True},
    ]
    with scene.ledger.begin() as connection:
        account_rows.record_accounts(connection, scene.campaign_id, scene.run_seq, recorded(*people))
        parts = bounces.reminded(connection, scene.campaign_id, ["sms_only", "sms_default"], addresses)
        found = [account_id for part in parts for account_id, _ in part]
        assert found == (["a1", "a2", "a3"] if addresses else ["a1", "a2", "a3", "a8"])
        held = {account_id for account_id, _ in bounces.holders(connection, scene.campaign_id, ["SHARED@x.example"])}
        assert held == {"a2", "a3", "a4", "a5", "a6"}


def test_letters_are_found_by_the_words_of_the_server_whatever_their_case(scene: Scene) -> None:
    scene.queue(queue_row("a1"), queue_row("a2"), confirmation("a3"), queue_row("a4"))
    with scene.ledger.begin() as connection:
        account_rows.record_accounts(connection, scene.campaign_id, scene.run_seq, recorded(*(person(f"a{n}") for n in range(1, 5))))
    for reply in ("550 Straße gesperrt", "550 STRASSE\n gesperrt", "450 100% full", None):
        claimed = scene.claimed()
        scene.worker().settle(claimed, Settlement("failed", reply=reply, bounce=Bounce("5.1.1", NOW + DAY)), NOW + MINUTE)
    with scene.ledger.read() as connection:

        def found(**asked: object) -> int:
            return len(again.found(connection, scene.campaign_id, "failed", **asked))  # type: ignore[arg-type]

        assert (found(), found(reply="strasse  GESPERRT"), found(reply="0% f"), found(reply="%"), found(reply="_")) == (4, 2, 1, 1, 0)
        assert (found(kind="change_confirmation"), found(since=NOW + MINUTE), found(since=NOW + 2 * MINUTE)) == (1, 4, 0)
        assert again.found(connection, scene.campaign_id, "uncertain") == []
        replies = connection.execute(sa.select(schema.bounce.c.reply).order_by(schema.bounce.c.id)).scalars().all()
        assert replies == ["550 Straße gesperrt", "550 STRASSE\n gesperrt", "450 100% full", None]
