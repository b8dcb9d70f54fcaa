from __future__ import annotations

import json
import shlex
from datetime import date
from pathlib import Path

import pytest

from migrate.cli.console import Console
from migrate.demo.tour import DayLived, RunSummary, Tour, line_of
from migrate.demo.world import Happening


def summary(as_of: str = "2024-02-17T14:00:00Z", **other: object) -> RunSummary:
    letters = {"sent": 0, "failed": 0, "uncertain": 0, "withdrawn": 0, "queued": 0}
    plain = {
        "as_of": as_of,
        "read": 1000,
        "standing": {},
        "changes": {},
        "outcomes": {"not_reminded": 1000},
        "letters": letters,
    }
    return {**plain, **other}


def sent(count: int, **others: int) -> dict[str, int]:
    return {"sent": count, "failed": 0, "uncertain": 0, "withdrawn": 0, "queued": 0, **others}


CAST = (
    Happening(date(2024, 1, 9), "id_reused", "U10007"),
    Happening(date(2024, 1, 9), "back_to_sms", "U10042"),
    Happening(date(2024, 1, 10), "switched", "U10001"),
    Happening(date(2024, 1, 10), "switched", "U10002"),
)


def tour(folder: Path) -> Tour:
    first = summary(
        "2024-01-09T14:00:00Z",
        standing={"sms_only": 500, "migrated": 500},
        changes={"sms_removed": 2},
        letters=sent(450, failed=1, queued=7),
    )
    again = summary("2024-01-09T14:05:00Z", outcomes={"not_reminded": 999}, letters=sent(0, queued=7))
    last = summary(standing={"sms_only": 3, "migrated": 997}, changes={"sms_removed": 1, "authenticator_enabled": 4}, letters=sent(5))
    days = [
        DayLived(date(2024, 1, 9), CAST[:2], (first, again)),
        DayLived(date(2024, 1, 18), CAST[2:], ()),
        DayLived(date(2024, 2, 17), (), (last,)),
    ]
    return Tour(folder, days)


def test_a_day_like_any_other_is_not_worth_a_line():
    happened = (Happening(date(2024, 1, 10), "switched", "U10001"),)
    assert line_of(DayLived(date(2024, 1, 10), happened, (summary(),))) is None


def test_the_day_of_a_stage_says_how_many_letters_went_out():
    assert line_of(DayLived(date(2023, 12, 18), (), (summary(letters=sent(1450)),))) == (
        "Mon 18 Dec 2023  opens  1,000 rows read, 1,450 letters sent"
    )


def test_a_missed_day_says_why_and_the_next_one_that_it_is_made_up_for():
    assert line_of(DayLived(date(2024, 1, 18), (), ())) == "Thu 18 Jan 2024  T-14   no run: the host was being patched"
    assert line_of(DayLived(date(2024, 1, 19), (), (summary(letters=sent(1)),))) == (
        "Fri 19 Jan 2024         T-14 made up for: 1,000 rows read, 1 letter sent"
    )


@pytest.mark.parametrize(("letters", "said"), [(0, "nothing sent"), (3, "3 letters sent")])
def test_a_second_firing_says_what_it_sent(letters, said):
    lived = DayLived(date(2023, 12, 27), (), (summary(letters=sent(9)), summary(letters=sent(letters))))
    assert line_of(lived) == f"Wed 27 Dec 2023         cron fired again: {said}"


def test_the_cutoff_says_how_many_lost_their_telephone():
    happened = tuple(Happening(date(2024, 2, 1), "cut_off", f"U{n}") for n in range(1200))
    line = line_of(DayLived(date(2024, 2, 1), happened, (summary(letters=sent(2)),)))
    assert line == "Thu 01 Feb 2024  T+0    1,000 rows read, 2 letters sent; 1,200 lost text messages at the cutoff"


def test_letters_and_changes_add_up_over_the_runs_but_waiting_letters_are_those_of_the_last(tmp_path: Path):
    told = tour(tmp_path)
    assert told.letters == {"sent": 455, "failed": 1, "uncertain": 0, "withdrawn": 0, "queued": 0}
    assert told.changes == {"authenticator_enabled": 4, "sms_removed": 3}


def test_a_run_whose_outcomes_do_not_add_up_is_not_counted_as_one_that_does(tmp_path: Path):
    assert tour(tmp_path).adding_up == 2


def test_the_facts_are_json_and_say_which_days_were_missed_or_fired_twice(tmp_path: Path, capsys):
    Console(json=True).result(tour(tmp_path).facts())
    facts = json.loads(capsys.readouterr().out)
    assert (facts["days"], facts["runs"], facts["missed"], facts["twice"]) == (3, 3, ["2024-01-18"], ["2024-01-09"])
    assert facts["happened"] == {"switched": 2, "back_to_sms": 1, "id_reused": 1}
    assert (facts["standing_at_opening"]["sms_only"], facts["standing_at_end"]["sms_only"]) == (500, 3)


def test_only_places_that_are_there_are_shown(tmp_path: Path):
    (tmp_path / "outbox" / "new").mkdir(parents=True)
    (tmp_path / "migrate.db").touch()
    assert list(tour(tmp_path).places) == [str(tmp_path / "outbox" / "new"), str(tmp_path / "migrate.db")]


def test_commands_name_the_configuration_the_people_and_the_days_to_come(tmp_path: Path):
    folder = tmp_path / "my demo"
    commands = [shlex.split(command) for command in tour(folder).commands]
    assert all(command[:3] == ["migrate", "--config", str(folder / "config.toml")] for command in commands)
    assert [command[3:] for command in commands] == [
        ["status"], ["explain", "U10042"], ["explain", "U10007"], ["run", "--as-of", "2024-02-17T15:00:00Z"],
        ["dry-run", "--as-of", "2024-02-18T14:00:00Z"], ["preview", "final_reminder"],
    ]  # fmt: skip


def test_the_printed_tour_is_plain_lines_with_the_numbers_the_job_gave(tmp_path: Path, capsys):
    (tmp_path / "migrate.db").touch()
    tour(tmp_path).tell(Console())
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    for line in (
        "2 switched from text messages to an authenticator",
        "sms_only 500 3",
        "sent 455",
        "sms_removed 3",
        "3 days, 3 runs on working days; missed days: 1, days with two runs: 1.",
        "Every row read ended in exactly one outcome, and the counts added up, in 2 of 3 runs.",
        f"{tmp_path / 'migrate.db'} the ledger: who was told what, and when",
        f"migrate --config {tmp_path / 'config.toml'} status",
    ):
        assert line in lines
