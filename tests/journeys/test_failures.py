"""A directory that fails half-way, and everything that can be set up wrong: nothing is lost, and a sentence says what to do."""

from __future__ import annotations

import contextlib
import gzip
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from office import Done, Office
from powerless import powerless

from migrate.core import plan
from migrate.core.plan import Planned

T30, T29 = "2024-01-02T06:00", "2024-01-03T06:00"


def ledger_rows(office: Office) -> list[str]:
    """Every row of every table of the ledger but the locks, as SQL."""
    with contextlib.closing(sqlite3.connect(office.folder / "migrate.db")) as database:
        return [line for line in database.iterdump() if 'INTO "run_lock"' not in line]


def assert_nothing_happened(office: Office, done: Done, before: list[str], mails: int) -> None:
    assert done.code == 3, (done.code, done.err)
    assert_one_paragraph(done)
    assert ledger_rows(office) == before
    assert len(office.mails()) == mails


def assert_one_paragraph(done: Done) -> None:
    assert "Traceback" not in done.err + done.out
    assert len(done.err.strip().splitlines()) == 1, done.err
    assert done.err.startswith("Error: ")
    assert len(done.err) < 700


@pytest.fixture
def seasoned(office: Office) -> Office:
    """A company with one run behind it."""
    for n in range(30):
        office.hire(f"u{n:02}", "sms")
    office.run(T30)
    return office


def test_a_query_that_fails_half_way_changes_nothing(seasoned: Office) -> None:
    before = ledger_rows(seasoned)
    seasoned.change("u07", mfa="totp")
    query = "select *, case when id = 'u25' then json('broken') end as x from users"
    seasoned.directory = f'kind = "sql"\nurl = "sqlite:///directory.db"\nquery = "{query}"'
    seasoned.write()
    assert_nothing_happened(seasoned, seasoned.migrate("run", "--as-of", T29), before, 30)


@pytest.mark.filterwarnings("ignore::migrate.incremental.CacheWarning")  # the mistake is looked for in the cache first
@pytest.mark.parametrize(
    ("frame", "damage", "says"),
    [
        ("outcomes", lambda rows: rows.assign(outcome=rows["outcome"].where(rows.index != 7)), "30 rows were read but 29 have an outcome"),
        ("reminders", lambda rows: rows.iloc[1:], "30 outcomes say queued, but 29 accounts have letters"),
    ],
)
def test_a_decision_that_does_not_add_up_is_not_recorded(
    seasoned: Office, monkeypatch: pytest.MonkeyPatch, frame: str, damage: Callable[[pd.DataFrame], pd.DataFrame], says: str
) -> None:
    """What the check before the commit is there for: a mistake of ours that loses somebody on the way."""
    before, planned = ledger_rows(seasoned), plan.plan

    def mistaken(*arguments: Any) -> Planned:
        found = planned(*arguments)
        return replace(found, **{frame: damage(getattr(found, frame))})

    monkeypatch.setattr(plan, "plan", mistaken)
    done = seasoned.migrate("run", "--as-of", "2024-01-18T06:00")
    assert (done.code, says in done.err) == (1, True), done.err
    assert_one_paragraph(done)
    assert (ledger_rows(seasoned), len(seasoned.mails())) == (before, 30)


