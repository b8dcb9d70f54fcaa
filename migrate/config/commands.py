"""Commands and paths for errors and hints, written so that a person can type them in the current folder."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migrate.config import Config

_DEFAULT = "config.toml"


def typed(path: Path) -> str:
    """A path, quoted for a shell; relative if it lies below the working directory."""
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_absolute() and path.is_relative_to(Path.cwd()) else path))


def command(config: Config, words: str) -> str:
    """A `migrate` command between backticks, with `--config` unless the configuration would be found anyway."""
    default = Path(os.environ.get("MIGRATE_CONFIG") or _DEFAULT)
    named = "" if config.path.absolute() == default.absolute() else f"--config {typed(config.path)} "
    return f"`migrate {named}{words}`"
