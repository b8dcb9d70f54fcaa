"""Tasks that run in the background while more are made."""

import hashlib
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from migrate import files
from migrate.files.digests import Sealed
from migrate.report.background import BackgroundWriter


def refuse() -> None:
    raise OSError(28, "No space left on device")


def test_work_is_done_in_the_order_in_which_it_was_told_and_all_of_it_at_the_end() -> None:
    done: list[int] = []
    with BackgroundWriter() as writer:
        for number in range(20):
            writer.do(lambda number=number: done.append(number))  # type: ignore[misc]
    assert done == list(range(20))


def test_no_more_than_two_pieces_of_work_are_held() -> None:
    gate, third = threading.Event(), threading.Event()
    with BackgroundWriter() as writer:
        writer.do(gate.wait)
        writer.do(int)
        teller = threading.Thread(target=lambda: (writer.do(int), third.set()))
        teller.start()
        assert not third.wait(0.05)
        gate.set()
        assert third.wait(10)
        teller.join()


def test_what_goes_wrong_is_raised_when_more_is_told() -> None:
    told = 0
    with pytest.raises(OSError, match="No space left"), BackgroundWriter() as writer:
        writer.do(refuse)
        for _ in range(3):
            writer.do(int)
            told += 1
    assert told < 3


def test_what_goes_wrong_last_is_raised_at_the_end() -> None:
    with pytest.raises(OSError, match="No space left"), BackgroundWriter() as writer:
        writer.do(refuse)


def test_what_went_wrong_elsewhere_is_not_hidden_and_nothing_more_is_done() -> None:
    done: list[int] = []

    def until_the_next_is_called_off() -> None:
        deadline = time.monotonic() + 10
        while not writer._tasks[-1].cancelled() and time.monotonic() < deadline:
            time.sleep(0.001)

    with pytest.raises(KeyError), BackgroundWriter() as writer:
        writer.do(until_the_next_is_called_off)
        writer.do(lambda: done.append(1))
        raise KeyError
    assert done == []


def test_a_sealed_file_holds_what_was_written_and_knows_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with Sealed(files.create(path)) as sealed, BackgroundWriter() as writer:
        sealed.write(b"head\n")
        for number in range(5):
            writer.do(partial(sealed.write, memoryview(f"{number}\n".encode())))
    assert path.read_bytes() == b"head\n0\n1\n2\n3\n4\n"
    assert sealed.hexdigest() == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sealed.closed
