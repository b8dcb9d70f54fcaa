"""Postfix's own test programs: `smtp-sink` takes letters and throws them away, `smtp-source` hands over ready-made ones.

They come from Debian's package `postfix`, unpacked below `build/` and never installed: nothing of it runs on the machine but these two.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

CACHE: Final = Path(__file__).resolve().parents[1] / "build" / "postfix"
_PACKAGES: Final = ("postfix", "libicu72", "libdb5.3", "libnsl2", "libsasl2-2")
"""The package, and the libraries that a small machine may lack."""


def install() -> Path:
    """The folder of the unpacked packages, fetched if they are not there yet. Raises CalledProcessError where apt cannot help."""
    if not (CACHE / "usr/sbin/smtp-sink").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        for package in _PACKAGES:
            fetched = subprocess.run(["apt-get", "download", package], cwd=CACHE, check=package == "postfix", capture_output=True)
            if fetched.returncode == 0:
                (deb,) = CACHE.glob(f"{package}_*.deb")
                subprocess.run(["dpkg", "-x", deb, CACHE], check=True)
                deb.unlink()
    return CACHE


def _environment(root: Path) -> dict[str, str]:
    folders = [root / "usr/lib/postfix", *root.glob("usr/lib/*-linux-gnu")]
    return os.environ | {"LD_LIBRARY_PATH": ":".join(map(str, folders))}


@contextmanager
def smtp_sink() -> Iterator[int]:
    """The port of a running `smtp-sink` on loopback."""
    root = install()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
    sink = subprocess.Popen([root / "usr/sbin/smtp-sink", *as_nobody, f"127.0.0.1:{port}", "1000"], env=_environment(root), cwd="/")
    try:
        _wait_for(port)
        yield port
    finally:
        sink.terminate()
        sink.wait()


def _wait_for(port: int) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def smtp_source(port: int, letters: int, octets: int, connections: int) -> float:
    """Seconds in which `smtp-source -d` hands over so many letters of so many octets over so many connections."""
    root = install()
    program = [str(root / "usr/sbin/smtp-source"), "-d", "-s", str(connections), "-l", str(octets), "-m", str(letters)]
    ends = ["-f", "from@example.com", "-t", "to@example.com", f"127.0.0.1:{port}"]
    start = time.perf_counter()
    subprocess.run([*program, *ends], env=_environment(root), check=True, cwd="/")
    return time.perf_counter() - start
