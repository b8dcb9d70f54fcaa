"""A round over tenants whose commands fail, die, hang or print nonsense. They are processes, of a stand-in for the command."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from migrate.fleet import processes
from migrate.fleet.processes import Processes
from migrate.fleet.publishing import DATA
from migrate.fleet.rollup import Rollup, Row
from migrate.fleet.rounds import Round, go, since
from migrate.fleet.settings import Fleet, Tenant, load

STATUS: dict[str, Any] = {
    "organization": "Contoso", "campaign": "c", "days_left": 9, "stale": False,
    "last_run": {"run_id": "r00001", "as_of": "2026-11-29T06:00:00Z", "completed": True, "directory_as_of": "2026-11-29T05:00:00Z",
                 "standing": {"migrated": 3, "sms_only": 1}, "outcomes": {"nothing_due": 4}, "caveats": []},
    "accounts": {"compliant": 3, "not_compliant": 1, "out_of_scope": 0, "not_certain": 0, "total": 4},
    "tallies": {"at_cutoff": {"locked_out": 1, "unaffected": 3}, "without_destination": 0, "notified": 1, "moved_lately": 2},
    "unreachable": {"counts": {}, "accounts": []},
}  # fmt: skip
STAND_IN = """
import json, os, signal, sys, time
path, command = sys.argv[2], sys.argv[3]
script = open(path).read()
print_status = lambda: print({status!r})
if command == "status":
    print_status()
else:
    exec(script)
"""
RUN = 'print(json.dumps({"run_id": "r00001", "letters": {"sent": 2, "failed": 0, "queued": 1, "withdrawn": 4}}))'


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """A fleet without tenants, whose command does what a tenant's file says (Python)."""
    stand_in = tmp_path / "stand_in.py"
    stand_in.write_text(STAND_IN.format(status=json.dumps(STATUS)))
    monkeypatch.setattr(processes, "COMMAND", (sys.executable, "-S", str(stand_in)))
    (tmp_path / "tenants").mkdir()
    (tmp_path / "tenants" / "none.toml").write_text("")
    (tmp_path / "fleet.toml").write_text('tenants = "tenants/*.toml"\n')
    return replace(load(tmp_path / "fleet.toml"), parallel=3)


def tenants(fleet: Fleet, **scripts: str) -> list[Tenant]:
    for name, script in scripts.items():
        (fleet.path.parent / f"{name}.py").write_text(script)
    return [Tenant(name, fleet.path.parent / f"{name}.py") for name in scripts]


def done(
    fleet: Fleet, these: list[Tenant], command: str = "run", limit: timedelta = timedelta(minutes=1), grace: float = 1.0
) -> tuple[dict[str, Row], Rollup]:
    rollup = go(fleet, these, Round(command), Processes(limit, grace), lambda row, count: None)
    return {row.tenant: row for row in rollup.rows}, rollup


def test_a_tenant_that_fails_dies_or_prints_nonsense_stops_no_other(fleet: Fleet) -> None:
    these = tenants(
        fleet,
        fine=RUN,
        bug="raise ValueError",
        ended="sys.exit(143)",
        killed="os.kill(os.getpid(), signal.SIGKILL)",
        nonsense="print('{]'); sys.exit(3)",
        list="print('[1, 2]')",
        refused="print(json.dumps({'error': {'kind': 'not_consented', 'where': '[directory] client_id', 'what': 'no.', 'hint': 'Grant it.',"
        " 'items': ['one']}})); sys.exit(3)",
        guarded="print('Error: a guard stopped it.', file=sys.stderr); sys.exit(4)",
    )
    rows, rollup = done(fleet, these)
    assert {name: row.state for name, row in rows.items()} == {
        "fine": "ok", "bug": "failed", "killed": "failed", "nonsense": "failed", "list": "ok", "refused": "not_consented",
        "guarded": "held", "ended": "failed",
    }  # fmt: skip
    assert rows["fine"].said == "2 sent, 1 queued"
    assert rows["killed"].said == "its process was ended by SIGKILL."
    assert rows["refused"].said == "[directory] client_id: no. one Grant it."
    assert rows["guarded"].said == "a guard stopped it."
    assert rows["bug"].said == "ValueError"
    assert rows["ended"].said == "was asked to end by SIGTERM, and ended."
    assert [name for name, row in rows.items() if row.assessed] == ["fine"], "the others have no run of this round"
    assert rollup.exit_code == 1


def test_a_tenant_that_hangs_is_ended_after_its_time_and_killed_if_it_does_not_heed(fleet: Fleet) -> None:
    these = tenants(
        fleet,
        fine=RUN,
        heeds="time.sleep(60)",
        deaf="signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)",
        stopped="os.kill(os.getpid(), signal.SIGSTOP)",
    )
    rows, _ = done(fleet, these, limit=timedelta(seconds=2), grace=0.3)
    assert {name: row.state for name, row in rows.items()} == {"fine": "ok", "heeds": "failed", "deaf": "failed", "stopped": "failed"}
    assert [rows[name].exit_code for name in ("heeds", "deaf", "stopped")] == [-15, -9, -9]
    assert all("took longer than limit_hours" in rows[name].said for name in ("heeds", "deaf", "stopped"))


