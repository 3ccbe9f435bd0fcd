"""What operator commands work with: the database's services, without HTTP and workers.

Owns opening them. Leaves a whole node to `bootstrap`. What is needed is imported when an office is opened, so that a
command which only helps, or was mistyped, answers without waiting for the database's libraries.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pixeldojo.accounts.service import AccountsService
    from pixeldojo.core.clock import Clock
    from pixeldojo.core.settings import Settings
    from pixeldojo.credits.service import CreditsService
    from pixeldojo.db.engine import Database
    from pixeldojo.jobs.audit import LedgerAudit
    from pixeldojo.jobs.story import JobStories


@dataclass(frozen=True, slots=True)
class Office:
    """The services on one database."""

    database: "Database"
    accounts: "AccountsService"
    credits: "CreditsService"

    @property
    def audit(self) -> "LedgerAudit":
        """What proves that the books are right."""
        from pixeldojo.jobs.audit import LedgerAudit  # noqa: PLC0415  one command needs it, and a node none of this

        return LedgerAudit(self.database)

    @property
    def stories(self) -> "JobStories":
        """What tells how a job went."""
        from pixeldojo.jobs.story import JobStories  # noqa: PLC0415  as above

        return JobStories(self.database)


@asynccontextmanager
async def open_office(settings: "Settings") -> AsyncIterator[Office]:
    """Give the services that operator commands need; the database must be up to date.

    Raises:
        ConfigurationError: if it is not, or the server's secret is missing.
    """
    from pixeldojo.core.clock import SystemClock  # noqa: PLC0415  see above
    from pixeldojo.core.data_dir import read_server_secret  # noqa: PLC0415  see above
    from pixeldojo.db.engine import open_database  # noqa: PLC0415  see above
    from pixeldojo.db.migrate import require_newest_revision  # noqa: PLC0415  see above

    secret = read_server_secret(settings)
    database = open_database(settings.database_address)
    try:
        await require_newest_revision(database)
        yield build_office(database, SystemClock(), secret)
    finally:
        await database.close()


def build_office(database: "Database", clock: "Clock", secret: bytes) -> Office:
    """Return the services on a database that somebody else opened and closes."""
    from pixeldojo.accounts.service import AccountsService  # noqa: PLC0415  see above
    from pixeldojo.credits.service import CreditsService  # noqa: PLC0415  see above

    return Office(database, AccountsService(database, clock, secret), CreditsService(database, clock))
