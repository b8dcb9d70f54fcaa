"""The configuration file: what it may say, and how it is told what it may not."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr
from pydantic_core import PydanticUndefined

from migrate.config import TABLES, load
from migrate.config.anchors import sqlite_url
from migrate.config.complaints import _model_at
from migrate.core.waves import WaveSettings
from migrate.directory import DirectorySettings, settings_model
from migrate.directory.join_source import JoinSettings
from migrate.directory.registry import DIRECTORIES
from migrate.errors import ConfigError

EXAMPLE = Path(__file__).parents[1] / "config.example.toml"

SMALL = """
[campaign]
name = "sms-retirement"
organization = "Example Corp"
product = "Example account"
opens = 2023-08-01
cutoff = 2024-02-01T00:00:00
support_email = "help@example.com"
[directory]
kind = "sql"
url = "sqlite:///directory.db"
table = "users"
[mail]
from = "Example Corp Security <security@example.com>"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        load(written(tmp_path, text))
    assert raised.value.exit_code == 2
    return str(raised.value)


def test_what_is_not_set_has_its_default(tmp_path: Path) -> None:
    config = load(written(tmp_path, SMALL))
    assert config.campaign.opens == date(2023, 8, 1)
    assert config.schedule.days_before == (60, 30, 14, 7, 3, 1)
    assert config.mail.transport == "maildir"
    assert config.safety.max_messages == 500
    assert config.reports.formats == ("csv", "html", "xlsx", "parquet")


def test_a_file_saved_by_a_windows_editor_is_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    assert load(path).campaign.name == "sms-retirement"


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: there is no such configuration file\. Type `migrate init`"):
        load(tmp_path / "nowhere.toml")


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b'[campaign]\nname = "\xff"\n')
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(path)


def test_a_slip_of_syntax_is_shown_with_its_line(tmp_path: Path) -> None:
    assert "line 3" in refusal(tmp_path, "[campaign]\nname = 'x'\nproduct = Example\n")


USERS = 'table = "users"'


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("organization", "organisation", "[campaign] organisation: is no setting; did you mean organization?"),
        (
            "[mail]",
            "[ledger]\nkeep_days = 1095\n[mail]",
            "[ledger] keep_days: had no effect and is gone: delete it.",
        ),
        (USERS, f"{USERS}\npath = 'users.csv'", '[directory] path: belongs to kind = "csv": delete it.'),
        ("[mail]\n", "[mial]\n", "[mial]: is no table of the configuration; did you mean [mail]?"),
        ("= 2023-08-01", '= "2023-08-01"', "[campaign] opens: is '2023-08-01', which is text; write the date without quotes"),
        ("= 2023-08-01", "= 2025-01-01", "[campaign]: opens (2025-01-01) must lie before cutoff (2024-02-01)."),
        ('name = "sms-retirement"\n', "", "[campaign] name: is missing."),
        ('kind = "sql"', 'kind = "sqll"', "[directory] kind: 'sqll' is no kind of directory; did you mean 'sql'?"),
        ('kind = "sql"\n', "", "[directory] kind: is missing."),
        ('kind = "sql"', "kind = 3", "[directory] kind: is 3: it should be a valid string."),
        (USERS, f"{USERS}\n[safety]\nmax_shrink = 10", "[safety] max_shrink: is 10: it should be less than or equal to 1."),
        (USERS, f"{USERS}\n[schedule]\ndays_before = [7, 7]", "[schedule] days_before: is [7, 7], which names a day twice."),
        (USERS, f"{USERS}\n[schedule]\ndays_after = [0, 'x']", "[schedule] days_after, item 2: is 'x': it should be a valid integer."),
        (USERS, f"{USERS}\n[directory.columns]\nid = 'x'", "[directory] columns: 'id' is none of our columns"),
        ("[campaign]", "max_messages = 3\n[campaign]", "max_messages: stands outside any table; it belongs under [safety]."),
        ("[campaign]", "weather = 'fine'\n[campaign]", "weather: stands outside any table; the tables are [campaign], "),
        (
            "[mail]",
            "[mail.smtp]\nhost = 'x'\nport = 99999\n[mail]",
            "[mail.smtp] port: is 99999: it should be less than or equal to 65535.",
        ),
        ("[mail]", "[ledger]\nimage = true\n[mail]", "[ledger] image: is true, which is no folder; write its path, or false for none."),
        ("[mail]", "[mail.smtp]\nport = 25\n[mail]", "[mail.smtp] host: is missing."),
        ("[mail]", "[safety]\nallowed_domains = ['a b']\n[mail]", "[safety] allowed_domains, item 1: 'a b' is no mail domain"),
        ("[mail]", "[safety]\nredirect_to = 'me'\n[mail]", "[safety] redirect_to: 'me' is no mail address"),
        ('"sms-retirement"', '"sms~rehearsal"', "[campaign] name: is 'sms~rehearsal': it should match"),
        (
            "[mail]",
            "[reports]\nformats = ['pdf']\n[mail]",
            "[reports] formats, item 1: is 'pdf': it should be 'csv', 'html', 'xlsx', 'parquet' or",
        ),
    ],
)
def test_an_error_names_the_key_what_was_found_and_what_would_do(tmp_path: Path, line: str, instead: str, said: str) -> None:
    assert line in SMALL
    assert f"config.toml, {said}" in refusal(tmp_path, SMALL.replace(line, instead, 1))


