"""The script that Alembic runs; `migrate.ledger.revisions.upgrade` provides the connection and its transaction."""

from alembic import context

from migrate.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
