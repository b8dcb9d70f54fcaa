"""A database server gives up what nobody waits for any more."""

from __future__ import annotations

import time

import pytest

from migrate.directory.sql import SqlDirectory, SqlSettings
from migrate.errors import DirectoryError

SLOW = {
    "postgres_url": "SELECT 'a' AS account_id, 'a@example.com' AS email, 'sms' AS methods FROM pg_sleep(30)",
    "mariadb_url": "SELECT 'a' AS account_id, 'a@example.com' AS email, SLEEP(30) AS methods",
}
HAS = {
    "postgres_url": "SELECT current_setting('statement_timeout') AS account_id, 'a@example.com' AS email, 'sms' AS methods",
    "mariadb_url": "SELECT @@max_statement_time AS account_id, 'a@example.com' AS email, 'sms' AS methods",
}


@pytest.mark.parametrize("server", SLOW)
def test_a_statement_that_takes_longer_than_the_read_may_is_given_up_by_the_server(request: pytest.FixtureRequest, server: str) -> None:
    url = request.getfixturevalue(server)
    begun = time.monotonic()
    with pytest.raises(DirectoryError, match="could not be read completely"):
        list(SqlDirectory(SqlSettings(url=url, query=SLOW[server], timeout=1)).frames())
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("server", HAS)
def test_without_a_time_the_server_is_told_none(request: pytest.FixtureRequest, server: str) -> None:
    url = request.getfixturevalue(server)
    (frame,) = SqlDirectory(SqlSettings(url=url, query=HAS[server], timeout=0)).frames()
    assert float(frame["account_id"].iloc[0]) == 0
    (frame,) = SqlDirectory(SqlSettings(url=url, query=HAS[server], timeout=7)).frames()
    assert str(frame["account_id"].iloc[0]).startswith("7")
