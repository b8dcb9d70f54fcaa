"""Cells: the text of one field of a report, safe in any spreadsheet and exact to the microsecond.

Text from the directory is hostile (design §12). A cell that a spreadsheet would run as a formula gets an apostrophe in front; removing one
apostrophe gives the text back. So does a cell with text after a semicolon or `|` that would be a formula if a spreadsheet split the cell
there. Line breaks and tabs become a space; control, bidirectional and invisible characters are removed. Only columns of type `text` hold
words that are not ours; the others are never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from migrate import outside
from migrate.report import octets, repeats

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CellType = Literal["text", "word", "boolean", "integer", "number", "instant", "date"]
"""`text` was written by somebody else, `word` is our own vocabulary, `number` a share; `instant` is UTC, `date` a day in the campaign's
zone."""

_FORMULA: Final = f"^{outside.PASSED_OVER}{outside.FORMULA}"
_BEHIND: Final = f"({outside.SEPARATORS})({outside.PASSED_OVER}{outside.FORMULA})"
_SPACED: Final = outside.re2(outside.BREAKS) + "+"
_REMOVED: Final = outside.re2(outside.CONTROLS, outside.BIDIRECTIONAL, outside.NONCHARACTERS, outside.MARKS)


@dataclass(frozen=True, slots=True)
class Cells:
    """A table whose text was made `safe`; files are written from it alone. `typed` and `safely` make it."""

    table: pa.Table

    @property
    def count(self) -> int:
        """How many rows it has."""
        return int(self.table.num_rows)


def safe(text: pa.Array) -> pa.Array:
    """A column of text without control characters in which no cell is a formula; the same column if nothing had to change.

    Few cells begin like a formula or have other characters than ASCII: only those are processed one by one.
    """
    import pyarrow.compute as pc

    if repeats.is_short(text):
        return repeats.with_values(text, safe(text.dictionary))
    doubtful = octets.doubtful(text)
    if doubtful is None:
        return text
    seen = text.filter(doubtful)
    made = _safe(seen)
    return text if made is seen else pc.replace_with_mask(text, doubtful, made)


def safely(table: pa.Table, columns: Mapping[str, CellType]) -> Cells:
    """A table of typed columns with all its text made `safe`; dictionaries stay dictionaries."""
    import pyarrow as pa

    found = {name: repeats.whole(table[name]) for name in columns}
    return Cells(pa.table({name: safe(found[name]) if of == "text" else found[name] for name, of in columns.items()}))


def _safe(text: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    if not pc.any(pc.match_substring_regex(text, f"{_SPACED}|{_REMOVED}|{_FORMULA}|{_BEHIND}")).as_py():
        return text
    if pc.any(pc.match_substring_regex(text, f"{_SPACED}|{_REMOVED}")).as_py():
        text = pc.replace_substring_regex(pc.replace_substring_regex(text, _SPACED, " "), _REMOVED, "")
    formula = pc.match_substring_regex(text, _FORMULA)
    if pc.any(formula).as_py():
        text = pc.if_else(formula, pc.binary_join_element_wise(_scalar("'"), text, _scalar("")), text)
    if pc.any(pc.match_substring_regex(text, _BEHIND)).as_py():
        text = pc.replace_substring_regex(text, _BEHIND, r"\1'\2")
    return text


def typed(frame: pd.DataFrame, columns: Mapping[str, CellType]) -> Cells:
    """The declared columns of a frame, in their order and types, with all text made `safe`. Days are given as ISO text."""
    import pyarrow as pa

    return Cells(pa.table({name: _column(frame[name], of) for name, of in columns.items()}))


def schema(columns: Mapping[str, CellType]) -> pa.Schema:
    """The Arrow schema of a table with the given columns; a value may be missing in any of them."""
    import pyarrow as pa

    return pa.schema([(name, arrow(of)) for name, of in columns.items()])


def written(column: pa.Array | pa.ChunkedArray, of: CellType) -> pa.Array:
    """A typed column as text. A missing value stays null, and a dictionary stays a dictionary.

    Booleans are true and false; days and instants are ISO 8601, `2024-01-30T14:00:00Z`, with microseconds only where they are not zero.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    values = repeats.whole(column)
    if of in ("text", "word"):
        return values
    if repeats.is_short(values):
        return repeats.with_values(values, written(values.dictionary, of))
    if of != "instant":
        return pc.cast(values, pa.large_string())
    plain = pc.cast(pc.cast(values, pa.timestamp("us")), pa.large_string())
    return pc.replace_substring_regex(plain, r"^(.{10}) (.{8})(?:\.000000)?(.*)$", r"\1T\2\3Z")


def arrow(of: CellType) -> pa.DataType:
    """The Arrow type of a column."""
    import pyarrow as pa

    return {
        "text": pa.large_string(),
        "word": pa.large_string(),
        "boolean": pa.bool_(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "instant": pa.timestamp("us", tz="UTC"),
        "date": pa.date32(),
    }[of]


def _column(values: pd.Series, of: CellType) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    if of == "date":
        return pc.cast(pa.array(values.astype("str"), type=pa.large_string(), from_pandas=True), pa.date32())
    found = pa.array(values, type=arrow(of), from_pandas=True)
    if isinstance(found, pa.ChunkedArray):
        found = found.combine_chunks()
    return safe(found) if of == "text" else found


def _scalar(text: str) -> pa.Scalar:
    import pyarrow as pa

    return pa.scalar(text, pa.large_string())
