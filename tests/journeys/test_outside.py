"""What gets into our output though nobody meant it to: values of files, passwords, names of any length."""

from __future__ import annotations

import csv
import re
import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sa
from office import Office
from variants import covering

from migrate.ledger import schema

T30, NEXT = "2024-01-02T06:00", "2024-01-03T06:00"
SECRET = "root:$6$rounds$Xq9:19000:0:99999:7:::"
SETTINGS = {
    "path": ('kind = "csv"\npath = "directory.csv"', 'kind = "csv"\npath = {ref}'),
    "kind": ('kind = "csv"', "kind = {ref}"),
    "name": ('name = "sms-retirement"', "name = {ref}"),
    "sheet": ('path = "directory.csv"', 'path = "directory.xlsx"\nsheet = {ref}'),
    "column": ('methods = "mfa"', "methods = {ref}"),
    "templates": ("[mail]\n", "[mail]\ntemplates = {ref}\n"),
    "reports": ('dir = "reports"', "dir = {ref}"),
    "ledger": ('url = "sqlite:///migrate.db"', "url = {ref}"),
    "outbox": ('path = "outbox"', "path = {ref}"),
    "host": ('transport = "maildir"', 'transport = "smtp"\n[mail.smtp]\nhost = {ref}\nsecurity = "none"'),
    "redirect": ("[safety]\n", "[safety]\nredirect_to = {ref}\n"),
    "zone": ('timezone = "America/Los_Angeles"', "timezone = {ref}"),
    "encoding": ('path = "directory.csv"', 'path = "directory.csv"\nencoding = {ref}'),
}


@pytest.mark.parametrize(("source", "setting"), covering(["file", "env"], SETTINGS))
def test_what_came_from_a_file_or_the_environment_is_in_no_message(
    office: Office, monkeypatch: pytest.MonkeyPatch, setting: str, source: str
) -> None:
    office.kind = "csv"
    office.hire("a", "sms")
    office.write()
    (office.folder / "shadow").write_text(SECRET + "\ndaemon:*:19000:0:99999:7:::\n")
    monkeypatch.setenv("SHADOW", SECRET)
    config, (before, after) = office.folder / "config.toml", SETTINGS[setting]
    text = config.read_text()
    assert before in text
    config.write_text(text.replace(before, after.replace("{ref}", '{ file = "shadow" }' if source == "file" else '{ env = "SHADOW" }'), 1))
    for command in (["check"], ["check", "--json", "--quick"], ["dry-run"], ["status"]):
        done = office.migrate(*command)
        for said in (done.out, done.err):
            assert "$6$" not in said and "19000" not in said and "daemon:" not in said, (command, said)


