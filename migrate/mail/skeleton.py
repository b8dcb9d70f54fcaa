"""A letter written once, with blanks where it names its person; filling it in costs a hundredth of writing it (docs/decisions/0008).

Whether a letter's templates allow this is shown by `blanks.only_prints`. The blanks then are marks that stand in for the personal values
while the templates are rendered; what comes out is a format for every letter that agrees in all the rest.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

import markupsafe

from migrate.mail.letters import (
    LONGEST_LINE,
    as_it_is,
    as_it_is_part,
    boundary_of,
    date_text,
    encode_subject,
    lay_out,
    quoted,
    quoted_lines,
    quoted_part,
)

Person = dict[str, str | None]
"""A personal value by its name in `blanks`; missing or empty where there is none."""

_NONCE: Final = secrets.token_hex(8)
"""So that no template and no configuration can have a mark in it."""
_MARK: Final = re.compile(rf"{_NONCE}:(\w+):{_NONCE}")
_ESCAPED: Final = "escaped_"
_SPECIAL: Final = re.compile("[&<>\"']")
"""What escaping for HTML changes; most names have none of it."""


def _mark(name: str) -> str:
    return f"{_NONCE}:{name}:{_NONCE}"


def marked(person: Person, *, html: bool) -> Person:
    """The marks that stand for a person's values while a text or a page is rendered; what is missing stays so, for templates may ask."""
    return {name: _mark(_ESCAPED * html + name) if value else value for name, value in person.items()}


def missing(person: Person) -> tuple[str | None, ...]:
    """What letters that share a skeleton agree in of their persons: the values that are missing or empty, and how."""
    return tuple("there" if value else value for value in person.values())


def fits(person: Person) -> bool:
    """Whether personal values are such as the proof assumes them: one line each, without outer spaces."""
    return all(value.isprintable() and value == value.strip() for value in person.values() if value)


@dataclass(frozen=True, slots=True)
class Filled:
    """A letter's parts. `message` is None where it has not been assembled yet."""

    subject: str
    text: str
    html: str
    message: bytes | None


@dataclass(frozen=True, slots=True)
class _Form:
    """A text with blanks in it: fixed parts and the names of what stands between them, in turn."""

    parts: tuple[str, ...]

    @classmethod
    def of(cls, marked_text: str) -> Self:
        return cls(tuple(_MARK.split(marked_text)))

    @property
    def blanks(self) -> tuple[str, ...]:
        return self.parts[1::2]

    def fill(self, values: dict[str, str]) -> str:
        parts = list(self.parts)
        parts[1::2] = map(values.__getitem__, self.parts[1::2])
        return "".join(parts)


@dataclass(frozen=True, slots=True)
class _Quoted:
    """A part that travels quoted. `form` has a blank for each run of lines with blanks, whose own form `runs` has by that name."""

    form: _Form
    runs: tuple[tuple[str, _Form], ...]

    @classmethod
    def of(cls, subtype: str, lines: Sequence[str]) -> Self:
        pieces: list[str] = []
        runs: list[tuple[str, _Form]] = []
        for has_blanks, group in itertools.groupby(lines, lambda line: bool(_MARK.search(line))):
            if has_blanks:
                name = f"run{len(runs)}"
                runs.append((name, _Form.of("".join(f"{line}\n" for line in group))))
                pieces.append(_mark(name))
            else:
                pieces += quoted(list(group))
        return cls(_Form.of(quoted_part(subtype, pieces)), tuple(runs))

    def fill(self, values: dict[str, str]) -> str:
        return self.form.fill({name: quoted_lines(run.fill(values)) for name, run in self.runs})


@dataclass(frozen=True, slots=True)
class _Part:
    """A body with blanks, and the part of a message it becomes: as it is, or quoted.

    `room` is how long values may be for every line to travel as it is; None if the fixed text cannot. `names` are those of the
    blanks, each once.
    """

    body: _Form
    as_it_is: _Form
    quoted: _Quoted
    room: int | None
    names: tuple[str, ...]

    @classmethod
    def of(cls, subtype: str, marked_body: str) -> Self:
        lines = marked_body.splitlines()
        forms = [_Form.of(line) for line in lines]
        names = tuple(dict.fromkeys(name for form in forms for name in form.blanks))
        plain = _Form.of(as_it_is_part(subtype, lines))
        return cls(_Form.of(marked_body), plain, _Quoted.of(subtype, lines), _room(marked_body, forms), names)

    def fill(self, body: str, values: dict[str, str]) -> str:
        """The part; `body` is what the values make of its own."""
        if self.room is not None:
            used = [values[name] for name in self.names]
            if "".join(used).isascii() and (max(map(len, used), default=0) <= self.room or as_it_is(body)):
                return self.as_it_is.fill(values)
        return self.quoted.fill(values)


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A letter with blanks."""

    subject: _Form
    text: _Part
    html: _Part
    message: _Form

    @classmethod
    def of(cls, headers: dict[str, str], subject: str, text: str, html: str) -> Self:
        """The skeleton of a letter that was rendered with the marks; `headers` as for `letters.assemble`, with slots in them."""
        message = lay_out(
            headers,
            subject=_mark("subject"),
            date=_mark("date"),
            message_id=_mark("message_id"),
            boundary=_mark("boundary"),
            parts=(_mark("text"), _mark("html")),
        )
        return cls(_Form.of(subject), _Part.of("plain", text), _Part.of("html", html), _Form.of(message))

    def fill(self, person: Person, headers: dict[str, str], *, message_id: str, date: datetime) -> Filled:
        """The letter of one person; `headers` are what the slots in its headers stand for."""
        values: dict[str, str] = {}
        for name, value in person.items():
            if value:
                values[name] = value
                values[_ESCAPED + name] = str(markupsafe.escape(value)) if _SPECIAL.search(value) else value
        subject, text, html = self.subject.fill(values), self.text.body.fill(values), self.html.body.fill(values)
        slots = headers | {
            "subject": encode_subject(subject),
            "date": date_text(date),
            "message_id": message_id,
            "boundary": boundary_of(message_id),
            "text": self.text.fill(text, values),
            "html": self.html.fill(html, values),
        }
        return Filled(subject, text, html, self.message.fill(slots).encode())


def slot(name: str) -> str:
    """What stands in a header for a value that each letter has of its own."""
    return _mark(name)


def _room(marked_body: str, forms: Sequence[_Form]) -> int | None:
    """How many characters a value may have so that no line gets too long; None if one is, or is not ASCII, without them."""
    fixed = [(sum(map(len, form.parts[::2])), len(form.blanks)) for form in forms]
    if not marked_body.isascii() or any(length > LONGEST_LINE for length, _ in fixed):
        return None
    return min(((LONGEST_LINE - length) // blanks for length, blanks in fixed if blanks), default=LONGEST_LINE)
