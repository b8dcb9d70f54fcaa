from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
import sqlalchemy as sa
from ledger.scenes import CUTOFF, MINUTE, NOW, Scene, confirmation, queue_row

from migrate.ledger import clock, schema
from migrate.ledger.engine import Ledger, LedgerSettings
from migrate.ledger.exemptions import Grant, Kind, grant, remove
from migrate.ledger.states import SERVER_REFUSED
from migrate.outbox import withdraw_reminders
from migrate.outbox.claims import Bounce, Claims, Settlement, Swept

HOUR = timedelta(hours=1)


def test_a_letter_is_sending_with_owner_and_lease_before_it_is_handed_out(scene: Scene) -> None:
    scene.queue(queue_row("a1", facts='{"x": 1}'))
    claimed = scene.claimed("worker-7")
    row = scene.only()
    assert (row.state, row.owner, row.claimed_at, row.lease_until) == ("sending", "worker-7", NOW, NOW + 5 * MINUTE)
    assert (claimed.letter_id, claimed.reference, claimed.message_id) == (row.id, row.reference, row.message_id)
    assert (claimed.account_id, claimed.tenure, claimed.occasion, claimed.told_cutoff) == ("a1", 1, "T-30", "2024-02-01T08:00:00Z")
    assert (claimed.address, claimed.role, claimed.facts, claimed.ends, claimed.change_seq) == (
        row.address,
        "primary",
        '{"x": 1}',
        CUTOFF,
        None,
    )
    assert scene.events()[-2:] == [(row.id, "queued", "claimed"), (row.id, "claimed", "sending")]


def test_confirmations_go_first_then_those_told_least_recently(scene: Scene) -> None:
    scene.queue(
        queue_row("told-lately", last_told_at=pd.Timestamp(NOW - HOUR)),
        queue_row("told-long-ago", last_told_at=pd.Timestamp(NOW - 30 * HOUR)),
        queue_row("never-told"),
    )
    scene.queue(confirmation("changed"), queue_row("never-told-2"), now=NOW + MINUTE)
    order = [letter.account_id for letter in scene.worker().exchange([], NOW + MINUTE, 10).begun]
    assert order == ["changed", "never-told", "never-told-2", "told-long-ago", "told-lately"]


def test_a_letter_that_is_to_wait_waits(scene: Scene) -> None:
    scene.queue(queue_row("a1"))
    scene.worker().settle(scene.claimed(), Settlement("temporary", reply="451 try later", not_before=NOW + HOUR), NOW)
    assert scene.worker().exchange([], NOW + HOUR - MINUTE).begun == []
    (again,) = scene.worker().exchange([], NOW + HOUR).begun
    assert again.attempts == 1


def test_a_letter_past_its_end_is_withdrawn_at_the_next_claim(scene: Scene) -> None:
    scene.queue(queue_row("a1"), confirmation("a2"))
    claimed = scene.worker().exchange([], CUTOFF, 5).begun
    assert [letter.account_id for letter in claimed] == ["a2"]
    row = scene.letters()["a1@example.com"]
    assert (row.state, row.reason, row.settled_at) == ("withdrawn", "past_cutoff", CUTOFF)
    assert (row.id, "queued", "withdrawn") in scene.events()


def test_only_confirmations_go_out_when_nothing_else_may(scene: Scene) -> None:
    scene.queue(queue_row("a1"), confirmation("a2"))
    assert [letter.account_id for letter in scene.worker().exchange([], NOW, 5, only_confirmations=True).begun] == ["a2"]
    assert scene.worker().exchange([], NOW, 5, only_confirmations=True).begun == []


def granted(scene: Scene, kind: Kind, account_id: str, until: str) -> None:
    with scene.ledger.begin() as connection:
        grant(connection, kind, scene.campaign_id, [Grant(account_id, date.fromisoformat(until), "ciso", "at sea", NOW, "jo")])


