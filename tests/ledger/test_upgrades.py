"""Every ledger that an earlier release left behind, brought to the tables of this one with its rows in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from office import Office
from variants import covering

from migrate.ledger import consistency, revisions, schema
from migrate.ledger.engine import Ledger, LedgerSettings
from migrate.ledger.schema import EPOCH
from migrate.outbox.claims import Claims

EARLIER = [script.revision for script in ScriptDirectory.from_config(revisions.config()).walk_revisions()][:0:-1]
NEVER_LEFT = {"run_lock"}
"""Tables without a row between two commands."""

WERE_CALLED = {"rate_slot": "pace"}
"""Tables of now that had another name before."""

ACCOUNTS = ("account", "account_history")

Rows = dict[str, list[dict[str, Any]]]


def what_is_known(row: dict[str, Any]) -> dict[str, Any]:
    """What an upgrade can tell of an account that was recorded before there were columns for it."""
    return {"groups": "", "destination": "unknown", "certain": not {"unknown", "other"} & set(row["methods"].split(","))}


def as_before_claims(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events as they were written when a claim was no state of its own."""
    return [row | {"from_state": "queued"} if row["from_state"] == "claimed" else row for row in rows if row["to_state"] != "claimed"]


def as_before_outcomes(lived: Rows) -> Rows:
    """Accounts as they were recorded when an outcome that changed alone made a version as well."""
    accounts, history = [], []
    for version in [*lived["account"], *lived["account_history"]]:
        until = version.get("until_run")
        said = [row for row in lived["account_outcome"] if row["account_id"] == version["account_id"]]
        said = [row for row in said if row["run_seq"] > version["since_run"] and (until is None or row["run_seq"] < until)]
        for row in sorted(said, key=lambda row: row["run_seq"]):
            history.append(version | {"until_run": row["run_seq"]})
            version = version | {"since_run": row["run_seq"], **{name: row[name] for name in ("outcome", "outcome_reason")}}
        (accounts if until is None else history).append(version)
    return lived | {"account": accounts, "account_history": history}


def rows_of(connection: sa.Connection) -> Rows:
    """Table → its rows, every value as the database keeps it; in an order of their own, for a table's may change."""
    found = sa.MetaData()
    found.reflect(connection)
    return {
        table.name: sorted(
            (dict(row) for row in connection.execute(sa.select(table)).mappings()), key=lambda row: repr(sorted(row.items()))
        )
        for table in found.sorted_tables
        if table.name != "alembic_version"
    }


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """The rows of a ledger in which something of everything happened, in the order in which tables need each other."""
    office = Office(tmp_path_factory.mktemp("lived") / "office")
    for name in ("ann", "bob", "cem", "dora"):
        office.hire(name)
    office.hire("", "sms")
    office.hire("eve", "sms, 2fa")
    office.hire("fay", "totp, retina scan")
    office.run("2023-07-20T06:00")
    office.change("ann", mfa="totp", mail="ann@new.example")
    for name in ("eve", "fay"):
        office.change(name, dept="Sales")
    office.write()
    plan = office.migrate("dry-run", "--json", "--as-of", "2024-01-02T06:00").facts["out"]
    office.run("2024-01-02T06:00", "--plan", plan)
    by = ("--reason", "at sea", "--by", "jo", "--as-of", "2024-01-02T08:00")
    for what in ("exempt", "pause"):
        for name in ("bob", "cem"):
            assert office.migrate(what, "add", name, "--until", "2024-03-01", "--owner", "ciso", *by).code == 0
        assert office.migrate(what, "remove", "cem", *by).code == 0
    office.leave("dora")
    office.run("2024-01-18T06:00")
    with Ledger.open(LedgerSettings(url=f"sqlite:///{office.folder / 'migrate.db'}"), create=False) as ledger:
        with ledger.begin() as connection:
            bounced = {"address": "bob@example.com", "hard": True, "code": "5.1.1", "seen_at": 1_705_000_000_000_000, "until": 1}
            connection.execute(sa.insert(schema.bounce).values(campaign_id=1, **bounced))
            server = {"server": "mail.example.com:25"}
            connection.execute(sa.insert(schema.rate_slot).values(next_at=1_705_000_000_000_000, **server))
            connection.execute(sa.insert(schema.rate_count).values(minute=1_704_999_960_000_000, letters=7, **server))
            of_others = {"campaign_id": 1, "found_in": "reports/2023-12-02-r00001"}
            accepted = {"digest": "d", "run_id": "r00001", "accepted_at": 1, "accepted_by": "jo"}
            connection.execute(sa.insert(schema.accepted_evidence).values(**of_others, **accepted))
            told = {"account_id": "bob", "reference": "7KQ2M4XD", "kind": "reminder", "occasion": "T-60", "told_cutoff": "x", "told_at": 1}
            connection.execute(sa.insert(schema.told_before).values(**of_others, **told, address="bob@example.com", state="sent"))
            connection.execute(sa.insert(schema.confirmed_before).values(campaign_id=1, account_id="bob", has="totp", seen_at=1))
        with ledger.read() as connection:
            rows = rows_of(connection)
    assert {name for name, found in rows.items() if not found} == NEVER_LEFT
    return rows


