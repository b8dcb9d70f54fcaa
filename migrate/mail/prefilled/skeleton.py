"""A skeleton: a letter with blanks where it names its person. To fill it in costs a hundredth of rendering the letter.

A skeleton comes out of templates that are rendered with marks for the personal values. `blanks.only_prints` shows whether templates
allow that.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import markupsafe

from migrate.mail.headers import encode_subject
from migrate.mail.letter import LONGEST_LINE, as_it_is, boundary_of, date_text, quoted
from migrate.mail.person import Person
from migrate.mail.plain import Rendered, Wanted, Written
from migrate.mail.prefilled.layout import as_it_is_part, lay_out, quoted_lines, quoted_part
from migrate.outside import HeaderText, LetterText

_NONCE: Final = secrets.token_hex(8)
"""So that no template and no configuration can have a mark in it."""
_MARK: Final = re.compile(rf"{_NONCE}:(\w+):{_NONCE}")
_ESCAPED: Final = "escaped_"
_RUN: Final = "run"
_STEADY: Final = ("reference", _ESCAPED + "reference")
"""The blank whose values are alike in all that quoting looks at, if they are `steady`."""
_STAND_IN: Final = secrets.token_hex(4)
"""Any steady value."""
_BETWEEN: Final = f"\r\n{_NONCE}\r\n"
_SPECIAL: Final = re.compile("[&<>\"']")
"""What escaping for HTML changes; most names have none of it."""


def _mark(name: str) -> str:
    return f"{_NONCE}:{name}:{_NONCE}"


def marked(person: Person, *, html: bool) -> Person:
    """The marks that stand for a person's values while a text or a page is rendered; what is missing stays so, for templates may ask."""
    return {name: LetterText(_mark(_ESCAPED * html + name)) if value else value for name, value in person.items()}


def missing(person: Person) -> tuple[str | None, ...]:
    """What letters that share a skeleton agree in of their persons: the values that are missing or empty, and how."""
    return tuple(["there" if value else value for value in person.values()])


def fits(person: Person) -> bool:
    """Whether personal values are such as the proof assumes them: one line each, without outer spaces."""
    given = [value for value in person.values() if value]
    return "".join(given).isprintable() and given == [value.strip() for value in given]


def steady(person: Person) -> bool:
    """Whether the reference is such as we make them, so that a line that names nothing else is quoted the same way whatever it is."""
    value = person["reference"] or ""
    return len(value) == len(_STAND_IN) and value.isascii() and value.isalnum()


@dataclass(frozen=True, slots=True)
class _Form:
    """A text with blanks in it: fixed parts and what stands between them, in turn, whose names are `blanks`."""

    parts: tuple[str, ...]
    blanks: tuple[str, ...]

    @classmethod
    def of(cls, marked_text: str) -> Self:
        parts = tuple(_MARK.split(marked_text))
        return cls(parts, parts[1::2])

    def fill(self, values: dict[str, str]) -> str:
        parts = list(self.parts)
        parts[1::2] = map(values.__getitem__, self.blanks)
        return "".join(parts)


@dataclass(frozen=True, slots=True)
class _Part:
    """A body with blanks.

    `room` is how long values may be for every line to travel as it is; None if the fixed text cannot. `names` are those of the
    blanks, each once.
    """

    subtype: str
    lines: tuple[str, ...]
    body: _Form
    room: int | None
    names: tuple[str, ...]

    @classmethod
    def of(cls, subtype: str, marked_body: str) -> Self:
        lines = tuple(marked_body.splitlines())
        forms = [_Form.of(line) for line in lines]
        names = tuple(dict.fromkeys(name for form in forms for name in form.blanks))
        return cls(subtype, lines, _Form.of(marked_body), _room(marked_body, forms), names)

    def goes_quoted(self, body: str, values: dict[str, str]) -> bool:
        """Whether the part travels quoted; `body` is what the values make of its own."""
        if self.room is None:
            return True
        used = [values[name] for name in self.names]
        return not ("".join(used).isascii() and (max(map(len, used), default=0) <= self.room or as_it_is(body)))

    def laid_out(self, runs: list[str], *, quote: bool, is_steady: bool) -> str:
        """The part of a message. If it is quoted it has a blank for each run of lines that can only be quoted once they are filled in, and
        the run is added to `runs`."""
        if not quote:
            return as_it_is_part(self.subtype, self.lines)
        pieces: list[str] = []
        each = [(line, _quoted_already(line, is_steady=is_steady)) for line in self.lines]
        for can_be, group in itertools.groupby(each, lambda both: both[1] is not None):
            if can_be:
                pieces += (done for _, done in group if done is not None)
            else:
                pieces.append(_mark(f"{_RUN}{len(runs)}"))
                runs.append("".join(f"{line}\n" for line, _ in group))
        return quoted_part(self.subtype, pieces)


