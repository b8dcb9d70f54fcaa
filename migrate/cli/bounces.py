"""`migrate bounces`: lists the addresses that count as dead, and clears those that a person says take mail after all."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from migrate.cli.console import Console, Json, one_line
from migrate.cli.deciding import By, Reason, deciding
from migrate.cli.instants import AsOf, instant, now_or
from migrate.errors import ConfigError

if TYPE_CHECKING:
    from migrate.core.campaign import CampaignSettings

_SHOWN: Final = 10

bounces = typer.Typer(
    help="Addresses that a mail server called dead: list, clear.", add_completion=False, rich_markup_mode=None, no_args_is_help=True
)


@bounces.command(name="list")
def list_(
    ctx: typer.Context,
    since: Annotated[str | None, typer.Option("--since", metavar="INSTANT", help="Only those that were marked then or later.")] = None,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Show the addresses that count as dead.

    It says since when and until when, what the mail server said, and how many accounts have them."""
    from migrate.decisions import dead
    from migrate.run.provenance import looked_at

    config = ctx.obj.config()
    now = now_or(as_of, config.campaign)
    with looked_at(config) as ledger, ledger.read() as connection:
        found = dead(connection, config.campaign, now, instant(since, config.campaign, "--since"))
    console = Console(json=as_json)
    console.result({"bounces": [each.facts() for each in found]})
    if not found:
        console.say("No address counts as dead.")
        return
    rows = [
        (
            each.mark.address,
            _when(each.mark.since, config.campaign),
            _when(each.mark.until, config.campaign),
            each.accounts,
            one_line(each.mark.reply or each.mark.code),
        )
        for each in found
    ]
    console.table(["Address", "Since", "Until", "Accounts", "The server said"], rows)
    console.say(f"{len(found):,} {'address counts' if len(found) == 1 else 'addresses count'} as dead; nothing is mailed there.")
    console.say("Next: `migrate bounces clear ADDRESS --reason TEXT` for one that takes mail after all.")


@bounces.command()
def clear(
    ctx: typer.Context,
    reason: Reason,
    addresses: Annotated[list[str] | None, typer.Argument(metavar="[ADDRESS]...", help="The addresses that take mail after all.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="INSTANT", help="Instead: every address that was marked then or later.")
    ] = None,
    by: By = None,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Say that addresses take mail after all.

    The next runs write there again. The ledger keeps who said so, when and why."""
    from migrate.decisions import revive

    if bool(addresses) == (since is not None):
        raise ConfigError("which addresses?", where="migrate bounces clear", hint="Type addresses, or --since and an instant.")
    config = ctx.obj.config()
    with deciding(config, by, as_of) as decider:
        done = revive(decider, addresses or [], instant(since, config.campaign, "--since"), reason)
    console = Console(json=as_json)
    console.result(done.facts())
    for mark in done.cleared[:_SHOWN]:
        said = one_line(mark.reply or mark.code)
        console.say(f"{mark.address} counted as dead since {_when(mark.since, config.campaign)} ({said}), and does so no more.")
    if len(done.cleared) > _SHOWN:
        console.say(f"And {len(done.cleared) - _SHOWN:,} more: {len(done.cleared):,} in all.")
    console.say(f"Written down: by {done.by}, {done.reason}")
    console.say(
        "Next: the stages to come are mailed there again. A letter that failed stays failed: `migrate resend` puts one back, "
        "`migrate resend --state failed --reply TEXT` all that were refused alike."
    )


def _when(instant: datetime, campaign: CampaignSettings) -> str:
    return f"{instant.astimezone(campaign.zone):%Y-%m-%d %H:%M}"
