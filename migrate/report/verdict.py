"""The verdict: whether everybody will have moved in time, in words. Pure: counts and the forecast in, sentences out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from migrate.core.standing import OUT_OF_SCOPE
from migrate.report import forecast as foretold
from migrate.report.forecast import Forecast, Pace, Point
from migrate.report.moves import Move
from migrate.report.words import WHYS, day, many, people

Answer = Literal["yes", "no", "open", "past"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, the sentence that gives it, the numbers behind it, and what to do (empty if there is nothing to do)."""

    answer: Answer
    said: str
    because: str
    do: str


@dataclass(frozen=True, slots=True)
class Situation:
    """What the verdict depends on.

    `open` people must still move; `stuck` of them can register no accepted method, and mail does not reach `unreached`. `hit` people lost
    something at the cutoff, `not_back` of them are not compliant. `later` of those who must still move are in waves with a later cutoff:
    nothing was taken from them yet. `past` is true from the cutoff instant on. `weak` is true if the directory itself says that its answer
    is incomplete, such as a lower bound.
    """

    today: date
    opens: date
    cutoff: date
    past: bool
    in_scope: int
    open: int
    line: Sequence[Point]
    expected: Forecast | None
    pace: Pace | None
    stuck: int = 0
    unreached: int = 0
    hit: int = 0
    not_back: int = 0
    later: int = 0
    weak: bool = False
    most: str = ""

    @property
    def days_left(self) -> int:
        return (self.cutoff - self.today).days


