"""The senders of one process keep to one processor, and move to a freer one."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import TypeVar

import pytest
from delivery.post_office import TAKEN, PostOffice, delivered, queue
from ledger.scenes import Scene

from migrate.delivery import cpu_affinity
from migrate.delivery.cpu_affinity import CpuAffinity, freest
from migrate.mail.compose import Composer
from migrate.mail.letter import Letter
from migrate.mail.transport import Receipt

_T = TypeVar("_T")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a thread say where it runs")


def apart(work: Callable[[], _T]) -> _T:
    """What `work` returns in a thread of its own, which alone it may keep to a processor."""
    found: list[_T] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize(
    ("here", "others", "then"),
    [
        (0, {0: 0.1, 1: 0.0}, 0),
        (0, {0: 0.3, 1: 0.2}, 0),
        (0, {0: 0.9, 1: 0.2}, 1),
        (1, {0: 0.9, 1: 0.2}, 1),
        (2, {0: 0.3, 1: 0.1, 2: 0.6}, 1),
    ],
)
def test_it_moves_only_where_much_more_is_free(here: int, others: Mapping[int, float], then: int) -> None:
    assert freest(here, others) == then


@on_linux
def test_a_thread_is_kept_to_one_processor_and_its_process_is_not() -> None:
    allowed = os.sched_getaffinity(0)
    kept = CpuAffinity()

    def one() -> set[int]:
        kept.keep()
        return os.sched_getaffinity(0)

    first, second = apart(one), apart(one)
    assert first == second
    assert len(first) == 1
    assert first < allowed or len(allowed) == 1
    assert os.sched_getaffinity(0) == allowed


@on_linux
def test_one_of_several_processes_takes_the_next_processor() -> None:
    allowed = sorted(os.sched_getaffinity(0))

    def kept(number: int) -> set[int]:
        CpuAffinity(number).keep()
        return os.sched_getaffinity(0)

    assert [apart(lambda number=number: kept(number)) for number in range(3)] == [{allowed[number % len(allowed)]} for number in range(3)]


@on_linux
def test_where_others_work_it_moves_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_affinity, "_allowed", lambda: frozenset({0, 7}))
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, where: moves.append(where))
    passed, worked, seconds, moves = 0.0, {0: 0.0, 7: 0.0}, 0.0, list[set[int]]()
    monkeypatch.setattr("time.monotonic", lambda: 1000 + passed)
    monkeypatch.setattr("time.process_time", lambda: seconds)
    monkeypatch.setattr(cpu_affinity, "_busy", lambda: dict(worked))
    kept = CpuAffinity(0)
    kept.keep()
    passed, seconds, worked = 3.0, 2.5, {0: 2.8, 7: 0.5}  # what is done here is ours
    kept.keep()
    assert moves == [{0}]
    passed, seconds, worked = 6.0, 3.5, {0: 5.8, 7: 0.6}
    kept.keep()
    assert moves == [{0}, {7}]


def test_elsewhere_threads_run_where_they_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_affinity, "_allowed", frozenset)
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    CpuAffinity().keep()
    CpuAffinity(3).keep()


@on_linux
def test_where_processors_are_numbered_in_another_way_threads_run_where_they_like(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = os.sched_getaffinity(0)
    passed = 0.0
    monkeypatch.setattr("time.monotonic", lambda: 1000 + passed)
    kept = CpuAffinity(0)

    def before_and_after() -> list[set[int]]:
        nonlocal passed
        kept.keep()
        first = os.sched_getaffinity(0)
        monkeypatch.setattr(cpu_affinity, "_busy", lambda: {999: 1.0})
        passed = 3.0
        for _ in range(2):
            kept.keep()
        return [first, os.sched_getaffinity(0)]

    assert apart(before_and_after) == [{min(allowed)}, allowed]


@on_linux
def test_where_it_is_forbidden_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_pid: int, _where: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    CpuAffinity(0).keep()


@on_linux
@pytest.mark.parametrize("connections", [1, 2])
def test_letters_go_out_from_one_processor_unless_their_sender_is_alone(scene: Scene, composer: Composer, connections: int) -> None:
    """Who is alone in its process takes turns with nobody, and runs wherever there is room."""
    places: list[int] = []

    def take(_: Letter) -> Receipt:
        places.append(len(os.sched_getaffinity(0)))
        return TAKEN

    before = os.sched_getaffinity(0)
    queue(scene, 3)
    assert delivered(scene, composer, PostOffice(take), connections=connections).sent == 3
    assert places == [len(before) if connections == 1 else 1] * 3
    assert os.sched_getaffinity(0) == before


@on_linux
def test_a_sender_that_always_has_letters_in_hand_moves_as_well(scene: Scene, composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []
    monkeypatch.setattr(CpuAffinity, "keep", lambda _: kept.append(1))
    office = PostOffice()
    office.at_once = 32
    queue(scene, 100)
    assert delivered(scene, composer, office, connections=2).sent == 100
    assert len(kept) >= 100