def left_behind(url: str, revision: str, lived: Rows) -> Rows:
    """Makes a ledger of an earlier revision, with as much of the rows as its tables have room for; what is in it then."""
    if revision < "0009":
        lived = lived | {"letter_event": as_before_claims(lived["letter_event"])}
    if revision < "0012":
        lived = as_before_outcomes(lived)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        made = revisions.config()
        made.attributes["connection"] = connection
        command.upgrade(made, revision)
        tables = sa.MetaData()
        tables.reflect(connection)
        if "identity" in tables.tables:
            connection.execute(sa.delete(tables.tables["identity"]))
        for now, rows in lived.items():
            name = WERE_CALLED.get(now, now) if now not in tables.tables else now
            if rows and name in tables.tables:
                known = tables.tables[name].columns.keys()
                connection.execute(sa.delete(tables.tables[name]))  # the identity that an upgrade gives a new ledger
                connection.execute(sa.insert(tables.tables[name]), [{key: row[key] for key in known} for row in rows])
        before = rows_of(connection)
    engine.dispose()
    return before


@pytest.mark.parametrize(
    ("database", "revision"),
    [*(("sqlite", each) for each in EARLIER), *covering(["postgres", "mariadb"], EARLIER)],
)
def test_an_earlier_ledger_keeps_every_row_of_every_table(
    lived: Rows, revision: str, database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url: Any = f"sqlite:///{tmp_path / 'migrate.db'}" if database == "sqlite" else request.getfixturevalue(f"{database}_url")
    before = left_behind(url, revision, lived)
    with Ledger.open(LedgerSettings(url=url), create=False) as ledger, ledger.read() as connection:
        assert revisions.current(connection) == revisions.HEAD
        after = rows_of(connection)
        assert [each for each in consistency.check(connection) if each.wrong] == []
    assert set(after) == set(lived)
    (made,) = after.pop("identity")
    assert (len(made["ledger_id"]), made["runs_after"]) == (32, 0)
    for table, rows in after.items():
        old = before.get(table) or before.get(WERE_CALLED.get(table, table), [])
        assert [{key: row[key] for key in (old[0] if old else ())} for row in rows] == old, table
        for row in rows if old else ():
            new = {key: value for key, value in row.items() if key not in old[0]}
            assert new == dict.fromkeys(new) | (what_is_known(row) if table in ACCOUNTS and "certain" in new else {}), table
    if database == "sqlite":
        with closing(sqlite3.connect(tmp_path / f"migrate.db.{revision}.bak")) as kept:
            assert kept.execute("SELECT version_num FROM alembic_version").fetchall() == [(revision,)]
            assert kept.execute("SELECT count(*) FROM letter").fetchone() == (len(lived["letter"]),)
        assert (tmp_path / f"migrate.db.{revision}.bak").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("database", ["sqlite", "postgres", "mariadb"])
def test_a_ledger_of_before_destinations_says_of_its_accounts_what_their_methods_tell_and_can_record_who_has_none(
    lived: Rows, database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url: Any = f"sqlite:///{tmp_path / 'migrate.db'}" if database == "sqlite" else request.getfixturevalue(f"{database}_url")
    left_behind(url, "0005", lived)
    a = schema.account.c
    with Ledger.open(LedgerSettings(url=url), create=False) as ledger:
        with ledger.begin() as connection:
            found = connection.execute(sa.select(a.account_id, a.certain, a.destination, a.groups, a.may_enrol, a.in_policy)).all()
            connection.execute(sa.update(schema.account).values(outcome="no_destination", destination="no"))
        for table in (schema.account, schema.account_history):
            for column in ("outcome", "destination"):
                refused = pytest.raises(sa.exc.IntegrityError, match=f"ck_{table.name}_{column}")
                with refused, ledger.begin() as connection:
                    connection.execute(sa.update(table).values({column: "perhaps"}))
    assert {row.account_id for row in found if not row.certain} == {"eve", "fay"}
    assert {tuple(row[2:]) for row in found} == {("unknown", "", None, None)}


@pytest.mark.parametrize("database", ["sqlite", "postgres", "mariadb"])
def test_a_letter_that_was_sending_before_there_were_claims_stays_so_and_the_next_one_can_be_claimed(
    lived: Rows, database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url: Any = f"sqlite:///{tmp_path / 'migrate.db'}" if database == "sqlite" else request.getfixturevalue(f"{database}_url")
    letters = sorted(lived["letter"], key=lambda row: row["id"])
    last = letters[-1]
    held = {"state": "sending", "owner": "dead", "lease_until": last["queued_at"] + 300_000_000, "claimed_at": last["queued_at"]}
    others = [row for row in lived["letter_event"] if row["letter_id"] != last["id"]]
    its = [row for row in as_before_claims(lived["letter_event"]) if row["letter_id"] == last["id"]][:2]
    its[-1] = its[-1] | {"at": last["queued_at"]}
    left_behind(
        url, "0008", lived | {"letter": [*letters[:-1], last | held | {"settled_at": None, "attempts": 0}], "letter_event": others + its}
    )
    lt, event = schema.letter, schema.letter_event
    with Ledger.open(LedgerSettings(url=url), create=False) as ledger:
        with ledger.read() as connection:
            now = dict(connection.execute(sa.select(lt).where(lt.c.id == last["id"])).mappings().one())
            assert (now["state"], now["owner"]) == ("sending", "dead")
            assert [each for each in consistency.check(connection) if each.wrong] == []
            names = {index["name"] for table in (lt, event) for index in sa.inspect(connection).get_indexes(table.name)}
            assert names >= {index.name for table in (lt, event) for index in table.indexes}
        assert Claims(ledger, 1, "sweeper", clock=lambda _: EPOCH).next_at(EPOCH) == now["lease_until"]
        with ledger.begin() as connection:
            connection.execute(sa.update(lt).where(lt.c.id == last["id"]).values(state="claimed"))
            values = {"id": 10**6, "letter_id": last["id"], "at": 1, "actor": "w", "from_state": "queued", "to_state": "claimed"}
            connection.execute(sa.insert(event).values(values))
        with pytest.raises(sa.exc.IntegrityError), ledger.begin() as connection:
            connection.execute(sa.insert(event).values(values | {"id": 10**6 + 1, "letter_id": 10**6}))


def test_a_day_before_the_upgrade_is_reported_as_it_was_and_the_run_after_it_goes_on(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    office.more = '[policy]\nremind = ["sms_only"]'
    office.hire("ann", "sms", mfa_default="sms")
    office.hire("bob", "totp, retina scan")
    office.hire("cem", "sms, totp")
    office.run("2024-01-02T06:00")
    told = office.report("accounts")
    office.change("cem", mfa="totp")
    office.run("2024-01-03T06:00")
    path = office.folder / "migrate.db"
    with Ledger.open(LedgerSettings(url=f"sqlite:///{path}"), create=False) as ledger, ledger.read() as connection:
        rows = rows_of(connection)
    for each in (path, path.with_name("migrate.db-wal"), path.with_name("migrate.db-shm")):
        each.unlink(missing_ok=True)
    left_behind(f"sqlite:///{path}", "0005", {table.name: rows[table.name] for table in schema.metadata.sorted_tables})
    assert office.migrate("report", "--as-of", "2024-01-02").code == 2
    assert office.migrate("ledger", "upgrade").code == 0
    done = office.migrate("report", "--as-of", "2024-01-02", "--out", str(tmp_path / "again"))
    assert done.code == 0, done.err
    again = office.table(tmp_path / "again" / "accounts.csv")
    assert [row | {"destination": ""} for row in again] == [row | {"destination": ""} for row in told]
    assert [(row["certain"], row["destination"]) for row in again] == [("true", "unknown"), ("false", "unknown"), ("true", "unknown")]
    facts = office.run("2024-01-04T06:00")
    assert (facts["changes"], facts["not_certain"]) == ({}, {"migrated": 1})
    assert [row["destination"] for row in office.report("accounts")] == ["unknown", "yes", "yes"]


def test_there_is_a_ledger_of_every_earlier_revision_to_upgrade() -> None:
    assert EARLIER == ["0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011", "0012", "0013"]
