"""The questions of docs/audit.md, asked of a campaign that was lived through, and answered by the files and commands that it names."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from office import Done, Office, called

GUIDE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
REVIEW = (Path(__file__).parents[2] / "docs" / "review.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", GUIDE, flags=re.DOTALL)
COMPLIANT = ("migrated", "sms_fallback")


class Audited(Office):
    """An office that signs its evidence."""

    def write(self) -> None:
        super().write()
        path = self.folder / "config.toml"
        formats = 'formats = ["csv", "html", "helpdesk", "parquet"]\nsigning_key = { file = "evidence-key.pem" }'
        path.write_text(path.read_text(encoding="utf-8").replace('formats = ["csv"]', formats), encoding="utf-8")


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """Seven people, three days: one moved, one went back, one left, one came, one has signed off for SSO."""
    office = Audited(tmp_path_factory.mktemp("lived") / "office")
    for name in ("ann", "bob", "cem", "dora"):
        office.hire(name)
    office.hire("eve", "totp")
    office.hire("fay", "sms,totp", mfa_default="sms")
    keys = [["openssl", "genpkey", "-algorithm", "ed25519", "-out", "evidence-key.pem"]]
    keys.append(["openssl", "pkey", "-in", "evidence-key.pem", "-pubout", "-out", "evidence-key.pub"])
    for made in keys:
        subprocess.run(made, cwd=office.folder, check=True, capture_output=True)
    office.run("2024-01-02T06:00")
    office.change("ann", mfa="totp")
    office.change("eve", mfa="sms")
    office.leave("dora")
    office.hire("gil")
    office.run("2024-01-03T06:00")
    office.change("fay", mfa_default="totp")
    office.run("2024-01-18T06:00")
    return office


@pytest.fixture
def office(lived: Office, tmp_path: Path) -> Office:
    return Office(shutil.copytree(lived.folder, tmp_path / "office", symlinks=True))


def typed(office: Office, line: str) -> Done | str:
    """A line of the guide, typed in the office's folder: a command of ours, or the shell's."""
    if line.startswith("migrate "):
        return called("--config", str(office.folder / "config.toml"), *shlex.split(line)[1:])
    return subprocess.run(["sh", "-ec", line], cwd=office.folder, capture_output=True, text=True, check=True).stdout


def evidence(office: Office) -> list[Path]:
    return sorted(path for path in (office.folder / "reports").iterdir() if path.is_dir() and not path.is_symlink())


def standings(office: Office, folder: Path) -> Counter[str]:
    return Counter(row["standing"] for row in office.table(folder / "accounts.csv"))


def test_how_many_are_left(office: Office) -> None:
    said = typed(office, BLOCKS[0].strip())
    assert isinstance(said, str)
    header, count = said.splitlines()
    accounts = office.report("accounts")
    left = [row for row in accounts if row["compliant"] == "false" and row["standing"] not in ("inactive", "exempt", "exempt_sso")]
    assert header.startswith("account_id,")
    assert int(count) == len(left) == 4
    summary = {row["standing"]: int(row["count"]) for row in office.report("summary") if row["standing"] not in ("(total)", *COMPLIANT)}
    assert sum(summary.values()) == len(left)


def test_whether_we_make_it(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    done = typed(office, BLOCKS[1].strip() + " --as-of 2024-01-18T08:00")
    assert isinstance(done, Done)
    assert done.code == 0
    verdict = re.search(r"^(Yes|No|Too early|Nobody|Everybody)\b.*$", done.out, re.MULTILINE)
    assert verdict, done.out
    assert verdict[0][:20] in (office.folder / "reports" / "latest" / "report.html").read_text(encoding="utf-8")


def test_why_the_number_moved(office: Office) -> None:
    first, second, third = evidence(office)
    moves = {(row["from"], row["to"], row["why"]): int(row["count"]) for row in office.table(second / "moves.csv")}
    assert moves == {
        ("sms_only", "migrated", "switched"): 1,
        ("migrated", "sms_only", "went back"): 1,
        ("sms_only", "", "left"): 1,
        ("", "sms_only", "joined"): 1,
    }
    assert [(row["from"], row["to"], row["why"]) for row in office.table(third / "moves.csv")] == [
        ("sms_default", "sms_fallback", "default changed")
    ]
    before = standings(office, first)
    for (was, now, _), count in moves.items():
        before[was] -= count
        before[now] += count
    assert +Counter({word: n for word, n in before.items() if word}) == standings(office, second)
    listed = re.search(r"\| why \| the account \|\n\| --- \| --- \|\n(.*?)\n\n", GUIDE, flags=re.DOTALL)
    assert listed
    from migrate.report.moves import WHYS

    assert {word.strip() for line in listed[1].splitlines() for word in line.split("|")[1].split(",")} == set(WHYS)


def test_what_a_letter_said(office: Office) -> None:
    reference = next(row["reference"] for row in office.table(evidence(office)[0] / "notices.csv") if row["account_id"] == "ann")
    done = typed(office, BLOCKS[2].strip().replace("REFERENCE", reference))
    assert isinstance(done, Done)
    assert done.code == 0, done.err
    (letter,) = [mail for mail in office.mails() if mail["X-Migrate-Reference"] == reference]
    body = letter.get_body(("plain",))
    assert body is not None
    for line in filter(str.strip, body.get_content().splitlines()):
        assert line in done.out
    assert "their digest is the one that was kept then" in done.out


def test_whether_a_file_was_edited(office: Office) -> None:
    checks = [line for block in BLOCKS for line in block.splitlines() if "verify" in line or "sha256sum" in line]
    assert len(checks) == 4
    for line in checks:
        if line.startswith("migrate"):
            done = called("--config", str(office.folder / "config.toml"), *absolute(office, line))
            assert (done.code, done.err) == (0, ""), done.out
        else:
            assert "OK" in str(typed(office, line)) or "Verified" in str(typed(office, line))
    accounts = evidence(office)[1] / "accounts.csv"
    accounts.write_bytes(accounts.read_bytes().replace(b"sms_only", b"migrated", 1))
    done = called("--config", str(office.folder / "config.toml"), *absolute(office, "migrate verify reports"))
    assert done.code == 2
    assert f"{evidence(office)[1].name}: accounts.csv is not what was written." in done.out


def absolute(office: Office, line: str) -> list[str]:
    """The words of a command of ours behind its name, with what names a file or folder beginning at the office's."""
    words = shlex.split(line)[1:]
    return [str(office.folder / word) if (office.folder / word).exists() else word for word in words]