def test_a_truncated_archive_changes_nothing(seasoned: Office) -> None:
    before = ledger_rows(seasoned)
    seasoned.change("u07", mfa="totp")
    seasoned.directory = 'kind = "csv"\npath = "directory.csv.gz"'
    seasoned.write()
    packed = gzip.compress((seasoned.folder / "directory.csv").read_bytes())
    (seasoned.folder / "directory.csv.gz").write_bytes(packed[: len(packed) // 2])
    assert_nothing_happened(seasoned, seasoned.migrate("run", "--as-of", T29), before, 30)


def test_a_file_that_ends_inside_a_quoted_field_changes_nothing(seasoned: Office) -> None:
    before = ledger_rows(seasoned)
    seasoned.directory = 'kind = "csv"\npath = "directory.csv"'
    seasoned.change("u29", name='ends "here')
    seasoned.write()
    path = seasoned.folder / "directory.csv"
    path.write_bytes(path.read_bytes()[: path.read_bytes().rindex(b"here")])
    assert_nothing_happened(seasoned, seasoned.migrate("run", "--as-of", T29), before, 30)


# SQLAlchemy leaves the cursor of a connection that dropped to the garbage collector, and psycopg remarks on it there.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_connection_that_drops_half_way_changes_nothing(seasoned: Office, postgres_url: str) -> None:
    """The server ends the connection while its rows are being read."""
    import sqlalchemy as sa

    before = ledger_rows(seasoned)
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE users (id text, mail text, mfa text)"))
        connection.execute(
            sa.text("INSERT INTO users SELECT 'u' || n, 'u' || n || '@example.com', 'sms' FROM generate_series(1, 100000) n")
        )
    query = "select id as account_id, mail as email, mfa as methods, pg_sleep(0.00002) from users"
    (seasoned.folder / "config.toml").write_text(
        (seasoned.folder / "config.toml")
        .read_text()
        .replace('url = "sqlite:///directory.db"\ntable = "users"', f'url = "{postgres_url}"\nquery = "{query}"')
        .split("[directory.columns]")[0]
        + "[mail]\n"
        + (seasoned.folder / "config.toml").read_text().split("[mail]\n")[1]
    )
    killed: list[int] = []
    reader = "FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'FETCH%' AND pid <> pg_backend_pid()"

    def kill() -> None:
        for _ in range(2000):
            with engine.connect() as connection:
                killed.extend(connection.execute(sa.text(f"SELECT pg_terminate_backend(pid)::int {reader}")).scalars())
            if killed:
                return
            threading.Event().wait(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    done = seasoned.migrate("run", "--as-of", T29)
    killer.join()
    engine.dispose()
    assert killed
    assert_nothing_happened(seasoned, done, before, 30)


def test_half_a_directory_is_refused_with_the_numbers_and_accepted_on_demand(seasoned: Office) -> None:
    for n in range(30, 60):
        seasoned.hire(f"u{n:02}", "sms")
    seasoned.run("2024-01-02T08:00")
    before = ledger_rows(seasoned)
    for n in range(25):
        seasoned.leave(f"u{n:02}")
    seasoned.write()
    done = seasoned.migrate("run", "--as-of", T29)
    assert done.code == 4
    assert_one_paragraph(done)
    assert "25 of 60 known accounts (42%) are missing" in done.err
    assert "--accept-directory" in done.err
    assert ledger_rows(seasoned) == before
    assert seasoned.run(T29, "--accept-directory")["changes"] == {"gone": 25}


def test_a_mass_change_is_refused_and_can_be_recorded_without_mailing(seasoned: Office) -> None:
    before = ledger_rows(seasoned)
    for n in range(25):
        seasoned.change(f"u{n:02}", mfa="totp")
    seasoned.write()
    done = seasoned.migrate("run", "--as-of", T29)
    assert done.code == 4
    assert "25 of 30 accounts (83%) changed their methods" in done.err
    assert ledger_rows(seasoned) == before
    assert seasoned.run(T29, "--accept-directory", "--as-baseline")["changes"] == {"authenticator_enabled": 25}
    assert seasoned.run("2024-01-04T06:00")["outcomes"] == {"not_reminded": 25, "nothing_due": 5}
    assert len(seasoned.mails()) == 30


def test_an_empty_directory_is_always_refused(seasoned: Office) -> None:
    before = ledger_rows(seasoned)
    seasoned.people.clear()
    seasoned.write()
    for accepting in ([], ["--accept-directory"]):
        done = seasoned.migrate("run", "--as-of", T29, *accepting)
        assert done.code == 4
        assert "not one is an account" in done.err
        assert ledger_rows(seasoned) == before


def edited(office: Office, old: str, new: str) -> Done:
    """A run with one thing in the configuration changed."""
    office.hire("ada", "sms")
    office.write()
    config = office.folder / "config.toml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    return office.migrate("run", "--as-of", T30)


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ('table = "users"', 'table = "user"', 3, "users"),
        ('methods = "mfa"', 'methods = "mfe"', 3, "mfa"),
        ("sqlite:///directory.db", "sqlite:///nowhere.db", 3, "nowhere.db"),
        ("sqlite:///directory.db", "not a url", 2, "[directory] url"),
        ("sqlite:///directory.db", "sqllite:///directory.db", 2, "[directory] url"),
        ("opens = 2023-08-01", 'opens = "soon"', 2, "[campaign] opens"),
        ("opens = 2023-08-01", "opens = 2023-08-41", 2, "TOML"),
        ("opens = 2023-08-01", "opens = 2024-08-01", 2, "opens"),
        ('timezone = "America/Los_Angeles"', 'timezone = "America/Los_Angelas"', 2, "timezone"),
        ('dir = "reports"', 'dir = "config.toml"', 2, "[reports] dir"),
        ("sqlite:///migrate.db", "sqlite:///no/such/folder/migrate.db", 2, "[ledger] url"),
        ("sqlite:///migrate.db", "sqlite:///config.toml", 2, "[ledger] url"),
        ("[safety]\n", "[safety]\nmax_mesages = 3\n", 2, "max_messages"),
        ("[safety]\n", "[safty]\n", 2, "safety"),
        ('path = "outbox"', 'path = "config.toml"', 6, "outbox"),
        ('from = "Example Corp Security <security@example.com>"', 'from = "nobody"', 2, "[mail] from"),
    ],
)
def test_what_is_set_up_wrong_is_said_in_a_paragraph(office: Office, old: str, new: str, code: int, says: str) -> None:
    done = edited(office, old, new)
    assert done.code == code, (done.code, done.err)
    assert "Traceback" not in done.err
    assert says in done.err or says == "outbox"
    assert office.mails() == []


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("subject.txt.j2", "{{ unheard_of }}", "unheard_of"),
        ("subject.txt.j2", "{% if %}", "line 1"),
        ("body.html.j2", "{{ ''.__class__.__mro__ }}", "body.html.j2"),
    ],
)
def test_a_broken_template_is_named_before_anything_is_sent(office: Office, name: str, text: str, says: str) -> None:
    office.hire("ada", "sms")
    office.mail = office.mail.replace("[mail.maildir]", 'templates = "own"\n[mail.maildir]')
    own = office.folder / "own" / "reminder"
    own.mkdir(parents=True)
    (own / name).write_text(text)
    office.write()
    done = office.migrate("run", "--json", "--as-of", T30)
    assert done.code in (0, 2)
    if done.code == 0:
        assert done.facts["outcomes"] == {"unrenderable": 1}
        assert says in office.report("accounts")[0]["outcome_reason"]
    else:
        assert_one_paragraph(done)
        assert says in done.err
    assert office.mails() == []


