from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from ledger.scenes import Scene, queue_row
from powerless import powerless

from migrate.errors import LedgerError
from migrate.ledger import revisions, schema
from migrate.ledger import sqlite as sqlite_ledger
from migrate.ledger.engine import Ledger, LedgerSettings
from migrate.ledger.sqlite import prepare


def _sqlite(path: Path) -> LedgerSettings:
    return LedgerSettings(url=f"sqlite:///{path}")


def _bytes(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def _made(path: Path, rows: int = 1) -> None:
    with Ledger.open(_sqlite(path), create=True) as ledger, ledger.begin() as connection:
        for number in range(rows):
            connection.execute(sa.insert(schema.campaign).values(name=f"c{number}", secret="5", created_at=_EPOCH))


_EPOCH = schema.EPOCH


def _campaigns(ledger: Ledger) -> int:
    with ledger.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(schema.campaign)).scalar_one())


def _killed(path: Path) -> None:
    """A process that committed and was killed: the WAL holds its row, and its -shm was left behind."""
    script = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute(\"INSERT INTO campaign (name, secret, created_at) VALUES ('killed', 's', 0)\"); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -9
    assert path.with_name(path.name + "-wal").stat().st_size


def test_a_new_file_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Ledger.open(_sqlite(tmp_path / "migrate.db"), create=True) as ledger, ledger.begin():
            modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert set(modes) == {"migrate.db", "migrate.db-wal", "migrate.db-shm"}
    assert set(modes.values()) == {0o600}


def test_sqlite_is_durable_and_holds_its_keys(tmp_path: Path) -> None:
    with Ledger.open(_sqlite(tmp_path / "migrate.db"), create=True) as ledger, ledger.read() as connection:
        found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_ledger_that_is_there_is_opened_again_as_it_is(ledger_url: str, scene: Scene) -> None:
    scene.queue(queue_row("a1"))
    with Ledger.open(LedgerSettings(url=ledger_url), create=False) as again:
        assert _campaigns(again) == 1


def test_an_exception_takes_the_whole_transaction_back(scene: Scene) -> None:
    with pytest.raises(RuntimeError), scene.ledger.begin() as connection:
        connection.execute(sa.delete(schema.run))
        raise RuntimeError
    with scene.ledger.read() as connection:
        assert connection.execute(sa.select(schema.run)).first() is not None


def test_much_that_is_written_is_committed_at_once_and_in_the_file_when_the_ledger_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, may = tmp_path / "migrate.db", threading.Event()
    checkpoint = sqlite_ledger.checkpoint
    monkeypatch.setattr(sqlite_ledger, "checkpoint", lambda path: (may.wait(20), checkpoint(path))[1])
    _made(path)
    with Ledger.open(_sqlite(path), create=False) as ledger:
        before = path.read_bytes()
        rows = [{"name": f"n{number:06}", "secret": "5" * 400, "created_at": _EPOCH} for number in range(20_000)]
        ledger.write_much(lambda connection: connection.execute(sa.insert(schema.campaign), rows))
        with ledger.read() as connection:
            assert connection.execute(sa.select(sa.func.count()).select_from(schema.campaign)).scalar_one() == 20_001
        assert path.read_bytes() == before  # more than a thousand pages, at which any other commit would copy them
        may.set()
    assert not path.with_name("migrate.db-wal").exists()
    with sqlite3.connect(path) as alone:
        assert alone.execute("SELECT count(*) FROM campaign").fetchone() == (20_001,)
    alone.close()


def test_a_missing_ledger_is_not_made_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"no ledger at .*migrate\.db yet"):
        Ledger.open(_sqlite(tmp_path / "migrate.db"), create=False)
    assert list(tmp_path.iterdir()) == []


def test_looking_at_no_ledger_shows_an_empty_one_and_makes_no_file(tmp_path: Path) -> None:
    with Ledger.open_readonly(_sqlite(tmp_path / "migrate.db")) as ledger:
        assert _campaigns(ledger) == 0
    assert list(tmp_path.iterdir()) == []


def test_looking_at_a_server_without_a_ledger_shows_an_empty_one_and_makes_no_table(postgres_url: str) -> None:
    with Ledger.open_readonly(LedgerSettings(url=postgres_url)) as ledger:
        assert _campaigns(ledger) == 0
    engine = sa.create_engine(postgres_url)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


