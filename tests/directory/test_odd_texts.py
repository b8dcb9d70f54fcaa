"""Texts as people and programs mangle them, through a file: lists in quotes, cut-off words, a no behind a word, what an export lost."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from directory.conftest import csv_directory, write_csv

from migrate.core.accounts import methods_of, words_of
from migrate.directory import open_directory, table_model
from migrate.directory.testing import read_all


def read(folder: Path, text: str, column: str = "methods", **settings: object) -> tuple[tuple[str, ...], list[str], str | None]:
    """The methods, the unknown words and the rejection of an account with this text."""
    row = {"account_id": "a", "email": "a@example.com", "methods": "", column: text}
    write_csv(folder / "users.csv", [row])
    rows, tally = read_all(csv_directory(folder / "users.csv", **settings))
    reason = rows["rejection"].iloc[0]
    return words_of(int(rows["methods"].iloc[0])), list(tally.unknown_words), reason if isinstance(reason, str) else None


@pytest.mark.parametrize(
    "text",
    [
        '"sms","totp"',
        '"sms"; "totp"',
        "'sms', 'totp'",
        "'sms, totp'",
        '"[""sms"",""totp""]"',
        '"{sms,totp}"',
        "('sms', 'totp')",
        "(sms totp)",
        "[0:1]={sms,totp}",
        "sms，totp",
        "sms、totp",
        "sms；totp",
        "sms<br>totp",
        "sms<br/>totp<br/>",
        "• sms\n• totp",
        "sms\u200b;totp\u200b",
        "ｓｍｓ ＴＯＴＰ",
        "sms,\\N,totp",
    ],
)
def test_a_list_is_the_same_list_however_it_is_quoted_and_separated(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == (("sms", "totp"), [], None)


@pytest.mark.parametrize("text", ["\\N", "<null>", "(null)", "nil", "undefined", "()", "'[]'", '"[]"', "--", "—", "[NULL]", '[null, ""]'])
def test_what_stands_for_null_is_no_method(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == ((), [], None)


@pytest.mark.parametrize("text", ["Passkey (FIDO2", "Microsoft Authenticator (push", "Authenticator app (", "passkey ..", "totp…"])
def test_a_word_that_was_cut_off_inside_its_brackets_is_one_unknown_word(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == (("other",), [text], None)
    assert read(tmp_path, f"sms, {text}") == (("sms", "other"), [text], None)


@pytest.mark.parametrize("text", ["TOTP: -", "totp -", "totp (-)", "TOTP –", "passkey: —", "Authenticator app -", "totp −"])
def test_a_dash_behind_a_word_is_a_no(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == (("other",), [text], None)
    assert read(tmp_path, f"sms; {text}") == (("sms", "other"), [text], None)


NEGATIONS = ["revoked", "Expired", "pending activation", "not activated", "deaktiviert", "désactivé", "nein", "inactivo", "wyłączone"]


@pytest.mark.parametrize("no", NEGATIONS)
@pytest.mark.parametrize("methods", [{}, {"again": "none"}], ids=["built in", "configured"])
def test_a_no_in_any_language_beside_a_method_is_never_that_method(tmp_path: Path, no: str, methods: dict[str, str]) -> None:
    configured = {no: "none"} if methods else {}
    for text in (f"TOTP, {no}", f"TOTP {no}", f"{no}: totp", f"{no};totp"):
        assert read(tmp_path, text, methods=configured)[0] == ("other",), text


def test_a_no_in_a_row_of_its_own_stays_with_its_word_when_rows_are_united(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    write_csv(path, [{"account_id": "a", "email": "a@example.com", "methods": text} for text in ("sms", "TOTP, disabled", "passkey...")])
    rows, tally = read_all(csv_directory(path, rows="methods"))
    assert words_of(int(rows["methods"].iloc[0])) == ("sms", "other")
    assert dict(tally.unknown_words) == {"TOTP, disabled": 1, "passkey...": 1}


@pytest.mark.parametrize(
    "text",
    [
        "Deserialized.System.Object[]",
        "[Ljava.lang.String;@1b2c3d",
        "java.util.ArrayList@5f2c",
        "<map object at 0x7f0011aa>",
        "ARRAY(0x55d0)",
        "#<Array:0x0000>",
        "Microsoft.Exchange.Data.MultiValuedProperty`1[System.String]",
    ],
)
@pytest.mark.parametrize("column", ["methods", "groups", "notification_emails", "may_enrol", "default_method"])
def test_what_any_language_prints_for_a_list_is_a_lost_list(tmp_path: Path, text: str, column: str) -> None:
    write_csv(tmp_path / "users.csv", [{"account_id": "a", "email": "a@example.com", "methods": "", column: text}])
    rows, tally = read_all(csv_directory(tmp_path / "users.csv"))
    assert tally.unknown_words == {}
    if column == "methods":
        assert "lost" in str(rows["rejection"].iloc[0])
    else:
        assert dict(tally.lost_lists) == {column: 1}


def test_the_types_of_graph_are_words_with_and_without_their_mark(tmp_path: Path) -> None:
    text = "microsoft.graph.phoneAuthenticationMethod #microsoft.graph.passwordAuthenticationMethod"
    assert read(tmp_path, text) == (("phone",), [], None)


ROWS = [{"account_id": "a", "email": "a@example.com"}]


def one(folder: Path, **settings: object) -> dict[str, object]:
    rows, _ = read_all(csv_directory(folder / "users.csv", **settings))
    assert rows["rejection"].dropna().tolist() == []
    assert len(rows) == 1
    return {str(name): None if isinstance(value, float) else value for name, value in rows.iloc[0].items()}


@pytest.mark.parametrize("rows", ["accounts", "methods"])
def test_a_null_of_what_may_be_registered_is_not_known_and_an_empty_list_is_nothing(tmp_path: Path, rows: str) -> None:
    said = {
        "NULL": None,
        "nan": None,
        "\\N": None,
        "n/a": None,
        "-": None,
        "": None,
        "none": "",
        "[]": "",
        "{}": "",
        "{NULL}": "",
        "sms": "sms",
    }
    for text, may_enrol in said.items():
        write_csv(tmp_path / "users.csv", [ROWS[0] | {"methods": "sms", "may_enrol": text}])
        assert one(tmp_path, rows=rows)["may_enrol"] == may_enrol, text


def test_what_may_be_registered_is_read_in_the_words_of_its_source_when_rows_are_united_or_joined(tmp_path: Path) -> None:
    words = {"App X": "totp"}
    more = [{"methods": "sms", "may_enrol": "App X;sms"}, {"methods": "App X", "may_enrol": '["sms", "App X"]'}]
    write_csv(tmp_path / "users.csv", [ROWS[0] | each for each in more])
    united = one(tmp_path, rows="methods", methods=words)
    assert (united["methods"], united["may_enrol"]) == (methods_of(("sms", "totp")), "sms,totp")
    write_csv(tmp_path / "second.csv", [{"email": "A@example.com"} | more[0]])
    write_csv(tmp_path / "users.csv", ROWS)
    table = {"kind": "csv", "path": str(tmp_path / "second.csv"), "on": "email", "methods": words}
    join = {"kind": "csv", "path": str(tmp_path / "users.csv"), "join": [table]}
    rows, _ = read_all(open_directory(table_model(join).model_validate(join)))
    assert rows["may_enrol"].tolist() == ["sms,totp"]


def test_rows_that_hold_the_same_lists_in_another_order_or_no_default_agree(tmp_path: Path) -> None:
    lists = [
        {"groups": "g1,g2", "notification_emails": "p@x.example q@x.example"},
        {"groups": "{g2,g1}", "notification_emails": "{q@x.example,p@x.example}"},
    ]
    first, second = {"methods": "sms", "default_method": "sms"} | lists[0], {"methods": "totp", "default_method": ""} | lists[1]
    write_csv(tmp_path / "users.csv", [ROWS[0] | first, ROWS[0] | second, ROWS[0] | second | {"default_method": "Text message"}])
    found = one(tmp_path, rows="methods")
    assert (found["groups"], found["notification_emails"]) == ("g1\ng2", "p@x.example\nq@x.example")
    assert (found["methods"], found["default_method"]) == (methods_of(("sms", "totp")), "sms")


@pytest.mark.parametrize("rows", ["accounts", "methods"])
@pytest.mark.parametrize("null", ["NULL", "nan", "None", "n/a", "\\N", "<NA>", ""])
def test_what_programs_write_for_null_is_no_value_of_a_yes_or_no_or_a_type(tmp_path: Path, null: str, rows: str) -> None:
    said = {"enabled": null, "in_policy": null, "account_type": null, "privileged": null}
    write_csv(tmp_path / "users.csv", [ROWS[0] | {"methods": "sms"} | said])
    found = one(tmp_path, rows=rows)
    assert (found["enabled"], found["privileged"], found["account_type"]) == (True, False, "person")
    assert pd.isna(found["in_policy"])
