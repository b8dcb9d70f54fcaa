"""The output of a command: for people on a terminal, plain lines elsewhere, or one JSON object (design §15)."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Protocol

import typer

from migrate import outside
from migrate.errors import MigrateError
from migrate.outside import JsonText, TerminalText

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only what needs a person.")]
Style = Literal["green", "yellow", "red"]

_CODES: Final[dict[Style, int]] = {"green": 32, "yellow": 33, "red": 31}


_WIDEST: Final = 100
"""Text is broken at this width even on a wider terminal: longer lines are hard to read."""


class Step(Protocol):
    """Moves a progress bar to `done` of `total` (None: not known yet), and names what is going on now."""

    def __call__(self, done: int, total: int | None = None, what: str | None = None, /) -> None: ...


@dataclass(frozen=True, slots=True)
class Console:
    """The output of a command. With `json` only `result` prints; with `quiet` only `result` and `need`.

    Each text is printed as one line, whatever names it quotes: text that somebody else wrote must not look like a line of ours.
    """

    json: bool = False
    quiet: bool = False

    def say(self, text: str = "", style: Style | None = None) -> None:
        """Prints a line for people."""
        if not (self.json or self.quiet):
            _write(_coloured(outside.terminal(text), style))

    def wrapped(self, text: str, head: str = "", style: Style | None = None) -> None:
        """Prints a line for people with a head in front, such as an instant. On a terminal it is broken to the width, and goes on below
        the text."""
        if not on_terminal():
            self.say(f"{head}{text}", style)
            return
        room = min(shutil.get_terminal_size().columns, _WIDEST)
        for line in textwrap.wrap(outside.terminal(text), room, initial_indent=head, subsequent_indent=" " * len(head)) or [head]:
            self.say(line, style)

    def page(self, text: str) -> None:
        """Prints a text of several lines, such as a letter."""
        for line in text.splitlines():
            self.say(line)

    def need(self, text: str, style: Style | None = None) -> None:
        """Prints a line that a person must see, also with --quiet."""
        if not self.json:
            _write(_coloured(outside.terminal(text), style))

    def result(self, facts: Mapping[str, Any]) -> None:
        """Prints the facts of the command as the one JSON object of `--json`; without `--json` nothing."""
        if self.json:
            _write(outside.json_text(outside.kept_back(facts), default=_jsonable))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None) -> None:
        """Prints rows under their columns: with rules on a terminal, aligned by spaces elsewhere. Numbers are aligned to the right."""
        if self.json or self.quiet:
            return
        heads, named = [outside.terminal(column) for column in columns], outside.terminal(title or "")
        cells = [[outside.terminal("" if cell is None else str(cell)) for cell in row] for row in rows]
        right = [bool(rows) and all(isinstance(row[i], (int, float)) for row in rows) for i in range(len(columns))]
        if on_terminal():
            _ruled(heads, cells, right, named)
            return
        if named:
            _write(named)
        for line in _aligned([heads, *cells], right):
            _write(line)

    @contextmanager
    def progress(self, what: str) -> Iterator[Step]:
        """Shows a progress bar on the terminal's error stream while the context lasts; elsewhere it shows nothing."""
        if self.json or self.quiet or not sys.stderr.isatty():
            yield _unseen
            return
        import rich.console
        import rich.progress

        with rich.progress.Progress(console=rich.console.Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total=None, now=None: bar.update(task, completed=done, total=total, description=now or what)


def warn(text: str) -> None:
    """Prints a line on the error stream that is not part of the result."""
    print(outside.terminal(text), file=sys.stderr)


def complain(error: MigrateError | str) -> None:
    """Prints an error on the error stream."""
    first, *others = error.lines() if isinstance(error, MigrateError) else error.split("\n")
    warn(f"Error: {first}")
    for line in others:
        warn(line)


def on_terminal() -> bool:
    """Whether standard output is a terminal that can show colours and move the cursor."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _unseen(_done: int, _total: int | None = None, _what: str | None = None) -> None:
    """The progress callback where no bar is shown."""


def _coloured(text: TerminalText, style: Style | None) -> TerminalText:
    return TerminalText(f"\x1b[{_CODES[style]}m{text}\x1b[0m") if style and on_terminal() and _in_colour() else text


def _in_colour() -> bool:
    return not os.environ.get("NO_COLOR")


def masked(address: str) -> str:
    """An address for logs: `j***@example.com`."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}***{at}{domain}" if at else "***"


def _write(text: TerminalText | JsonText) -> None:
    print(text, flush=True)


def _jsonable(value: object) -> object:
    if isinstance(value, (date, datetime)):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def _aligned(lines: list[list[TerminalText]], right: list[bool]) -> Iterator[TerminalText]:
    widths = [max(_width(line[i]) for line in lines) for i in range(len(right))]
    for line in lines:
        cells = [_padded(cell, width, to_right) for cell, width, to_right in zip(line, widths, right, strict=True)]
        yield TerminalText("  ".join(cells).rstrip())


def _padded(cell: str, width: int, to_right: bool) -> str:
    room = " " * (width - _width(cell))
    return room + cell if to_right else cell + room


def _width(text: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _ruled(columns: Sequence[TerminalText], cells: list[list[TerminalText]], right: list[bool], title: TerminalText) -> None:
    import rich.box
    import rich.console
    import rich.table
    import rich.text

    strong = "bold" if _in_colour() else ""
    table = rich.table.Table(
        title=rich.text.Text(title) if title else None,
        title_style=strong,
        header_style=strong,
        title_justify="left",
        box=rich.box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for column, to_right in zip(columns, right, strict=True):
        table.add_column(rich.text.Text(column), justify="right" if to_right else "left", overflow="fold")
    for row in cells:
        table.add_row(*(rich.text.Text(cell) for cell in row))
    rich.console.Console().print(table)


def one_line(text: str) -> str:
    """Text that somebody else wrote, with each run of blanks, tabs and line breaks as one space."""
    return " ".join(text.split())
