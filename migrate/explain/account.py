"""Everything about one account, and whether a letter is real (design §15).

The account is shown as the last run recorded it, its letters as they are now. The clock decides only what comes next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from migrate.config import Config
from migrate.core.accounts import ADDRESS_SEPARATOR, GROUP_SEPARATOR, methods_of, words_of
from migrate.core.standing import UNCERTAIN, PolicySettings, registered, used_since
from migrate.errors import ConfigError, LedgerError
from migrate.explain.coming import Next, coming, last_told_cutoff
from migrate.explain.find import find
from migrate.explain.remembered import Change, Decision, InForce, Notice, changes, decisions, in_force, notices, words_in
from migrate.ledger import account_lookup, campaigns, runs
from migrate.ledger.exemptions import KINDS
from migrate.mail.facts import label, listed

__all__ = ["GENUINE", "Change", "Decision", "Explained", "InForce", "Next", "Notice", "explain"]

GENUINE: Final = "A letter is genuine only if its reference, recipient, subject and date agree with these."

_DESTINATION: Final = {
    "yes": "it has an accepted method, or may register one",
    "no": "the directory lets it register none of the accepted methods",
    "unknown": "the directory does not say what it may register",
}

_NAMELESS: Final = words_of(UNCERTAIN)

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
    """What `migrate explain` says of one account.

    `account` has what the directory says of it (phone masked); `why` is the rule that gave its standing, in words. `certain` is false where
    one of its methods is a second step that the configuration has no name for, and `not_certain` says so in words. `destination` says
    whether the directory lets it register an accepted method. `rejected` is the reason if the last run rejected its row; everything else is
    then what earlier runs recorded.

    `letter` is the letter whose reference was asked for; `besides` is what else the same text may mean. `told_cutoff` is the cutoff that
    the last letter to this person named, None if there was none. `next` is None if no reminder comes; `next_why` says why none comes, or
    what may still stop the next one.
    """

    account: dict[str, Any]
    standing: str
    why: str
    compliant: bool
    certain: bool
    not_certain: str
    destination: str
    destination_means: str
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
    told_cutoff: datetime | None
    next: Next | None
    next_why: str
    letter: Notice | None
    besides: str | None

    def facts(self) -> dict[str, Any]:
        """The object of `migrate explain --json`."""
        return asdict(self)


def explain(connection: sa.Connection, config: Config, asked: str, now: datetime) -> Explained:
    """Explains the account of an id, username, address (also an earlier one) or letter reference. `now` is the clock for what comes next.

    Raises ConfigError if nobody or several accounts match, or there has been no run yet.
    """
    campaign_id = campaigns.find(connection, config.campaign.name)
    if campaign_id is None:
        raise ConfigError(
            f"the campaign {config.campaign.name} has had no run yet, so nothing is known of anybody.",
            hint="`migrate dry-run --account ID` shows what the first one would do about an account.",
        )
    meant = find(connection, campaign_id, asked)
    account_id = meant.account_id
    row = account_lookup.record(connection, campaign_id, account_id)
    today = config.campaign.today(now)
    exempt, paused = (in_force(connection, kind, campaign_id, account_id, today) for kind in KINDS)
    letters = notices(connection, campaign_id, account_id)
    stage, next_why = coming(row, exempt, paused, letters, config, now)
    return Explained(
        account=_account(row),
        standing=row["standing"],
        why=_why(row, exempt, config.policy, _last_run(connection, campaign_id)),
        compliant=row["compliant"],
        certain=row["certain"],
        not_certain=_not_certain(row),
        destination=row["destination"],
        destination_means=_DESTINATION[row["destination"]],
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
        told_cutoff=last_told_cutoff(letters, row["tenure"]),
        next=stage,
        next_why=next_why,
        letter=next((each for each in letters if each.reference == meant.reference), None),
        besides=meant.besides,
    )


def _account(row: sa.RowMapping) -> dict[str, Any]:
    lists = {
        "notification_emails": [each for each in row["notification_emails"].split(ADDRESS_SEPARATOR) if each],
        "methods": words_in(row["methods"]),
        "may_enrol": None if row["may_enrol"] is None else words_in(row["may_enrol"]),
        "groups": [each for each in row["groups"].split(GROUP_SEPARATOR) if each],
    }
    wanted = (
        "account_id", "username", "email", "notification_emails", "display_name", "given_name", "locale", "department", "manager_email",
        "enabled", "federated", "account_type", "privileged", "methods", "default_method", "last_used_method", "last_used_at",
        "methods_changed_at", "may_enrol", "in_policy", "groups", "phone", "wave", "cutoff", "first_seen_at", "gone_at", "tenure",
    )  # fmt: skip
    return {name: lists.get(name, row[name]) for name in wanted}


def _named(words: Iterable[str]) -> str:
    """The names of methods as a list in a sentence; "none" if there are none."""
    return listed([label(word) for word in words] or ["none"])


def _last_run(connection: sa.Connection, campaign_id: int) -> datetime:
    """The instant (`as_of`) of the last run: the account was assessed as of then."""
    last = runs.last(connection, campaign_id)
    if last is None:
        raise LedgerError("there are accounts, but no run that recorded them.", where="[ledger] url", hint="Type `migrate ledger check`.")
    return last.as_of


def _not_certain(row: sa.RowMapping) -> str:
    """Why the standing of the account is not certain; '' if it is."""
    if row["certain"]:
        return ""
    return f"Nobody knows by name every second step that it has: {_named(word for word in words_in(row['methods']) if word in _NAMELESS)}."


def _why(row: sa.RowMapping, exempt: InForce | None, policy: PolicySettings, assessed_at: datetime) -> str:
    """The rule of design §5 that gave the account its standing, in a sentence with the account's own methods."""
    has = words_in(row["methods"])
    retired = _named(word for word in has if word in words_of(policy.retired_bits))
    accepted = _named(word for word in has if word in words_of(policy.accepted_bits))
    both = f"It has an accepted method ({accepted}) and a retired one ({retired})"
    habit = _habit(row, policy, assessed_at)
    owned = f" (granted by {exempt.owner}: {exempt.reason})" if exempt else ""
    doubtful = (
        f"It has an accepted method ({accepted}), but {_named(word for word in has if word in _NAMELESS)} beside it, and the policy asks"
    )
    neither = f"It has neither an accepted nor a retired method, but {_named(has)}: nobody can say what the cutoff does to it."
    return {
        "inactive": "The directory says that it is disabled: it cannot sign in.",
        "exempt_sso": "It signs in through single sign-on, where the second step belongs to another system.",
        "exempt": f"It had an exemption until {row['exempt_until']} at the last run{owned}.",
        "migrated": f"It has an accepted method ({accepted}) and no retired one.",
        "sms_fallback": f"{both}; {habit or 'none of them is known to be its default'}{habit and ', is not a retired one'}.",
        "sms_default": f"{both}; {habit}, is a retired one.",
        "sms_only": f"It has a retired method ({retired}) and no accepted one.",
        "unknown": f"{doubtful} for a name." if methods_of(has) & policy.accepted_bits else neither,
        "no_second_step": "It has no second step" + (" (backup codes alone are none)." if has else "."),
    }[row["standing"]]


def _habit(row: sa.RowMapping, policy: PolicySettings, assessed_at: datetime) -> str:
    """The beginning of a clause that names the method which the account uses first, by the rule of `migrate.core.standing.habit`; '' if
    it is not known."""
    has = methods_of(words_in(row["methods"]))
    if registered(row["default_method"], has):
        return f"its default, {label(row['default_method'])}"
    stale = row["last_used_at"] is not None and row["last_used_at"] < used_since(assessed_at, policy)
    if registered(row["last_used_method"], has) and not stale:
        return f"its default is not known, and what it used last, {label(row['last_used_method'])}"
    return ""
