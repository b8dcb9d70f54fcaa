"""Alembic's entry: the connection and its transaction are the caller's (`migrate.ledger.revisions.upgrade`)."""

from alembic import context

from migrate.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
