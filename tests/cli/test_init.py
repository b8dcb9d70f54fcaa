"""`migrate init`: a start, and never a loss."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from migrate.cli import main
from migrate.config import load
from migrate.files.resources import resource
from migrate.mail.compose import Composer


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


def directory_from(*files: str) -> Any:
    """The `[directory]` that `init --from` makes of some files, after `check` has found it right."""
    assert main(["init", "--from", *files]) == 0
    assert main(["check"]) == 0
    return load(Path("config.toml")).directory


def test_titles_above_the_header_and_another_encoding_are_found_out_and_written(here: Path) -> None:
    text = "Benutzer der Firma\r\nStand: heute\r\nID;E-Mail;Name;Methods\r\n1;a@x.example;Jörg;sms\r\n"
    (here / "staff.csv").write_bytes(text.encode("cp1252"))
    found = directory_from("staff.csv")
    assert (found.header, found.encoding, found.columns["methods"].theirs) == (3, "cp1252", "Methods")


def test_a_known_export_below_titles_on_another_sheet_of_a_workbook_is_found(here: Path) -> None:
    book = Workbook()
    book.active.append(["please check by Friday"])
    sheet = book.create_sheet("Report")
    for row in (["User registration details"], [], *csv.reader(REGISTRATION.splitlines())):
        sheet.append(row)
    book.save(here / "report.xlsx")
    found = directory_from("report.xlsx")
    assert (found.profile, found.sheet, found.header) == ("entra-registration", "Report", 3)


def test_a_join_is_found_by_the_values_that_both_have(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "hr.csv").write_text("Employee ID,Work Email,Login\n1,Ann@x.example,ann\n2,bob@x.example,bob\n", encoding="utf-8")
    factors = "Ann,ann@x.example,SMS Authentication,,\nBob,bob@x.example,Okta Verify Push,,\n"
    header = "User,Login,MFA Factor,Last Enrolled_ISO8601,Last Used_ISO8601\n"
    (here / "usage.csv").write_text(header + factors, encoding="utf-8")
    found = directory_from("usage.csv", "hr.csv")
    assert found.columns["username"].theirs == "Work Email"
    assert found.join[0].on == "username"
    assert "no row in" not in capsys.readouterr().out


def test_numbers_that_both_files_have_do_not_join_them(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "hr.csv").write_text("id,mail\n1,ann@x.example\n2,bob@x.example\n", encoding="utf-8")
    (here / "factors.csv").write_text("id,factor\n1,sms\n2,totp\n", encoding="utf-8")
    assert main(["init", "--from", "hr.csv", "factors.csv"]) == 2
    assert "no column in common" in capsys.readouterr().err


def test_a_column_that_says_who_is_suspended_is_not_passed_over(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "staff.csv").write_text("id,mail,methods,Is suspended,team\n1,a@x.example,sms,no,red\n2,b@x.example,sms,yes,red\n")
    found = directory_from("staff.csv")
    assert found.columns["enabled"].opposite == "Is suspended"
    assert "Not read: team." in capsys.readouterr().out
    assert main(["dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["standing"] == {"inactive": 1, "sms_only": 1}


@pytest.mark.parametrize("name", ["Konto gesperrt", "deaktiviert", "Inaktiv", "compte_bloqué", "Bloqueado", "Geblokkeerd", "offboarded"])
def test_a_column_that_says_the_opposite_in_another_language_is_not_passed_over(here: Path, name: str) -> None:
    (here / "staff.csv").write_text(f"id,mail,methods,{name}\n1,a@x.example,sms,nein\n2,b@x.example,sms,ja\n", encoding="utf-8")
    assert directory_from("staff.csv").columns["enabled"].opposite == name


def test_what_is_not_read_is_named_where_nothing_says_who_can_sign_in(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "staff.csv").write_text("id,mail,methods,left on\n1,a@x.example,sms,2024-01-01\n2,b@x.example,sms,\n")
    assert "enabled" not in directory_from("staff.csv").columns
    assert "Not read: left on. If one of them says who cannot sign in any more" in capsys.readouterr().out


def test_names_that_look_like_addresses_stand_in_for_them_and_that_is_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = "ObjectId,UserPrincipalName,BlockCredential,MFAMethods,DefaultMFAMethod\n"
    (here / "msol.csv").write_text(header + '1,a@x.example,False,"OneWaySMS, PhoneAppOTP",OneWaySMS\n2,b@x.example,True,PhoneAppOTP,\n')
    columns = directory_from("msol.csv").columns
    assert (columns["email"].theirs, columns["enabled"].opposite) == ("UserPrincipalName", "BlockCredential")
    assert "No addresses but UserPrincipalName, to which letters go then: it need not be a mailbox." in capsys.readouterr().out
    assert main(["dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["standing"] == {"inactive": 1, "sms_default": 1}


def test_a_column_with_our_name_is_read_and_not_called_unread(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = "id,mail,methods,last_sign_in_at,Last Used At,groups,in_policy,may_enrol,enabled,team\n"
    (here / "staff.csv").write_text(header + "1,a@x.example,sms,2024-01-01,2024-01-01,a;b,yes,passkey,yes,red\n")
    directory_from("staff.csv")
    assert "  Not read: team.\n" in capsys.readouterr().out


def test_a_column_that_says_which_methods_are_in_use_is_asked_for(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{n},a{n}@x.example,{m},{s}\n" for n in range(3) for m, s in (("sms", "ACTIVE"), ("totp", "PENDING_ACTIVATION")))
    (here / "factors.csv").write_text("id,mail,factor,factor_status\n" + rows)
    assert directory_from("factors.csv").rows == "methods"
    said = capsys.readouterr().out
    assert "factor_status seems to say which methods are in use, and is not read: leave the rows of the others out of the export" in said
    (here / "config.toml").unlink()
    (here / "factors.csv").write_text("id,mail,factor,team\n" + rows.replace("ACTIVE", "red").replace("PENDING_red", "red"))
    directory_from("factors.csv")
    assert "seems to say" not in capsys.readouterr().out


def test_words_of_a_status_that_leave_no_doubt_are_written_and_others_are_left_to_a_person(here: Path) -> None:
    (here / "staff.csv").write_text("id,mail,methods,Status\n1,a@x.example,sms,Active\n2,b@x.example,sms,Terminated\n3,,,On leave\n")
    enabled = directory_from("staff.csv").columns["enabled"]
    assert (enabled.theirs, enabled.yes, enabled.no) == ("Status", ("Active",), ("Terminated",))


def test_ids_that_stand_in_several_rows_are_read_as_a_row_a_method(here: Path) -> None:
    (here / "factors.csv").write_text("id,mail,factor\n1,a@x.example,sms\n1,a@x.example,totp\n2,b@x.example,sms\n")
    assert directory_from("factors.csv").rows == "methods"


def test_a_column_a_method_is_guessed_by_its_name_and_its_yes_and_no(here: Path) -> None:
    rows = "1,a@x.example,yes,no,+41 44 000 00 00,no\n2,b@x.example,no,yes,,yes\n"
    (here / "staff.csv").write_text("id,mail,SMS enabled,hasAuthenticatorApp,Mobile,external\n" + rows)
    assert directory_from("staff.csv").method_columns == {"sms": "SMS enabled", "totp": "hasAuthenticatorApp"}


def test_a_list_of_logins_and_factors_is_not_taken_for_oktas(here: Path) -> None:
    (here / "factors.csv").write_text("login,mail,factor\nann,a@x.example,sms\nbob,b@x.example,totp\n")
    found = directory_from("factors.csv")
    assert (found.profile, found.columns["methods"].theirs) == (None, "factor")


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
    assert "(entra)" not in text and "(privacyidea)" not in text


def test_the_kind_privacyidea_is_written_with_the_administrator_who_reads(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATE_PRIVACYIDEA_PASSWORD", "hidden")
    assert main(["init", "--kind", "privacyidea"]) == 0
    told = load(Path("config.toml")).directory
    assert told.model_dump(include={"kind", "url", "realm", "username", "token", "users"}) == {
        "kind": "privacyidea", "url": "https://mfa.example.com", "realm": "staff", "username": "reader", "token": None, "users": True,
    }  # fmt: skip
    text = Path("config.toml").read_text().split("[directory] ")[1].split("[directory.columns]")[0]
    assert text.count("\nurl = ") == 1 and text.count("EDIT (privacyidea)") == 4
    assert "\n# token = " in text and "profile" not in text and not any(f"({kind})" in text for kind in ("sql", "csv", "entra"))


def test_the_kind_entra_is_written_with_the_certificate_that_proves_the_application(here: Path) -> None:
    Path("entra.pem").write_text("-----BEGIN PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\n")
    assert main(["init", "--kind", "entra"]) == 0
    told = load(Path("config.toml")).directory
    assert (told.kind, told.tenant) == ("entra", "contoso.onmicrosoft.com")  # type: ignore[attr-defined]
    text = Path("config.toml").read_text()
    assert all(f"\n{key} = " in text for key in ("tenant", "client_id", "certificate"))
    assert "\n# client_secret = " in text and "(sql)" not in text and "(csv)" not in text
