"""Limits for sources: how much is held in memory at a time, and what is too large for an export (docs/connect.md, "How much of it").

A compressed file of 63 KB may unpack to gigabytes. So sizes are checked before something is unpacked, or counted while it is.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path
from time import monotonic
from typing import IO, TYPE_CHECKING, Any, Final
from zipfile import ZipFile

from migrate.errors import DirectoryError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from migrate.directory.interface import Directory

MIB: Final = 1 << 20
PATH: Final = "[directory] path"

VALUE: Final = MIB
"""How many bytes a value, or a line of a text file, has at most."""
ROWS: Final = 50_000_000
"""How many rows a whole read has at most."""
PART: Final = 16 * MIB
"""How many bytes of rows are translated together: a chunk ends here, however few its rows are."""
RECORDS: Final = 64
"""How many records of a text file are parsed together."""
TOGETHER: Final = 8 * MIB
"""How many bytes these records may have together."""

ANSWER: Final = 32 * MIB
"""How many bytes an HTTP response of a directory has at most, unpacked. A page of 1,000 accounts has about 2 MB."""

_INFLATED: Final = 256 * MIB
_TIMES: Final = 200
"""A gzip file that unpacks to more than `_INFLATED` bytes, and to this many times its size, repeats the same text and is no export."""

SHEET_ROWS: Final = 1_048_576
"""How many rows a sheet has at most ("Excel specifications and limits")."""
CELL: Final = 32_767
"""How many characters a cell has at most (the same page)."""
_WORKBOOK: Final = 4096 * MIB
_SMALL_PART: Final = 16 * MIB
_STRINGS: Final = 2_000_000
_STRINGS_BYTES: Final = 96 * MIB
_BETWEEN_ROWS: Final = 8 * MIB
_BLOCK: Final = 256 << 10

_CHUNK_OF_A_COLUMN: Final = 256 * MIB
_COLUMNS: Final = 100_000
_NAMES_BYTES: Final = 16 * MIB


class Deadline:
    """The time limit of a read that starts now; 0 `seconds` set no limit."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._ends = monotonic() + seconds if seconds else inf

    def check(self) -> None:
        """Raises DirectoryError if the time limit has passed."""
        if monotonic() >= self._ends:
            raise DirectoryError(
                f"was not read to its end in {self._seconds:,} seconds. Nothing was changed.",
                where="[directory]",
                hint="A view may have no end, or a server no answer: read it by hand. If it only takes long, raise [directory] timeout.",
            )


def counted(directory: Directory, deadline: Deadline) -> Iterator[pd.DataFrame]:
    """The frames of a directory. Raises DirectoryError if they have more than `ROWS` rows, or the `deadline` has passed."""
    rows = 0
    frames = directory.frames()
    try:
        for frame in frames:
            deadline.check()
            rows += len(frame)
            if rows > ROWS:
                raise DirectoryError(
                    f"has more than {ROWS:,} rows, and no end of them was seen. Nothing was changed.",
                    where="[directory]",
                    hint="Look at what it gives: a join or a recursion may repeat every row.",
                )
            yield frame
    finally:
        if isinstance(frames, Generator):  # some connections must be closed in the thread that reads
            frames.close()


def too_much(what: str, hint: str) -> DirectoryError:
    """The error for a source that is larger than any export."""
    return DirectoryError(what, where=PATH, hint=hint)


