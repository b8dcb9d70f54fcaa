"""What only the servers have: sessions set up by somebody else, deadlocks, tables that are committed one by one."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa
from ledger.scenes import NOW, Scene, queue_row

from migrate.errors import LedgerError, LockedError
from migrate.ledger import lock as lock_module
from migrate.ledger import mysql, revisions, schema
from migrate.ledger.engine import Ledger, LedgerSettings
from migrate.ledger.lock import RunLock

mariadb = pytest.mark.parametrize("ledger_url", ["mariadb"], indirect=True)
servers = pytest.mark.parametrize("ledger_url", ["postgresql", "mariadb"], indirect=True)


def _other(ledger_url: str) -> sa.Engine:
    return sa.create_engine(ledger_url, poolclass=sa.NullPool)


@pytest.mark.parametrize("word", ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"])
def test_either_name_reaches_whichever_server_answers(mariadb_url: str, word: str) -> None:
    url = mariadb_url.replace("mariadb+pymysql", word)
    with Ledger.open(LedgerSettings(url=url), create=True) as ledger:
        assert ledger.engine.dialect.name == "mariadb"
    with Ledger.open_readonly(LedgerSettings(url=url)) as ledger:
        assert ledger.described.startswith(f"the {word.split('+')[0]} database t")


@mariadb
def test_every_text_compares_byte_by_byte_whatever_the_databases_default(ledger: Ledger) -> None:
    with ledger.read() as connection:
        default = connection.exec_driver_sql("SELECT @@collation_database").scalar_one()
        found = connection.exec_driver_sql(
            "SELECT collation_name, count(*) FROM information_schema.columns WHERE table_schema = database() "
            "AND collation_name IS NOT NULL AND table_name <> 'alembic_version' GROUP BY collation_name"
        ).all()
    assert default == "latin1_swedish_ci"
    assert [name for name, _ in found] == ["utf8mb4_nopad_bin"]


def test_long_text_in_any_script_comes_back_whole(scene: Scene) -> None:
    long = "{" + "😀ż" * 50_000 + "}"
    scene.queue(queue_row("a1", facts=long))
    assert scene.claimed().facts == long


@mariadb
def test_what_does_not_fit_is_refused_and_not_cut_off(scene: Scene) -> None:
    with (
        pytest.raises(LedgerError, match=r"a value does not fit into a column of .*: Data too long for column 'timezone'"),
        scene.ledger.begin() as connection,
    ):
        connection.execute(sa.update(schema.run).values(timezone="x" * 65))


@pytest.mark.parametrize("option", ["autocommit=true", "charset=latin1"])
def test_a_url_cannot_take_away_what_the_ledger_needs(mariadb_url: str, option: str) -> None:
    with Ledger.open(LedgerSettings(url=f"{mariadb_url}&{option}"), create=True) as ledger:
        row = {"secret": "s", "created_at": NOW}
        with ledger.begin() as connection:
            connection.execute(sa.insert(schema.campaign).values(row | {"name": "żółw 😀"}))
        with pytest.raises(RuntimeError), ledger.begin() as connection:
            connection.execute(sa.insert(schema.campaign).values(row | {"name": "taken back"}))
            raise RuntimeError
        with ledger.read() as connection:
            assert connection.execute(sa.select(schema.campaign.c.name)).scalars().all() == ["żółw 😀"]


@mariadb
def test_a_reader_sees_one_state_whatever_is_committed_meanwhile(scene: Scene) -> None:
    name = sa.select(schema.campaign.c.name)
    with scene.ledger.read() as reading:
        assert reading.execute(name).scalar_one() == "sms"
        with scene.ledger.begin() as writing:
            writing.execute(sa.update(schema.campaign).values(name="renamed"))
        assert reading.execute(name).scalar_one() == "sms"
    with scene.ledger.read() as reading:
        assert reading.execute(name).scalar_one() == "renamed"


@servers
def test_a_transaction_that_a_deadlock_ended_is_begun_afresh(scene: Scene) -> None:
    scene.queue(queue_row("a1"), queue_row("a2"))
    first, second = (row.id for row in scene.letters().values())
    both_hold_one = threading.Barrier(2)
    tries: list[str] = []

    def work(name: str, ids: tuple[int, int]) -> None:
        def twice(connection: sa.Connection) -> None:
            begun = name not in tries
            tries.append(name)
            for letter_id in ids:
                this = sa.update(schema.letter).where(schema.letter.c.id == letter_id)
                connection.execute(this.values(attempts=schema.letter.c.attempts + 1))
                if begun and letter_id == ids[0]:
                    both_hold_one.wait(30)

        scene.ledger.write(twice)

    threads = [threading.Thread(target=work, args=("up", (first, second))), threading.Thread(target=work, args=("down", (second, first)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [row.attempts for row in scene.letters().values()] == [2, 2]
    assert len(tries) == 3


def test_another_refusal_is_not_tried_again(scene: Scene) -> None:
    tries: list[int] = []

    def twice(connection: sa.Connection) -> None:
        tries.append(1)
        connection.execute(sa.insert(schema.campaign).values(name="sms", secret="s", created_at=NOW))

    with pytest.raises(sa.exc.IntegrityError):
        scene.ledger.write(twice)
    assert len(tries) == 1


@mariadb
def test_a_lost_connection_is_explained_and_the_next_transaction_has_another(ledger_url: str, scene: Scene) -> None:
    engine = _other(ledger_url)
    gone = r"the mariadb database t\w+ ended the connection: (Lost connection|MySQL server has gone away)"
    with pytest.raises(LedgerError, match=gone), scene.ledger.begin() as connection:
        number = connection.exec_driver_sql("SELECT connection_id()").scalar_one()
        with engine.connect() as other:
            other.exec_driver_sql(f"KILL {number}")
        connection.execute(sa.select(schema.campaign)).all()
    assert scene.letters() == {}


@servers
def test_a_lock_that_somebody_is_writing_counts_as_held(ledger_url: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "PATIENCE", timedelta(seconds=1))

    def acquire(owner: str) -> RunLock:
        return RunLock.acquire(ledger, "sms", "run", owner, lease=timedelta(0), beat=False)

    acquire("died")
    with _other(ledger_url).begin() as other:
        other.execute(sa.update(schema.run_lock).values(host="elsewhere"))
        began = time.monotonic()
        with pytest.raises(LockedError, match="another program is writing to the"):
            acquire("next")
        assert time.monotonic() - began < 20
    acquire("next").release()


def test_a_server_that_is_too_old_is_named_with_what_would_do(mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "_OLDEST", {"mariadb": (99, 1)})
    with pytest.raises(LedgerError, match=r"is on MariaDB 1\d\.\d+\.\d+\. A ledger needs MariaDB 99\.1 or newer"):
        Ledger.open(LedgerSettings(url=mariadb_url), create=True)


def test_tables_that_were_made_half_way_are_not_taken_for_a_ledger(mariadb_url: str) -> None:
    engine = _other(mariadb_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE notice (in_the_way INT)")
    with pytest.raises(LedgerError, match="already exists"):
        Ledger.open(LedgerSettings(url=mariadb_url), create=True)
    for _ in range(2):
        with pytest.raises(LedgerError, match=r"broken off half-way.*never used: DROP DATABASE"):
            Ledger.open(LedgerSettings(url=mariadb_url), create=True)
    assert "campaign" in sa.inspect(engine).get_table_names()


@mariadb
@pytest.mark.own_database
def test_an_upgrade_that_was_done_but_for_its_mark_is_done(ledger_url: str, ledger: Ledger) -> None:
    with ledger.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE unfinished_upgrade AS SELECT '{revisions.HEAD}' AS revision")
        revisions.upgrade(connection)
    assert "unfinished_upgrade" not in sa.inspect(_other(ledger_url)).get_table_names()
