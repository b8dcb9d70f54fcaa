"""Twelve tenants in one fleet, started by two hosts in the same minute over one ledger in PostgreSQL (issue 13, must-show 6)."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from mailbox import Maildir
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from graph.server import Fake
from graph.tenant import Person, Tenant, guid
from office import called
from peers import free_port, postgres_database

from migrate.ledger import schema

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

DAY = "2026-11-28T06:00"
NEXT_DAY = "2026-11-29T06:00"
COMMON = """
[campaign]
product = "Work account"
opens = 2026-11-01
cutoff = 2027-02-01
support_email = "help@example.com"
[policy]
accepted = ["passkey", "push", "totp"]
[schedule]
days_before = [65, 30]
[mail]
from = "Security <security@example.com>"
[safety]
guard_floor = 2
max_messages = 50
[ledger]
url = { env = "FLEET_LEDGER" }
[reports]
formats = ["csv"]
"""
OWN = """extends = "../common.toml"
[campaign]
name = "{name}"
organization = "{name} Ltd"
[mail.maildir]
path = "../mail/{name}"
[reports]
dir = "../reports/{name}"
{more}
"""
FILES = ("adatum", "fabrikam", "litware", "northwind", "proseware", "woodgrove")
"""Tenants whose accounts are in a CSV file, and one (northwind) in a database."""
ENTRA = ("contoso", "lapsed", "unlicensed", "sovereign", "hurried")
"""Tenants of Entra ID; `lapsed` has no consent, `unlicensed` no P1, `sovereign` is in a cloud of its own, and `hurried` is throttled."""
ENDS = {
    "lapsed": "not_consented",
    "unlicensed": "no_licence",
    "woodgrove": "held",
    "misspelt": "failed",
}
"""How those end that are not done; the others are `ok`."""


def tenants_of_entra() -> tuple[Fake, Fake]:
    """Two fakes of Graph: the second has but the tenant that is throttled."""
    made = []
    for number, name in enumerate(ENTRA, 1):
        tenant = Tenant(f"{name}.onmicrosoft.com", number)
        tenant.licensed = name != "unlicensed"
        for each, methods in enumerate((["mobilePhone"], ["mobilePhone"], ["passKeySynced"]), 1):
            upn = f"user{each}@{name}.onmicrosoft.com"
            tenant.add(Person(guid(100 * number + each), upn, upn, f"User {each}", methods=methods, number="+1 303 4440001"))
        made.append(tenant)
    fake, hurried = Fake(*made[:-1]), Fake(made[-1])
    fake.consented[made[1].id] -= {"AuditLog.Read.All"}
    hurried.fail("/users", "429", times=2, retry_after=1)
    return fake, hurried


@dataclass
class Host:
    """A machine with a copy of the fleet's folder."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "migrate", "fleet"]

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.command, *words, "--fleet", str(self.folder / "fleet.toml"), "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | self.environment,
        )  # fmt: skip

    def table(self) -> dict[str, dict[str, str]]:
        with (self.folder / "fleet" / "fleet.csv").open(newline="", encoding="utf-8") as file:
            return {row["tenant"]: row for row in csv.DictReader(file)}

    def told(self) -> Counter[str]:
        """Address → letters in the folders of this host."""
        return Counter(message["To"] for box in (self.folder / "mail").glob("*") for message in Maildir(box))


