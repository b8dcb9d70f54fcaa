"""report.html: one page without any outside resource, to look at, print and pass on (design §14). Its content security policy forbids every
request.

Other modules work its contents out: the verdict (`verdict`), the forecast (`forecast`), the chart (`burndown`), the counts (`tally`), the
list (`actions`), the words (`words`). This one puts them together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from zoneinfo import ZoneInfo

from migrate import outside
from migrate.core.schedule import upcoming
from migrate.core.standing import OUT_OF_SCOPE, STANDINGS
from migrate.directory import rejections
from migrate.files.resources import resource
from migrate.process import memory
from migrate.report import actions, burndown, forecast, sections, words
from migrate.report.chronicle import Chronicle
from migrate.report.manifest import instant
from migrate.report.policy_hash import source_hash
from migrate.report.tally import NAMED, WHERE, Counted, Where
from migrate.report.verdict import Situation, verdict
from migrate.report.words import MEANINGS

if TYPE_CHECKING:
    import jinja2

    from migrate.report.moves import Moves

DEPARTMENTS: Final = 200
"""A table by department has at most so many rows."""
SOON: Final = 14
"""An exception is listed first from so many days before its last day on."""
_SIZES: Final = {"wide": (960, 320), "narrow": (360, 280)}
"""The chart for a screen and for paper, and the one for a telephone, where the letters are as large."""
_HEADINGS: Final[dict[Where, str]] = {
    "department": "Department",
    "language": "Language",
    "account_type": "Kind of account",
}
_RULES: Final = {
    "unknown_words": "Words for methods that nobody knows, and on how many accounts they stand",
    "lost_lists": "Columns whose list of methods the export lost, and in how many rows",
    "unreadable_instants": "Columns with instants that no calendar holds, and in how many rows",
}


@dataclass(frozen=True, slots=True)
class Counts:
    """`accounts.standing_counts` of all accounts, and of those that are not certain; how many `rows` each table has; what the page
    counts besides; and the moves since the evidence before."""

    accounts: Counter[tuple[str, str]]
    not_certain: Counter[tuple[str, str]]
    rows: Mapping[str, int]
    tally: Counted
    moves: Moves

    def by_standing(self) -> Counter[str]:
        """How many accounts have each standing."""
        found: Counter[str] = Counter()
        for (_, standing), count in self.accounts.items():
            found[standing] += count
        return found

    def in_doubt(self, compliant: frozenset[str]) -> int:
        """How many of the compliant accounts are not certain."""
        return sum(count for (_, standing), count in self.not_certain.items() if standing in compliant)


@lru_cache
def environment(*folders: str) -> jinja2.Environment:
    """The page templates in some of our folders; every value is escaped, and freed of what a page must not hold."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([resource("templates") / folder for folder in folders]),
        autoescape=True,
        finalize=outside.page,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["grouped"] = lambda number: f"{number:,}"
    made.filters["percent"] = sections.percent
    made.filters["day"] = words.day
    return made


def sources(*names: str) -> list[str]:
    """Our scripts or styles in templates/report."""
    return [(resource("templates") / "report" / name).read_text(encoding="utf-8").strip() for name in names]


def write(out: BinaryIO, chronicle: Chronicle, counts: Counts, listed: Path) -> None:
    """Writes the page. `listed` is the file action-list.csv."""
    script, style = sources("report.js", "report.css")
    terms, run = chronicle.terms, chronicle.run
    found = actions.read(listed, terms, past=run.as_of >= terms.cutoff)
    told = _told(chronicle, counts)
    named = found.named
    memory.trimmed()  # the list was read as columns of text, which take far more than what is made of them
    pieces = (
        environment("report")
        .get_template("report.html.j2")
        .generate(
            **told,
            headings=actions.HEADINGS,
            choices=actions.CHOICES,
            unscripted=found.rows(range(min(len(found), actions.UNSCRIPTED))),
            named=found.rows(named[:NAMED]),
            more_named=max(0, len(named) - NAMED),
            listed=len(found),
            all_actions=counts.rows["action-list"],
            rows=counts.rows,
            data=found.data(),
            script=script,
            style=style,
            script_hash=source_hash(script),
            style_hash=source_hash(style),
        )
    )
    # The list is one of the pieces, and large: it is not copied into a whole page first.
    out.writelines(piece.encode() for piece in pieces)


