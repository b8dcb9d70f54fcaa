"""The server's reply about an address that counts as dead; who cleared the address, and why."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"

_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    """Adds the columns; they are null for marks that were made or cleared before."""
    for name in ("reply", "cleared_by", "cleared_reason"):
        op.add_column("bounce", sa.Column(name, _TEXT, nullable=True))
