"""A database that accounts are read from: its URL, a connection that cannot write, and its errors in our words.

What SQLAlchemy or a driver raises becomes one paragraph with what to do next. It never quotes a statement or a password.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from migrate.directory.bounds import VALUE
from migrate.directory.interface import near
from migrate.errors import ConfigError, DirectoryError, UnreachableError
from migrate.settings import DRIVER_EXTRAS, DRIVERS

if TYPE_CHECKING:
    import sqlalchemy as sa

URL: Final = "[directory] url"

_KNOWN: Final = ("sqlite", "postgresql", "mysql", "mariadb", "mssql", "oracle")
_FOR_GOOD: Final = ("authentication", "denied", "does not exist", "unknown database")

_HINTS: Final[tuple[tuple[str, tuple[str, ...], tuple[int, ...]], ...]] = (
    ("Grant this account SELECT on what it is to read, then type: migrate check", ("42501",), (1044, 1142, 1143, 1370)),
    ("Look at the user and the password in [directory] url, then type: migrate check", ("28",), (1045, 1698)),
    ("Look at the database's name in [directory] url, then type: migrate check", ("3D000",), (1049,)),
    ("Let this account's statements take longer, or read a table page by page with key.", ("57014",), (1317, 1969, 3024)),
    ("Correct [directory] query, then type: migrate check", ("42",), (1054, 1064, 1146, 1305)),
    (
        "Nothing was changed. See that the database runs, then start the same again.",
        ("08", "25P", "40", "53", "57"),
        (1040, 1053, 1927, 2006, 2013),
    ),
)
"""What to do next, by the beginning of PostgreSQL's SQLSTATE and by the error numbers of MySQL and MariaDB."""


def _what_to_do(cause: BaseException) -> str:
    """What to do next about a driver's error."""
    state, number = getattr(cause, "sqlstate", None) or "", cause.args[0] if cause.args else None
    for hint, states, numbers in _HINTS:
        if (state and state.startswith(states)) or (isinstance(number, int) and number in numbers):
            return hint
    return "Try again with: migrate check"


def database_url(text: str) -> sa.URL:
    """The URL, with the driver that we support for its database. Raises ConfigError, which does not repeat the URL: it may hold a
    password."""
    import sqlalchemy as sa

    hint = 'Write it as "sqlite:///users.db" or "postgresql://user:password@host/database".'
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigError("is no database URL.", where=URL, hint=hint) from None
    url = url.set(drivername=DRIVERS.get(url.drivername, url.drivername))
    backend = url.get_backend_name()
    if backend == "sqlite" and (url.database or ":memory:") == ":memory:":
        raise ConfigError("names no SQLite file.", where=URL, hint=hint)
    try:
        url.get_dialect()
    except sa.exc.NoSuchModuleError:
        what = f"names a database nobody here speaks, {url.drivername!r}; {near(backend, _KNOWN)}"
        raise ConfigError(what, where=URL, hint=hint) from None
    except ImportError:
        pass  # `Database.engine` says how to install a missing driver
    return url


@contextmanager
def _bad_options_reworded() -> Iterator[None]:
    """Turns the Python errors that PyMySQL raises for a wrong option in the URL, when it connects or before, into a DirectoryError."""
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError, OSError) as error:
        what = f"has an option that the driver does not take ({type(error).__name__})."
        raise DirectoryError(what, where=URL, hint="Look at what follows the question mark.") from None