@pytest.mark.parametrize("kind", DIRECTORIES)
def test_a_key_of_another_kind_of_directory_is_told_to_belong_there(tmp_path: Path, kind: str) -> None:
    own = set(settings_model(kind).model_fields)
    for other in set(DIRECTORIES) - {kind}:
        for key in set(settings_model(other).model_fields) - own:
            told = refusal(tmp_path, re.sub(r'kind = "sql"\nurl = .*\ntable = .*\n', f'kind = "{kind}"\n{key} = "x"\n', SMALL))
            assert re.search(rf'\[directory\] {key}:? belongs to kind = .*"{other}".*: delete it', told)
            assert f"{key} is no setting" not in told


def test_a_misspelling_is_told_instead_of_the_missing_key_it_explains(tmp_path: Path) -> None:
    told = refusal(tmp_path, SMALL.replace("organization", "organisation"))
    assert "is missing" not in told
    assert told.count("\n") == 0


def test_several_errors_are_told_at_once_a_line_each(tmp_path: Path) -> None:
    text = SMALL.replace("organization", "organisation").replace('name = "sms-retirement"\n', "") + "transport = 'pigeon'\n"
    lines = refusal(tmp_path, text).splitlines()
    assert "3 settings" in lines[0]
    assert [line.split()[1] for line in lines[1:]] == ["organisation", "transport", "name"]


def test_a_string_may_come_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORGANIZATION", "Env Corp")
    (tmp_path / "product").write_text("File account\n", encoding="utf-8")
    text = SMALL.replace('"Example Corp"', '{ env = "ORGANIZATION" }').replace('"Example account"', '{ file = "product" }')
    config = load(written(tmp_path, text))
    assert (config.campaign.organization, config.campaign.product) == ("Env Corp", "File account")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ('{ env = "NOT_SET_ANYWHERE" }', "needs the environment variable NOT_SET_ANYWHERE, which is not set"),
        ('{ file = "no/such/file" }', "no/such/file, which cannot be read"),
        ("{ env = 3 }", 'names no variable; write { env = "…" }'),
        ('{ envv = "X" }', "it should be a valid string"),
    ],
)
def test_a_reference_that_leads_nowhere_is_an_error(tmp_path: Path, reference: str, said: str) -> None:
    told = refusal(tmp_path, SMALL.replace('"Example Corp"', reference))
    assert "[campaign] organization" in told
    assert said in told


