"""Alembic's entry point: runs on the connection that `db/migrate.py` hands in."""

from alembic import context

from pixeldojo.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    user_module_prefix="",
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
