"""A shortcut for tables of SQLite: whole columns at a time through ADBC, where its driver is installed (`pip install 'sms-migrate[fast]'`).

It gives the very values that the long way gives, or none: a column whose values might be told otherwise there is `Unlike`, and the table
is then read the long way.
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


class Unlike(Exception):  # noqa: N818 - it is no error: it asks for the long way
    """What is read might differ from what the long way gives."""


def unlike() -> Generator[pa.RecordBatch, None, None]:
    """Asks for the long way as soon as anybody asks for rows."""
    yield from ()
    raise Unlike


def available() -> bool:
    """True if the driver is installed."""
    return find_spec("adbc_driver_sqlite") is not None


def textual(declared: str) -> bool:
    """True if a SQLite column declared so holds text, whatever was put in (SQLite, "Datatypes", §3.1)."""
    kind = declared.upper()
    return "INT" not in kind and any(word in kind for word in ("CHAR", "CLOB", "TEXT"))


def batches(path: Path, table: str, columns: Mapping[str, str], declared: Mapping[str, str]) -> Generator[pa.RecordBatch, None, None]:
    """The table, `ROWS` at a time, as `frames` takes it; `columns` is our name → theirs, `declared` their name → the declared type."""
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    wanted = ", ".join(_quoted(theirs) if textual(declared[theirs]) else _no_fraction(theirs) for theirs in columns.values())
    # The driver takes a column's type from its first values: a first row of texts makes every column one of text.
    first = ", ".join("''" for _ in columns)
    yield from _batches(uri, f"SELECT {first} UNION ALL SELECT {wanted} FROM {_quoted(table)}")  # noqa: S608 - names are quoted


def frames(read: Iterable[pa.RecordBatch], names: list[str]) -> Iterator[pd.DataFrame]:
    """`batches`, a frame after the other, with our `names`. Raises Unlike, maybe after some frames were given."""
    position = -1
    for batch in read:
        rows = batch.slice(1) if position < 0 else batch
        yield _frame(rows, names, max(position, 0))
        position += batch.num_rows


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _no_fraction(name: str) -> str:
    """A column's value; or, for a fraction or bytes, something that is no text. A fraction is text to the last digit only the long way."""
    return f"CASE WHEN typeof({_quoted(name)}) IN ('real', 'blob') THEN x'ff' ELSE {_quoted(name)} END"


def _batches(uri: str, statement: str) -> Generator[pa.RecordBatch, None, None]:
    # Not by the driver's DB-API module: it loads pandas, and what is read here is read while the program still loads that.
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
        raise Unlike from error


def _frame(batch: pa.RecordBatch, names: list[str], position: int) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    found: dict[str, Any] = {}
    for name, column in zip(names, batch.columns, strict=True):
        if not pa.types.is_string(column.type):
            raise Unlike
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            raise Unlike from error
        found[name] = pd.Series(pd.array(column, dtype="str"))
    return pd.DataFrame(found | {"position": range(position + 1, position + batch.num_rows + 1)})
