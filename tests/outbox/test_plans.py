from __future__ import annotations

import json

import sqlalchemy as sa
from ledger.scenes import MINUTE, NOW, Scene, frame, queue_row

from migrate.ledger import schema
from migrate.outbox import plans
from migrate.outbox.claims import Settlement


def strike(scene: Scene, *rows: dict) -> list[int]:
    with scene.ledger.begin() as connection:
        return plans.strike(connection, scene.campaign_id, scene.run_seq, "r00001", frame(*rows), NOW)


def states(scene: Scene) -> dict[str, tuple[str, str | None]]:
    return {address: (row.state, row.reason) for address, row in scene.letters().items()}


def test_a_struck_out_reminder_is_written_down_as_withdrawn_and_never_queued_again(scene: Scene) -> None:
    assert len(strike(scene, queue_row("a1"), queue_row("a2"))) == 2
    assert set(states(scene).values()) == {("withdrawn", "reviewer")}
    assert len(scene.events()) == 4
    assert scene.queue(queue_row("a1")).untouched == 1
    assert states(scene)["a1@example.com"] == ("withdrawn", "reviewer")


def test_a_letter_that_waits_is_struck_out_and_those_of_other_notices_are_not(scene: Scene) -> None:
    scene.queue(queue_row("a1"), queue_row("a1", occasion="T-14", address="b@example.com"), queue_row("a2"))
    strike(scene, queue_row("a1"))
    assert states(scene) == {
        "a1@example.com": ("withdrawn", "reviewer"), "b@example.com": ("queued", None), "a2@example.com": ("queued", None),
    }  # fmt: skip


def test_a_letter_that_went_out_stays_sent(scene: Scene) -> None:
    scene.queue(queue_row("a1"))
    scene.worker().settle(scene.claimed(), Settlement("sent"), NOW)
    assert strike(scene, queue_row("a1")) == []
    assert states(scene) == {"a1@example.com": ("sent", None)}


def test_an_approval_is_recorded_once(scene: Scene) -> None:
    for at, by in ((NOW, "ada"), (NOW + MINUTE, "bea")):
        with scene.ledger.begin() as connection:
            plans.approve(connection, scene.campaign_id, "d0", by=by, at=at, rows=170, detail={"removed": 30})
    with scene.ledger.read() as connection:
        (row,) = connection.execute(sa.select(schema.plan)).all()
    assert (row.digest, row.campaign_id, row.approved_at, row.approved_by, row.rows) == ("d0", scene.campaign_id, NOW, "ada", 170)
    assert json.loads(row.detail) == {"removed": 30}