@dataclass(frozen=True, slots=True)
class _Message:
    """A message with blanks. `runs`, if any, are the runs of lines to be quoted, one below the other; `names` are those of their blanks."""

    form: _Form
    runs: _Form | None
    names: tuple[str, ...]

    @classmethod
    def of(cls, headers: dict[str, HeaderText], parts: Sequence[_Part], quote: Sequence[bool], *, is_steady: bool) -> Self:
        runs: list[str] = []
        text, html = (part.laid_out(runs, quote=this, is_steady=is_steady) for part, this in zip(parts, quote, strict=True))
        message = lay_out(
            headers,
            subject=slot("subject"),
            date=_mark("date"),
            message_id=_mark("message_id"),
            boundary=_mark("boundary"),
            parts=(text, html),
        )
        names = tuple(f"{_RUN}{number}" for number in range(len(runs)))
        return cls(_Form.of(message), _Form.of(f"{_NONCE}\n".join(runs)) if runs else None, names)

    def fill(self, values: dict[str, str]) -> str:
        if self.runs is not None:
            # All at once: to quote costs by the call.
            lines = quoted_lines(self.runs.fill(values))
            values = values | dict(zip(self.names, lines.split(_BETWEEN), strict=True))
        return self.form.fill(values)


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A letter with blanks. `messages` has its message by which of the two parts travel quoted: that may depend on the person."""

    subject: _Form
    text: _Part
    html: _Part
    messages: dict[tuple[bool, bool], _Message]

    @classmethod
    def of(cls, headers: dict[str, HeaderText], rendered: Rendered, *, is_steady: bool) -> Self:
        """The skeleton of a letter that was rendered with marks; `headers` as for `letter.assemble`, with slots in them.

        `is_steady`: every letter that is made of it has a `steady` reference.
        """
        parts = _Part.of("plain", rendered.text), _Part.of("html", rendered.html)
        either = (False, True)
        messages = {(one, other): _Message.of(headers, parts, (one, other), is_steady=is_steady) for one in either for other in either}
        return cls(_Form.of(rendered.subject), *parts, messages)

    def fill(self, wanted: Wanted) -> Written:
        """The letter for one person."""
        values: dict[str, str] = {}
        for name, value in wanted.person.items():
            if value:
                values[name] = value
                values[_ESCAPED + name] = str(markupsafe.escape(value)) if _SPECIAL.search(value) else value
        subject, text, html = self.subject.fill(values), self.text.body.fill(values), self.html.body.fill(values)
        message = self.messages[self.text.goes_quoted(text, values), self.html.goes_quoted(html, values)]
        values["address"] = wanted.address
        values["reference"] = wanted.reference
        values["occasion"] = wanted.occasion
        values["subject"] = encode_subject(subject)
        values["date"] = date_text(wanted.now)
        values["message_id"] = wanted.message_id
        values["boundary"] = boundary_of(wanted.message_id)
        return Written(subject, text, html, message.fill(values).encode())


def _quoted_already(marked_line: str, *, is_steady: bool) -> str | None:
    """A line as it is quoted whoever it is for, with its blanks; None if that depends on the person."""
    blanks = _Form.of(marked_line).blanks
    if blanks and not (is_steady and set(blanks) <= set(_STEADY)):
        return None
    (line,) = quoted([_MARK.sub(_STAND_IN, marked_line)])
    found = line.split(_STAND_IN)
    if len(found) != len(blanks) + 1:
        return None  # a line that is too long is broken there
    return "".join(itertools.chain.from_iterable(zip(found, [*map(_mark, blanks), ""], strict=True)))


def slot(name: str) -> HeaderText:
    """What stands in a header for a value that each letter has of its own."""
    return HeaderText(_mark(name))


def _room(marked_body: str, forms: Sequence[_Form]) -> int | None:
    """How many characters a value may have so that no line gets too long; None if one is, or is not ASCII, without them."""
    fixed = [(sum(map(len, form.parts[::2])), len(form.blanks)) for form in forms]
    if not marked_body.isascii() or any(length > LONGEST_LINE for length, _ in fixed):
        return None
    return min(((LONGEST_LINE - length) // blanks for length, blanks in fixed if blanks), default=LONGEST_LINE)
