"""Directory text that means harm, or nobody meant (design §12)."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from office import COLUMNS, Office, body

T30 = "2024-01-02T06:00"

NAMES = {
    "crlf": "Eve\r\nBcc: everybody@example.com\r\n\r\nfree text",
    "formula": '=HYPERLINK("http://evil.example","click")',
    "at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "template": "{{ 7*7 }}{% for x in y %}",
    "script": "<script>alert(1)</script>",
    "bidi": "moc.elpmaxe\u202e\u2066gpj.exe",
    "long": "A" * 10_000,
    "nul": "null\x00byte",
    "emoji": "Zoë 👩‍💻 🏳️‍🌈",
    "separator": "line\u2028separator\u0085next",
}
ADDRESSES = {
    "space": "a b@example.com",
    "two": "a@b@example.com",
    "header": "a@example.com\r\nBcc: x@example.com",
    "none": "",
    "long": "a" * 300 + "@example.com",
    "idn": "user@bücher.example",
    "quoted": '"john smith"@example.com',
    "trimmed": "  padded@example.com ",
}


@pytest.mark.parametrize("kind", ["sql", "csv"])
def test_hostile_names_reach_nothing(tmp_path: Path, kind: str) -> None:
    office = Office(tmp_path / kind, kind=kind)
    for account_id, name in NAMES.items():
        if not (kind == "csv" and account_id == "nul"):
            office.hire(account_id, "SMS", name=name, given=name, dept=name)
    count = len(office.people)
    facts = office.run(T30)
    assert facts["outcomes"] == {"queued": count}
    assert len(office.mails()) == count
    for mail in office.mails():
        assert mail["Bcc"] is None
        assert mail.get_content_type() == "multipart/alternative"
        assert not mail.defects
        assert "alert(1)</script>" not in mail.get_body(("html",)).get_content()
        assert max(len(line) for line in mail.as_bytes().splitlines()) <= 998
    by_id = {mail["To"].split("@")[0]: mail for mail in office.mails()}
    assert "{{ 7*7 }}" in body(by_id["template"])
    assert "49" not in body(by_id["template"]).split("account template")[0]
    assert "&lt;script&gt;" in by_id["script"].get_body(("html",)).get_content()
    assert "\u202e" not in body(by_id["bidi"])
    assert len(body(by_id["long"])) < 5_000
    assert "👩" in body(by_id["emoji"])
    for table in (office.folder / "reports" / "latest").glob("*.csv"):
        for row in csv.reader(io.StringIO(table.read_bytes().decode(), newline="")):
            for cell in row:
                assert not cell.lstrip().startswith(("=", "+", "@", "\t")), (table.name, cell)
                assert not any(character in cell for character in "\r\n\x00\u202e\u2066\u2028\u0085")


def test_hostile_addresses_end_in_clear_outcomes_and_good_ones_arrive(office: Office) -> None:
    for account_id, address in ADDRESSES.items():
        office.hire(account_id, "sms", mail=address)
    facts = office.run(T30)
    outcomes = {row["account_id"]: (row["outcome"], row["outcome_reason"]) for row in office.report("accounts")}
    assert outcomes["space"] == ("bad_address", "it has a space in it")
    assert outcomes["two"] == ("bad_address", "it has more than one @")
    assert outcomes["header"][0] == "bad_address"
    assert outcomes["none"] == ("no_address", "")
    assert outcomes["long"][0] == "bad_address"
    assert facts["outcomes"] == {"queued": 3, "bad_address": 4, "no_address": 1}
    assert sorted(mail["To"] for mail in office.mails()) == ['"john smith"@example.com', "padded@example.com", "user@xn--bcher-kva.example"]


@pytest.mark.parametrize("kind", ["sql", "csv"])
def test_no_row_is_lost_whatever_its_id_is(tmp_path: Path, kind: str) -> None:
    office = Office(tmp_path / kind, kind=kind)
    rows = [
        {"id": "same"}, {"id": "same"}, {"id": "differ", "mfa": "sms"}, {"id": "differ", "mfa": "totp"}, {"id": None}, {"id": " "},
        {"id": "Ä"}, {"id": "ä"}, {"id": "A"}, {"id": "a"}, {"id": "a "}, {"id": "=1+1"}, {"id": "x" * 300}, {"id": "o'brien; DROP TABLE"},
        {"id": "%_"}, {"id": "👩‍💻"},
    ]  # fmt: skip
    office.write()
    office.write_rows([dict.fromkeys(COLUMNS) | {"mfa": "sms", "mail": "x@example.com"} | row for row in rows])
    done = office.migrate("run", "--json", "--as-of", T30)
    assert done.code == 0, done.err
    facts = done.facts
    assert facts["read"] == len(rows) == sum(facts["outcomes"].values())
    rejected = office.report("rejected")
    assert [(row["position"], row["account_id"]) for row in rejected if row["account_id"] in ("same", "differ", "a")] == [
        ("2", "same"),
        ("3", "differ"),
        ("4", "differ"),
        ("11", "a"),  # a blank at the end of an id is padding
    ]
    assert facts["rejected"] == len(rejected) == 7
    again = office.migrate("run", "--json", "--as-of", "2024-01-02T12:00").facts
    assert again["outcomes"]["nothing_due"] == facts["outcomes"]["queued"]


def test_method_words_in_any_case_are_understood_and_unknown_ones_are_told_by_their_spelling(office: Office) -> None:
    office.hire("a", "SMS; ToTp", mfa_default="SMS")
    office.hire("b", "Smoke Signals, sms")
    office.hire("c", "Smoke Signals")
    office.hire("d", '["sms", "WebAuthn"]')
    office.hire("e", '["sms", 7]')
    office.hire("f", "[broken")
    facts = office.run(T30)
    assert facts["unknown_words"] == {"Smoke Signals": 2}
    rows = {row["account_id"]: (row["standing"], row["methods"]) for row in office.report("accounts")}
    assert rows == {
        "a": ("sms_default", "sms,totp"),
        "b": ("sms_only", "sms,other"),
        "c": ("unknown", "other"),
        "d": ("sms_fallback", "sms,passkey"),
    }
    assert [row["account_id"] for row in office.report("rejected")] == ["e", "f"]


def test_a_telephone_number_in_any_form_is_never_seen_again(office: Office) -> None:
    numbers = [
        "+1 (415) 555-0123",
        "0049-30-5550187",
        "5550123",
        "+442079460123;ext=4",
        "tel:+1-415-555-0123",
        "12",
        "unlisted",
        14155550123,
    ]
    for n, number in enumerate(numbers):
        office.hire(f"u{n}", "sms", mobile=number)
    office.run(T30)
    shown = [row["phone"] for row in office.report("accounts")]
    assert all(sum(character.isdigit() for character in phone) <= 2 for phone in shown)
    assert shown[0].endswith("23")
    everything = b"".join(
        path.read_bytes() for path in office.folder.rglob("*") if path.is_file() and not path.name.startswith("directory")
    )
    for number in ("5550123", "555-0123", "5550187", "9460123"):
        assert number.encode() not in everything


def test_secrets_are_in_no_output_report_or_ledger(office: Office) -> None:
    office.hire("ada", "sms")
    office.mail = (
        'transport = "smtp"\n[mail.smtp]\nhost = "127.0.0.1"\nport = 1\nsecurity = "tls"\nusername = "u"\npassword = "open-sesame-4711"'
    )
    office.safety = "allow_time_travel = true"
    office.write()
    done = office.migrate("run", "--json", "--as-of", T30)
    assert done.code == 6
    assert json.loads(done.out)["letters"]["queued"] == 1
    everything = done.out.encode() + done.err.encode()
    everything += b"".join(path.read_bytes() for path in office.folder.rglob("*") if path.is_file() and path.name != "config.toml")
    assert b"open-sesame-4711" not in everything
