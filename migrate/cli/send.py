"""`migrate send`: delivers what is queued, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from migrate.cli.console import Console, Json, Quiet, complain, warn
from migrate.cli.instants import AsOf, instant


def send(
    ctx: typer.Context,
    as_of: AsOf = None,
    workers: Annotated[int, typer.Option(min=1, max=100, help="Processes that deliver at the same time.")] = 1,
    until_empty: Annotated[
        bool, typer.Option("--until-empty", help="Wait for letters that are to be tried again within the hour, until none is left.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Only deliver what is queued."""
    from migrate.cli.progress import watching
    from migrate.cli.summary import tell_ended, tell_waiting
    from migrate.monitoring import reported
    from migrate.run.sending import send as send_job

    config = ctx.obj.config()
    console = Console(json=as_json, quiet=quiet)
    moment = instant(as_of, config.campaign)
    with reported(config.monitoring, "send", warn) as ended:
        with watching(console, config, moment) as watch:
            sent = send_job(config, moment, watch, processes=workers, until_empty=until_empty)
        facts = sent.facts()
        ended(sent.exit_code, facts)
    console.result(facts)
    console.say(", ".join(f"{count:,} {word}" for word, count in facts["letters"].items()) + ".")
    if stale := sent.sending.stale:
        console.need(
            f"What was last read of the directory is more than {config.safety.stale_hours} hours old, so {stale:,} "
            f"{'letter waits' if stale == 1 else 'letters wait'}: `migrate run` reads it again (if it is an export, make that "
            "anew first). Until then only confirmations go.",
            "yellow",
        )
    tell_ended(console, sent.sending)
    waits, now = sent.waits, moment or datetime.now(UTC)
    tell_waiting(console, waits.waiting, waits.delivery, config, now, goes_on=not sent.stopped, stale=stale)
    if sent.stopped:
        complain(sent.stopped)
    return sent.exit_code
