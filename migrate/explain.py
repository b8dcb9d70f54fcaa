"""Everything about one account, and whether a letter is real (design §15).

The account is as the last run recorded it and its letters are as they stand now; the clock is only used for what comes next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from migrate.accounts import ADDRESS_SEPARATOR, RECORD_COLUMNS, words_of
from migrate.config import Config
from migrate.errors import ConfigError
from migrate.ledger import outbox, schema
from migrate.ledger.prior import Prior
from migrate.ledger.references import ALPHABET, LENGTH, as_typed
from migrate.mail.facts import label, listed
from migrate.plan import CONFIRMATION
from migrate.schedule import stages
from migrate.standing import OUT_OF_SCOPE, PolicySettings

GENUINE: Final = "A letter is genuine only if its reference, recipient, subject and date agree with these."

_LISTED: Final = 20
_STANDS: Final = ("queued", "sending", "sent", "uncertain")
_UNMAILABLE: Final = ("no_address", "bad_address", "domain_not_allowed", "bounced", "unrenderable")
_CUTOFF: Final = {
    "unaffected": "nothing changes",
    "unknown": "cannot be told, since its second step is not known",
    "loses_second_step": "loses its second step",
    "locked_out": "can no longer sign in",
    "must_re_enrol": "must enrol again at its next sign-in",
    "unaffected_but_surprised": "its default, a retired method, stops working; its authenticator does not",
}


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the account's methods. `state` is `recorded` (nobody is to be told), `open`, `confirmed` or `unsaid`."""

    change: str
    seen_at: datetime
    seq: int
    tenure: int
    had: tuple[str, ...]
    has: tuple[str, ...]
    mailed: bool
    state: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A letter of a notice. `changed_at` is when it got into its state, `sent_at` the same if that is `sent`; `reply` is the server's
    last words.

    `told_cutoff` is the instant the letter names; None for confirmations. `tenure` tells whose it was where an id was used again.
    """

    reference: str
    kind: str
    occasion: str
    state: str
    to: str
    sent_at: datetime | None
    told_cutoff: str | None
    role: str
    tenure: int
    subject: str | None
    queued_at: datetime
    changed_at: datetime
    reason: str | None
    reply: str | None
    attempts: int


@dataclass(frozen=True, slots=True)
class InForce:
    """An exemption or a pause that is in force; `until` is its last day."""

    until: date
    owner: str
    reason: str


@dataclass(frozen=True, slots=True)
class Next:
    """The stage that reaches the account next, and the first day on which a run can send it."""

    stage: str
    on: date


@dataclass(frozen=True, slots=True)
class Explained:
    """One account. `account` has what the directory says of it (phone masked); `why` is the rule that gave its standing, in words.

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
    exemption: InForce | None
    pause: InForce | None
    changes: tuple[Change, ...]
    notices: tuple[Notice, ...]
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
    account_id, reference = _find(connection, campaign_id, asked)
    a = schema.account.c
    row = connection.execute(sa.select(schema.account).where(a.campaign_id == campaign_id, a.account_id == account_id)).mappings().one()
    today = config.campaign.today(now)
    exempt, paused = (_in_force(connection, table, campaign_id, account_id, today) for table in (schema.exemption, schema.pause))
    notices = _notices(connection, campaign_id, account_id)
    coming, next_why = _next(row, exempt, paused, notices, config, now)
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
        exemption=exempt,
        pause=paused,
        changes=_changes(connection, campaign_id, account_id),
        notices=notices,
        next=coming,
        next_why=next_why,
        letter=next((each for each in notices if each.reference == reference), None),
    )


