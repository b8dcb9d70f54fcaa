"""accounts.parquet: the same values as accounts.csv, exact and typed."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

import pyarrow.parquet as pq

from migrate.files.digests import Sealed
from migrate.report import cells
from migrate.report.cells import Cells
from migrate.report.tables import ACCOUNTS

_ONE_EACH: Final = ("account_id", "username", "email")
"""Columns in which hardly any value repeats: a dictionary of them would be a second copy."""


class ParquetFile:
    """The file while it is written; each table of accounts becomes a row group."""

    def __init__(self, out: Sealed) -> None:
        self._schema = cells.schema(ACCOUNTS.columns)
        few = [name for name in ACCOUNTS.columns if name not in _ONE_EACH]
        # Minimum and maximum of a text column help a reader only where the rows are sorted by it.
        bounded = [name for name, of in ACCOUNTS.columns.items() if of != "text" or name == "account_id"]
        self._out = pq.ParquetWriter(out, self._schema, compression="zstd", use_dictionary=few, write_statistics=bounded)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._out.close()

    def write(self, accounts: Cells) -> None:
        """Adds some rows of `ACCOUNTS`; their columns may be dictionaries."""
        self._out.write_table(accounts.table.cast(self._schema))
