"""Whether an address can be mailed (design §8: no_address, bad_address, domain_not_allowed, bounced), and which accounts have one that
cannot."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import pandas as pd
import sqlalchemy as sa

from migrate.core.letters import Judge
from migrate.ledger import bounces
from migrate.mail.addresses import problems, wire

_LISTED: Final = 100
"""How many unreachable accounts are listed at most."""
_WORST_FIRST: Final[tuple[str, ...]] = ("bounced", "no_address", "bad_address", "domain_not_allowed")
"""The outcomes of accounts that cannot be reached, in the order in which they are listed."""


@dataclass(frozen=True, slots=True)
class UnreachableAccount:
    """An account that is to be reminded but whose primary address, `email`, cannot be mailed. `outcome` says why; `reason` says it in
    detail, and is the mail server's code if the address bounced."""

    account_id: str
    email: str | None
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The accounts that are to be reminded, whether or not a stage is due, but whose primary address cannot be mailed now.

    `counts` has their number by outcome; `accounts` lists the first of them, by `_WORST_FIRST`.
    """

    counts: dict[str, int] = field(default_factory=dict)
    accounts: tuple[UnreachableAccount, ...] = ()

    def facts(self) -> dict[str, Any]:
        """`unreachable` in the output of `migrate status --json`; without addresses, since that output often ends up in logs."""
        named = ({"account_id": each.account_id, "outcome": each.outcome, "reason": each.reason} for each in self.accounts)
        return {"counts": self.counts, "accounts": list(named)}


def unreachable(
    connection: sa.Connection, campaign_id: int, remind: Collection[str], allowed_domains: Collection[str], now: datetime
) -> Unreachable:
    """The reminded accounts (`bounces.reminded`) that cannot be mailed, by the rules that a plan follows (`judge`)."""
    codes = {mark.address.lower(): mark.code for mark in bounces.dead_addresses(connection, campaign_id, now)}
    judged = judge(allowed_domains, codes.keys())
    counts: dict[str, int] = {}
    first: dict[str, list[UnreachableAccount]] = {outcome: [] for outcome in _WORST_FIRST}
    for part in bounces.reminded(connection, campaign_id, remind):
        accounts = pd.DataFrame(part, columns=["account_id", "email"], dtype="str")
        accounts = accounts.join(judged(accounts["email"]))
        for outcome, alike in accounts[accounts["outcome"] != ""].groupby("outcome"):
            listed = first[str(outcome)]
            counts[str(outcome)] = counts.get(str(outcome), 0) + len(alike)
            for account_id, email, why in alike[["account_id", "email", "reason"]].head(_LISTED - len(listed)).itertuples(index=False):
                address = None if pd.isna(email) else str(email)
                listed.append(UnreachableAccount(account_id, address, str(outcome), codes.get((address or "").lower(), why)))
    order = {outcome: counts[outcome] for outcome in _WORST_FIRST if outcome in counts}
    return Unreachable(order, tuple(each for outcome in _WORST_FIRST for each in first[outcome])[:_LISTED])


def bounced(connection: sa.Connection, campaign_id: int, remind: Collection[str], allowed_domains: Collection[str], now: datetime) -> int:
    """How many accounts `unreachable` would count as bounced. It reads only the accounts whose address bounced."""
    dead = {mark.address.lower() for mark in bounces.dead_addresses(connection, campaign_id, now)}
    if not dead:
        return 0
    judged = judge(allowed_domains, dead)
    parts = bounces.reminded(connection, campaign_id, remind, dead)
    return sum(int((judged(pd.Series([email for _, email in part], dtype="str"))["outcome"] == "bounced").sum()) for part in parts)


def judge(allowed_domains: Collection[str], bounced: Collection[str]) -> Judge:
    """A function that says which addresses can be mailed. `allowed_domains` are lower-case ASCII, none meaning all; `bounced` are
    lower-case addresses."""

    def judged(addresses: pd.Series) -> pd.DataFrame:
        outcome = pd.Series("", index=addresses.index, dtype="str")
        reason = problems(addresses)
        bad = reason.notna()
        outcome = outcome.mask(addresses.str.lower().isin(bounced), "bounced")
        if allowed_domains:
            domain = _domains(addresses.where(reason.isna()))
            outside = ~domain.isin(allowed_domains)
            outcome, reason = outcome.mask(outside, "domain_not_allowed"), reason.mask(outside & reason.isna(), domain)
        outcome = outcome.mask(bad, "bad_address").mask(addresses.isna(), "no_address")
        return pd.DataFrame({"outcome": outcome.astype("str"), "reason": reason.fillna("").astype("str")})

    return judged


def _domains(addresses: pd.Series) -> pd.Series:
    ascii_form = addresses.map({address: wire(address) for address in addresses.dropna().unique() if not address.isascii()})
    return ascii_form.astype("str").fillna(addresses).str.rsplit("@", n=1).str[-1].str.lower().astype("str")
