"""With a cache or without, a run decides and records the same."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import time_machine
from cast import accounts, person
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from office import Done, Office
from variants import soak
from without_cache import know_nothing

from migrate import incremental
from migrate.core.accounts import METHODS
from migrate.core.standing import default_not_registered
from migrate.directory import snapshot
from migrate.directory.translate import Translator
from migrate.files import MARK, spill
from migrate.incremental import carried_counts, find, records, reuse, rows
from migrate.ledger.prior import Prior

pytestmark = pytest.mark.cache

TABLES = {
    "account": "*",
    "account_history": "*",
    "account_outcome": "*",
    "change": "*",
    "rejection": "*",
    "notice": "account_id, tenure, occasion, told_cutoff, kind, change_seq, run_seq, created_at, language, standing, days_left",
    "letter": "account_id, kind, occasion, address, role, state, reason, ends, priority, language, standing, days_left",
    "run": "seq, read, rejected, baseline, directory_fingerprint",
}


UNCACHED = 'sqlite:///migrate.db"\nimage = false\n#'
"""A ledger of an office without a cache."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every border between batches, ranges and windows is met."""
    monkeypatch.setattr(spill, "BATCH", 4)
    monkeypatch.setattr(spill, "_GATHERED", 12)
    monkeypatch.setattr(spill, "_HELD", 6)
    monkeypatch.setattr(records, "BATCH", 8)
    monkeypatch.setattr(records, "_NEWER", 0.3)  # on some days of a story all records are written anew, on others not
    monkeypatch.setattr(rows, "_SLACK", 3)
    monkeypatch.setattr(snapshot, "RANGE", 8)
    monkeypatch.setattr(reuse, "RANGE", 8)
    monkeypatch.setattr(reuse, "_NEW_OUTCOMES", 3)


def remembered(office: Office) -> dict[str, list[tuple[Any, ...]]]:
    """What the ledger knows, but for what no two ledgers share."""
    with contextlib.closing(sqlite3.connect(office.folder / "migrate.db")) as ledger:
        return {table: sorted(ledger.execute(f"SELECT {columns} FROM {table}"), key=repr) for table, columns in TABLES.items()}


def reports(office: Office) -> dict[str, list[dict[str, str]]]:
    """The reports, but for when a letter was sent, which is the clock's affair."""
    tables = {name: office.report(name) for name in ("accounts", "changes", "summary", "rejected")}
    return {name: [{key: cell for key, cell in row.items() if key != "last_notice_at"} for row in rows] for name, rows in tables.items()}