def _told(chronicle: Chronicle, counts: Counts) -> dict[str, Any]:
    """The values of the page's template, except the list."""
    terms, run, tally = chronicle.terms, chronicle.run, counts.tally
    by_standing, compliant = counts.by_standing(), frozenset(terms.compliant)
    cutoff, today, past = terms.day(terms.cutoff), terms.day(run.as_of), run.as_of >= terms.cutoff
    moved = sum(by_standing[word] for word in compliant)
    outside_it = sum(by_standing[word] for word in OUT_OF_SCOPE)
    left = counts.accounts.total() - moved - outside_it
    days = chronicle.days()
    line = burndown.points(days, terms)
    letters_on = [stage.on for stage in terms.stages]
    expected = None if past else forecast.forecast(line, letters_on, cutoff)
    caveats = list(run.counts.get("caveats", ()))
    departments = sections.ranked(tally.where["department"], "department")
    later = terms.later(run.as_of)
    harms = [(word, said[past], tally.harms[word]) for word, said in words.HARMS.items() if word in tally.harms]
    situation = Situation(
        today=today,
        opens=terms.opens,
        cutoff=cutoff,
        past=past,
        in_scope=moved + left,
        open=left,
        line=line,
        expected=expected,
        pace=None if past else forecast.pace(line, cutoff),
        stuck=tally.harms[words.NO_DESTINATION].people if words.NO_DESTINATION in tally.harms else 0,
        unreached=tally.unreached.total(),
        hit=sum(count for (wave, word, _), count in tally.cut.items() if word in words.HURT and wave not in later),
        not_back=sum(count for (wave, word, done), count in tally.cut.items() if word in words.HURT and not done and wave not in later),
        later=sum(part.open for wave, part in tally.where["wave"].items() if wave in later),
        weak=bool(caveats),
        most=sections.most(departments, left),
    )
    names = tally.names
    return {
        "terms": terms,
        "run": run,
        "past": past,
        "today": today,
        "cutoff": cutoff,
        "days_left": (cutoff - today).days,
        "as_of": instant(run.as_of),
        "evidence_at": instant(chronicle.evidence_at),
        "read_at": f"{run.directory_read_at.astimezone(ZoneInfo(terms.timezone)):%Y-%m-%d %H:%M %Z}",
        "previous": chronicle.previous,
        "verdict": verdict(situation),
        "figures": [
            *sections.figures(by_standing, days, today, compliant),
            sections.Figure("unreached", "must move, cannot be reached", tally.unreached.total(), None),
        ],
        "accounts": counts.accounts.total(),
        "pieces": sections.pieces(moved, left),
        "share": 100 * moved / (moved + left) if moved + left else 100.0,
        "not_certain": counts.in_doubt(compliant),
        "harms": harms,
        "harmed": left,
        "later": situation.later,
        "flows": sections.flows(chronicle, counts.moves.counts, tally.week, left),
        "line": line,
        "expected": expected,
        "charts": {
            size: burndown.chart(line, expected, terms.stages, terms.opens, cutoff, width=width, height=height)
            for size, (width, height) in _SIZES.items()
        },
        "needed": burndown.DRAWN,
        "standings": [
            (word, MEANINGS[word], by_standing[word], sections.group(word, compliant)) for word in STANDINGS if by_standing[word]
        ],
        "where": [
            (where, _HEADINGS[where], parts[:DEPARTMENTS], max(0, len(parts) - DEPARTMENTS))
            for where in WHERE
            if where != "wave" and (parts := sections.ranked(tally.where[where], where)) and (len(parts) > 1 or where == "department")
        ],
        "waves": sections.waves(tally.where["wave"], terms, today),
        "letters": sections.letters(tally.letters, terms),
        "states": words.STATES,
        "next_stage": upcoming(terms.stages, run.as_of),
        "unreached": [(words.BECAUSE[why], why, count) for why, count in tally.unreached.most_common()],
        "unreached_people": [(each, words.BECAUSE[each.why]) for each in tally.unreached_people[:NAMED]],
        "more_unreached": max(0, tally.unreached.total() - NAMED),
        "exceptions": [
            ("exemption", sections.exceptions(chronicle.exemptions(), names, today)),
            ("pause", sections.exceptions(chronicle.pauses(), names, today)),
        ],
        "soon": SOON,
        "caveats": caveats,
        "advice": list(run.counts.get("advice", ())),
        "rejections": list(rejections.lines(run.counts.get("rejections", ()))),
        "noticed": [(said, run.counts[name]) for name, said in _RULES.items() if run.counts.get(name)],
    }  # fmt: skip