def test_evidence_is_checked_without_a_configuration_and_with_one_the_ledger_is_asked(office: Office, tmp_path: Path) -> None:
    nowhere = ("verify", str(office.folder / "reports"), "--json")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        alone = called(*nowhere)
    assert (alone.code, alone.facts["ok"], alone.facts["ledger"]) == (0, True, False)
    beside = called("--config", str(office.folder / "config.toml"), *nowhere)
    assert (beside.code, beside.facts["ledger"], len(beside.facts["folders"])) == (0, True, 3)
    without = called("--config", str(office.folder / "config.toml"), *nowhere, "--no-ledger")
    assert (without.code, without.facts["ledger"]) == (0, False)
    missing = called("--config", str(tmp_path / "none.toml"), *nowhere)
    assert missing.code == 2
    assert "none.toml" in missing.err


def test_an_edited_ledger_is_found_by_the_command(office: Office) -> None:
    import sqlite3

    with sqlite3.connect(office.folder / "migrate.db") as by_hand:
        assert by_hand.execute("UPDATE letter_event SET to_state = 'failed' WHERE to_state = 'sent' AND letter_id = 1").rowcount == 1
    done = called("--config", str(office.folder / "config.toml"), "verify", str(office.folder / "reports"), "--json")
    assert done.code == 2
    assert any("notices.csv: the ledger tells otherwise" in each["problem"] for each in done.facts["problems"])


def test_a_past_day_made_again_has_the_very_tables_of_that_day(office: Office, tmp_path: Path) -> None:
    told = re.search(r"`(migrate report --as-of \S+ --out again)`", GUIDE)
    assert told
    words = [str(tmp_path / "again") if word == "again" else word for word in shlex.split(told[1])[1:]]
    done = called("--config", str(office.folder / "config.toml"), *words)
    assert done.code == 0, done.err
    second = evidence(office)[1]
    same = [path.name for path in second.iterdir() if path.suffix == ".csv"] + ["helpdesk.html", "accounts.parquet"]
    assert "moves.csv" in same
    for name in same:
        assert (tmp_path / "again" / name).read_bytes() == (second / name).read_bytes(), name
    again = called("verify", str(tmp_path / "again"), "--public-key", str(office.folder / "evidence-key.pub"), "--json")
    assert (again.code, again.facts["problems"]) == (0, [])


def test_the_help_desk_s_formats_are_those_that_there_are(office: Office) -> None:
    from typing import get_args

    from migrate.report.settings import Format

    (listed,) = re.findall(r"formats = \[(.*?)\]", REVIEW)
    assert [word.strip(' "') for word in listed.split(",")] == list(get_args(Format))
    assert (office.folder / "reports" / "latest" / "helpdesk.html").is_file()


def test_a_key_that_cannot_sign_stops_check_and_the_run_before_anything_is_done(office: Office) -> None:
    (office.folder / "evidence-key.pem").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    before = office.remembered()
    for command in (("run", "--as-of", "2024-01-19T06:00"), ("check",)):
        done = office.migrate(*command)
        assert done.code == 2
        assert "signing_key" in done.err + done.out
    assert office.remembered() == before
