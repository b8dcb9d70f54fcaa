"""`migrate send`: only delivers what is queued."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from migrate.cli.console import Console, Json, Quiet, complain, warn
from migrate.cli.instants import AsOf, instant

if TYPE_CHECKING:
    from migrate.delivery import Delivered, Waiting


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
    from migrate.run.job import send as send_job

    config = ctx.obj.config()
    console = Console(json=as_json, quiet=quiet)
    moment = instant(as_of, config.campaign)
    with reported(config.monitoring, "send", warn) as ended:
        with watching(console, config, moment) as watch:
            delivered, outbox, waiting, delivery = send_job(config, moment, watch, processes=workers, until_empty=until_empty)
        counts = {"sent": delivered.sent, "failed": delivered.failed, "uncertain": delivered.uncertain, "queued": outbox["queued"]}
        facts = {"campaign": config.campaign.name, "letters": counts, "stale": delivered.stale}
        facts |= {"outside_hours": delivered.outside_hours, "too_late": delivered.too_late}
        facts |= {"waiting": waiting.facts(), "delivery": delivery.facts()}
        code = _exit_code(delivered, waiting)
        ended(code, facts)
    console.result(facts)
    console.say(", ".join(f"{count:,} {word}" for word, count in counts.items()) + ".")
    if delivered.stale:
        console.need(
            f"What was last read of the directory is more than {config.safety.stale_hours} hours old, so {delivered.stale:,} "
            f"{'letter waits' if delivered.stale == 1 else 'letters wait'}: `migrate run` reads it again (if it is an export, make that "
            "anew first). Until then only confirmations go.",
            "yellow",
        )
    # A stale directory keeps letters back whatever the hours.
    tell_ended(console, facts)
    told = facts | {"waiting": waiting.facts() | ({"until": None} if delivered.stale else {})}
    tell_waiting(console, told, config, moment or datetime.now(UTC), goes_on=not delivered.stopped and not delivered.stale)
    if delivered.stopped:
        complain(delivered.stopped)
    return code


def _exit_code(delivered: Delivered, waiting: Waiting) -> int:
    if delivered.signal:
        return 128 + delivered.signal
    if delivered.stopped:
        return delivered.stopped.exit_code
    return 5 if delivered.failed or delivered.uncertain or delivered.too_late or waiting.too_long else 0
