"""docs/fleet.md says what is so: its files make a fleet that is checked and run, and its tables have every word and no other."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from graph.server import Fake
from graph.tenant import Person, Tenant, guid
from office import called

from migrate.config import load as load_config
from migrate.fleet.rollup import COLUMNS
from migrate.fleet.settings import FleetReports, FleetSettings, load
from migrate.fleet.states import STATES
from migrate.report.page import MEANINGS

GUIDE = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"^`([\w/.]+)`[^\n]*:\n\n```toml\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of the page, with a second tenant."""
    monkeypatch.setenv("MIGRATE_SMTP_PASSWORD", "x")
    monkeypatch.setenv("MIGRATE_LEDGER", f"sqlite:///{tmp_path}/ledger.db")
    (tmp_path / "entra.pem").write_text("-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n")
    fabrikam = BLOCKS["tenants/contoso/config.toml"].replace("contoso", "fabrikam").replace("Contoso", "Fabrikam")
    for name, text in {**BLOCKS, "tenants/fabrikam/config.toml": fabrikam}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def column(heading: str) -> list[str]:
    """The first cells of the table that begins with a heading."""
    table = GUIDE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `([\w ]+)` \|", table, flags=re.MULTILINE)


def test_its_files_are_a_fleet_whose_tenants_load(folder: Path) -> None:
    fleet = load(folder / "fleet.toml")
    assert [each.name for each in fleet.tenants] == ["contoso", "fabrikam"]
    contoso, fabrikam = (load_config(each.path) for each in fleet.tenants)
    assert (contoso.campaign.name, fabrikam.campaign.name) == ("contoso-2027", "fabrikam-2027")
    assert contoso.reports.dir == folder / "tenants" / "contoso" / "reports"
    assert contoso.schedule.days_before == fabrikam.schedule.days_before == (60, 45, 30, 15, 7, 1)


def test_it_shows_every_setting_with_its_default(folder: Path) -> None:
    shown = set(re.findall(r"^(\w+) = ", BLOCKS["fleet.toml"], flags=re.MULTILINE))
    assert shown == (FleetSettings.model_fields.keys() - {"reports"}) | FleetReports.model_fields.keys()
    fleet, bare = load(folder / "fleet.toml"), folder / "bare.toml"
    bare.write_text('tenants = "tenants/*/config.toml"\n')
    assert (fleet.parallel, fleet.limit, fleet.apart, fleet.reports) == (4, timedelta(hours=12), timedelta(minutes=10), folder / "reports")
    assert fleet.tenants == load(bare).tenants
    assert (load(bare).parallel, load(bare).limit, load(bare).apart) == (fleet.parallel, fleet.limit, fleet.apart)


def test_its_fleet_is_run_and_rolled_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tenants = [Tenant(f"{name}.onmicrosoft.com", number) for number, name in enumerate(("contoso", "fabrikam"), 1)]
    for tenant in tenants:
        tenant.add(Person(guid(1), f"ann@{tenant.domain}", f"ann@{tenant.domain}", "Ann", methods=["mobilePhone"]))
    with Fake(*tenants) as fake:
        own = f'client_secret = "{fake.secret}"\ngraph_url = "{fake.url}"\nlogin_url = "{fake.url}"'
        text = BLOCKS["common.toml"].replace('certificate = { file = "entra.pem" }', own).replace('"smtp"', '"maildir"')
        (folder / "common.toml").write_text(re.sub(r'^client_id = "[\w-]+"', f'client_id = "{fake.client_id}"', text, flags=re.MULTILINE))
        monkeypatch.chdir(folder)
        done = called("fleet", "run", "--as-of", "2026-12-03T06:00")
        assert (done.code, done.err) == (0, ""), done
        assert fake.violations == []
    assert "2 tenants: 2 ok." in done.out
    assert "Done: 0.0% of those in scope, over the 2 of 2 tenants that were assessed." in done.out
    assert {path.name for path in (folder / "reports").iterdir()} == {"fleet.csv", "fleet.html", "fleet.json"}
    assert (folder / "tenants" / "contoso" / "reports" / "latest").exists()


def test_its_tables_have_every_state_column_and_standing(folder: Path) -> None:
    assert sorted(column("state")) == sorted(STATES)
    assert column("column") == list(COLUMNS)
    for word, meaning in MEANINGS.items():
        assert f"| `{word}` | {meaning.replace('signs in', 'sign in').replace('has an', 'have an')} |" in GUIDE


def test_every_command_that_it_names_has_the_options_it_names() -> None:
    for name in ("check", "run", "send", "status", "report"):
        told = called("fleet", name, "--help").out
        [line] = re.findall(rf"^\| `migrate fleet {name}` \| (.*)\|$", GUIDE, flags=re.MULTILINE)
        options = {*re.findall(r"--[\w-]+", line), "--fleet", "--config", "--only", "--json", "--quiet"}
        assert [option for option in options if option not in told] == []