class Metered(io.BufferedIOBase):
    """The bytes of a text file, unpacked if it is gzipped. Raises DirectoryError for a line longer than `VALUE`, for more than `TOGETHER`
    bytes since the last call of `allow`, and for a gzip file that unpacks to far more than its size."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._raw = path.open("rb")
        zipped = path.suffix.casefold() == ".gz"
        self._bytes: IO[bytes] = gzip.GzipFile(fileobj=self._raw) if zipped else self._raw  # type: ignore[assignment]
        self._zipped = zipped
        self._line = 0
        self._limit = TOGETHER
        self.taken = 0
        """How many bytes have been read."""

    def allow(self) -> None:
        """Allows `TOGETHER` more bytes from now on."""
        self._limit = self.taken + TOGETHER

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        return self.read1(size if size is not None and size >= 0 else _BLOCK)

    def read1(self, size: int = -1) -> bytes:
        block: bytes = self._bytes.read1(size if 0 <= size <= _BLOCK else _BLOCK)  # type: ignore[attr-defined]
        self.taken += len(block)
        end = max(block.rfind(b"\n"), block.rfind(b"\r"))
        self._line = len(block) - end - 1 if end >= 0 else self._line + len(block)
        if self._line > VALUE:
            raise too_much(
                f"{self._path} has a line of more than {VALUE // MIB} MiB, which is no row of a table.",
                "Export it again, as a text file with a line an account.",
            )
        if self.taken > self._limit:
            raise too_much(
                f"{self._path} has rows of more than {TOGETHER // RECORDS // 1024} KiB, near byte {self.taken:,}: a quotation mark is not "
                "closed, or it is no table of accounts.",
                "Export it again, with the columns that docs/connect.md lists.",
            )
        if self._zipped and self.taken > max(_INFLATED, _TIMES * self._raw.tell()):
            raise too_much(
                f"{self._path} unpacks to more than {_TIMES} times its size, which no export does.",
                "Unpack it and look at it.",
            )
        return block

    def close(self) -> None:
        if not self.closed:
            self._bytes.close()
            self._raw.close()
        super().close()


@contextmanager
def metered(path: Path) -> Iterator[Metered]:
    """The bytes of a text file, which is closed when the context exits."""
    source = Metered(path)
    try:
        yield source
    finally:
        source.close()


def check_workbook(path: Path) -> None:
    """Raises DirectoryError for a workbook that would unpack to more than a real workbook holds. Other errors are those of `zipfile`.

    openpyxl holds in memory: each part of the file that is no sheet, the texts that cells share, one row at a time, and a note of each row.
    """
    with ZipFile(path) as archive:
        parts = archive.infolist()
        if (whole := sum(part.file_size for part in parts)) > _WORKBOOK:
            raise too_much(
                f"{path} unpacks to {whole / MIB:,.0f} MiB, and a workbook may have {_WORKBOOK // MIB:,}.", "Save the sheet as a CSV file."
            )
        for part in parts:
            if part.file_size > _SMALL_PART:
                with archive.open(part) as raw:
                    _check_part(path, part.filename, part.file_size, raw)


def _check_part(path: Path, name: str, size: int, raw: IO[bytes]) -> None:
    """Checks a large part of a workbook: it must be a sheet, with rows at reasonable distances, or the texts that cells share."""
    rows = texts = between = text = 0
    before = b""
    while block := raw.read(_BLOCK):
        both = before + block
        rows += _begun(both, before, b"row")
        texts += _begun(both, before, b"si")
        between = _since(both, (b"<row", b":row", b"<si", b":si"), between, len(block))
        text = _since(both, (b"<",), text, len(block))
        before = block[-8:]
        if text > 8 * CELL or b"<![CDATA[" in both:
            raise too_much(f"a cell of {path} ({name}) is longer than {CELL:,} characters, which no cell is.", "Save it again as .xlsx.")
        if between > _BETWEEN_ROWS:
            raise too_much(
                f"{path} has a row, or a part without rows ({name}), of more than {_BETWEEN_ROWS // MIB} MiB.", "Save it as CSV."
            )
        if rows > SHEET_ROWS:
            raise too_much(f"{path} has more than {SHEET_ROWS:,} rows in a sheet ({name}).", "Save it as a CSV file.")
        if texts > _STRINGS or (texts and size > _STRINGS_BYTES):
            raise too_much(
                f"{path} has more than {_STRINGS:,} different texts, or more than {_STRINGS_BYTES // MIB} MiB of them.",
                "Save the sheet as a CSV file: that is read row by row.",
            )


def _begun(both: bytes, before: bytes, tag: bytes) -> int:
    """How many elements `tag` begin in a block; `both` is the end of the block before, followed by the block."""
    return sum(both.count(mark + tag + end) - before.count(mark + tag + end) for mark in (b"<", b":") for end in (b" ", b">", b"/"))


def _since(both: bytes, marks: tuple[bytes, ...], since: int, new: int) -> int:
    """How many bytes have passed since one of the marks was seen last."""
    at = max(both.rfind(mark) for mark in marks)
    return len(both) - at if at >= 0 else since + new


PARQUET_LIMITS: Final[dict[str, Any]] = {"thrift_string_size_limit": _NAMES_BYTES, "thrift_container_size_limit": _COLUMNS}
"""Limits for the metadata at the end of a Parquet file: its bytes, and its columns or row groups."""


def is_part_of(path: str, wanted: set[str]) -> bool:
    """Whether a path of a Parquet schema is one of the `wanted` columns, or lies inside one. A column's own name may hold dots."""
    return any(path == name or path.startswith(f"{name}.") for name in wanted)


