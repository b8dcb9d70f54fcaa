"""`migrate status`: the campaign at a glance."""

from __future__ import annotations

import re
import sys
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from migrate.cli.console import Console, Json, Style, masked, on_terminal, one_line
from migrate.cli.instants import AsOf, now_or
from migrate.errors import ConfigError, OverdueError

if TYPE_CHECKING:
    from migrate.config import Config
    from migrate.core.campaign import CampaignSettings
    from migrate.core.schedule import Stage
    from migrate.explain.status import Status

_BAR: Final = 40
_WIDTH: Final = 66
_HEIGHT: Final = 7
"""The height of the chart on a terminal, in lines. The whole output fits into 80 columns."""
_SPAN: Final = re.compile(r"(?P<number>[0-9]{1,6})\s*(?P<unit>[mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_LOOK: Final = "Look whether cron starts `migrate run`, and what it mailed; type `migrate run --quiet` to see what stops it."
_SHOWN: Final = 10
"""At most so many accounts that cannot be reached are shown."""
_TO_MEND: Final = {
    "no_address": "give them one in the directory",
    "bad_address": "mend it in the directory",
    "domain_not_allowed": "[safety] allowed_domains lists the domains that are mailed",
}
"""What to do about an address that cannot be mailed, by outcome."""


def status(
    ctx: typer.Context,
    as_of: AsOf = None,
    max_age: Annotated[
        str | None, typer.Option("--max-age", metavar="TIME", help="Exit 7 if no run has completed within 26h (or 2d, 90m).")
    ] = None,
    as_json: Json = False,
) -> None:
    """The campaign at a glance: bar, burn-down, forecast, outbox, last run."""
    from migrate.cli.waves import tell_waves
    from migrate.explain.status import status as look
    from migrate.run.provenance import looked_at

    limit = _span(max_age)
    config = ctx.obj.config()
    console = Console(json=as_json)
    now = now_or(as_of, config.campaign)
    with looked_at(config) as ledger, ledger.read() as connection:
        found = look(connection, config, now)
    console.result(found.facts())
    _days(console, found)
    tell_waves(console, found.waves, config)
    _accounts(console, found, config.campaign)
    _late(console, found, config)
    _burn_down(console, found)
    _waiting(console, found, config)
    if limit is not None:
        _in_time(found, limit)


def _span(text: str | None) -> timedelta | None:
    """Reads a length of time as it is typed: 26h, 2d or 90m. Raises ConfigError for anything else."""
    if text is None:
        return None
    if not (found := _SPAN.fullmatch(text.strip())):
        raise ConfigError(f"{text!r} is no length of time.", where="--max-age", hint="Type one such as 26h, 2d or 90m.")
    return timedelta(**{_UNITS[found["unit"]]: int(found["number"])})


def _in_time(found: Status, limit: timedelta) -> None:
    """Raises OverdueError unless a run completed within the limit."""
    done = found.last_completed_at
    if done is None:
        raise OverdueError(f"no run of {found.campaign} has completed yet.", hint=_LOOK)
    if found.now - done > limit:
        when = f"the last one that did was {_long(found.now - done)} ago, on {done:%Y-%m-%d %H:%M} UTC"
        raise OverdueError(f"no run of {found.campaign} has completed within {_long(limit)}: {when}.", hint=_LOOK)


def _late(console: Console, found: Status, config: Config) -> None:
    from migrate.cli.summary import too_old

    if found.last_run is None:
        return
    if found.now - found.last_run.as_of > timedelta(hours=config.safety.stale_hours):
        ago = f"{_long(found.now - found.last_run.as_of)} ago"
        limit = f"[safety] stale_hours = {config.safety.stale_hours}"
        console.need(f"The last run was {ago}, more than {limit}: reminders wait until `migrate run` reads the directory again.", "yellow")
    elif old := too_old(found.last_run.directory_as_of, found.now, config):
        console.need(f"{old}: reminders wait until `migrate run` reads a fresh one.", "yellow")


def _long(span: timedelta) -> str:
    """A length of time in the largest unit that fits it."""
    minutes = round(span.total_seconds() / 60)
    return (
        _many(minutes, "minute") if minutes < 120 else _many(minutes // 60, "hour") if minutes < 72 * 60 else _many(minutes // 1440, "day")
    )


def _days(console: Console, found: Status) -> None:
    left = found.days_left
    when = f"{_many(left, 'day')} left" if left > 0 else "the cutoff is today" if left == 0 else f"the cutoff was {_many(-left, 'day')} ago"
    works = "work" if found.now < found.cutoff else "worked"
    console.say(f"{found.campaign} ({found.organization}): opens {found.opens}, text messages {works} until {found.until}; {when}.")
    now = f"{_named(found.stage)} since {found.stage.on}" if found.stage else "none"
    after = f"{_named(found.next_stage)} on {found.next_stage.on}" if found.next_stage else "none"
    console.say(f"Stage now: {now}. Next: {after}.")


def _verdict(console: Console, found: Status) -> None:
    if found.verdict is None:
        return
    style: Style | None = "green" if found.verdict.answer == "yes" else "yellow"
    console.say()
    for text in (found.verdict.said, found.verdict.because, found.verdict.do):
        if text:
            console.wrapped(text, style=style)
            style = None


def _accounts(console: Console, found: Status, campaign: CampaignSettings) -> None:
    from migrate.cli.summary import tell_compliant, tell_noticed

    run, parts = found.last_run, found.accounts
    if run is None or parts is None:
        console.say("There has been no run yet. `migrate dry-run` shows what the first one would do.")
        return
    _verdict(console, found)
    console.say()
    rows = (("compliant", parts.compliant), ("not compliant", parts.not_compliant), ("out of scope", parts.out_of_scope))
    if on_terminal():
        for word, count in rows:
            console.say(f"{word:<13}  {_bar(count, parts.total)}  {count:>9,}  {_share(count, parts.total):>6}")
    else:
        console.table(["Accounts", "Number", "Share"], [(word, count, _share(count, parts.total)) for word, count in rows])
    tell_compliant(console, parts.compliant, parts.not_certain)
    console.say()
    when = f"{run.as_of.astimezone(campaign.zone):%Y-%m-%d %H:%M %Z}"
    console.say(f"Run {run.run_id} as of {when}: {run.read:,} rows read, {run.rejected:,} rejected.")
    tell_noticed(console, run.rejections, run.advice, found.rejected_known, run.caveats)
    if not on_terminal():
        ended = sorted(run.outcomes.items(), key=lambda item: (-item[1], item[0]))
        console.table(["Outcome", "Rows"], ended)
    if run.evidence:
        console.say(f"Reports: {run.evidence}")
    if not run.completed:
        console.need("It is still at work, or ended before its reports were written.", "yellow")


def _burn_down(console: Console, found: Status) -> None:
    if not found.burn_down:
        return
    console.say()
    if on_terminal():
        for line in _chart(found):
            console.say(line)
    else:
        console.table(["Day", "Not compliant"], [(point.on, point.count) for point in found.burn_down])
    if found.forecast:
        most = f"eight times in ten {found.forecast.low:,} to {found.forecast.high:,}"
        done = f"; none from {found.forecast.done_on} on" if found.forecast.done_on else ""
        console.say(f"Forecast for the cutoff: {found.forecast.left:,} not compliant ({most}){done}.")


def _waiting(console: Console, found: Status, config: Config) -> None:
    from migrate.cli.summary import tell_waiting

    console.say()
    console.say("Letters: " + ", ".join(f"{count:,} {state}" for state, count in found.outbox.items()) + ".")
    tell_waiting(console, found.waiting, found.delivery, config, found.now)
    _unreachable(console, found, config)
    if found.open_changes:
        console.say(f"{_many(found.open_changes, 'change')} not confirmed yet: every run tries again.", "yellow")
    if found.unsaid_changes:
        console.need(f"{_many(found.unsaid_changes, 'change')} given up: nobody could be told in time.", "red")
    for each in found.exemptions:
        when = f"ended on {each.until}" if each.days < 0 else f"ends on {each.until} ({_many(each.days, 'day')} left)"
        console.need(
            f"The exemption of {each.account_id} {when}; ask {' '.join(each.owner.split())}.", "red" if each.days < 0 else "yellow"
        )


def _unreachable(console: Console, found: Status, config: Config) -> None:
    """Prints who should be reminded and cannot be, and what to type next."""
    from migrate.config.commands import command

    counts, bounced = found.unreachable.counts, found.unreachable.counts.get("bounced", 0)
    if not counts:
        return
    each = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items())
    console.say(f"Accounts to be reminded that cannot be reached: {each}.", "red" if bounced > config.safety.guard_floor else "yellow")
    shown = found.unreachable.accounts[:_SHOWN]
    rows = [(one_line(one.account_id), masked(one.email) if one.email else None, one.outcome, one.reason) for one in shown]
    console.table(["Account", "Address", "Why", "More"], rows)
    if bounced:
        listed = command(config, "bounces list")
        console.say(
            f"bounced: {listed} shows what the mail server said; `migrate bounces clear ADDRESS --reason TEXT` if it takes mail after all."
        )
    for outcome in counts:
        if outcome in _TO_MEND:
            console.say(f"{outcome}: {_TO_MEND[outcome]}.")


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _named(stage: Stage) -> str:
    return f"{stage.name} ({stage.kind})"


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%}" if total else "–"