def settled(folder: Path, fake: Fake, hurried: Fake) -> None:
    """The fleet's folder: fleet.toml, what all have in common, and a file a tenant."""
    (folder / "tenants").mkdir(parents=True)
    (folder / "mail").mkdir()
    (folder / "fleet.toml").write_text('tenants = "tenants/*.toml"\nparallel = 3\n[reports]\ndir = "fleet"\n')
    (folder / "common.toml").write_text(COMMON)
    hurried.secret = fake.secret
    (folder / "secret.txt").write_text(fake.secret)
    for name in FILES:
        people = 5 if name == "woodgrove" else 2
        rows = [f"{name}{n},{name}{n}@example.com,{'sms' if n else 'totp'}" for n in range(people + 1)]
        (folder / f"{name}.csv").write_text("\n".join(["account_id,email,methods", *rows]) + "\n")
        more = f'[directory]\nkind = "csv"\npath = "../{name}.csv"\n'
        more += "[safety]\nmax_messages = 3\n" if name == "woodgrove" else ""
        (folder / "tenants" / f"{name}.toml").write_text(OWN.format(name=name, more=more))
    for name, tenant in zip(ENTRA, [*fake.tenants, *hurried.tenants], strict=True):
        url = (fake if tenant in fake.tenants else hurried).url
        lines = ["[directory]", f'tenant = "{tenant.domain}"', 'client_secret = { file = "../secret.txt" }', 'kind = "entra"']
        lines += [f'client_id = "{fake.client_id}"', f'graph_url = "{url}"', f'login_url = "{url}"']
        lines += ['cloud = "usgov"'] if name == "sovereign" else []
        (folder / "tenants" / f"{name}.toml").write_text(OWN.format(name=name, more="\n".join(lines)))
    sql = '[directory]\nkind = "sql"\nurl = "sqlite:///../people.db"\ntable = "users"\n'
    (folder / "tenants" / "northwind.toml").write_text(OWN.format(name="northwind", more=sql))
    (folder / "tenants" / "misspelt.toml").write_text(OWN.format(name="misspelt", more=sql.replace("table", "tabel")))
    with contextlib.closing(sqlite3.connect(folder / "people.db")) as database, database:
        database.execute("CREATE TABLE users (account_id, email, methods)")
        people = [(f"northwind{n}", f"northwind{n}@example.com", "sms" if n else "totp") for n in range(3)]
        database.executemany("INSERT INTO users VALUES (?, ?, ?)", people)


@dataclass
class Round:
    """What two hosts made of a morning."""

    hosts: tuple[Host, Host]
    facts: tuple[dict[str, Any], dict[str, Any]]
    codes: tuple[int, int]
    ledger: str
    fake: Fake
    hurried: Fake

    def states(self, name: str) -> set[str]:
        return {each["state"] for told in self.facts for each in told["tenants"] if each["tenant"] == name}


@pytest.fixture(scope="module")
def morning(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Round]:
    folder = tmp_path_factory.mktemp("fleet")
    one, two = tenants_of_entra()
    with one as fake, two as hurried, postgres_database(postgres_server) as ledger:
        settled(folder / "one", fake, hurried)
        shutil.copytree(folder / "one", folder / "two")
        hosts = (Host(folder / "one", {"FLEET_LEDGER": ledger}), Host(folder / "two", {"FLEET_LEDGER": ledger}))
        running = [host.start("run", "--as-of", DAY) for host in hosts]
        ended = [each.communicate(timeout=240) for each in running]
        assert all(out for out, _ in ended), ended
        facts = tuple(json.loads(out) for out, _ in ended)
        yield Round(hosts, facts, tuple(each.returncode for each in running), ledger, fake, hurried)  # type: ignore[arg-type]
        assert fake.violations == hurried.violations == []


def test_each_of_twelve_tenants_ends_in_its_own_state_and_the_others_are_done(morning: Round) -> None:
    names = sorted([*FILES, *ENTRA, "misspelt"])
    assert len(names) == 12
    for told in morning.facts:
        assert sorted(each["tenant"] for each in told["tenants"]) == names
    for name in names:
        wanted = ENDS.get(name, "ok")
        assert wanted in morning.states(name), name
        assert morning.states(name) <= {wanted, "busy"}, name
    assert [fault.times for fault in morning.hurried._faults] == [0], "what was throttled was asked again"
    said = {each["tenant"]: each["said"] for told in morning.facts for each in told["tenants"] if each["state"] != "busy"}
    assert "/adminconsent?client_id=" in said["lapsed"]
    assert "P1" in said["unlicensed"]
    assert "max_messages" in said["woodgrove"]
    assert "tenants/misspelt.toml, [directory] tabel" in said["misspelt"] and "did you mean table?" in said["misspelt"]