def test_whoever_was_exempted_or_paused_since_is_spared_at_the_claim(scene: Scene) -> None:
    scene.queue(*(queue_row(f"a{n}") for n in range(1, 6)), confirmation("a1", address="home@example.com"))
    granted(scene, "pause", "a1", "2024-01-02")
    granted(scene, "exemption", "a2", "2024-01-03")
    granted(scene, "pause", "a2", "2024-01-03")
    granted(scene, "pause", "a3", "2024-01-01")
    granted(scene, "pause", "a4", "2024-03-01")
    with scene.ledger.begin() as connection:
        remove(connection, "pause", scene.campaign_id, "a4", NOW, by="jo", reason="is back")
    taken = scene.worker().exchange([], NOW, 4).begun
    assert [(letter.account_id, letter.kind) for letter in taken] == [
        ("a1", "change_confirmation"), ("a3", "reminder"), ("a4", "reminder"), ("a5", "reminder"),
    ]  # fmt: skip
    letters = scene.letters()
    with scene.ledger.read() as connection:
        event = schema.letter_event.c
        why = connection.execute(sa.select(event.letter_id, event.actor, event.reason).where(event.to_state == "withdrawn")).all()
    assert sorted(map(tuple, why)) == [(1, "worker-1", "paused"), (2, "worker-1", "exempt")]
    assert [(row.state, row.settled_at) for row in letters.values() if row.id in (1, 2)] == [("withdrawn", NOW)] * 2
    assert (scene.worker().waiting(NOW), scene.worker().exchange([], NOW).begun) == (0, [])


def test_the_last_day_of_a_pause_ends_where_the_campaigns_days_end(scene: Scene) -> None:
    scene.queue(queue_row("a1"), queue_row("a2"))
    granted(scene, "pause", "a1", "2024-01-02")
    nearly_over = datetime(2024, 1, 3, 7, 59, tzinfo=UTC)
    west = replace(scene.worker(), zone=ZoneInfo("America/Los_Angeles"))
    assert [letter.account_id for letter in west.exchange([], nearly_over, 1).begun] == ["a2"]
    scene.queue(queue_row("a3"))
    granted(scene, "pause", "a3", "2024-01-02")
    assert [letter.account_id for letter in west.exchange([], nearly_over + MINUTE, 1).begun] == ["a3"]


def test_another_campaign_of_the_same_ledger_is_left_alone(scene: Scene) -> None:
    scene.queue(queue_row("a1"))
    other = Scene(scene.ledger, scene.campaign_id + 1, scene.run_seq)
    assert other.worker().exchange([], NOW, 5).begun == []


@pytest.mark.parametrize(
    ("verdict", "state", "attempts", "settled"),
    [
        ("sent", "sent", 1, True),
        ("temporary", "queued", 1, False),
        ("released", "queued", 0, False),
        ("failed", "failed", 1, True),
        ("uncertain", "uncertain", 1, True),
        ("withdrawn", "withdrawn", 0, True),
    ],
)
def test_a_settlement_says_what_became_of_the_letter(scene: Scene, verdict: Any, state: str, attempts: int, settled: bool) -> None:
    scene.queue(queue_row("a1"))
    done = Settlement(verdict, reason="why", reply="the server's words", subject="Act now", mail_digest="m1")
    assert scene.worker().settle(scene.claimed(), done, NOW + MINUTE)
    row = scene.only()
    assert (row.state, row.attempts, row.reason, row.owner, row.lease_until) == (state, attempts, "why", None, None)
    assert row.settled_at == (NOW + MINUTE if settled else None)
    tried = attempts == 1
    assert (row.reply, row.subject, row.mail_digest) == ("the server's words", *(("Act now", "m1") if tried else (None, None)))
    assert scene.events()[-1] == (row.id, "sending", state)


def test_a_lost_lease_is_reported_and_what_was_decided_since_stands(scene: Scene) -> None:
    scene.queue(queue_row("a1"))
    slow = scene.claimed("slow")
    assert scene.worker("other").sweep(NOW + HOUR).uncertain == (slow.letter_id,)
    before = scene.only(), scene.events()
    assert not scene.worker("slow").settle(slow, Settlement("sent"), NOW + HOUR)
    assert (scene.only(), scene.events()) == before


def test_an_old_claim_of_the_same_worker_does_not_settle_a_new_one(scene: Scene) -> None:
    scene.queue(confirmation("a1"))
    first = scene.claimed("w")
    scene.worker("w").sweep(NOW + HOUR)
    second = scene.claimed("w", NOW + HOUR)
    assert not scene.worker("w").settle(first, Settlement("failed"), NOW + HOUR)
    assert scene.worker("w").settle(second, Settlement("sent"), NOW + HOUR)


