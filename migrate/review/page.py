"""review.html: a dry run on one page, for the person who approves it: what a guard says, who would be mailed, who would not and why, and
what changed (design §13). No script runs on it; each sample letter is in a frame that may load and run nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import pandas as pd

from migrate.config import Config
from migrate.config.commands import command, typed
from migrate.core.standing import OUT_OF_SCOPE, STANDINGS
from migrate.decide.draft import Draft
from migrate.report.page import environment, sources
from migrate.report.words import KINDS, MEANINGS, day, many, people

NAME: Final = "review.html"
LISTED: Final = 200
"""How many rows of plan.csv the page shows."""

OUTCOMES: Final = {
    "rejected": "the row of the directory is no account; rejected.csv says why",
    "queued": "a letter would go",
    "inactive": "cannot sign in",
    "exempt_sso": "signs in through SSO",
    "exempt": "has an exemption",
    "not_reminded": "what they have asks for no reminder",
    "no_destination": "a letter is due, but the directory lets them register nothing that stays",
    "nothing_due": "nothing is due, or they were told already",
    "too_soon": "a letter is due, but the last one was too lately",
    "paused": "somebody paused mail to them",
    "no_address": "a letter is due, but there is no address",
    "bad_address": "a letter is due, but the address is none",
    "domain_not_allowed": "a letter is due, but [safety] allowed_domains leaves the domain out",
    "bounced": "a letter is due, but the mail server called the address dead",
    "unrenderable": "a letter is due, but it could not be composed",
    "not_in_plan": "a reviewer left them out",
    "held": "a letter is due, and held until a plan is approved",
}
"""Outcome → what it means."""

CHANGES: Final = {
    "two_step_disabled": "lost their second step",
    "authenticator_enabled": "have an authenticator now",
    "authenticator_removed": "have no authenticator any more",
    "sms_enabled": "have text messages again",
    "sms_removed": "have no text messages any more",
    "authenticator_changed": "have another authenticator",
    "cutoff_removal": "were cut off",
    "reclassified": "are judged by other rules or words",
    "gone": "are not in the directory any more",
    "returned": "are in the directory again",
}
"""Change → what happened; the same words are in the files."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One letter as people see it, and how many letters are like it."""

    kind: str
    word: str
    language: str
    letters: int
    subject: str
    text: str
    html: str


def write(out: BinaryIO, made: Draft, config: Config, folder: Path, rows: Sequence[Mapping[Any, Any]], stopped: Sequence[str]) -> None:
    """Writes the page. `folder` is where the dry run will be, `rows` the first rows of plan.csv (`PLAN_COLUMNS`), `stopped` the words of
    the guards that would stop the run."""
    (style,) = sources("report.css")
    now = made.rules.moment.now
    counts = _counts(made)
    known = max(made.known - made.missing - made.rejected_known, 0)
    text = environment("report", "review").get_template("review.html.j2").render(
        campaign=config.campaign,
        today=config.campaign.today(now),
        stopped=stopped,
        held=made.held,
        max_messages=config.safety.max_messages,
        said=_said(made, counts, stopped),
        letters=counts.total(),
        samples=_samples(made, counts),
        outcomes=[(OUTCOMES[word], word, made.outcomes[word]) for word in OUTCOMES if made.outcomes[word]],
        read=made.read,
        changes=[(said, word, made.changes_seen[word]) for word, said in CHANGES.items() if made.changes_seen[word]],
        joined=made.accepted - known - made.changes_seen["returned"],
        first=not made.known,
        standings=[(MEANINGS[word], word, made.standings[word], word in OUT_OF_SCOPE) for word in STANDINGS if made.standings[word]],
        rows=rows,
        more=max(0, counts.total() - len(rows)),
        kinds=KINDS,
        run=command(config, f"run --plan {typed(folder)}").strip("`"),
        hours=config.safety.plan_hours,
        style=style,
    )  # fmt: skip
    out.write(text.encode())


def first_rows(frames: Iterable[pd.DataFrame]) -> list[Mapping[Any, Any]]:
    """The first `LISTED` rows of some frames."""
    return list(islice((row for frame in frames for row in frame.head(LISTED).to_dict("records")), LISTED))


def _counts(made: Draft) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for frame in made.letters.frames():
        found.update(zip(frame["kind"].tolist(), frame["language"].tolist(), strict=True))
    return found


def _samples(made: Draft, counts: Counter[tuple[str, str]]) -> list[Sample]:
    """One letter of each kind and language, the commonest first."""
    return [
        Sample(KINDS.get(kind, kind), kind, language, counts[kind, language], letter.subject, letter.text, letter.html)
        for (kind, language), letter in sorted(made.samples.items(), key=lambda each: (-counts[each[0]], each[0]))
    ]


def _said(made: Draft, counts: Counter[tuple[str, str]], stopped: Sequence[str]) -> str:
    """What would happen, in a sentence."""
    whom = people(made.written_to)
    when = day(made.rules.moment.campaign.today(made.rules.moment.now))
    if stopped:
        return f"A guard would stop this run: on {when} nothing would be sent."
    if not counts:
        return f"Nobody would be written to on {when}."
    reminders = sum(count for (kind, _), count in counts.items() if kind != "change_confirmation")
    if made.held:
        return f"{many(reminders, 'reminder')} would be held on {when}: more than may go without an approved plan."
    return f"{many(counts.total(), 'letter')} would go to {whom} on {when}."
