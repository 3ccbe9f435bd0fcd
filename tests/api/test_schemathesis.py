"""Schemathesis over our own document: what it says of every operation is what the app does, whatever is sent."""

import asyncio
import itertools
import json
import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.python.asgi import shutdown_lifespans
from tests.api.asgi import App, Message, Receive, Send
from tests.api.dojo import PNG, Dojo
from tests.clock import FakeClock
from tests.stores import Stores

from pixeldojo.accounts.keys import ApiKey
from pixeldojo.catalog.load import Catalog
from pixeldojo.core.settings import Settings
from pixeldojo.db.engine import open_database

# Words that docs/sandbox.md explains; others are refused.
schemathesis.openapi.format("sandbox-rehearsal", st.sampled_from(["", "slow=5", "hang", "refuse, twice", "flaky=2"]))

# Half of what is uploaded is a picture; no schema can say what the rest would have to be.
schemathesis.openapi.media_type("application/octet-stream", st.binary() | st.binary().map(PNG.__add__))

_RUN: Final = "POST /api/v1/models/{apiId}/run"
_FLUX: Final = "POST /api/v1/models/flux-1.1-pro/run"
# What a well-formed request may meet besides success, wherever it stands: nothing of that id, not in this state, a key
# that was used for something else (`_refusals` looks for its code).
_PLAIN: Final = ["2xx", "304", "404", "409", "422"]
_BEYOND_THE_SCHEMA: Final = {
    # The model is chosen by the address, so the body cannot be bound by it; at the models' own addresses it is.
    "include-name": [_RUN, "POST /api/v1/models/{apiId}/estimate"],
    # The job had no `webhook_url`; a span of time can be too long.
    "include-path": ["/api/v1/jobs/{jobId}/webhook", "/api/v1/usage"],
    # An address may lead where we do not go (`_refusals` looks for nothing else).
    "include-operation-id-regex": "^run_",
}
_MUST_BE_SEEN: Final = {
    (_RUN, 202),
    (_RUN, 400),
    (_RUN, 401),
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
    config = SchemathesisConfig.from_dict(
        {
            "seed": 20260504,
            # A NUL is refused in any text, which a schema could say only with a pattern that nobody would read.
            "generation": {"allow-x00": False, "max-examples": 10, "deterministic": True, "database": "none"},
            "auth": {"openapi": {"apiKey": {"bearer": served.secret}}},
            "checks": _accepting(_PLAIN),
            "operations": [
                *({name: value, "checks": _accepting([*_PLAIN, "400"])} for name, value in _BEYOND_THE_SCHEMA.items()),
                # Names that show, times that lie ahead, no more than the calling key has: no schema can say that.
                {
                    "include-operation-id": ["createKey", "changeKey"],
                    "checks": _accepting([*_PLAIN, "400", "403"]),
                },
                {"include-operation-id": "uploadFile", "checks": _accepting([*_PLAIN, "400", "415"])},
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
                problems.update(_refusals(recorder))
                seen.update(_statuses(recorder))
            case events.NonFatalError(value=error) | events.FatalError(exception=error):
                problems.add(repr(error))
            case _:
                """Beginnings and ends."""
    assert not problems, "\n\n".join(sorted(problems))
    assert seen >= _MUST_BE_SEEN, "Schemathesis did not get far enough to prove anything"


def _accepting(statuses: list[str]) -> dict[str, object]:
    return {"positive_data_acceptance": {"expected-statuses": statuses}}


def _failures(recorder: ScenarioRecorder) -> Iterator[str]:
    for checks in recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                yield f"{failure.operation}: {failure.title}: {failure.message}\n{check.failure_info.code_sample}"


def _refusals(recorder: ScenarioRecorder) -> Iterator[str]:
    """Yield the refusals of well-formed requests for which the document gave no reason, where it should.

    No schema can say which idempotency keys were used before, nor where an address leads: https and public it must be.
    """
    for case_id, interaction in recorder.interactions.items():
        case, response = recorder.cases[case_id].value, interaction.response
        if response is None or case.meta is None or not case.meta.generation.mode.is_positive:
            continue
        operation_id = str(case.operation.definition.raw.get("operationId"))
        if response.status_code == 422 or (response.status_code == 400 and operation_id.startswith("run_")):
            error = json.loads(response.content or b"")["error"]
            paths = {detail["path"].partition("[")[0] for detail in error.get("details", [])}
            if error["code"] != "idempotency_mismatch" and not (paths and paths <= _addresses(case.body)):
                yield f"{case.operation.label}: well-formed and refused: {error}\n{case.as_curl_command()}"


def _addresses(body: object) -> set[str]:
    """Return the members of a body that hold addresses."""
    members = body.items() if isinstance(body, dict) else ()
    return {str(name) for name, value in members if re.search(r"https?://|data:", json.dumps(value))}


def _statuses(recorder: ScenarioRecorder) -> Iterator[tuple[str, int]]:
    for case_id, interaction in recorder.interactions.items():
        if interaction.response is not None:
            yield recorder.cases[case_id].value.operation.label, interaction.response.status_code
