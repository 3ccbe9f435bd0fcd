"""The recipe for a new provider in CONTRIBUTING.md, word for word: what it shows works as it stands."""

import json
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest
from tests.providers.scripted import Scripted
from tests.rules.pages import Page

from pixeldojo.providers.contract import (
    Call,
    CancelOutcome,
    Finished,
    HttpAnswer,
    Operation,
    RealProvider,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)

CALL = Call(
    job_id="job_1",
    attempt_id="att_1",
    model_id="paper-lantern",
    task="text-to-image",
    endpoint="paper",
    arguments={"prompt": "a lantern"},
    input={"prompt": "a lantern"},
    output={"kind": "image"},
)


@pytest.fixture(scope="module")
def lanterns() -> RealProvider:
    """The adapter of the recipe."""
    path = Path(__file__).parents[2] / "CONTRIBUTING.md"
    text = path.read_text(encoding="utf-8").partition("### Add a provider")[2].partition("\n### ")[0]
    [code] = Page("the recipe", path, "\n".join(line.strip("\n") for line in text.splitlines())).code("python")
    module = ModuleType("lanterns")
    exec(compile(code, "lanterns.py", "exec"), module.__dict__)
    return cast(RealProvider, module.LanternsProvider("key"))


def _answer(body: object, status: int = 200, **headers: str) -> HttpAnswer:
    return HttpAnswer(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(body).encode()
    )


async def test_it_submits_and_asks(lanterns: RealProvider) -> None:
    http = Scripted(
        _answer({"id": "l_1"}), _answer({"state": "lit"}), _answer({"state": "done", "picture": "https://a.test/1.png"})
    )
    operation = await lanterns.submit(CALL, http)
    assert isinstance(operation, Operation)
    assert isinstance(await lanterns.check(operation, http), Running)
    finished = await lanterns.check(operation, http)
    assert isinstance(finished, Finished)
    assert [file.url for file in finished.outputs] == ["https://a.test/1.png"]
    assert http.urls == [f"{lanterns.base_url}/{path}" for path in ("paper", "jobs/l_1", "jobs/l_1")]
    assert await lanterns.cancel(operation, http) == CancelOutcome.NOT_SUPPORTED


async def test_its_errors_are_of_the_six_kinds(lanterns: RealProvider) -> None:
    with pytest.raises(UpstreamError) as raised:
        await lanterns.submit(CALL, Scripted(_answer({}, 429, retry_after="7")))
    assert (raised.value.kind, raised.value.retry_after_seconds) == (UpstreamErrorKind.OVER_LIMIT, 7.0)
    with pytest.raises(UpstreamError) as raised:
        await lanterns.check(Operation("l_1"), Scripted(_answer({"state": "failed"})))
    assert raised.value.is_final
