"""Alembic runs this file. It works on the connection that the store hands it, in its transaction.

Nothing here reads a settings file: where the records are is the caller's knowledge alone.
"""

from alembic import context

from aurora.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter most of a table in place
)
with context.begin_transaction():
    context.run_migrations()
