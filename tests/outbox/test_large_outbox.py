"""What is done about letters costs what they cost, and nothing for the millions that went out before."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from ledger.scenes import MINUTE, NOW, Scene, confirmation, queue_row

from migrate import outbox
from migrate.outbox.claims import Settlement

AIMED = re.compile(r"(?:INTEGER PRIMARY KEY|INDEX ix_letter_(?:claim|ends|unsettled|ended)|INDEX sqlite_autoindex_\w+) ")
"""How letters are found without looking at those that are done, unless to count them."""


@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_nothing_that_a_worker_asks_looks_at_letters_that_are_done(scene: Scene) -> None:
    scene.queue(*(queue_row(f"a{n}") for n in range(30)), confirmation("b1"), confirmation("b2"))
    plans: dict[str, list[str]] = {}

    @sa.event.listens_for(scene.ledger.engine, "before_cursor_execute")
    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
        if re.search(r"\bletter\b", statement) and statement.startswith(("SELECT", "UPDATE", "INSERT", "DELETE")):
            one = parameters[0] if executemany else parameters
            found = cursor.execute(f"EXPLAIN QUERY PLAN {statement}", one).fetchall()
            plans[statement] = [line for *_, line in found if re.search(r"(?:SCAN|SEARCH) letter\b", line)]

    worker = scene.worker()
    hand, held, _ = worker.exchange([], NOW, 8, ahead=9)
    _, held, _ = worker.exchange([(letter, Settlement("sent", reply="250 Ok")) for letter in hand[:4]], NOW, 4, held=held, ahead=9)
    held[0] = held[0]._replace(letter_id=0)  # as if it had been withdrawn meanwhile
    _, held, _ = worker.exchange([(hand[4], Settlement("temporary", not_before=NOW + 60 * MINUTE))], NOW, 1, held=held, ahead=9)
    worker.exchange([], NOW, 0, held=held[:1])
    worker.withdraw_late(NOW)
    assert worker.sweep(NOW + 60 * MINUTE).uncertain
    for only, ending_by in ((False, None), (True, None), (True, NOW + 60 * MINUTE)):
        worker.waiting(NOW, only_confirmations=only, ending_by=ending_by)
        worker.next_at(only_confirmations=only, ending_by=ending_by)
    assert worker.exchange([], NOW, 1, only_confirmations=True, ending_by=NOW + 60 * MINUTE).begun == []
    with scene.ledger.read() as connection:
        counted = outbox.counts(connection, scene.campaign_id)
        assert outbox.reminders_waiting(connection, scene.campaign_id, after=NOW) == counted["queued"]
        assert outbox.too_late(connection, ["worker-1"], NOW) == 0
        assert outbox.queued(connection, scene.campaign_id) == counted["queued"]
    assert sum(counted.values()) == 32
    assert len(plans) > 14
    assert {statement: lines for statement, lines in plans.items() if not all(map(AIMED.search, lines))} == {}
