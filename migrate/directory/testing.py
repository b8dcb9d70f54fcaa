"""A test harness for authors of directories: checks what every directory must do, and has a sample to put into one.

    def test_it_keeps_the_contract() -> None:
        assert_contract(lambda: MyDirectory(settings))

Put the rows of `SAMPLE`, which include hostile ones, into a source that can hold any text, and check it with `assert_sample`: every source
must give the same accounts. `assert_unreadable` is for sources that are missing or cut off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Final

import pandas as pd
from pandas.testing import assert_frame_equal

from migrate.core.accounts import ACCOUNT_COLUMNS, ACCOUNT_TYPES, METHODS, ROW_COLUMNS, conform, empty, methods_of
from migrate.directory.interface import Directory, Tally
from migrate.directory.text import holds_control
from migrate.directory.translated import read
from migrate.errors import DirectoryError

SAMPLE_COLUMNS: Final = tuple(ACCOUNT_COLUMNS)

_GIVEN: Final[tuple[tuple[dict[str, str], dict[str, Any]], ...]] = (
    (
        {"account_id": "ada", "username": "ada.l", "email": " ada@example.com ", "display_name": "Ada Lovelace", "given_name": "Ada",
         "locale": "en_GB.UTF-8", "department": "Engines", "manager_email": "boss@example.com", "enabled": "TRUE", "federated": "no",
         "account_type": "Member", "privileged": "1", "methods": "SMS, Authenticator App", "default_method": "Text Message",
         "last_used_method": "totp", "methods_changed_at": "2023-08-01T12:00:00+02:00", "last_sign_in_at": "2023-09-01 08:30:00.123456789",
         "phone": "+1 (555) 010-0042", "notification_emails": "a@example.com; b@example.com,a@example.com"},
        {"username": "ada.l", "email": "ada@example.com", "display_name": "Ada Lovelace", "given_name": "Ada", "locale": "en-GB",
         "department": "Engines", "manager_email": "boss@example.com", "privileged": True, "methods": ("sms", "totp"),
         "default_method": "sms", "last_used_method": "totp", "methods_changed_at": "2023-08-01T10:00:00Z",
         "last_sign_in_at": "2023-09-01T08:30:00.123456Z", "phone": "••••42", "notification_emails": "a@example.com\nb@example.com"},
    ),
    ({"account_id": "007", "email": "bond@example.com", "display_name": "NA", "methods": '["sms", "security key"]'},
     {"email": "bond@example.com", "display_name": "NA", "given_name": "NA", "methods": ("sms", "passkey")}),
    ({"account_id": "bare"}, {}),
    ({"account_id": "mallory", "email": "m@example.com\nBcc: all@example.com", "display_name": "=cmd()|'x'\r\nBcc: \u202eeve\x85",
      "department": "a\u2028b\tc", "methods": "sms"},
     {"email": "m@example.com\ufffdBcc: all@example.com", "display_name": "=cmd()|'x'Bcc: eve", "given_name": "=cmd()|'x'Bcc: eve",
      "department": "abc", "methods": ("sms",)}),
    ({"account_id": "new words", "email": "n@example.com", "methods": "sms|Retina Scan|telepathy", "default_method": "telepathy"},
     {"email": "n@example.com", "methods": ("sms", "other"), "default_method": "other"}),
    ({"account_id": " spaced ", "email": "s@example.com", "methods": "sms totp security key", "default_method": "sms totp"},
     {"account_id": " spaced", "username": " spaced", "email": "s@example.com", "methods": ("sms", "totp", "passkey")}),
    ({"account_id": "svc-1", "email": "not an address", "enabled": "off", "federated": "Y", "account_type": "service account",
      "methods": "none", "locale": "klingon", "methods_changed_at": "yesterday", "last_sign_in_at": "1700000000", "phone": "12"},
     {"email": "not an address", "enabled": False, "federated": True, "account_type": "service", "phone": "••••",
      "last_sign_in_at": "2023-11-14T22:13:20Z"}),
    ({"email": "nobody@example.com", "methods": "sms"}, {"account_id": None, "rejection": "no account_id"}),
    ({"account_id": "maybe", "email": "x@example.com", "enabled": "may\nbe", "account_type": "alien", "methods": "sms"},
     {"rejection": "enabled: 'may be' is neither yes nor no; account_type: 'alien' is no type of account "
      "(person, service, shared, break_glass, guest)"}),
    ({"account_id": "broken", "email": "x@example.com", "methods": '["sms"'},
     {"rejection": "methods: '[\"sms\"' is a broken list: its end is missing"}),
    ({"account_id": "x" * 256, "email": "x@example.com", "methods": "sms"},
     {"account_id": None, "rejection": "account_id is longer than 255 characters"}),
    ({"account_id": "two\nlines", "email": "x@example.com", "methods": "sms"},
     {"account_id": None, "rejection": "account_id holds a control character"}),
    ({"account_id": "Zoë", "email": "zoë@example.com", "display_name": "Zoë " + "é" * 300, "methods": "totp"},
     {"email": "zoë@example.com", "display_name": "Zoë " + "é" * 195 + "…", "given_name": "Zoë " + "é" * 195 + "…",
      "methods": ("totp",)}),
)  # fmt: skip
"""Rows of a source, and what must become of each (beyond the defaults)."""

SAMPLE: Final[tuple[dict[str, str], ...]] = tuple(dict.fromkeys(SAMPLE_COLUMNS, "") | given for given, _ in _GIVEN)
"""The rows to put into a source: text under our column names, '' for no value."""

SAMPLE_TALLY: Final = Tally(
    rows=len(_GIVEN),
    rejected=5,
    unknown_words=Counter({"Retina Scan": 1, "telepathy": 1}),
    unreadable_instants=Counter({"methods_changed_at": 1}),
    cut=Counter({"display_name": 1}),
)


def expected_sample(language: str = "en") -> pd.DataFrame:
    """The accounts that `SAMPLE` must give; rejected rows have defaults except for id, position and reason."""
    rows = []
    for position, (given, becomes) in enumerate(_GIVEN, start=1):
        row: dict[str, Any] = dict.fromkeys(ROW_COLUMNS) | {
            "account_id": given.get("account_id"), "username": given.get("account_id"), "notification_emails": "", "groups": "",
            "locale": language, "enabled": True, "federated": False, "account_type": "person", "privileged": False, "methods": (),
            "position": position,
        } | becomes  # fmt: skip
        row["methods"] = methods_of(row["methods"])
        rows.append(row)
    frame = pd.DataFrame(rows)
    for name in ("last_used_at", "methods_changed_at", "last_sign_in_at"):
        frame[name] = pd.to_datetime(frame[name], format="ISO8601", utc=True)
    return conform(frame)


def comparable(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without columns that mean nothing: a rejected row keeps only its id, position and reason."""
    means = ["account_id", "position", "rejection"]
    blank = rows["rejection"].notna()
    return rows.drop(columns=means).astype(object).mask(blank).join(rows[means])


