"""The `sql` directory: a table, a view or a query of any database SQLAlchemy speaks to, read-only and streamed.

What is read is one SELECT, so one consistent state of the table; with `key`, the SELECTs of one read-only transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self
from urllib.parse import quote

from pydantic import Field, SecretStr, field_validator, model_validator

from migrate.directory import arrow
from migrate.directory.bounds import PART, VALUE
from migrate.directory.columns import locate
from migrate.directory.interface import Directory, DirectorySettings, near
from migrate.errors import ConfigError, DirectoryError, UnreachableError
from migrate.process.prefetch import ahead, begun
from migrate.settings import DRIVER_EXTRAS, DRIVERS, unambiguous

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import sqlalchemy as sa

URL: Final = "[directory] url"

_KNOWN: Final = ("sqlite", "postgresql", "mysql", "mariadb", "mssql", "oracle")
_FOR_GOOD: Final = ("authentication", "denied", "does not exist", "unknown database")


STEP: Final = 1_000
"""Rows that are fetched together."""
_SAMPLE: Final = 8
"""Of so many rows one is measured."""
_AHEAD: Final = 8
"""Batches that are read before anybody asks for the first."""
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
"""What to do, by how PostgreSQL's SQLSTATE begins and by MariaDB's number."""


def _what_to_do(cause: BaseException) -> str:
    state, number = getattr(cause, "sqlstate", None) or "", cause.args[0] if cause.args else None
    for hint, states, numbers in _HINTS:
        if (state and state.startswith(states)) or (isinstance(number, int) and number in numbers):
            return hint
    return "Try again with: migrate check"


class SqlSettings(DirectorySettings):
    """`[directory]` with `kind = "sql"`: a `table` (or `schema.table`) or a `query`; `key` reads page by page along that column."""

    kind: Literal["sql"] = "sql"
    url: SecretStr
    table: str | None = Field(None, min_length=1)
    query: str | None = Field(None, min_length=1)
    key: str | None = Field(None, min_length=1)

    @field_validator("url")
    @classmethod
    def _unambiguous(cls, url: SecretStr) -> SecretStr:
        unambiguous(url.get_secret_value())
        return url

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError('give either table = "…" or query = "select …"')
        if self.query is not None and self.key is not None:
            raise ValueError("key goes with table; order a query yourself")
        return self


def _url(text: str) -> sa.URL:
    """The URL with a driver we ship for; `ConfigError` if it is none, without repeating it: it may hold a password."""
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
        pass  # a driver that is not installed is told when it is needed, with how to install it
    return url


@contextmanager
def _options_told() -> Iterator[None]:
    """PyMySQL says what it does not like about an option of a URL in Python's words, when the engine is made or when it connects."""
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError, OSError) as error:
        what = f"has an option that the driver does not take ({type(error).__name__})."
        raise DirectoryError(what, where=URL, hint="Look at what follows the question mark.") from None


def _gathered(parts: Iterable[Sequence[Sequence[Any]]], most: int) -> Iterator[Sequence[Sequence[Any]]]:
    """The same rows, so many together, or fewer if they are long."""
    held: list[Sequence[Any]] = []
    size = 0
    for part in parts:
        held += part
        size += _SAMPLE * sum(len(value) for row in part[::_SAMPLE] for value in row if isinstance(value, str | bytes))
        if len(held) >= most or size >= PART:
            yield held
            held, size = [], 0
    if held:
        yield held