SMTP = """
[mail.smtp]
host = "smtp.example.com"
username = "security@example.com"
password = { env = "NOT_SET_ANYWHERE" }
"""


def test_a_password_that_nobody_would_use_need_not_be_there(tmp_path: Path) -> None:
    assert load(written(tmp_path, SMALL + SMTP)).mail.transport == "maildir"


def test_a_password_that_would_be_used_must_be_there(tmp_path: Path) -> None:
    assert "[mail.smtp] password: needs the environment variable" in refusal(tmp_path, SMALL + "transport = 'smtp'\n" + SMTP)


@pytest.mark.parametrize("content", ["pass Ä€ word ", "\ufeffpass Ä€ word ", "pass Ä€ word \r\n", "\ufeffpass Ä€ word \n\n"])
def test_a_secret_is_without_a_byte_order_mark_and_line_breaks_at_its_end_and_keeps_its_blanks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    (tmp_path / "password").write_bytes(content.encode())
    monkeypatch.setenv("PASSWORD", content)
    for reference in ('{ file = "password" }', '{ env = "PASSWORD" }'):
        smtp = load(written(tmp_path, SMALL + "transport = 'smtp'\n" + SMTP.replace('{ env = "NOT_SET_ANYWHERE" }', reference))).mail.smtp
        assert smtp is not None
        assert smtp.password is not None
        assert smtp.password.get_secret_value() == "pass Ä€ word "


@pytest.mark.parametrize("content", ["", "\ufeff", "\r\n", "  \n", "\ufeff\n\n"])
def test_an_empty_secret_is_refused_with_where_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    (tmp_path / "password").write_bytes(content.encode())
    monkeypatch.setenv("PASSWORD", content)
    for reference, said in {
        '{ file = "password" }': f"needs the file {tmp_path / 'password'}, which is empty; write the value into it.",
        '{ env = "PASSWORD" }': "needs the environment variable PASSWORD, which is empty; set it to the value.",
        '""': "is empty; write the value, or { env",
        '"  "': "is empty; write the value, or { env",
    }.items():
        text = SMALL + "transport = 'smtp'\n" + SMTP.replace('{ env = "NOT_SET_ANYWHERE" }', reference)
        assert f"[mail.smtp] password: {said}" in refusal(tmp_path, text)


def test_an_empty_secret_that_nobody_would_use_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOT_SET_ANYWHERE", "")
    assert load(written(tmp_path, SMALL + SMTP)).mail.transport == "maildir"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("hunter2-Ä".encode("latin-1"), "which is not UTF-8 text (line 1). Save it as UTF-8."),
        ("hunter2-Ä".encode("utf-16"), "which is UTF-16 and not UTF-8 text. Save it as UTF-8."),
        ("hunter2-Ä".encode("utf-32"), "which is UTF-32 and not UTF-8 text. Save it as UTF-8."),
        ("hunter2".encode("utf-16-le"), "which is not UTF-8 text: there are null bytes in it, as in UTF-16. Save it as UTF-8."),
        (b"\x80\x02hunter2\x00", "which is not UTF-8 text (line 1). Save it as UTF-8."),
    ],
)
def test_a_secret_in_a_file_of_another_encoding_is_refused_and_not_shown(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "password").write_bytes(content)
    text = SMALL + "transport = 'smtp'\n" + SMTP.replace('{ env = "NOT_SET_ANYWHERE" }', '{ file = "password" }')
    told = refusal(tmp_path, text)
    assert f"[mail.smtp] password: needs the file {tmp_path / 'password'}, {said}" in told
    assert "unter" not in told
    assert "h\0u" not in told


def test_a_variable_that_is_not_utf8_is_refused_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOT_SET_ANYWHERE", "hunter2\udcff")
    told = refusal(tmp_path, SMALL + "transport = 'smtp'\n" + SMTP)
    assert "[mail.smtp] password: needs the environment variable NOT_SET_ANYWHERE, which is not UTF-8 text. Set it in UTF-8." in told
    assert "unter" not in told


