"""The door: help, usage, and what becomes of an error."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from migrate import __version__, cli
from migrate.cli.console import Console, Json
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


def test_an_interruption_has_its_own_exit_code(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    assert cli.main(["check"]) == 130
    assert "Error" not in capfd.readouterr().err


def test_a_reader_that_goes_away_does_not_end_the_work(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from migrate import cli; from migrate.cli.console import Console\n"
        "def app(*_, **__):\n"
        "    for i in range(20000): Console().say('line %d' % i)\n"
        f"    Path({str(tmp_path / 'done')!r}).write_text('yes')\n"
        "cli.app = app; sys.exit(cli.main(['run']))"
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
    assert (done.returncode, done.stderr) == (1, "Error: the output cannot be written: No space left on device.\n")


@pytest.mark.parametrize("where", ["/dev/full", "closed"])
@pytest.mark.parametrize("streams", [(1,), (2,), (1, 2), (0, 1, 2)])
def test_a_run_whose_output_goes_nowhere_ends_with_its_own_exit_code(streams: tuple[int, ...], where: str, tmp_path: Path) -> None:
    """It writes to all streams in every way there is, and to a file, which must not get the number of a closed stream."""
    code = (
        "import os, sys, typer; from pathlib import Path; from migrate import cli; from migrate.cli.console import Console, warn\n"
        "def app(*_, **__):\n"
        "    with open(sys.argv[1], 'w') as file:\n"
        "        Console().need('needed', 'red'); Console().table(['a'], [['b']]); Console(json=True).result({'a': 1}); warn('warned')\n"
        "        print('told'); typer.echo('echoed', err=True); os.write(1, b'raw') if 1 in map(int, sys.argv[2]) and sys.argv[3] else 0\n"
        "        print('an error', file=sys.stderr)\n"
        "        file.write('kept')\n"
        "    return 5\n"
        "cli.app = app; sys.exit(cli.main(['run']))"
    )
    closed = "" if where != "closed" else "yes"
    redirected = " ".join(f"{n}>&-" if closed else f"{n}{'<' if n == 0 else '>'}{'/dev/null' if n == 0 else where}" for n in streams)
    numbers = "".join(map(str, streams))
    done = subprocess.run(
        f'"{sys.executable}" -W error -c "$CODE" "{tmp_path / "kept"}" {numbers} "{closed}" {redirected}',
        shell=True,
        capture_output=True,
        text=True,
        env={**os.environ, "CODE": code},
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert (tmp_path / "kept").read_text() == "kept"
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr


@pytest.mark.parametrize("ignored", [False, True])
def test_a_closed_terminal_ends_a_command_unless_nohup_said_otherwise(ignored: bool) -> None:
    script = f"""
import signal, sys, time
from migrate import cli

def work(*_, **__):
    signal.raise_signal(signal.SIGHUP)
    time.sleep(0.1)
    return 7

cli.app = work
signal.signal(signal.SIGHUP, signal.{"SIG_IGN" if ignored else "SIG_DFL"})
sys.exit(cli.main([]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stderr) == (7 if ignored else 129, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
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


def test_with_json_an_error_is_the_one_object_and_is_told_by_its_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--config", "none.toml", "run", "--json"]) == 2
    captured = capsys.readouterr()
    told = json.loads(captured.out)["error"]
    assert (told["kind"], told["exit_code"], told["where"]) == ("configuration", 2, "none.toml")
    assert captured.err.startswith("Error: none.toml: ")
    assert cli.main(["--config", "none.toml", "run"]) == 2
    assert capsys.readouterr().out == ""


def test_an_error_after_the_object_is_no_second_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def check(as_json: Json = False) -> None:
        Console(json=as_json).result({"a": 1})
        raise GuardError("it stopped.")

    monkeypatch.setattr(importlib.import_module("migrate.cli.check"), "check", check)
    assert cli.main(["check", "--json"]) == 4
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_a_bug_is_an_object_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def check(as_json: Json = False) -> None:
        raise ValueError("secret")

    monkeypatch.setattr(importlib.import_module("migrate.cli.check"), "check", check)
    assert cli.main(["check", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)["error"]
    assert (told["kind"], told["exit_code"]) == ("error", 1)
    assert "ValueError" in told["what"] and "secret" not in told["what"]
