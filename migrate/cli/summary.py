"""The output of a run or a dry run for people: the same words in the same order for both."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from migrate.cli.console import Console, masked
from migrate.config.commands import command

if TYPE_CHECKING:
    from migrate.config import Config
    from migrate.delivery import Forecast, Waiting
    from migrate.explain.queue import Bounced
    from migrate.run.stops import Difference
    from migrate.run.summary import Decision, Sending

_WORDS: Final = 20
"""At most so many unknown words are printed, a line each. If there are more, the column is most likely the wrong one."""
_SUCH_AS: Final = 3
_ADDRESSES: Final = ("username", "email", "notification_emails", "manager_email")


def tell(console: Console, decision: Decision, config: Config, name: str, *, stopped: bool = False) -> None:
    """Prints what was read, where people stand, what changed, and what became of every row, under a name. `stopped` is true if a guard
    stopped the run: why rows were rejected is then printed with --quiet too."""
    campaign, now, noticed = config.campaign, decision.as_of, decision.noticed
    left = campaign.days_left(now)
    days = (
        f"{left} day{'' if left == 1 else 's'} to the cutoff"
        if left > 0
        else "cutoff day"
        if left == 0
        else f"{-left} days after the cutoff"
    )
    console.say(f"{name} of {decision.campaign} as of {now.astimezone(campaign.zone):%Y-%m-%d %H:%M %Z}, {days}.")
    console.say(f"Read {decision.read:,} rows: {decision.read - decision.rejected:,} accounts, {decision.rejected:,} rejected.")
    for title, counts in (("Standing", decision.standing), ("Change", decision.changes), ("Outcome", decision.outcomes)):
        if counts:
            console.say()
            console.table([title, "Accounts" if title != "Outcome" else "Rows"], _sorted(counts))
            if title == "Standing":
                tell_compliant(console, *(_among(of, config.policy.compliant) for of in (counts, decision.not_certain)))
    tell_noticed(console, noticed.rejections, noticed.advice, noticed.rejected_known, noticed.caveats, stopped=stopped)
    _tell_unknown(console, _sorted(noticed.unknown_words))
    if count := decision.defaults_not_registered:
        whose = "1 account has a default method that is" if count == 1 else f"{count:,} accounts have a default method that is"
        console.say(f"{whose} not registered: it is taken for none.", "yellow")
    if count := decision.too_many_addresses:
        console.need(f"{too_many_addresses(count, config.policy.max_addresses)}.", "yellow")
    if count := decision.confirmed_later:
        whose = "1 account was" if count == 1 else f"{count:,} accounts were"
        console.need(f"{whose} told of three changes today: the next confirmation tells the last state, tomorrow.", "yellow")
    for column, count in _sorted(noticed.unreadable_instants):
        console.need(f"{count:,} instants in {column} could not be read and count as missing.", "yellow")
    if stale := too_old(decision.directory_as_of, now, config):
        console.need(f"{stale}: reminders wait until a fresh one is read. Confirmations go out.", "yellow")
    console.say()


def _tell_unknown(console: Console, words: Sequence[tuple[str, int]]) -> None:
    """Prints a line for each unknown word with how many accounts have it, or one line if there are many."""
    if len(words) <= _WORDS:
        for word, count in words:
            console.need(f"Unknown method word {word!r} on {count:,} accounts. Say what it means in [directory.methods].", "yellow")
        return
    from migrate.directory.translate import OTHER_SPELLINGS

    spelt = [each for each in words if each[0] != OTHER_SPELLINGS]
    such_as = ", ".join(f"{word!r} ({count:,})" for word, count in spelt[:_SUCH_AS])
    console.need(
        f"{'' if len(spelt) == len(words) else 'More than '}{len(spelt):,} method words are unknown, such as {such_as}; --json has them. "
        "Say what they mean in [directory.methods], if that column is one of methods.",
        "yellow",
    )


def tell_noticed(
    console: Console,
    rejections: Sequence[Mapping[str, Any]],
    advice: Sequence[str],
    rejected_known: int,
    caveats: Sequence[str],
    *,
    stopped: bool = False,
) -> None:
    """Prints why rows were rejected and what to do about it, and what makes the directory's answer less certain. A person must see it if
    there is something to repair, a known account is among the rejected rows, or the run was `stopped`."""
    from migrate.directory.rejections import lines

    if rejections or advice or rejected_known or caveats:
        console.say()
    needed = advice or rejected_known or stopped
    for line in lines(rejections):
        (console.need if needed else console.say)(f"Rejected: {line}.", "yellow")
    for each in advice:
        console.need(each, "yellow")
    if rejected_known:
        console.need(f"{still_recorded(rejected_known)}.", "yellow")
    for caveat in caveats:
        console.need(f"Caveat: {caveat}.", "yellow")


def too_many_addresses(count: int, most: int) -> str:
    """What is done about the addresses of so many accounts, without the full stop."""
    whose = "1 account has" if count == 1 else f"{count:,} accounts have"
    return f"{whose} more than {most:,} addresses ([policy] max_addresses): confirmations go to so many of them, and not to the rest"


def still_recorded(known: int) -> str:
    """What becomes of known accounts whose row was rejected, without the full stop."""
    who = "1 known account was rejected: it stays" if known == 1 else f"{known:,} known accounts were rejected: they stay"
    return f"{who} as recorded, neither gone nor changed"


def too_old(speaks_of: datetime, now: datetime, config: Config) -> str | None:
    """A clause on how old the directory's data are, which the caller finishes; None if they are not too old for reminders."""
    age = now - speaks_of
    if age < timedelta(hours=config.safety.stale_hours):
        return None
    old = f"{age.days} days" if age.days > 1 else f"{age // timedelta(hours=1)} hours"
    return f"The directory is {old} old (it speaks of {speaks_of.astimezone(config.campaign.zone):%Y-%m-%d %H:%M %Z})"