def test_the_configuration_itself_may_have_a_byte_order_mark_and_not_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(SMALL, encoding="utf-8-sig", newline="\r\n")
    assert load(tmp_path / "config.toml").digest == load(written(tmp_path, SMALL)).digest
    (tmp_path / "config.toml").write_text(SMALL, encoding="utf-16")
    with pytest.raises(ConfigError, match=r"config\.toml: is UTF-16 and not UTF-8 text\. Save it as UTF-8\."):
        load(tmp_path / "config.toml")


@pytest.mark.parametrize(
    "words", ["Example\\nBcc: x@example.org", "Example\\u0000", "Example\\u2028Corp", "Example\\r", "Example\\u001b[2J"]
)
@pytest.mark.parametrize("key", ["organization", "product"])
def test_the_words_of_a_campaign_are_on_one_line(tmp_path: Path, key: str, words: str) -> None:
    told = refusal(tmp_path, re.sub(rf'{key} = ".*"', lambda _: f'{key} = "{words}"', SMALL))
    assert f"[campaign] {key}: " in told
    assert "has a line break or a control character in it; write it on one line" in told


def test_a_campaign_s_words_that_are_only_blanks_are_refused(tmp_path: Path) -> None:
    assert "[campaign] organization: is '  ', which has nothing in it" in refusal(tmp_path, SMALL.replace('"Example Corp"', '"  "'))


def test_no_secret_is_repeated_in_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_ZONE", "hunter2-zone")
    text = (
        SMALL.replace("[directory]", 'timezone = { env = "SECRET_ZONE" }\n[directory]')
        + 'transport = "smtp"\n[mail.smtp]\npassword = ["hunter3"]\n'
    )
    told = refusal(tmp_path, text.replace('"sqlite:///directory.db"', '["postgresql://u:hunter4@h/d"]'))
    assert "[campaign] timezone" in told
    assert "[mail.smtp] password" in told
    assert "[directory] url" in told
    assert "hunter" not in told


def test_a_directory_may_have_a_method_called_env_or_file(tmp_path: Path) -> None:
    config = load(written(tmp_path, SMALL + '[directory.methods]\nfile = "totp"\n'))
    assert config.directory.methods == {"file": "totp"}


def test_relative_paths_are_relative_to_the_file_and_not_to_where_cron_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "elsewhere"
    here.mkdir()
    path = written(tmp_path, SMALL + 'templates = "mine"\n[mail.smtp]\nhost = "localhost"\nca_file = "ca.pem"\n')
    monkeypatch.chdir(here)
    config = load(Path("../config.toml"))
    base = here / ".."
    assert config.reports.dir == base / "reports"
    assert config.mail.maildir.path == base / "outbox"
    assert config.mail.templates == base / "mine"
    assert config.mail.smtp is not None
    assert config.mail.smtp.ca_file == base / "ca.pem"
    assert config.ledger.url == f"sqlite:///{base}/migrate.db"
    assert config.directory.url.get_secret_value() == f"sqlite:///{base}/directory.db"  # type: ignore[attr-defined]
    assert path.samefile(base / "config.toml")


def test_a_csv_directory_lies_beside_the_configuration_file(tmp_path: Path) -> None:
    text = re.sub(r'kind = "sql"\nurl = .*\ntable = .*\n', 'kind = "csv"\npath = "export/users.csv"\n', SMALL)
    assert Path(load(written(tmp_path, text)).directory.path) == tmp_path / "export/users.csv"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("url", "anchored"),
    [
        ("sqlite:///a.db", "sqlite:////base/a.db"),
        ("sqlite:///sub/a.db?timeout=5", "sqlite:////base/sub/a.db?timeout=5"),
        ("sqlite+pysqlite:///a.db", "sqlite+pysqlite:////base/a.db"),
        ("sqlite:////abs/a.db", "sqlite:////abs/a.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://"),
        ("sqlite:///file:a.db?mode=ro&uri=true", "sqlite:///file:a.db?mode=ro&uri=true"),
        ("postgresql://u:p@h/a.db", "postgresql://u:p@h/a.db"),
    ],
)
def test_only_the_file_of_a_sqlite_url_is_anchored(url: str, anchored: str) -> None:
    assert sqlite_url(url, Path("/base")) == anchored


