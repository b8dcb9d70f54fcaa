"""`migrate explain`: everything about one account, and whether a letter is real."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from migrate.cli.console import Console, Json, one_line
from migrate.cli.instants import AsOf, now_or

if TYPE_CHECKING:
    import sqlalchemy as sa

    from migrate.core.campaign import CampaignSettings
    from migrate.explain.account import Explained, Notice
    from migrate.explain.letter_text import Text
    from migrate.explain.remembered import Change, Decision

_LISTED: Final = 10


def explain(
    ctx: typer.Context,
    account: Annotated[list[str], typer.Argument(help="An account id, a username, an address, or the reference of a letter.")],
    as_of: AsOf = None,
    text: Annotated[bool, typer.Option("--text", help="The exact words of the letter with this reference, and their proof.")] = False,
    as_json: Json = False,
) -> None:
    """Everything about one account: standing and why, changes, letters, what comes next; and whether a letter is real."""
    from migrate.explain.account import explain as look
    from migrate.run.provenance import looked_at

    config = ctx.obj.config()
    console = Console(json=as_json)
    now = now_or(as_of, config.campaign)
    with looked_at(config) as ledger, ledger.read() as connection:
        explained = look(connection, config, " ".join(account), now)
        words = _words(connection, explained) if text else None
    if words:
        _text(console, words)
        return
    console.result(explained.facts())
    if explained.besides:
        console.say(explained.besides, "yellow")
    if explained.letter:
        _letter(console, explained.letter, explained.account["tenure"], config.campaign)
    _who(console, explained, config.campaign)
    _standing(console, explained, config.campaign)
    _history(console, explained, config.campaign)
    _next(console, explained)


def _words(connection: sa.Connection, explained: Explained) -> Text:
    from migrate.errors import ConfigError
    from migrate.explain.letter_text import text_of

    if explained.letter is None:
        known = ", ".join(each.reference for each in explained.notices[-_LISTED:])
        hint = f"Type one of its letters' references: {known}." if known else None
        raise ConfigError(f"{explained.account['account_id']} is an account, and --text shows one letter.", where="--text", hint=hint)
    return text_of(connection, explained.letter.reference)


def _text(console: Console, words: Text) -> None:
    from migrate.explain.letter_text import NOT_KEPT, PROVEN

    console.result(asdict(words))
    _lines(console, [("to", words.to), ("subject", words.subject)])
    console.say()
    console.page(words.text)
    console.say()
    console.say(PROVEN if words.proven else NOT_KEPT, "green" if words.proven else "yellow")
    console.say(f"SHA-256 of the message as it was handed over: {words.digest}. Its page and its headers are in --json.")


def _letter(console: Console, letter: Notice, tenure: int, campaign: CampaignSettings) -> None:
    from migrate.explain.account import GENUINE
    from migrate.ledger.states import STATES

    console.say(f"Letter {letter.reference}: {letter.kind} ({letter.occasion})")
    _lines(
        console, [("to", letter.to), ("subject", letter.subject or "not composed yet"), (letter.state, _at(letter.changed_at, campaign))]
    )
    if letter.state != "sent":
        known = (
            f"after {_tries(letter.attempts)}: {STATES[letter.state]}" if letter.attempts else "and was never tried: nobody has received it"
        )
        console.say(f"  It is {letter.state} {known}.", "yellow")
    if letter.tenure != tenure:
        console.say("  It was written to somebody who had this id before.", "yellow")
    console.say(GENUINE, "yellow")
    console.say()


def _who(console: Console, explained: Explained, campaign: CampaignSettings) -> None:
    account = explained.account
    marks = [account["account_type"] if account["account_type"] != "person" else "", "administrator" if account["privileged"] else ""]
    named = f" ({one_line(account['display_name'])})" if account["display_name"] else ""
    console.say(f"Account {one_line(account['account_id'])}{named}" + "".join(f", {mark}" for mark in marks if mark))
    lines = [
        ("username", account["username"]),
        ("address", account["email"] or "none"),
        ("also at", ", ".join(account["notification_emails"])),
        ("department", account["department"]),
        ("manager", account["manager_email"]),
        ("phone", account["phone"]),
        ("methods", ", ".join(account["methods"]) or "none"),
        ("default", account["default_method"]),
        ("last used", _used(account, campaign)),
        ("may register", "" if account["may_enrol"] is None else ", ".join(account["may_enrol"]) or "nothing"),
        ("in policy", {None: "", True: "yes: it may still use a retired method", False: "no"}[account["in_policy"]]),
        ("groups", "; ".join(account["groups"])),
    ]
    _lines(console, [(name, value) for name, value in lines if value])


def _standing(console: Console, explained: Explained, campaign: CampaignSettings) -> None:
    gone = explained.account["gone_at"]
    console.say()
    if gone:
        console.say(f"Gone from the directory since {_at(gone, campaign)}; what follows was true before.", "yellow")
    if explained.rejected:
        console.say(
            f"Its row was rejected in the last run: {one_line(explained.rejected)}; what is shown is what was recorded before.", "yellow"
        )
    verdict = "compliant" if explained.compliant else "not compliant" if explained.standing not in _out_of_scope() else "out of scope"
    console.say(
        f"Standing: {explained.standing} ({verdict}) since {_at(explained.standing_since, campaign)}.",
        "green" if explained.compliant else None,
    )
    console.say(f"  {one_line(explained.why)}")
    if not explained.certain:
        console.say(f"  Not certain: {one_line(explained.not_certain)}", "yellow")
    if explained.migrated_at:
        console.say(f"  Migrated: first seen {_at(explained.migrated_at, campaign)}.")
    account = explained.account
    whose = f"the wave {one_line(account['wave'])}" if account["wave"] else "the campaign"
    told = f"last told {_at(explained.told_cutoff, campaign)}" if explained.told_cutoff else "told of none yet"
    differs = explained.told_cutoff is not None and explained.told_cutoff != account["cutoff"]
    console.say(f"Cutoff: {_at(account['cutoff'], campaign)}, that of {whose}; {told}.", "yellow" if differs else None)
    console.say(f"At the cutoff: {explained.at_cutoff_means} ({explained.at_cutoff}).")
    console.say(
        f"Destination: {explained.destination_means} ({explained.destination}).", "yellow" if explained.destination == "no" else None
    )
    for what, each in (("Exempt", explained.exemption), ("Mail paused", explained.pause)):
        if each:
            console.say(f"{what} until {each.until}, owner {one_line(each.owner)}: {one_line(each.reason)}")
    if not gone:
        reason = f" ({one_line(explained.outcome_reason)})" if explained.outcome_reason else ""
        console.say(f"Outcome of the last run: {explained.outcome}{reason}.")


def _history(console: Console, explained: Explained, campaign: CampaignSettings) -> None:
    """What happened to the account, in order: its changes, its letters, what people decided."""
    tenure = explained.account["tenure"]
    told = [(each.seen_at, _change(each, tenure)) for each in explained.changes]
    told += [(each.changed_at, _letter_line(each, tenure, campaign)) for each in explained.notices]
    told += [(each.at, _decision(each)) for each in explained.decisions]
    console.say()
    if not explained.changes:
        console.say("No change of its methods was seen.")
    if not explained.notices:
        console.say("No letter was ever written to it.")
    for when, text in sorted(told, key=lambda each: each[0]):
        console.wrapped(text, head=f"{_at(when, campaign)}  ")


def _change(each: Change, tenure: int) -> str:
    methods = f"from {', '.join(each.had) or 'none'} to {', '.join(each.has) or 'none'}"
    return f"Change {each.change}{_predecessor(each.tenure, tenure)}: {methods}; {each.state}."


def _letter_line(each: Notice, tenure: int, campaign: CampaignSettings) -> str:
    words = [
        f"Letter {each.reference}: {each.kind}{_predecessor(each.tenure, tenure)}, {each.occasion}, to {one_line(each.to)}: {each.state}"
    ]
    words += [f"names the cutoff {_at(datetime.fromisoformat(each.told_cutoff), campaign)}"] if each.told_cutoff else []
    words += [one_line(each.reply or each.reason or "")] if each.reply or each.reason else []
    return "; ".join(words) + "."


def _decision(each: Decision) -> str:
    owner = f", owner {one_line(each.owner)}" if each.owner else ""
    return f"Decision: {each.decision} ({each.about}) by {each.by or 'nobody knows whom'}{owner}: {one_line(each.reason or 'not kept')}."


def _next(console: Console, explained: Explained) -> None:
    console.say()
    if explained.next:
        console.say(f"Next: {explained.next.stage} on {explained.next.on}, if nothing changes. {one_line(explained.next_why)}".rstrip())
    else:
        console.say(f"Next: no reminder. {one_line(explained.next_why)}")


def _used(account: dict[str, Any], campaign: CampaignSettings) -> str:
    """The method that was used last, and when; '' if it is not known."""
    if account["last_used_method"] is None:
        return ""
    when = account["last_used_at"]
    at = f"on {when.astimezone(campaign.zone):%Y-%m-%d}" if when else "at a time nobody knows"
    return f"{account['last_used_method']} {at}"


def _lines(console: Console, lines: list[tuple[str, str]]) -> None:
    for name, value in lines:
        console.say(f"  {name:<12} {one_line(value)}")


def _tries(count: int) -> str:
    return f"{count} {'try' if count == 1 else 'tries'}"


def _at(when: datetime, campaign: CampaignSettings) -> str:
    return f"{when.astimezone(campaign.zone):%Y-%m-%d %H:%M %Z}"


def _predecessor(tenure: int, now: int) -> str:
    """A remark if the letter went to an earlier person with the same id; else ''."""
    return "" if tenure == now else f" (holder {tenure} of this id)"


def _out_of_scope() -> frozenset[str]:
    from migrate.core.standing import OUT_OF_SCOPE

    return OUT_OF_SCOPE
