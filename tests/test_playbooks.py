"""Playbooks: what `migrate init --playbook` writes is what is known, with its sources."""

from __future__ import annotations

import re
import tomllib
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from migrate.cli import main
from migrate.config import TABLES, load
from migrate.config.playbooks import PLAYBOOKS, playbook
from migrate.config.safety import SafetySettings
from migrate.errors import ConfigError
from migrate.files.resources import resource
from migrate.mail.compose import Composer
from migrate.mail.lint import lint
from migrate.mail.settings import MailSettings

CSV = '[directory]\nkind = "csv"\npath = "users.csv"\n\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(name: str) -> dict[str, Any]:
    return tomllib.loads(playbook(name).config)


def with_export(name: str) -> str:
    """A playbook's text with accounts out of a CSV file."""
    return re.sub(r"\[directory\] .*?(?=\n\[policy\])", lambda _: CSV, playbook(name).config, flags=re.DOTALL)


def test_the_registry_names_every_playbook_there_is_a_folder_of() -> None:
    assert {path.name for path in (resource("templates") / "playbooks").iterdir()} == set(PLAYBOOKS)


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_every_playbook_is_written_as_it_is_and_its_advice_is_there(name: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--playbook", name]) == 0
    said = capsys.readouterr().out
    assert (here / "config.toml").read_text(encoding="utf-8") == playbook(name).config
    advice = re.search(r"^Read the advice first: (.*)$", said, re.MULTILINE)
    assert advice and Path(advice[1]).read_text(encoding="utf-8").startswith("# ")
    assert "EDIT" in playbook(name).config


@pytest.mark.parametrize("name", [name for name in PLAYBOOKS if name != "generic"])
def test_every_date_has_a_source_and_the_day_it_was_read_in_the_advice_and_on_the_screen(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    known = playbook(name)
    advice = known.advice.read_text(encoding="utf-8")
    assert main(["init", "--playbook", name]) == 0
    said = capsys.readouterr().out
    assert known.dates
    for each in known.dates:
        assert each.source and each.read >= date(2026, 9, 23)
        assert re.search(rf"^\| {each.on} \|.*\| {each.read} \|$", advice, re.MULTILINE)
        assert f"{each.on}: {each.what} ({each.source}; read {each.read})" in said
    ours = told(name)
    cutoffs = {ours["campaign"]["cutoff"].date(), *(wave["cutoff"].date() for wave in ours.get("waves", ()))}
    assert cutoffs <= {each.on for each in known.dates}


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_every_playbook_loads_and_its_letters_say_nothing_that_is_wrong(name: str, here: Path) -> None:
    (here / "config.toml").write_text(playbook(name).config, encoding="utf-8")
    (here / "entra.pem").write_text(
        "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
    )
    config = load(Path("config.toml"))
    assert [wave.name for wave in config.waves.waves] == [wave["name"] for wave in told(name).get("waves", [])]
    composer = Composer(config.mail, config.campaign)
    letters = list(composer.try_all(every_language=True))
    assert {letter.language for _, letter in letters} == {"en", "de", "ar"}
    assert list(lint(letters, config.mail, config.campaign, playbook(name).never_says)) == []


def test_generic_is_what_init_writes_without_a_name(here: Path) -> None:
    assert main(["init"]) == 0
    assert (here / "config.toml").read_text(encoding="utf-8") == playbook("generic").config


def test_entra_2027_is_as_the_design_says() -> None:
    ours = told("entra-2027")
    campaign = ours["campaign"]
    assert (campaign["cutoff"], campaign["at_cutoff"], campaign["guide"]) == (datetime(2027, 2, 1), "must_re_enrol", "entra-passkey")
    assert ours["waves"] == [
        {
            "name": "global-admins-and-guests",
            "match": {"groups": ["role:Global Administrator"], "account_type": ["guest"]},
            "follows": True,
            "cutoff": datetime(2027, 7, 1),
        }
    ]
    assert (ours["directory"]["kind"], ours["directory"]["roles"]) == ("entra", ["Global Administrator"])
    assert ours["policy"]["retired"] == ["sms", "voice"]
    assert ours["policy"]["accepted"] == ["passkey", "push", "totp", "hardware_otp", "certificate", "external"]
    assert ours["schedule"]["days_before"] == [60, 45, 30, 15, 7, 1]
    assert min(ours["schedule"]["days_after"]) == 2


@pytest.mark.parametrize("name", [name for name in PLAYBOOKS if name != "generic"])
def test_a_playbook_sets_nothing_that_there_is_no_setting_for(name: str) -> None:
    ours = told(name)
    assert set(ours) <= set(TABLES)
    for table in ("policy", "schedule", "safety", "campaign", "waves"):
        TABLES[table].model_validate(ours.get(table, [] if table == "waves" else {}))
    assert SafetySettings in TABLES.values() and MailSettings.model_validate(ours["mail"]).transport == "maildir"


@pytest.mark.parametrize("cloud", ["usgov", "usgov_dod", "china"])
def test_a_cloud_without_a_date_is_refused_with_the_reason(cloud: str, here: Path) -> None:
    (here / "config.toml").write_text(playbook("entra-2027").config.replace('cloud = "public"', f'cloud = "{cloud}"'), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(Path("config.toml"))
    said = str(caught.value)
    assert (
        f"[directory] cloud is '{cloud}', which has no date in the playbook 'entra-2027': Microsoft has set dates for the public cloud"
        in said
    )
    assert "read 2026-11-28" in said


def test_an_unknown_playbook_lists_those_there_are(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--playbook", "entra-2026"]) == 2
    said = capsys.readouterr().err
    assert "Did you mean 'entra-2027'? There are generic, autodesk-2024, entra-2027." in said
    assert not (here / "config.toml").exists()
    (here / "config.toml").write_text(
        playbook("autodesk-2024").config.replace('playbook = "autodesk-2024"', 'playbook = "x"'), encoding="utf-8"
    )
    with pytest.raises(ConfigError, match="is 'x', which is no playbook; there are generic, autodesk-2024, entra-2027"):
        load(Path("config.toml"))


def test_a_playbook_that_says_its_kind_takes_no_other_and_takes_exports(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--playbook", "entra-2027", "--kind", "csv"]) == 2
    (here / "users.csv").write_text(
        "userPrincipalName,displayName,mail,objectId,userType,accountEnabled\nann@x.example,Ann,ann@x.example,7,Member,True\n"
    )
    (here / "registration.csv").write_text("User principal name,Name,Methods registered\nANN@x.example,Ann,Mobile phone\n")
    assert main(["init", "--playbook", "entra-2027", "--from", "registration.csv", "users.csv"]) == 0
    ours = tomllib.loads((here / "config.toml").read_text(encoding="utf-8"))
    assert (ours["directory"]["kind"], ours["campaign"]["guide"], ours["schedule"]["final_days"]) == ("csv", "entra-passkey", 7)


def test_check_names_the_lines_of_a_playbook_that_are_as_they_were(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "users.csv").write_text("account_id,email,methods\n1,a@x.example,sms\n")
    text = with_export("autodesk-2024")
    (here / "config.toml").write_text(text, encoding="utf-8")
    main(["check"])
    [warned] = [line for line in capsys.readouterr().out.splitlines() if "As in the example" in line]
    assert "[campaign] organization" in warned and "[campaign] timezone" in warned and "settings_path" not in warned


def test_check_finds_a_word_that_the_playbook_knows_to_be_wrong(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "users.csv").write_text("account_id,email,methods\n1,a@x.example,sms\n")
    (here / "templates" / "reminder").mkdir(parents=True)
    (here / "templates" / "reminder" / "subject.txt.j2").write_text("You will be locked out")
    text = with_export("entra-2027")
    (here / "config.toml").write_text(text.replace('transport = "maildir"', 'templates = "templates"'), encoding="utf-8")
    main(["check"])
    assert "reminder: says 'locked out', which the playbook 'entra-2027' knows to be wrong." in capsys.readouterr().out


def test_a_guide_that_there_is_none_of_is_told_with_the_near_one(here: Path) -> None:
    (here / "config.toml").write_text(
        playbook("autodesk-2024").config.replace('guide = "authenticator-app"', 'guide = "entra-paskey"'), encoding="utf-8"
    )
    with pytest.raises(ConfigError, match=r"\[campaign\] guide: is 'entra-paskey', which is no guide; did you mean 'entra-passkey'\?"):
        load(Path("config.toml"))


def test_the_demo_lives_through_the_playbook_of_the_seed() -> None:
    from migrate.demo.config import demo_config

    demo, ours = (tomllib.loads(text)["campaign"] for text in (demo_config(Path("demo")), playbook("autodesk-2024").config))
    assert demo == ours | {"opens": date(2023, 12, 18)}