def test_letters_are_settled_and_the_next_claimed_in_one_commit(scene: Scene) -> None:
    scene.queue(queue_row("a1"), queue_row("a2"))
    first = scene.claimed()
    (second,), _, lost = scene.worker().exchange([(first, Settlement("sent"))], NOW + MINUTE)
    assert (second.account_id, lost) == ("a2", [])
    assert [row.state for row in scene.letters().values()] == ["sent", "sending"]
    assert scene.worker().exchange([(first, Settlement("failed"))], NOW + MINUTE).lost == [first]


def test_the_letters_of_a_killed_worker_become_uncertain_after_their_lease(scene: Scene) -> None:
    scene.queue(queue_row("a1"))
    claimed = scene.claimed("killed")
    assert scene.worker("sweeper").sweep(claimed.lease_until - timedelta(microseconds=1)).uncertain == ()
    assert scene.worker("sweeper").sweep(claimed.lease_until).uncertain == (claimed.letter_id,)
    row = scene.only()
    assert (row.state, row.reason, row.attempts, row.owner) == ("uncertain", "lease_expired", 1, None)
    assert scene.worker().exchange([], claimed.lease_until + HOUR).begun == []


def test_what_a_killed_worker_had_only_claimed_is_queued_again_as_it_was_after_its_lease(scene: Scene) -> None:
    scene.queue(queue_row("a1"), queue_row("a2"))
    refused = Settlement("released", reason=SERVER_REFUSED, reply="550 5.7.1 no", not_before=NOW)
    scene.worker().settle(scene.claimed(), refused, NOW)
    before = scene.letters()
    held = scene.worker("killed").exchange([], NOW, 1, ahead=1).held
    (claimed,) = (row for row in scene.letters().values() if row.state == "claimed")
    assert (claimed.owner, claimed.lease_until, claimed.attempts) == ("killed", NOW + 5 * MINUTE, 0)
    assert scene.worker().next_at() == claimed.lease_until
    assert scene.worker("sweeper").sweep(claimed.lease_until - timedelta(microseconds=1)) == Swept((), ())
    swept = scene.worker("sweeper").sweep(claimed.lease_until)
    assert (len(swept.uncertain), swept.returned) == (1, (claimed.id,))
    assert scene.letters()[claimed.address] == before[claimed.address]
    assert scene.events()[-1] == (claimed.id, "claimed", "queued")
    # The worker was not dead, only slow: it begins with nothing that was taken from it.
    assert scene.worker("killed").exchange([], claimed.lease_until, 0, held=held).begun == []
    assert scene.worker("other").exchange([], claimed.lease_until, 1).begun[0].letter_id == claimed.id
    assert scene.worker("killed").exchange([], claimed.lease_until, 1, held=held, ahead=1).begun == []


def test_letters_are_begun_with_from_what_is_held_and_only_then_from_the_queue(scene: Scene) -> None:
    scene.queue(*(queue_row(f"a{n}") for n in range(9)))
    worker = scene.worker()
    begun, held, _ = worker.exchange([], NOW, 2, ahead=3)
    assert ([each.account_id for each in begun], [each.account_id for each in held]) == (["a0", "a1"], ["a2", "a3", "a4"])
    begun, held, _ = worker.exchange([(each, Settlement("sent")) for each in begun], NOW + MINUTE, 2, held=held, ahead=3)
    assert ([each.account_id for each in begun], [each.account_id for each in held]) == (["a2", "a3"], ["a4"])
    assert {each.lease_until for each in begun} == {NOW + 6 * MINUTE}
    begun, held, _ = worker.exchange([], NOW + MINUTE, 2, held=held, ahead=1)
    assert ([each.account_id for each in begun], [each.account_id for each in held]) == (["a4", "a5"], ["a6"])
    assert worker.exchange([], NOW + MINUTE, 0, held=held) == ([], [], [])
    assert [row.state for row in scene.letters().values()] == ["sent"] * 2 + ["sending"] * 4 + ["queued"] * 3


def test_a_claimed_letter_that_was_withdrawn_or_came_past_its_end_is_not_begun_with(scene: Scene) -> None:
    scene.queue(*(queue_row(f"a{n}") for n in range(4)), confirmation("b1"))
    held = scene.worker().exchange([], NOW, 1, ahead=4).held
    with scene.ledger.begin() as connection:
        assert len(withdraw_reminders(connection, scene.campaign_id, ["a1", "a9"], NOW, actor="jo", reason="paused")) == 1
    begun, held, _ = scene.worker().exchange([], NOW, 2, held=held, ahead=0)
    assert ([each.account_id for each in begun], [each.account_id for each in held]) == (["a0", "a2"], ["a3"])
    assert scene.worker().exchange([], CUTOFF, 1, held=held, ahead=0) == ([], [], [])
    rows = scene.letters()
    assert [(rows[f"a{n}@example.com"].state, rows[f"a{n}@example.com"].reason) for n in (1, 3)] == [
        ("withdrawn", "paused"), ("withdrawn", "past_cutoff"),
    ]  # fmt: skip
    assert all((row.owner, row.lease_until) == (None, None) for row in rows.values() if row.state == "withdrawn")