def _find(connection: sa.Connection, campaign_id: int, asked: str) -> tuple[str, str | None]:
    """The id of the account that is meant; and the reference, if one was asked for.

    An id wins, so that it can be typed where several match; then a reference. An address finds everybody who has or had it, and
    everybody a letter to it was about: it may have passed from one person to another.
    """
    a = schema.account.c
    if connection.execute(sa.select(a.account_id).where(a.campaign_id == campaign_id, a.account_id == asked)).first():
        return asked, None
    asked = asked.strip()
    found = outbox.find(connection, asked)
    if found is not None and found["campaign_id"] == campaign_id:
        return str(found["account_id"]), str(found["reference"])
    if found is not None:
        raise ConfigError(
            f"{as_typed(asked)} is a letter of another campaign, {found['campaign']}.",
            hint="Type the same with --config and that one's file.",
        )
    matches = sorted(_matches(connection, campaign_id, asked))
    if len(matches) == 1:
        return matches[0], None
    if matches:
        shown = ", ".join(matches[:_LISTED]) + (f" and {len(matches) - _LISTED:,} more" if len(matches) > _LISTED else "")
        raise ConfigError(
            f"{asked!r} belongs or belonged to {len(matches):,} accounts: {shown}.",
            hint=f"Type one id, as in `migrate explain {matches[0]}`.",
        )
    if len(as_typed(asked)) == LENGTH and set(as_typed(asked)) <= set(ALPHABET):
        raise ConfigError(
            f"there is no letter {as_typed(asked)}, and no account of that name. A mail that carries this reference is not genuine.",
            hint="Compare it with the mail once more, character by character.",
        )
    raise ConfigError(f"no account matches {asked!r}.", hint="Type an account id, a username, an address or the reference of a letter.")


