"""Writes the roll-up: fleet.csv for a spreadsheet, fleet.html to read and pass on, fleet.json for programs and the next round."""

from __future__ import annotations

import io
import re
from datetime import date, datetime
from pathlib import Path
from typing import Final

from migrate import __version__, files, outside
from migrate.core.standing import OUT_OF_SCOPE, STANDINGS
from migrate.errors import ReportError
from migrate.files.resources import resource
from migrate.fleet.rollup import COLUMNS, Rollup
from migrate.fleet.states import STATES

TABLE: Final = "fleet.csv"
PAGE: Final = "fleet.html"
DATA: Final = "fleet.json"
_OURS: Final = {
    TABLE: re.compile(rb"tenant,state,"),
    PAGE: re.compile(rb'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta name="generator" content="migrate fleet'),
    DATA: re.compile(rb'\{\n  "fleet": '),
}
"""The beginning of each file as we write it. Only a file that begins so is replaced."""
_WHERE: Final = "[reports] dir"


def publish(rollup: Rollup, folder: Path) -> None:
    """Writes the three files, each atomically and readable by its owner only. Raises ReportError if they cannot be written."""
    contents = {TABLE: table(rollup), PAGE: page(rollup), DATA: (data(rollup) + "\n").encode()}
    try:
        files.put(folder, "fleet roll-up", contents, _OURS)
    except files.NotOursError as error:
        raise ReportError(
            f"{error.filename} {error.what}, and is not replaced.", where=_WHERE, hint="Move it away, or name a folder of its own."
        ) from error
    except OSError as error:
        raise ReportError(
            f"{folder} cannot be written ({error.strerror}).", where=_WHERE, hint="Then type `migrate fleet report`."
        ) from error


def table(rollup: Rollup) -> bytes:
    """fleet.csv: a row for each tenant (`COLUMNS`), in the order of the roll-up. Texts are written so that no spreadsheet takes one for a
    formula."""
    import pyarrow as pa

    from migrate.report import cells, lines

    rows = [row.cells() for row in rollup.rows]
    schema = cells.schema(COLUMNS)
    made = pa.table({name: pa.array([row[name] for row in rows], type=schema.field(name).type) for name in COLUMNS})
    out = io.BytesIO()
    lines.write(out, [cells.safely(made, COLUMNS)], COLUMNS)
    return out.getvalue()


def data(rollup: Rollup) -> str:
    """fleet.json."""
    return outside.json_text(rollup.facts(), default=_iso)


def page(rollup: Rollup) -> bytes:
    """fleet.html: a page without links to other files. Its content security policy forbids every request."""
    import jinja2

    from migrate.report.policy_hash import source_hash
    from migrate.report.words import MEANINGS

    shipped = resource("templates")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(shipped / "fleet"),
        autoescape=True,
        finalize=outside.page,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["grouped"] = lambda number: f"{number:,}"
    environment.filters["percent"] = _percent
    environment.filters["day"] = _day
    style = "\n".join((shipped / name).read_text(encoding="utf-8").strip() for name in ("report/report.css", "fleet/fleet.css"))
    totals = rollup.totals
    text = environment.get_template("fleet.html.j2").render(
        rollup=rollup,
        totals=totals,
        version=__version__,
        states=[(state, count, STATES[state]) for state, count in rollup.states.items()],
        waiting=[row for row in rollup.rows if row.state not in ("ok", "busy")],
        left_out=[row for row in rollup.rows if not row.assessed],
        standings=[(word, MEANINGS[word], count, word not in OUT_OF_SCOPE) for word, count in totals.standing.items() if count],
        words=[word for word in STANDINGS if totals.standing[word]],
        meanings=MEANINGS,
        style=style,
        style_hash=source_hash(style),
    )
    return text.encode()


def _percent(part: float | None) -> str:
    return "–" if part is None else f"{100 * part:.1f} %"


def _day(instant: datetime | None) -> str:
    """An instant in words, in UTC: 1 Feb 2027, 06:00."""
    return "never" if instant is None else f"{instant.day} {instant:%b %Y, %H:%M}"


def _iso(value: object) -> str:
    assert isinstance(value, (date, datetime))
    return value.isoformat().replace("+00:00", "Z")