def test_an_uncertain_confirmation_goes_back_once_with_the_same_message_id(scene: Scene) -> None:
    scene.queue(confirmation("a1"))
    first = scene.claimed()
    swept = scene.worker().sweep(NOW + HOUR)
    assert swept.requeued == (first.letter_id,)
    again = scene.claimed(now=NOW + HOUR)
    assert (again.message_id, again.resent, again.attempts) == (first.message_id, True, 1)
    assert scene.worker().sweep(NOW + 3 * HOUR) == Swept(uncertain=(first.letter_id,), requeued=())
    assert scene.only().state == "uncertain"


def test_a_confirmation_settled_as_uncertain_goes_back_too(scene: Scene) -> None:
    scene.queue(confirmation("a1"), queue_row("a2"))
    for letter in scene.worker().exchange([], NOW, 2).begun:
        scene.worker().settle(letter, Settlement("uncertain", reason="broken_after_dot"), NOW)
    swept = scene.worker().sweep(NOW)
    assert (swept.uncertain, len(swept.requeued)) == ((), 1)
    assert [row.state for row in scene.letters().values()] == ["queued", "uncertain"]


@pytest.mark.parametrize("limit", [1, 4])
def test_workers_at_once_never_share_a_letter_and_leave_none(ledger_url: str, scene: Scene, limit: int) -> None:
    many, workers = 60, 4
    scene.queue(*(queue_row(f"a{i:03d}") for i in range(many)))
    taken: list[int] = []
    barrier = threading.Barrier(workers)

    def work(name: str) -> None:
        with Ledger.open(LedgerSettings(url=ledger_url), create=False) as own:
            worker = Scene(own, scene.campaign_id, scene.run_seq).worker(name)
            barrier.wait(30)
            claimed = worker.exchange([], NOW, limit).begun
            while claimed:
                taken.extend(letter.letter_id for letter in claimed)
                claimed, _, lost = worker.exchange([(letter, Settlement("sent")) for letter in claimed], NOW, limit)
                assert not lost

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert Counter(Counter(taken).values()) == {1: many}
    assert {row.state for row in scene.letters().values()} == {"sent"}


def test_every_state_a_letter_ever_had_is_in_its_events(scene: Scene) -> None:
    scene.queue(confirmation("a1"))
    worker = scene.worker()
    worker.settle(scene.claimed(), Settlement("temporary", not_before=NOW), NOW)
    scene.claimed()
    worker.sweep(NOW + HOUR)
    worker.settle(scene.claimed(now=NOW + HOUR), Settlement("sent"), NOW + HOUR)
    steps = [(before, after) for _, before, after in scene.events()]
    assert steps == [
        (None, "queued"), ("queued", "claimed"), ("claimed", "sending"), ("sending", "queued"), ("queued", "claimed"),
        ("claimed", "sending"), ("sending", "uncertain"), ("uncertain", "queued"), ("queued", "claimed"), ("claimed", "sending"),
        ("sending", "sent"),
    ]  # fmt: skip


def test_what_is_waiting_and_when_there_is_something_to_do_again(scene: Scene) -> None:
    worker = scene.worker()
    assert (worker.waiting(NOW), worker.next_at()) == (0, None)
    scene.queue(queue_row("a1"), queue_row("a2"))
    assert worker.waiting(NOW) == 2
    first, second = worker.exchange([], NOW, 2).begun
    assert (worker.waiting(NOW), worker.next_at()) == (0, first.lease_until)
    worker.settle(first, Settlement("temporary", not_before=NOW + MINUTE), NOW)
    assert (worker.waiting(NOW), worker.waiting(NOW + MINUTE), worker.next_at()) == (0, 1, NOW + MINUTE)
    worker.settle(second, Settlement("sent"), NOW)
    worker.settle(scene.claimed(now=NOW + MINUTE), Settlement("sent"), NOW + MINUTE)
    assert worker.next_at() is None


