"""Alembic's entry point: runs on the connection that `db/migrate.py` hands in."""

from alembic import context
from sqlalchemy import text

from pixeldojo.db.tables import metadata

for index in (one for table in metadata.tables.values() for one in table.indexes if "where" in one.info):
    for dialect in ("sqlite", "postgresql"):
        index.dialect_kwargs[f"{dialect}_where"] = text(index.info["where"])
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    user_module_prefix="",
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