def test_two_hosts_that_start_in_the_same_minute_do_each_tenant_once(morning: Round) -> None:
    engine = sa.create_engine(morning.ledger, poolclass=sa.NullPool)
    with engine.connect() as connection:
        found = sa.select(schema.campaign.c.name, sa.func.count()).join(schema.run).group_by(schema.campaign.c.name)
        runs = {str(name): int(count) for name, count in connection.execute(found)}
        states = connection.execute(sa.select(schema.run.c.state).distinct()).scalars().all()
    assert runs == dict.fromkeys([name for name in [*FILES, *ENTRA] if ENDS.get(name, "held") == "held"], 1)
    assert states == ["completed"]
    for name in runs:
        [did] = [each for told in morning.facts for each in told["tenants"] if each["tenant"] == name and each["state"] != "busy"]
        assert did["assessed"], name
    letters = morning.hosts[0].told() + morning.hosts[1].told()
    assert set(letters.values()) == {1}
    assert letters.keys() == {
        *(f"{name}{n}@example.com" for name in FILES if name != "woodgrove" for n in (1, 2)),
        *(f"user{n}@{name}.onmicrosoft.com" for name in ("contoso", "hurried", "sovereign") for n in (1, 2)),
    }
    assert morning.codes == (2, 2), "of 2 (misspelt), 3 (lapsed) and 4 (woodgrove) the first; a busy tenant hides none"


def test_percentages_are_over_those_that_were_assessed(morning: Round) -> None:
    for host, told in zip(morning.hosts, morning.facts, strict=True):
        table = host.table()
        left_out = {name for name, row in table.items() if row["assessed"] == "false"}
        assert left_out >= {"lapsed", "unlicensed", "misspelt"}
        assert all(table[name][column] == "" for name in left_out for column in ("accounts", "migrated", "compliant", "share_compliant"))
        counted = [row for row in table.values() if row["assessed"] == "true"]
        totals = told["totals"]
        assert (totals["tenants"], totals["assessed"]) == (12, len(counted))
        done, to_do = (sum(int(row[name]) for row in counted) for name in ("compliant", "not_compliant"))
        assert totals["share_compliant"] == done / (done + to_do)
        page = (host.folder / "fleet" / "fleet.html").read_text(encoding="utf-8")
        assert f"12 tenants, {len(counted)} assessed" in page
        assert f'<dd id="share">{100 * done / (done + to_do):.1f} %</dd>' in page
        assert next(iter(table)) == "misspelt", "what needs a person stands first"
        assert morning.fake.secret not in page + json.dumps(told)


def test_what_was_read_yesterday_counts_for_nobody_who_cannot_be_read_today(morning: Round, monkeypatch: pytest.MonkeyPatch) -> None:
    [host, _] = morning.hosts
    monkeypatch.setenv("FLEET_LEDGER", morning.ledger)
    contoso = morning.fake.tenants[0]
    consented = morning.fake.consented[contoso.id]
    morning.fake.consented[contoso.id] = set()
    file = host.folder / "fleet.toml"
    written = (file.parent / "fleet" / "fleet.csv").read_bytes()
    try:
        done = called("fleet", "run", "--fleet", str(file), "--only", "contoso", "--only", "adatum", "--as-of", NEXT_DAY, "--json")
    finally:
        morning.fake.consented[contoso.id] = consented
    told = {each["tenant"]: each for each in done.facts["tenants"]}
    assert done.code == 3
    assert told["contoso"]["state"] == "not_consented"
    assert told["contoso"]["read_at"] is not None and told["contoso"]["accounts"] is None
    assert (told["adatum"]["state"], told["adatum"]["accounts"]) == ("ok", 3)
    assert (done.facts["totals"]["accounts"], done.facts["totals"]["assessed"]) == (3, 1)
    assert (file.parent / "fleet" / "fleet.csv").read_bytes() == written, "a part of the fleet is no roll-up"


def test_a_tenant_whose_directory_does_not_answer_is_unreachable_and_its_neighbour_is_checked(
    morning: Round, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_LEDGER", f"sqlite:///{tmp_path}/own.db")
    shutil.copytree(morning.hosts[0].folder, tmp_path / "here", ignore=shutil.ignore_patterns("reports", "fleet", "mail"))
    own = tmp_path / "here" / "tenants" / "sovereign.toml"
    own.write_text(own.read_text().replace(morning.fake.url, f"http://127.0.0.1:{free_port()}"))
    assert tomllib.loads(own.read_text())["directory"]["cloud"] == "usgov"
    words = ("--fleet", str(tmp_path / "here" / "fleet.toml"), "--only", "sovereign", "--only", "litware")
    done = called("fleet", "check", *words, "--quick")
    assert done.code == 3
    lines = {line.split()[0]: line.split()[1] for line in done.out.splitlines() if line.startswith(("sovereign", "litware"))}
    assert lines == {"sovereign": "unreachable", "litware": "ok"}
