"""The `sql` directory: accounts from a table, a view or a query of any database SQLAlchemy speaks to, read-only and streamed.

Everything comes from one SELECT, or with `key` from the SELECTs of one read-only transaction, so it is one consistent state of the table.
A table of SQLite is read in whole columns by a shortcut (`migrate.directory.arrow`) if its driver is installed.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from migrate.directory import arrow
from migrate.directory.bounds import PART
from migrate.directory.columns import locate
from migrate.directory.database import Database, database_url
from migrate.directory.interface import Directory, DirectorySettings, near
from migrate.errors import DirectoryError
from migrate.process.prefetch import ahead, begun
from migrate.settings import unambiguous

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import sqlalchemy as sa


STEP: Final = 1_000
"""How many rows are fetched from the database at a time."""
_SAMPLE: Final = 8
"""One row in this many is measured, to estimate how many bytes the rows take."""
_AHEAD: Final = 12
"""How many batches the shortcut reads in advance."""


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


def _in_chunks(parts: Iterable[Sequence[Sequence[Any]]], most: int) -> Iterator[Sequence[Sequence[Any]]]:
    """The same rows in chunks of about `most` rows, or fewer if the rows are long."""
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
    """Seconds before the second try to connect (`Database`)."""

    settings: SqlSettings

    def __init__(self, settings: DirectorySettings, *, shortcut: bool = True) -> None:
        super().__init__(settings)
        self._url = database_url(self.settings.url.get_secret_value())
        self._database = Database(self._url, self.describe(), self.settings.timeout, self.connect_tries, self.connect_wait)
        sqlite_table = self._url.get_backend_name() == "sqlite" and self.settings.table is not None and self.settings.key is None
        self._shortcut = shortcut and sqlite_table and arrow.available()
        self._begun: Iterator[pd.DataFrame] | None = None

    def without_shortcut(self) -> SqlDirectory:
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

        def opened() -> Generator[Any, None, None]:  # all in the thread: opening takes time, too, and an error is one of the read
            names, batches = self._shortcut_batches()
            yield names
            yield from batches

        def frames(made: Iterator[Any]) -> Iterator[pd.DataFrame]:
            names = next(made)
            yield from arrow.frames(made, names)

        with begun(opened(), _AHEAD) as made:
            self._begun = frames(made)
            try:
                yield
            finally:
                self._begun = None

    def frames(self) -> Iterator[pd.DataFrame]:
        if self._shortcut:
            yield from self._shortcut_frames()
            return
        engine = self._database.engine()
        try:
            with self._database.errors_reworded(), self._database.connect(engine) as connection:
                if self.settings.table is not None:
                    yield from self._table(connection, self.settings.table)
                else:
                    yield from self._query(connection, self.settings.query or "")
        finally:
            engine.dispose()

    def _table(self, connection: sa.Connection, name: str) -> Iterator[pd.DataFrame]:
        import sqlalchemy as sa

        schema, table, declared, theirs_of = self._located(connection, name)
        source = sa.table(sa.quoted_name(table, True), schema=sa.quoted_name(schema, True) if schema else None)
        columns: list[sa.ColumnClause[Any]] = [sa.column(sa.quoted_name(theirs, True)) for theirs in theirs_of.values()]
        if self.settings.key is None:
            options = self._streamed(connection)
            # A server's cursor is closed here even if nothing is fetched from it, or the read breaks off.
            with connection.execution_options(**options).execute(sa.select(*columns).select_from(source)) as result:
                yield from self._frames_of(list(theirs_of), self._fetched(result))
        else:
            yield from self._frames_of(list(theirs_of), self._pages(connection, source, columns, list(declared)))

    def _located(self, connection: sa.Connection, name: str) -> tuple[str | None, str, dict[str, Any], dict[str, str]]:
        """A table's schema and its own name; its columns with their types; and our column names → theirs."""
        import sqlalchemy as sa

        inspector = sa.inspect(connection)
        schema, table = self._find_table(inspector, name)
        with warnings.catch_warnings():
            # SQLAlchemy warns of each column whose type it does not know; its values are read all the same.
            warnings.simplefilter("ignore", sa.exc.SAWarning)
            declared = {str(column["name"]): column["type"] for column in inspector.get_columns(table, schema)}
        present = list(declared)
        place_of = locate(self.settings, present, source=f"the table {name}")
        return schema, table, declared, {ours: present[i] for ours, i in place_of.items()}

    def _shortcut_batches(self) -> tuple[list[str], Generator[pa.RecordBatch, None, None]]:
        """Our names of the table's columns, and its rows in batches, by the shortcut."""
        engine = self._database.engine()
        try:
            with self._database.errors_reworded(), self._database.connect(engine) as connection:
                _, table, declared, theirs_of = self._located(connection, self.settings.table or "")
                kind = connection.exec_driver_sql("SELECT type FROM sqlite_master WHERE name = ? COLLATE NOCASE", (table,)).scalar()
        finally:
            engine.dispose()
        types = {theirs: str(declared[theirs]) for theirs in theirs_of.values()}
        # A view may compute values of any length, and the shortcut has no limit for them.
        batches = arrow.refused() if kind == "view" else arrow.batches(Path(self._url.database or ""), table, theirs_of, types)
        return list(theirs_of), batches

    def _shortcut_frames(self) -> Iterator[pd.DataFrame]:
        # The read that `begun` started can be used once; the next call starts a new one.
        read, self._begun = self._begun, None
        if read is None:
            names, batches = self._shortcut_batches()
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
            return {}  # its cursors always stream
        return {"stream_results": True, "yield_per": min(STEP, self.chunk_rows)}

    def _query(self, connection: sa.Connection, query: str) -> Iterator[pd.DataFrame]:
        options: dict[str, Any] = self._streamed(connection) | {"no_parameters": True}
        if connection.dialect.name == "sqlite":
            options["sqlite_raw_colnames"] = True
        with connection.exec_driver_sql(query, execution_options=options) as result:  # closed as in `_table`
            if not result.returns_rows:
                raise DirectoryError("is a statement that returns no rows.", where="[directory] query", hint="Write a SELECT.")
            present = list(result.keys())
            place_of = locate(self.settings, present, source="the query")
            places = list(place_of.values())
            rows = ([[row[i] for i in places] for row in part] for part in self._fetched(result))
            yield from self._frames_of(list(place_of), rows)

    def _fetched(self, result: sa.CursorResult[Any]) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows, `STEP` at a time. Those of SQLite come from the driver's own cursor, since SQLAlchemy has nothing to convert there."""
        if result.context.dialect.name != "sqlite":
            yield from result.partitions()
            return
        while rows := result.cursor.fetchmany(min(STEP, self.chunk_rows)):
            yield rows

    def _pages(self, connection: sa.Connection, source: Any, columns: list[Any], present: list[str]) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows page by page in order of the key: each page starts after the last key of the page before.

        Rows whose key is missing or repeated could be skipped silently. So the rows are counted as well, and DirectoryError is raised if a
        row is missing.
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

    def _frames_of(self, names: list[str], parts: Any) -> Iterator[pd.DataFrame]:
        import pandas as pd

        from migrate.directory.text import column

        position = 0
        for part in _in_chunks(parts, self.chunk_rows):
            frame = pd.DataFrame({name: column(values) for name, values in zip(names, zip(*part, strict=True), strict=True)})
            frame["position"] = range(position + 1, position + len(frame) + 1)
            position += len(frame)
            yield frame
