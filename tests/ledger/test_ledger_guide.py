"""What docs/ledger.md tells people to type, typed."""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sa

from migrate.ledger.engine import Ledger, LedgerSettings, describe

GUIDE = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text(encoding="utf-8")


def test_every_url_of_the_guide_names_a_database_the_ledger_can_live_in() -> None:
    urls = re.findall(r"`(\w+://\S+)`", GUIDE)
    assert [describe(sa.make_url(url)) for url in urls if not url.endswith("://")] == [
        "migrate.db", "the postgresql database migrate at db.example.com", "the mariadb database migrate at db.example.com",
    ]  # fmt: skip


def test_the_rights_of_the_guide_are_enough_on_mariadb(mariadb_server: str) -> None:
    (block,) = re.findall(r"```sql\n(.*?)```", GUIDE, flags=re.DOTALL)
    engine = sa.create_engine(mariadb_server, poolclass=sa.NullPool)
    url = sa.make_url(mariadb_server).set(username="migrate", password="a password of your own", database="migrate")
    try:
        with engine.connect() as connection:
            for statement in block.split(";")[:-1]:
                connection.exec_driver_sql(statement)
        for create in (True, False):
            Ledger.open(LedgerSettings(url=url.render_as_string(hide_password=False)), create=create).close()
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql("DROP DATABASE IF EXISTS migrate")
            connection.exec_driver_sql("DROP USER IF EXISTS migrate")