class Story:
    """A company in which something happens every day."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.random = random.Random(seed)
        self.people: list[dict[str, Any]] = []
        self.staff = Office(folder / "staff")
        self.number = 0
        for _ in range(24):
            self.joins()

    def joins(self) -> None:
        account_id = f"{self.random.choice('abx')}{self.number:03}"
        self.number += 1
        methods = self.random.choice(["sms", "sms", "sms,totp", "sms,totp", "totp", "", "push", "YubiOTP legacy", "totp,2fa"])
        self.staff.hire(
            account_id,
            methods,
            dept=self.random.choice(["Sales", None]),
            sso=self.random.random() < 0.1,
            mfa_default=self.random.choice([None, None, None, "sms", "voice"]),
            last_used_method=self.random.choice([None, "sms", "totp"]),
            last_used_at=self.random.choice([None, "2024-01-12T10:00Z", "2024-01-14T14:00Z", "2024-01-17T20:00Z"]),
            may_enrol=self.random.choice([None, None, "none", "sms", "totp,passkey"]),
            in_policy=self.random.choice([None, "yes", "no"]),
            groups=self.random.choice([None, "All staff", "All staff\nAdmins"]),
            mobile=f"+1 415 555 {self.number:04}",
        )
        self.people.insert(self.random.randrange(len(self.people) + 1), self.staff.leave(account_id))

    def somebody(self) -> dict[str, Any]:
        return self.random.choice(self.people)

    def day(self) -> list[dict[str, Any]]:
        """The rows of the directory after another day."""
        for _ in range(self.random.randrange(5)):
            match self.random.randrange(9):
                case 0:
                    self.joins()
                case 1:
                    self.people.remove(self.somebody())
                case 2:
                    self.somebody()["mfa"] = self.random.choice(["totp", "sms", "sms,totp", "", "odd word"])
                case 3:
                    self.somebody()["mail"] = self.random.choice(["new@example.com", None, "no address"])
                case 4:
                    self.somebody()["active"] = self.random.choice(["no", "yes", "maybe"])
                case 5:
                    moved = self.somebody()
                    self.people.remove(moved)
                    self.people.append(moved)
                case 6:
                    self.somebody()["dept"] = "Legal"
                case 7:
                    self.somebody()["mfa_changed_at"] = self.random.choice(["2024-01-01", "yesterday", None])
                case 8:
                    self.somebody()["may_enrol"] = self.random.choice([None, "none", "sms", "totp,passkey"])
        twins = [dict(self.somebody()) for _ in range(self.random.randrange(2))]
        if twins and self.random.random() < 0.5:
            twins[0]["name"] = "Another Name"
        read = [*self.people, *twins]
        if twins:
            read.insert(self.random.randrange(len(read)), read.pop())
        return read


@contextlib.contextmanager
def rows_of(office: Office, read: list[dict[str, Any]]) -> Iterator[None]:
    office.people = {str(i): row for i, row in enumerate(read)}
    yield


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "kind", "days"), [(1, "sql", 4), soak(1, "sql", 6), soak(2, "csv", 6)])
def test_every_day_of_a_story_is_recorded_and_reported_the_same(
    seed: int, kind: str, days: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(office: Office, *words: str) -> Done:
        with monkeypatch.context() as patched:
            if office is thorough:
                know_nothing(patched)
            return office.migrate(*words)

    story = Story(seed, tmp_path)
    quick, restoring = Office(tmp_path / "quick", kind=kind), Office(tmp_path / "restoring", kind=kind)
    thorough = Office(tmp_path / "thorough", kind=kind)
    offices = (quick, restoring, thorough)
    for office in offices:
        office.safety = "max_shrink = 1.0\nmax_changes = 1.0"
        office.more = "[schedule]\ndays_before = [9, 5, 1]\ndays_after = [0]"
        office.more += "\n[policy]\nused_days = 8"
    day, carried = date(2024, 1, 20), 0
    for number in range(days):
        read = story.day()
        for office in offices:
            if number == 2:
                office.more = office.more.replace("used_days = 8", 'used_days = 4\nremind = ["sms_only", "unknown"]')
            if number == 4:
                office.more += '\n[directory.methods]\n"odd word" = "push"'
            with rows_of(office, read):
                office.write()
            if number == 3:
                with time_machine.travel(f"{day}T13:00Z"):
                    for word, who in (("exempt", read[0]), ("pause", read[1])):
                        given = ("--until", "2024-01-25", "--owner", "o", "--reason", "r")
                        assert office.migrate(word, "add", str(who["id"]), *given).code == 0
        shutil.rmtree(restoring.folder / "migrate.db.image", ignore_errors=True)
        as_of, send = f"{day}T14:00", () if number % 3 else ("--no-send",)
        alike = {"out": "", "directory_as_of": ""}  # the second was read a moment later
        if number % 2:
            dry = [asked(office, "dry-run", "--json", "--as-of", as_of) for office in offices]
            assert [each.code for each in dry] == [0, 0, 0], dry
            assert dry[0].facts | alike == dry[1].facts | alike == dry[2].facts | alike
        done = [asked(office, "run", "--json", "--as-of", as_of, *send) for office in offices]
        assert [each.code for each in done] == [0, 0, 0], [each.err for each in done]
        facts = [{name: value for name, value in each.facts.items() if name not in ("run_id", "evidence")} for each in done]
        assert facts[0] | alike == facts[1] | alike == facts[2] | alike
        assert sum(facts[0]["outcomes"].values()) == facts[0]["read"] == len(read)
        assert remembered(quick) == remembered(restoring) == remembered(thorough), f"day {number}"
        assert reports(quick) == reports(restoring) == reports(thorough)
        carried += (only_folder(quick.folder / "migrate.db.image") / "rows.arrow").stat().st_size > 0
        day += timedelta(days=1)
    assert carried == days


def only_folder(within: Path) -> Path:
    """The folder of the only cache; what accounts were told lies in another one beside it."""
    (found,) = (each for each in within.iterdir() if not each.name.endswith("-told"))
    return found


def lived(office: Office) -> None:
    for i in range(12):
        office.hire(f"u{i:02}", "totp" if i % 3 else "sms")
    office.run("2024-01-02T14:00")


def decided(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of those that are decided from here on."""
    from migrate.decide import ranges

    seen: list[str] = []
    assess = ranges.assess

    def spying(accounts: Any, *rest: Any) -> Any:
        seen.extend(accounts["account_id"])
        return assess(accounts, *rest)

    monkeypatch.setattr(ranges, "assess", spying)
    return seen


