"""Granting exemptions and pauses, and taking them back (design §12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from migrate import outbox
from migrate.core.campaign import CampaignSettings
from migrate.decisions import sheet
from migrate.decisions.decider import Decider, words
from migrate.errors import ConfigError
from migrate.explain.find import find
from migrate.explain.status import EXPIRING
from migrate.ledger import account_lookup, campaigns, exemptions
from migrate.ledger.exemptions import Grant, Kind


@dataclass(frozen=True, slots=True)
class Granted:
    """What was granted. `already` is true if the same exception stood there before; `longest` is the last day of the account's longest
    exception; `withdrawn` counts the waiting letters that will not be sent; `outlasts` is true if the exception still holds on the day
    of the cutoff."""

    grant: Grant
    already: bool
    longest: date
    withdrawn: int
    outlasts: bool

    def facts(self) -> dict[str, Any]:
        """The object of `--json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Imported:
    """How many exceptions were added, how many stood there already, and how many waiting letters were withdrawn."""

    added: int
    already: int
    withdrawn: int


@dataclass(frozen=True, slots=True)
class Removed:
    """How many exceptions of an account were taken back, `by` whom, and the `reason`."""

    account_id: str
    removed: int
    by: str
    reason: str

    def facts(self) -> dict[str, Any]:
        """The object of `--json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Listed:
    """An exception, and how many `days` are left until its last day: negative once it has ended. `soon` is true if it ends within
    `EXPIRING`."""

    grant: Grant
    days: int

    @property
    def soon(self) -> bool:
        return 0 <= self.days <= EXPIRING.days

    def facts(self) -> dict[str, Any]:
        """An element of the list of `--json`."""
        return asdict(self.grant) | {"days": self.days, "expired": self.days < 0}


def add(decider: Decider, kind: Kind, asked: str, until: str, owner: str, reason: str) -> Granted:
    """Grants an exemption or a pause to the account of an id, a username or an address, and withdraws the letters that wait for it.

    Raises ConfigError if nobody or several accounts match, `until` is no day (ISO) or is over, or owner or reason are empty.
    """
    account_id = find(decider.connection, decider.campaign_id, asked).account_id
    wanted = Grant(account_id, _day(decider, until), words(owner, "--owner"), words(reason, "--reason"), decider.now, decider.by)
    before = exemptions.granted(decider.connection, kind, decider.campaign_id, [account_id])
    done = _grant(decider, kind, [wanted])
    longest = max(each.until for each in (*before, wanted))
    return Granted(wanted, done.already > 0, longest, done.withdrawn, longest >= _cutoff_day(decider, account_id))


def import_all(decider: Decider, kind: Kind, path: Path) -> Imported:
    """Grants every exception in a CSV file (`migrate.decisions.sheet`), or none: raises ConfigError that names every wrong line."""
    lines = sheet.read(path)
    known = account_lookup.known(decider.connection, decider.campaign_id, {line.account_id for line in lines})
    grants, wrong = [], []
    for line in lines:
        try:
            if line.account_id not in known:
                raise ConfigError(f"there is no account {line.account_id!r}." if line.account_id.strip() else "it names no account.")
            owner, reason = words(line.owner, "owner"), words(line.reason, "reason")
            grants.append(Grant(line.account_id, _day(decider, line.until), owner, reason, decider.now, decider.by))
        except ConfigError as error:
            named = f"{error.where} " if error.where in ("owner", "reason") else ""
            wrong.append(f"line {line.number}: {named}{error.what.rstrip('.')}")
    if wrong:
        raise ConfigError(
            f"{len(wrong):,} of {len(lines):,} lines cannot be taken, so none was: {'; '.join(wrong)}.",
            where=str(path),
            hint="Correct them and import the file again.",
        )
    return _grant(decider, kind, grants)


def remove(decider: Decider, kind: Kind, asked: str, reason: str) -> Removed:
    """Takes back what was granted to an account; the rows stay in the ledger. Raises ConfigError if there is nothing to take back."""
    account_id = find(decider.connection, decider.campaign_id, asked).account_id
    said = words(reason, "--reason")
    removed = exemptions.remove(decider.connection, kind, decider.campaign_id, account_id, decider.now, by=decider.by, reason=said)
    if not removed:
        command = "exempt" if kind == "exemption" else "pause"
        raise ConfigError(f"{account_id} has no {kind}; nothing was changed.", hint=f"`migrate {command} list` shows who has one.")
    return Removed(account_id, removed, decider.by, said)


def listed(connection: sa.Connection, campaign: CampaignSettings, kind: Kind, now: datetime, *, removed: bool = False) -> list[Listed]:
    """The exceptions in order of their last day, ended ones included: those that were not taken back, or with `removed` those that were.

    `now` is the clock for the days left.
    """
    campaign_id, today = campaigns.find(connection, campaign.name), campaign.today(now)
    found = [] if campaign_id is None else exemptions.granted(connection, kind, campaign_id, removed=removed)
    return [Listed(each, (each.until - today).days) for each in found]


def _cutoff_day(decider: Decider, account_id: str) -> date:
    """The day of the cutoff that the account had at its last read."""
    return decider.campaign.today(account_lookup.cutoff(decider.connection, decider.campaign_id, account_id))


def _grant(decider: Decider, kind: Kind, wanted: Sequence[Grant]) -> Imported:
    ids = {each.account_id for each in wanted}
    granted_before = {each.terms for each in exemptions.granted(decider.connection, kind, decider.campaign_id, ids)}
    new = list({each.terms: each for each in wanted if each.terms not in granted_before}.values())
    exemptions.grant(decider.connection, kind, decider.campaign_id, new)
    # Waiting letters would be sent before the next run sees the exception.
    why = exemptions.OUTCOME[kind]
    withdrawn = outbox.withdraw_reminders(decider.connection, decider.campaign_id, ids, decider.now, actor=decider.by, reason=why)
    return Imported(len(new), len(wanted) - len(new), len(withdrawn))


def _day(decider: Decider, text: str) -> date:
    """Reads the last day of an exception; it may be today, since the last day counts."""
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(f"{text!r} is no day.", where="--until", hint="Type one such as 2024-01-31.") from None
    if day < decider.today:
        raise ConfigError(f"{day} is over: today is {decider.today}.", where="--until", hint="Type a day to come; it is the last one.")
    return day