def test_a_letter_that_cannot_be_composed_holds_only_its_own_account(office: Office) -> None:
    office.hire("ada", "sms", name="Ada Sample")
    office.hire("bob", "sms", name="Bob Broken")
    office.mail = office.mail.replace("[mail.maildir]", 'templates = "own"\n[mail.maildir]')
    own = office.folder / "own" / "reminder"
    own.mkdir(parents=True)
    (own / "subject.txt.j2").write_text("{% if 'Bob' in account.name %}{{ missing }}{% endif %}Please switch")
    facts = office.run(T30)
    assert facts["outcomes"] == {"queued": 1, "unrenderable": 1}
    by_id = {row["account_id"]: row["outcome_reason"] for row in office.report("accounts")}
    assert "missing" in by_id["bob"]
    assert office.told() == [("ada@example.com", "T-30")]


def test_an_unreadable_file_is_said_to_be_so(office: Office) -> None:
    office.kind = "csv"
    office.hire("ada", "sms")
    office.write()
    (office.folder / "directory.csv").chmod(0)
    done = powerless(lambda: office.migrate("run", "--as-of", T30))
    assert done.code == 3
    assert_one_paragraph(done)


def test_a_missing_file_is_said_to_be_so(office: Office) -> None:
    office.kind = "csv"
    office.hire("ada", "sms")
    office.write()
    (office.folder / "directory.csv").unlink()
    done = office.migrate("run", "--as-of", T30)
    assert done.code == 3
    assert_one_paragraph(done)
    assert not (office.folder / "outbox").exists()


def test_with_real_mail_the_clock_may_not_be_set_to_another_day(office: Office) -> None:
    office.hire("ada", "sms")
    office.mail = 'transport = "smtp"\n[mail.smtp]\nhost = "127.0.0.1"\nport = 1\nsecurity = "none"'
    office.write()
    done = office.migrate("run", "--as-of", T30)
    assert done.code == 2
    assert_one_paragraph(done)
    assert "allow_time_travel" in done.err
    # Office is in Los Angeles: what is called UTC is UTC.
    done = office.migrate("run", "--as-of", "2024-01-02T09:00")
    assert "--as-of: 2024-01-02 17:00 UTC is more than a day from the clock." in done.err


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('[mail.smtp]\nhost = "localhost"\nusername = "u"', "[mail.smtp]: password is missing; set both"),
        (
            '[mail.smtp]\nhost = "localhost"\nsign_in = "xoauth2"\nusername = "u"\n[mail.smtp.oauth]\nprovider = "microsoft"',
            "[mail.smtp.oauth]: tenant is missing;",
        ),
    ],
)
def test_what_is_wrong_with_a_table_as_a_whole_names_the_table_as_the_file_does(table: str, says: str, office: Office) -> None:
    office.hire("ada", "sms")
    office.mail = f'transport = "smtp"\n{table}'
    office.write()
    done = office.migrate("check")
    assert done.code == 2
    assert f"config.toml, {says}" in done.out


@pytest.mark.parametrize("as_of", ["yesterday", "2024-13-01", "2024-01-02T25:00", "20240102T"])
def test_an_instant_that_is_none_is_refused(office: Office, as_of: str) -> None:
    office.hire("ada", "sms")
    office.write()
    done = office.migrate("run", "--as-of", as_of)
    assert done.code == 2
    assert_one_paragraph(done)


def test_no_room_for_the_ledger_sends_nothing(seasoned: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite is told that its file may not grow: what it then says is what a full disk makes it say."""
    import sqlalchemy as sa

    before = ledger_rows(seasoned)

    def small(connection: sqlite3.Connection, _: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    sa.event.listen(sa.Engine, "connect", small)
    try:
        for n in range(100, 160):
            seasoned.hire(f"u{n}", "sms")
        seasoned.directory = 'kind = "csv"\npath = "directory.csv"'
        seasoned.write()
        done = seasoned.migrate("run", "--as-of", T29)
    finally:
        sa.event.remove(sa.Engine, "connect", small)
    assert done.code == 2
    assert_one_paragraph(done)
    assert "full" in done.err
    assert ledger_rows(seasoned) == before
    assert len(seasoned.mails()) == 30


def test_the_configuration_is_there_or_init_is_named(tmp_path: Path) -> None:
    done = Office(tmp_path / "office").migrate("run")
    assert done.code == 2
    assert "migrate init" in done.err
