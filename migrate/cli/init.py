"""`migrate init`: a commented configuration to start from, and the mail templates if wanted; nothing is ever overwritten."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from migrate.cli.console import Console, Json
from migrate.errors import ConfigError
from migrate.resources import resource


def init(
    ctx: typer.Context,
    templates: Annotated[bool, typer.Option("--templates", help="Also write the mail templates, to change them.")] = False,
    as_json: Json = False,
) -> None:
    """Write a commented config.toml here; never overwrites."""
    console, config = Console(json=as_json), ctx.obj.path
    folder = config.parent / "templates"
    wanted = [config, folder] if templates else [config]
    there = [path for path in wanted if os.path.lexists(path)]
    if there == wanted or folder in there:
        raise ConfigError(
            f"{there[-1]} is there already and was left as it is.", hint="Move it away, or choose another place with --config."
        )
    if config not in there:
        _write_config(config)
    if templates:
        _copy_templates(folder)
    written = [str(path) for path in wanted if path not in there]
    console.say(f"Wrote {' and '.join(written)}." + (f" {config} was there already and was left as it is." if there else ""))
    console.say(f"Next: change the lines marked EDIT, then type `migrate{_option(config)} check`.")
    console.result({"written": written, "kept": [str(path) for path in there]})


def _option(config: Path) -> str:
    return "" if config == Path("config.toml") or os.environ.get("MIGRATE_CONFIG") == str(config) else f" --config {config}"


def _write_config(path: Path) -> None:
    """Readable by its owner alone, since a password may end up in it."""
    text = resource("config.example.toml").read_bytes()
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}.", where=str(path)) from error


def _copy_templates(folder: Path) -> None:
    try:
        shutil.copytree(resource("templates") / "mail", folder / "mail")
    except (OSError, shutil.Error) as error:
        raise ConfigError(f"cannot be written: {error}.", where=str(folder)) from error
