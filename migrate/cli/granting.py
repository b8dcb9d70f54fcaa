"""What `migrate exempt` and `migrate pause` share: what they ask for, and what they print."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from migrate.cli.console import Console
from migrate.cli.instants import instant

if TYPE_CHECKING:
    from migrate.config import Config
    from migrate.decisions import Granted, Removed
    from migrate.ledger.exceptions import Kind

Account = Annotated[str, typer.Argument(help="An account id, a username or an address.")]
Until = Annotated[str, typer.Option("--until", metavar="DATE", help="The last day, such as 2024-01-31.")]
Owner = Annotated[str, typer.Option("--owner", metavar="NAME", help="Who answers for it.")]

_SAYS: Final[dict[Kind, str]] = {"exemption": "is exempt", "pause": "is sent no reminder"}


def tell_granted(console: Console, kind: Kind, granted: Granted) -> None:
    """Says what holds now, and what it does not do."""
    grant = granted.grant
    console.result(granted.facts())
    same = " already" if granted.already else ""
    console.say(f"{_line(grant.account_id)} {_SAYS[kind]} until {grant.until}{same}; owner {grant.owner}: {grant.reason}")
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


def tell_removed(console: Console, kind: Kind, removed: Removed) -> None:
    """Says what was taken back, and when that shows."""
    console.result({"account_id": removed.account_id, "removed": removed.removed})
    console.say(
        f"{_line(removed.account_id)} has no {kind} any more; taken back: {removed.removed:,}. The next run treats it like any other."
    )


def show(console: Console, config: Config, kind: Kind, as_of: str | None) -> None:
    """Shows what was granted by its last day: what has ended and ends soon comes first."""
    from migrate.decisions import listed
    from migrate.ledger.engine import Ledger
    from migrate.status import EXPIRING

    now = (instant(as_of, config.campaign) or datetime.now(UTC)).astimezone(UTC)
    with Ledger.open_readonly(config.ledger) as ledger, ledger.read() as connection:
        rows = listed(connection, config.campaign, kind, now)
    console.result({f"{kind}s": [row.facts() for row in rows]})
    if not rows:
        console.say("There are none.")
        return
    cells = [
        (_line(row.grant.account_id), row.grant.until, row.days, row.grant.owner, row.grant.reason, row.grant.created_by) for row in rows
    ]
    console.table(["Account", "Until", "Days left", "Owner", "Reason", "Granted by"], cells)
    ended, soon = sum(row.days < 0 for row in rows), sum(row.soon for row in rows)
    if ended:
        console.say(f"Ended, and to be removed or granted anew: {ended:,}.", "red")
    if soon:
        console.say(f"Ending within {EXPIRING.days} days: {soon:,}.", "yellow")


def _line(text: str) -> str:
    """Text from a directory, as one line."""
    return " ".join(text.split())