_ADDRESSES = ("a@example.com", "b@example.com", "c@example.com")
_PERSON = st.fixed_dictionaries(
    {
        "mail": st.sampled_from((*_ADDRESSES, None)),
        "security_mails": st.sampled_from((None, None, *_ADDRESSES)),
        "mfa": st.sampled_from(("sms", "totp", "totp,odd word")),
        "active": st.sampled_from(("yes", "yes", "maybe")),
        "mfa_changed_at": st.sampled_from((None, None, "yesterday")),
    }
)
_READ = st.lists(st.tuples(st.sampled_from("pqrs"), _PERSON), max_size=5)


@pytest.mark.slow
@pytest.mark.timeout(600)  # three histories of three runs each, in three campaigns
@settings(deadline=None, max_examples=1, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_READ, min_size=3, max_size=3))
@example(
    [
        [("p", {"mail": "a@example.com", "mfa": "sms"}), ("q", {"mail": "b@example.com", "mfa": "sms"})],
        [("p", {"mail": "b@example.com", "mfa": "sms"}), ("q", {"mail": "a@example.com", "mfa": "sms,odd word"})],
        [("p", {"mail": "c@example.com", "mfa": "totp"})],
    ]
).via("who left with an odd row holds no address")
@example(
    [
        [("p", {"mail": "a@example.com", "mfa": "sms"}), ("q", {"mail": "c@example.com", "mfa": "sms"})],
        [("p", {"mail": "b@example.com", "mfa": "sms"}), ("q", {"mail": "a@example.com", "mfa": "sms"})],
        [
            ("p", {"mail": "c@example.com", "mfa": "totp"}),
            ("q", {"mail": "a@example.com", "mfa": "sms"}),
            ("q", {"mail": "c@example.com", "mfa": "sms"}),
        ],
    ]
).via("who has another row besides the one that stayed holds the addresses of both")
def test_the_same_addresses_hear_of_a_change_with_the_cache_and_without(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, reads: list[list[tuple[str, dict[str, Any]]]]
) -> None:
    folder = tmp_path_factory.mktemp("history")
    quick, restoring, thorough = Office(folder / "quick"), Office(folder / "restoring", ledger=UNCACHED), Office(folder / "thorough")
    for office in (quick, restoring, thorough):
        office.safety = "max_shrink = 1.0\nmax_changes = 1.0\nmax_rejected = 1.0"
        office.hire("stays", "totp")
        stays = office.leave("stays")
        blank = dict.fromkeys(stays)
        for day, read in enumerate(reads):
            people = [stays, *(blank | {"id": who, "login": who} | fields for who, fields in read)]
            with rows_of(office, people), monkeypatch.context() as patched:
                if office is thorough:
                    know_nothing(patched)
                office.run(f"2023-07-0{day + 1}T06:00", "--no-send")
    assert remembered(quick) == remembered(restoring) == remembered(thorough)


def test_only_those_are_decided_who_might_have_another_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(tmp_path / "office")
    lived(office)
    seen = decided(monkeypatch)
    office.change("u01", dept="Legal")
    office.run("2024-01-02T15:00")
    # Of u00, u03, u06 and u09 nothing is new but that their letter was sent since: that says which outcome they have now.
    assert seen == ["u01"]
    told = [row for row in office.report("accounts") if row["account_id"] in ("u00", "u03", "u06", "u09")]
    assert [(row["outcome"], row["outcome_reason"]) for row in told] == [("nothing_due", "sent")] * 4
    seen.clear()
    office.run("2024-01-02T16:00")
    assert seen == []


