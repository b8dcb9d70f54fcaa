"""The SHA-256 of each letter as it was handed to the mail server, so that its words can be proven; of earlier ones none was kept."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Add the column."""
    op.add_column("letter", sa.Column("message_digest", sa.String(64), nullable=True))
