"""Work in threads of its own."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from migrate.process.prefetch import ahead, begun, meanwhile


def numbers(seen: list[int], upto: int, closed: list[int]) -> Generator[int, None, None]:
    try:
        for number in range(upto):
            seen.append(number)
            yield number
    finally:
        closed.append(threading.get_ident())


def test_what_is_asked_for_comes_whole_and_in_order() -> None:
    closed: list[int] = []
    assert list(ahead(numbers([], 50, closed))) == list(range(50))
    assert len(closed) == 1
    assert closed != [threading.get_ident()]


def test_no_more_is_made_than_was_allowed_for() -> None:
    seen: list[int] = []
    made = ahead(numbers(seen, 50, []), most=3)
    assert next(made) == 0
    del made
    # One was given, three wait, and one is held by whoever makes them.
    assert len(seen) <= 5


def test_whoever_stops_asking_ends_the_thread_and_what_it_held() -> None:
    closed: list[int] = []
    for number in ahead(numbers([], 50, closed)):
        if number == 2:
            break
    assert len(closed) == 1
    assert closed != [threading.get_ident()]


def test_what_goes_wrong_is_raised_where_it_is_asked_for_after_what_went_well() -> None:
    def breaks() -> Generator[int, None, None]:
        yield 1
        raise OSError("no more")

    made = ahead(breaks())
    assert next(made) == 1
    with pytest.raises(OSError, match="no more"):
        next(made)


def test_what_has_begun_is_made_before_anybody_asks() -> None:
    first = threading.Event()

    def says() -> Generator[int, None, None]:
        first.set()
        yield from range(50)

    with begun(says(), most=4) as made:
        assert first.wait(10)
        assert list(made) == list(range(50))


def test_what_ended_with_its_context_is_never_taken_for_complete() -> None:
    closed: list[int] = []
    with begun(numbers([], 50, closed)) as made:
        assert next(made) == 0
    assert len(closed) == 1
    with pytest.raises(RuntimeError, match="end of the context"):
        list(made)


def test_what_is_done_meanwhile_is_returned_or_raised_when_it_is_asked_for() -> None:
    go = threading.Event()
    done = meanwhile(lambda: go.wait(10))
    assert not done.done()
    go.set()
    assert done.result(10) is True
    with pytest.raises(ZeroDivisionError):
        meanwhile(lambda: 1 // 0).result(10)
