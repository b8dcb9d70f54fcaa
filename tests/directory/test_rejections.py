"""The verdict on rejected rows: reasons grouped, counted and bounded, and the pattern behind them named."""

from __future__ import annotations

import pandas as pd
import pytest

from migrate.directory import DirectorySettings
from migrate.directory.rejections import OTHERS, TOLD, RejectionSummary, lines


def rejected(*rows: tuple[str | None, int, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["account_id", "position", "rejection"]).astype({"account_id": "str", "rejection": "str"})


def verdict(*rows: tuple[str | None, int, str]) -> RejectionSummary:
    found = RejectionSummary()
    found.add(rejected(*rows))
    return found


def counted(found: RejectionSummary) -> dict[str, int]:
    return {each.reason: each.rows for each in found.reasons()}


@pytest.mark.parametrize(
    "texts",
    [
        [f"enabled: '{word}' is neither yes nor no" for word in ("maybe", "it's", "a; b", "x, y", "7", "'", "is 'so' is")],
        [f"account_id is longer than {n} characters" for n in (255, 300)],
        ["rows 1, 2 have this account_id and differ in email", "rows 3, 40, 500, … have this account_id and differ in email"],
        ["the same as row 1", "the same as row 1234"],
        [f"account_id: {n} is a number that a spreadsheet rounded; export ids as text" for n in ("1.00517E+11", "2,5e+12", "1E+16")],
        [f"account_id: {n} is a number of more than 15 digits, which a spreadsheet rounds; keep ids as text" for n in (10**16, 10**17)],
        [f"{n}: a formula without a stored value; open the file in a spreadsheet program and save it" for n in ("email 1", "email 2")],
        ["13 fields where the header has 12", "9 fields where the header has 12"],
    ],
)
def test_values_and_numbers_make_no_other_reason(texts: list[str]) -> None:
    found = verdict(*((f"a{n}", n, text) for n, text in enumerate(texts, 1)))
    ((reason, rows),) = counted(found).items()
    assert rows == len(texts)
    assert "…" in reason


def test_a_row_with_several_reasons_counts_under_each_and_the_first_row_is_the_example() -> None:
    both = "no account_id; enabled: 'maybe; not' is neither yes nor no"
    found = verdict((None, 9, both), ("a", 3, "enabled: 'perhaps' is neither yes nor no"), (None, 4, "no account_id"))
    assert counted(found) == {"enabled: '…' is neither yes nor no": 2, "no account_id": 2}
    assert list(lines([each.facts() for each in found.reasons()])) == [
        "2 rows: enabled: '…' is neither yes nor no. Such as row 3 (a): enabled: 'perhaps' is neither yes nor no",
        "2 rows: no account_id. Such as row 4",
    ]


def test_however_the_rows_come_the_verdict_is_the_same() -> None:
    rows = [(f"a{n}", n, f"enabled: 'w{n % 7}' is neither yes nor no") for n in range(1, 60)]
    whole, parts = verdict(*rows), RejectionSummary()
    for row in reversed(rows):
        parts.add(rejected(row))
    assert [each.facts() for each in parts.reasons()] == [each.facts() for each in whole.reasons()]
    assert parts.words == whole.words


def test_what_is_kept_is_bounded_whatever_the_source_says() -> None:
    found = verdict(*((f"a{n}", n, f"odd {chr(0x4E00 + n)}") for n in range(3000)))
    assert len(found.reasons()) == TOLD
    assert found.reasons()[0].reason == OTHERS
    assert found.rows == 3000
    words = verdict(*((f"a{n}", n, f"enabled: 'w{n}' is neither yes nor no") for n in range(3000)))
    assert len(words.words["enabled"]) == 20


def test_accounts_that_are_split_count_once_and_only_if_nothing_but_the_methods_differs() -> None:
    found = verdict(
        ("a", 1, "rows 1, 2, 3 have this account_id and differ in methods"),
        ("a", 2, "rows 1, 2, 3 have this account_id and differ in methods"),
        ("a", 3, "rows 1, 2, 3 have this account_id and differ in methods"),
        ("b", 4, "rows 4, 5 have this account_id and differ in email, methods"),
        ("b", 5, "rows 4, 5 have this account_id and differ in email, methods"),
    )
    (advice,) = found.advice(DirectorySettings(kind="csv"), {})
    assert advice == '1 account has several rows that differ in `methods` alone: set `rows = "methods"` under [directory].'


def test_words_of_a_yes_or_no_column_are_named_as_the_configuration_takes_them() -> None:
    rows = [("a", 1, "enabled: 'ACTIVE' is neither yes nor no"), ("b", 2, "enabled: 'ACTIVE' is neither yes nor no")]
    rows += [("c", 3, "enabled: 'SUSPENDED' is neither yes nor no; privileged: 'chief' is neither yes nor no")]
    settings = DirectorySettings(kind="csv", columns={"enabled": {"not": "status"}})
    first, second = verdict(*rows).advice(settings, {})
    assert first == (
        "enabled has words that are neither yes nor no: 'ACTIVE' (2), 'SUSPENDED' (1). Say which mean yes and which no, under "
        '[directory.columns]: `enabled = { not = "status", yes = ["…"], no = ["…"] }`.'
    )
    assert '`privileged = { column = "privileged", yes = ["…"], no = ["…"] }`' in second


def test_types_of_account_that_nobody_knows_are_named_too() -> None:
    (advice,) = verdict(("a", 1, "account_type: 'Kiosk' is no type of account (person, service)")).advice(
        DirectorySettings(kind="csv", columns={"account_type": "kind"}), {}
    )
    assert '`account_type = { column = "kind", words = { "Kiosk" = "person" } }`' in advice


def test_lists_that_the_export_lost_are_named_though_no_row_was_rejected() -> None:
    (advice,) = RejectionSummary().advice(DirectorySettings(kind="csv"), {"groups": 12})
    assert advice == (
        "12 lists were lost by the export in groups (`System.Object[]`): join the items into one text before exporting, in "
        "PowerShell with `Select-Object *, @{n='Methods'; e={$_.MethodsRegistered -join ';'}}`."
    )


def test_a_word_of_one_method_column_is_no_yes_or_no_of_ours() -> None:
    assert verdict(("a", 1, "sms: 'maybe' is neither yes nor no")).advice(DirectorySettings(kind="csv"), {}) == []