def read_all(directory: Directory, *, language: str = "en") -> tuple[pd.DataFrame, Tally]:
    """A whole directory as one frame, and its tally."""
    tally = Tally()
    frames = list(read(directory, language=language, tally=tally))
    for frame in frames:
        assert dict(frame.dtypes.astype("str")) == ROW_COLUMNS, "a frame has other columns than ROW_COLUMNS, or other dtypes"
    return (pd.concat(frames, ignore_index=True) if frames else empty(ROW_COLUMNS)), tally


def assert_contract(make: Callable[[], Directory], *, language: str = "en") -> pd.DataFrame:
    """Checks what must hold for every directory, whatever is in it; `make` opens it anew. Returns all rows for further checks."""
    directory = make()
    rows, tally = read_all(directory, language=language)
    assert rows["position"].is_monotonic_increasing or not directory.in_source_order, "positions go backwards"
    assert rows["position"].is_unique, "two rows have one position"
    assert rows.empty or rows["position"].min() >= 1, "positions count from 1"
    assert tally.rows == len(rows), "rows are not counted once each"
    assert tally.rejected == int(rows["rejection"].notna().sum()), "rejected rows are not counted once each"
    good = rows[rows["rejection"].isna()]
    assert good["account_id"].notna().all(), "a row without account_id was not rejected"
    assert (good["account_id"].str.strip() != "").all(), "an empty account_id was not rejected"
    for name in ("username", "notification_emails", "groups", "locale", "account_type"):
        assert good[name].notna().all(), f"{name} has a default and can never be missing"
    assert good["account_type"].isin(ACCOUNT_TYPES).all(), "an account_type is none of ours"
    assert ((good["methods"] >= 0) & (good["methods"] < 1 << len(METHODS))).all(), "methods hold a bit that is no method"
    for name in ("default_method", "last_used_method"):
        assert good[name].dropna().isin(METHODS).all(), f"a {name} is none of ours"
    assert good["phone"].dropna().str.fullmatch(r"••••(\d\d)?").all(), "a telephone number is not masked"
    for name in ("account_id", "username", "email", "display_name", "given_name", "department", "manager_email", "rejection"):
        assert not holds_control(rows[name]).any(), f"{name} holds a control character"
    for name in ("notification_emails", "groups"):
        assert not holds_control(good[name].str.replace("\n", "")).any(), f"{name} holds a control character that separates no items"
    for again in (directory, make()):
        twice, counted = read_all(again, language=language)
        assert_frame_equal(rows, twice)
        assert asdict(counted) == asdict(tally), "reading twice counts differently"
    assert "\n" not in directory.describe(), "describe() is one line"
    return rows


def assert_sample(make: Callable[[], Directory]) -> None:
    """Checks that a source with the rows of `SAMPLE` gives exactly the expected accounts."""
    rows = assert_contract(make)
    assert_frame_equal(comparable(rows), comparable(expected_sample()))
    _, tally = read_all(make())
    assert asdict(tally) == asdict(SAMPLE_TALLY)


def assert_unreadable(make: Callable[[], Directory]) -> DirectoryError:
    """Checks that a missing or broken source raises a `DirectoryError` that says where and is one paragraph; returns it."""
    try:
        read_all(make())
    except DirectoryError as error:
        assert error.where, "the error does not say where"
        assert "\n" not in str(error), "the error is more than one paragraph"
        return error
    raise AssertionError("a source that cannot be read completely was read without an error")
