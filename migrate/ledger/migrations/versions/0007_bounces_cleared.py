"""What the server said of an address that counts as dead; who said that it takes mail after all, and why."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"

_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    """Add the columns; of marks made or cleared before, nobody knows."""
    for name in ("reply", "cleared_by", "cleared_reason"):
        op.add_column("bounce", sa.Column(name, _TEXT, nullable=True))