def check_parquet(path: Path, metadata: Any, wanted: set[str]) -> None:
    """Raises DirectoryError if a Parquet file has a part of a `wanted` column (by name) that is too large to be unpacked."""
    schema = metadata.schema
    columns = [i for i in range(metadata.num_columns) if is_part_of(schema.column(i).path, wanted)]
    for group in range(metadata.num_row_groups):
        for i in columns:
            size = metadata.row_group(group).column(i).total_uncompressed_size
            if size > _CHUNK_OF_A_COLUMN:
                raise too_much(
                    f"{path} unpacks to {size / MIB:,.0f} MiB for the column {schema.column(i).path!r} of one row group, and "
                    f"{_CHUNK_OF_A_COLUMN // MIB} may be.",
                    "Write it with smaller row groups, such as of 100,000 rows.",
                )


def parts(path: Path, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """A batch with dictionary columns, divided into parts of about `PART` bytes with plain text columns (or lists of texts).

    The bytes are counted before a dictionary is decoded: every row may have the same text of a megabyte. Raises DirectoryError for a text
    longer than `VALUE`.
    """
    import numpy as np
    import pyarrow as pa

    batch.validate(full=True)  # in a damaged file a row may refer to a missing entry of the dictionary, or an entry may be no text
    sizes = np.zeros(batch.num_rows, "int64")
    for column in batch.columns:
        sizes += _row_sizes(path, column)
    at = 0
    ends = np.cumsum(sizes)
    while at < batch.num_rows:
        before = int(ends[at - 1]) if at else 0
        upto = max(int(np.searchsorted(ends, before + PART, "right")), at + 1)
        part = batch.slice(at, upto - at)
        yield pa.RecordBatch.from_arrays([_plain(column) for column in part.columns], names=batch.schema.names)
        at = upto


def _row_sizes(path: Path, column: pa.Array) -> Any:
    """How many bytes the text, or the list of texts, of each row has; for other types the average."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = len(column)
    if _listed(column.type):
        inside = np.concatenate([[0], np.cumsum(_row_sizes(path, column.flatten()))])
        ends = np.cumsum(pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False))
        return np.diff(inside[ends], prepend=0)
    if not pa.types.is_dictionary(column.type):
        return np.full(rows, column.nbytes // rows if rows else 0)
    lengths = pc.fill_null(pc.binary_length(column.dictionary), 0).to_numpy(zero_copy_only=False)
    if len(lengths) and lengths.max() > VALUE:
        raise too_much(f"{path} has a value of more than {VALUE // MIB} MiB.", "Look at what wrote it: that is no account's.")
    there = pc.is_valid(column).to_numpy(zero_copy_only=False)
    sizes = np.zeros(rows, "int64")
    sizes[there] = lengths[pc.drop_null(column.indices).to_numpy()]
    return sizes


def _plain(column: pa.Array) -> pa.Array:
    """A column with its dictionary decoded."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if _listed(column.type):
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        offsets = pa.array([0, *lengths.cumsum()], pa.int64())
        return pa.LargeListArray.from_arrays(offsets, _plain(column.flatten()), mask=pc.is_null(column))
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _listed(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))
