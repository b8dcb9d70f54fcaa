"""accounts.parquet: the exact, typed twin of accounts.csv."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

import pyarrow.parquet as pq

from migrate.report import cells
from migrate.report.cells import Cells
from migrate.report.folder import Sealed
from migrate.report.tables import ACCOUNTS

_ONE_EACH: Final = ("account_id", "username", "email")
"""Columns in which hardly a value stands twice: a dictionary of them would be a second copy."""


class Twin:
    """The file while it is written, a row group for each table of accounts."""

    def __init__(self, out: Sealed) -> None:
        self._schema = cells.schema(ACCOUNTS.columns)
        few = [name for name in ACCOUNTS.columns if name not in _ONE_EACH]
        # Of text, only what the rows are in order of is worth its least and greatest value.
        bounded = [name for name, of in ACCOUNTS.columns.items() if of != "text" or name == "account_id"]
        self._out = pq.ParquetWriter(out, self._schema, compression="zstd", use_dictionary=few, write_statistics=bounded)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._out.close()

    def write(self, accounts: Cells) -> None:
        """Adds some rows of `ACCOUNTS`, repeats among them."""
        self._out.write_table(accounts.table.cast(self._schema))
