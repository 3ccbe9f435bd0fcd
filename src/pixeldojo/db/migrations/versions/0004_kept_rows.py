"""Lists pass over what has expired by an index, however much of it there is; jobs remember the request they came with."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("request_id", sa.String(length=48)))
    _create_partial_index("ix_jobs_kept", "jobs", "account_id", "mode", "id", where="purged_at IS NULL")
    _create_partial_index("ix_deliveries_kept", "deliveries", "account_id", "id", where="body <> ''")
    op.drop_index("ix_deliveries_account_id_id", table_name="deliveries")


def _create_partial_index(name: str, table: str, *columns: str, where: str) -> None:
    op.create_index(name, table, [*columns], sqlite_where=sa.text(where), postgresql_where=sa.text(where))
