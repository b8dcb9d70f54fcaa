"""An index that counts the letters that ended, instead of one that no query used."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Replaces the one index with the other."""
    ended = sa.text("state IN ('sent', 'failed', 'withdrawn')")
    op.drop_index("ix_letter_settled", "letter")
    op.create_index("ix_letter_ended", "letter", ["campaign_id", "state"], sqlite_where=ended, postgresql_where=ended)
