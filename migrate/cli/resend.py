"""`migrate resend`: a person decides that a failed or uncertain letter is sent again, or all letters that the server refused for the
same reason."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from migrate.cli.console import Console, Json, masked, one_line
from migrate.cli.deciding import By, deciding
from migrate.cli.instants import AsOf, instant
from migrate.errors import ConfigError

if TYPE_CHECKING:
    from migrate.config import Config
    from migrate.decisions import Chosen, Resent, Wanted

_EXAMPLES: Final = 10
_LEFT: Final = {
    "another_person": "were written to somebody who had the account's id before",
    "past_cutoff": "speak of a cutoff that has passed",
    "cutoff_moved": "name another cutoff than their accounts have by now",
    "gone": "are to accounts that are gone from the directory",
    "exempt": "are to accounts that are exempt",
    "paused": "are to accounts whose mail is paused",
    "domain_not_allowed": "are to domains that [safety] allowed_domains does not have",
    "told_elsewhere": "were written to another address of the account as well",
    "newer_stage": "have been overtaken by a newer stage",
    "moved_meanwhile": "were moved by somebody else meanwhile",
}
"""Why letters stay as they are, in words. Any other word is the standing of their accounts."""


class State(StrEnum):
    """The states from which a person may put letters back."""

    failed = "failed"
    uncertain = "uncertain"


def resend(
    ctx: typer.Context,
    notice: Annotated[str | None, typer.Argument(help="The reference of the letter, as in its footer and in notices.csv.")] = None,
    state: Annotated[
        State | None, typer.Option("--state", help="Instead of one letter all that are in this state, and as the others say.")
    ] = None,
    reply: Annotated[str | None, typer.Option("--reply", metavar="TEXT", help="With --state: words in what the server said last.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="With --state: letters of this kind alone.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="INSTANT", help="With --state: in it since then or later.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --state: show what would go again, and change nothing.")] = False,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="With --state: the number of letters, if more go than max_messages allows.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --state: do not ask.")] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for whoever reads the history.")] = "",
    by: By = None,
    as_of: AsOf = None,
    as_json: Json = False,
) -> None:
    """Put a failed or uncertain letter back into the queue, with the same reference and Message-ID; or, by --state, many at once."""
    config, console = ctx.obj.config(), Console(json=as_json)
    if (notice is None) == (state is None):
        raise ConfigError("which letters?", where="migrate resend", hint="Type the reference of one, or --state failed and --reply TEXT.")
    if state is None:
        if reply or kind or since or dry_run or count or yes:
            raise ConfigError("chooses among letters in a state.", where="migrate resend", hint="Type --state, or the reference alone.")
        _explained(reason)
        _one(console, config, str(notice), reason, by, as_of)
        return
    wanted = _wanted(config, state, reply, kind, since)
    if not dry_run:
        _explained(reason)
    with deciding(config, by, as_of, looking=True) as decider:
        from migrate.decisions import choose

        chosen = choose(decider, wanted)
    _show(console, chosen)
    if dry_run or not chosen.going:
        console.result(_facts(chosen, chosen.left, queued=0, dry_run=dry_run))
        console.say("Nothing was changed." if dry_run else "There is nothing to send again; nothing was changed.")
        return
    _agreed(chosen, config, count, yes)
    with deciding(config, by, as_of) as decider:
        from migrate.decisions import resend_all

        done = resend_all(decider, [each.letter_id for each in chosen.going], chosen.state, reason)
    _tell(console, chosen, done)


def _one(console: Console, config: Config, notice: str, reason: str, by: str | None, as_of: str | None) -> None:
    from migrate.decisions import resend as decide

    with deciding(config, by, as_of) as decider:
        decided = decide(decider, notice, reason)
    console.result(decided.facts())
    console.say(f"Letter {decided.reference} ({decided.kind} {decided.occasion}) to {decided.to} was {decided.was} and is queued again.")
    console.say(f"Written down: by {decided.by}, {decided.reason}")
    if decided.cleared:
        console.say(f"The address counted as dead ({decided.cleared}), and does so no more.", "yellow")
    if decided.was == "uncertain":
        console.say("It may have arrived before: then this person gets it twice.", "yellow")
    console.say("Next: `migrate send` sends it now; otherwise the next `migrate run` does.")


def _explained(reason: str) -> None:
    """Raises ConfigError if no reason was given."""
    if not reason.strip():
        raise ConfigError(
            "is missing or says nothing.", where="--reason", hint="Type --reason and why, in a few words: the history keeps it."
        )


def _wanted(config: Config, state: State, reply: str | None, kind: str | None, since: str | None) -> Wanted:
    from migrate.core.kinds import KINDS
    from migrate.decisions import Wanted

    if reply is not None and not reply.strip():
        raise ConfigError("says nothing.", where="--reply", hint="Type words of what the server said, as notices.csv has them.")
    if state == State.failed and reply is None:
        raise ConfigError(
            "letters fail for many reasons, and one of them is mended.",
            where="--state failed",
            hint="Type --reply and words of what the server said, as notices.csv has them.",
        )
    if kind is not None and kind not in KINDS:
        raise ConfigError(f"{kind!r} is no kind of mail.", where="--kind", hint=f"Type one of {', '.join(KINDS)}.")
    return Wanted(state.value, reply, kind, instant(since, config.campaign, "--since"))


def _show(console: Console, chosen: Chosen) -> None:
    """Prints how many letters may be sent again, ten of them, and why the others stay."""
    going = chosen.going
    console.say(f"{len(going):,} {chosen.state} {'letter' if len(going) == 1 else 'letters'} may go again.")
    shown = [(each.reference, each.kind, each.occasion, masked(each.address), one_line(each.reply or "")) for each in going[:_EXAMPLES]]
    if shown:
        console.table(["Letter", "Kind", "Occasion", "To", "The server said"], shown)
    _tell_left(console, chosen.left)
    if chosen.state == "uncertain" and going:
        console.say("Each of them may have arrived before: then its reader gets it twice.", "yellow")


def _tell_left(console: Console, left: dict[str, int]) -> None:
    for word, count in left.items():
        console.say(f"{count:,} {word}: stay as they are, for they {_LEFT.get(word, f'are to accounts that are {word} by now')}.")


def _agreed(chosen: Chosen, config: Config, count: int | None, yes: bool) -> None:
    """Asks for consent on a terminal. Raises an error unless a person agreed to send these letters."""
    from migrate.decisions import within

    within(chosen, config.safety.max_messages, count)
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(
            f"{len(chosen.going):,} letters would go again, and nobody is there to be asked; nothing was changed.",
            where="migrate resend",
            hint="Type the same with --dry-run to look at them, with --yes to send them.",
        )
    typer.confirm(f"Put {len(chosen.going):,} letters back into the queue?", abort=True, err=True)


def _tell(console: Console, chosen: Chosen, done: Resent) -> None:
    left = dict(chosen.left)
    for word, more in done.left.items():
        left[word] = left.get(word, 0) + more
    console.result(
        _facts(chosen, left, queued=done.queued, dry_run=False) | {"cleared": done.cleared, "by": done.by, "reason": done.reason}
    )
    that, are = ("letter that was", "is") if done.queued == 1 else ("letters that were", "are")
    console.say(f"{done.queued:,} {that} {done.was} {are} queued again.")
    _tell_left(console, done.left)
    console.say(f"Written down: by {done.by}, {done.reason}")
    if done.cleared:
        console.say(f"{done.cleared:,} of their addresses counted as dead, and do so no more.", "yellow")
    console.say("Next: `migrate send` sends them now; otherwise the next `migrate run` does.")


def _facts(chosen: Chosen, left: dict[str, int], *, queued: int, dry_run: bool) -> dict[str, Any]:
    """The object of `--json`: what was found, what may be sent again (with ten examples), what was queued, and what stays and why."""
    examples = [
        {"reference": each.reference, "account_id": each.account_id, "kind": each.kind, "occasion": each.occasion, "reply": each.reply}
        for each in chosen.going[:_EXAMPLES]
    ]
    return {
        "state": chosen.state,
        "found": len(chosen.going) + sum(chosen.left.values()),
        "may_go": len(chosen.going),
        "queued": queued,
        "left": left,
        "examples": examples,
        "dry_run": dry_run,
    }
