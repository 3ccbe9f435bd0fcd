"""A whole node in live mode: submitted over HTTP, worked by real workers, decoded in real processes, called back."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import structlog
from structlog.testing import LogCapture
from tests.api.asgi import Client
from tests.emulators.emulator import Emulator
from tests.emulators.samples import CONTENT_TYPES, Samples
from tests.emulators.trouble import Trouble
from tests.providers.pairs import PAIRS, SECOND_WAYS, Pair, whole_catalog

from pixeldojo.accounts.keys import KeyMode
from pixeldojo.bootstrap import Node, open_node, prepare_embedded
from pixeldojo.catalog.bind import choose_upstreams
from pixeldojo.catalog.inputs import read_input
from pixeldojo.catalog.schema import Model
from pixeldojo.core.json_types import JsonValue
from pixeldojo.core.settings import read_settings
from pixeldojo.providers.contract import CallsBack

PUBLIC: Final = "https://dojo.test"
GRANTED: Final = 1_000_000
PICTURE: Final = f"data:image/png;base64,{base64.b64encode(Samples().large_image).decode()}"


@dataclass
class Live:
    """A node, a caller with a live key, the emulators by name, and the node's log."""

    caller: Client
    stranger: Client
    emulators: Mapping[str, Emulator]
    log: LogCapture

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Bring a callback to the node, whose public address leads nowhere here."""
        assert url.startswith(PUBLIC)
        return (await self.stranger.send("POST", url.removeprefix(PUBLIC), body=body, headers=headers)).status


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    log = LogCapture()
    async with AsyncExitStack() as stack:

        async def post(url: str, headers: Mapping[str, str], body: bytes) -> int:
            return await opened.post(url, headers, body)

        emulators = {
            pair.name: await stack.enter_async_context(pair.open_emulator(work_seconds=0.05, post=post))
            for pair in PAIRS
        }
        given: dict[str, object] = {}
        for pair in PAIRS:
            given |= pair.settings(emulators[pair.name])
        settings = read_settings(data_dir=tmp_path / "data", public_url=PUBLIC, media_workers=1, **given)
        await prepare_embedded(settings)
        logger = structlog.wrap_logger(None, processors=[log], wrapper_class=structlog.make_filtering_bound_logger(0))
        node = await stack.enter_async_context(
            open_node(settings, logger, with_api=True, with_worker=True, allow_loopback=True)
        )
        await node.start_work()
        assert node.app is not None
        secret = await _live_key(node)
        opened = Live(Client(node.app, print, secret), Client(node.app, print), emulators, log)
        yield opened


async def _live_key(node: Node) -> str:
    account_id = await node.office.accounts.create_account("live")
    await node.office.credits.grant(account_id, KeyMode.LIVE, GRANTED, "for a test")
    return (await node.office.accounts.create_key(account_id, name="live", mode=KeyMode.LIVE)).secret


def _model_of(pair: Pair) -> tuple[Model, Mapping[str, JsonValue], int]:
    """Return a model, an input of it, and how many services are asked before this one: as few as can be.

    Of several, one that is quick to try. A service that calls back does so for what it does not answer at once.
    """
    names = {other.name for other in PAIRS}
    ways = [way for way in SECOND_WAYS if way.name == pair.name and issubclass(pair.adapter, CallsBack)]
    at_once = {whole_catalog().find(way.model_id).output.kind for way in ways}
    found = []
    for model in whole_catalog().models:
        given = _input_of(model)
        if given is None or model.output.kind in at_once:
            continue
        chosen = [up.provider for up in choose_upstreams(model, read_input(model, given)) if up.provider in names]
        if pair.name in chosen:
            place = chosen.index(pair.name)
            found.append((place, PICTURE in str(given), model.output.kind != "image", model.id, model, given))
    place, *_, model, given = min(found, key=lambda each: each[:4])
    return model, given, place


def _input_of(model: Model) -> Mapping[str, JsonValue] | None:
    """Return the model's example with a picture of ours in it; None where it wants other files."""
    given = dict(model.example)
    for parameter in model.parameters:
        if parameter.media is None or parameter.name not in given:
            continue
        if parameter.media != "image":
            return None
        given[parameter.name] = [PICTURE] if parameter.is_array else PICTURE
    return given


async def test_every_service_finishes_a_job_and_calls_back(live: Live) -> None:
    async def run(pair: Pair) -> None:
        emulator = live.emulators[pair.name]
        model, given, others = _model_of(pair)
        if others:
            given = {**given, "prompt": f"{given['prompt']}, trouble:{Trouble.WRONG_KEY}"}
            emulator.is_deaf_to_troubles = True
        target = f"/api/v1/models/{model.id}/run"
        reply = await live.caller.post(target, json.loads(json.dumps(given)), Prefer="wait=30")
        assert reply.status == 200, reply.body
        assert (reply.json["status"], reply.json["mode"]) == ("completed", "live")
        [asset] = reply.json["assets"]
        assert asset["contentType"] == CONTENT_TYPES[model.output.kind]
        assert len(emulator.paid) == 1
        if issubclass(pair.adapter, CallsBack):
            await emulator.until_called_back()
            assert emulator.callback_statuses == [204]

    await asyncio.gather(*(run(pair) for pair in PAIRS))
    told = str(live.log.entries)
    assert not any(emulator.key in told for emulator in live.emulators.values())

    for pair in PAIRS:
        reply = await live.stranger.send("POST", f"/api/v1/callbacks/{pair.name}/job_1", body=b"{}")
        assert reply.status == (403 if issubclass(pair.adapter, CallsBack) else 404)
    assert (await live.stranger.send("POST", "/api/v1/callbacks/nobody/job_1", body=b"{}")).status == 404
