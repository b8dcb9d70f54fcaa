"""`migrate send`: only delivers what is queued."""

from __future__ import annotations

import sys

import typer

from migrate.cli.console import Console, Json, Quiet
from migrate.cli.instants import AsOf, instant


def send(ctx: typer.Context, as_of: AsOf = None, as_json: Json = False, quiet: Quiet = False) -> int:
    """Only deliver what is queued."""
    from migrate.cli.progress import watching
    from migrate.job import send as send_job

    config = ctx.obj.config()
    console = Console(json=as_json, quiet=quiet)
    with watching(console) as watch:
        delivered, waiting = send_job(config, instant(as_of, config.campaign), watch)
    counts = {"sent": delivered.sent, "failed": delivered.failed, "uncertain": delivered.uncertain, "queued": waiting["queued"]}
    console.result({"campaign": config.campaign.name, "letters": counts, "stale": delivered.stale})
    console.say(", ".join(f"{count:,} {word}" for word, count in counts.items()) + ".")
    if delivered.stale:
        console.need(
            f"The directory was last read more than {config.safety.stale_hours} hours ago, so {delivered.stale:,} "
            f"{'letter waits' if delivered.stale == 1 else 'letters wait'}: `migrate run` reads it again. Confirmations went out.",
            "yellow",
        )
    if delivered.stopped:
        print(f"Error: {delivered.stopped}", file=sys.stderr)
        return delivered.stopped.exit_code
    return 5 if delivered.failed or delivered.uncertain else 0
