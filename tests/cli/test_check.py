"""`migrate check`: what a run will need is tried beforehand."""

from __future__ import annotations

import json
import re
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine

from migrate.cli import main
from migrate.files.resources import resource


@pytest.fixture(autouse=True)
def _today() -> Iterator[None]:
    with time_machine.travel("2023-12-01T12:00Z", tick=True):
        yield


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the example configuration, looked through by an organisation of its own, and a directory of two accounts."""
    monkeypatch.chdir(tmp_path)
    text = resource("config.example.toml").read_text(encoding="utf-8").replace("# EDIT: ", "# ").replace("# EDIT (", "# (")
    for key in ("organization", "product", "support_email", "from"):
        text = re.sub(
            rf"^{key} = .*", lambda found: found[0].replace("Example", "Acme").replace("example", "acme"), text, flags=re.MULTILINE
        )
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
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


def warnings(parts: dict[str, list[dict[str, Any]]], part: str) -> list[str]:
    return [finding["said"] for finding in parts[part] if finding["state"] == "warning"]


def test_what_is_still_as_in_the_example_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = resource("config.example.toml").read_text(encoding="utf-8")
    (here / "config.toml").write_text(example, encoding="utf-8")
    code, parts = checked(capsys)
    assert code == 0
    [said] = warnings(parts, "configuration")
    named = re.findall(r"\[[\w.]+\] \w+", said)
    marked = re.findall(r"^(\w+) = .*# EDIT", example.partition("[mail.smtp]")[0], flags=re.MULTILINE)
    assert [name.split()[1] for name in named] == marked
    assert {"[campaign] opens", "[campaign] settings_path", "[directory] url", "[mail] from"} <= set(named)
    edit('name = "sms-retirement"', 'name = "goodbye-sms"')
    edit("opens = 2023-08-01 ", "opens = 2023-09-01 ")
    edit("# EDIT: where a day", "# where a day")
    [said] = warnings(checked(capsys)[1], "configuration")
    assert not any(key in said for key in ("name,", "opens", "timezone"))
    assert "[campaign] cutoff" in said


def test_the_mail_servers_lines_count_once_letters_go_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit('password = { env = "MIGRATE_SMTP_PASSWORD" }', "")
    edit('username = "security@example.com"', "")
    edit('transport = "maildir"', 'transport = "smtp"')
    [said] = warnings(checked(capsys)[1], "configuration")
    assert re.findall(r"\[[\w.]+\] \w+", said) == ["[mail.smtp] host"]


def test_a_name_that_is_nobodys_is_named_without_a_mark(capsys: pytest.CaptureFixture[str]) -> None:
    edit('organization = "Acme Corp"', 'organization = "Example Corp"')
    [said] = warnings(checked(capsys)[1], "configuration")
    assert re.findall(r"\[[\w.]+\] \w+", said) == ["[campaign] organization"]


@pytest.mark.parametrize(
    ("today", "said"),
    [
        ("2024-01-31T23:00Z", None),
        ("2024-02-01T09:00Z", None),
        ("2024-02-02T09:00Z", "the cutoff was 1 day ago; the next stage is T+14 on 2024-02-15."),
        (
            "2026-11-28T09:00Z",
            "the cutoff was 1,031 days ago; no stage is left to come; whoever must still move is told of T+14 (2024-02-15).",
        ),
    ],
)
def test_a_cutoff_that_has_passed_is_said(today: str, said: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    with time_machine.travel(today, tick=True):
        code, parts = checked(capsys)
    assert code == 0
    assert warnings(parts, "configuration") == ([f"[campaign] cutoff: {said}"] if said else [])


def test_without_stages_after_a_cutoff_that_has_passed_nobody_is_reminded(capsys: pytest.CaptureFixture[str]) -> None:
    edit("days_after = [0, 14]", "days_after = []")
    with time_machine.travel("2024-02-11T09:00Z", tick=True):
        _, parts = checked(capsys)
    [said] = warnings(parts, "configuration")
    assert said.endswith("10 days ago; no stage is left to come, and nobody is reminded.")


def with_templates(capsys: pytest.CaptureFixture[str]) -> Path:
    """A full set of templates, as `init` writes it, in use."""
    assert main(["init", "--templates"]) == 0
    capsys.readouterr()
    edit('# templates = "templates"', 'templates = "templates"')
    return Path("templates").absolute()


def test_every_template_of_yours_that_is_used_is_listed_and_every_file_that_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    mine = Path("templates").absolute()
    files = {
        "mail/reminder/subject.txt.j2": None,
        "mail/_frame/style.css": None,
        "reminder/body.txt.j2": "mail/reminder/body.txt.j2",
        "mail/de/reminder/body.html.j2.txt": "mail/reminder/body.html.j2",
        "style.css": None,
        "_frame/style.css": "mail/_frame/style.css",
        "remider/body.txt": "mail/reminder/body.txt.j2",
        "notes.md": None,
        ".git/config": None,
    }
    for name in files:
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        (mine / name).write_text("p { color: #111 }")
    edit('# templates = "templates"', 'templates = "templates"')
    code, parts = checked(capsys)
    assert code == 0
    assert parts["templates"][0]["said"].endswith(f"with 2 of your files in {mine}: _frame/style.css, reminder/subject.txt.j2")
    unused = [name for name in files if name not in ("mail/reminder/subject.txt.j2", "mail/_frame/style.css", ".git/config")]
    assert warnings(parts, "templates") == [
        f"{mine / name} is not used" + (f": letters are made from {mine / str(files[name])}." if files[name] else ".")
        for name in sorted(unused, key=lambda name: mine / name)
    ]


def test_a_misspelt_template_among_the_mails_is_wrong_and_told_what_it_should_be(capsys: pytest.CaptureFixture[str]) -> None:
    mine = with_templates(capsys)
    (mine / "mail" / "reminder" / "subject.txt.j2").rename(mine / "mail" / "reminder" / "subjet.txt.j2")
    (mine / "mail" / "reminder" / "stray.j2").write_text("")
    code, parts = checked(capsys)
    assert code == 2
    assert "stray.j2: no letter uses this template." in parts["templates"][0]["said"]
    assert "subjet.txt.j2" in parts["templates"][0]["said"]
    (mine / "mail" / "reminder" / "stray.j2").unlink()
    assert f"Letters are made from {mine / 'mail' / 'reminder' / 'subject.txt.j2'}." in checked(capsys)[1]["templates"][0]["said"]


@pytest.mark.parametrize("language", ["nl", "fr-CA", "english", "", "e n"])
def test_a_language_without_texts_is_refused(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    edit('language = "en"', f'language = "{language}"')
    code, parts = checked(capsys)
    assert code == 2
    said = parts["configuration"][0]["said"]
    assert f"[campaign] language: is {language!r}, which " in said
    assert ("there are those of 'en', 'ar', 'de' (and" in said) or ("is no language tag, such as 'en', 'en-GB' or 'de'" in said)
    assert main(["dry-run"]) == 2


@pytest.mark.parametrize("language", ["en", "en-GB", "EN-us"])
def test_english_of_any_region_is_taken(language: str, capsys: pytest.CaptureFixture[str]) -> None:
    edit('language = "en"', f'language = "{language}"')
    assert checked(capsys)[0] == 0


def test_a_language_of_ones_own_is_taken_once_every_text_is_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    mine = with_templates(capsys)
    edit('language = "en"', 'language = "nl"')
    code, parts = checked(capsys)
    lacking = "announcement/subject.txt.j2, announcement/body.txt.j2, announcement/body.html.j2 and 15 more"
    assert (code, f"not there, or still ours: {lacking}." in str(parts)) == (2, True)
    texts = sorted(each for each in (mine / "mail").rglob("*.j2") if not each.parent.name.startswith("_") and not each.name.startswith("_"))
    assert len(texts) == 18
    for text in texts[:-1]:
        text.write_text("Bitte umsteigen {{ reference }} {{ campaign.support_email }}", encoding="utf-8")
    code, parts = checked(capsys)
    assert (code, "not there, or still ours: reminder/subject.txt.j2." in str(parts)) == (2, True)
    texts[-1].write_text("Bitte umsteigen")
    code, parts = checked(capsys)
    assert code == 0, parts
    # What only our texts were built on lies there still.
    unused = ["_frame/base.html.j2", "_frame/base.txt.j2", "_frame/steps.html.j2", "_frame/words.j2"]
    unused += ["change_confirmation/_what_changed.j2", "cutoff_moved/_new_date.j2", "cutoff_passed/_what_happened.j2", "reminder/_title.j2"]
    assert warnings(parts, "templates") == [f"{mine / 'mail' / name} is not used." for name in unused]
    assert main(["preview", "reminder", "--headers"]) == 0
    assert "Content-Language: nl\n" in capsys.readouterr().out


def test_what_is_still_english_among_texts_of_ones_own_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    mine = with_templates(capsys)
    edit('language = "en"', 'language = "nl"')
    for text in (mine / "mail").rglob("*.j2"):
        if text.parent.name != "_frame":
            text.write_text(text.read_text(encoding="utf-8") + "{# deutsch #}", encoding="utf-8")
    code, parts = checked(capsys)
    assert code == 0
    [said] = warnings(parts, "templates")
    assert "_frame/base.html.j2, _frame/base.txt.j2, _frame/steps.html.j2, _frame/words.j2" in said


def test_lines_of_sql_under_another_kind_are_told_to_be_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    edit('kind = "sql"', 'kind = "csv"')
    edit('# path = "users.csv"', 'path = "users.csv"')
    code, parts = checked(capsys)
    assert code == 2
    said = parts["configuration"][0]["said"]
    assert '[directory] url belongs to kind = "sql" or "privacyidea": delete it' in said
    assert '[directory] table belongs to kind = "sql": delete it' in said
    assert "is no setting" not in said


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


def test_every_column_that_is_missing_is_named_at_once(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with sqlite3.connect(here / "directory.db") as connection:
        connection.execute("create table people (id integer primary key, mail text, mfa text)")
    connection.close()
    edit('table = "users"', 'table = "people"')
    code, parts = checked(capsys)
    assert code == 3
    assert parts["directory"][0]["said"] == (
        "[directory.columns]: the table people has none of the columns account_id, email, methods. It has id, mail, mfa. Name theirs "
        'there: account_id = "…" and email = "…" and methods = "…", or a column a method in [directory.method_columns].'
    )


def test_on_a_narrow_terminal_what_is_said_stays_beside_its_part(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("migrate.cli.check.on_terminal", lambda: True)
    assert main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = [line.startswith("schedule ") for line in lines].index(True)
    assert len(lines[at]) < 80
    assert lines[at + 1].startswith(" " * 24)


@pytest.mark.parametrize("content", ["", "\ufeff\r\n"])
def test_an_empty_password_is_refused_by_every_command_with_its_file_and_what_to_do(
    here: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (here / "smtp.password").write_text(content, encoding="utf-8")
    edit('transport = "maildir"', 'transport = "smtp"')
    edit('{ env = "MIGRATE_SMTP_PASSWORD" }', '{ file = "smtp.password" }')
    said = f"[mail.smtp] password: needs the file {here / 'smtp.password'}, which is empty; write the value into it."
    code, parts = checked(capsys)
    assert (code, [finding["state"] for finding in parts["configuration"]]) == (2, ["wrong"])
    assert said in parts["configuration"][0]["said"]
    for command in ("run", "send", "dry-run", "status", "preview reminder"):
        assert main(command.split()) == 2
        assert said in capsys.readouterr().err
