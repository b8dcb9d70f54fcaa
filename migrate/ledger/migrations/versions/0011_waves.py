"""The wave to which an account was assigned, and under which `[[waves]]`."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

_TABLES = ("account", "account_history")


def upgrade() -> None:
    """Adds the columns; they are null while no wave is configured."""
    for table in _TABLES:
        op.add_column(table, sa.Column("fixed_wave", sa.String(100), nullable=True))
        op.add_column(table, sa.Column("wave_basis", sa.String(16), nullable=True))