def test_where_only_confirmations_may_go_nothing_else_is_waited_for(scene: Scene) -> None:
    worker = scene.worker()
    scene.queue(queue_row("a1"))
    assert (worker.waiting(NOW, only_confirmations=True), worker.next_at(only_confirmations=True)) == (0, None)
    scene.queue(confirmation("a2"))
    (told,) = worker.exchange([], NOW, only_confirmations=True).begun
    assert told.kind == "change_confirmation"
    worker.settle(told, Settlement("temporary", not_before=NOW + MINUTE), NOW)
    assert (worker.waiting(NOW + MINUTE, only_confirmations=True), worker.next_at(only_confirmations=True)) == (1, NOW + MINUTE)


def test_what_a_server_says_of_an_address_is_kept_even_if_the_lease_was_lost(scene: Scene) -> None:
    scene.queue(queue_row("a1"))
    claimed = scene.claimed()
    scene.worker("sweeper").sweep(claimed.lease_until)
    assert not scene.worker().settle(claimed, Settlement("failed", bounce=Bounce("5.1.1", NOW + HOUR)), NOW)
    assert scene.only().state == "uncertain"
    with scene.ledger.read() as connection:
        (row,) = connection.execute(sa.select(schema.bounce))
    assert (row.address, row.code, row.hard, row.until) == ("a1@example.com", "5.1.1", True, NOW + HOUR)


def test_a_claim_sorts_no_outbox_that_the_database_knows_nothing_of_yet(scene: Scene) -> None:
    """A queue of a million, of which PostgreSQL has no statistics yet, was sorted for every hand of letters."""
    scene.queue(*(queue_row(f"a{n}") for n in range(300)))
    asked: list[str] = []
    engine = scene.ledger.engine

    @sa.event.listens_for(engine, "before_cursor_execute", retval=True)
    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        if engine.dialect.name == "postgresql" and "SKIP LOCKED" in statement and "ORDER BY" in statement:
            cursor.execute(f"EXPLAIN {statement}", parameters)
            asked.extend(row[0] for row in cursor.fetchall())
        return statement, parameters

    assert len(scene.worker().exchange([], NOW, 3).begun) == 3
    assert bool(asked) == (engine.dialect.name == "postgresql")
    assert not [line for line in asked if "Sort" in line]


def test_nothing_is_sorted_once_sorting_is_turned_off(scene: Scene) -> None:
    """Up to PostgreSQL 17 a sort then looks so dear that a server with a compiler compiles it: 70 ms for each hand of letters."""
    scene.queue(*(queue_row(f"a{n}") for n in range(30)))
    engine = scene.ledger.engine
    plans: dict[str, str] = {}

    @sa.event.listens_for(engine, "before_cursor_execute", retval=True)
    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        if engine.dialect.name == "postgresql" and not statement.startswith("SET"):
            cursor.execute(f"EXPLAIN {statement}", parameters)
            plans[statement] = "\n".join(row[0] for row in cursor.fetchall())
        return statement, parameters

    worker = scene.worker()
    hand, held, _ = worker.exchange([], NOW, 3, ahead=3)
    worker.exchange([(letter, Settlement("sent", reply="250 Ok")) for letter in hand], NOW, 3, held=held, ahead=3)
    worker.exchange([], NOW, 4, ahead=3)
    assert bool(plans) == (engine.dialect.name == "postgresql")
    assert not {statement: plan for statement, plan in plans.items() if "Sort" in plan}


def test_of_two_claims_of_one_letter_settled_together_only_the_one_that_holds_counts(scene: Scene) -> None:
    scene.queue(queue_row("a1"))
    stale = scene.claimed("worker-1")
    scene.worker("worker-1").settle(stale, Settlement("released"), NOW)
    held = scene.claimed("worker-1", NOW + MINUTE)
    both = [(stale, Settlement("failed", reply="550 no")), (held, Settlement("sent", reply="250 yes"))]
    assert scene.worker("worker-1").exchange(both, NOW + MINUTE, 0).lost == [stale]
    row = scene.only()
    assert (row.state, row.reply, row.attempts) == ("sent", "250 yes", 1)
    assert scene.events()[-2:] == [(row.id, "claimed", "sending"), (row.id, "sending", "sent")]


