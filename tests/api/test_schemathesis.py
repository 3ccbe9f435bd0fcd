"""Schemathesis over our own document: what it says of every operation is what the app does, whatever is sent."""

import asyncio
from collections.abc import Iterator
from typing import Final

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.python.asgi import shutdown_lifespans
from tests.api.asgi import Message, Receive, Send
from tests.api.dojo import Dojo
from tests.clock import FakeClock
from tests.stores import Stores

from pixeldojo.catalog.load import Catalog
from pixeldojo.core.settings import Settings
from pixeldojo.db.engine import open_database

_RUN: Final = "POST /api/v1/models/{apiId}/run"
# What a well-formed request may meet besides success: a run's body is bound by its model, which the document's one
# schema for all of them does not say, its idempotency key may have been used before, and a job may have no webhook.
_BEYOND_THE_SCHEMA: Final = {
    _RUN: ["2xx", "400", "404", "422"],
    "POST /api/v1/jobs/{jobId}/webhook": ["2xx", "400", "404", "409"],
}
_MUST_BE_SEEN: Final = {
    (_RUN, 202),
    (_RUN, 400),
    (_RUN, 401),
    ("GET /api/v1/jobs/{jobId}", 200),
    ("GET /api/v1/jobs", 200),
    ("GET /api/v1/jobs", 400),
    ("POST /api/v1/jobs/{jobId}/cancel", 202),
    ("GET /api/v1/models", 200),
    ("GET /api/v1/models", 400),
    ("GET /api/v1/models/{apiId}/schema", 200),
    ("POST /api/v1/webhooks/secret", 201),
}


class Served:
    """An app that lives in Schemathesis' own event loop, and a key for it."""

    def __init__(self, dojo: Dojo, secret: str) -> None:
        self.dojo = dojo
        self.secret = secret

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self.dojo.app(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.dojo.stores.database.close()
        await send({"type": "lifespan.shutdown.complete"})


@pytest.fixture
def served(sqlite_address: str, catalog: Catalog, settings: Settings) -> Iterator[Served]:
    secret = asyncio.run(_new_secret(sqlite_address, catalog, settings))
    stores = Stores(open_database(sqlite_address), FakeClock())
    generous = settings.model_copy(update={"public_rate_per_minute": 1_000_000})
    yield Served(Dojo(stores, catalog, generous), secret)
    shutdown_lifespans()


async def _new_secret(address: str, catalog: Catalog, settings: Settings) -> str:
    database = open_database(address)
    caller = await Dojo(Stores(database, FakeClock()), catalog, settings).caller(granted=1_000_000_000)
    await database.close()
    return str(caller.key)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_every_operation_does_what_the_document_says_whatever_is_sent(served: Served) -> None:
    config = SchemathesisConfig.from_dict(
        {
            "seed": 20260504,
            "generation": {"max-examples": 15, "deterministic": True, "database": "none"},
            "auth": {"openapi": {"apiKey": {"bearer": served.secret}}},
            "operations": [
                {"include-name": name, "checks": {"positive_data_acceptance": {"expected-statuses": statuses}}}
                for name, statuses in _BEYOND_THE_SCHEMA.items()
            ],
        }
    )
    schema = schemathesis.openapi.from_asgi("/api/openapi", served, config=config)
    problems: set[str] = set()
    seen: set[tuple[str, int]] = set()
    for event in from_schema(schema).execute():
        match event:
            case events.ScenarioFinished(recorder=recorder):
                problems.update(_failures(recorder))
                seen.update(_statuses(recorder))
            case events.NonFatalError(value=error) | events.FatalError(exception=error):
                problems.add(repr(error))
            case _:
                """Beginnings and ends."""
    assert not problems, "\n\n".join(sorted(problems))
    assert seen >= _MUST_BE_SEEN, "Schemathesis did not get far enough to prove anything"


def _failures(recorder: ScenarioRecorder) -> Iterator[str]:
    for checks in recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                yield f"{failure.operation}: {failure.title}: {failure.message}\n{check.failure_info.code_sample}"


def _statuses(recorder: ScenarioRecorder) -> Iterator[tuple[str, int]]:
    for case_id, interaction in recorder.interactions.items():
        if interaction.response is not None:
            yield recorder.cases[case_id].value.operation.label, interaction.response.status_code
