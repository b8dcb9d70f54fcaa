"""What holds for every test: the network ends at this machine, and nothing of the developer's own environment leaks in."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import numpy as np
import pandas as pd
import pytest

from migrate.accounts import ACCOUNT_COLUMNS, ROW_COLUMNS, conform
from migrate.directory.translate import Translator

pytest_plugins = ["peers", "spreadsheet", "disks"]


def _stays_here(family: int, address: Any) -> bool:
    if family == getattr(socket, "AF_UNIX", None):
        return True
    host = str(address[0])
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket to anywhere but loopback is a test's mistake, and says so."""
    for name in ("connect", "connect_ex"):
        real = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: Any, real: Any = real) -> Any:
            if not _stays_here(self.family, address):
                pytest.fail(f"this test tried to reach {address!r}; tests stay on loopback")
            return real(self, address)

        monkeypatch.setattr(socket.socket, name, guarded)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MIGRATE_CONFIG", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def newer_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories tell the newer columns of an account in our own words, whether their translation is asked for them or not."""
    translate = Translator.translate

    def telling(self: Translator, raw: pd.DataFrame) -> pd.DataFrame:
        frame, raw = translate(self, raw), raw.reset_index(drop=True)
        for name in {"last_used_at", "may_enrol", "in_policy", "groups"} & set(raw.columns):
            column = raw[name].astype(object).where(raw[name].notna() & (raw[name] != ""))
            if name == "in_policy":
                column = column.map({"yes": True, "no": False, np.nan: pd.NA})
            frame[name] = column.fillna("") if name == "groups" else column.replace("none", "") if name == "may_enrol" else column
        return conform(frame, {name: dtype for name, dtype in ROW_COLUMNS.items() if name in ACCOUNT_COLUMNS or name in frame})

    monkeypatch.setattr(Translator, "translate", telling)
