"""Everything about one account, and whether a letter is real (design §15).

The account is as the last run recorded it and its letters are as they stand now; the clock is only used for what comes next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from migrate.accounts import ADDRESS_SEPARATOR, words_of
from migrate.config import Config
from migrate.errors import ConfigError
from migrate.explain.coming import Next, coming
from migrate.explain.find import find
from migrate.explain.memory import Change, Decision, InForce, Notice, changes, decisions, in_force, notices, words_in
from migrate.ledger import schema
from migrate.ledger.prior import Prior
from migrate.mail.facts import label, listed
from migrate.standing import PolicySettings

__all__ = ["GENUINE", "Change", "Decision", "Explained", "InForce", "Next", "Notice", "explain"]

GENUINE: Final = "A letter is genuine only if its reference, recipient, subject and date agree with these."

_CUTOFF: Final = {
    "unaffected": "nothing changes",
    "unknown": "cannot be told, since its second step is not known",
    "loses_second_step": "loses its second step",
    "locked_out": "can no longer sign in",
    "must_re_enrol": "must enrol again at its next sign-in",
    "unaffected_but_surprised": "its default, a retired method, stops working; its authenticator does not",
}


@dataclass(frozen=True, slots=True)
class Explained:
    """One account. `account` has what the directory says of it (phone masked); `why` is the rule that gave its standing, in words.

    `rejected` is why its row was rejected in the last run, if it was: everything else is then as it was recorded before.
    `letter` is the one whose reference was asked for. `next` is None if no reminder comes; `next_why` says why none does, or what may
    still be in its way.
    """

    account: dict[str, Any]
    standing: str
    why: str
    compliant: bool
    at_cutoff: str
    at_cutoff_means: str
    standing_since: datetime
    migrated_at: datetime | None
    outcome: str | None
    outcome_reason: str | None
    rejected: str | None
    exemption: InForce | None
    pause: InForce | None
    changes: tuple[Change, ...]
    notices: tuple[Notice, ...]
    decisions: tuple[Decision, ...]
    next: Next | None
    next_why: str
    letter: Notice | None

    def facts(self) -> dict[str, Any]:
        """The object of `migrate explain --json`."""
        return asdict(self)


def explain(connection: sa.Connection, config: Config, asked: str, now: datetime) -> Explained:
    """The account of an id, username, address (also an earlier one) or letter reference; `now` is the clock for what comes next.

    Raises ConfigError if nobody or several accounts match, or there has been no run yet.
    """
    campaign_id = Prior(connection, config.campaign.name).campaign_id
    if campaign_id is None:
        raise ConfigError(
            f"the campaign {config.campaign.name} has had no run yet, so nothing is known of anybody.",
            hint="`migrate dry-run --account ID` shows what the first one would do about an account.",
        )
    account_id, reference = find(connection, campaign_id, asked)
    a = schema.account.c
    row = connection.execute(sa.select(schema.account).where(a.campaign_id == campaign_id, a.account_id == account_id)).mappings().one()
    today = config.campaign.today(now)
    exempt, paused = (in_force(connection, table, campaign_id, account_id, today) for table in (schema.exemption, schema.pause))
    letters = notices(connection, campaign_id, account_id)
    stage, next_why = coming(row, exempt, paused, letters, config, now)
    return Explained(
        account=_account(row),
        standing=row["standing"],
        why=_why(row, exempt, config.policy),
        compliant=row["compliant"],
        at_cutoff=row["at_cutoff"],
        at_cutoff_means=_CUTOFF[row["at_cutoff"]],
        standing_since=row["standing_since"],
        migrated_at=row["migrated_at"],
        outcome=row["outcome"],
        outcome_reason=row["outcome_reason"],
        rejected=row["outcome_reason"] if row["outcome"] == "rejected" and row["gone_at"] is None else None,
        exemption=exempt,
        pause=paused,
        changes=changes(connection, campaign_id, account_id),
        notices=letters,
        decisions=decisions(connection, campaign_id, account_id),
        next=stage,
        next_why=next_why,
        letter=next((each for each in letters if each.reference == reference), None),
    )


def _account(row: sa.RowMapping) -> dict[str, Any]:
    lists = {
        "notification_emails": [each for each in row["notification_emails"].split(ADDRESS_SEPARATOR) if each],
        "methods": words_in(row["methods"]),
    }
    wanted = (
        "account_id", "username", "email", "notification_emails", "display_name", "given_name", "locale", "department", "manager_email",
        "enabled", "federated", "account_type", "privileged", "methods", "default_method", "methods_changed_at", "phone", "wave", "cutoff",
        "first_seen_at", "gone_at", "tenure",
    )  # fmt: skip
    return {name: lists.get(name, row[name]) for name in wanted}


def _named(words: Iterable[str]) -> str:
    """Methods as a sentence has them."""
    return listed([label(word) for word in words] or ["none"])


def _why(row: sa.RowMapping, exempt: InForce | None, policy: PolicySettings) -> str:
    """The rule of design §5 that matched, with the account's own methods in it."""
    has, default = words_in(row["methods"]), row["default_method"]
    retired = _named(word for word in has if word in words_of(policy.retired_bits))
    accepted = _named(word for word in has if word in words_of(policy.accepted_bits))
    both = f"It has an accepted method ({accepted}) and a retired one ({retired})"
    known = default in has and default != "unknown"
    by_default = f"its default, {label(default)}, is not a retired one" if known else "none of them is known to be its default"
    owned = f" (granted by {exempt.owner}: {exempt.reason})" if exempt else ""
    return {
        "inactive": "The directory says that it is disabled: it cannot sign in.",
        "exempt_sso": "It signs in through single sign-on, where the second step belongs to another system.",
        "exempt": f"It had an exemption until {row['exempt_until']} at the last run{owned}.",
        "migrated": f"It has an accepted method ({accepted}) and no retired one.",
        "sms_fallback": f"{both}; {by_default}.",
        "sms_default": f"{both}; its default is a retired one{f', {label(default)}' if default else ''}.",
        "sms_only": f"It has a retired method ({retired}) and no accepted one.",
        "unknown": f"It has neither an accepted nor a retired method, but {_named(has)}: nobody can say what the cutoff does to it.",
        "no_second_step": "It has no second step" + (" (backup codes alone are none)." if has else "."),
    }[row["standing"]]
