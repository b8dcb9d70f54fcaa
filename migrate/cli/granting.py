"""The commands that grant, show and take back exceptions, shared by `migrate exempt` and `migrate pause`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from migrate.cli.console import Console, Json, one_line
from migrate.cli.deciding import By, Reason, deciding
from migrate.cli.instants import AsOf, now_or

if TYPE_CHECKING:
    from migrate.core.campaign import CampaignSettings
    from migrate.decisions import Granted, Listed, Removed
    from migrate.ledger.exemptions import Kind

Account = Annotated[str, typer.Argument(help="An account id, a username or an address.")]
Until = Annotated[str, typer.Option("--until", metavar="DATE", help="The last day, such as 2024-01-31.")]
Owner = Annotated[str, typer.Option("--owner", metavar="NAME", help="Who answers for it.")]
Back = Annotated[bool, typer.Option("--removed", help="Show those that were taken back instead: when, by whom and why.")]

_SAYS: Final[dict[Kind, str]] = {"exemption": "is exempt", "pause": "is sent no reminder"}


def commands(kind: Kind, *, help: str, add: str, show: str) -> typer.Typer:  # noqa: A002 - typer's word
    """Makes `add`, `list` and `remove` for one kind of exception; `add` and `show` are the help texts of the first two."""
    group = typer.Typer(help=help, add_completion=False, rich_markup_mode=None, no_args_is_help=True)

    @group.command(name="add", help=add)
    def _add(
        ctx: typer.Context,
        account: Account,
        until: Until,
        owner: Owner,
        reason: Reason,
        by: By = None,
        as_of: AsOf = None,
        as_json: Json = False,
    ) -> None:
        from migrate.decisions import add as decide

        with deciding(ctx.obj.config(), by, as_of) as decider:
            granted = decide(decider, kind, account, until, owner, reason)
        _tell_granted(Console(json=as_json), kind, granted)

    @group.command(name="list", help=show)
    def _list(ctx: typer.Context, removed: Back = False, as_of: AsOf = None, as_json: Json = False) -> None:
        from migrate.decisions import listed
        from migrate.run.provenance import looked_at

        config = ctx.obj.config()
        now = now_or(as_of, config.campaign)
        with looked_at(config) as ledger, ledger.read() as connection:
            rows = listed(connection, config.campaign, kind, now, removed=removed)
        console = Console(json=as_json)
        console.result({f"{kind}s": [row.facts() for row in rows]})
        if not rows:
            console.say("There are none.")
        elif removed:
            _show_removed(console, rows, config.campaign)
        else:
            _show(console, rows)

    @group.command(name="remove", help=f"Take every {kind} of an account back; the ledger keeps that it was there.")
    def _remove(ctx: typer.Context, account: Account, reason: Reason, by: By = None, as_of: AsOf = None, as_json: Json = False) -> None:
        from migrate.decisions import remove as decide

        with deciding(ctx.obj.config(), by, as_of) as decider:
            removed = decide(decider, kind, account, reason)
        _tell_removed(Console(json=as_json), kind, removed)

    return group


def _tell_granted(console: Console, kind: Kind, granted: Granted) -> None:
    """Prints what was granted, and what it does not cover."""
    grant = granted.grant
    console.result(granted.facts())
    same = " already" if granted.already else ""
    console.say(f"{one_line(grant.account_id)} {_SAYS[kind]} until {grant.until}{same}; owner {grant.owner}: {grant.reason}")
    if granted.longest > grant.until:
        console.say(f"An earlier {kind} lasts until {granted.longest}, and the longest counts.", "yellow")
    if granted.withdrawn:
        console.say(f"Letters that waited and are withdrawn: {granted.withdrawn:,}.")
    if kind == "pause":
        console.say("Confirmations are never paused. The first run after it sends what is due then.")
    elif not granted.outlasts:
        console.say("It ends before the cutoff, which will concern this account like any other.", "yellow")
    else:
        console.say("From the next run on this account counts as out of scope; its changes are still confirmed.")


def _tell_removed(console: Console, kind: Kind, removed: Removed) -> None:
    """Prints what was taken back, and from when on that shows."""
    console.result(removed.facts())
    console.say(
        f"{one_line(removed.account_id)} has no {kind} any more; taken back: {removed.removed:,}. The next run treats it like any other."
    )
    console.say(f"Written down: by {removed.by}, {removed.reason}")


def _show(console: Console, rows: list[Listed]) -> None:
    """Prints exceptions by their last day: those that have ended or end soon come first."""
    from migrate.explain.status import EXPIRING

    cells = [
        (one_line(row.grant.account_id), row.grant.until, row.days, row.grant.owner, row.grant.reason, row.grant.created_by) for row in rows
    ]
    console.table(["Account", "Until", "Days left", "Owner", "Reason", "Granted by"], cells)
    ended, soon = sum(row.days < 0 for row in rows), sum(row.soon for row in rows)
    if ended:
        console.say(f"Ended, and to be removed or granted anew: {ended:,}.", "red")
    if soon:
        console.say(f"Ending within {EXPIRING.days} days: {soon:,}.", "yellow")


def _show_removed(console: Console, rows: list[Listed], campaign: CampaignSettings) -> None:
    cells = [
        (one_line(each.account_id), each.until, each.owner, campaign.today(at), each.removed_by, each.removed_reason)
        for each in (row.grant for row in rows)
        if (at := each.removed_at)
    ]
    console.table(["Account", "Until", "Owner", "Taken back", "By", "Reason"], cells)
