"""Places at upstreams: who waits for one, and how many are taken."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_WAITING = "step = 'submit' AND waits_for IS NOT NULL"
_UNDER_WAY = "ended_at IS NULL"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("waits_for", sa.String(length=40)))
    op.create_index(
        "ix_jobs_waiting",
        "jobs",
        ["waits_for", "account_id", "id"],
        sqlite_where=sa.text(_WAITING),
        postgresql_where=sa.text(_WAITING),
    )
    op.create_index(
        "ix_upstream_attempts_under_way",
        "upstream_attempts",
        ["provider"],
        sqlite_where=sa.text(_UNDER_WAY),
        postgresql_where=sa.text(_UNDER_WAY),
    )
