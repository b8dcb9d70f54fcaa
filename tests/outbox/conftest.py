"""The outbox is part of the ledger: its tests stand on the ledger's."""

from ledger.conftest import (  # noqa: F401 - fixtures
    ledger,
    ledger_url,
    mariadb_ledger,
    mariadb_template,
    postgres_ledger,
    postgres_template,
    scene,
    sqlite_template,
)