def _matches(connection: sa.Connection, campaign_id: int, asked: str) -> set[str]:
    folded = asked.lower()

    def same(column: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        # A database may fold ASCII alone.
        return sa.or_(column == asked, sa.func.lower(column) == folded)

    found: set[str] = set()
    for table in (schema.account, schema.account_history):
        c = table.c
        others = c.notification_emails
        among = sa.or_(others.contains(asked, autoescape=True), sa.func.lower(others).contains(folded, autoescape=True))
        wanted = sa.select(c.account_id, c.username, c.email, c.notification_emails)
        wanted = wanted.where(c.campaign_id == campaign_id, sa.or_(same(c.username), same(c.email), among))
        for account_id, username, email, notified in connection.execute(wanted):
            if folded in {str(each).lower() for each in (username, email, *notified.split(ADDRESS_SEPARATOR))}:
                found.add(account_id)
    to = schema.letter.c
    found |= set(connection.execute(sa.select(to.account_id).where(to.campaign_id == campaign_id, same(to.address))).scalars())
    return found


def _account(row: sa.RowMapping) -> dict[str, Any]:
    lists = {
        "notification_emails": [each for each in row["notification_emails"].split(ADDRESS_SEPARATOR) if each],
        "methods": _words(row["methods"]),
    }
    wanted = (
        "account_id", "username", "email", "notification_emails", "display_name", "given_name", "locale", "department", "manager_email",
        "enabled", "federated", "account_type", "privileged", "methods", "default_method", "methods_changed_at", "phone", "wave", "cutoff",
        "first_seen_at", "gone_at", "tenure",
    )  # fmt: skip
    assert set(wanted) <= set(RECORD_COLUMNS)
    return {name: lists.get(name, row[name]) for name in wanted}


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()


def _in_force(connection: sa.Connection, table: sa.Table, campaign_id: int, account_id: str, today: date) -> InForce | None:
    """The longest of what is in force today."""
    t = table.c
    mine = sa.select(t.until, t.owner, t.reason).where(t.campaign_id == campaign_id, t.account_id == account_id, t.removed_at.is_(None))
    row = connection.execute(mine.where(t.until >= today.isoformat()).order_by(t.until.desc(), t.id.desc()).limit(1)).first()
    return None if row is None else InForce(date.fromisoformat(row.until), row.owner, row.reason)


def _changes(connection: sa.Connection, campaign_id: int, account_id: str) -> tuple[Change, ...]:
    c = schema.change.c
    mine = sa.select(c.change, c.seen_at, c.seq, c.tenure, c.had, c.has, c.mailed, c.state)
    rows = connection.execute(mine.where(c.campaign_id == campaign_id, c.account_id == account_id).order_by(c.seq)).mappings()
    return tuple(Change(**{**row, "had": _words(row["had"]), "has": _words(row["has"])}) for row in rows)


def _notices(connection: sa.Connection, campaign_id: int, account_id: str) -> tuple[Notice, ...]:
    """Every letter about the account, the oldest first."""
    letter, notice, event = schema.letter.c, schema.notice.c, schema.letter_event.c
    moved = sa.select(sa.func.max(event.at)).where(event.letter_id == letter.id).scalar_subquery()
    columns = (
        letter.reference, letter.kind, letter.occasion, letter.state, letter.address.label("to"), letter.settled_at, notice.told_cutoff,
        letter.role, notice.tenure, letter.subject, letter.queued_at, sa.type_coerce(moved, schema.UtcInstant).label("changed_at"),
        letter.reason, letter.reply, letter.attempts,
    )  # fmt: skip
    joined = schema.letter.join(schema.notice, letter.notice_id == notice.id)
    wanted = sa.select(*columns).select_from(joined).where(letter.campaign_id == campaign_id, letter.account_id == account_id)
    rows = connection.execute(wanted.order_by(letter.queued_at, letter.id)).mappings()
    return tuple(_notice(dict(row)) for row in rows)


def _notice(row: dict[str, Any]) -> Notice:
    settled = row.pop("settled_at")
    return Notice(**row | {"sent_at": settled if row["state"] == "sent" else None, "told_cutoff": row["told_cutoff"] or None})


def _named(words: Iterable[str]) -> str:
    """Methods as a sentence has them."""
    return listed([label(word) for word in words] or ["none"])


def _why(row: sa.RowMapping, exempt: InForce | None, policy: PolicySettings) -> str:
    """The rule of design §5 that matched, with the account's own methods in it."""
    has, default = _words(row["methods"]), row["default_method"]
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


def _next(
    row: sa.RowMapping, exempt: InForce | None, paused: InForce | None, notices: tuple[Notice, ...], config: Config, now: datetime
) -> tuple[Next | None, str]:
    """The stage that reaches the account next if nothing changes; and in words why none does, or what may be in its way."""
    if reason := _never(row, exempt, config.policy, after_cutoff=now >= config.campaign.cutoff_at):
        return None, reason
    campaign, planned = config.campaign, stages(config.campaign, config.schedule)
    mine = [each for each in notices if each.tenure == row["tenure"]]
    earliest = _earliest(mine, paused, config, campaign.today(now))
    for stage, later in zip(planned, (*planned[1:], None), strict=True):
        on = max(stage.on, earliest)
        begins = max(campaign.instant(on), stage.begins, now)
        missed = (later is not None and later.begins <= begins) or (stage.ends is not None and stage.ends <= begins)
        if not missed and not _told(mine, stage.name, row["email"], config):
            held = f"At the last run it could not be mailed: {row['outcome']}." if row["outcome"] in _UNMAILABLE else ""
            waits = f"Mail is paused until {paused.until} ({paused.owner}: {paused.reason})." if paused else ""
            return Next(stage.name, on), " ".join(filter(None, (held, waits)))
    return None, "No stage of the schedule is left for it."


def _never(row: sa.RowMapping, exempt: InForce | None, policy: PolicySettings, *, after_cutoff: bool) -> str | None:
    """Why the account is not reminded at all, or None if it is (design §7)."""
    standing = row["standing"]
    if row["gone_at"] is not None:
        return "It is gone from the directory."
    if exempt is not None:
        return f"It is exempt until {exempt.until}."
    if standing == "exempt":
        return f"Its exemption ended on {row['exempt_until']}; the next run assesses it anew."
    carried_over = after_cutoff and row["reminded"] and not row["compliant"] and standing not in OUT_OF_SCOPE
    if standing in policy.remind or carried_over:
        return None
    return f"Accounts with the standing {standing} are not reminded."


def _earliest(mine: list[Notice], paused: InForce | None, config: Config, today: date) -> date:
    """The first day on which a reminder may go: not before today, after the gap since the last one and after a pause."""
    days = [today]
    days += [
        config.campaign.today(each.changed_at) + timedelta(days=config.schedule.min_gap_days)
        for each in mine
        if each.kind != CONFIRMATION and each.state in ("sent", "uncertain")
    ]
    days += [paused.until + timedelta(days=1)] if paused else []
    return max(days)


def _told(mine: list[Notice], stage: str, email: str | None, config: Config) -> bool:
    """True if a letter of the stage stands in its way (design §7; the same rule as a run's plan)."""
    cutoff = config.campaign.cutoff_at
    return any(
        each.state in _STANDS
        or (each.state == "withdrawn" and each.reason == "reviewer")
        or (each.state == "failed" and each.to.lower() == (email or "").lower())
        for each in mine
        if each.occasion == stage and each.told_cutoff and datetime.fromisoformat(each.told_cutoff) == cutoff
    )
