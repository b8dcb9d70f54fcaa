"""Accounts: the columns of the frames in which accounts are handed from step to step (design §4).

Accounts are held as pandas frames, a chunk at a time. `ACCOUNT_COLUMNS` is the schema of such a frame; it is enforced once, by
`conform`, where a directory hands its rows over, and trusted by everything after it.

Some columns are stored in a form made for comparing whole columns at a time:

* `methods` is a set of words held as an integer bit set: bit *i* stands for `METHODS[i]`. The positions are part of the
  recorded history and are only ever appended to. `methods_of` and `words_of` go between words and bits.
* `notification_emails` and `groups` are lists held as one string with an item a line; no item contains a line break.
* `may_enrol` is a set that may be unknown, which an integer cannot say: its words in the order of `METHODS`, comma-separated, '' for
  none and missing where it is not known.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import pandas as pd

METHODS: Final = (
    "sms", "voice", "phone", "totp", "push", "passkey", "hardware_otp", "certificate", "email_otp", "backup_code", "unknown", "other",
    "external",
)  # fmt: skip
"""The vocabulary of second-step methods, in bit order. A word is only ever added at the end."""

ACCOUNT_TYPES: Final = ("person", "service", "shared", "break_glass", "guest")

ACCOUNT_COLUMNS: Final[dict[str, str]] = {
    "account_id": "str",
    "username": "str",
    "email": "str",
    "notification_emails": "str",
    "display_name": "str",
    "given_name": "str",
    "locale": "str",
    "department": "str",
    "manager_email": "str",
    "enabled": "bool",
    "federated": "bool",
    "account_type": "str",
    "privileged": "bool",
    "methods": "int32",
    "default_method": "str",
    "last_used_method": "str",
    "last_used_at": "datetime64[us, UTC]",
    "methods_changed_at": "datetime64[us, UTC]",
    "last_sign_in_at": "datetime64[us, UTC]",
    "may_enrol": "str",
    "in_policy": "boolean",
    "groups": "str",
    "phone": "str",
}
"""Column → pandas dtype. A missing text is NaN, a missing instant NaT, a missing `in_policy` NA; `phone` is masked (last two digits) before
it gets here."""

ROW_COLUMNS: Final[dict[str, str]] = {**ACCOUNT_COLUMNS, "position": "int64", "rejection": "str"}
"""What a directory hands over: one account a row, its `position` in the source (1 = first) and, for a row that cannot be an account,
the reason (`rejection`). In a rejected row `account_id` may be missing and the other columns mean nothing."""


RECORD_COLUMNS: Final[dict[str, str]] = {
    "account_id": "str",
    "tenure": "int32",
    "username": "str",
    "email": "str",
    "notification_emails": "str",
    "display_name": "str",
    "given_name": "str",
    "locale": "str",
    "department": "str",
    "manager_email": "str",
    "enabled": "bool",
    "federated": "bool",
    "account_type": "str",
    "privileged": "bool",
    "methods": "int32",
    "default_method": "str",
    "last_used_method": "str",
    "last_used_at": "datetime64[us, UTC]",
    "methods_changed_at": "datetime64[us, UTC]",
    "may_enrol": "str",
    "in_policy": "boolean",
    "groups": "str",
    "phone": "str",
    "basis": "str",
    "wave": "str",
    "fixed_wave": "str",
    "wave_basis": "str",
    "cutoff": "datetime64[us, UTC]",
    "standing": "str",
    "standing_since": "datetime64[us, UTC]",
    "migrated_at": "datetime64[us, UTC]",
    "at_cutoff": "str",
    "compliant": "bool",
    "certain": "bool",
    "destination": "str",
    "reminded": "bool",
    "exempt_until": "str",
    "outcome": "str",
    "outcome_reason": "str",
    "first_seen_at": "datetime64[us, UTC]",
    "gone_at": "datetime64[us, UTC]",
    "change_count": "int32",
}
"""What the ledger remembers of an account from one read to the next; one row an `account_id` of a campaign.

* `tenure` counts the people who have had this id (1 = the first); `change_count` is the sequence number of its latest change.
* `basis` digests the method mapping and the policy under which `methods` was read. If it has changed since, a difference in methods is
  `reclassified`.
* `reminded` is true if the standing was one to be reminded at the last read before the account's cutoff.
* `gone_at` is the time of the first complete read without the account; missing while it is there. `standing_since`, `migrated_at` (missing
  if not migrated, or migrated from the first read on) and `first_seen_at` are the times of the runs that saw it.
* `certain` is false if the account has a second step of an unknown kind; `destination` says whether the source lets the account register
  an accepted method, a word of `migrate.core.standing.DESTINATIONS`.
* `exempt_until` is the last day of an exemption in force (ISO date) or missing; `wave` is '' for an account that is in no wave.
* `fixed_wave` is the wave that the account was assigned to under `wave_basis` (`migrate.core.waves`), even while a wave that `follows`
  takes precedence; both are missing without waves.
"""

ADDRESS_SEPARATOR: Final = "\n"
GROUP_SEPARATOR: Final = "\n"


@lru_cache(maxsize=4096)
def methods_of(words: tuple[str, ...] | frozenset[str]) -> int:
    """The bit set of some method words. Raises ValueError for a word outside `METHODS`."""
    bits = 0
    for word in words:
        bits |= 1 << METHODS.index(word)
    return bits


@lru_cache(maxsize=4096)
def words_of(bits: int) -> tuple[str, ...]:
    """The method words of a bit set, in the order of `METHODS`."""
    return tuple(word for i, word in enumerate(METHODS) if bits >> i & 1)


def methods_text(methods: pd.Series) -> pd.Series:
    """A column of bit sets as text: words in the order of `METHODS`, comma-separated, '' for none."""
    return methods.map({bits: ",".join(words_of(int(bits))) for bits in methods.unique()}).astype("str")


def methods_bits(text: pd.Series) -> pd.Series:
    """The inverse of `methods_text`."""
    known = {words: methods_of(tuple(w for w in words.split(",") if w)) for words in text.unique()}
    return text.map(known).astype("int32")


INSTANT: Final = "datetime64[us, UTC]"


def conform(frame: pd.DataFrame, columns: dict[str, str] | None = None) -> pd.DataFrame:
    """The frame with exactly the given columns (default `ROW_COLUMNS`), in order and of their dtypes; a missing column is a KeyError."""
    import pandas as pd

    columns = ROW_COLUMNS if columns is None else columns
    typed = {name: _typed(frame[name], dtype) for name, dtype in columns.items()}
    return pd.DataFrame(typed, index=frame.index, columns=list(columns))


def _typed(column: pd.Series, dtype: str) -> pd.Series:
    import pandas as pd

    if column.dtype == _dtype(dtype):  # a conversion to the same dtype takes its time, and most columns need none
        return column
    return pd.to_datetime(column, utc=True).dt.as_unit("us") if dtype == INSTANT else column.astype(_dtype(dtype))


@cache
def _dtype(dtype: str) -> Any:
    from pandas.api.types import pandas_dtype

    return pandas_dtype(dtype)


def empty(columns: dict[str, str]) -> pd.DataFrame:
    """A frame of no rows with the given columns."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in columns.items()})
