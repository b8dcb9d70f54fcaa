"""A campaign of a year: every day's evidence adds up, agrees with its page, is told again by the ledger, and is verified (design §14)."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from office import Office
from report.test_moves import added, standings
from variants import soak

from migrate.core.standing import OUT_OF_SCOPE

FIRST = date(2023, 7, 25)
DEPARTMENTS = ("Sales", "Ärzte", "Lager", "IT", "", "Finance")
HAVE = ("sms", "sms", "sms,totp", "totp", "passkey", "", "voice", "external")


def lived(office: Office, people: int, days: int, chance: random.Random) -> Iterator[date]:
    """Lives through a campaign day by day, yields the days that had a run; on some the host was down."""
    for n in range(people):
        office.hire(f"p{n:05}", chance.choice(HAVE), dept=chance.choice(DEPARTMENTS), admin=int(n % 97 == 0), active=1, sso=0)
    office.write()
    config = office.folder / "config.toml"
    config.write_text(config.read_text().replace('formats = ["csv"]', 'formats = ["csv", "html"]'))
    joined, known = people, frozenset[str]()
    for number in range(days):
        day = FIRST + timedelta(days=number)
        for _ in range(max(1, people // 400) if day.weekday() < 5 else 1):
            some = chance.choice(list(office.people))
            match chance.randrange(10):
                case 0 | 1 | 2 | 3:
                    office.change(some, mfa=chance.choice(("totp", "passkey", "sms,totp")))
                case 4:
                    office.change(some, mfa=chance.choice(HAVE))
                case 5:
                    office.leave(some)
                case 6:
                    joined += 1
                    office.hire(f"p{joined:05}", chance.choice(HAVE), dept=chance.choice(DEPARTMENTS), active=1, sso=0)
                case 7:
                    office.change(some, dept=chance.choice(DEPARTMENTS))
                case 8:
                    office.change(some, active=1 - office.people[some]["active"])
                case 9:
                    office.change(some, sso=1 - office.people[some]["sso"])
        if chance.random() < 0.05:
            continue
        as_of = f"{day}T09:00"
        if number > 3 and chance.random() < 0.2:
            some = chance.choice(sorted(known & office.people.keys()))
            until = ("--until", str(day + timedelta(days=30)), "--reason", "away", "--owner", "IT", "--as-of", as_of)
            assert office.migrate("exempt", "add", some, *until).code == 0
        office.write_rows(list(office.people.values()))
        done = office.migrate("run", "--json", "--as-of", as_of)
        assert done.code == 0, (day, done.out, done.err)
        known = frozenset(office.people)
        yield day


def said(page: str, id_: str) -> int:
    """The number in an element of the page."""
    found = re.search(rf'<dd id="{id_}"[^>]*>([\d,]+)</dd>', page)
    assert found, id_
    return int(found[1].replace(",", ""))


def table(page: str, id_: str, cell: str = r'<td class="number">([\d,]+)</td>') -> dict[str, int]:
    """The first number of every row of the table below a heading, by what the row is about: its codeword, or else its words."""
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', page[page.index(f'id="{id_}"') :].partition("</table>")[0], re.DOTALL)
    found = {}
    for head, cells in rows:
        word = re.search(r"<code>(\w+)</code>", head)
        number = re.search(cell, cells)
        assert number
        found[word[1] if word else head] = int(number[1].replace(",", ""))
    return found


def agrees(folder: Path) -> None:
    """Every total of the page is the one that its tables give."""
    page = (folder / "report.html").read_text(encoding="utf-8")
    accounts = Office.table(folder / "accounts.csv")
    inside = [row for row in accounts if row["standing"] not in OUT_OF_SCOPE]
    open_ = [row for row in inside if row["compliant"] == "false"]
    figures = {name: said(page, f"figure-{name}") for name in ("open", "done", "rest")}
    assert figures == {"open": len(open_), "done": len(inside) - len(open_), "rest": len(accounts) - len(inside)}
    assert table(page, "standings") == standings(folder)
    departments = {row["department"] or "(none)" for row in inside}
    assert table(page, "by-department") == {name: sum((row["department"] or "(none)") == name for row in open_) for name in departments}
    if open_ and 'id="hurt"' in page:
        assert sum(table(page, "hurt").values()) == len(open_)
    summary = Office.table(folder / "summary.csv")
    assert Counter({(row["department"], row["standing"]): int(row["count"]) for row in summary[:-1]}) == Counter(
        (row["department"] or "(none)", row["standing"]) for row in accounts
    )
    assert (summary[-1]["standing"], int(summary[-1]["count"])) == ("(total)", len(accounts))
    listed = json.loads(page[page.index('id="rows">') + len('id="rows">') :].partition("</script>")[0])
    assert listed["rows"] == len(Office.table(folder / "action-list.csv")) == len(open_)


@pytest.mark.parametrize(("people", "days"), [(150, 12), soak(20_000, 365)])
def test_every_day_of_a_campaign_adds_up_and_is_told_again_as_it_was(tmp_path: Path, people: int, days: int) -> None:
    office, chance = Office(tmp_path / "office"), random.Random(2024)
    before, evidence = Counter[str](), dict[date, Path]()
    for day in lived(office, people, days, chance):
        folder = (office.folder / "reports" / "latest").resolve()
        assert added(before, folder) == standings(folder)
        agrees(folder)
        before, evidence[day] = standings(folder), folder
    verified = office.migrate("verify", str(office.folder / "reports"), "--json")
    assert (verified.code, verified.facts["problems"]) == (0, [])
    for day in chance.sample(sorted(evidence), min(20, len(evidence) // 2)):
        again = tmp_path / f"again-{day}"
        done = office.migrate("report", "--as-of", f"{day}T23:00", "--out", str(again), "--format", "csv")
        assert done.code == 0, done.err
        tables = sorted(path.name for path in evidence[day].glob("*.csv"))
        assert tables == sorted(path.name for path in again.glob("*.csv"))
        assert [name for name in tables if (again / name).read_bytes() != (evidence[day] / name).read_bytes()] == []