def test_letters_of_those_who_have_left_are_not_read_again_every_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(tmp_path / "office")
    lived(office)
    office.run("2024-01-03T14:00")
    office.hire("leaves", "sms")
    office.run("2024-01-04T14:00", "--no-send")
    office.leave("leaves")
    office.run("2024-01-05T14:00")
    asked: list[object] = []
    counting = Prior.counting
    monkeypatch.setattr(Prior, "counting", lambda self, *given: asked.append(given) or counting(self, *given))
    office.run("2024-01-06T14:00")
    assert asked == []


WENT: dict[str, str] = {
    "waits": "state = 'queued'",
    "too-late": "state = 'queued', ends = 1",
    "claimed": "state = 'claimed', owner = 'w', lease_until = 4102444800000000",
    "on-its-way": "state = 'sending', owner = 'w', lease_until = 4102444800000000",
    "sent": "state = 'sent', settled_at = 1704205800000000",
    "uncertain": "state = 'uncertain', settled_at = 1704205800000000",
    "failed": "state = 'failed', settled_at = 1704205800000000",
    "failed-elsewhere": "state = 'failed', settled_at = 1704205800000000, address = 'elsewhere@example.com', message_id = 'a'",
    "struck-out": "state = 'withdrawn', reason = 'reviewer', settled_at = 1704205800000000",
    "withdrawn": "state = 'withdrawn', reason = 'not_reminded', settled_at = 1704205800000000",
    "older-stage-waits": "occasion = 'T-60', message_id = 'b'",
    "older-stage-sent": "occasion = 'T-60', message_id = 'c', state = 'sent', settled_at = 1704205800000000",
    "paused": "state = 'queued'",
    "switched": "state = 'sent', settled_at = 1704205800000000",
}


