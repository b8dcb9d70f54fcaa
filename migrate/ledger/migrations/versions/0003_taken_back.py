"""Who took an exemption or a pause back, and why."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"

_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    """Adds the columns; they are null for what was taken back before."""
    for table in ("exemption", "pause"):
        for name in ("removed_by", "removed_reason"):
            op.add_column(table, sa.Column(name, _TEXT, nullable=True))
