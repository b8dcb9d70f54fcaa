"""`migrate settle`: records what a person found out about an uncertain letter."""

from __future__ import annotations

from typing import Annotated

import typer

from migrate.cli.console import Console, Json
from migrate.cli.deciding import By, Reason, deciding
from migrate.cli.instants import AsOf
from migrate.errors import ConfigError


def settle(
    ctx: typer.Context,
    notice: Annotated[str, typer.Argument(help="The reference of the letter, as in its footer and in notices.csv.")],
    reason: Reason,
    sent: Annotated[bool, typer.Option("--sent", help="It arrived: the mail server's log or its reader says so.")] = False,
    by: By = None,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Write down that an uncertain letter arrived."""
    from migrate.decisions import settle as decide

    if not sent:
        raise ConfigError(
            "what was found?",
            where="migrate settle",
            hint=f"If it arrived, type it with --sent; if it did not, `migrate resend {notice}` sends it again.",
        )
    with deciding(ctx.obj.config(), by, as_of) as decider:
        decided = decide(decider, notice, reason)
    console = Console(json=as_json)
    console.result(decided.facts())
    console.say(f"Letter {decided.reference} ({decided.kind} {decided.occasion}) to {decided.to} was {decided.was} and counts as sent.")
    console.say(f"Written down: by {decided.by}, {decided.reason}")
    console.say("Next: nothing; it is settled for good.")