class SqlDirectory(Directory):
    """Reads a table, a view or a query."""

    kind = "sql"
    Settings = SqlSettings

    chunk_rows: ClassVar[int] = 25_000
    connect_tries: ClassVar[int] = 3
    connect_wait: ClassVar[float] = 1.0
    """Seconds before the second try; twice as long before the third, and up to as long again by chance."""

    settings: SqlSettings

    def __init__(self, settings: DirectorySettings, *, shortcut: bool = True) -> None:
        super().__init__(settings)
        self._url = _url(self.settings.url.get_secret_value())
        short = self._url.get_backend_name() == "sqlite" and self.settings.table is not None and self.settings.key is None
        self._shortcut = shortcut and short and arrow.available()
        self._begun: Iterator[pd.DataFrame] | None = None

    def long_way(self) -> SqlDirectory:
        return SqlDirectory(self.settings, shortcut=False)

    def describe(self) -> str:
        what = f"table {self.settings.table}" if self.settings.table else "a query"
        # Drivers take passwords as URL parameters too, and those are not hidden: leave all parameters out.
        return f"{what} of {self._url.set(query={}).render_as_string(hide_password=True)}"

    @contextmanager
    def begun(self) -> Iterator[None]:
        if not self._shortcut:
            yield
            return
        names, batches = self._columns()
        with begun(batches, _AHEAD) as made:
            self._begun = arrow.frames(made, names)
            try:
                yield
            finally:
                self._begun = None

    def frames(self) -> Iterator[pd.DataFrame]:
        if self._shortcut:
            yield from self._column_by_column()
            return
        engine = self._engine()
        try:
            with self._told(), self._connect(engine) as connection:
                if self.settings.table is not None:
                    yield from self._table(connection, self.settings.table)
                else:
                    yield from self._query(connection, self.settings.query or "")
        finally:
            engine.dispose()

    def _engine(self) -> sa.Engine:
        import sqlalchemy as sa

        backend = self._url.get_backend_name()
        try:
            if backend == "sqlite":
                return sa.create_engine("sqlite://", creator=self._open_file, poolclass=sa.NullPool)
            timeout = {"connect_timeout": 10} if backend in DRIVER_EXTRAS and "connect_timeout" not in self._url.query else {}
            # A pooler may give the next read a session in which a statement of this one would still be prepared.
            unprepared = {"prepare_threshold": None} if self._url.drivername == "postgresql+psycopg" else {}
            with _options_told():
                engine = sa.create_engine(self._url, poolclass=sa.NullPool, connect_args=timeout | unprepared)
        except ImportError as error:
            extra = DRIVER_EXTRAS.get(backend)
            hint = f"Install it: pip install 'sms-migrate[{extra}]'" if extra else "Install the database's Python driver beside migrate."
            raise DirectoryError(f"the driver for {backend} is missing ({error}).", where=URL, hint=hint) from error
        if backend in ("mysql", "mariadb"):

            @sa.event.listens_for(engine, "connect")
            def read_only(connection: Any, _: object) -> None:
                with connection.cursor() as cursor:
                    cursor.execute("SET SESSION TRANSACTION READ ONLY")

        if self._url.drivername == "postgresql+psycopg":
            from psycopg.types.string import TextLoader

            @sa.event.listens_for(engine, "connect")
            def instants_as_text(connection: Any, _: object) -> None:
                # As datetimes they could not be read: `infinity` and years beyond 9999 are instants in PostgreSQL.
                for name in ("date", "timestamp", "timestamptz"):
                    connection.adapters.register_loader(name, TextLoader)

        return engine

    def _open_file(self) -> Any:
        """A connection that can neither change the file nor create it."""
        import sqlite3

        path = Path(self._url.database or "")
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            hint = "Correct the path; a relative one starts at the configuration file's folder."
            raise DirectoryError(f"the SQLite file {path} {what}.", where=URL, hint=hint)
        opened = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=30)
        opened.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE)
        return opened

    @contextmanager
    def _connect(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        import sqlalchemy as sa
        from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random

        def worth_trying_again(error: BaseException) -> bool:
            text = str(error).casefold()
            return isinstance(error, sa.exc.OperationalError) and not any(word in text for word in _FOR_GOOD)

        backend = engine.dialect.name
        retrying = Retrying(
            retry=retry_if_exception(worth_trying_again),
            stop=stop_after_attempt(1 if backend == "sqlite" else self.connect_tries),
            wait=wait_exponential(multiplier=self.connect_wait, max=30) + wait_random(0, self.connect_wait),
            reraise=True,
        )
        options: dict[str, Any] = {"isolation_level": "REPEATABLE READ"} if backend in DRIVER_EXTRAS else {}
        if backend == "postgresql":
            options["postgresql_readonly"] = True
        with _options_told(), self._told(lambda error: UnreachableError if worth_trying_again(error) else DirectoryError):
            opened = retrying(engine.connect)
        with opened as connection:
            connection = connection.execution_options(**options)
            if backend == "sqlite":
                connection.exec_driver_sql("BEGIN")  # Python's driver opens no transaction for reading
            self._limit_time(connection)
            yield connection

    def _limit_time(self, connection: sa.Connection) -> None:
        """Lets the server give up what nobody waits for any more; a limit that it has of its own stays, if it is narrower."""
        seconds = self.settings.timeout
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
    def _told(self, kind: Callable[[Exception], type[DirectoryError]] = lambda _: DirectoryError) -> Iterator[None]:
        """Turns what a database says into one paragraph of a `kind`: its first line, never the statement or the password."""
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
                f"{self.describe()} could not be read completely: {said}.", where="[directory]", hint=_what_to_do(cause)
            ) from error
        except UnicodeDecodeError as error:
            raise DirectoryError(f"{self.describe()} holds a value that cannot be read: {error}.", where="[directory]") from error

    def _secrets(self) -> list[str]:
        given = [self._url.password, *(value for name, value in self._url.query.items() if "pass" in name.casefold())]
        return [secret for secret in given if isinstance(secret, str) and secret]

    def _table(self, connection: sa.Connection, name: str) -> Iterator[pd.DataFrame]:
        import sqlalchemy as sa

        schema, table, declared, found = self._located(connection, name)
        source = sa.table(sa.quoted_name(table, True), schema=sa.quoted_name(schema, True) if schema else None)
        columns: list[sa.ColumnClause[Any]] = [sa.column(sa.quoted_name(theirs, True)) for theirs in found.values()]
        if self.settings.key is None:
            result = connection.execution_options(**self._streamed(connection)).execute(sa.select(*columns).select_from(source))
            yield from self._chunks(list(found), self._fetched(result))
        else:
            yield from self._chunks(list(found), self._pages(connection, source, columns, list(declared)))

    def _located(self, connection: sa.Connection, name: str) -> tuple[str | None, str, dict[str, Any], dict[str, str]]:
        """A table's schema and its own name; its columns, with their types; and which of them are ours, our name → theirs."""
        import sqlalchemy as sa

        inspector = sa.inspect(connection)
        schema, table = self._find_table(inspector, name)
        declared = {str(column["name"]): column["type"] for column in inspector.get_columns(table, schema)}
        present = list(declared)
        found = locate(self.settings, present, source=f"the table {name}")
        return schema, table, declared, {ours: present[i] for ours, i in found.items()}

    def _columns(self) -> tuple[list[str], Generator[pa.RecordBatch, None, None]]:
        """The short way: our names of the table's columns, and what they hold."""
        engine = self._engine()
        try:
            with self._told(), self._connect(engine) as connection:
                _, table, declared, found = self._located(connection, self.settings.table or "")
                made = connection.exec_driver_sql("SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE", (table,)).scalar()
        finally:
            engine.dispose()
        types = {theirs: str(declared[theirs]) for theirs in found.values()}
        # A view may make values of any length, and only the long way has a limit for them.
        given = arrow.unlike() if made == "view" else arrow.batches(Path(self._url.database or ""), table, found, types)
        return list(found), given

    def _column_by_column(self) -> Iterator[pd.DataFrame]:
        # What has begun is given once; whoever asks again gets a read of its own.
        read, self._begun = self._begun, None
        if read is None:
            names, batches = self._columns()
            read = arrow.frames(ahead(batches), names)
        yield from read

    def _find_table(self, inspector: sa.Inspector, name: str) -> tuple[str | None, str]:
        schema, dot, table = name.partition(".")
        if inspector.has_table(name):
            return None, name
        if dot and inspector.has_table(table, schema):
            return schema, table
        present = [] if dot else [*inspector.get_table_names(), *inspector.get_view_names()]
        known = f"; {near(name, present)}" if present else "."
        hint = "Name a table or a view, or schema.table."
        raise DirectoryError(f"there is no table {name!r}{known}", where="[directory] table", hint=hint)

    def _streamed(self, connection: sa.Connection) -> dict[str, Any]:
        if connection.dialect.name == "sqlite":
            return {}  # its cursors stream by nature
        return {"stream_results": True, "yield_per": min(STEP, self.chunk_rows)}

    def _query(self, connection: sa.Connection, query: str) -> Iterator[pd.DataFrame]:
        options: dict[str, Any] = self._streamed(connection) | {"no_parameters": True}
        if connection.dialect.name == "sqlite":
            options["sqlite_raw_colnames"] = True
        result = connection.exec_driver_sql(query, execution_options=options)
        if not result.returns_rows:
            raise DirectoryError("is a statement that returns no rows.", where="[directory] query", hint="Write a SELECT.")
        present = list(result.keys())
        found = locate(self.settings, present, source="the query")
        wanted = list(found.values())
        rows = ([[row[i] for i in wanted] for row in part] for part in self._fetched(result))
        yield from self._chunks(list(found), rows)

    def _fetched(self, result: sa.CursorResult[Any]) -> Iterator[Sequence[Sequence[Any]]]:
        """Rows by the chunk. From SQLite they come as the driver made them: nothing is left there for SQLAlchemy to convert."""
        if result.context.dialect.name != "sqlite":
            yield from result.partitions()
            return
        while rows := result.cursor.fetchmany(min(STEP, self.chunk_rows)):
            yield rows

    def _pages(self, connection: sa.Connection, source: Any, columns: list[Any], present: list[str]) -> Iterator[Sequence[Sequence[Any]]]:
        """Pages along the key, each after the last key of the one before.

        A key with gaps in its order (missing or repeated values) would lose rows silently, so the rows are counted as well.
        """
        import sqlalchemy as sa

        name = self.settings.key or ""
        if name not in present:
            raise DirectoryError(f"the table has no column {name!r}; {near(name, present)}", where="[directory] key")
        key: sa.ColumnClause[Any] = sa.column(sa.quoted_name(name, True))
        select = sa.select(*columns, key.label("migrate_key")).select_from(source).order_by(key).limit(self.chunk_rows)
        rows = connection.execute(sa.select(sa.func.count()).select_from(source)).scalar_one()
        page = connection.execute(select).fetchall()
        read = 0
        while page:
            read += len(page)
            yield [row[:-1] for row in page]
            if page[-1][-1] is None:
                break
            page = connection.execute(select.where(key > page[-1][-1])).fetchall()
        if read != rows:
            raise DirectoryError(
                f"paging along {name!r} found {read} of {rows} rows, so its values are not unique or some are missing.",
                where="[directory] key",
                hint="Name the table's primary key, or leave key out.",
            )

    def _chunks(self, names: list[str], parts: Any) -> Iterator[pd.DataFrame]:
        import pandas as pd

        from migrate.directory.text import column

        position = 0
        for part in _gathered(parts, self.chunk_rows):
            frame = pd.DataFrame({name: column(held) for name, held in zip(names, zip(*part, strict=True), strict=True)})
            frame["position"] = range(position + 1, position + len(frame) + 1)
            position += len(frame)
            yield frame