def test_the_digest_changes_with_a_setting_and_not_with_a_comment_a_default_or_a_folder(tmp_path: Path) -> None:
    digest = load(written(tmp_path, SMALL)).digest
    (tmp_path / "moved").mkdir()
    assert re.fullmatch(r"[0-9a-f]{64}", digest)
    assert load(written(tmp_path / "moved", SMALL + "# a comment\n[safety]\nmax_messages = 500\n")).digest == digest
    assert load(written(tmp_path, SMALL + "[safety]\nmax_messages = 501\n")).digest != digest


def test_the_digest_tells_nothing_of_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [SMALL.replace("sqlite:///directory.db", f"postgresql://u:{password}@h/d") for password in ("one", "two")]
    assert len({load(written(tmp_path, text + SMTP)).digest for text in texts}) == 1
    digests = set()
    for password in ("one", "two"):
        monkeypatch.setenv("NOT_SET_ANYWHERE", password)
        digests.add(
            load(written(tmp_path, SMALL + 'transport = "smtp"\n[ledger]\nurl = "postgresql://u:' + password + 'x@h/d"\n' + SMTP)).digest
        )
    assert len(digests) == 1


def test_settings_are_told_one_by_one_and_those_that_may_hold_a_secret_only_as_a_digest(tmp_path: Path) -> None:
    text = SMALL + '[ledger]\nurl = "postgresql://u@h/d?password={}"\n[safety]\nmax_messages = {}\n'
    before, after = (load(written(tmp_path, text.format(*values))).settings for values in (("tomato", 5), ("potato", 6)))
    assert {name for name in before if before[name] != after[name]} == {"[ledger] url", "[safety] max_messages"}
    assert (before["[safety] max_messages"], after["[safety] max_messages"]) == ("5", "6")
    assert before["[ledger] url"].startswith("sha256:")
    assert "tomato" not in str(before)


PLAIN = st.one_of(st.integers(-5, 10**6), st.floats(-2, 2), st.booleans(), st.text("ab@./: -", max_size=12))
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["env", "file", "a", "path"]), inner, max_size=2)
)


def toml(value: Any) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return repr(value) if isinstance(value, float) else json.dumps(value)


LINES = [number for number, line in enumerate(EXAMPLE.read_text(encoding="utf-8").splitlines()) if re.match(r"(?:# )?\w+ = ", line)]


@given(number=st.sampled_from(LINES), value=VALUES)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_setting_is_set_to_is_accepted_or_refused_by_name(tmp_path: Path, number: int, value: Any) -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    key = lines[number].removeprefix("# ").split(" ")[0]
    lines[number] = f"{key} = {toml(value)}"
    try:
        load(written(tmp_path, "\n".join(lines)))
    except ConfigError as error:
        said = str(error)
        assert "[" in said or key == "extends"
        assert "pydantic" not in said
        assert "Value error" not in said
        assert "Input" not in said


# The example file


def models() -> Iterator[tuple[str, type[BaseModel]]]:
    """Every table of the file with each model it may have."""
    for table, model in TABLES.items():
        if table != "waves":
            yield from [(table, settings_model(kind)) for kind in DIRECTORIES] if table == "directory" else [(table, model)]
    yield "directory.join", JoinSettings
    yield "waves", WaveSettings


