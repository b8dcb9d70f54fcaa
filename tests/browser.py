"""A page in Chromium, to be used as a person uses it: opened, typed into, asked what it shows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peers import missing


class Browser:
    """Chromium over its own pipe (the DevTools protocol): no port is opened. `said` is everything on the console, `asked` every address."""

    def __init__(self, process: subprocess.Popen[bytes], read: int, write: int) -> None:
        self._process, self._read, self._write = process, read, write
        self._last, self._session, self._rest = 0, None, b""
        self.said: list[str] = []
        self.asked: list[str] = []

    def open(self, page: Path) -> None:
        """A page, once it is loaded. What was said and asked before is forgotten."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")
        self.said.clear()
        self.asked.clear()
        self._call("Page.navigate", url=page.as_uri())
        while self.evaluate("document.readyState") != "complete":
            pass

    def evaluate(self, script: str) -> Any:
        """The value of an expression on the page; an AssertionError if it throws."""
        done = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def sized(self, width: int, height: int, *, dark: bool = False, medium: str = "") -> None:
        """As on a screen of so many CSS pixels; `medium` may be `print`."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._call("Emulation.setEmulatedMedia", media=medium, features=features)

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        self._last += 1
        message = {"id": self._last, "method": method, "params": params} | ({"sessionId": self._session} if self._session else {})
        if method.startswith("Target."):
            message.pop("sessionId", None)
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            heard = self._hear()
            if heard.get("id") == self._last:
                assert "error" not in heard, heard
                return dict(heard["result"])
            self._note(heard)

    def _hear(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            more = os.read(self._read, 1 << 20)
            assert more, "Chromium has ended"
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.said.append(json.dumps(params))
        elif event.get("method") == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """Chromium without a window, with a profile of its own; it ends with the context. Skips without Chromium."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        missing("no Chromium; `apt-get install --no-install-recommends chromium`")
    to_read, theirs_out = os.pipe()
    theirs_in, to_write = os.pipe()
    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps"]
    arguments = [found, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *quiet, f"--user-data-dir={profile}"]

    def hand_over() -> None:  # Chromium reads from 3 and writes to 4
        first, second = os.dup(theirs_in), os.dup(theirs_out)
        os.dup2(first, 3)
        os.dup2(second, 4)

    process = subprocess.Popen(
        [*arguments, "--remote-debugging-pipe", "about:blank"],
        preexec_fn=hand_over,  # noqa: PLW1509 - it only copies descriptors
        close_fds=False,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "HOME": str(profile), "LC_ALL": "C.UTF-8"},
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(process, to_read, to_write)
    finally:
        process.terminate()
        process.wait(30)
        os.close(to_read)
        os.close(to_write)
