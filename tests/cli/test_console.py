"""What a command prints, and for whom."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from migrate.cli.console import Console, masked


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Makes standard output a terminal; called within the test, since pytest sets up its own capture just before it."""

    def attach() -> Terminal:
        screen = Terminal()
        monkeypatch.setattr(sys, "stdout", screen)
        return screen

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    return attach


ROWS = [("sms_only", 12), ("migrated", 1500)]


def test_a_table_is_aligned_lines_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    Console().table(("standing", "accounts"), ROWS, title="Today")
    assert capsys.readouterr().out == "Today\nstanding  accounts\nsms_only        12\nmigrated      1500\n"


def test_wide_and_combining_characters_keep_the_columns_straight(capsys: pytest.CaptureFixture[str]) -> None:
    Console().table(("name", "x"), [("日本", "a"), ("e\u0301", "b")])
    assert capsys.readouterr().out.splitlines() == ["name  x", "日本  a", "e\u0301     b"]


def test_a_table_is_ruled_on_a_terminal(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    Console().table(("standing", "accounts"), ROWS)
    assert "─" in screen.getvalue()


def test_a_table_of_no_rows_is_its_header(capsys: pytest.CaptureFixture[str]) -> None:
    Console().table(("standing", "accounts"), [])
    assert capsys.readouterr().out == "standing  accounts\n"


def test_colour_is_for_terminals(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    Console().say("fine", "green")
    assert screen.getvalue() == "\x1b[32mfine\x1b[0m\n"


def test_no_color_is_honoured(terminal: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal()
    monkeypatch.setenv("NO_COLOR", "1")
    Console().say("fine", "green")
    Console().table(("standing", "accounts"), ROWS, title="Today")
    assert "\x1b" not in screen.getvalue()


def test_a_dumb_terminal_gets_plain_lines(terminal: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal()
    monkeypatch.setenv("TERM", "dumb")
    Console().say("fine", "green")
    Console().table(("a",), [("b",)])
    assert screen.getvalue() == "fine\na\nb\n"


@pytest.mark.parametrize("text", ["\x1b]0;owned\x07", "\x1b[2J", "a\rb", "\x9b31m", "\u202egnp.exe"])
def test_a_directorys_control_characters_never_reach_the_terminal(text: str, terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    Console().say(text)
    Console().need(text)
    Console().table((text,), [(text,)], title=text)
    out = screen.getvalue().replace("\x1b[3m", "").replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert not set(out) & set("\x1b\x07\r\x9b\u202e")


def test_markup_in_a_name_is_text(terminal: Callable[[], Terminal]) -> None:
    screen = terminal()
    Console().table(("name",), [("[red]Jo[/red]",)])
    assert "[red]Jo[/red]" in screen.getvalue()


def test_with_json_only_the_one_object_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(json=True)
    console.say("no")
    console.need("no")
    console.table(("no",), [("no",)])
    with console.progress("no") as step:
        step(1, 2)
    console.result(
        {"at": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), "on": date(2024, 1, 2), "dir": Path("a"), "words": {"b", "a"}, "n": "ä"}
    )
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"at": "2024-01-02T03:04:05Z", "on": "2024-01-02", "dir": "a", "words": ["a", "b"], "n": "ä"}
    assert captured.err == ""


def test_what_is_no_json_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="object is no JSON"):
        Console(json=True).result({"x": object()})


def test_quiet_leaves_what_needs_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(quiet=True)
    console.say("no")
    console.table(("no",), [("no",)])
    console.result({"no": 1})
    console.need("3 letters are uncertain")
    assert capsys.readouterr().out == "3 letters are uncertain\n"


def test_a_progress_bar_is_drawn_on_the_error_stream_of_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    with Console().progress("reading") as step:
        step(1, 2)
    assert "reading" in screen.getvalue()
    assert capsys.readouterr().out == ""


def test_progress_is_silent_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    with Console().progress("reading") as step:
        step(1)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize(
    ("address", "shown"), [("jo@example.com", "j***@example.com"), ("@example.com", "***@example.com"), ("nonsense", "***"), ("", "***")]
)
def test_a_masked_address_keeps_a_letter_and_the_domain(address: str, shown: str) -> None:
    assert masked(address) == shown
