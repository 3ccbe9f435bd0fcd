"""Which database addresses are taken, and what is said about the others."""

import pytest

from pixeldojo.core.errors import ConfigurationError
from pixeldojo.db.engine import async_url, open_database


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("sqlite:////var/lib/pixeldojo.db", "sqlite+aiosqlite:////var/lib/pixeldojo.db"),
        ("postgresql://user:word@db:5433/dojo", "postgresql+asyncpg://user:word@db:5433/dojo"),
        ("postgres://user@db/dojo", "postgresql+asyncpg://user@db/dojo"),
        ("postgresql+psycopg://user@db/dojo", "postgresql+asyncpg://user@db/dojo"),
        ("postgresql://db/dojo?sslmode=require", "postgresql+asyncpg://db/dojo?ssl=require"),
        ("postgresql:///dojo?host=/run/postgresql", "postgresql+asyncpg:///dojo?host=%2Frun%2Fpostgresql"),
    ],
)
def test_addresses_as_operators_write_them(address: str, expected: str) -> None:
    assert async_url(address).render_as_string(hide_password=False) == expected


@pytest.mark.parametrize("address", ["", "pixeldojo.db", "postgresql://db:port/dojo", "mysql://root@db/dojo"])
def test_another_address_is_refused_with_what_to_write_instead(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"postgresql://user:password@host/name or sqlite:///path"):
        async_url(address)


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:"])
def test_sqlite_in_memory_is_refused_because_its_connections_would_not_share_it(address: str) -> None:
    with pytest.raises(ConfigurationError, match="file"):
        open_database(address)


def test_a_password_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ConfigurationError) as caught:
        async_url("mysql://root:hunter2@db/dojo")

    assert "hunter2" not in str(caught.value)