def test_whatever_became_of_a_letter_the_outcome_is_the_same_with_the_cache_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One letter of each kind of end; those whose letter says which outcome they have are not decided again, for days."""
    quick, thorough = Office(tmp_path / "quick"), Office(tmp_path / "thorough")
    for office in (quick, thorough):
        for who in WENT:
            office.hire(who, "sms")
        office.run("2024-01-02T14:00", "--no-send")
        with contextlib.closing(sqlite3.connect(office.folder / "migrate.db")) as ledger, ledger:
            for who, went in WENT.items():
                ledger.execute(f"UPDATE letter SET {went} WHERE account_id = ?", (who,))
            ledger.execute("UPDATE notice SET occasion = 'T-60' WHERE account_id LIKE 'older-stage-%'")
        shutil.rmtree(next((office.folder / "migrate.db.image").glob("*-told")))  # of letters that were not changed behind its back
        office.change("switched", mfa="sms,totp")
        with time_machine.travel("2024-01-02T14:30Z"):
            paused = ("pause", "add", "paused", "--until", "2024-01-25", "--owner", "o", "--reason", "r")
            assert office.migrate(*paused).code == 0
    seen = decided(monkeypatch)
    for day in ("2024-01-02T15:00", "2024-01-03T14:00", "2024-01-04T14:00"):
        shutil.rmtree(thorough.folder / "migrate.db.image")
        codes = [thorough.migrate("run", "--no-send", "--as-of", day).code]
        seen.clear()
        codes.append(quick.migrate("run", "--no-send", "--as-of", day).code)
        assert codes[0] == codes[1] in (0, 5)  # 5: a letter was withdrawn untried
        assert remembered(quick) == remembered(thorough)
        assert reports(quick) == reports(thorough)
        assert not {"waits", "claimed", "on-its-way", "sent", "uncertain"} & {*seen}
    (told,) = [row for row in quick.report("accounts") if row["account_id"] == "on-its-way"]
    assert (told["outcome"], told["outcome_reason"]) == ("nothing_due", "sending")


def test_whose_last_use_grows_old_is_decided_again_that_day_and_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(tmp_path / "office")
    office.more = "[schedule]\ndays_before = [1]"
    office.hire("old", "sms,totp", last_used_method="sms", last_used_at="2023-10-04T22:30Z")
    office.hire("new", "sms,totp", last_used_method="sms", last_used_at="2023-12-30T14:30Z")
    office.hire("none", "sms,totp", last_used_method="totp")
    assert office.run("2023-08-02T14:00")["standing"] == {"sms_default": 2, "sms_fallback": 1}
    office.run("2023-08-02T14:30")
    seen = decided(monkeypatch)
    assert office.run("2024-01-02T14:29")["standing"] == {"sms_default": 2, "sms_fallback": 1}
    assert seen == []
    assert office.run("2024-01-02T14:31")["standing"] == {"sms_default": 1, "sms_fallback": 2}
    assert seen == ["old"]
    (found,) = [row for row in office.report("accounts") if row["account_id"] == "old"]
    assert (found["standing"], found["last_used_method"], found["last_used_at"]) == ("sms_fallback", "sms", "2023-10-04T22:30:00Z")
    assert office.run("2024-01-02T14:35")["standing"] == {"sms_default": 1, "sms_fallback": 2}
    assert seen == ["old"]


def test_what_carries_over_is_counted_with_what_is_decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(tmp_path / "office")
    office.hire("ann", "totp,2fa")
    office.hire("bob", "totp", mfa_default="sms")
    office.hire("cem", "totp,retina scan", mfa_default="sms")
    office.hire("dan", "totp,phone", mfa_default="totp")
    first = office.run("2024-01-02T14:00")
    assert (first["not_certain"], first["defaults_not_registered"]) == ({"migrated": 2}, 2)
    seen = decided(monkeypatch)
    office.change("cem", dept="Sales")
    again = office.run("2024-01-02T15:00")
    assert seen == ["cem"]
    assert (again["not_certain"], again["defaults_not_registered"]) == ({"migrated": 2}, 2)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sets(st.sampled_from(METHODS)), st.none() | st.sampled_from(METHODS)), max_size=20))
def test_defaults_that_are_not_registered_are_counted_alike_in_arrow_and_in_pandas(people: list[tuple[set[str], str | None]]) -> None:
    frame = accounts(*(person(f"u{n}", ",".join(methods), default_method=word) for n, (methods, word) in enumerate(people)))
    table = pa.Table.from_pandas(frame, preserve_index=False)
    assert carried_counts.not_registered(table["default_method"], table["methods"]) == int(default_not_registered(frame).sum())


def test_a_cache_of_an_earlier_format_is_not_believed(tmp_path: Path) -> None:
    facts = json.dumps({"records": ["0", []], "rules": "r", "stage": "", "hashes": ["0", "0"]})
    (tmp_path / "image.json").write_text(facts)
    assert find(tmp_path, hashlib.sha256(facts.encode()).hexdigest()) is None


def test_a_cache_with_other_columns_of_accounts_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(tmp_path / "office")
    lived(office)
    cache = only_folder(office.folder / "migrate.db.image")
    digest = hashlib.sha256((cache / "image.json").read_bytes()).hexdigest()
    assert find(cache, digest) is not None
    monkeypatch.setattr(incremental, "SCHEMA", records.SCHEMA.append(pa.field("another", pa.string())))
    assert find(cache, digest) is None


@pytest.mark.parametrize("harm", ["deleted", "records cut", "records", "newer", "rows", "unfit", "of another run"])
def test_a_cache_that_is_not_what_the_ledger_says_is_not_believed(harm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(tmp_path / "office")
    lived(office)
    if harm == "newer":
        office.run("2024-01-02T14:30")
        office.change("u11", dept="Sales")
        office.run("2024-01-02T14:40")
    cache = only_folder(office.folder / "migrate.db.image")
    match harm:
        case "deleted":
            shutil.rmtree(cache)
        case "records cut":
            (cache / "records-0.arrow").write_bytes((cache / "records-0.arrow").read_bytes()[:-100])
        case "records" | "newer" | "rows" | "unfit":
            path, *_ = sorted(cache.glob(f"{harm}*"))
            whole = bytearray(path.read_bytes())
            whole[len(whole) // 2] ^= 1
            path.write_bytes(bytes(whole))
        case "of another run":
            kept = shutil.copytree(cache, tmp_path / "kept")
            office.run("2024-01-02T15:00")
            shutil.rmtree(cache)
            shutil.copytree(kept, cache)
    seen = decided(monkeypatch)
    facts = office.run("2024-01-02T16:00")
    assert facts["read"] == 12
    # That the rows are not there is seen before the directory is read, and the records come from the ledger meanwhile.
    assert len(seen) == (12 if harm in ("records cut", "records", "newer") else 0)
    seen.clear()
    office.run("2024-01-02T17:00")
    assert seen == []


@pytest.mark.parametrize("rule", ['remind = ["sms_only"]', "strict_words = true", "remind_without_destination = true", "used_days = 30"])
def test_other_rules_make_everybody_be_decided_again(rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(tmp_path / "office")
    lived(office)
    office.run("2024-01-02T15:00")
    seen = decided(monkeypatch)
    office.more = f"[policy]\n{rule}"
    office.run("2024-01-02T16:00")
    assert len(seen) == 12
    seen.clear()
    office.mail = "bounce_days = 30\n" + office.mail
    office.run("2024-01-02T17:00")
    assert seen == []  # nothing that decides about an account


@pytest.mark.parametrize(("rule", "translated"), [("[policy]\nused_days = 30", 0), ('[directory.methods]\n"odd word" = "push"', 12)])
def test_under_other_rules_what_was_recorded_comes_from_the_cache_and_rows_are_read_anew_only_if_their_meaning_may_have_changed(
    rule: str, translated: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(tmp_path / "office")
    lived(office)
    office.run("2024-01-02T15:00")
    office.more = rule
    rows, translate = list[int](), Translator.translate
    monkeypatch.setattr(Translator, "translate", lambda self, raw: (rows.append(len(raw)), translate(self, raw))[1])
    monkeypatch.setattr(Prior, "accounts", lambda *_: pytest.fail("the ledger was asked for accounts"))
    seen = decided(monkeypatch)
    office.run("2024-01-02T16:00")
    assert len(seen) == 12
    assert sum(rows) == translated


def test_no_telephone_number_stands_in_a_cache(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    for i in range(400):
        office.hire(f"u{i:03}", "totp", mobile=f"+1 415 555 {i:04}")
    office.run("2024-01-02T14:00")
    cache = only_folder(office.folder / "migrate.db.image")
    for files in (["rows.arrow"], sorted(cache.glob("records-*.arrow"))):
        tables = [pa.ipc.open_file(pa.OSFile(str(cache / name))).read_all() for name in files]
        assert set(pa.concat_tables(tables)["phone"].to_pylist()) == {f"••••{i:02}" for i in range(100)}


def test_a_cache_is_private_and_a_folder_that_cannot_be_made_is_no_trouble(tmp_path: Path) -> None:
    office = Office(tmp_path / "office")
    (tmp_path / "file").write_text("no folder")
    office.ledger = 'sqlite:///migrate.db"\nimage = "../file/image'
    lived(office)
    office.run("2024-01-02T15:00")
    office.ledger = 'sqlite:///migrate.db"\nimage = "elsewhere'
    office.run("2024-01-02T16:00")
    cache = only_folder(office.folder / "elsewhere")
    assert cache.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in cache.iterdir()}
    assert set(modes) >= {MARK, "image.json", "origin.json", "records-0.arrow", "rows.arrow", "unfit.npy"}
    assert set(modes.values()) == {0o600}


def test_a_run_reports_what_it_recorded_though_another_made_its_cache_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run gives its lock back before it delivers."""
    from migrate.run import job

    office = Office(tmp_path / "office")
    lived(office)
    deliver = job.deliver_waiting

    def slowly(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(job, "deliver_waiting", deliver)
        office.change("u01", dept="Legal")
        office.run("2024-01-02T16:00")
        return deliver(*arguments, **options)

    office.change("u01", dept="Sales")
    monkeypatch.setattr(job, "deliver_waiting", slowly)
    facts = office.run("2024-01-02T15:00")
    reported = {row["account_id"]: row["department"] for row in office.table(Path(facts["evidence"]) / "accounts.csv")}
    assert reported["u01"] == "Sales"