def test_looking_leaves_every_byte_and_no_new_file(tmp_path: Path) -> None:
    _made(tmp_path / "migrate.db")
    before = _bytes(tmp_path)
    with Ledger.open_readonly(_sqlite(tmp_path / "migrate.db")) as ledger:
        assert _campaigns(ledger) == 1
        assert _bytes(tmp_path) == before
    assert _bytes(tmp_path) == before
    assert set(before) == {"migrate.db"}


def test_looking_after_a_crash_sees_what_was_committed_and_leaves_every_byte(tmp_path: Path) -> None:
    _made(tmp_path / "migrate.db")
    _killed(tmp_path / "migrate.db")
    before = _bytes(tmp_path)
    with Ledger.open_readonly(_sqlite(tmp_path / "migrate.db")) as ledger:
        assert _campaigns(ledger) == 2
    assert _bytes(tmp_path) == before
    assert len(before) == 3


def test_looking_at_a_wal_without_its_index_reads_a_copy(tmp_path: Path) -> None:
    _made(tmp_path / "migrate.db")
    _killed(tmp_path / "migrate.db")
    (tmp_path / "migrate.db-shm").unlink()
    before = _bytes(tmp_path)
    with Ledger.open_readonly(_sqlite(tmp_path / "migrate.db")) as ledger:
        assert _campaigns(ledger) == 2
    assert _bytes(tmp_path) == before


def test_looking_sees_what_a_running_writer_has_committed(tmp_path: Path) -> None:
    _made(tmp_path / "migrate.db")
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute(\"INSERT INTO campaign (name, secret, created_at) VALUES ('live', 's', 0)\"); print('ready', flush=True); input()"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "migrate.db")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    before = _bytes(tmp_path)
    with Ledger.open_readonly(_sqlite(tmp_path / "migrate.db")) as ledger:
        assert _campaigns(ledger) == 2
    assert _bytes(tmp_path) == before
    writer.communicate("\n", timeout=30)


def test_a_wal_that_the_last_writer_takes_away_just_then_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite removes a WAL when the last connection closes, after it has written it into the file."""
    path = tmp_path / "migrate.db"
    _made(path)
    wal = tmp_path / "migrate.db-wal"
    wal.write_bytes(b"0" * 4096)
    copying = shutil.copyfile

    def closing(source: Path, target: Path) -> Path:
        wal.unlink(missing_ok=True)
        return copying(source, target)

    monkeypatch.setattr(shutil, "copyfile", closing)
    with Ledger.open_readonly(_sqlite(path)) as ledger:
        assert _campaigns(ledger) == 1


def test_a_file_written_while_it_was_looked_at_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "migrate.db"
    _made(path)
    with Ledger.open_readonly(_sqlite(path)) as ledger:
        with sqlite3.connect(path) as other:
            other.execute("DELETE FROM campaign")
        other.close()
        with pytest.raises(LedgerError, match="written while it was read"):
            _campaigns(ledger)


def test_nothing_is_written_through_a_ledger_that_is_only_looked_at(ledger_url: str, scene: Scene) -> None:
    with Ledger.open_readonly(LedgerSettings(url=ledger_url)) as ledger:
        with pytest.raises(LedgerError, match="read-only"), ledger.begin():
            pass
        with pytest.raises((LedgerError, sa.exc.DBAPIError)), ledger.read() as connection:
            connection.execute(sa.insert(schema.campaign).values(name="x", secret="s", created_at=_EPOCH))
            connection.commit()
    assert _campaigns(scene.ledger) == 1


def _made_older(path: Path) -> None:
    """A ledger as an earlier version left it: the same file with only the revision's table."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('0000')")
        connection.execute("CREATE TABLE before (x)")
    connection.close()


