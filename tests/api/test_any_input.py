"""Whatever is sent, in headers, bodies and addresses: an answer by the rules of `promises.py`, and never a 5xx."""

import json
from typing import Any, Final
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.api.asgi import Reply
from tests.api.dojo import PROMPT, RUN, Caller

_MODELS: Final = ("flux-1.1-pro", "p-image-edit", "wan-2.6-standard", "video-upscaler", "text-to-music", "hunyuan-3d")
_NAMES: Final = (
    *("prompt", "seed", "width", "aspect_ratio", "aspectRatio", "image_url", "image_urls", "images", "duration"),
    *("resolution", "num_outputs", "video_url", "webhook_url", "loras", "output_format"),
)
_HEADERS: Final = (
    *("authorization", "content-type", "content-length", "idempotency-key", "prefer", "x-pixeldojo-sandbox"),
    *("x-forwarded-for", "range", "if-range", "if-none-match", "accept", "accept-encoding", "cookie", "host"),
    *("transfer-encoding", "expect", "connection", "x-http-method-override", "x-request-id"),
)
_TARGETS: Final = (
    *("/api/v1/models", "/api/v1/models/flux-1.1-pro", "/api/v1/models/flux-1.1-pro/run", "/api/v1/jobs"),
    *("/api/v1/credits", "/api/v1/webhooks/secret", "/api/openapi", "/assets/a.png", "/healthz", "/readyz"),
)

any_text = st.text(alphabet=st.characters(exclude_categories=[])) | st.sampled_from(
    ["", "\0", "\ud800", "null", "https://example.com/a.png", "data:image/png;base64,AAAA", "NaN", "' OR 1=1 --", "🦊"]
)
huge = st.integers(min_value=10**300, max_value=10**301)
scalars = st.none() | st.booleans() | st.integers() | huge | st.floats() | any_text
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4), max_leaves=12
)
given_inputs = st.dictionaries(st.sampled_from(_NAMES) | any_text, values, max_size=6)
inputs = given_inputs | given_inputs.map(lambda given_ones: {"prompt": "a", **given_ones})
header_text = st.text(
    alphabet=st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n"), max_size=80
)


def many(examples: int) -> settings:
    """Try that many inputs, in the time they take."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def is_answered(reply: Reply) -> None:
    assert reply.status < 500, (reply.method, reply.path, reply.body)


@many(60)
@given(model=st.sampled_from(_MODELS), content=inputs | values)
async def test_any_json(caller: Caller, model: str, content: Any) -> None:
    reply = await caller.send("POST", f"/api/v1/models/{model}/run", body=json.dumps(content).encode())
    is_answered(reply)
    if reply.status == 202:
        job = await caller.get(f"/api/v1/jobs/{reply.json['jobId']}")
        assert (job.status, job.json["status"]) == (200, "pending")


@many(80)
@given(body=st.binary(max_size=200) | st.binary(max_size=60).map(lambda noise: json.dumps(PROMPT).encode() + noise))
async def test_any_bytes(caller: Caller, body: bytes) -> None:
    before = await caller.traces()
    reply = await caller.send("POST", RUN, body=body)
    is_answered(reply)
    assert reply.status == 202 or await caller.traces() == before


@many(100)
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "X"]),
    target=st.sampled_from(_TARGETS),
    headers=st.lists(st.tuples(st.sampled_from(_HEADERS), header_text), max_size=5),
)
async def test_any_headers(caller: Caller, method: str, target: str, headers: list[tuple[str, str]]) -> None:
    # A request waits only where it asks for it well, and nothing here would end the job.
    headers = [(name, value) for name, value in headers if name != "prefer" or "wait" not in value.lower()]
    is_answered(await caller.send(method, target, headers=headers, body=json.dumps(PROMPT).encode()))


@many(100)
@given(
    target=st.sampled_from(["/api/v1/jobs", "/api/v1/models"]),
    query=st.lists(
        st.tuples(
            st.sampled_from(
                ["limit", "cursor", "status", "model", "created_after", "created_before", "q", "modality", "detailed"]
            )
            | any_text,
            any_text
            | st.integers().map(str)
            | st.datetimes().map(lambda moment: moment.isoformat() + "Z")
            | st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
        ),
        max_size=5,
    ),
)
async def test_any_query(caller: Caller, target: str, query: list[tuple[str, str]]) -> None:
    pairs = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in query)
    reply = await caller.get(f"{target}?{pairs}")
    assert reply.status in {200, 400}, reply.body


@many(80)
@given(text=st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=60))
async def test_any_query_string_as_it_stands(caller: Caller, text: str) -> None:
    is_answered(await caller.get(f"/api/v1/jobs?{text}"))


@many(100)
@given(
    prefix=st.sampled_from(["/api/v1/jobs/", "/api/v1/models/", "/assets/", "/api/v1/", "/"]),
    rest=st.lists(any_text, min_size=1, max_size=3),
    suffix=st.sampled_from(["", "/cancel", "/webhook", "/run", "/schema"]),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
)
async def test_any_address(caller: Caller, prefix: str, rest: list[str], suffix: str, method: str) -> None:
    target = prefix + "/".join(_quoted(part) for part in rest) + suffix
    reply = await caller.send(method, target, body=b"{}")
    is_answered(reply)
    # The bare address leads people to the models.
    assert reply.status in {200, 400, 404, 405} or (target, reply.status) == ("/", 307)


@many(100)
@given(asked=header_text | st.from_regex(r"\Abytes=[0-9,\- ]{0,24}\Z"), condition=st.none() | header_text)
async def test_any_range(caller: Caller, asked: str, condition: str | None) -> None:
    if not caller.headers:
        job_id = await caller.run()
        await caller.dojo.completed(job_id, {"image.png": b"0123456789"})
        url = (await caller.get(f"/api/v1/jobs/{job_id}")).json["assets"][0]["url"]
        caller.headers = {"x-target": url.removeprefix("http://dojo.test")}
    headers = {"range": asked} | ({} if condition is None else {"if-range": condition})
    reply = await caller.send("GET", caller.headers["x-target"], headers=headers)
    assert reply.status in {200, 206, 416}
    if reply.status == 200:
        assert reply.body == b"0123456789"
    if reply.status == 206:
        first, last = (reply.header("content-range") or "").removeprefix("bytes ").removesuffix("/10").split("-")
        assert reply.body == b"0123456789"[int(first) : int(last) + 1] != b""


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")