def leaves(table: str, model: type[BaseModel]) -> Iterator[tuple[str, str, Any]]:
    """Each setting as (table, key, default)."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        nested = _model_at(model, (key,))
        if nested is None:
            default = field.get_default(call_default_factory=True) if not field.is_required() else PydanticUndefined
            yield table, key, default
        else:
            yield from leaves(f"{table}.{key}", nested)


def named_in_example() -> set[tuple[str, str]]:
    """Every (table, key) that the example sets, or shows in a comment."""
    found, table = set(), ""
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if header := re.match(r"(?:# )?\[\[?([\w.]+)\]", line):
            table = header[1]
            parent, _, name = table.rpartition(".")
            found.add((parent, name))
        elif setting := re.match(r"(?:# )?(\w+) = ", line):
            found.add((table, setting[1]))
    return found


def test_the_example_names_every_setting_and_no_other() -> None:
    real = {(table, key) for name, model in models() for table, key, _ in leaves(name, model)}
    named = named_in_example()
    open_tables = {"directory.columns", "directory.methods", "directory.method_columns", "directory.join.columns"}
    real -= {("directory.join", key) for key in DirectorySettings.model_fields}  # those of its kind, which stand above
    real |= {("directory.join", key) for key in ("kind", "path", "columns")} | {("", "extends")}
    assert real - named == set()
    tables = {
        (table.rpartition(".")[0], table.rpartition(".")[2])
        for table, _, _ in (leaf for name, model in models() for leaf in leaves(name, model))
    }
    assert {(table, key) for table, key in named if table not in open_tables} - real - tables == set()


def test_the_example_sets_what_has_a_default_to_its_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    raw = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    compared = 0
    for name, model in models():
        for table, key, default in leaves(name, model):
            value: Any = raw
            for part in (*table.split("."), key):
                value = value.get(part) if isinstance(value, dict) else None
            if value is None or default is PydanticUndefined or default is None or (table, key) == ("directory", "kind"):
                continue
            expected = str(default) if isinstance(default, (Path, SecretStr)) else list(default) if isinstance(default, tuple) else default
            assert value == expected, f"[{table}] {key}"
            compared += 1
    assert compared > 30


def test_every_setting_of_the_example_has_one_comment() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    settings = [line for line in lines if re.match(r"(?:# )?\w+ = ", line)]
    bare = [line for line in settings if not re.search(r"\S\s+# \S", line.removeprefix("# "))]
    listed = {"settings_path", "accepted", "formats"}
    assert [line for line in bare if line.split()[0] not in listed] == []


def test_the_example_loads_as_it_is() -> None:
    config = load(EXAMPLE)
    assert config.campaign.cutoff == datetime(2024, 2, 1)
    assert config.mail.smtp is not None
    assert config.mail.smtp.port == 587


def test_the_example_with_every_commented_setting_of_a_csv_directory_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIGRATE_SMTP_PASSWORD", "x")
    monkeypatch.setenv("MIGRATE_SMTP_CLIENT_SECRET", "x")
    text = re.sub(r"^# (\w+ = |\[)", r"\1", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = text.replace('kind = "sql"', 'kind = "csv"').replace('transport = "maildir"', 'transport = "smtp"')
    text = re.sub(r"^\w+ = .*\((sql|entra|privacyidea)\).*\n", "", text, flags=re.MULTILINE)
    text = text.replace('sign_in = "password"', 'sign_in = "xoauth2"')
    text = re.sub(r"^(extends|password|certificate|federated_token_file|service_account|subject) = .*\n", "", text, flags=re.MULTILINE)
    text = text.replace("evidence-key.pem", str(tmp_path / "key.pem"))
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----")
    text = text.replace('profile = "entra-users"', 'profile = "keycloak-users"')
    text = re.sub(r"^methods = \"mfa_methods\".*\n", "", text, flags=re.MULTILINE)
    (tmp_path / "pilot.csv").write_text("account_id\nu1\n", encoding="utf-8")
    config = load(written(tmp_path, text))
    [wave] = config.waves.waves
    assert (wave.name, wave.follows, wave.ids, wave.match.last_sms_use_days) == ("global-admins-and-guests", True, frozenset({"u1"}), 60)
    assert wave.campaign.cutoff == datetime(2024, 7, 1) and config.schedule.calls_per_100_letters == 5
    assert config.campaign.support_phone == "+1 555 0100"
    assert config.mail.smtp is not None and config.mail.smtp.oauth is not None
    assert (config.mail.smtp.helo, config.mail.smtp.oauth.tenant) == ("mail.example.com", "contoso.onmicrosoft.com")
    columns = config.directory.columns
    assert {ours: column.theirs for ours, column in columns.items()} == {
        "account_id": "id", "email": "mail", "enabled": "status", "account_type": "kind", "methods_changed_at": "changed_at",
    }  # fmt: skip
    assert columns["enabled"].yes == ("ACTIVE",)
    [join] = config.directory.join
    assert isinstance(join, JoinSettings)
    assert (join.kind, join.on, join.missing) == ("csv", "username", "unknown")
    assert join.path == str(tmp_path / "registration.csv")  # type: ignore[attr-defined]


JOINED = (
    SMALL.split("[directory]")[0]
    + """[directory]