def verdict(of: Situation) -> Verdict:
    """The verdict on a campaign."""
    if of.past:
        return _past(of)
    least = "at least " if of.weak else ""
    remarks = _remarks(of)
    if of.open == 0:
        return Verdict("yes", f"Yes: all {people(of.in_scope)} have moved, {_ahead(of)}.", "Nobody must still move." + remarks, _do(of))
    if of.today < of.opens:
        said = f"The campaign opens on {day(of.opens)}: {least}{people(of.open)} must move by {day(of.cutoff)}."
        return Verdict("open", said, f"That is {many(of.days_left, 'day')} from today." + remarks, _do(of))
    if of.days_left == 0:
        return Verdict("open", f"The cutoff is today: {least}{people(of.open)} must still move.", remarks.strip(), _do(of))
    if of.expected is None:
        said = f"Too early to say: {_too_few(of.line)}. {least.capitalize()}{people(of.open)} must still move by {day(of.cutoff)}."
        return Verdict("open", said, _pace(of) + remarks, _do(of))
    expected = of.expected
    if expected.left == 0 and expected.high <= 1:
        done = expected.done_on or of.cutoff
        between = _between(expected, of.cutoff)
        said = f"Yes, at this pace: the last of {people(of.open)} moves around {day(done)}, {_before(done, of.cutoff)}{between}."
        return Verdict("yes", said, _pace(of) + remarks, _do(of))
    span = f"{expected.low:,} to {expected.high:,}"
    if expected.low == 0 and expected.left <= max(1, of.open // 50):
        said = f"Perhaps: at this pace {people(expected.left)} ({span}) will not have moved on {day(of.cutoff)}."
        return Verdict("open", said, _pace(of) + remarks, _do(of))
    said = f"No: {least or 'about '}{people(expected.left)} ({span}) will not have moved on {day(of.cutoff)}."
    return Verdict("no", said, _pace(of) + remarks, _do(of))


def _too_few(line: Sequence[Point]) -> str:
    """What a forecast lacks."""
    if not line:
        return "there was no run"
    if (days := foretold.seen(line)) < foretold.ENOUGH:
        return f"{many(days, 'day')} seen, a forecast needs {foretold.ENOUGH} and {foretold.FEWEST} run days"
    return f"{many(len(line), 'run day')} seen, a forecast needs {foretold.FEWEST}"


def _remarks(of: Situation) -> str:
    """What the reader must know besides the numbers: later cutoffs, and a read that is incomplete; with a space in front, or ''."""
    return _later(of) + (" These numbers are weaker than they look: see the caveats." if of.weak else "")


def _later(of: Situation) -> str:
    return f" {of.later:,} of those who must still move {_have(of.later)} a later cutoff: see the waves." if of.later else ""


def _past(of: Situation) -> Verdict:
    remarks = _remarks(of)
    when = f"{many(of.today.toordinal() - of.cutoff.toordinal(), 'day')} ago" if of.today > of.cutoff else "today"
    if not of.hit and not of.open:
        return Verdict("past", f"Yes: when the cutoff came on {day(of.cutoff)}, {when}, everybody had moved.", remarks.strip(), _do(of))
    back = f"{of.not_back:,} of them {_have(of.not_back)} not come back to a second step"
    if of.not_back in (0, of.hit):
        back = "all of them have come back to a second step" if not of.not_back else "none of them has come back to a second step"
    said = f"On {day(of.cutoff)}, {when}, the cutoff took text messages from {people(of.hit)} who had nothing else; {back}."
    if not of.hit:
        said = f"On {day(of.cutoff)}, {when}, the cutoff took nothing from anybody; {people(of.open)} must still move."
    because = f"{people(of.open)} of {of.in_scope:,} in scope {_have(of.open)} no accepted method, or still use text messages first."
    return Verdict("past", said, because + remarks, _do(of))


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _ahead(of: Situation) -> str:
    return f"{many(of.days_left, 'day')} before the cutoff on {day(of.cutoff)}" if of.days_left else "on the day of the cutoff"


def _before(done: date, cutoff: date) -> str:
    days = (cutoff - done).days
    return f"{many(days, 'day')} before the cutoff" if days else "on the cutoff day"


def _between(expected: Forecast, cutoff: date) -> str:
    if expected.earliest is None or (expected.latest or cutoff) == expected.earliest:
        return ""
    latest = day(expected.latest) if expected.latest else f"{day(cutoff)}, the cutoff"
    return f" (between {day(expected.earliest)} and {latest})"


def _pace(of: Situation) -> str:
    if of.pace is None:
        return ""
    needs = f"It takes {of.pace.needed:,.1f} people a day from now on"
    if of.pace.late is None:
        return f"{needs}."
    brought = f"brought {of.pace.late:,.1f}" if of.pace.late >= 0 else f"lost {-of.pace.late:,.1f}"
    letters = "" if of.expected is None or of.expected.letters_seen else " No letter's effect has been seen yet: the next ones may do more."
    return f"{needs}; the last two weeks {brought}.{letters}"


def _do(of: Situation) -> str:
    if of.stuck:
        return f"First: {people(of.stuck)} can register nothing that stays. Change the policy that stops them; no letter helps them before."
    if of.unreached:
        return f"First: mail does not reach {people(of.unreached)} who must still move. See Mail for who, and why."
    if of.open and of.most:
        return f"Most of those who must still move are in {of.most}."
    return ""


@dataclass(frozen=True, slots=True)
class Flow:
    """Why the number of people who must still move changed: `rows` have by how many it changed and why, and lead from `then` to `now`.
    `aside` accounts moved without an effect on it."""

    then: int
    now: int
    rows: tuple[tuple[int, str, str], ...]
    aside: int

    @property
    def sum(self) -> str:
        """The addition, such as `415 − 31 + 4 = 388`."""
        return f"{self.then:,}" + "".join(f" {'−' if by < 0 else '+'} {abs(by):,}" for by, _, _ in self.rows) + f" = {self.now:,}"


def flow(moves: Mapping[Move, int], now: int, compliant: Iterable[str]) -> Flow:
    """Adds moves up to changes of the number of people who must still move; `now` is that number after them. Each row has its word of
    moves.csv last."""
    settled = OUT_OF_SCOPE | set(compliant) | {""}
    by: Counter[str] = Counter()
    gross: dict[str, Counter[int]] = {}
    aside = 0
    for (was, is_now, word), count in moves.items():
        effect = (is_now not in settled) - (was not in settled)
        by[word] += effect * count
        gross.setdefault(word, Counter())[effect] += count
        aside += 0 if effect else count
    order = list(WHYS)
    rows = [
        (effect * count, f"{people(count)} {WHYS[word][count == 1]}", word)
        for word in sorted(gross, key=order.index)
        for effect in (-1, 1)
        if (count := gross[word][effect])
    ]
    return Flow(now - sum(by.values()), now, tuple(rows), aside)