def test_a_dead_tenant_s_orphan_that_holds_its_output_keeps_nobody_waiting(fleet: Fleet) -> None:
    began = time.monotonic()
    rows, _ = done(fleet, tenants(fleet, parent=f"{RUN}\nsys.stdout.flush()\nif os.fork() == 0: time.sleep(30); os._exit(0)"))
    assert rows["parent"].state == "ok"
    assert time.monotonic() - began < 15


def test_no_more_than_so_many_are_at_work_at_once(fleet: Fleet, tmp_path: Path) -> None:
    script = f"""
at = {str(tmp_path)!r} + "/"
mine = at + "work." + str(os.getpid())
open(mine, "w").close()
time.sleep(0.3)
open(at + "seen." + str(os.getpid()), "w").write(str(len([each for each in os.listdir(at) if each.startswith("work.")])))
os.unlink(mine)
"""
    done(replace(fleet, parallel=2), tenants(fleet, **{f"t{n}": script for n in range(5)}))
    seen = [int(path.read_text()) for path in tmp_path.glob("seen.*")]
    assert (len(seen), max(seen)) == (5, 2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_and_the_fleet_waits_for_all_and_begins_no_other(fleet: Fleet, tmp_path: Path, number: int) -> None:
    heeds = f"""
def ended(number, frame):
    time.sleep(0.5)
    print(json.dumps({{"run_id": "r00001", "letters": {{"sent": 1, "queued": 5}}}}))
    sys.stdout.flush()
    os._exit(128 + number)
signal.signal(signal.SIGINT, ended)
signal.signal(signal.SIGTERM, ended)
open({str(tmp_path)!r} + "/began", "w").close()
time.sleep(60)
"""

    def when_begun() -> None:
        until = time.monotonic() + 20
        while not (tmp_path / "began").exists() and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    these = tenants(fleet, first=heeds, second=RUN)
    crew = Processes(timedelta(minutes=1))
    threading.Thread(target=when_begun).start()
    rollup = go(replace(fleet, parallel=1), these, Round("run"), crew, lambda row, count: None)
    rows = {row.tenant: row for row in rollup.rows}
    assert crew.signal == number
    assert (rows["first"].state, rows["first"].said) == ("partial", "1 sent, 5 queued")
    assert (rows["second"].state, rows["second"].said) == ("failed", "was not begun: the fleet was asked to end.")


def test_a_tenant_that_is_busy_has_its_numbers_from_the_ledger(fleet: Fleet) -> None:
    busy = "print(json.dumps({'error': {'kind': 'busy', 'where': None, 'what': 'another run is at work', 'hint': ''}})); sys.exit(75)"
    rows, rollup = done(fleet, tenants(fleet, elsewhere=busy))
    row = rows["elsewhere"]
    assert (row.state, row.assessed, row.counted and row.counted.accounts, row.said) == ("busy", True, 4, "another run is at work")
    assert rollup.exit_code == 0, "another host does it, and its numbers are here"


def test_a_report_recalls_how_the_last_round_ended_until_a_run_is_recorded(fleet: Fleet) -> None:
    [one] = tenants(fleet, one="sys.exit(0)")
    fleet.reports.mkdir()
    before = {"tenant": "one", "state": "not_consented", "said": "grant it", "run_id": "r00001"}
    (fleet.reports / DATA).write_text(json.dumps({"fleet": "x", "tenants": [before]}))
    rows, _ = done(fleet, [one], "report")
    assert (rows["one"].state, rows["one"].said, rows["one"].assessed) == ("not_consented", "grant it", False)
    (fleet.reports / DATA).write_text(json.dumps({"fleet": "x", "tenants": [before | {"run_id": "r00000"}]}))
    rows, _ = done(fleet, [one], "report")
    assert (rows["one"].state, rows["one"].assessed) == ("ok", True)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"tenants": 7}', '{"tenants": [{"tenant": "one", "state": "fine"}]}', "\x00", '{"tenants": [1]}']
)
def test_a_fleet_json_that_is_no_such_is_nothing_to_recall(fleet: Fleet, content: str) -> None:
    [one] = tenants(fleet, one="sys.exit(0)")
    fleet.reports.mkdir()
    (fleet.reports / DATA).write_text(content)
    rows, _ = done(fleet, [one], "report")
    assert rows["one"].state == "ok"


def test_a_run_of_this_round_is_one_that_began_at_most_so_long_before_it(fleet: Fleet) -> None:
    from datetime import UTC, datetime

    assert since(fleet, None, datetime(2026, 11, 29, 6, tzinfo=UTC)) == "2026-11-29T05:50:00+00:00"
    assert since(fleet, "2026-11-29T06:00", datetime(2027, 1, 1, tzinfo=UTC)) == "2026-11-29T05:50:00"
    assert since(fleet, "tomorrow", datetime(2027, 1, 1, tzinfo=UTC)) == "tomorrow"
