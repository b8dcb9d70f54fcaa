"""report.html: one self-contained page to look at, print and pass on (design §14). Its own policy forbids it every request."""

from __future__ import annotations

import base64
import csv
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final
from zoneinfo import ZoneInfo

from migrate import outside
from migrate.core.standing import OUT_OF_SCOPE, STANDINGS
from migrate.files import texts
from migrate.files.resources import resource
from migrate.report import burndown
from migrate.report.chronicle import Chronicle
from migrate.report.manifest import instant
from migrate.report.terms import Terms

LISTED: Final = 5000
"""How many rows of the action list the page shows; action-list.csv has them all."""

DEPARTMENTS: Final = 200

SHOWN: Final = {
    "privileged": "Administrator",
    "display_name": "Name",
    "username": "Username",
    "email": "Address",
    "department": "Department",
    "standing": "Standing",
    "at_cutoff": "At the cutoff",
    "destination": "Can move",
    "days_left": "Days left",
    "methods": "Methods",
    "notices_sent": "Notices sent",
    "last_notice": "Last notice",
    "last_notice_state": "Its state",
    "next_stage_on": "Next notice",
    "outcome": "Outcome",
}
"""Columns of the action list that the page shows, and their headings."""

MEANINGS: Final = {
    "inactive": "cannot sign in",
    "exempt_sso": "signs in through SSO",
    "exempt": "has an exemption",
    "migrated": "authenticator, no text messages",
    "sms_fallback": "authenticator, text messages as a fallback",
    "sms_default": "authenticator, but text messages by default",
    "sms_only": "text messages only",
    "unknown": "a second step that is not known",
    "no_second_step": "no second step",
}


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the accounts in scope: how many, how many of them are not compliant."""

    name: str
    in_scope: int
    open: int

    @property
    def done(self) -> float:
        """The compliant ones, in per cent."""
        return 100 * (self.in_scope - self.open) / self.in_scope if self.in_scope else 100.0


@dataclass(frozen=True, slots=True)
class Counts:
    """`accounts.standing_counts` of all accounts, and of those who are not certain; how many `rows` each table has; and
    `accounts.wave_counts` of all accounts."""

    accounts: Counter[tuple[str, str]]
    not_certain: Counter[tuple[str, str]]
    rows: Mapping[str, int]
    waves: Counter[tuple[str, str]] = field(default_factory=Counter)

    def by_standing(self) -> Counter[str]:
        """How many accounts have each standing."""
        found: Counter[str] = Counter()
        for (_, standing), count in self.accounts.items():
            found[standing] += count
        return found

    def in_doubt(self, compliant: frozenset[str]) -> int:
        """How many of the compliant accounts are not certain."""
        return sum(count for (_, standing), count in self.not_certain.items() if standing in compliant)


def write(out: BinaryIO, chronicle: Chronicle, counts: Counts, listed: Path) -> None:
    """Writes the page. `listed` is action-list.csv."""
    import jinja2

    folder = resource("templates") / "report"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        finalize=outside.page,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script, style = ((folder / name).read_text(encoding="utf-8").strip() for name in ("report.js", "report.css"))
    terms, run = chronicle.terms, chronicle.run
    by_standing, compliant = counts.by_standing(), frozenset(terms.compliant)
    departments = _departments(counts.accounts, compliant)
    cutoff, today = terms.day(terms.cutoff), terms.day(run.as_of)
    line = burndown.points(chronicle.days(), terms)
    expected = burndown.forecast(line, cutoff)
    texts.fields_of_any_length()
    with listed.open(encoding="utf-8", newline="") as file:
        actions = [[row[name] for name in SHOWN] for row in islice(csv.DictReader(file), LISTED)]
    text = environment.get_template("report.html.j2").render(
        terms=terms,
        run=run,
        as_of=instant(run.as_of),
        read_at=f"{run.directory_read_at.astimezone(ZoneInfo(terms.timezone)):%Y-%m-%d %H:%M %Z}",
        caveats=run.counts.get("caveats", ()),
        evidence_at=instant(chronicle.evidence_at),
        cutoff=cutoff,
        today=today,
        days_left=(cutoff - today).days,
        whole=Share("", sum(part.in_scope for part in departments), sum(part.open for part in departments)),
        not_certain=counts.in_doubt(compliant),
        accounts=counts.accounts.total(),
        standings=[(word, MEANINGS[word], by_standing[word]) for word in STANDINGS if by_standing[word]],
        departments=departments[:DEPARTMENTS],
        more_departments=max(0, len(departments) - DEPARTMENTS),
        waves=_waves(counts.waves, terms, compliant, run.as_of),
        points=line,
        forecast=expected,
        chart=burndown.chart(line, expected, terms.opens, cutoff),
        view=(burndown.WIDTH, burndown.HEIGHT),
        headings=list(SHOWN.values()),
        numeric=[name in ("days_left", "notices_sent") for name in SHOWN],
        actions=actions,
        all_actions=counts.rows["action-list"],
        rows=counts.rows,
        script=script,
        style=style,
        script_hash=source_hash(script),
        style_hash=source_hash(style),
    )
    out.write(text.encode())


@dataclass(frozen=True, slots=True)
class WaveShare(Share):
    """A wave's part of the accounts: until when, and how many days that is."""

    cutoff: date
    days_left: int


def _waves(counts: Counter[tuple[str, str]], terms: Terms, compliant: frozenset[str], as_of: datetime) -> list[WaveShare]:
    """The waves in the order of the configuration, everybody else last; none where there is no wave."""
    if not terms.waves:
        return []
    found = {part.name: part for part in _departments(counts, compliant)}
    made = []
    for name in (*terms.waves, ""):
        part = found.get(name, Share(name, 0, 0))
        cutoff = terms.day(terms.cutoffs.get(name, terms.cutoff))
        made.append(WaveShare(name or "everybody else", part.in_scope, part.open, cutoff, (cutoff - terms.day(as_of)).days))
    return made


def _departments(counts: Counter[tuple[str, str]], compliant: frozenset[str]) -> list[Share]:
    """The departments with anybody in scope, those with most left to do first."""
    in_scope: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for (department, standing), count in counts.items():
        if standing not in OUT_OF_SCOPE:
            in_scope[department] += count
            left[department] += 0 if standing in compliant else count
    return sorted((Share(name, in_scope[name], left[name]) for name in in_scope), key=lambda part: (-part.open, part.name))


def source_hash(source: str) -> str:
    """What a content security policy calls a source by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
