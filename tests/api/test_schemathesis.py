"""Schemathesis over our own document: what it says of every operation is what the app does, whatever is sent."""

import asyncio
import itertools
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

import pytest
import schemathesis
from schemathesis.python.asgi import shutdown_lifespans
from tests.api.asgi import App, Message, Receive, Send
from tests.api.dojo import Dojo
from tests.api.schema_trial import GENERIC_RUN, trial_config, tried
from tests.clock import FakeClock
from tests.stores import Stores

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.catalog.load import Catalog
from pixeldojo.core.settings import Settings
from pixeldojo.db.engine import open_database

_FLUX: Final = "POST /api/v1/models/flux-1.1-pro/run"
_MUST_BE_SEEN: Final = {
    (GENERIC_RUN, 202),
    (GENERIC_RUN, 400),
    (GENERIC_RUN, 401),
    (_FLUX, 202),
    (_FLUX, 400),
    ("GET /api/v1/jobs/{jobId}", 200),
    ("GET /api/v1/jobs", 200),
    ("GET /api/v1/jobs", 400),
    ("POST /api/v1/jobs/{jobId}/cancel", 202),
    ("GET /api/v1/models", 200),
    ("GET /api/v1/models", 400),
    ("GET /api/v1/models/{apiId}/schema", 200),
    ("POST /api/v1/webhooks/secret", 201),
    ("POST /api/v1/files", 201),
    ("POST /api/v1/keys", 201),
    ("PATCH /api/v1/keys/{keyId}", 200),
    ("DELETE /api/v1/keys/{keyId}", 204),
    ("GET /api/v1/usage", 200),
    ("GET /api/v1/credits/entries", 200),
    ("POST /api/v1/files", 415),
}


class Served:
    """An app that lives in Schemathesis' own event loop, and a key for it, which it shall neither revoke nor change."""

    def __init__(self, dojo: Dojo, key: ApiKey, secret: str) -> None:
        self.dojo = dojo
        self.secret = secret
        self._own_path = f"/api/v1/keys/{key.id}"
        self._callers = itertools.count()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            # From an address of its own each: one address may not try wrong keys for long.
            scope["client"] = (str(ip_address(next(self._callers) + int(ip_address("198.18.0.0")))), 50_000)
            if scope["path"] == self._own_path and scope["method"] in {"PATCH", "DELETE"}:
                scope["path"] = "/api/v1/keys/key_of_nobody"
            if scope["path"].endswith("/events"):
                await _hear_one_event(self.dojo.app, scope, receive, send)
            else:
                await self.dojo.app(scope, receive, send)
            return
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.dojo.stores.database.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _hear_one_event(app: App, scope: Message, receive: Receive, send: Send) -> None:
    """Be a caller who hangs up after the first event: nobody works on the jobs, so a stream would never end."""
    heard = asyncio.Event()
    is_body_over = False

    async def receive_or_hang_up() -> Message:
        nonlocal is_body_over
        if is_body_over:
            await heard.wait()
            return {"type": "http.disconnect"}
        message = await receive()
        is_body_over = not message.get("more_body", False)
        return message

    async def listen(message: Message) -> None:
        await send(message)
        if b"data:" in message.get("body", b""):
            heard.set()

    await app(scope, receive_or_hang_up, listen)


@pytest.fixture
def served(sqlite_address: str, catalog: Catalog, settings: Settings) -> Iterator[Served]:
    key, secret = asyncio.run(_new_key(sqlite_address, catalog, settings))
    stores = Stores(open_database(sqlite_address), FakeClock())
    generous = settings.model_copy(update={"public_rate_per_minute": 1_000_000})
    yield Served(Dojo(stores, catalog, generous), key, secret)
    shutdown_lifespans()


async def _new_key(address: str, catalog: Catalog, settings: Settings) -> tuple[ApiKey, str]:
    database = open_database(address)
    caller = await Dojo(Stores(database, FakeClock()), catalog, settings).caller(granted=1_000_000_000)
    await database.close()
    return caller.api_key, str(caller.key)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_every_operation_does_what_the_document_says_whatever_is_sent(served: Served) -> None:
    config = trial_config(served.secret, max_examples=10)
    schema = schemathesis.openapi.from_asgi("/api/openapi", served, config=config)
    problems, seen = tried(schema)
    assert not problems, "\n\n".join(sorted(problems))
    assert seen >= _MUST_BE_SEEN, "Schemathesis did not get far enough to prove anything"
