from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ledger.scenes import NOW, Scene, queue_row

from migrate.ledger import schema
from migrate.ledger.states import STATES, TRANSITIONS, objection
from migrate.outbox.transitions import move

DOC = Path(__file__).parents[2] / "docs" / "states.md"
DESIGN = {
    "queued": {"claimed", "withdrawn"},
    "claimed": {"sending", "queued", "withdrawn"},
    "sending": {"sent", "queued", "failed", "uncertain", "withdrawn"},
    "sent": set(),
    "failed": {"queued"},
    "uncertain": {"sent", "queued"},
    "withdrawn": {"queued"},
}


def test_the_states_and_moves_are_those_of_the_design() -> None:
    assert {before: {after for b, after in TRANSITIONS if b == before} for before in STATES} == DESIGN


@pytest.mark.parametrize(("before", "after"), [pair for pair in itertools.product(STATES, STATES) if pair not in TRANSITIONS])
def test_every_other_move_is_refused(before: Any, after: Any) -> None:
    assert objection(before, after) == f"a letter that is {before} cannot become {after}"


def test_what_a_reviewer_withdrew_stays_withdrawn() -> None:
    assert objection("withdrawn", "queued", "reviewer") is not None
    assert objection("withdrawn", "queued", "migrated") is None


@pytest.mark.parametrize(("before", "after"), list(itertools.product(STATES, STATES)))
def test_the_ledger_moves_a_letter_as_drawn_and_not_otherwise(scene: Scene, before: Any, after: Any) -> None:
    scene.queue(queue_row("a1"))
    row = scene.only()
    with scene.ledger.begin() as connection:
        connection.execute(sa.update(schema.letter).values(state=before))
        if (before, after) in TRANSITIONS:
            assert move(connection, [row.id], before, after, at=NOW, actor="test") == [row.id]
        else:
            with pytest.raises(ValueError, match="cannot become"):
                move(connection, [row.id], before, after, at=NOW, actor="test")
    allowed = (before, after) in TRANSITIONS
    assert scene.only().state == (after if allowed else before)
    assert scene.events()[1:] == ([(row.id, before, after)] if allowed else [])


def test_a_letter_that_is_elsewhere_by_now_is_not_moved(scene: Scene) -> None:
    scene.queue(queue_row("a1"))
    claimed = scene.claimed()
    with scene.ledger.begin() as connection:
        assert move(connection, [claimed.letter_id], "queued", "withdrawn", at=NOW, actor="test") == []
    assert scene.only().state == "sending"


@pytest.mark.parametrize("table", [schema.letter, schema.letter_event])
def test_the_database_refuses_a_state_nobody_drew(scene: Scene, table: sa.Table) -> None:
    scene.queue(queue_row("a1"))
    column = "state" if table is schema.letter else "to_state"
    with pytest.raises(sa.exc.IntegrityError, match=f"ck_{table.name}_{column}"), scene.ledger.begin() as connection:
        connection.execute(sa.update(table).values({column: "lost"}))


def test_the_page_draws_the_same_states_and_moves() -> None:
    text = DOC.read_text(encoding="utf-8")
    tables = [line for line in text.splitlines() if line.startswith("| `")]
    states = dict(m.groups() for line in tables if (m := re.fullmatch(r"\| `(\w+)` \| ([^`].*) \|", line)))
    moves = {(m[1], m[2]): m[3] for line in tables if (m := re.fullmatch(r"\| `(\w+)` \| `(\w+)` \| (.+) \|", line))}
    assert {word: states.pop(word) for word in STATES} == STATES
    assert tuple(states) == schema.CHANGE_STATES
    assert moves == TRANSITIONS
    assert set(re.findall(r"^ +(\w+) --> (\w+)", text, flags=re.MULTILINE)) == set(TRANSITIONS)