@pytest.fixture
def earlier_revision(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The package's migrations with one more, empty, before the first."""
    folder = tmp_path_factory.mktemp("migrations")
    shutil.copytree(Path(revisions.__file__).with_name("migrations"), folder / "migrations", dirs_exist_ok=True)
    versions = folder / "migrations" / "versions"
    (versions / "0000_before.py").write_text("revision = '0000'\ndown_revision = None\n\ndef upgrade():\n    pass\n")
    first = versions / "0001_ledger.py"
    first.write_text(first.read_text().replace("down_revision = None", 'down_revision = "0000"'))
    real = revisions.config

    def config() -> object:
        made = real()
        made.set_main_option("script_location", str(folder / "migrations"))
        return made

    monkeypatch.setattr(revisions, "config", config)


@pytest.mark.usefixtures("earlier_revision")
def test_an_older_ledger_is_upgraded_and_a_private_copy_kept(tmp_path: Path) -> None:
    path = tmp_path / "migrate.db"
    _made_older(path)
    with Ledger.open(_sqlite(path), create=False) as ledger:
        assert _campaigns(ledger) == 0
    kept = tmp_path / "migrate.db.0000.bak"
    assert kept.stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(kept) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0000",)]
        assert {name for (name,) in connection.execute("SELECT name FROM sqlite_master")} == {"alembic_version", "before"}
    connection.close()


@pytest.mark.usefixtures("earlier_revision")
def test_an_upgrade_that_breaks_leaves_the_ledger_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "migrate.db"
    _made_older(path)
    real = revisions.upgrade

    def breaks(connection: sa.Connection) -> None:
        real(connection)
        raise RuntimeError("power cut")

    monkeypatch.setattr(revisions, "upgrade", breaks)
    with pytest.raises(RuntimeError, match="power cut"):
        Ledger.open(_sqlite(path), create=False)
    with sqlite3.connect(path) as connection:
        assert {name for (name,) in connection.execute("SELECT name FROM sqlite_master")} == {"alembic_version", "before"}
    connection.close()


def test_looking_at_an_older_ledger_says_how_to_upgrade_it(tmp_path: Path) -> None:
    _made_older(tmp_path / "migrate.db")
    with pytest.raises(LedgerError, match=r"older version.*migrate run"):
        Ledger.open_readonly(_sqlite(tmp_path / "migrate.db"))


@pytest.mark.own_database
@pytest.mark.parametrize("opening", [Ledger.open_readonly, lambda settings: Ledger.open(settings, create=True)])
def test_a_ledger_of_a_newer_version_is_left_alone(ledger_url: str, ledger: Ledger, opening: object) -> None:
    with ledger.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(LedgerError, match=r"newer version \(tables 9999"):
        opening(LedgerSettings(url=ledger_url))  # type: ignore[operator]


@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def test_two_programs_that_make_one_ledger_at_once_both_get_it(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> None:
    url = f"sqlite:///{tmp_path / 'migrate.db'}" if database == "sqlite" else request.getfixturevalue(f"{database.replace('sql', 's')}_url")
    script = "import sys; from migrate.ledger.engine import *; Ledger.open(LedgerSettings(url=sys.argv[1]), create=True).close()"
    started = [subprocess.Popen([sys.executable, "-c", script, url], cwd=Path(__file__).parents[2]) for _ in range(2)]
    assert [process.wait(60) for process in started] == [0, 0]
    with Ledger.open(LedgerSettings(url=url), create=False) as ledger:
        assert _campaigns(ledger) == 0


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense with s3cret", "not a database URL"),
        ("oracle://u:s3cret@h/d", "cannot hold a ledger"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("postgresql+nosuch://u:s3cret@h/d", "driver for postgresql\\+nosuch is not installed"),
        ("mysql+nosuch://u:s3cret@h/d", "driver for mysql\\+nosuch is not installed. .*sms-migrate.mysql"),
        ("mysql://u:s3cret@127.0.0.1:9/d", "cannot use the mysql database d at 127.0.0.1: Can't connect"),
        ("mariadb://u:s3cret@127.0.0.1:9/d?password=s3cret", "cannot use the mariadb database d at 127.0.0.1"),
        ("mariadb://u:s3cret@127.0.0.1:9/d?nosuch=s3cret", "an option that the driver does not know"),
        ("mariadb://u:s3cret@127.0.0.1:9/d?ssl_ca=/nowhere/s3cret.pem", "an option that names a file, and it cannot be read"),
        ("postgres://u:s3cret@127.0.0.1:9/d?connect_timeout=2", "cannot use the postgresql database d at 127.0.0.1"),
        ("postgresql://u:s3cret@127.0.0.1:9/d?sslmode=s3cret", "cannot use the postgresql database d"),
    ],
)
def test_a_url_that_cannot_be_used_is_explained_without_its_password(url: str, says: str) -> None:
    with pytest.raises(LedgerError, match=says) as raised:
        Ledger.open(LedgerSettings(url=url), create=True)
    assert "s3cret" not in str(raised.value)
    assert "s3cret" not in repr(LedgerSettings(url=url))
    assert raised.value.exit_code == 2


def test_a_missing_folder_is_named_with_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=f"cannot make .*: no such file or directory. `mkdir -p {tmp_path}/none`"):
        Ledger.open(_sqlite(tmp_path / "none" / "migrate.db"), create=True)


