"""A skeleton: a letter with blanks where it names its person. To fill it in costs a hundredth of rendering the letter.

A skeleton comes out of templates that are rendered with marks for the personal values. `blanks.only_prints` shows whether templates
allow that.
"""

from __future__ import annotations

import itertools
import re
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Self

import markupsafe

from migrate.mail.headers import encode_subject
from migrate.mail.letter import LONGEST_LINE, as_it_is, boundary_of, date_text, quoted
from migrate.mail.person import Person
from migrate.mail.plain import Rendered, Wanted
from migrate.mail.prefilled.layout import as_it_is_part, lay_out, quoted_lines, quoted_part
from migrate.outside import HeaderText, LetterText

_NONCE: Final = secrets.token_hex(8)
"""Random, so that no template and no configuration can contain a mark."""
_MARK: Final = re.compile(rf"{_NONCE}:(\w+):{_NONCE}")
_ESCAPED: Final = "escaped_"
_RUN: Final = "run"
_STEADY: Final = ("reference", _ESCAPED + "reference")
"""The blanks of the reference. If references are `steady`, quoting treats all of them alike."""
_STAND_IN: Final = secrets.token_hex(4)
"""A sample of a steady value."""
_BETWEEN: Final = f"\r\n{_NONCE}\r\n"
_SPECIAL: Final = re.compile("[&<>\"']")
"""The characters that escaping for HTML changes. Most names have none of them."""


def _mark(name: str) -> str:
    return f"{_NONCE}:{name}:{_NONCE}"


def marked(person: Person, *, html: bool) -> Person:
    """Marks in the place of a person's values, to render with. A missing value stays missing, since templates may ask for that."""
    return {name: LetterText(_mark(_ESCAPED * html + name)) if value else value for name, value in person.items()}


def missing(person: Person) -> tuple[str | None, ...]:
    """For each personal value whether it is there, None or empty. Letters that share a skeleton agree in this."""
    return tuple(["there" if value else value for value in person.values()])


def fits(person: Person) -> bool:
    """Whether personal values are what the proof in `blanks` assumes: one line each, without outer spaces."""
    given = [value for value in person.values() if value]
    return "".join(given).isprintable() and given == [value.strip() for value in given]


def steady(person: Person) -> bool:
    """Whether the reference has the form of ours. Then a line with no other personal value is quoted in the same way for everybody."""
    value = person["reference"] or ""
    return len(value) == len(_STAND_IN) and value.isascii() and value.isalnum()


@dataclass(frozen=True, slots=True)
class _Form:
    """A text with blanks. `parts` are the fixed texts and the names of the blanks, in turn; `blanks` are the names alone."""

    parts: tuple[str, ...]
    blanks: tuple[str, ...]

    @classmethod
    def of(cls, marked_text: str) -> Self:
        parts = tuple(map(sys.intern, _MARK.split(marked_text)))  # most of a letter is the text of many others
        return cls(parts, parts[1::2])

    def fill(self, values: dict[str, str]) -> str:
        parts = list(self.parts)
        parts[1::2] = map(values.__getitem__, self.blanks)
        return "".join(parts)


