"""`migrate check`: what a run will need is tried beforehand."""

from __future__ import annotations

import json
import socket
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from migrate.cli import main
from migrate.resources import resource


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the example configuration and a directory of two accounts."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").write_bytes(resource("config.example.toml").read_bytes())
    with sqlite3.connect(tmp_path / "directory.db") as connection:
        connection.execute("create table users (account_id text, email text, methods text)")
        connection.executemany("insert into users values (?, ?, ?)", [("1", "a@example.com", "sms"), ("2", "b@example.com", "sms,totp")])
    connection.close()
    return tmp_path


def edit(old: str, new: str) -> None:
    path = Path("config.toml")
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def checked(capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """The exit code and the findings of each part."""
    code = main(["check", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["exit_code"] == code
    parts: dict[str, list[dict[str, Any]]] = {}
    for finding in told["checks"]:
        parts.setdefault(finding["part"], []).append(finding)
    return code, parts


def test_a_set_up_that_works_is_ok_in_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    code, parts = checked(capsys)
    assert code == 0
    assert list(parts) == ["configuration", "schedule", "templates", "directory", "ledger", "reports", "mail"]
    assert [finding["state"] for found in parts.values() for finding in found] == ["ok"] * 7
    assert parts["directory"][0]["said"].endswith(": 2 rows were read, 2 accounts and 0 rejected")


def test_it_makes_no_ledger(here: Path) -> None:
    assert main(["check"]) == 0
    assert not (here / "migrate.db").exists()


def test_elsewhere_than_on_a_terminal_it_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert [line.split()[1] for line in out.splitlines()[:-1]] == ["ok"] * 7
    assert out.splitlines()[-1].startswith("Next: ")


def test_quiet_prints_only_what_needs_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    edit("min_gap_days = 1 ", "min_gap_days = 3 ")
    assert main(["check", "--quiet"]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["warning", "warning"]


def test_a_broken_configuration_is_told_alone(capsys: pytest.CaptureFixture[str]) -> None:
    edit("at_cutoff", "at_cutof")
    code, parts = checked(capsys)
    assert code == 2
    assert list(parts) == ["configuration"]
    assert "did you mean at_cutoff?" in parts["configuration"][0]["said"]


def test_a_directory_that_is_not_there_is_exit_3(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "directory.db").unlink()
    code, parts = checked(capsys)
    assert code == 3
    assert parts["directory"][0]["state"] == "wrong"
    assert "directory.db" in parts["directory"][0]["said"]
    assert parts["mail"][0]["state"] == "ok", "the other parts are checked all the same"


def test_an_empty_directory_is_wrong_as_it_is_for_a_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(here / "directory.db") as connection:
        connection.execute("delete from users")
    connection.close()
    code, parts = checked(capsys)
    assert code == 4
    assert {finding["state"] for finding in parts["directory"]} == {"wrong"}
    assert "has no rows" in parts["directory"][0]["said"]
    assert "of 0 rows read from the directory not one is an account" in parts["directory"][1]["said"]


def test_words_nobody_knows_and_rows_that_are_no_accounts_are_warnings(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(here / "directory.db") as connection:
        connection.executemany(
            "insert into users values (?, ?, ?)", [("3", "c@example.com", "Carrier Pigeon;sms"), (None, "d@example.com", "sms")]
        )
    connection.close()
    code, parts = checked(capsys)
    assert code == 0
    ok, rejected, unknown = parts["directory"]
    assert (ok["state"], rejected["state"], unknown["state"]) == ("ok", "warning", "warning")
    assert rejected["said"] == "rejected: 1 row: no account_id. Such as row 4."
    assert "'Carrier Pigeon' (1)" in unknown["said"]


def test_a_template_that_cannot_be_composed_is_exit_2(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = here / "mine" / "reminder"
    mine.mkdir(parents=True)
    (mine / "subject.txt.j2").write_text("{{ nmae }}")
    edit('# templates = "templates"', 'templates = "mine"')
    code, parts = checked(capsys)
    assert code == 2
    assert "nmae" in parts["templates"][0]["said"]


def test_a_ledger_in_a_folder_that_is_not_there_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    edit("sqlite:///migrate.db", "sqlite:///no/such/folder/migrate.db")
    code, parts = checked(capsys)
    assert code == 2
    assert parts["ledger"][0]["state"] == "wrong"


def test_a_file_where_the_reports_folder_should_be_is_exit_2(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "reports").write_text("")
    code, parts = checked(capsys)
    assert code == 2
    assert parts["reports"][0]["state"] == "wrong"


def test_no_formats_need_no_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "reports").write_text("")
    edit('formats = ["csv", "html", "xlsx", "parquet"]', "formats = []")
    code, parts = checked(capsys)
    assert code == 0
    assert "none are written" in parts["reports"][0]["said"]


def test_a_mail_server_that_is_not_there_is_exit_6_and_gives_way_to_3(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connecting is refused
        edit('transport = "maildir"', 'transport = "smtp"')
        edit('host = "smtp.example.com"', 'host = "127.0.0.1"')
        edit("port = 587", f"port = {taken.getsockname()[1]}")
        edit('username = "security@example.com"', "")
        edit('password = { env = "MIGRATE_SMTP_PASSWORD" }', "")
        code, parts = checked(capsys)
        assert code == 6
        assert parts["mail"][0]["state"] == "wrong"
        (here / "directory.db").unlink()
        assert checked(capsys)[0] == 3