@dataclass(frozen=True, slots=True)
class Database:
    """A database at a `url`, read-only.

    `described` names in messages what is read of it. `timeout` is in seconds; 0 sets no limit. `tries` connections are tried, with `wait`
    seconds before the second try, twice as long before the third, and a random addition of up to `wait`.
    """

    url: sa.URL
    described: str
    timeout: int
    tries: int
    wait: float

    def engine(self) -> sa.Engine:
        """The engine for `connect`; it pools no connections. Raises DirectoryError if the driver is missing or does not take an option of
        the URL."""
        import sqlalchemy as sa

        backend = self.url.get_backend_name()
        try:
            if backend == "sqlite":
                return sa.create_engine("sqlite://", creator=self._open_file, poolclass=sa.NullPool)
            timeout = {"connect_timeout": 10} if backend in DRIVER_EXTRAS and "connect_timeout" not in self.url.query else {}
            # No prepared statements: behind a connection pooler the next read may get a session in which ours are still prepared.
            unprepared = {"prepare_threshold": None} if self.url.drivername == "postgresql+psycopg" else {}
            with _bad_options_reworded():
                engine = sa.create_engine(self.url, poolclass=sa.NullPool, connect_args=timeout | unprepared)
        except ImportError as error:
            extra = DRIVER_EXTRAS.get(backend)
            hint = f"Install it: pip install 'sms-migrate[{extra}]'" if extra else "Install the database's Python driver beside migrate."
            raise DirectoryError(f"the driver for {backend} is missing ({error}).", where=URL, hint=hint) from error
        if backend in ("mysql", "mariadb"):

            @sa.event.listens_for(engine, "connect")
            def read_only(connection: Any, _: object) -> None:
                with connection.cursor() as cursor:
                    cursor.execute("SET SESSION TRANSACTION READ ONLY")

        if self.url.drivername == "postgresql+psycopg":
            from psycopg.types.string import TextLoader

            @sa.event.listens_for(engine, "connect")
            def instants_as_text(connection: Any, _: object) -> None:
                # As text: `infinity` and years beyond 9999 are valid in PostgreSQL, and Python's datetime has neither.
                for name in ("date", "timestamp", "timestamptz"):
                    connection.adapters.register_loader(name, TextLoader)

        return engine

    def _open_file(self) -> Any:
        """A connection that can neither change the SQLite file nor create it."""
        import sqlite3

        path = Path(self.url.database or "")
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            hint = "Correct the path; a relative one starts at the configuration file's folder."
            raise DirectoryError(f"the SQLite file {path} {what}.", where=URL, hint=hint)
        opened = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=30)
        opened.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE)
        return opened

    @contextmanager
    def connect(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        """A connection in one transaction. PostgreSQL, MySQL and MariaDB are told to refuse writes; a file of SQLite is opened read-only.

        Raises UnreachableError if connecting failed for a reason that may pass, else DirectoryError.
        """
        import sqlalchemy as sa
        from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random

        def worth_trying_again(error: BaseException) -> bool:
            text = str(error).casefold()
            return isinstance(error, sa.exc.OperationalError) and not any(word in text for word in _FOR_GOOD)

        backend = engine.dialect.name
        retrying = Retrying(
            retry=retry_if_exception(worth_trying_again),
            stop=stop_after_attempt(1 if backend == "sqlite" else self.tries),
            wait=wait_exponential(multiplier=self.wait, max=30) + wait_random(0, self.wait),
            reraise=True,
        )
        options: dict[str, Any] = {"isolation_level": "REPEATABLE READ"} if backend in DRIVER_EXTRAS else {}
        if backend == "postgresql":
            options["postgresql_readonly"] = True
        with _bad_options_reworded(), self.errors_reworded(lambda error: UnreachableError if worth_trying_again(error) else DirectoryError):
            opened = retrying(engine.connect)
        streamed: list[Any] = []

        @sa.event.listens_for(engine, "before_cursor_execute")
        def note(_: object, cursor: Any, _statement: str, _parameters: object, context: Any, _many: bool) -> None:
            if context is not None and context.execution_options.get("stream_results"):
                streamed.append(cursor)

        try:
            with opened as connection:
                connection = connection.execution_options(**options)
                if backend == "sqlite":
                    connection.exec_driver_sql("BEGIN")  # Python's driver opens no transaction for reading
                self._limit_time(connection)
                yield connection
        finally:
            # While a connection breaks, its server-side cursor cannot be closed. Once the connection is closed, it can.
            for cursor in streamed:
                with suppress(Exception):
                    cursor.close()

    def _limit_time(self, connection: sa.Connection) -> None:
        """Makes PostgreSQL and MariaDB end a statement that runs longer than the time limit; a shorter limit of their own stays. For other
        databases `bounds.Deadline` alone limits the read."""
        seconds = self.timeout
        if not seconds:
            return
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(
                "SELECT set_config('statement_timeout', %s, true) FROM pg_settings WHERE name = 'statement_timeout' "
                "AND (setting::bigint = 0 OR setting::bigint > %s)",
                (f"{seconds}s", seconds * 1000),
            )
        elif getattr(connection.dialect, "is_mariadb", False):
            connection.exec_driver_sql(
                "SET SESSION max_statement_time = IF(@@max_statement_time = 0, %s, LEAST(@@max_statement_time, %s))", (seconds, seconds)
            )

    @contextmanager
    def errors_reworded(self, kind: Callable[[Exception], type[DirectoryError]] = lambda _: DirectoryError) -> Iterator[None]:
        """Turns a database's error into the class that `kind` gives for it, with the first line of what the database says: never the
        statement or the password."""
        import sqlite3

        import sqlalchemy as sa

        try:
            yield
        except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
            cause = getattr(error, "orig", None) or error
            said = (str(cause).strip() or type(cause).__name__).splitlines()[0].removesuffix(".")
            for secret in self._secrets():
                said = said.replace(secret, "***")
            raise kind(error)(
                f"{self.described} could not be read completely: {said}.", where="[directory]", hint=_what_to_do(cause)
            ) from error
        except UnicodeDecodeError as error:
            raise DirectoryError(f"{self.described} holds a value that cannot be read: {error}.", where="[directory]") from error

    def _secrets(self) -> list[str]:
        """The passwords in the URL, which no message may repeat."""
        given = [self.url.password, *(value for name, value in self.url.query.items() if "pass" in name.casefold())]
        return [secret for secret in given if isinstance(secret, str) and secret]
