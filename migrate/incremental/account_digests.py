"""A digest of each account as it was read, of which the fingerprint of a read is made (`migrate.incremental.records`)."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrate.core.accounts import ACCOUNT_COLUMNS, RECORD_COLUMNS
from migrate.incremental.rows import equal_rows

DIGEST: Final = pa.field("digest", pa.binary(32))
AS_READ: Final = tuple(name for name in RECORD_COLUMNS if name in ACCOUNT_COLUMNS)
"""The columns of a record that come from the directory: the digest is made of them."""
_BETWEEN: Final = "\x1f"
_MISSING: Final = "\x1e"
"""What stands between the values in the text of an account, and for a missing one: the separators of ASCII for units and for records."""
_TOGETHER: Final = 2048
"""The texts of so many accounts are in memory at once, to be digested."""


def bytes_of(digests: pa.FixedSizeBinaryArray) -> memoryview:
    """All digests that are not missing, end to end, without a copy."""
    there = digests.drop_null()
    width = there.type.byte_width
    return memoryview(there.buffers()[1])[there.offset * width : (there.offset + len(there)) * width]


def was_read(decided: pa.Table) -> np.ndarray:
    """True for the accounts that were read: not for those that are gone, or whose row was rejected."""
    read = pc.and_(pc.is_null(decided["gone_at"]), pc.not_equal(decided["outcome"], "rejected"))
    found: np.ndarray = read.to_numpy()
    return found


def _digests(decided: pa.Table, wanted: np.ndarray) -> pa.Array:
    """The digests of the accounts as they were read, where one is `wanted`; the others are missing."""
    digests, these = np.full(decided.num_rows, None, dtype=object), decided.filter(pa.array(wanted))
    parts = (these.slice(start, _TOGETHER) for start in range(0, len(these), _TOGETHER))
    digests[wanted] = [hashlib.sha256(text).digest() for part in parts for text in _texts(part)]
    return pa.array(digests, DIGEST.type)


def digests_beside(decided: pa.Table, before: pa.Table) -> pa.ChunkedArray:
    """The digests of the accounts as they were read. The digest of the record `before` still holds if the directory says the same, as it
    does of accounts in which only the outcome is new."""
    read = was_read(decided)
    was = before.take(pc.index_in(decided["account_id"], before["account_id"].combine_chunks()))  # missing where there is none
    holds = read & pc.is_valid(was[DIGEST.name]).to_numpy() & equal_rows(decided, was, list(AS_READ))
    wanted = read & ~holds
    if not wanted.any():
        return pc.if_else(pa.array(read), was[DIGEST.name], pa.scalar(None, DIGEST.type))
    return pc.if_else(pa.array(holds), was[DIGEST.name], _digests(decided, wanted))


def _texts(accounts: pa.Table) -> list[bytes]:
    """One text for each account, to be digested: the values of its columns, with a separator between them.

    No two different accounts have the same text: a directory's texts hold no control character but the line ends of a list (design §4), and
    these are neither a separator nor `_MISSING`.
    """
    columns = [accounts[name] for name in AS_READ]
    whole = [pc.cast(column, pa.int64()) if pa.types.is_timestamp(column.type) else column for column in columns]
    texts = [pc.cast(column, pa.string()) for column in whole]
    joined = pc.binary_join_element_wise(*texts, _BETWEEN, null_handling="replace", null_replacement=_MISSING)
    encoded: list[bytes] = pc.cast(joined, pa.binary()).to_pylist()
    return encoded