def tell_stop(console: Console, difference: Difference) -> None:
    """Prints what a stopped run would have changed, column by column, with some accounts before and after."""
    if columns := difference.columns:
        console.need("Columns that differ from what is recorded: " + ", ".join(f"{name} ({n:,})" for name, n in _sorted(columns)) + ".")
    for each in difference.examples:
        before, after = each.before, each.after
        unlike = [f"{name}: {_shown(name, before[name])} → {_shown(name, after[name]) if after else 'gone'}" for name in before]
        console.need(f"Such as {each.account_id}, {each.change}: {'; '.join(unlike)}")


def _shown(name: str, value: str | None) -> str:
    """A value of an example. Addresses are masked, since the output ends up in mails and logs."""
    if not value:
        return "nothing"
    return ", ".join(masked(each) for each in value.split(", ")) if name in _ADDRESSES else value


def tell_compliant(console: Console, compliant: int, not_certain: int) -> None:
    """Prints how many accounts are compliant, if some of them have a second step without a known name."""
    if not_certain:
        console.say(f"Compliant: {compliant:,}, of which {not_certain:,} not certain (a second step nobody knows by name).", "yellow")


def foretell(console: Console, letters: int, done: datetime, config: Config, now: datetime, *, waiting: int = 0) -> None:
    """Prints when so many letters will have been sent at the rates of the mail server (`migrate.delivery.Forecast`). `waiting` is how many
    of them were queued before; it is printed unless it is 0."""
    assert config.mail.smtp is not None  # there is a forecast only for a mail server
    done, now = (instant.astimezone(config.campaign.zone) for instant in (done, now))
    when = f"about {done:%H:%M}" if done.date() == now.date() else f"on {_day(done, now)}"
    among = f", {waiting:,} that wait already among them," if waiting > 0 else ""
    console.say(f"{letters:,} letter{'' if letters == 1 else 's'}{among} at {config.mail.smtp.rates.words}: done {when}.")


def _day(day: datetime, now: datetime) -> str:
    """A day in words: Thursday, 3 December; with the year if it is not the present one."""
    return f"{day:%A}, {day.day} {day:%B}" + (f" {day.year}" if day.year != now.year else "")


def tell_waiting(
    console: Console, waiting: Waiting, delivery: Forecast, config: Config, now: datetime, *, goes_on: bool = True, stale: int = 0
) -> None:
    """Prints until when letters wait, when all will have been sent if the delivery `goes_on`, and that some have waited too long.
    `stale` letters are held back whatever the hours."""
    zone = config.campaign.zone
    now = now.astimezone(zone)
    if waiting.until and not stale:
        until = waiting.until.astimezone(zone)
        console.say(f"{_letters(waiting.reminders, 'waits', 'wait')} for the send hours, until {until:%A %Y-%m-%d %H:%M %Z}.")
    limit = f"the mail server's limit of {delivery.per_day:,} a day" if delivery.per_day else ""
    used_up = delivery.until is not None and delivery.letters > 0
    if delivery.until and used_up:
        until = delivery.until.astimezone(zone)
        when = f"{until:%H:%M}" if until.date() == now.date() else f"{_day(until, now)}, {until:%H:%M}"
        console.say(f"{limit.capitalize()} is used up until {when}; {_letters(delivery.letters, 'waits', 'wait')}.")
    if goes_on and not stale and delivery.done_at:
        foretell(console, delivery.letters, delivery.done_at, config, now)
    if waiting.too_long:
        mend = (
            f"{limit} ([mail.smtp] rate) is too low for them: ask the provider for more, or begin stages earlier ([schedule] days_before)."
            if used_up
            else "`migrate send` must run inside the send hours, as often as they take; notices.csv of the reports lists what waits."
        )
        console.need(f"{_letters(waiting.too_long, 'has', 'have')} waited through a whole send day: {mend}", "yellow")


def tell_unreachable(console: Console, unreachable: Bounced, config: Config) -> None:
    """Prints how many reminded accounts cannot be mailed because their address bounced. A person must see it if they are more than
    allowed."""
    count, allowed = unreachable.bounced, unreachable.allowed
    if not count:
        return
    who = "1 reminded account cannot be reached: its" if count == 1 else f"{count:,} reminded accounts cannot be reached: their"
    listed = command(config, "bounces list")
    if unreachable.too_many:
        console.need(
            f"{who} address bounced. That is more than [safety] guard_floor = {allowed:,}: {listed} shows what the mail server said of "
            "each. If it was wrong, `migrate bounces clear --since INSTANT --reason TEXT` takes back the marks made since.",
            "red",
        )
    else:
        console.say(f"{who} address bounced; {listed} shows what the mail server said.", "yellow")


def tell_ended(console: Console, sending: Sending) -> None:
    """Prints how many letters were sent outside the send hours because they would have ended before the next ones, and how many ended
    before they were tried."""
    if outside := sending.outside_hours:
        console.say(f"{_letters(outside, 'went', 'went')} outside the send hours: the next ones begin only after the cutoff.")
    if too_late := sending.too_late:
        console.need(
            f"{_letters(too_late, 'was', 'were')} withdrawn: the cutoff came before any try. notices.csv of the reports lists them; "
            "`migrate explain REFERENCE` says whether the mail server had refused one, and `migrate check --cron` whether cron starts "
            "`migrate run` and `migrate send` in time.",
            "yellow",
        )


def _letters(count: int, one: str, many: str) -> str:
    return f"{count:,} letter{f' {one}' if count == 1 else f's {many}'}"


def _among(counts: Mapping[str, int], words: Collection[str]) -> int:
    return sum(count for word, count in counts.items() if word in words)


def _sorted(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
