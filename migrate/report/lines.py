"""Lines: report tables as CSV (RFC 4180, UTF-8, LF), whole columns at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Protocol

from migrate.report import cells, octets, repeats
from migrate.report.cells import Cells, CellType

if TYPE_CHECKING:
    import pyarrow as pa


class Out(Protocol):
    """What lines are written to."""

    def write(self, data: bytes | memoryview, /) -> object: ...


def header(columns: Iterable[str]) -> bytes:
    """The first line of a table."""
    return (",".join(columns) + "\n").encode()


def records(rows: Cells, columns: Mapping[str, CellType]) -> pa.Array:
    """A CSV record for each row, line end included, as a column of text: the data of the column, in one piece, is the body of the file.

    A missing value is an empty field. A field is quoted if it holds a comma, a quote or a line break, and only then. Adjacent fields whose
    values repeat are joined once for each combination of values.
    """
    fields = [_field(rows.table[name], of) for name, of in columns.items()]
    parts: list[pa.Array] = []
    for short, run in groupby(fields, repeats.is_short):
        adjacent = list(run)
        parts += [_combined(adjacent)] if short else adjacent
    if repeats.is_short(parts[-1]):
        parts[-1] = repeats.with_values(parts[-1], _put_together(parts[-1].dictionary, _text("\n"), between=""))
    else:
        parts[-1] = _put_together(parts[-1], _text("\n"), between="")
    return _put_together(*(repeats.plain(part) for part in parts))


def bounds(rows: pa.Array) -> memoryview:
    """The byte offsets of the records of `records` in the buffer of the column: where each begins and, last, where the last one ends. The
    `body` begins at the first of them."""
    return memoryview(rows.buffers()[1]).cast("q")[rows.offset : rows.offset + len(rows) + 1]


def body(rows: pa.Array) -> memoryview:
    """All the bytes of `records`, in one piece."""
    at = bounds(rows)
    return memoryview(rows.buffers()[2] or b"")[at[0] : at[-1]]


def write(out: Out, tables: Iterable[Cells], columns: Mapping[str, CellType]) -> int:
    """Writes a header and the records of some tables; returns how many records."""
    out.write(header(columns))
    count = 0
    for table in tables:
        append(out, table, columns)
        count += table.count
    return count


def append(out: Out, table: Cells, columns: Mapping[str, CellType]) -> None:
    """Writes the records of a table."""
    if table.count:
        out.write(body(records(table, columns)))


def _field(column: pa.ChunkedArray, of: CellType) -> pa.Array:
    """A column as CSV fields. Only text and words may need quotes."""
    written = cells.written(repeats.shortened(column), of)
    if of not in ("text", "word"):
        return written
    return repeats.with_values(written, _quoted(written.dictionary)) if repeats.is_short(written) else _quoted(written)


def _combined(run: list[pa.DictionaryArray]) -> pa.DictionaryArray:
    """Adjacent fields joined by commas, as one column."""
    import pyarrow as pa

    found = repeats.combinations(run)
    texts = _put_together(*(repeats.plain(field.take(pa.array(found.row))) for field in run))
    return pa.DictionaryArray.from_arrays(pa.array(found.number), texts)


def _put_together(*parts: pa.Array | pa.Scalar, between: str = ",") -> pa.Array:
    import pyarrow.compute as pc

    if len(parts) == 1:
        return pc.fill_null(parts[0], "")
    return pc.binary_join_element_wise(*parts, _text(between), null_handling="replace", null_replacement="")


def _quoted(fields: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    special = octets.special(fields)
    if special is None:
        return fields
    inside = pc.replace_substring(fields.filter(special), '"', '""')
    return pc.replace_with_mask(fields, special, _put_together(_text('"'), inside, _text('"'), between=""))


def _text(text: str) -> pa.Scalar:
    import pyarrow as pa

    return pa.scalar(text, pa.large_string())
