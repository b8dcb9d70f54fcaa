"""What the commands share by which people decide: who, why, when, and the transaction."""

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
    """Who decides, in one transaction: what was decided is committed at the end, and nothing of it if an error is raised.

    Whoever is only `looking` at what a decision would do holds nobody up, and can change nothing.
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
