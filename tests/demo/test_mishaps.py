from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from migrate.demo.mishaps import GRANTED, Mishaps
from migrate.mail.letter import Letter
from migrate.mail.plain import Written
from migrate.mail.transport import Receipt


class Box:
    """Takes everything."""

    at_once = 1

    def __init__(self) -> None:
        self.taken: list[str] = []

    @contextmanager
    def connect(self) -> Iterator[Box]:
        yield self

    def send(self, letter: Letter, then: Letter | None = None) -> Receipt:
        self.taken.append(letter.to)
        return Receipt("sent", "")  # type: ignore[arg-type]


def test_some_mailboxes_are_never_there_and_some_letters_are_in_doubt_the_same_ones_every_time() -> None:
    content = Written("Soon", "text", "<p>text</p>", b"message")
    plain = Letter("p@example.com", "from@example.com", content, "en", "R", needs_smtputf8=False)
    letters = [replace(plain, to=f"p{n}@example.com") for n in range(2000)]
    told = []
    for _ in range(2):
        box = Box()
        with Mishaps(box).connect() as connection:
            told.append([connection.send(letter).verdict for letter in letters])
        assert len(box.taken) == 2000 - told[-1].count("permanent"), "a letter in doubt has been handed over"
    assert told[0] == told[1]
    assert 5 <= told[0].count("permanent") <= 25 and 1 <= told[0].count("uncertain") <= 10


def test_exceptions_have_an_owner_a_reason_and_a_last_day_that_is_to_come() -> None:
    assert all(each.owner and each.reason and each.until > day for day, granted in GRANTED.items() for each in granted)
    assert {each.kind for granted in GRANTED.values() for each in granted} == {"exemption", "pause"}