def test_the_name_of_a_campaign_from_a_variable_works_and_stays_unsaid(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.hire("a", "sms")
    office.write()
    monkeypatch.setenv("CAMPAIGN", "hunter2-hunter2")
    config = office.folder / "config.toml"
    config.write_text(config.read_text().replace('name = "sms-retirement"', 'name = { env = "CAMPAIGN" }'))
    done = office.migrate("run", "--as-of", T30)
    assert done.code == 0
    assert "hunter2" not in done.out + done.err
    assert "Run r00001 of the value of $CAMPAIGN as of" in done.out
    assert office.mails()[0]["X-Migrate-Campaign"] == "hunter2-hunter2"


@pytest.mark.parametrize(
    "url", ["postgresql://u:p@ss-word@host.example/db", "mysql://u:p@ss-word@host/db?charset=utf8mb4", "postgresql://u:p@ss/word@host/db"]
)
@pytest.mark.parametrize("table", ["directory", "ledger"])
def test_the_rest_of_a_password_behind_its_at_sign_is_in_no_message(office: Office, url: str, table: str) -> None:
    if table == "directory":
        office.directory = f'kind = "sql"\nurl = "{url}"\ntable = "users"'
    else:
        office.ledger = url
    office.hire("a", "sms")
    office.write()
    for command in (["check"], ["dry-run"], ["run"], ["status"]):
        done = office.migrate(*command)
        assert done.code == 2
        assert "ss-word" not in done.out + done.err and "ss/word" not in done.out + done.err and "@host" not in done.out + done.err
        assert f"[{table}] url: has more than one @: write the one in the user or the password as %40" in done.out + done.err


@pytest.mark.parametrize(
    "content",
    [
        SECRET, "hunter2", "hunter2,\n", "DB_PASSWORD=hunter2,x\n", "-----BEGIN KEY-----\nhunter2\n", "user:hunter2,other:hunter2\n",
        "title\nuser:hunter2,other:hunter2,third:hunter2,4:x\n",
    ],
)  # fmt: skip
def test_the_first_line_of_a_file_that_is_no_table_is_in_no_message(office: Office, content: str) -> None:
    office.kind = "csv"
    office.hire("a", "sms")
    office.write()
    (office.folder / "directory.csv").write_text(content)
    for command in (["check"], ["check", "--json"], ["dry-run"], ["run"], ["init", "--from", str(office.folder / "directory.csv")]):
        done = office.migrate(*command)
        assert done.code in (2, 3)
        assert "hunter2" not in done.out + done.err and "$6$" not in done.out + done.err, done


def test_a_value_that_is_too_long_is_cut_and_stops_no_run(office: Office) -> None:
    """A username, an address, a manager and the id of a rejected row of more than a CSV reader takes (131,072 characters)."""
    huge = "x" * 140_000
    office.hire("a", "sms", login=huge, manager=huge, name=huge, dept=huge, given=huge, lang=huge, mobile="1" * 140_000)
    office.hire("b", "sms", mail=huge + "@example.com")
    office.hire("c", "sms", groups=",".join(f"group {n} {'y' * 300}" for n in range(2_000)))
    office.hire("d", "sms", security_mails=",".join(f"d{n}@example.com" for n in range(3_000)), login="")
    office.hire("e", "sms", login="e" * 255)
    office.people["x"] = office.people["a"] | {"id": huge, "mail": "x@example.com"}
    office.more = ""
    office.write()
    config = office.folder / "config.toml"
    config.write_text(config.read_text().replace('formats = ["csv"]', 'formats = ["csv", "html", "parquet", "xlsx"]'))
    first = office.migrate("run", "--json", "--as-of", T30)
    assert first.code == 0, first.err
    assert first.facts["rejected"] == 1
    accounts = {row["account_id"]: row for row in office.report("accounts")}
    assert accounts["a"]["username"] == "x" * 254 + "…"
    assert accounts["a"]["display_name"] == "x" * 199 + "…"
    assert accounts["a"]["manager_email"] == "x" * 319 + "…"
    assert accounts["b"]["outcome_reason"] == "it is longer than 254 characters"
    assert accounts["e"]["username"] == "e" * 255
    assert len(accounts["c"]["groups"]) < 131_072
    assert [row["account_id"] for row in office.report("rejected")] == [""]
    assert office.report("rejected")[0]["reason"] == "account_id is longer than 255 characters"
    assert "2 rows have more in username than is kept: what is too long was cut (…)" in first.facts["caveats"]
    assert "1 row has more in notification_emails than is kept: what is too long was cut (…)" in first.facts["caveats"]
    told = {caveat.partition(" in ")[2].partition(" ")[0] for caveat in first.facts["caveats"]}
    assert told == {"username", "email", "notification_emails", "display_name", "given_name", "department", "manager_email", "groups"}
    again = office.migrate("run", "--json", "--as-of", NEXT)
    assert again.code == 0, again.err
    assert again.facts["caveats"] == first.facts["caveats"]  # also what was read from the cache
    assert again.facts["changes"] == {}


def test_a_value_of_an_older_ledger_that_is_too_long_stops_no_report(office: Office) -> None:
    office.hire("a", "sms")
    office.hire("b", "sms")
    office.run(T30)
    engine = sa.create_engine(f"sqlite:///{office.folder / 'migrate.db'}", poolclass=sa.NullPool)
    a = schema.account
    with engine.begin() as connection:
        connection.execute(sa.update(a).where(a.c.account_id == "a").values(username="x" * 140_000, display_name="y" * 140_000))
    office.people.pop("a")
    office.write()
    config = office.folder / "config.toml"
    config.write_text(config.read_text().replace('formats = ["csv"]', 'formats = ["csv", "html", "xlsx"]'))
    assert office.migrate("run", "--as-of", NEXT).code == 0
    assert office.migrate("report").code == 0


def test_a_thousand_unknown_words_are_a_line(office: Office) -> None:
    for n in range(1_001):
        office.hire(f"u{n}", f"smoke signal {n}")
    office.write()
    quiet = office.migrate("run", "--quiet", "--as-of", T30)
    assert quiet.code == 0
    [line] = [line for line in quiet.out.splitlines() if "unknown" in line]
    assert line.startswith("More than 1,000 method words are unknown, such as 'smoke signal 0' (1), ")
    assert len(line) < 300
    assert len(quiet.out.splitlines()) <= 3
    checked = office.migrate("check", "--quiet")
    assert all(len(line) < 1_500 for line in checked.out.splitlines())


@pytest.mark.parametrize("spelt", ["BCDFGHJK", "bcdf-ghjk"])
def test_a_username_that_looks_like_a_reference_is_told_as_both(office: Office, spelt: str) -> None:
    office.hire("eve", "sms", login=spelt)
    office.hire("ann", "sms")
    office.run(T30)
    said = office.migrate("explain", spelt)
    assert said.code == 0
    assert "There is no letter BCDFGHJK: a mail that carries it as its reference is not genuine." in said.out
    assert "Account eve" in said.out
    real = office.report("notices")[0]
    assert real["account_id"] == "ann"
    office.change("eve", login=real["reference"].lower())
    office.run(NEXT)
    both = office.migrate("explain", real["reference"])
    assert f"Letter {real['reference']}: reminder (T-30)" in both.out
    assert f"{real['reference']} is also a name or an address of the account eve: whoever has it may have chosen it." in both.out
    office.hire(real["reference"], "sms", mail="other@example.com")
    office.run("2024-01-04T06:00")
    by_id = office.migrate("explain", "--json", real["reference"]).facts
    assert by_id["account"]["account_id"] == real["reference"]
    assert by_id["besides"] == f"{real['reference']} is also the reference of a letter, about the account ann."


def test_a_cell_behind_a_semicolon_is_no_formula(office: Office) -> None:
    office.hire("a", "sms", name="x;=cmd|' /C calc'!A0;y", dept="Sales; +41 44 000", given="a|@SUM(1)")
    office.hire("b", "sms", name="Smith; Jones & Co - Zürich", dept="R&D; Ops")
    office.run(T30)
    accounts = {row["account_id"]: row for row in office.report("accounts")}
    assert accounts["a"]["display_name"] == "x;'=cmd|' /C calc'!A0;y"
    assert accounts["a"]["department"] == "Sales;' +41 44 000"
    assert (accounts["b"]["display_name"], accounts["b"]["department"]) == ("Smith; Jones & Co - Zürich", "R&D; Ops")
    with (office.folder / "reports" / "latest" / "accounts.csv").open(newline="", encoding="utf-8") as file:
        apart = [cell for row in csv.reader(file, delimiter=";") for cell in row]
    assert not [cell for cell in apart if re.match(r"""[\s"'`]*[=+@-]""", cell) and not cell.startswith("'")]


def test_an_error_of_a_database_is_one_line_whatever_it_quotes(office: Office) -> None:
    office.hire("a", "sms")
    office.write()
    with closing(sqlite3.connect(office.folder / "directory.db")) as database, database:
        database.execute('CREATE VIEW staff AS SELECT * FROM "no\nError: all is well \x1b]0;owned\x07 \u202e"')
    config = office.folder / "config.toml"
    config.write_text(config.read_text().replace('table = "users"', 'table = "staff"'))
    done = office.migrate("dry-run")
    assert done.code == 3
    assert len(done.err.splitlines()) == 1
    assert not set(done.err) & set("\x1b\x07\u202e")