@dataclass(frozen=True, slots=True)
class _Part:
    """A body with blanks.

    If no value is longer than `room` characters, every line can be sent unchanged; `room` is None if the fixed text alone must be quoted.
    `names` are the names of the blanks, each once.
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

    def goes_quoted(self, values: dict[str, str]) -> bool:
        """Whether the part must be quoted when it is filled with `values`."""
        if self.room is None:
            return True
        used = [values[name] for name in self.names]
        return not ("".join(used).isascii() and (max(map(len, used), default=0) <= self.room or as_it_is(self.body.fill(values))))

    def laid_out(self, runs: list[str], *, quote: bool, is_steady: bool) -> str:
        """The part of a message. Lines without personal values are quoted here. Each run of other lines can only be quoted when it is
        filled in: it becomes a blank, and the run is added to `runs`."""
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
    """A message with blanks. `runs` are the runs of lines that are quoted when they are filled in, joined; `names` are their blanks."""

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
            # Quoted in one call, since each call costs time.
            lines = quoted_lines(self.runs.fill(values))
            values = values | dict(zip(self.names, lines.split(_BETWEEN), strict=True))
        return self.form.fill(values)


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A letter with blanks. Whether its text and its page are quoted depends on the person: there is a message for each case, which is
    laid out when the first person needs it."""

    headers: dict[str, HeaderText]
    subject: _Form
    text: _Part
    html: _Part
    is_steady: bool
    _messages: dict[tuple[bool, bool], _Message] = field(default_factory=dict)

    @classmethod
    def of(cls, headers: dict[str, HeaderText], rendered: Rendered, *, is_steady: bool) -> Self:
        """The skeleton of a letter that was rendered with marks; `headers` as for `letter.assemble`, with slots in them.

        `is_steady`: every letter that is made of it has a `steady` reference.
        """
        text, html = _Part.of("plain", rendered.text), _Part.of("html", rendered.html)
        return cls(headers, _Form.of(rendered.subject), text, html, is_steady)

    def fill(self, wanted: Wanted) -> Filled:
        """The letter for one person."""
        values: dict[str, str] = {}
        for name, value in wanted.person.items():
            if value:
                values[name] = value
                values[_ESCAPED + name] = str(markupsafe.escape(value)) if _SPECIAL.search(value) else value
        return Filled(self, wanted, values)

    def message(self, wanted: Wanted, values: dict[str, str], subject: str) -> bytes:
        """The message of a letter; `values` are the personal ones."""
        message = self._message((self.text.goes_quoted(values), self.html.goes_quoted(values)))
        of_letter = {
            "address": wanted.address,
            "reference": wanted.reference,
            "occasion": wanted.occasion,
            "subject": encode_subject(subject),
            "date": date_text(wanted.now),
            "message_id": wanted.message_id,
            "boundary": boundary_of(wanted.message_id),
        }
        return message.fill(values | of_letter).encode()

    def _message(self, quote: tuple[bool, bool]) -> _Message:
        """The message whose text and page, in turn, are quoted or not."""
        try:
            return self._messages[quote]
        except KeyError:
            made = _Message.of(self.headers, (self.text, self.html), quote, is_steady=self.is_steady)
            return self._messages.setdefault(quote, made)


class Filled:
    """The content of a letter made from a skeleton. Each part is filled in when it is first asked for: a plan needs the subject alone, a
    delivery the message."""

    def __init__(self, skeleton: Skeleton, wanted: Wanted, values: dict[str, str]) -> None:
        self._skeleton, self._wanted, self._values = skeleton, wanted, values
        self.subject = skeleton.subject.fill(values)

    @cached_property
    def text(self) -> str:
        return self._skeleton.text.body.fill(self._values)

    @cached_property
    def html(self) -> str:
        return self._skeleton.html.body.fill(self._values)

    @cached_property
    def message(self) -> bytes:
        return self._skeleton.message(self._wanted, self._values, self.subject)


def _quoted_already(marked_line: str, *, is_steady: bool) -> str | None:
    """A line in quoted-printable, with its blanks; None if its quoting depends on the person."""
    blanks = _Form.of(marked_line).blanks
    if blanks and not (is_steady and set(blanks) <= set(_STEADY)):
        return None
    (line,) = quoted([_MARK.sub(_STAND_IN, marked_line)])
    found = line.split(_STAND_IN)
    if len(found) != len(blanks) + 1:
        return None  # a soft line break falls into a blank
    return "".join(itertools.chain.from_iterable(zip(found, [*map(_mark, blanks), ""], strict=True)))


def slot(name: str) -> HeaderText:
    """The mark, in a header, of a value that differs from letter to letter."""
    return HeaderText(_mark(name))


def _room(marked_body: str, forms: Sequence[_Form]) -> int | None:
    """How many characters a value may have so that no line gets too long. None if the fixed text alone has a long line or is not ASCII."""
    fixed = [(sum(map(len, form.parts[::2])), len(form.blanks)) for form in forms]
    if not marked_body.isascii() or any(length > LONGEST_LINE for length, _ in fixed):
        return None
    return min(((LONGEST_LINE - length) // blanks for length, blanks in fixed if blanks), default=LONGEST_LINE)
