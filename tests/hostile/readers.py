"""Those who read what we write, as strictly as they can: a terminal, a browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pyte
from peers import missing


def counted(said: str) -> None:
    """What was looked at, for whoever wants to see it (`pytest -s`)."""
    sys.stdout.write(f"\n{said}\n")


OURS = {"draw", "linefeed", "carriage_return", "select_graphic_rendition"}
"""What our own output makes a terminal do: write, begin a line, and colour."""
COLOURS = {(), (0,), (1,), (3,), (31,), (32,), (33,)}


class Terminal:
    """A terminal (pyte) that notes all that it is made to do."""

    def __init__(self) -> None:
        self.did: Counter[str] = Counter()
        self.coloured: set[tuple[int, ...]] = set()
        self.drawn: list[str] = []

    def __getattr__(self, event: str) -> Any:
        if event not in pyte.Stream.events:
            raise AttributeError(event)

        def note(*args: Any, **_: Any) -> None:
            self.did[event] += 1
            if event == "select_graphic_rendition":
                self.coloured.add(args)
            if event == "draw":
                self.drawn.append(args[0])

        return note


def shown(output: str) -> str:
    """What a terminal draws of some output; an AssertionError if it is made to do anything that our own output does not."""
    terminal = Terminal()
    # 8-bit controls are what some terminals obey, though pyte in its UTF-8 mode does not.
    assert not any(0x80 <= ord(each) < 0xA0 for each in output), "a C1 control"
    assert not any(each in "\u200b\u200e\u200f\u202e\u2066\u2069\u2028\ufeff" for each in output), "a character that nobody sees"
    pyte.Stream(terminal).feed(output.replace("\n", "\r\n"))
    assert set(terminal.did) <= OURS, terminal.did
    assert terminal.coloured <= COLOURS, terminal.coloured
    return "".join(terminal.drawn)


class Lookout:
    """A proxy that answers nothing and notes what a browser asks it for."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                try:
                    self.asked.append(connection.recv(2000).partition(b"\r\n")[0])
                except OSError:
                    continue

    def close(self) -> None:
        self._socket.close()


def in_browser(page: Path, profile: Path) -> tuple[str, list[bytes]]:
    """A page as Chromium has it once its scripts have run, and what it asked the network for. Skips without Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        missing("no Chromium; `apt-get install --no-install-recommends chromium`")
    lookout = Lookout()
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps"]
    try:
        done = subprocess.run(
            [
                chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *quiet, f"--user-data-dir={profile}",
                f"--proxy-server=127.0.0.1:{lookout.port}", "--proxy-bypass-list=<-loopback>", "--virtual-time-budget=5000", "--dump-dom",
                page.as_uri(),
            ],
            capture_output=True,
            timeout=240,
            check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(profile), "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    finally:
        lookout.close()
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.decode(), [each for each in lookout.asked if b"evil" in each]
