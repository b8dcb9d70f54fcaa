"""`extends`: the settings of another file as defaults, and in whose name an error speaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrate.config import load
from migrate.config.placeholders import untouched
from migrate.errors import ConfigError

COMMON = """
[campaign]
product = "Example account"
opens = 2023-08-01
cutoff = 2024-02-01
support_email = "help@example.com"
[directory]
kind = "csv"
path = "users.csv"
[directory.columns]
email = "mail"
enabled = { not = "suspended" }
[policy]
accepted = ["totp", "passkey"]
[mail]
from = "Security <security@example.com>"
transport = "smtp"
templates = "letters"
[mail.smtp]
host = "smtp.example.com"
username = "security@example.com"
password = { file = "secret.txt" }
rate = "10/s"
"""
TENANT = """
extends = "../common.toml"
[campaign]
name = "contoso"
organization = "Contoso"
"""


@pytest.fixture
def tenant(tmp_path: Path) -> Path:
    """A tenant's file in a folder of its own, and the common one above it."""
    (tmp_path / "tenants").mkdir()
    (tmp_path / "letters").mkdir()
    (tmp_path / "secret.txt").write_text("hunter2\n")
    (tmp_path / "common.toml").write_text(COMMON)
    path = tmp_path / "tenants" / "contoso.toml"
    path.write_text(TENANT)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as raised:
        load(path)
    return str(raised.value)


def test_the_settings_of_the_other_file_are_defaults_key_by_key(tenant: Path) -> None:
    tenant.write_text(TENANT + 'cutoff = 2024-03-01\n[directory]\npath = "accounts.csv"\n[policy]\naccepted = ["passkey"]\n')
    config = load(tenant)
    assert (config.campaign.name, config.campaign.product, str(config.campaign.cutoff_date)) == ("contoso", "Example account", "2024-03-01")
    assert config.policy.accepted == ("passkey",), "a list is taken whole"
    assert config.mail.smtp is not None and config.mail.smtp.host == "smtp.example.com"
    assert config.path == tenant


def test_a_relative_path_starts_at_the_folder_of_the_file_that_it_is_written_in(tenant: Path) -> None:
    base, common = tenant.parent, tenant.parents[1]
    config = load(tenant)
    assert config.directory.path == str(base / ".." / "users.csv")  # type: ignore[attr-defined]
    assert config.mail.templates is not None and config.mail.templates.resolve() == common / "letters"
    assert config.mail.smtp is not None and config.mail.smtp.password is not None
    assert config.mail.smtp.password.get_secret_value() == "hunter2"
    assert config.reports.dir == base / "reports", "what nobody sets"
    assert config.ledger.file == base / "migrate.db"
    tenant.write_text(TENANT + '[directory]\npath = "users.csv"\n[ledger]\nurl = "sqlite:///own.db"\n')
    config = load(tenant)
    assert config.directory.path == str(base / "users.csv")  # type: ignore[attr-defined]
    assert config.ledger.file == base / "own.db"


def test_one_ledger_for_all_is_named_in_the_common_file(tenant: Path) -> None:
    common = tenant.parents[1] / "common.toml"
    common.write_text(COMMON + '[ledger]\nurl = "sqlite:///all.db"\n')
    file = load(tenant).ledger.file
    assert file is not None and file.resolve() == tenant.parents[1] / "all.db"


