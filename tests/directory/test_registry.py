"""Kinds of directories: found, suggested, provided by others; and the digest of a method mapping."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from pydantic import ValidationError

from migrate.directory import DirectorySettings, kinds, mapping_digest, open_directory, registry, settings_model
from migrate.directory.csv import CsvDirectory, CsvSettings
from migrate.directory.sql import SqlDirectory, SqlSettings
from migrate.errors import ConfigError


def test_our_kinds_are_known() -> None:
    assert settings_model("sql") is SqlSettings
    assert settings_model("csv") is CsvSettings
    assert isinstance(open_directory(SqlSettings(url="sqlite:///x.db", table="users")), SqlDirectory)
    assert isinstance(open_directory(CsvSettings(path="x.csv")), CsvDirectory)


def test_every_registered_kind_is_called_what_its_class_says() -> None:
    for kind in registry.DIRECTORIES:
        found = registry.directory_class(kind)
        assert found.kind == kind
        assert settings_model(kind).model_fields["kind"].default == kind


def test_an_unknown_kind_is_a_mistake_that_names_the_near_ones() -> None:
    with pytest.raises(ConfigError, match="did you mean 'sql'") as raised:
        settings_model("sqll")
    assert raised.value.where == "[directory] kind"
    with pytest.raises(ConfigError, match="there are sql, csv"):
        settings_model("zzz")


def provided(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    entry = EntryPoint("theirs", value, registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry] if group == "migrate.directories" else [])


def test_others_may_provide_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    provided(monkeypatch, "migrate.directory.csv:CsvDirectory")
    assert settings_model("theirs") is CsvSettings
    assert set(kinds()) >= {"sql", "csv", "theirs"}


@pytest.mark.parametrize("value", ["no.such.module:Thing", "migrate.directory.csv:Nothing", "migrate.errors:ConfigError"])
def test_a_provided_kind_that_is_none_is_a_mistake_in_the_installation(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    provided(monkeypatch, value)
    with pytest.raises(ConfigError, match="theirs"):
        settings_model("theirs")


def settings(**more: Any) -> SqlSettings:
    return SqlSettings(**{"url": "sqlite:///x.db", "table": "users"} | more)


def test_the_digest_changes_with_what_decides_the_methods_and_with_nothing_else() -> None:
    same = [
        settings(),
        settings(table="people", columns={"email": "mail", "methods": "methods"}),
        settings(methods={"sms": "sms", "Text": "sms"}),
        CsvSettings(path="x.csv"),
    ]
    other = [
        settings(methods={"text": "voice"}),
        settings(methods={"pigeon": "push"}),
        settings(methods={"pigeon": "other"}),
        settings(columns={"methods": "mfa"}),
        settings(method_columns={"sms": "has_sms"}),
        settings(method_columns={"sms": "sms_on"}),
        settings(method_columns={"sms": "has_sms", "totp": "has_totp"}),
    ]
    assert len({mapping_digest(each) for each in same}) == 1
    assert len({mapping_digest(each) for each in [same[0], *other]}) == 1 + len(other)
    assert all(len(mapping_digest(each)) == 12 for each in same)
    one, two = settings(method_columns={"sms": "a", "totp": "b"}), settings(method_columns={"TOTP": "b", "sms": "a"})
    assert mapping_digest(one) == mapping_digest(two)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"columns": {"e_mail": "mail"}}, "did you mean 'email'"),
        ({"methods": {"app": "topt"}}, "did you mean 'totp'"),
        ({"methods": {"my-app": "totp", "My App": "push"}}, "two meanings"),
        ({"columns": {"methods": "mfa"}, "method_columns": {"sms": "has_sms"}}, "exclude each other"),
        ({"method_columns": {"pigeon": "has_pigeon"}}, "is no method"),
        ({"method_columns": {"password": "has_password"}}, "is no method"),
        ({"methods": {"noise": "none"}, "method_columns": {"noise": "x"}}, "is no method"),
        ({"tables": "x"}, "Extra inputs"),
    ],
)
def test_a_mistake_in_the_mapping_is_told(more: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(**more)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        settings().kind = "csv"  # type: ignore[misc, assignment]
    assert issubclass(settings_model("sql"), DirectorySettings)


def test_settings_load_without_the_heavy_libraries() -> None:
    code = (
        "import sys; from migrate.directory import kinds, settings_model; [settings_model(k) for k in ('sql', 'csv')]; "
        "print([m for m in ('pandas', 'numpy', 'pyarrow', 'sqlalchemy', 'tenacity', 'openpyxl') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
