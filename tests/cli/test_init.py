"""`migrate init`: a start, and never a loss."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migrate.cli import main
from migrate.config import load
from migrate.mail.compose import Composer
from migrate.resources import resource


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_writes_the_example_for_its_owner_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    config = here / "config.toml"
    assert config.read_bytes() == resource("config.example.toml").read_bytes()
    assert config.stat().st_mode & 0o777 == 0o600
    assert capsys.readouterr().out.endswith("then type `migrate check`.\n")
    assert [path.name for path in here.iterdir()] == ["config.toml"]


def test_what_it_writes_can_be_loaded() -> None:
    main(["init"])
    assert load(Path("config.toml")).campaign.name == "sms-retirement"


@pytest.mark.parametrize("arguments", [["init"], ["init", "--templates"]])
def test_it_never_overwrites_a_configuration(here: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (here / "config.toml").write_text("mine")
    code = main(arguments)
    assert (here / "config.toml").read_text() == "mine"
    assert code == (0 if "--templates" in arguments else 2)
    captured = capsys.readouterr()
    assert "config.toml" in captured.out + captured.err
    assert "left as it is" in captured.out + captured.err


def test_a_dangling_link_is_something_that_is_there(here: Path) -> None:
    (here / "config.toml").symlink_to(here / "elsewhere")
    assert main(["init"]) == 2
    assert not (here / "elsewhere").exists()


def test_it_never_overwrites_templates_and_then_writes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "templates").mkdir()
    assert main(["init", "--templates"]) == 2
    assert "templates is there already" in capsys.readouterr().err
    assert [path.name for path in here.iterdir()] == ["templates"]


def test_the_templates_it_copies_compose_every_letter(here: Path) -> None:
    assert main(["init", "--templates"]) == 0
    config = here / "config.toml"
    config.write_text(config.read_text(encoding="utf-8").replace('# templates = "templates"', 'templates = "templates"'), encoding="utf-8")
    loaded = load(config)
    assert loaded.mail.templates == here / "templates"
    assert len(list(Composer(loaded.mail, loaded.campaign).try_all())) > 5


def test_a_folder_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "no/such/config.toml", "init"]) == 2
    assert capsys.readouterr().err == "Error: no/such/config.toml: cannot be written: No such file or directory.\n"


def test_another_place_is_told_in_the_next_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", "other.toml", "init"]) == 0
    assert "`migrate --config other.toml check`" in capsys.readouterr().out
    assert (here / "other.toml").exists()


def test_the_environment_names_the_place(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MIGRATE_CONFIG", "named.toml")
    assert main(["init"]) == 0
    assert (here / "named.toml").exists()
    assert "`migrate check`" in capsys.readouterr().out


def test_json_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"written": ["config.toml"], "kept": []}


USERS = "userPrincipalName,displayName,mail,objectId,userType,accountEnabled\nann@x.example,Ann,ann@x.example,7,Member,True\n"
REGISTRATION = "User principal name,Name,Methods registered\nANN@x.example,Ann,Mobile phone\n"


def test_two_exports_that_belong_together_are_joined(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "users.csv").write_text(USERS, encoding="utf-8")
    (here / "registration.csv").write_text(REGISTRATION, encoding="utf-8")
    assert main(["init", "--from", "registration.csv", "users.csv"]) == 0
    said = capsys.readouterr().out
    assert "users.csv is: Microsoft Entra ID, list of users" in said
    assert "It cannot tell: Disabled accounts: they are not in the report." in said
    assert said.endswith("Next: change the lines marked EDIT, then type `migrate check`.\n")
    directory = load(Path("config.toml")).directory
    [join] = directory.join
    assert (directory.profile, directory.path) == ("entra-users", str(here / "users.csv"))  # type: ignore[attr-defined]
    assert (join.profile, join.on, join.missing) == ("entra-registration", "username", "unknown")  # type: ignore[attr-defined]
    assert not directory.columns
    assert main(["check"]) == 0
    assert "joined with" in capsys.readouterr().out


def test_an_export_that_needs_another_says_which(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "users.csv").write_text(USERS, encoding="utf-8")
    assert main(["init", "--from", "users.csv"]) == 0
    assert "To be complete it needs entra-registration, for the methods" in capsys.readouterr().out


def test_an_unknown_export_is_guessed_and_marked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "staff.csv").write_text('Employee ID;E-Mail;Second "factor";Factors\n1;a@x.example;;sms\n', encoding="utf-8")
    assert main(["init", "--from", "staff.csv"]) == 0
    assert "its columns were guessed" in capsys.readouterr().out
    text = (here / "config.toml").read_text(encoding="utf-8")
    assert 'methods = "Factors"    # EDIT: a guess' in text
    columns = load(Path("config.toml")).directory.columns
    assert {ours: column.theirs for ours, column in columns.items()} == {
        "account_id": "Employee ID",
        "email": "E-Mail",
        "methods": "Factors",
    }


@pytest.mark.parametrize(
    ("files", "arguments", "said"),
    [
        ({"a.csv": "colour,shape\nred,round\n"}, ["--from", "a.csv"], "It has colour, shape. Known are entra-registration, "),
        ({"a.csv": USERS, "b.csv": USERS}, ["--from", "a.csv", "--from", "b.csv"], "has a column of methods"),
        ({"a.csv": "id,factors\n1,sms\n", "b.csv": "id,name\n1,Ann\n"}, ["--from", "a.csv", "b.csv"], "no column in common"),
        ({"a.csv": USERS}, ["a.csv"], "migrate init --from a.csv"),
        ({"a.csv": USERS}, ["--from", "a.csv", "a.csv", "a.csv"], "two can be joined"),
        ({"a.csv": USERS}, ["--from", "a.csv", "--kind", "sql"], "not by sql"),
        ({}, ["--from", "none.csv"], "none.csv does not exist"),
        ({}, ["--kind", "sqll"], "did you mean 'sql'"),
    ],
)
def test_what_cannot_be_made_of_an_export_is_said_and_nothing_is_written(
    here: Path, files: dict[str, str], arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in files.items():
        (here / name).write_text(text, encoding="utf-8")
    assert main(["init", *arguments]) in (2, 3)
    assert said in capsys.readouterr().err
    assert not (here / "config.toml").exists()


@pytest.mark.parametrize("kind", ["csv", "sql"])
def test_a_kind_alone_is_written_without_the_settings_of_others(here: Path, kind: str) -> None:
    assert main(["init", "--kind", kind]) == 0
    text = (here / "config.toml").read_text(encoding="utf-8").split("[directory] ")[1].split("[directory.columns]")[0]
    assert load(Path("config.toml")).directory.kind == kind
    assert ("\n# delimiter = " in text) == (kind == "csv")
    assert ("\nurl = " in text) == (kind == "sql")
    assert f"EDIT ({kind})" in text
