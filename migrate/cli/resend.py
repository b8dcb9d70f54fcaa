"""`migrate resend`: a person's decision that a failed or uncertain letter is sent again."""

from __future__ import annotations

from typing import Annotated

import typer

from migrate.cli.console import Console, Json
from migrate.cli.deciding import By, Reason, deciding
from migrate.cli.instants import AsOf


def resend(
    ctx: typer.Context,
    notice: Annotated[str, typer.Argument(help="The reference of the letter, as in its footer and in notices.csv.")],
    reason: Reason,
    by: By = None,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Put a failed or uncertain letter back into the queue, with the same reference and Message-ID."""
    from migrate.decisions import resend as decide

    with deciding(ctx.obj.config(), by, as_of) as decider:
        decided = decide(decider, notice, reason)
    console = Console(json=as_json)
    console.result(decided.facts())
    console.say(f"Letter {decided.reference} ({decided.kind} {decided.occasion}) to {decided.to} was {decided.was} and is queued again.")
    console.say(f"Written down: by {decided.by}, {decided.reason}")
    if decided.cleared:
        console.say(f"The address counted as dead ({decided.cleared}), and does so no more.", "yellow")
    if decided.was == "uncertain":
        console.say("It may have arrived before: then this person gets it twice.", "yellow")
    console.say("Next: `migrate send` sends it now; otherwise the next `migrate run` does.")
