"""Whether an address may be mailed at all: the judgement a plan asks for (design §8: no_address, bad_address, …)."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from migrate.mail.addresses import problems, wire
from migrate.plan import Judge


def judge(allowed_domains: Collection[str], bounced: Collection[str]) -> Judge:
    """A judge of addresses. `allowed_domains` are lower-case ASCII, none meaning all; `bounced` are lower-case addresses."""

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
