"""A directory that is not to be believed, and more mail than anybody has looked at: held, said with numbers, and let out as it is said."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
from office import Done, Office, typed

T30, T29, T28 = "2024-01-02T06:00", "2024-01-03T06:00", "2024-01-04T06:00"
PEOPLE = 44


def half_missing(office: Office) -> None:
    for account_id in list(office.people)[::2]:
        office.leave(account_id)


def suddenly_totp(office: Office) -> None:
    for account_id in office.people:
        office.change(account_id, mfa="totp")


def empty(office: Office) -> None:
    office.people.clear()


def other_ids(office: Office) -> None:
    for number in range(len(office.people)):
        office.leave(f"u{number:02}")
        office.hire(f"x{number:02}", "sms")


REFUSED = {
    half_missing: ("[safety] max_shrink: 22 of 44 known accounts (50%) are missing from the directory, and at most 4 (10%) may be.", True),
    suddenly_totp: (
        "[safety] max_changes: 44 of 44 accounts (100%) changed their methods since the last read, and at most 8 (20%) may.",
        True,
    ),
    empty: ("[directory]: of 0 rows read from the directory not one is an account.", False),
    other_ids: ("[safety] max_shrink: 44 of 44 known accounts (100%) are missing from the directory, and at most 4 (10%) may be.", True),
}
Faulty = Callable[[Office], None]


def a_year_old(office: Office) -> Office:
    """People who were told once."""
    for number in range(PEOPLE):
        office.hire(f"u{number:02}", "sms")
    office.run(T30)
    assert len(office.mails()) == PEOPLE
    return office


@pytest.fixture(scope="module")
def told_once(tmp_path_factory: pytest.TempPathFactory) -> Office:
    return a_year_old(Office(tmp_path_factory.mktemp("told") / "office"))


@pytest.fixture
def old(told_once: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """A copy of that company for one test, which is in its folder."""
    folder = shutil.copytree(told_once.folder, tmp_path / "office", symlinks=True)
    monkeypatch.chdir(folder)
    return Office(folder, deepcopy(told_once.people))


def refused(office: Office, faulty: Faulty, *more: str) -> Done:
    """A run and a dry run on that directory: both end with one paragraph, and nothing is recorded or sent.

    The run leaves the folder of a dry run, which is taken away again.
    """
    before, remembered = office.fingerprints(), office.remembered()
    reports = sorted(path.name for path in (office.folder / "reports").iterdir())
    says, accepted = REFUSED[faulty]
    for words in (("run", *more), ("dry-run",)):
        done = office.migrate(*words, "--as-of", T29)
        assert done.code == 4, (words, done)
        (line,) = done.err.splitlines()
        assert line.startswith(f"Error: {says} Nothing was recorded and nothing sent.")
        assert ("--accept-directory" in line) is accepted
        assert "rows: " in done.out
    stopped = office.folder / "reports" / "stopped-2024-01-03"
    assert {"plan.csv", "outcomes.csv", "rejected.csv", "previews"} <= {path.name for path in stopped.iterdir()}
    shutil.rmtree(stopped)
    shutil.rmtree(office.folder / "reports" / "dry-run-2024-01-03")
    assert office.remembered() == remembered
    assert {name: digest for name, digest in office.fingerprints().items() if "migrate.db" not in name} == {
        name: digest for name, digest in before.items() if "migrate.db" not in name
    }
    assert sorted(path.name for path in (office.folder / "reports").iterdir()) == reports
    return done


def commands(message: str) -> list[str]:
    """What a message asks to type."""
    return re.findall(r"`([^`]+)`", message)


@pytest.mark.parametrize("server", ["sqlite", "postgres", "mariadb"])
def test_on_every_database_a_directory_not_to_be_believed_leaves_the_ledger_untouched(
    tmp_path: Path, request: pytest.FixtureRequest, server: str
) -> None:
    office = Office(tmp_path / "office", **{} if server == "sqlite" else {"ledger": request.getfixturevalue(f"{server}_url")})
    people = a_year_old(office).people
    for faulty in REFUSED:
        office.people = {account_id: dict(person) for account_id, person in people.items()}
        faulty(office)
        office.write()
        refused(office, faulty)
    office.people = people
    assert office.run(T29)["outcomes"] == {"nothing_due": PEOPLE}


@pytest.mark.parametrize(
    ("faulty", "baseline", "outcomes", "mails"),
    [
        (half_missing, True, {"nothing_due": 22}, 0),
        (suddenly_totp, False, {"queued": PEOPLE}, PEOPLE),
        (suddenly_totp, True, {"not_reminded": PEOPLE}, 0),
        (other_ids, False, {"queued": PEOPLE}, PEOPLE),
        (other_ids, True, {"queued": PEOPLE}, PEOPLE),
    ],
)
def test_the_command_in_the_message_accepts_the_directory(
    old: Office, faulty: Faulty, baseline: bool, outcomes: dict[str, int], mails: int
) -> None:
    faulty(old)
    old.write()
    plain, recorded_only = commands(refused(old, faulty).err)
    done = typed(recorded_only if baseline else plain, "--as-of", T29, "--json")
    assert done.code == 0, done.err
    assert done.facts["outcomes"] == outcomes
    assert done.facts["letters"]["sent"] == mails == len(old.mails()) - PEOPLE
    again = old.run(T28)
    assert again["changes"] == {}
    assert again["letters"]["sent"] == 0
    assert "queued" not in again["outcomes"]


def test_nothing_accepts_an_empty_directory(old: Office) -> None:
    old.people.clear()
    old.write()
    refused(old, empty, "--accept-directory")
    refused(old, empty, "--accept-directory", "--as-baseline")


def test_a_directory_half_of_which_was_missing_for_a_day_goes_on_as_if_nothing_had_been(old: Office) -> None:
    people = dict(old.people)
    half_missing(old)
    old.write()
    refused(old, half_missing)
    old.people = people
    for account_id in list(people)[:5]:
        old.change(account_id, mfa="totp")
    facts = old.run(T28)
    assert facts["changes"] == {"authenticator_enabled": 5}
    assert facts["letters"]["sent"] == 5


def test_the_commands_can_be_typed_elsewhere_too(old: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half_missing(old)
    old.write()
    monkeypatch.chdir(tmp_path)
    plain, _ = commands(refused(old, half_missing).err)
    assert plain == "migrate --config office/config.toml run --accept-directory"
    assert typed(plain, "--as-of", T29).code == 0


def limited(office: Office, max_messages: int) -> Office:
    config = office.folder / "config.toml"
    config.write_text(re.sub(r"max_messages = \d+", f"max_messages = {max_messages}", config.read_text()))
    return office


@pytest.fixture
def due(office: Office, monkeypatch: pytest.MonkeyPatch) -> Office:
    """Ten people to be reminded, two who cannot be, and three who have switched since the last read."""
    for number in range(13):
        office.hire(f"u{number:02}", "sms")
    office.hire("nowhere", "sms", mail=None)
    office.hire("other", "sms", mail="other@elsewhere.example")
    office.safety = 'allowed_domains = ["Example.com"]'
    office.run("2023-07-01T06:00")
    for number in range(10, 13):
        office.change(f"u{number:02}", mfa="totp")
    office.write()
    monkeypatch.chdir(office.folder)
    return office


def test_exactly_max_messages_go_out_unreviewed(due: Office) -> None:
    done = limited(due, 10).migrate("run", "--as-of", T30, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.facts["outcomes"] == {"queued": 13, "no_address": 1, "domain_not_allowed": 1}
    assert done.facts["letters"]["sent"] == 13


def test_one_more_is_held_and_the_commands_in_the_message_let_it_out(due: Office) -> None:
    held = limited(due, 9).migrate("run", "--as-of", T30, "--json")
    assert held.code == 4
    assert held.facts["outcomes"] == {"queued": 3, "held": 10, "no_address": 1, "domain_not_allowed": 1}
    assert due.told() == [(f"u{number}@example.com", "change-1") for number in (10, 11, 12)]
    said = "10 reminders are due and at most 9 may go out unreviewed: they were held. The directory was recorded, and confirmations go out."
    assert held.err.startswith(f"Error: [safety] max_messages: {said}")
    (line,) = held.err.splitlines()
    dry_run, approve = commands(line)
    assert line.endswith(f"`{approve}`")
    # The next day, when a dry run that was not told a folder would choose another one.
    dry = typed(dry_run, "--as-of", T29)
    assert dry.code == 0
    assert dry.out.rstrip().splitlines()[-1] == approve
    done = typed(approve, "--as-of", T29, "--json")
    assert (done.code, done.err) == (0, "")
    assert done.facts["outcomes"] == {"queued": 10, "not_reminded": 3, "no_address": 1, "domain_not_allowed": 1}
    assert due.told() == sorted([(f"u{n:02}@example.com", "T-30" if n < 10 else "change-1") for n in range(13)])
    last = limited(due, 0).migrate("run", "--as-of", T28, "--json")
    assert (last.code, last.facts["letters"]["sent"]) == (0, 0), "nothing is due any more, so there is nothing to hold"


def test_with_a_limit_of_nothing_only_confirmations_go_out_unreviewed(due: Office) -> None:
    done = limited(due, 0).migrate("run", "--as-of", T30, "--no-send", "--json")
    assert done.code == 4
    assert done.facts["letters"] == {"sent": 0, "failed": 0, "uncertain": 0, "withdrawn": 0, "queued": 3}
    assert due.migrate("send", "--as-of", T30).code == 0
    assert {occasion for _, occasion in due.told()} == {"change-1"}


def test_what_was_held_is_held_again_the_next_day_and_lost_on_none(due: Office) -> None:
    limited(due, 9)
    for day in (T30, T29):
        done = due.migrate("run", "--as-of", day, "--json")
        assert (done.code, done.facts["outcomes"]["held"]) == (4, 10)
        assert [row["outcome"] for row in due.report("accounts")].count("held") == 10
    assert json.loads((due.folder / "reports" / "latest" / "summary.json").read_text())["outcomes"]["held"] == 10
    done = limited(due, 10).migrate("run", "--as-of", T28, "--json")
    assert (done.code, done.facts["letters"]["sent"]) == (0, 10)


def test_an_accepted_directory_still_holds_more_mail_than_may_go_unreviewed_and_both_ways_out_can_be_typed(old: Office) -> None:
    other_ids(old)
    old.write()
    limited(old, PEOPLE - 1)
    plain, _ = commands(refused(old, other_ids).err)
    held = typed(plain, "--as-of", T29, "--json")
    assert (held.code, held.facts["outcomes"]) == (4, {"held": PEOPLE})
    dry_run, approve = commands(held.err)
    assert typed(dry_run, "--as-of", T29).code == 0
    done = typed(approve, "--as-of", T29, "--json")
    assert (done.code, done.facts["letters"]["sent"]) == (0, PEOPLE)


@pytest.mark.parametrize(
    ("domains", "told"),
    [
        ([], ["ada@example.com", "bea@EXAMPLE.COM", "cat@mail.example.com", "dan@xn--bcher-kva.example", "eve@example.com.evil.example"]),
        (["example.com"], ["ada@example.com", "bea@EXAMPLE.COM"]),
        (["@Example.COM", "bücher.example"], ["ada@example.com", "bea@EXAMPLE.COM", "dan@xn--bcher-kva.example"]),
        (["mail.example.com"], ["cat@mail.example.com"]),
        (["ample.com"], []),
    ],
)
def test_only_the_allowed_domains_are_mailed_neither_below_nor_beside_them(office: Office, domains: list[str], told: list[str]) -> None:
    addresses = (
        "ada@example.com", "bea@EXAMPLE.COM", "cat@mail.example.com", "dan@bücher.example", "eve@example.com.evil.example",
    )  # fmt: skip
    for address in addresses:
        office.hire(address[:3], "sms", mail=address)
    office.safety = f"allowed_domains = {json.dumps(domains, ensure_ascii=False)}"
    facts = office.run(T30)
    assert [address.casefold() for address, _ in office.told()] == [address.casefold() for address in told]
    assert facts["outcomes"] == {word: n for word, n in (("queued", len(told)), ("domain_not_allowed", 5 - len(told))) if n}


def test_a_confirmation_goes_to_the_allowed_addresses_and_says_what_it_could_not_reach(office: Office) -> None:
    office.safety = 'allowed_domains = ["example.com"]'
    office.hire("ada", "sms", security_mails="ada@home.example")
    office.hire("bea", "sms", mail="bea@home.example")
    office.run("2023-07-01T06:00")
    for account_id in office.people:
        office.change(account_id, mfa="totp")
    facts = office.run("2023-07-02T06:00")
    assert facts["outcomes"] == {"queued": 1, "domain_not_allowed": 1}
    assert office.told() == [("ada@example.com", "change-1")]
    office.safety = ""
    assert office.run("2023-07-03T06:00")["outcomes"] == {"queued": 1, "not_reminded": 1}
    assert office.told() == [("ada@example.com", "change-1"), ("bea@home.example", "change-1")]
