"""`migrate fleet`: what it prints, and for whom; its tenants are real."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from campaigns import CONFIG
from office import called

DAY = ("--as-of", "2024-01-02T06:00")
OWN = (
    'extends = "../common.toml"\n[campaign]\nname = "{name}"\norganization = "{name} Ltd"\n[mail.maildir]\npath = "../{name}-mail"\n{more}'
)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet of two, one of which has a guard that holds reminders, after its first round."""
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "tenants").mkdir()
    (folder / "fleet.toml").write_text('tenants = "tenants/*.toml"\n')
    (folder / "common.toml").write_text(CONFIG)
    (folder / "users.csv").write_text(
        "account_id,email,methods,may_enrol\nann,ann@example.com,sms,\nbob,bob@example.com,totp,\ncat,cat@example.com,sms,sms\n"
    )
    (folder / "tenants" / "adatum.toml").write_text(OWN.format(name="adatum", more=""))
    strict = "[safety]\nmax_messages = 0\nguard_floor = 0\n"
    (folder / "tenants" / "contoso.toml").write_text(OWN.format(name="contoso", more=strict))
    done = called("fleet", "run", "--fleet", str(folder / "fleet.toml"), *DAY, "--quiet")
    assert done.code == 4, done
    assert [line.split()[:2] for line in done.out.splitlines()] == [["contoso", "held"]], "with --quiet only what needs a person"
    return folder / "fleet.toml"


def test_status_is_a_table_of_plain_words_and_exits_0(ran: Path) -> None:
    done = called("fleet", "status", "--fleet", str(ran), *DAY)
    assert (done.code, done.err) == (0, "")
    lines = [line.split() for line in done.out.splitlines()]
    assert ["contoso", "held", "3", "2", "2", "1", "0", "0", "30"] in lines
    assert ["adatum", "ok", "3", "2", "2", "1", "0", "0", "30"] in lines
    assert "Done: 33.3% of those in scope, over the 2 of 2 tenants that were assessed." in done.out
    assert "\x1b" not in done.out


def test_the_one_json_object_has_the_roll_up(ran: Path) -> None:
    done = called("fleet", "report", "--fleet", str(ran), "--format", "csv", *DAY, "--json")
    told = done.facts
    assert (done.code, told["exit_code"], told["command"]) == (0, 0, "report")
    assert told["states"] == {"held": 1, "ok": 1}
    assert [each["tenant"] for each in told["tenants"]] == ["contoso", "adatum"]
    assert Path(told["reports"]) == ran.parent / "reports" / "fleet.html"
    written = json.loads((ran.parent / "reports" / "fleet.json").read_text())
    assert written["totals"] == told["totals"]
    assert (told["totals"]["notified"], told["totals"]["without_destination"]) == (1, 2)


def test_a_tenant_with_no_run_in_time_is_exit_7(ran: Path) -> None:
    done = called("fleet", "status", "--fleet", str(ran), "--only", "adatum", "--max-age", "26h", "--as-of", "2024-01-09")
    assert done.code == 7
    assert "adatum  failed         no run of adatum has completed within 26 hours" in done.out


def test_the_fleet_may_be_named_before_the_command(ran: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIGRATE_CONFIG", "somewhere.toml")
    missed = called("fleet", "status")
    assert (missed.code, missed.err.startswith("Error: fleet.toml: there is no such file.")) == (2, True)
    assert called("--config", str(ran), "fleet", "status", "--only", "adatum", *DAY, "--quiet").code == 0
    monkeypatch.chdir(ran.parent)
    assert called("fleet", "status", "--only", "adatum", *DAY, "--quiet").out == ""


def test_a_name_that_no_tenant_has_is_asked_about(ran: Path) -> None:
    done = called("fleet", "run", "--fleet", str(ran), "--only", "adatun")
    assert (done.code, "Did you mean adatum?" in done.err) == (2, True)


def test_send_is_told_tenant_by_tenant_and_leaves_the_roll_up_alone(ran: Path) -> None:
    before = (ran.parent / "reports" / "fleet.json").read_bytes()
    done = called("fleet", "send", "--fleet", str(ran), *DAY)
    assert (done.code, "adatum   ok             no letters\n" in done.out) == (0, True), done
    assert (ran.parent / "reports" / "fleet.json").read_bytes() == before


def test_a_roll_up_that_cannot_be_written_is_exit_2_after_all_is_done(ran: Path, tmp_path: Path) -> None:
    file = ran.parent / "blocked.toml"
    (tmp_path / "fleet.csv").write_text("mine\n")
    file.write_text(f'tenants = "tenants/adatum.toml"\n[reports]\ndir = "{tmp_path}"\n')
    done = called("fleet", "report", "--fleet", str(file), "--format", "csv", *DAY)
    assert done.code == 2
    assert "1 tenant: 1 ok." in done.out
    assert "Error: [reports] dir: " in done.err and "fleet.csv is another file, and is not replaced." in done.err


def test_a_second_round_at_once_does_nothing_twice_unless_asked(ran: Path) -> None:
    words = ("--fleet", str(ran), "--only", "adatum", "--as-of", "2024-01-02T06:05")
    done = called("fleet", "run", *words, "--json")
    [row] = done.facts["tenants"]
    assert (done.code, row["state"], row["accounts"]) == (0, "busy", 3)
    assert row["said"].endswith("done already; --again runs it once more.")
    [row] = called("fleet", "run", *words, "--again", "--json").facts["tenants"]
    assert (row["state"], row["run_id"]) == ("ok", "r00003")
