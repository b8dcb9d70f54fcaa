"""Raw rows become accounts: what is put right, what is counted, what is rejected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from migrate.core.accounts import words_of
from migrate.directory import Directory
from migrate.directory.testing import read_all
from migrate.directory.translate import OTHER_SPELLINGS, SPELLINGS

Database = Callable[..., Directory]


def row(**fields: Any) -> dict[str, Any]:
    return {"account_id": "a", "email": "a@example.com", "methods": "sms"} | fields


def one(database: Database, **fields: Any) -> Any:
    rows, _ = read_all(database([row(**fields)]))
    return rows.iloc[0]


def test_a_bare_account_has_the_documented_defaults(database: Database) -> None:
    rows, _ = read_all(database([row()]), language="fr-CA")
    found = rows.iloc[0].dropna().to_dict()
    assert found == {
        "account_id": "a", "username": "a", "email": "a@example.com", "notification_emails": "", "groups": "", "locale": "fr-CA",
        "enabled": True, "federated": False, "account_type": "person", "privileged": False, "methods": 1, "position": 1,
    }  # fmt: skip


def test_an_id_is_kept_byte_for_byte(database: Database) -> None:
    for account_id in (" a", "A", "a\u00e9", "ae\u0301", "ﬁ", "0012", "1e5", "NULL"):
        assert one(database, account_id=account_id)["account_id"] == account_id


@pytest.mark.parametrize("account_id", [None, "", "  ", "\t\n"])
def test_a_row_without_an_id_is_rejected(database: Database, account_id: str | None) -> None:
    assert one(database, account_id=account_id)["rejection"] == "no account_id"


@pytest.mark.parametrize("account_id", ["a\nb", "a\rb", "a\tb", "a\u202eb", "a\u2028b", "a\x85"])
def test_an_id_with_a_control_character_is_rejected_without_repeating_it(database: Database, account_id: str) -> None:
    found = one(database, account_id=account_id)
    assert found["rejection"] == "account_id holds a control character"
    assert found.isna()["account_id"]


def test_all_reasons_are_told_in_one_paragraph(database: Database) -> None:
    found = one(database, account_id="", enabled="perhaps", privileged="x\ny", account_type="ghost", methods="[1]")
    assert found["rejection"].split("; ") == [
        "no account_id",
        "methods: '[1]' is a list of something else than words",
        "enabled: 'perhaps' is neither yes nor no",
        "account_type: 'ghost' is no type of account (person, service, shared, break_glass, guest)",
        "privileged: 'x y' is neither yes nor no",
    ]


def test_one_bad_row_takes_no_other_with_it(database: Database) -> None:
    rows, tally = read_all(database([row(account_id=str(i), enabled="?" if i % 3 == 0 else "1") for i in range(9)]))
    assert rows["rejection"].notna().tolist() == [i % 3 == 0 for i in range(9)]
    assert (tally.rows, tally.rejected) == (9, 3)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("Member", "person"), ("USER", "person"), ("guest", "guest"), ("Service Account", "service"), ("break-glass", "break_glass")],
)
def test_types_of_account_have_their_usual_names(database: Database, theirs: str, ours: str) -> None:
    assert one(database, account_type=theirs)["account_type"] == ours


def test_names_lose_what_could_break_a_header_or_turn_a_line(database: Database) -> None:
    found = one(database, display_name=" Eve\r\nBcc: a@b.test\x00\u202e\u2066 ", username="e\nve", department="x" * 500)
    assert found["display_name"] == found["given_name"] == "EveBcc: a@b.test"
    assert found["username"] == "eve"
    assert found["department"] == "x" * 199 + "…"


@pytest.mark.parametrize("address", ["a@example.com\nb@example.com", "a@example.com\x00", "a\u202e@example.com", "a@exam\u2028ple.com"])
def test_an_address_with_a_control_character_stays_malformed(database: Database, address: str) -> None:
    found = one(database, email=address, manager_email=address)
    assert "\ufffd" in found["email"]
    assert found["email"] == found["manager_email"]
    assert "\n" not in found["email"]


def test_an_address_is_otherwise_left_alone(database: Database) -> None:
    assert one(database, email="  Ada.O'Neil+x@EXAMPLE.com\n")["email"] == "Ada.O'Neil+x@EXAMPLE.com"
    assert one(database, email=" ")[["email"]].isna().all()


@pytest.mark.parametrize(
    ("word", "ours"),
    [("SMS", "sms"), ("authenticator app", "totp"), ("sms,totp", None), ("none", None), ("", None), ("pigeon", "other"), ("[x", "other")],
)
def test_a_default_method_is_one_known_method_or_other_or_none(database: Database, word: str, ours: str | None) -> None:
    found = one(database, default_method=word, last_used_method=word)
    assert found[["default_method", "last_used_method"]].fillna("-").tolist() == [ours or "-"] * 2


def test_an_unknown_word_is_other_and_counted_once_a_row_by_its_spelling(database: Database) -> None:
    rows, tally = read_all(database([row(methods="sms,Pigeon", default_method="Pigeon"), row(methods="pigeon;Pigeon", default_method="")]))
    assert [words_of(bits) for bits in rows["methods"]] == [("sms", "other"), ("other",)]
    assert dict(tally.unknown_words) == {"Pigeon": 2, "pigeon": 1}


def test_configured_words_are_known(database: Database) -> None:
    rows, tally = read_all(database([row(methods="Pigeon,noise,app")], methods={"pigeon": "push", "NOISE": "none", "app": "sms"}))
    assert words_of(rows["methods"][0]) == ("sms", "push")
    assert not tally.unknown_words


def test_a_column_that_is_no_methods_column_does_not_fill_the_count(database: Database) -> None:
    _, tally = read_all(database([row(methods=f"word{i}") for i in range(SPELLINGS + 500)]))
    assert len(tally.unknown_words) == SPELLINGS + 1
    assert tally.unknown_words[OTHER_SPELLINGS] == 500
    assert tally.unknown_words.total() == SPELLINGS + 500


def test_unreadable_instants_are_counted_by_column(database: Database) -> None:
    _, tally = read_all(database([row(methods_changed_at="?", last_sign_in_at="soon"), row(methods_changed_at="", last_sign_in_at="soon")]))
    assert dict(tally.unreadable_instants) == {"methods_changed_at": 1, "last_sign_in_at": 2}


def test_a_telephone_number_never_leaves_the_directory_whole(database: Database) -> None:
    for number in ("+1 555 010 0042", 15550100042, 15550100042.0):
        assert one(database, phone=number)["phone"] == "••••42"
