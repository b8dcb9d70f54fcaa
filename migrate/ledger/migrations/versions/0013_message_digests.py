"""The SHA-256 of each letter as the mail server got it, so that its text can be proven; null for earlier letters."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Adds the column."""
    op.add_column("letter", sa.Column("message_digest", sa.String(64), nullable=True))
