"""Where the ledger is: a path is a path, whatever is in its name, and others than its owner have no rights to it, or it is said."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from office import Office
from variants import first
from without_cache import WITHOUT_CACHE

NAMES = ("what?a=b", "q?mode=memory", "pct%41x", "a#b", "plus+and space", "50%", "ümlaut", "file:x", "a&b=c;d")


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.db*") if path.is_file()}


@pytest.fixture(autouse=True)
def _generous_umask() -> None:
    os.umask(0o022)


@pytest.mark.parametrize("name", first(5, NAMES))
def test_a_configuration_in_a_folder_of_any_name_has_its_files_there(tmp_path: Path, name: str) -> None:
    office = Office(tmp_path / name)
    office.hire("ada")
    assert office.run("2024-01-02T06:00")["outcomes"] == {"queued": 1}
    assert office.run("2024-01-03T06:00")["outcomes"] == {"nothing_due": 1}
    assert office.migrate("status", "--json").facts["last_run"]["run_id"] == "r00002"
    assert office.migrate("ledger", "check").code == 0
    assert office.migrate("dry-run", "--as-of", "2024-01-03T06:00").code == 0
    assert [path.name for path in tmp_path.iterdir()] == [name]
    there = {path.name for path in office.folder.iterdir()}
    assert ("migrate.db.image" in there) is not WITHOUT_CACHE
    assert {"migrate.db", "directory.db", "outbox", "reports"} <= there <= {
        "migrate.db", "migrate.db-wal", "migrate.db-shm", "migrate.db.image", "directory.db", "directory.csv", "outbox", "reports",
        "config.toml",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["what?a=b", "pct%41x"])
def test_a_directory_and_a_second_source_in_a_folder_of_any_name_are_read(tmp_path: Path, name: str) -> None:
    office = Office(tmp_path / name)
    office.directory = (
        'kind = "sql"\nurl = "sqlite:///directory.db"\ntable = "users"\n[[directory.join]]\nkind = "sql"\nurl = "sqlite:///directory.db"\n'
        'table = "users"\non = "account_id"\n[directory.join.columns]\naccount_id = "id"\ngroups = "groups"'
    )
    office.hire("ada")
    assert office.run("2024-01-02T06:00")["outcomes"] == {"queued": 1}


def test_a_ledger_behind_a_link_is_made_where_the_link_leads_and_for_its_owner_alone(office: Office, tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (office.folder / "migrate.db").symlink_to(tmp_path / "volume" / "ledger.db")
    office.hire("ada")
    office.run("2024-01-02T06:00")
    assert set(modes(tmp_path / "volume").values()) == {0o600}
    # What stands in the write-ahead log is seen through the link as well.
    assert office.migrate("status", "--json").facts["last_run"]["run_id"] == "r00001"
    assert "rights" not in office.migrate("check", "--quick").out


def test_a_link_that_leads_into_no_folder_is_said(office: Office, tmp_path: Path) -> None:
    (office.folder / "migrate.db").symlink_to(tmp_path / "unmounted" / "ledger.db")
    office.hire("ada")
    office.write()
    done = office.migrate("run", "--as-of", "2024-01-02T06:00")
    assert (done.code, str(tmp_path / "unmounted") in done.err) == (2, True)


def test_rights_of_others_to_the_ledger_are_said_by_run_and_check_and_left_as_they_are(office: Office) -> None:
    office.hire("ada")
    office.run("2024-01-02T06:00")
    (office.folder / "migrate.db").chmod(0o644)
    for done in (office.migrate("run", "--quiet", "--as-of", "2024-01-03T06:00"), office.migrate("check", "--quick")):
        said = " ".join((done.out + done.err).split())
        assert done.code == 0
        assert f"{office.folder / 'migrate.db'} (mode 0644)" in said
        assert f"chmod 600 {office.folder / 'migrate.db'}" in said
    assert modes(office.folder)["migrate.db"] == 0o644
    (office.folder / "migrate.db").chmod(0o600)
    assert office.migrate("run", "--quiet", "--as-of", "2024-01-04T06:00").err == ""


def test_a_ledger_is_never_seen_without_a_byte(office: Office) -> None:
    """So a file of 0 bytes is refused for a first run as well: nobody knows what it was."""
    office.hire("ada")
    office.write()
    (office.folder / "migrate.db").touch()
    done = office.migrate("run", "--as-of", "2024-01-02T06:00")
    assert (done.code, "is empty (0 bytes), which no ledger ever is" in done.err) == (2, True)
    assert office.mails() == []
