"""`migrate status`: what it prints, and for whom."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import sys
from pathlib import Path

import pytest
from campaigns import Campaign

from migrate.cli import main
from migrate.cli.status import _bar, _share
from migrate.ledger import schema


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """Two runs: of four accounts one is exempt and one has migrated between them."""
    made = Campaign(tmp_path_factory.mktemp("lived"))
    made.person("ann")
    made.person("bob")
    made.person("cat", "sms,totp", default_method="sms")
    made.person("dan", "sms", federated="yes")
    made.run("2024-01-02 14:00")
    made.person("ann", "totp")
    made.run("2024-01-12 14:00")
    return made


@pytest.fixture
def campaign(lived: Campaign, tmp_path: Path) -> Campaign:
    return lived.copy(tmp_path / "campaign")


def shown(campaign: Campaign, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["--config", str(campaign.path), "status", "--as-of", "2024-01-12T12:00", *options]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_elsewhere_than_on_a_terminal_it_is_plain_numbers(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(campaign, capsys)
    assert "text messages work until the end of Wednesday, 31 January 2024 (Pacific Standard Time, UTC-08:00); 20 days left." in out
    assert "Stage now: T-30 (reminder) since 2024-01-02. Next: T-14 (reminder) on 2024-01-18." in out
    assert "compliant           1  25.0%\nnot compliant       2  50.0%\nout of scope        1  25.0%\n" in out
    assert "2024-01-02              3\n2024-01-12              2\n" in out
    assert "Too early to say: 2 run days seen, a forecast needs 5. 2 people must still move by 1 Feb 2024.\n" in out
    assert "It takes 0.1 people a day from now on; the last two weeks brought 0.1.\n" in out
    assert "Forecast for the cutoff" not in out
    assert "Letters: 0 queued, 0 claimed, 0 sending, 4 sent, 0 failed, 0 uncertain, 0 withdrawn." in out
    assert not set(out) & set("█░·\x1b")


def test_it_says_how_many_compliant_accounts_are_not_certain(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert "not certain" not in shown(campaign, capsys)
    campaign.person("ann", "totp,other")
    campaign.person("eve", "push")
    campaign.run("2024-01-12 15:00")
    assert "Compliant: 2, of which 1 not certain (a second step nobody knows by name).\n" in shown(campaign, capsys)


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_there_are_bars(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", screen)
    assert main(["--config", str(campaign.path), "status"]) == 0
    out = screen.getvalue()
    assert "compliant      " + "█" * 10 + "░" * 30 + "          1   25.0%" in out
    assert "not compliant  " + "█" * 20 + "░" * 20 + "          2   50.0%" in out
    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", out[: out.index("Run r00002")]).splitlines()[3:])) <= 80


def test_the_burn_down_on_a_terminal_has_a_column_for_each_time_and_what_is_forecast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Campaign(tmp_path)
    people = [f"p{n:02}" for n in range(20)]
    for name in people:
        made.person(name)
    for day, name in enumerate(people[:11], 2):
        made.run(f"2024-01-{day:02} 14:00")
        made.person(name, "totp")
    screen = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys, "stdout", screen)
    assert main(["--config", str(made.path), "status", "--as-of", "2024-01-12T15:00"]) == 0
    out = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    chart = out[out.index("Not compliant, by day (░ forecast)") :].splitlines()[1:9]
    assert all(len(line) <= 80 for line in chart)
    assert chart[0].split()[0] == "20" and chart[6].split()[0] == "0" and "█" in chart[0] and "░" in chart[6]
    assert chart[7].split() == ["2024-01-02", "cutoff", "2024-02-01"]
    assert re.search(r"Forecast for the cutoff: \d not compliant \(eight times in ten \d to \d+\)", out)


@pytest.mark.parametrize(("count", "total", "length"), [(1, 1, 40), (0, 5, 0), (1, 100_000, 1), (1, 2, 20), (0, 0, 0)])
def test_a_bar_is_as_long_as_its_share_and_never_empty_for_somebody(count: int, total: int, length: int) -> None:
    assert _bar(count, total) in ("█" * length + "░" * (40 - length), "#" * length + "." * (40 - length))


def test_nothing_has_no_share() -> None:
    assert _share(0, 0) == "–"
    assert _share(1, 4) == "25.0%"


def test_before_the_first_run_it_says_so_and_exits_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = shown(Campaign(tmp_path), capsys)
    assert "There has been no run yet." in out
    assert not (tmp_path / "migrate.db").exists()


def test_the_one_json_object_has_the_same_facts(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    told = json.loads(shown(campaign, capsys, "--json"))
    assert told["accounts"] == {"compliant": 1, "not_compliant": 2, "out_of_scope": 1, "not_certain": 0, "total": 4}
    assert told["stage"] == {"name": "T-30", "kind": "reminder", "on": "2024-01-02"}
    assert told["next_stage"]["name"] == "T-14"
    assert told["burn_down"] == [{"on": "2024-01-02", "count": 3}, {"on": "2024-01-12", "count": 2}]
    assert told["last_run"]["run_id"] == "r00002"
    assert told["cutoff"] == "2024-02-01T08:00:00Z"


def test_what_needs_a_person_is_said(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    campaign.grant(schema.exemption, "bob", "2024-01-11")
    campaign.grant(schema.exemption, "cat", "2024-01-13")
    campaign.person("bob", "totp", email="")
    campaign.run("2024-01-12 16:00")
    out = shown(campaign, capsys)
    assert "The exemption of bob ended on 2024-01-11; ask ciso.\n" in out
    assert "The exemption of cat ends on 2024-01-13 (1 day left); ask ciso.\n" in out


def test_after_the_cutoff_it_speaks_of_the_past(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(campaign.path), "status", "--as-of", "2024-02-02"]) == 0
    out = capsys.readouterr().out
    assert "text messages worked until" in out
    assert "the cutoff was 1 day ago" in out
    assert "Forecast" not in out


def aged(campaign: Campaign, capsys: pytest.CaptureFixture[str], max_age: str, as_of: str) -> tuple[int, str]:
    code = main(["--config", str(campaign.path), "status", "--max-age", max_age, "--as-of", as_of])
    captured = capsys.readouterr()
    assert "Letters: " in captured.out, "the status is told all the same"
    return code, captured.err


@pytest.mark.parametrize("max_age", ["26h", "2d", "1560m", " 26 h "])
def test_a_run_that_completed_in_time_is_exit_0(campaign: Campaign, capsys: pytest.CaptureFixture[str], max_age: str) -> None:
    assert aged(campaign, capsys, max_age, "2024-01-13T07:00") == (0, "")


@pytest.mark.parametrize(("max_age", "limit"), [("24h", "24 hours"), ("1d", "24 hours"), ("90m", "90 minutes")])
def test_a_run_that_completed_longer_ago_is_exit_7(
    campaign: Campaign, capsys: pytest.CaptureFixture[str], max_age: str, limit: str
) -> None:
    code, err = aged(campaign, capsys, max_age, "2024-01-13T07:00")
    assert code == 7
    assert f"no run of sms-retirement has completed within {limit}: the last one that did was 25 hours ago, on 2024-01-12 14:00 UTC." in err


def test_a_run_that_did_not_complete_does_not_count(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(campaign.ledger) as ledger:
        ledger.execute("UPDATE run SET state = 'recorded', finished_at = NULL WHERE run_id = 'r00002'")
    ledger.close()
    code, err = aged(campaign, capsys, "26h", "2024-01-13T07:00")
    assert (code, "11 days ago, on 2024-01-02" in err) == (7, True)


def test_no_run_at_all_is_exit_7(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, err = aged(Campaign(tmp_path), capsys, "26h", "2024-01-13T07:00")
    assert code == 7
    assert "no run of sms-retirement has completed yet." in err


def test_the_guides_line_for_cron_is_one_that_can_be_typed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "operate.md").read_text(encoding="utf-8")
    [line] = re.findall(r"^[0-9* ]+cd \S+ && \.venv/bin/migrate --config config\.toml (status .*) > /dev/null$", guide, re.MULTILINE)
    assert main(["--config", str(Campaign(tmp_path).path), *line.split()]) == 7
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_run_by_a_clock_far_ahead_is_none_that_completed_in_time(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert aged(campaign, capsys, "2d", "2024-01-03T07:00") == (0, "")
    code, err = aged(campaign, capsys, "2d", "2024-01-11T07:00")
    assert (code, "9 days ago, on 2024-01-02" in err) == (7, True)
    assert aged(campaign, capsys, "2d", "2024-01-12T06:00") == (0, ""), "the very instant for which it was made"


def test_json_and_the_exit_code_come_together(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(campaign.path), "status", "--max-age", "1h", "--as-of", "2024-01-13T07:00", "--json"]) == 7
    assert json.loads(capsys.readouterr().out)["last_completed_at"].startswith("2024-01-12T14:00:")


@pytest.mark.parametrize("text", ["26", "h", "-1h", "1w", "1.5h", "tomorrow", ""])
def test_what_is_no_length_of_time_is_one_sentence(campaign: Campaign, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert main(["--config", str(campaign.path), "status", "--max-age", text]) == 2
    assert capsys.readouterr().err == f"Error: --max-age: {text!r} is no length of time. Type one such as 26h, 2d or 90m.\n"


def test_a_week_without_a_run_is_said_and_a_day_is_not(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    said = "The last run was 7 days ago, more than [safety] stale_hours = 36"
    for as_of, there in (("2024-01-13T17:59", False), ("2024-01-19T06:00", True)):
        assert main(["--config", str(campaign.path), "status", "--as-of", as_of]) == 0
        assert (said in capsys.readouterr().out) is there


def test_a_bad_instant_is_one_sentence(campaign: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(campaign.path), "status", "--as-of", "tomorrow"]) == 2
    assert capsys.readouterr().err.startswith("Error: --as-of: 'tomorrow' is no instant.")
