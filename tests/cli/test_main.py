"""The door: help, usage, and what becomes of an error."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from migrate import __version__, cli
from migrate.errors import GuardError

HEAVY = ("pandas", "numpy", "sqlalchemy", "alembic", "pyarrow", "jinja2", "babel", "rich", "tenacity", "css_inline")


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """`migrate check` meets an error."""

    def check() -> None:
        raise error

    monkeypatch.setattr(importlib.import_module("migrate.cli.check"), "check", check)


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in cli.COMMANDS)
    assert "..." not in out.partition("Commands:")[2], "a summary is too long for one line"
    assert out.isascii(), "plain help has no box characters"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_can_be_asked_for_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == 0
    assert f"Usage: migrate {name}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "--help"] for name in cli.COMMANDS)])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from migrate.cli import main; code = main(sys.argv[1:]); "
        f"heavy = sorted(set({HEAVY!r}) & set(sys.modules)); print(heavy, file=sys.stderr); sys.exit(code or bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "[]\n")


def test_no_command_is_a_usage_error_that_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "Commands:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chek"], "Did you mean 'check'?"),
        (["check", "--jsno"], "No such option: --jsno"),
        (["check", "extra"], "unexpected extra argument"),
    ],
)
def test_a_usage_error_exits_2_and_says_what_is_wrong(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"migrate {__version__}\n"


def test_an_error_is_one_paragraph_and_its_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    failing(monkeypatch, GuardError("half the accounts are missing.", where="[safety] max_shrink", hint="Type `migrate dry-run`."))
    assert cli.main(["check"]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "Error: [safety] max_shrink: half the accounts are missing. Type `migrate dry-run`.\n"


def test_a_traceback_is_shown_only_on_request(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    failing(monkeypatch, GuardError("no."))
    assert cli.main(["--debug", "check"]) == 4
    err = capsys.readouterr().err
    assert err.startswith("Traceback")
    assert err.endswith("Error: no.\n")


def test_a_bug_exits_1_and_tells_no_data(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    failing(monkeypatch, KeyError("jo@example.com"))
    assert cli.main(["check"]) == 1
    err = capsys.readouterr().err
    assert "Unexpected error: KeyError in test_main.py, line " in err
    assert "please report it" in err
    assert "jo@example.com" not in err
    assert "Traceback" not in err


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (BrokenPipeError(), 0)])
def test_an_interruption_has_its_own_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, error)
    assert cli.main(["check"]) == code
    assert "Error" not in capfd.readouterr().err


def test_a_reader_that_goes_away_does_not_end_the_work(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from migrate.cli.console import Console; console = Console()\n"
        "for i in range(20000): console.say('line %d' % i)\n"
        f"Path({str(tmp_path / 'done')!r}).write_text('yes')"
    )
    done = subprocess.run(
        f'"{sys.executable}" -c "$CODE" | head -n 1',
        shell=True,
        capture_output=True,
        text=True,
        env={**os.environ, "CODE": code},
        check=True,
    )
    assert done.stdout == "line 0\n"
    assert done.stderr == ""
    assert (tmp_path / "done").read_text() == "yes"


def test_output_that_cannot_be_written_is_no_success() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", "import sys; from migrate.cli import main; sys.exit(main(['--version']))"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode != 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_end_that_comes_while_an_object_is_collected_is_not_lost(number: int, code: int) -> None:
    script = f"""
import signal, sys, time
from migrate import cli

class Collected:
    def __del__(self):
        signal.raise_signal({int(number)})
        time.sleep(0)

def work(*_, **__):
    Collected()
    time.sleep(100)

cli.app = work
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started the tests in the background had it ignored
sys.exit(cli.main([]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stderr) == (code, "")
