"""Whose clock cron goes by, unless a person says so."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from migrate.cli import crontab
from migrate.cli.crontab import lines_in, zone_of_host
from migrate.errors import ConfigError

TOKYO = Path(str(files("tzdata") / "zoneinfo" / "Asia" / "Tokyo"))


@pytest.fixture
def localtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(crontab, "_LOCALTIME", tmp_path / "localtime")
    return tmp_path / "localtime"


def test_the_zone_of_the_host_is_what_tz_says_or_else_its_localtime_or_else_utc(localtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert zone_of_host(None) == ZoneInfo("UTC")
    localtime.symlink_to(TOKYO)
    assert zone_of_host(None) == ZoneInfo("Asia/Tokyo")
    for written in ("Asia/Kolkata", ":Asia/Kolkata", "/usr/share/zoneinfo/Asia/Kolkata"):
        monkeypatch.setenv("TZ", written)
        assert zone_of_host(None) == ZoneInfo("Asia/Kolkata")
    assert zone_of_host("Europe/Berlin") == ZoneInfo("Europe/Berlin")


def test_a_localtime_that_is_a_copy_has_no_name(localtime: Path) -> None:
    localtime.write_bytes(TOKYO.read_bytes())
    (line,) = lines_in(["30 6 * * *"], zone_of_host(None))
    assert line.zone.key is None
    assert crontab._name(line.zone) == "this machine"


@pytest.mark.parametrize("written", ["EST5EDT,M3.2.0,M11.1.0", "Mars/Olympus", "../etc/passwd"])
def test_a_clock_that_cannot_be_known_has_to_be_named(localtime: Path, monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("TZ", written)
    with pytest.raises(ConfigError, match="Name that of cron's clock, as in `--zone Europe/Berlin`") as refused:
        zone_of_host(None)
    assert refused.value.where == "TZ"
    localtime.write_bytes(b"no zone")
    monkeypatch.delenv("TZ")
    with pytest.raises(ConfigError) as refused:
        zone_of_host(None)
    assert refused.value.where == str(localtime)
