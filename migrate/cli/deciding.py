"""Shared by the commands with which people decide: the options for who, why and when, and the transaction."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from migrate.cli.instants import instant
from migrate.errors import ConfigError

if TYPE_CHECKING:
    from migrate.config import Config
    from migrate.decisions import Decider

By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who decides (default: your login name).")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for whoever reads the history.")]


@contextmanager
def deciding(config: Config, by: str | None, as_of: str | None, *, looking: bool = False) -> Iterator[Decider]:
    """The transaction in which a person decides: it is committed when the context ends, and rolled back if an error is raised.

    With `looking` the transaction only reads: it blocks nobody, and changes nothing.
    """
    from migrate.decisions import Decider
    from migrate.run.provenance import looked_at, opened
    from migrate.run.start import no_time_travel

    moment = instant(as_of, config.campaign)
    with looked_at(config) if looking else opened(config) as ledger:
        no_time_travel(config, ledger, moment)
        with ledger.read() if looking else ledger.begin() as connection:
            now = (moment or datetime.now(UTC)).astimezone(UTC)
            yield Decider.of(connection, config.campaign, _login() if by is None else by, now, config.safety.allowed_domains)


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise ConfigError("your login name cannot be found.", where="--by", hint="Type --by and your name.") from None
