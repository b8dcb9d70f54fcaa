"""Lines: report tables as CSV (RFC 4180, UTF-8, LF), whole columns at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, BinaryIO

from migrate.report import cells
from migrate.report.cells import CellType

if TYPE_CHECKING:
    import pyarrow as pa


def header(columns: Iterable[str]) -> bytes:
    """The first line of a table."""
    return (",".join(columns) + "\n").encode()


def records(table: pa.Table, columns: Mapping[str, CellType]) -> pa.Array:
    """One CSV record a row, each with its line end: a column of text whose data, put together, is the body of the file.

    A missing value is an empty field. A field is quoted where it holds a comma, a quote or a line break, and only there.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    fields = [_field(table[name], of) for name, of in columns.items()]
    comma, nothing, end = (pa.scalar(text, pa.large_string()) for text in (",", "", "\n"))
    blank = {"null_handling": "replace", "null_replacement": ""}
    fields[-1] = pc.binary_join_element_wise(fields[-1], end, nothing, **blank)
    return pc.binary_join_element_wise(*fields, comma, **blank)


def bounds(rows: pa.Array) -> memoryview:
    """Where each record of `records` begins in its `body`, and, last, where the body ends: byte offsets."""
    return memoryview(rows.buffers()[1]).cast("q")[rows.offset : rows.offset + len(rows) + 1]


def body(rows: pa.Array) -> memoryview:
    """All the bytes of `records`, in one piece."""
    at = bounds(rows)
    return memoryview(rows.buffers()[2] or b"")[at[0] : at[-1]]


def write(out: BinaryIO, tables: Iterable[pa.Table], columns: Mapping[str, CellType]) -> int:
    """Writes a header and the records of some tables; returns how many records."""
    out.write(header(columns))
    count = 0
    for table in tables:
        if table.num_rows:
            out.write(body(records(table, columns)))
            count += table.num_rows
    return count


def _field(column: pa.ChunkedArray, of: CellType) -> pa.Array:
    """Words are few: each is quoted once. What is neither text nor a word needs no quotes."""
    import pyarrow.compute as pc

    if of == "word":
        seen = pc.dictionary_encode(column.combine_chunks())
        return pc.take(_quoted(seen.dictionary), seen.indices)
    written = cells.written(column, of)
    return _quoted(written) if of == "text" else written


def _quoted(fields: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    special = pc.match_substring_regex(fields, '[",\r\n]')
    if not pc.any(special).as_py():
        return fields
    quote = pa.scalar('"', pa.large_string())
    inside = pc.replace_substring(fields, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise(quote, inside, quote, pa.scalar("", pa.large_string())), fields)
