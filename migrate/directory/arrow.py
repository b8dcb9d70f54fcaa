"""A shortcut for tables of SQLite: ADBC reads whole columns at a time, if its driver is installed (`pip install 'sms-migrate[fast]'`).

The table goes in, and frames of text come out: the same values that `migrate.directory.sql` gives through SQLAlchemy. Where the text could
differ, as it does for fractions and bytes, `ShortcutRefused` is raised, and the caller reads the whole table through SQLAlchemy instead
(`Directory.without_shortcut`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

ROWS: Final = 32768


class ShortcutRefused(Exception):  # noqa: N818 - no error: the caller reads without the shortcut
    """The shortcut might give other values than SQLAlchemy, or cannot read the table."""


def refused() -> Generator[pa.RecordBatch, None, None]:
    """Batches of a table that the shortcut is not for: raises ShortcutRefused when the first is asked for."""
    yield from ()
    raise ShortcutRefused


def available() -> bool:
    """True if the driver is installed."""
    return find_spec("adbc_driver_sqlite") is not None


def textual(declared: str) -> bool:
    """True if a SQLite column with this declared type converts numbers to text when they are stored (SQLite, "Datatypes", §3.1)."""
    kind = declared.upper()
    return "INT" not in kind and any(word in kind for word in ("CHAR", "CLOB", "TEXT"))


def batches(path: Path, table: str, columns: Mapping[str, str], declared: Mapping[str, str]) -> Generator[pa.RecordBatch, None, None]:
    """The table's rows, `ROWS` at a time, for `frames`; `columns` is our name → theirs, `declared` their name → the declared type.

    The first row is not the table's: it holds an empty text in each column.
    """
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    wanted = ", ".join(_quoted(theirs) if textual(declared[theirs]) else _no_fraction(theirs) for theirs in columns.values())
    # The driver infers a column's type from its first values: a first row of texts makes every column a text column.
    first = ", ".join("''" for _ in columns)
    yield from _batches(uri, f"SELECT {first} UNION ALL SELECT {wanted} FROM {_quoted(table)}")  # noqa: S608 - names are quoted


def frames(read: Iterable[pa.RecordBatch], names: list[str]) -> Iterator[pd.DataFrame]:
    """The rows of `batches` as frames with our `names` and `position`. Raises ShortcutRefused, maybe after some frames were given."""
    position = -1
    for batch in read:
        rows = batch.slice(1) if position < 0 else batch
        yield _frame(rows, names, max(position, 0))
        position += batch.num_rows


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _no_fraction(name: str) -> str:
    """SQL for a column's value. It gives bytes that are no valid text for a fraction or for bytes, so that `_frame` refuses the column:
    SQLite writes fractions with fewer digits than Python."""
    return f"CASE WHEN typeof({_quoted(name)}) IN ('real', 'blob') THEN x'ff' ELSE {_quoted(name)} END"


def _batches(uri: str, statement: str) -> Generator[pa.RecordBatch, None, None]:
    # Without the driver's DB-API module: it imports pandas, and this may run in a thread while the program is still importing it.
    import adbc_driver_manager as adbc
    import adbc_driver_sqlite as sqlite
    import pyarrow as pa

    try:
        with sqlite.connect(uri) as database, adbc.AdbcConnection(database) as connection, adbc.AdbcStatement(connection) as cursor:
            cursor.set_options(**{sqlite.StatementOptions.BATCH_ROWS.value: str(ROWS)})
            cursor.set_sql_query(statement)
            handle, _ = cursor.execute_query()
            with pa.RecordBatchReader.from_stream(handle) as read:
                yield from read
    except (adbc.Error, pa.ArrowException, OSError) as error:
        raise ShortcutRefused from error


def _frame(batch: pa.RecordBatch, names: list[str], position: int) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    texts: dict[str, Any] = {}
    for name, column in zip(names, batch.columns, strict=True):
        if not pa.types.is_string(column.type):
            raise ShortcutRefused
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            raise ShortcutRefused from error
        texts[name] = pd.Series(pd.array(column, dtype="str"))
    return pd.DataFrame(texts | {"position": range(position + 1, position + batch.num_rows + 1)})