def _drawn_in_blocks() -> bool:
    return "utf" in (sys.stdout.encoding or "").lower()


def _bar(count: int, total: int) -> str:
    """A part of a whole as a bar of `_BAR` characters; a part that is not zero has at least one."""
    full, rest = ("█", "░") if _drawn_in_blocks() else ("#", ".")
    length = max(round(_BAR * count / total), count > 0) if total else 0
    return full * length + rest * (_BAR - length)


def _chart(found: Status) -> list[str]:
    """The burn-down from the first run day to the cutoff, with the forecast, in at most `_WIDTH` columns: each shows the last run day of
    its days, and is empty without one."""
    line, path = found.burn_down, found.forecast.path if found.forecast else ()
    cutoff = found.cutoff_day
    first, last = line[0].on, max(line[-1].on, cutoff)
    span = max((last - first).days, 1)
    width = min(span + 1, _WIDTH)

    def column(on: date) -> int:
        return (on - first).days * (width - 1) // span

    counts = {column(point.on): point.count for point in line}
    ahead = {column(on): left for on, left, _, _ in path if column(on) > column(line[-1].on)}
    top = max([*(point.count for point in line), *ahead.values(), 1])
    full, next_ = ("█", "░") if _drawn_in_blocks() else ("#", ".")

    def cell(at: int, row: int) -> str:
        floor = top * row / _HEIGHT
        mark = full if counts.get(at, -1) > floor else next_ if ahead.get(at, -1) > floor else " "
        return "|" if mark == " " and at == column(cutoff) else mark

    rows = ["".join(cell(at, row) for at in range(width)).rstrip() for row in reversed(range(_HEIGHT))]
    heads = [f"{round(top):,}" if n == 0 else "0" if n == _HEIGHT - 1 else "" for n in range(_HEIGHT)]
    days = f"{first}".ljust(max(column(cutoff) - 16, 10)) + f"cutoff {cutoff}"
    return [
        "Not compliant, by day" + (f" ({next_} forecast)" if path else ""),
        *(f"{head:>9} {row}" for head, row in zip(heads, rows, strict=True)),
        f"{'':>10}{days}",
    ]