def test_a_reference_and_the_words_for_a_column_are_replaced_whole(tenant: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTOSO_PASSWORD", "swordfish")
    own = '[directory.columns]\nenabled = { column = "status", yes = ["on"], no = ["off"] }\nphone = "mobile"\n'
    tenant.write_text(TENANT + own + '[mail.smtp]\npassword = { env = "CONTOSO_PASSWORD" }\n')
    config = load(tenant)
    assert {ours: column.theirs for ours, column in config.directory.columns.items()} == {
        "email": "mail", "enabled": "status", "phone": "mobile",
    }  # fmt: skip
    assert config.mail.smtp is not None and config.mail.smtp.password is not None
    assert config.mail.smtp.password.get_secret_value() == "swordfish"


def test_a_reference_that_leads_nowhere_does_not_matter_where_it_is_replaced(tenant: Path) -> None:
    (tenant.parents[1] / "secret.txt").unlink()
    assert "common.toml, [mail.smtp] password: needs the file" in refusal(tenant)
    tenant.write_text(TENANT + '[mail.smtp]\npassword = "typed"\n')
    assert load(tenant).mail.smtp is not None


def test_a_file_may_extend_one_that_extends_another(tenant: Path) -> None:
    common = tenant.parents[1] / "common.toml"
    (tenant.parents[1] / "all.toml").write_text(COMMON)
    common.write_text('extends = "all.toml"\n[campaign]\nproduct = "Their account"\n')
    config = load(tenant)
    assert (config.campaign.product, config.campaign.support_email) == ("Their account", "help@example.com")


def test_a_chain_that_comes_back_is_refused_with_the_way_round(tenant: Path) -> None:
    common = tenant.parents[1] / "common.toml"
    common.write_text('extends = "tenants/contoso.toml"\n' + COMMON)
    said = refusal(tenant)
    assert "common.toml, extends: comes back to a file that extends it: " in said
    assert said.count("contoso.toml") == 2
    tenant.write_text('extends = "contoso.toml"\n')
    assert "contoso.toml, extends: comes back to a file that extends it: " in refusal(tenant)


@pytest.mark.parametrize("value", ["7", '""', '["a.toml"]', '{ env = "COMMON" }'])
def test_what_is_extended_is_a_file(tenant: Path, value: str) -> None:
    tenant.write_text(f"extends = {value}\n")
    assert refusal(tenant) == f'{tenant}, extends: is no file: write it as extends = "../common.toml".'


def test_an_extended_file_that_is_not_there_or_is_no_toml_is_named_with_the_one_that_extends_it(tenant: Path) -> None:
    common = tenant.parents[1] / "common.toml"
    common.write_text("[mail\n")
    assert refusal(tenant).startswith(f"{tenant}, extends '../common.toml': is not valid TOML: ")
    common.unlink()
    assert refusal(tenant) == f"{tenant}, extends '../common.toml': there is no such configuration file."


def test_an_error_names_the_file_in_which_its_key_stands(tenant: Path) -> None:
    common = tenant.parents[1] / "common.toml"
    common.write_text(COMMON.replace('rate = "10/s"', 'rat = "10/s"'))
    shown = tenant.parent / ".." / "common.toml"
    assert refusal(tenant) == f"{shown}, [mail.smtp] rat: is no setting; did you mean rate?"
    tenant.write_text(TENANT + "[safety]\nmax_shrink = 2\n")
    said = refusal(tenant)
    assert said.startswith(f"{tenant}: 2 settings cannot be used as they stand.")
    assert f"  {shown}, [mail.smtp] rat is no setting; did you mean rate?" in said
    assert "\n  [safety] max_shrink is 2" in said


def test_what_is_missing_in_both_is_missed_in_the_first(tenant: Path) -> None:
    tenant.write_text(TENANT.replace('organization = "Contoso"\n', ""))
    assert refusal(tenant) == f"{tenant}, [campaign] organization: is missing."


def test_a_misspelt_extends_is_told_what_it_means(tenant: Path) -> None:
    tenant.write_text(TENANT.replace("extends", "extend"))
    assert "extend is no setting; did you mean extends?" in refusal(tenant)


def test_what_was_left_of_the_example_is_found_in_the_other_file_too(tenant: Path) -> None:
    """A value that may be right by chance counts where its own line is still marked, and not where another file's is."""
    assert "[campaign] support_email" in untouched(load(tenant))
    common = tenant.parent.parent / "common.toml"
    common.write_text(COMMON.replace("cutoff = 2024-02-01", "cutoff = 2024-02-01T00:00:00  # EDIT"))
    assert "[campaign] cutoff" in untouched(load(tenant))
    tenant.write_text(TENANT + 'cutoff = 2024-02-01T00:00:00\nsupport_email = "help@contoso.com"\n')
    assert not {"[campaign] support_email", "[campaign] cutoff"} & set(untouched(load(tenant)))
