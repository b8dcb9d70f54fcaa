"""The HTTP layer by itself: budgets, pages by number, batches whose reads are turned away, checkpoints, and threads that are not left."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from directory.entra_tenants import SMS, directory, person, tenant
from graph.clock import VirtualClock
from graph.server import Fake
from hypothesis import given, settings
from hypothesis import strategies as st
from mail.scripted_tokens import TokenEndpoint

from migrate.directory.testing import read_all
from migrate.directory.web.authorization import Fixed
from migrate.directory.web.budget import Budget, Clock, StoppedError
from migrate.directory.web.checkpoint import Checkpoint
from migrate.directory.web.client import Client, RefusedError, Server
from migrate.directory.web.pages import numbered
from migrate.errors import DirectoryError, UnreachableError


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.floats(0, 20)), max_size=40), st.integers(1, 5))
def test_no_window_ever_holds_more_than_its_budget(calls: list[tuple[int, float]], units: int) -> None:
    clock, stop = VirtualClock(), threading.Event()
    budget, left = Budget(units, 10.0, clock), list[tuple[float, int]]()
    for cost, pause in calls:
        clock.wait(pause, stop)
        budget.take(stop, cost)
        left.append((clock.now(), min(cost, units)))
    for at, _ in left:
        assert sum(cost for when, cost in left if at - 10.0 < when <= at) <= units


def test_several_threads_share_a_budget() -> None:
    clock, stop, left = VirtualClock(), threading.Event(), list[float]()
    budget = Budget(5, 10.0, clock)

    def ask() -> None:
        for _ in range(20):
            budget.take(stop)
            left.append(clock.now())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(left) == 80
    assert clock.now() - 1000 >= 150


def test_a_pause_holds_for_whoever_waits_already() -> None:
    clock, stop = VirtualClock(), threading.Event()
    budget = Budget(1, 10.0, clock)
    budget.take(stop)
    budget.pause(60)
    budget.take(stop)
    assert clock.now() >= 1060


def test_the_budget_of_a_tenant_and_api_is_one_for_the_whole_process() -> None:
    clock = Clock()
    assert clock.budget(("a", "reports"), 5, 10) is clock.budget(("a", "reports"), 5, 10)
    assert clock.budget(("a", "reports"), 5, 10) is not clock.budget(("b", "reports"), 5, 10)


def test_whoever_waits_for_a_budget_is_let_go_when_the_read_ends() -> None:
    stop = threading.Event()
    budget = Budget(1, 3600.0, Clock())
    budget.take(stop)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(StoppedError):
        budget.take(stop)


# Pages by number, with a value of the header of its own: how a server that is not Graph is read.


class Numbered:
    """A server whose pages have numbers: `GET` answers of one scripted list, by `page`."""

    def __init__(self, pages: list[Any]) -> None:
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
        from urllib.parse import parse_qs, urlsplit

        asked = self.asked = list[tuple[int, str]]()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                number = int(parse_qs(urlsplit(self.path).query)["page"][0])
                asked.append((number, self.headers["Authorization"]))
                told = pages[number - 1]
                status = told if isinstance(told, int) else 200
                data = json.dumps({"error": {"code": "no"}} if isinstance(told, int) else told).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def ask(clock: VirtualClock) -> Iterator[Any]:
    made: list[Any] = []

    def read(pages: list[Any]) -> tuple[list[Any], list[tuple[int, str]]]:
        server = Numbered(pages)
        explained = lambda told: (told["error"]["code"], "")  # noqa: E731
        client = Client(Server("the server", server.url, "[directory] url", explained), Fixed("key-1"), clock)
        made.extend((client.close, server.server.shutdown, server.server.server_close))
        budget = clock.budget("numbered", 100, 1)
        shape = lambda told: (told["tokens"], told["next"])  # noqa: E731
        rows = numbered(client, f"{server.url}/token/", {"pagesize": "2"}, budget=budget, shape=shape)
        return [each["id"] for page in rows for each in page], server.asked

    yield read
    for close in made:
        close()


def page(following: int | None, *ids: int) -> dict[str, Any]:
    return {"tokens": [{"id": each} for each in ids], "next": following}


def test_pages_by_number_are_read_to_the_last(ask: Any) -> None:
    ids, asked = ask([page(2, 1, 2), page(3), page(None, 3)])
    assert ids == [1, 2, 3]
    assert asked == [(1, "key-1"), (2, "key-1"), (3, "key-1")]


@pytest.mark.parametrize(
    ("pages", "said"),
    [([page(2, 1), page(2, 1)], "the same page a second time"), ([page(2, 1), page(1, 2)], "names a page a second time")],
)
def test_pages_by_number_that_turn_in_circles_are_refused(pages: list[Any], said: str, ask: Any) -> None:
    with pytest.raises(DirectoryError, match=said):
        ask(pages)


def test_a_server_that_says_no_is_no_end_of_the_pages(ask: Any) -> None:
    with pytest.raises(RefusedError, match="403 no"):
        ask([page(2, 1), 403])
    with pytest.raises(RefusedError, match="401 no"):
        ask([401])
    with pytest.raises(UnreachableError, match="'tokens'"):
        ask([{"other": 1}])


def test_a_redirect_is_not_followed(clock: VirtualClock) -> None:
    with TokenEndpoint((307, b"")) as endpoint:
        client = Client(Server("it", endpoint.url, "[directory] url", lambda _: ("", "")), Fixed("secret"), clock)
        with pytest.raises(RefusedError, match="307"):
            client.call("POST", endpoint.url, budget=clock.budget("redirect", 9, 1), shape=dict, body={})
        client.close()
    assert len(endpoint.forms) == 1


# Batches


@pytest.mark.parametrize("retry_after", [5, None])
def test_reads_in_a_batch_that_are_turned_away_are_asked_again_and_each_counts_from_then_on(
    retry_after: int | None, clock: VirtualClock, tmp_path: Path
) -> None:
    held = tenant(*(person(number, *SMS, sms_sign_in=True) for number in range(1, 101)))
    with Fake(held, clock=clock.now) as fake:
        fake.inner_counts = True
        if retry_after is None:
            fake.fail("inner /users", "429", times=3, retry_after=None)
        rows, _ = read_all(directory(fake, tmp_path, detail=["phones"]))
        assert (rows["groups"] == "entra:SMS sign-in").sum() == 100
        assert fake.violations == []
    assert fake.batches[0] == 20 and max(fake.batches[1:]) == 5
    assert clock.now() - 1000 >= 100 / 5 * 10 - 40


def test_reads_in_a_batch_that_fail_are_asked_again_after_a_while(clock: VirtualClock, tmp_path: Path) -> None:
    """Ten tries without a wait would be over within a second, and with them the read."""
    held = tenant(*(person(number, *SMS, sms_sign_in=True) for number in range(1, 4)))
    with Fake(held, clock=clock.now) as fake:
        fake.fail("inner /users", "503", times=3 * 9, retry_after=None)
        rows, _ = read_all(directory(fake, tmp_path, detail=["phones"]))
    assert (rows["groups"] == "entra:SMS sign-in").sum() == 3
    assert clock.now() - 1000 >= 9 * 10


def test_an_account_that_is_gone_meanwhile_has_no_telephones(clock: VirtualClock, tmp_path: Path) -> None:
    held = tenant(person(1, *SMS), person(2, *SMS))
    with Fake(held, clock=clock.now) as fake:
        fake.fail("inner /users/a0000000-0000-4000-8000-000000000002", "404", times=1)  # type: ignore[arg-type]
        rows, _ = read_all(directory(fake, tmp_path, detail=["phones"]))
    assert rows["methods"].tolist() == [4, 0]


# Checkpoints


def test_a_long_read_that_breaks_goes_on_where_it_was(clock: VirtualClock, tmp_path: Path) -> None:
    held = tenant(*(person(number, *SMS, sms_sign_in=True) for number in range(1, 101)))
    with Fake(held, clock=clock.now) as fake:
        fake.fail("inner /users", "503", times=10_000, after=60)
        read = directory(fake, tmp_path, detail=["phones"])
        with pytest.raises(UnreachableError, match="what was read of single accounts is kept"):
            read_all(read)
        kept = tmp_path / "entra.checkpoint-contoso.onmicrosoft.com"
        assert kept.stat().st_mode & 0o777 == 0o600
        before = kept.read_text().count('"phones:')
        assert before >= 40
        fake._faults.clear()
        fake.calls.clear()
        rows, _ = read_all(read)
        assert (rows["groups"] == "entra:SMS sign-in").sum() == 100
        assert fake.numbers_shown <= 60 + 100 - before
    assert not kept.exists()


NOW = datetime(2026, 11, 28, 6, tzinfo=UTC)


def test_a_checkpoint_of_another_question_or_of_yesterday_is_left(tmp_path: Path) -> None:
    path = tmp_path / "entra.checkpoint"
    for of, now, known in (("a", NOW, 0), ("a", NOW + timedelta(hours=11), 1), ("b", NOW, 0), ("b", NOW + timedelta(hours=12), 0)):
        kept = Checkpoint(path, of, now)
        assert len(kept) == known
        kept.add("phones:1", ["mobilePhone"])
        assert kept.get("phones:1") == ["mobilePhone"]
        kept.close()


def test_a_checkpoint_that_was_cut_off_is_good_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "entra.checkpoint"
    kept = Checkpoint(path, "a", NOW)
    kept.add("1", ["x"])
    kept.add("2", [])
    kept.close()
    path.write_bytes(path.read_bytes()[:-4])
    again = Checkpoint(path, "a", NOW)
    assert (again.get("1"), "2" in again) == (["x"], False)
    again.add("2", ["y"])
    again.close()
    last = Checkpoint(path, "a", NOW)
    assert last.get("2") == ["y"]
    last.close()


def test_what_is_not_a_checkpoint_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "entra.checkpoint"
    path.write_text("somebody's notes\n")
    kept = Checkpoint(path, "a", NOW)
    kept.add("1", ["x"])
    assert not kept.kept and kept.get("1") == ["x"]
    kept.done()
    assert path.read_text() == "somebody's notes\n"


def test_a_folder_that_cannot_be_written_keeps_nothing_and_breaks_nothing(clock: VirtualClock, tmp_path: Path) -> None:
    with Fake(tenant(person(1, *SMS)), clock=clock.now) as fake:
        read = directory(fake, tmp_path, detail=["phones"], checkpoint=tmp_path / "nowhere" / "checkpoint")
        read_all(read)
    assert any("nothing could be kept in" in each for each in read.caveats())
