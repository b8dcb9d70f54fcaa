"""`[monitoring] ping_url`: a real web server hears of every run and delivery, and no run depends on it (design §16)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

import pytest
from journeys.test_delivery import by_smtp, hired
from mail.scripted_smtp import ScriptedSmtp
from office import Office

from migrate.monitoring import calls

T30 = "2024-01-02T06:00"
SECRET = "5f0c-secret"


class Watcher:
    """A server on loopback. `heard` are path and body of each call, in order; `answer` gives status, seconds to wait, and `Location`."""

    def __init__(self, answer: tuple[int, float, str | None] = (200, 0, None)) -> None:
        self.heard: list[tuple[str, dict[str, Any] | None]] = []
        self.answer = answer
        watcher = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version: ClassVar[str] = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                watcher.heard.append((self.path, json.loads(body) if body else None))
                status, seconds, elsewhere = watcher.answer
                gone.wait(seconds)
                try:
                    self.send_response(status)
                    if elsewhere:
                        self.send_header("Location", elsewhere)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    pass  # whoever called has hung up

            do_POST = do_GET  # noqa: N815 - the name that the library calls

            def log_message(self, *args: object) -> None:
                pass

        self._gone = gone = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/{SECRET}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._gone.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def paths(self) -> list[str]:
        return [path.removeprefix(f"/{SECRET}") for path, _ in self.heard]


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    with Watcher() as running:
        yield running


@pytest.fixture
def watched(office: Office, watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> Office:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("WATCHER", watcher.url)
    office.more = '[monitoring]\nping_url = { env = "WATCHER" }'
    hired(office, 3)
    office.write()
    return office


def test_a_run_is_told_at_its_start_and_its_end_with_its_counts_and_of_nobody(watched: Office, watcher: Watcher) -> None:
    watched.hire("odd", "Carrier Pigeon Ada")
    facts = watched.run(T30)
    assert watcher.paths == ["/start", ""]
    assert watcher.heard[0][1] is None
    told = watcher.heard[1][1]
    assert told is not None
    assert (told["command"], told["exit_code"], told["read"], told["run_id"]) == ("run", 0, 4, "r00001")
    assert told["letters"] == facts["letters"] == {"sent": 3, "failed": 0, "uncertain": 0, "withdrawn": 0, "queued": 0}
    assert told["outcomes"] == facts["outcomes"]
    assert not any(word in json.dumps(told) for word in ("u000", "@", "Pigeon", str(watched.folder)))


def test_a_delivery_is_told_too_and_a_dry_run_or_a_look_is_not(watched: Office, watcher: Watcher) -> None:
    watched.run(T30, "--no-send")
    del watcher.heard[:]
    for quiet in (["dry-run", "--as-of", T30], ["status"], ["explain", "u000"], ["check"], ["report"]):
        assert watched.migrate(*quiet).code == 0
    assert watcher.heard == []
    assert watched.migrate("send", "--as-of", T30).code == 0
    assert watcher.paths == ["/start", ""]
    assert watcher.heard[1][1] is not None
    assert watcher.heard[1][1]["letters"] == {"sent": 3, "failed": 0, "uncertain": 0, "queued": 0}


def test_letters_that_failed_are_exit_code_5(watched: Office, watcher: Watcher) -> None:
    with ScriptedSmtp(dot=["554 5.6.0 no such content", "250 2.0.0 queued", "250 2.0.0 queued"]) as server:
        by_smtp(watched, server.port, connections=1)
        watched.run(T30, code=5)
    assert watcher.paths == ["/start", "/5"]
    assert watcher.heard[1][1] is not None
    assert watcher.heard[1][1]["letters"]["failed"] == 1


def test_a_guard_that_holds_reminders_is_exit_code_4(watched: Office, watcher: Watcher) -> None:
    config = watched.folder / "config.toml"
    config.write_text(config.read_text().replace("max_messages = 100000", "max_messages = 1"))
    assert watched.migrate("run", "--as-of", T30).code == 4
    assert watcher.paths == ["/start", "/4"]


def test_what_stops_a_run_before_it_changed_anything_has_its_exit_code(watched: Office, watcher: Watcher) -> None:
    (watched.folder / "reports").write_text("a file")
    assert watched.migrate("run", "--as-of", T30).code == 2
    (watched.folder / "reports").unlink()
    (watched.folder / "directory.db").unlink()
    assert watched.migrate("run", "--as-of", T30).code == 3
    assert watcher.paths == ["/start", "/2", "/start", "/3"]
    assert watcher.heard[3][1] is not None
    assert set(watcher.heard[3][1]) == {"command", "exit_code", "version"}


def test_a_bug_is_a_failure(watched: Office, watcher: Watcher, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("migrate.run.job.go_on", broken)
    assert watched.migrate("run", "--as-of", T30).code == 1
    assert watcher.paths == ["/start", "/fail"]


def warned(err: str) -> str:
    """The one line on the error stream, which has no address in it."""
    [line] = err.splitlines()
    assert SECRET not in line
    assert "127.0.0.1" not in line
    start, _, why = line.partition("Warning: [monitoring] ping_url could not be called: ")
    assert start == ""
    return why.removesuffix(". Nothing else depends on it.")


def test_a_server_that_is_down_is_one_line_and_changes_nothing(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    with Watcher() as gone:
        pass
    hired(office, 3)
    office.more = f'[monitoring]\nping_url = "{gone.url}"'
    office.write()
    done = office.migrate("run", "--quiet", "--as-of", T30)
    assert (done.code, done.out) == (0, "")
    assert warned(done.err) == "Connection refused"
    assert len(office.mails()) == 3


def test_a_slow_server_keeps_nobody_waiting_for_longer_than_its_tries(
    watched: Office, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "_TIMEOUT", 0.3)
    monkeypatch.setattr(calls, "_LONGEST", 3)
    watcher.answer = (200, 30, None)
    before = time.monotonic()
    done = watched.migrate("run", "--quiet", "--as-of", T30)
    assert time.monotonic() - before < 15
    assert (done.code, done.out) == (0, "")
    assert warned(done.err) == "there was no answer in time"
    assert sorted(set(watcher.paths)) == ["", "/start"]
    assert len(watched.mails()) == 3


@pytest.mark.parametrize(("status", "calls_made"), [(404, 2), (500, 4)])
def test_a_refusal_is_one_line_and_only_what_may_pass_is_tried_again(
    watched: Office, watcher: Watcher, status: int, calls_made: int
) -> None:
    watcher.answer = (status, 0, None)
    done = watched.migrate("send", "--quiet", "--as-of", T30)
    assert done.code != 1
    assert f"the answer was {status}" in done.err
    assert SECRET not in done.err
    assert len(watcher.heard) == calls_made


@pytest.mark.parametrize("elsewhere", ["file:///etc/hostname", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x"])
def test_a_redirect_to_anything_but_the_web_is_not_followed(watched: Office, watcher: Watcher, elsewhere: str) -> None:
    watcher.answer = (302, 0, elsewhere)
    done = watched.migrate("run", "--quiet", "--as-of", T30)
    assert done.code == 0
    assert warned(done.err) in ("it leads on to an address that is not called", "the answer was 302")
    assert watcher.paths == ["/start", ""]


def test_a_redirect_within_the_web_is_followed(watched: Office, watcher: Watcher) -> None:
    with Watcher((307, 0, watcher.url + "/moved")) as old:
        config = watched.folder / "config.toml"
        config.write_text(config.read_text().replace('{ env = "WATCHER" }', f'"{old.url}"'))
        assert watched.migrate("run", "--quiet", "--as-of", T30).code == 0
    assert old.paths == ["/start", ""]
    assert watcher.paths[0] == "/moved"


@pytest.mark.parametrize("url", ["hc.example.com/x", "ftp://hc.example.com/x", "file:///x", "https://u:p@hc.example.com/x", ""])
def test_only_an_address_of_the_web_is_taken_and_none_is_repeated(office: Office, url: str) -> None:
    office.more = f'[monitoring]\nping_url = "{url}"'
    office.write()
    done = office.migrate("run", "--as-of", T30)
    assert done.code == 2
    assert "[monitoring] ping_url: is no address that can be called" in done.err
    assert not url or url not in done.err
    office.more = office.more.replace(f'"{url}"', '"https://"')
    office.write()
    assert office.migrate("run", "--as-of", T30).code == 2