def test_failed_letters_that_are_put_back_keep_their_history_and_lose_the_try(scene: Scene) -> None:
    scene.queue(queue_row("u1"), queue_row("u2"))
    for account_id in ("u1", "u2"):
        held = scene.claimed()
        scene.worker().settle(held, Settlement("failed", reply=f"554 no {account_id}"), NOW)
    first, second = scene.letters().values()
    assert scene.worker().put_back([first.id], NOW + MINUTE, NOW + 90 * MINUTE) == [first.id]
    assert scene.worker().put_back([first.id], NOW + MINUTE, NOW + 90 * MINUTE) == []
    back, other = scene.letters().values()
    assert (back.state, back.reason, back.reply, back.attempts, back.settled_at) == ("queued", SERVER_REFUSED, "554 no u1", 0, None)
    assert back.not_before == NOW + 90 * MINUTE
    assert other == second
    assert scene.events()[-1] == (first.id, "failed", "queued")


def test_what_the_server_refused_is_remembered_until_it_takes_a_letter(scene: Scene) -> None:
    scene.queue(*(queue_row(f"u{n}") for n in range(4)))
    refused = Settlement("released", reason=SERVER_REFUSED, reply="550 5.7.1 no", not_before=NOW + 90 * MINUTE)
    assert scene.worker().refused_lately() == []
    for settlement, minute in ((Settlement("sent"), 0), (refused, 1), (refused, 2)):
        scene.worker().settle(scene.claimed(now=NOW + minute * MINUTE), settlement, NOW + minute * MINUTE)
    assert scene.worker().refused_lately() == ["550 5.7.1 no"] * 2
    scene.worker().settle(scene.claimed(now=NOW + 3 * MINUTE), Settlement("sent"), NOW + 3 * MINUTE)
    assert scene.worker().refused_lately() == []


def test_outside_the_hours_a_letter_that_ends_before_they_begin_again_goes_and_the_others_wait(scene: Scene) -> None:
    """Of letters that wait the one that ends last was told least recently, and would be next."""
    opens = NOW + 60 * MINUTE
    scene.queue(
        queue_row("a1"),
        queue_row("a2", ends=pd.NaT, occasion="T+0"),
        queue_row("a3", ends=pd.Timestamp(opens), last_told_at=pd.Timestamp(NOW - 60 * MINUTE)),
        queue_row("a4", ends=pd.Timestamp(opens + MINUTE)),
        queue_row("a5", ends=pd.Timestamp(NOW + MINUTE), last_told_at=pd.Timestamp(NOW - 50 * MINUTE)),
        confirmation("a6"),
    )
    worker = scene.worker()
    closed = {"only_confirmations": True, "ending_by": opens}
    assert (worker.waiting(NOW, **closed), worker.waiting(NOW, only_confirmations=True), worker.waiting(NOW)) == (3, 1, 6)
    assert [letter.account_id for letter in worker.exchange([], NOW, 9, **closed).begun] == ["a6", "a3", "a5"]
    assert worker.exchange([], NOW, 9, **closed).begun == []
    assert [letter.account_id for letter in worker.exchange([], NOW, 9).begun] == ["a1", "a2", "a4"]


def test_where_the_hours_are_waited_for_only_a_letter_that_ends_before_them_is_looked_for_again(scene: Scene) -> None:
    opens = NOW + 60 * MINUTE
    scene.queue(queue_row("a1"), queue_row("a2", ends=pd.Timestamp(opens)))
    worker = scene.worker()
    (first,) = worker.exchange([], NOW, 9, only_confirmations=True, ending_by=opens).begun
    worker.settle(first, Settlement("temporary", not_before=NOW + 5 * MINUTE), NOW)
    assert worker.next_at(only_confirmations=True, ending_by=opens) == NOW + 5 * MINUTE
    assert worker.next_at(only_confirmations=True) is None


def test_a_lease_ends_by_the_databases_clock_whatever_a_hosts_says(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hosts on a server, one a day ahead; a SQLite file has no clock but the host's."""
    scene.queue(queue_row("a1"))
    (held,) = Claims(scene.ledger, scene.campaign_id, "right").exchange([], NOW).begun
    monkeypatch.setattr(clock, "_now", lambda: datetime.now(UTC) + timedelta(days=1))
    other = Claims(scene.ledger, scene.campaign_id, "a day ahead")
    lost = (held.letter_id,) if scene.ledger.engine.dialect.name == "sqlite" else ()
    assert other.sweep(NOW).uncertain == lost
    assert abs(held.lease_until - datetime.now(UTC) - timedelta(minutes=5)) < MINUTE