def test_a_folder_in_its_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="is a folder"):
        Ledger.open(_sqlite(tmp_path), create=True)


@pytest.mark.parametrize("opening", [Ledger.open_readonly, lambda settings: Ledger.open(settings, create=True)])
def test_another_kind_of_file_is_named_and_left_alone(tmp_path: Path, opening: object) -> None:
    (tmp_path / "migrate.db").write_text("a,b,c\n" * 1000)
    before = _bytes(tmp_path)
    with pytest.raises(LedgerError, match="not a SQLite database"):
        opening(_sqlite(tmp_path / "migrate.db"))  # type: ignore[operator]
    assert _bytes(tmp_path) == before


@pytest.mark.parametrize("opening", [Ledger.open_readonly])
def test_another_programs_database_is_not_taken_for_a_ledger(tmp_path: Path, opening: object) -> None:
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE users (x)")
    connection.close()
    with pytest.raises(LedgerError, match="not a ledger"):
        opening(_sqlite(tmp_path / "other.db"))  # type: ignore[operator]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(LedgerError, match="permission denied"):
        powerless(lambda: Ledger.open(_sqlite(tmp_path / "migrate.db"), create=True))


def test_a_full_disk_records_nothing_and_says_so(tmp_path: Path) -> None:
    with Ledger.open(_sqlite(tmp_path / "migrate.db"), create=True) as ledger:
        with pytest.raises(LedgerError, match="is full, so the last change was not written"), ledger.begin() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            connection.execute(
                sa.insert(schema.campaign), [{"name": f"c{i}", "secret": "s" * 64, "created_at": _EPOCH} for i in range(5000)]
            )
        assert _campaigns(ledger) == 0


def test_a_writer_that_waits_too_long_for_another_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "migrate.db"
    _made(path)
    with Ledger.open(_sqlite(path), create=False) as patient, patient.with_patience(timedelta(milliseconds=10)) as ledger:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="busy: another program is writing"), ledger.begin():
            pass
        other.close()


def test_settings_alone_load_no_database_library() -> None:
    script = "import sys, migrate.ledger.settings; print([m for m in ('sqlalchemy', 'pandas', 'alembic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout == "[]\n"


def test_a_new_ledger_that_several_open_at_the_same_moment_lets_all_of_them_in(tmp_path: Path) -> None:
    """SQLite turns one of two away at once who both change a file's journal, without waiting."""
    script = """
import sys
from pathlib import Path
from datetime import timedelta
from migrate.ledger.sqlite import use_wal
for number in range(60):
    go = Path(sys.argv[1]) / f"go{number}"
    while not go.exists():
        pass
    use_wal(Path(sys.argv[1]) / f"{number}.db", timedelta(minutes=2))
"""
    for number in range(60):
        (tmp_path / f"{number}.db").touch()
    opening = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stderr=subprocess.PIPE, text=True) for _ in range(4)]
    time.sleep(1)
    for number in range(60):
        (tmp_path / f"go{number}").touch()
        time.sleep(0.02)
    assert [(one.wait(60), one.communicate()[1]) for one in opening] == [(0, "")] * 4


@pytest.mark.parametrize("again", [False, True])
def test_a_file_beside_the_ledger_that_another_program_is_just_removing_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """The last one to close a ledger removes them, and the next one to open it makes them `again`."""
    path = tmp_path / "migrate.db"
    Ledger.open(LedgerSettings(url=f"sqlite:///{path}"), create=True).close()
    shm = path.with_name("migrate.db-shm")
    shm.touch()

    def removed_meanwhile(asked: Path, _mode: int) -> bool:
        if asked == shm:
            shm.rename(tmp_path / "removed")
            if again:
                shm.touch()
            return False
        return True

    monkeypatch.setattr("os.access", removed_meanwhile)
    prepare(path, create=False)
