"""The statements that SQLite and PostgreSQL spell alike but SQLAlchemy keeps apart."""

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Table, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


def insert_for(connection: AsyncConnection, table: Table) -> "postgresql.Insert | sqlite.Insert":
    """Return an INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415  the embedded database starts without it

    return postgresql.insert(table)


async def one_at_a_time(connection: AsyncConnection, what: str) -> None:
    """Wait until no other transaction that named `what` is open. On SQLite, which has one writer, none ever is."""
    if connection.dialect.name == "postgresql":
        await connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(what))))


def url_host(connection: AsyncConnection, url: ColumnElement[str]) -> ColumnElement[str]:
    """Return host and port of an address in a column, as they stand in it."""
    if connection.dialect.name == "postgresql":
        return func.split_part(func.split_part(url, "/", 3), "?", 1)
    return _until(_until(func.substr(url, func.instr(url, "//") + 2), "/"), "?")


def _until(text: ColumnElement[str], mark: str) -> ColumnElement[str]:
    return func.substr(text, 1, func.instr(text.concat(mark), mark) - 1)
