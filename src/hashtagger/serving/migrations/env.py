"""Alembic's environment: runs the migrations on the connection given by the caller."""

from alembic import context

from hashtagger.serving.store import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
