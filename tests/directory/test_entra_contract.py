"""A directory of kind entra reads everybody or nobody, whatever Graph does on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from directory.entra_tenants import APP, SMS, directory, person, tenant
from graph.clock import VirtualClock
from graph.faults import Kind
from graph.people import believable
from graph.server import Fake
from graph.tenant import guid
from pandas.testing import assert_frame_equal

from migrate.directory.entra import reading, registration
from migrate.directory.testing import assert_contract, assert_unreadable, read_all
from migrate.errors import UnreachableError

USERS, REPORT = "/v1.0/users", "/v1.0/reports/"


@pytest.fixture
def fake(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    """110 people: three pages of users, and three of the report."""
    monkeypatch.setattr(reading, "_PAGE", "40")
    monkeypatch.setattr(registration, "_PAGE", "40")
    with Fake(believable(110), clock=clock.now) as made:
        yield made
    assert made.violations == []


def test_a_tenant_keeps_the_contract(fake: Fake, tmp_path: Path) -> None:
    rows = assert_contract(lambda: directory(fake, tmp_path, groups=["All staff"], roles=["Global Administrator"]))
    assert len(rows) == 110
    assert rows["rejection"].isna().all()
    assert fake.throttle.refused == {}


def test_a_tenant_of_nobody_is_no_error(clock: VirtualClock, tmp_path: Path) -> None:
    with Fake(tenant(), clock=clock.now) as fake:
        assert assert_contract(lambda: directory(fake, tmp_path)).empty


@pytest.mark.parametrize("path", [USERS, REPORT])
@pytest.mark.parametrize(
    ("kind", "times"),
    [("429", 3), ("503", 3), ("500", 2), ("break off", 2), ("hang up", 2), ("html", 1), ("401", 1), ("expired", 1), ("empty page", 1)],
)
def test_what_passes_is_tried_again_and_everybody_is_read_once(path: str, kind: Kind, times: int, fake: Fake, tmp_path: Path) -> None:
    undisturbed, _ = read_all(directory(fake, tmp_path))
    fake.fail(path, kind, times, after=1 if kind != "empty page" else 0)
    rows, tally = read_all(directory(fake, tmp_path))
    assert tally.rows == 110
    assert_frame_equal(rows.sort_values("account_id", ignore_index=True).drop(columns="position"), undisturbed.drop(columns="position"))


@pytest.mark.parametrize("path", [USERS, REPORT, "/v1.0/domains", "/v1.0/policies"])
@pytest.mark.parametrize("kind", ["503", "break off", "429", "hang up"])
def test_what_does_not_pass_ends_the_read_in_a_sentence(path: str, kind: Kind, fake: Fake, tmp_path: Path) -> None:
    fake.fail(path, kind, times=1000, after=1 if path in (USERS, REPORT) else 0)
    error = assert_unreadable(lambda: directory(fake, tmp_path))
    assert isinstance(error, UnreachableError)
    assert error.exit_code == 3
    assert "Microsoft Graph gives no answer that can be used" in str(error) and "tried 10 times. Nothing was changed." in str(error)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("same page", "gives the same page a second time"),
        ("same link", "gives the same page a second time"),
        ("other host", "graph.example.net for the next page, which is another host"),
        ("huge", "answers with more than 32 MiB"),
    ],
)
@pytest.mark.parametrize("path", [USERS, REPORT])
def test_an_answer_that_would_lose_people_or_the_token_is_refused(path: str, kind: Kind, said: str, fake: Fake, tmp_path: Path) -> None:
    fake.fail(path, kind)
    assert said in str(assert_unreadable(lambda: directory(fake, tmp_path)))


def test_a_page_token_that_expires_every_time_ends_the_read(fake: Fake, tmp_path: Path) -> None:
    fake.fail(REPORT, "expired", times=1000, after=1)
    assert "Graph forgets where it was in the report of registered methods" in str(assert_unreadable(lambda: directory(fake, tmp_path)))


def test_a_token_that_ends_in_mid_read_is_renewed(fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake.throttle, "LIMITS", {"reports": (1, 100.0), "activity": (10, 60.0), "directory": (3500, 10.0)})
    fake.token_seconds = 90
    _, tally = read_all(directory(fake, tmp_path))
    assert tally.rows == 110
    assert fake.tokens_given >= 2


@pytest.mark.parametrize("retry_after", [7, None])
def test_a_server_that_asks_to_wait_is_left_alone_as_long(retry_after: int | None, fake: Fake, tmp_path: Path, clock: VirtualClock) -> None:
    fake.fail(REPORT, "429", 2, retry_after=retry_after)
    before = clock.now()
    read_all(directory(fake, tmp_path))
    assert clock.now() - before >= (14 if retry_after else 1.4)


def test_a_server_that_asks_to_wait_for_hours_ends_the_read(fake: Fake, tmp_path: Path) -> None:
    fake.fail(REPORT, "429", 1, retry_after=7200)
    assert "asks to be left alone for 120 minutes" in str(assert_unreadable(lambda: directory(fake, tmp_path)))


def test_nothing_waits_for_a_read_that_was_given_up(fake: Fake, tmp_path: Path) -> None:
    frames = directory(fake, tmp_path).frames()
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert [thread for thread in threading.enumerate() if not thread.daemon] == [threading.main_thread()]


def listed(fake: Fake, *rows: dict[str, Any], report: bool = False) -> None:
    """Lets the fake list these rows besides, as Graph never should."""
    held = fake.tenant
    if report:
        reported, row = held.reported, held.report_row
        held.reported = lambda: [*reported(), *rows]  # type: ignore[method-assign, list-item, return-value]
        held.report_row = lambda each: each if isinstance(each, dict) else row(each)  # type: ignore[method-assign]
    else:
        users, user = held.users, held.user
        held.users = lambda: [*users(), *rows]  # type: ignore[method-assign, list-item, return-value]
        held.user = lambda each, names, *, manager: each if isinstance(each, dict) else user(each, names, manager=manager)  # type: ignore[method-assign]


def read(fake: Fake, folder: Path) -> tuple[pd.DataFrame, Any]:
    return read_all(directory(fake, folder))


def test_two_users_of_one_id_are_handed_over_to_be_settled_and_not_chosen_between(clock: VirtualClock, tmp_path: Path) -> None:
    with Fake(tenant(person(1, *SMS)), clock=clock.now) as fake:
        listed(fake, {"id": guid(1), "userPrincipalName": "other@contoso.com", "accountEnabled": True})
        rows, _ = read(fake, tmp_path)
    assert rows["account_id"].tolist() == [guid(1), guid(1)]


def test_an_account_that_the_report_has_twice_with_other_methods_is_rejected(clock: VirtualClock, tmp_path: Path) -> None:
    with Fake(tenant(person(1, *SMS), person(2, *APP)), clock=clock.now) as fake:
        listed(fake, fake.tenant.report_row(fake.tenant.people[guid(1)]) | {"methodsRegistered": []}, report=True)
        listed(fake, fake.tenant.report_row(fake.tenant.people[guid(2)]), report=True)
        rows, _ = read(fake, tmp_path)
    assert rows["rejection"].fillna("").tolist() == ["the report has two rows of this account, and they differ", ""]


@pytest.mark.parametrize("row", [{"methodsRegistered": "sms"}, {"id": None}, {"id": "x" * 40}, {"id": 5}])
def test_a_row_of_the_report_that_is_none_is_a_broken_read(row: dict[str, Any], clock: VirtualClock, tmp_path: Path) -> None:
    with Fake(tenant(person(1, *SMS)), clock=clock.now) as fake:
        listed(fake, fake.tenant.report_row(fake.tenant.people[guid(1)]) | {"id": guid(9)} | row, report=True)
        assert_unreadable(lambda: directory(fake, tmp_path))


def test_hostile_values_of_any_kind_are_read_or_rejected_and_break_nothing(clock: VirtualClock, tmp_path: Path) -> None:
    odd = {
        "userPrincipalName": 7, "mail": {"x": 1}, "proxyAddresses": [None, 3],
        "displayName": "=cmd()|'x'\r\nBcc: \u202eeve", "givenName": [],
        "accountEnabled": None, "userType": None, "externalUserState": None, "preferredLanguage": "klingon", "usageLocation": "ZZZ",
        "manager": "nobody", "department": "a\u2028b",
    }  # fmt: skip
    with Fake(tenant(person(1, *SMS, display_name="Zoë Łukasz 🧑‍🚀", given_name="Zoë")), clock=clock.now) as fake:
        listed(fake, {"id": guid(9)} | odd)
        rows, _ = read(fake, tmp_path)
    assert rows["display_name"].tolist() == ["Zoë Łukasz 🧑‍🚀", "=cmd()|'x'Bcc: eve"]
    assert rows["locale"].tolist() == ["en", "en"]
