"""The command line: parse, call, print, exit (design §15).

To add a command, write a module here with a function of the command's name, and one line in `COMMANDS`. A module is imported only when its
command is called, so that `migrate --help` answers at once.

A command returns its exit code (None is 0). It raises `MigrateError` for every error that a person can act on; `main` prints that paragraph
and exits with the error's code.
"""

from __future__ import annotations

import gc
import importlib
import io
import sys
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer._click.exceptions import ClickException
from typer.core import TyperCommand, TyperGroup

from migrate import __version__, outside
from migrate.cli.streams import Enduring, enduring
from migrate.errors import MigrateError
from migrate.process.signals import ending_cleanly

if TYPE_CHECKING:
    from migrate.config import Config

_FORM: Final = warnings.formatwarning

COMMANDS: Final[dict[str, str]] = {
    "init": "Write a commented config.toml here; never overwrites.",
    "check": "Validate configuration, templates, directory, ledger and mail.",
    "run": "The scheduled job: read, assess, compare, plan, deliver, report.",
    "dry-run": "The same without any effect: who would get what, and why.",
    "send": "Only deliver what is queued.",
    "report": "Write the reports of a past run from the ledger.",
    "status": "The campaign at a glance: where people stand, and what waits.",
    "verify": "Whether evidence is as it was written.",
    "explain": "Everything about one account, or whether a letter is real.",
    "resend": "Send a failed or uncertain letter again, or many at once.",
    "settle": "Say that an uncertain letter arrived.",
    "exempt": "Exempt accounts for a while: add, list, remove, import.",
    "pause": "Pause reminders to accounts: add, list, remove.",
    "bounces": "Addresses that count as dead: list, clear.",
    "ledger": "Look after the ledger: check, upgrade.",
    "fleet": "Many organisations: check, run, send, status, report.",
    "preview": "Render a mail for a sample or a real account.",
    "demo": "Live through a sample campaign; look at its mails and reports.",
}
"""Command → its summary in `migrate --help`. `dry-run` is the function `dry_run` (or a Typer of that name) in `migrate.cli.dry_run`."""


class LazyGroup(TyperGroup):
    """The commands with their summaries; a command's module is imported when the command is called."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        self.commands = {name: TyperCommand(name, help=summary, rich_markup_mode=None) for name, summary in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, listed and _loaded(str(name)), rest


def _loaded(name: str) -> Any:
    stem = name.replace("-", "_")
    body = getattr(importlib.import_module(f"{__name__}.{stem}"), stem)
    if not isinstance(body, typer.Typer):
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(name)(body)
        body = alone
    return typer.main.get_command(body)


@dataclass(frozen=True, slots=True)
class Invocation:
    """The options before the command: the configuration file, and whether a traceback is wanted. A command finds them in `ctx.obj`."""

    path: Path
    debug: bool = False

    def config(self) -> Config:
        """The loaded configuration; raises ConfigError (exit 2). A rehearsal is announced, so that nobody takes it for the real
        campaign."""
        from migrate.cli.console import warn
        from migrate.config import load

        config = load(self.path)
        if to := config.safety.redirect_to:
            warn(f"This is a rehearsal, as [safety] redirect_to says: every mail goes to {to}, and nobody counts as told.")
        return config


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from migrate.cli.console import Console

        Console().say(f"migrate {__version__}")
        raise typer.Exit


@app.callback()
def _migrate(
    ctx: typer.Context,
    config: Annotated[Path, typer.Option(envvar="MIGRATE_CONFIG", help="The configuration file.")] = Path("config.toml"),
    debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Retire text-message (SMS) two-step verification: assess accounts, remind people, confirm every change, report."""
    ctx.obj = Invocation(config, debug)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code (design §15); the console script exits with it."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    gc.set_threshold(50_000, 20, 100)  # a command makes few reference cycles: collect seldom
    outside.keep_back({})
    warnings.formatwarning = _warning
    with enduring() as output:
        code = _called(arguments, output)
        output.flush()
        if output.lost and not code and _only_tells(arguments):
            return _failed([f"Error: the output cannot be written: {output.lost}."], MigrateError.exit_code, arguments)
        return code


def _only_tells(arguments: Sequence[str]) -> bool:
    """Whether a command does nothing but print: if its output is lost, it has failed."""
    return next((each for each in arguments if each in COMMANDS), None) in (None, "check", "status", "verify", "explain", "preview")


def _called(arguments: list[str], output: Enduring) -> int:
    try:
        with ending_cleanly():
            code = app(arguments, prog_name="migrate", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except ClickException as error:
        told = io.StringIO()
        error.show(told)
        return _failed(told.getvalue().splitlines(), error.exit_code, ())
    except MigrateError as error:
        _told_as_json(error, arguments, output)
        first, *others = error.lines()
        return _failed([f"Error: {first}", *others], error.exit_code, arguments)
    except typer.Abort:
        return _failed(["Error: no answer was given."], 2, arguments)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the last net: a bug ends in exit code 1 and a sentence
        _told_as_json(MigrateError(_bug(error)), arguments, output)
        return _failed([_bug(error)], 1, arguments)


def _told_as_json(error: MigrateError, arguments: Sequence[str], output: Enduring) -> None:
    """Prints an error as the JSON object of `--json`, if the command failed before it printed one."""
    if "--json" in arguments and not output.used:
        from migrate.cli.console import Console

        Console(json=True).result({"error": error.facts()})


def _failed(lines: Sequence[str], code: int, arguments: Sequence[str]) -> int:
    from migrate.cli.console import warn

    for line in [*(traceback.format_exc().splitlines() if "--debug" in arguments else ()), *lines]:
        warn(line)
    return code


def _warning(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
    """The text of a warning: one of ours is a paragraph, one of Python's keeps Python's form."""
    return f"Warning: {message}\n" if category.__module__.startswith("migrate.") else _FORM(message, category, filename, lineno, line)


def _bug(error: Exception) -> str:
    """The text of an unexpected error: its kind and place only, since its own text may quote people or passwords. --debug prints
    everything."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"Unexpected error: {type(error).__name__} in {Path(place.filename).name}, line {place.lineno}. "
        f"This is a bug in migrate {__version__}: please report it in the project's issue tracker, "
        "with what the same command prints with --debug (take names and addresses out)."
    )