kind = "csv"
path = "users.csv"
[[directory.join]]
kind = "sql"
url = { env = "FACTORS" }
table = "factors"
on = "username"
[[directory.join]]
kind = "csv"
path = "export/people.csv"
on = "email"
[mail]
from = "security@example.com"
"""
)


def test_joined_sources_are_anchored_and_their_secrets_stay_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = set()
    for password in ("hunter2", "hunter3"):
        monkeypatch.setenv("FACTORS", f"postgresql://reader:{password}@db/factors")
        config = load(written(tmp_path, JOINED))
        digests.add(config.digest)
        assert "hunter" not in repr(config.directory) + str(config.settings)
    assert len(digests) == 1
    first, second = config.directory.join
    assert second.path == str(tmp_path / "export/people.csv")  # type: ignore[attr-defined]
    monkeypatch.setenv("FACTORS", "sqlite:///factors.db")
    first, _ = load(written(tmp_path, JOINED)).directory.join
    assert first.url.get_secret_value() == f"sqlite:///{tmp_path}/factors.db"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ('on = "username"\n', "", "[directory.join] on, item 1: is missing."),
        ('on = "email"', 'on = "mail"', "[directory.join] on, item 2: is 'mail': it should be 'account_id', 'username' or 'email'."),
        ('path = "export/people.csv"', 'pth = "x"', "[directory.join] pth, item 2: is no setting; did you mean path?"),
        ('kind = "csv"\npath = "export', 'kind = "cvs"\npath = "export', "[directory.join] kind: 'cvs' is no kind of directory"),
        ('kind = "csv"\npath = "export', 'path = "export', "[directory.join] kind, item 2: is missing."),
        ('on = "email"', 'on = "email"\nprofile = "okta"', "[directory.join] profile, item 2: 'okta' is no profile"),
        ('table = "factors"', 'table = ["hunter2"]', "[directory.join] table, item 1: is ['hunter2']"),
    ],
)
def test_an_error_in_a_join_names_it(tmp_path: Path, line: str, instead: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACTORS", "postgresql://reader:secret@db/factors")
    assert line in JOINED
    told = refusal(tmp_path, JOINED.replace(line, instead, 1))
    assert said in told
    assert "secret" not in told


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('enabled = { colum = "status" }', "[directory.columns.enabled] colum: is no setting; did you mean column?"),
        ("enabled = 3", "[directory.columns] enabled: is 3: should be the name of their column, or a table"),
    ],
)
def test_a_column_that_is_given_wrongly_is_told_with_what_it_may_be(tmp_path: Path, line: str, says: str) -> None:
    text = SMALL + f"\n[directory.columns]\n{line}\n"
    with pytest.raises(ConfigError, match=re.escape(says)):
        load(written(tmp_path, text))
