from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st
from ledger.scenes import NOW, Scene, queue_row

from migrate.core.accounts import RECORD_COLUMNS
from migrate.ledger import revisions, schema
from migrate.ledger.engine import Ledger
from migrate.ledger.settings import LedgerSettings


def _checks(inspector: sa.Inspector) -> dict[str, set[tuple[str, ...]]]:
    """Table → its CHECKs, each with its words in order, however a database spells the expression."""
    return {
        table: {(str(check["name"]), *re.findall(r"'(\w+)'", check["sqltext"])) for check in inspector.get_check_constraints(table)}
        for table in inspector.get_table_names()
    }


def test_the_migrations_make_exactly_the_tables_of_the_schema(ledger: Ledger) -> None:
    with ledger.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []


def test_the_migrations_make_exactly_the_checks_of_the_schema(ledger: Ledger) -> None:
    plain = sa.create_engine("sqlite://")
    schema.metadata.create_all(plain)
    with ledger.read() as connection:
        made = _checks(sa.inspect(connection))
    assert made.pop("alembic_version") == set()
    assert made == _checks(sa.inspect(plain))
    assert sum(map(len, made.values())) >= 20
    plain.dispose()


def test_the_code_works_with_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(revisions.config()).get_heads() == [revisions.HEAD]


def test_every_constraint_has_a_name() -> None:
    assert [c for table in schema.metadata.tables.values() for c in table.constraints if not c.name] == []


def test_an_account_is_kept_in_exactly_the_columns_of_a_record() -> None:
    assert list(schema.account.c.keys()) == ["campaign_id", *RECORD_COLUMNS, "since_run"]
    assert list(schema.account_history.c.keys()) == ["campaign_id", "until_run", *RECORD_COLUMNS, "since_run"]


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)), st.integers(-12, 12))
def test_an_instant_comes_back_as_the_same_instant(wall: datetime, hours: int) -> None:
    kind, dialect = schema.UtcInstant(), sa.create_engine("sqlite://").dialect
    instant = wall.replace(tzinfo=timezone(timedelta(hours=hours)))
    back = kind.process_result_value(kind.process_bind_param(instant, dialect), dialect)
    assert back == instant
    assert back is not None
    assert back.tzinfo is UTC


def test_an_instant_without_a_zone_is_refused(scene: Scene) -> None:
    with pytest.raises(sa.exc.StatementError, match="no time zone"), scene.ledger.begin() as connection:
        connection.execute(sa.update(schema.run).values(finished_at=datetime(2024, 1, 1)))


def test_microseconds_survive_the_database(scene: Scene) -> None:
    with scene.ledger.read() as connection:
        assert connection.execute(sa.select(schema.run.c.as_of)).scalar_one() == NOW


def test_ids_are_ordered_byte_by_byte_on_every_database(scene: Scene) -> None:
    ids = ["a", "B", "A", "Z", "z", "ä", "a-b", "a b", "ab", "a_b", "1", "10", "9", "é", "𝒜", "\uffee", "a ", "-"]
    scene.queue(*(queue_row(account_id, address=f"{n}@example.com") for n, account_id in enumerate(ids)))
    with scene.ledger.read() as connection:
        a = schema.notice.c.account_id
        assert list(connection.execute(sa.select(a).order_by(a)).scalars()) == sorted(ids, key=str.encode)
        between = connection.execute(sa.select(a).where(a >= "A", a < "a ").order_by(a)).scalars()
        assert list(between) == ["A", "B", "Z", "a"]


@pytest.mark.parametrize(
    ("table", "column", "named"),
    [
        (schema.run, {"state": "begun"}, "ck_run_state"),
        (schema.notice, {"kind": "poem"}, "ck_notice_kind"),
        (schema.letter, {"role": "bystander"}, "ck_letter_role"),
        (schema.notice, {"standing": "lying"}, "ck_notice_standing"),
    ],
)
def test_the_database_refuses_words_outside_the_vocabulary(scene: Scene, table: sa.Table, column: dict[str, Any], named: str) -> None:
    scene.queue(queue_row("a1"))
    with pytest.raises(sa.exc.IntegrityError, match=named), scene.ledger.begin() as connection:
        connection.execute(sa.update(table).values(column))


def test_the_database_refuses_a_second_letter_to_one_address_under_one_notice(scene: Scene) -> None:
    scene.queue(queue_row("a1"), queue_row("a1", address="b@example.com"))
    with (
        pytest.raises(sa.exc.IntegrityError, match=r"uq_letter_address|letter\.notice_id, letter\.address"),
        scene.ledger.begin() as connection,
    ):
        connection.execute(sa.update(schema.letter).values(address="same@example.com"))


def test_the_database_refuses_the_same_notice_twice(scene: Scene) -> None:
    scene.queue(queue_row("a1"), queue_row("a2"))
    with (
        pytest.raises(sa.exc.IntegrityError, match=r"uq_notice_key|notice\.campaign_id, notice\.account_id"),
        scene.ledger.begin() as connection,
    ):
        connection.execute(sa.update(schema.notice).values(account_id="a1"))


def test_sqlite_compares_the_words_of_a_check_one_by_one_and_still_refuses_any_other(tmp_path: Path) -> None:
    """A list of words costs ten times as much at every row (migration 0014)."""
    path = tmp_path / "migrate.db"
    with Ledger.open(LedgerSettings(url=f"sqlite:///{path}"), create=True) as ledger, ledger.begin() as connection:
        tables = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE type = 'table'").scalars().all()
        checks = [check for sql in tables for check in re.findall(r"CHECK \(.*\)", sql)]
        assert len(checks) >= 20 and not [check for check in checks if " IN (" in check]
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() == ["ok"]
        connection.execute(sa.insert(schema.campaign).values(name="c", secret="s", created_at=NOW))
        with pytest.raises(sa.exc.IntegrityError, match="ck_account_outcome_outcome"):
            columns = "(campaign_id, run_seq, account_id, outcome)"
            connection.exec_driver_sql(f"INSERT INTO account_outcome {columns} VALUES (1, 1, 'a', 'lost')")
