from __future__ import annotations

import pytest

from migrate.files.resources import resource


def test_what_ships_with_the_tool_is_found() -> None:
    assert (resource("templates") / "mail" / "reminder" / "subject.txt.j2").is_file()


def test_what_does_not_ship_is_named() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-file is missing from this installation"):
        resource("no-such-file")
