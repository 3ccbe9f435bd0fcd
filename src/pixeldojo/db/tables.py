"""Every table, once for both databases. Queries live in each domain's `store.py`; changes go through migrations.

Amounts are integer millicredits, times `UtcTime`, ids the public ids themselves.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from pixeldojo.db.columns import StrangersText, UtcTime

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Id = String(48)


def _partial_index(name: str, *columns: str, where: str) -> Index:
    """Return an index over the rows of which `where` is true.

    SQLAlchemy's own arguments for it, one for each dialect, would load PostgreSQL's at every start on SQLite. So the
    condition is kept beside the index; migrations create it, and `migrations/env.py` tells Alembic of it.
    """
    return Index(name, *columns, info={"where": where})


accounts = Table(
    "accounts",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("account_id", _Id, ForeignKey("accounts.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("mode", String(8), nullable=False),
    Column("prefix", String(32), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("rate_per_minute", Integer),
    Column("spend_cap", BigInteger),
    Column("spend_cap_period", String(8)),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    CheckConstraint("mode IN ('test', 'live')", name="mode"),
    Index(None, "account_id", "id"),
)

webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    Column("account_id", _Id, ForeignKey("accounts.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("secret", String(120), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
)

# The ledger. One row is one entry: its four postings stand side by side and sum to zero.
entries = Table(
    "entries",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("account_id", _Id, ForeignKey("accounts.id"), nullable=False),
    Column("mode", String(8), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("job_id", _Id),
    Column("note", String(500), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("available", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("revenue", BigInteger, nullable=False),
    Column("grants", BigInteger, nullable=False),
    CheckConstraint("available + held + revenue + grants = 0", name="sums_to_zero"),
    CheckConstraint("kind IN ('grant', 'hold', 'capture', 'release')", name="kind"),
    UniqueConstraint("job_id", "kind"),
    Index(None, "account_id", "mode", "id"),
)

balances = Table(
    "balances",
    metadata,
    Column("account_id", _Id, ForeignKey("accounts.id"), primary_key=True),
    Column("mode", String(8), primary_key=True),
    Column("available", BigInteger, nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("captured", BigInteger, nullable=False),
    Column("granted", BigInteger, nullable=False),
    CheckConstraint("available >= 0", name="available_not_negative"),
    CheckConstraint("held >= 0", name="held_not_negative"),
    CheckConstraint("available + held + captured = granted", name="balanced"),
)

# One row per job that ended: the primary key is what makes a second settlement impossible.
settlements = Table(
    "settlements",
    metadata,
    Column("job_id", _Id, primary_key=True),
    Column("account_id", _Id, nullable=False),
    Column("mode", String(8), nullable=False),
    Column("held", BigInteger, nullable=False),
    Column("captured", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    CheckConstraint("captured >= 0 AND captured <= held", name="capture_within_hold"),
)

# What each key has spent, with a spend cap or without: `period` is a UTC day such as 2026-11-22, or `total`.
key_spending = Table(
    "key_spending",
    metadata,
    Column("key_id", _Id, ForeignKey("api_keys.id"), primary_key=True),
    Column("period", String(10), primary_key=True),
    Column("spent", BigInteger, nullable=False),
    CheckConstraint("spent >= 0", name="not_negative"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("account_id", _Id, ForeignKey("accounts.id"), nullable=False),
    Column("key_id", _Id, ForeignKey("api_keys.id"), nullable=False),
    Column("mode", String(8), nullable=False),
    Column("model_id", String(64), nullable=False),
    Column("input", JSON),
    Column("rehearsal", String(200)),
    Column("webhook_url", String(2048)),
    Column("status", String(16), nullable=False),
    # What the worker does next; see jobs/states.py.
    Column("step", String(16), nullable=False),
    Column("next_step_at", UtcTime, nullable=False),
    Column("lease_owner", _Id),
    Column("lease_until", UtcTime),
    Column("fence", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("deadline_at", UtcTime, nullable=False),
    Column("cancel_requested_at", UtcTime),
    # The upstream's part.
    Column("upstream_index", Integer, nullable=False),
    # Before an upstream has the job: whose place it waits for; see jobs/places.
    Column("waits_for", String(40)),
    Column("attempt_id", _Id),
    Column("operation", JSON),
    Column("input_files", JSON),
    Column("progress", Float),
    # The money: `quote` is the snapshot taken at submit, `cost` what was captured.
    Column("quote", JSON, nullable=False),
    Column("quoted", BigInteger, nullable=False),
    Column("cost", BigInteger),
    Column("error_code", String(32)),
    Column("error_message", StrangersText(1_000)),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("completed_at", UtcTime),
    Column("expires_at", UtcTime, nullable=False),
    Column("purged_at", UtcTime),
    # The `X-Request-Id` that the caller saw.
    Column("request_id", _Id),
    CheckConstraint("status IN ('pending', 'processing', 'completed', 'failed')", name="status"),
    CheckConstraint("mode IN ('test', 'live')", name="mode"),
    Index(None, "account_id", "id"),
    _partial_index("ix_jobs_kept", "account_id", "mode", "id", where="purged_at IS NULL"),
    _partial_index("ix_jobs_due", "next_step_at", where="step <> 'ended'"),
    _partial_index("ix_jobs_lease_owner", "lease_owner", where="lease_owner IS NOT NULL"),
    _partial_index(
        "ix_jobs_waiting", "waits_for", "account_id", "id", where="step = 'submit' AND waits_for IS NOT NULL"
    ),
    _partial_index("ix_jobs_expiring", "expires_at", where="step = 'ended' AND purged_at IS NULL"),
)

# One row per submit to an upstream, written before the call: an upstream is never called without one.
upstream_attempts = Table(
    "upstream_attempts",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("job_id", _Id, ForeignKey("jobs.id"), nullable=False),
    Column("provider", String(32), nullable=False),
    Column("endpoint", String(200), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("outcome", String(32)),
    Column("upstream_id", StrangersText(500)),
    Column("upstream_cost", StrangersText(200)),
    Column("message", StrangersText(1_000)),
    Index(None, "job_id", "id"),
    _partial_index("ix_upstream_attempts_under_way", "provider", where="ended_at IS NULL"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("account_id", _Id, ForeignKey("accounts.id"), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("resource_id", _Id, nullable=False),
    Column("status", Integer, nullable=False),
    Column("answer", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Index(None, "expires_at"),
    Index(None, "resource_id"),
)

assets = Table(
    "assets",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("job_id", _Id, ForeignKey("jobs.id"), nullable=False),
    Column("account_id", _Id, ForeignKey("accounts.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("content_type", String(100), nullable=False),
    Column("extension", String(8), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("duration_seconds", Float),
    Column("blob_key", String(300), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    UniqueConstraint("job_id", "position"),
)

files = Table(
    "files",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("account_id", _Id, ForeignKey("accounts.id"), nullable=False),
    Column("content_type", String(100), nullable=False),
    Column("extension", String(8), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("blob_key", String(300), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("is_deleted", Boolean, nullable=False),
    Index(None, "account_id", "expires_at"),
    _partial_index("ix_files_expiring", "expires_at", where="NOT is_deleted"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("account_id", _Id, ForeignKey("accounts.id"), nullable=False),
    Column("job_id", _Id, ForeignKey("jobs.id"), nullable=False, unique=True),
    Column("url", String(2048), nullable=False),
    Column("event_type", String(32), nullable=False),
    # Written once, in the transaction that ends the job: every attempt sends the same bytes.
    Column("body", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempt_count", Integer, nullable=False),
    # Attempts of the schedule made since the last replay.
    Column("schedule_position", Integer, nullable=False),
    Column("next_attempt_at", UtcTime),
    Column("lease_owner", _Id),
    Column("lease_until", UtcTime),
    Column("fence", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("delivered_at", UtcTime),
    Column("expires_at", UtcTime, nullable=False),
    CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="status"),
    _partial_index("ix_deliveries_kept", "account_id", "id", where="body <> ''"),
    _partial_index("ix_deliveries_due", "next_attempt_at", where="status = 'pending'"),
)

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", _Id, ForeignKey("deliveries.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("started_at", UtcTime, nullable=False),
    Column("duration_seconds", Float, nullable=False),
    Column("status", Integer),
    Column("error", StrangersText(500)),
)
