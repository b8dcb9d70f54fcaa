"""`migrate verify`: checks that evidence is as it was written, follows the evidence before it, and agrees with the ledger."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from migrate.cli.console import Console, Json, Quiet
from migrate.errors import ConfigError

if TYPE_CHECKING:
    from migrate.config import Config
    from migrate.report.verify import Problem, Verified


def verify(
    ctx: typer.Context,
    places: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of evidence, or the folder of reports with all of them.")],
    public_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The key by which every manifest must be signed (PEM).")] = None,
    ledger: Annotated[
        bool | None, typer.Option("--ledger/--no-ledger", help="Compare with the ledger (default: if there is a configuration).")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Check that evidence is what was written, each folder following the one before; exit 2 if anything is wrong."""
    from migrate.report.verify import verify as look

    console = Console(json=as_json, quiet=quiet)
    config = _config(ctx, asked=ledger)
    verified = look(places, _key(public_key))
    problems = list(verified.problems)
    if config is not None:
        problems += _beside_ledger(config, verified, console)
    _tell(console, verified, problems, config, public_key)
    return 2 if problems else 0


def _config(ctx: typer.Context, *, asked: bool | None) -> Config | None:
    """The configuration whose ledger is asked; None if there is none. It is an error only if a file was named: somebody with the
    evidence alone needs no configuration."""
    source = ctx.parent.get_parameter_source("config") if ctx.parent else None
    named = source is not None and source.name != "DEFAULT"
    if asked is False or (asked is None and not named and not ctx.obj.path.is_file()):
        return None
    config: Config = ctx.obj.config()
    return config


def _key(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}.", where="--public-key", hint="Name a file.") from error


def _beside_ledger(config: Config, verified: Verified, console: Console) -> list[Problem]:
    from migrate.ledger.engine import Ledger
    from migrate.report.retold import retold

    with Ledger.open_readonly(config.ledger) as opened, opened.read() as connection:
        total, done = len(verified.evidence), 0
        with console.progress("comparing with the ledger") if total > 1 else nullcontext(lambda *_: None) as step:

            def watch() -> None:
                nonlocal done
                done += 1
                step(done, total)

            return list(retold(connection, config.campaign.name, verified.evidence, watch))


def _tell(console: Console, verified: Verified, problems: list[Problem], config: Config | None, public_key: Path | None) -> None:
    count = len(verified.evidence)
    facts: dict[str, Any] = {
        "ok": not problems,
        "folders": [str(each.folder) for each in verified.evidence],
        "ledger": config is not None,
        "signatures": public_key is not None,
        "problems": [{"folder": str(each.folder), "problem": each.what} for each in problems],
    }
    console.result(facts)
    for problem in problems:
        console.need(str(problem), "red")
    folders = f"{count:,} {'folder' if count == 1 else 'folders'} of evidence"
    if problems:
        console.need(f"{len(problems):,} {'thing is' if len(problems) == 1 else 'things are'} wrong in {folders}.", "red")
        return
    if count == 1:
        follows = ""
    else:
        first, last = verified.evidence[0], verified.evidence[-1]
        follows = f", {first.folder.name} to {last.folder.name}, each following the one before"
    console.say(f"{folders} as written{follows}.", "green")
    console.say("The ledger tells the same." if config else "The ledger was not asked: name its configuration with --config.")
    if public_key:
        console.say(f"Every manifest is signed by {public_key}.")
    elif any(each.signed for each in verified.evidence):
        console.say("There are signatures, which nobody checked: name the key with --public-key.")
