"""Calls to upstreams: what the key is sent to, and which failures leave the outcome open."""

import asyncio
import gzip
import json
import traceback
import tracemalloc
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.unit.net.loopback import (
    CLOSED,
    FakeResolver,
    answer,
    answering,
    closed_port,
    hang,
    make_tls,
    outbound,
    reset,
    serving,
)

from pixeldojo.core.errors import ConfigurationError
from pixeldojo.net.client import OutboundClient
from pixeldojo.providers.contract import HttpClient, UpstreamError, UpstreamErrorKind
from pixeldojo.providers.fal import FalProvider

UNAVAILABLE = UpstreamErrorKind.UNAVAILABLE
UNKNOWN = UpstreamErrorKind.UNKNOWN
KEY = {"Authorization": "Key secret"}


def is_http_client(client: HttpClient) -> HttpClient:
    """Hold the type to the contract's protocol (mypy reads this)."""
    return client


async def failure(
    client: HttpClient,
    url: str,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "POST",
    timeout_seconds: float = 5,
) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await client.request(method, url, json={}, headers=headers, timeout_seconds=timeout_seconds)
    return caught.value


async def test_an_operators_upstream_is_called_wherever_it_is_and_gets_the_key() -> None:
    async with (
        serving(answering(answer(201, b'{"id": 1}', X_Request_ID="r1"))) as server,
        outbound(CLOSED, upstream=[server.url("/v1")]) as client,
    ):
        got = await is_http_client(client).request(
            "POST", server.url("/v1/jobs?x=a%2Fb"), headers=KEY, json={"prompt": "ü"}
        )
    assert (got.status, got.headers["x-request-id"], got.body) == (201, "r1", b'{"id": 1}')
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/jobs?x=a%2Fb HTTP/1.1")
    assert b"authorization: Key secret" in head
    assert b"content-type: application/json" in head
    assert json.loads(body) == {"prompt": "ü"}


async def test_a_body_of_bytes_goes_as_it_is() -> None:
    async with serving(answering(answer(200))) as server, outbound(upstream=[server.url()]) as client:
        await client.request("PUT", server.url(), headers={"content-type": "image/png"}, body=b"\x89PNG")
        with pytest.raises(ValueError, match="not both"):
            await client.request("PUT", server.url(), json={}, body=b"")
    assert server.requests[0].endswith(b"\r\n\r\n\x89PNG")
    assert b"content-type: image/png\r\n" in server.requests[0]


async def test_every_status_is_an_answer_and_no_redirect_takes_the_key_along() -> None:
    async with serving(answering(answer(200))) as thief:
        raw = answer(307, b"moved", location=thief.url())
        async with serving(answering(raw)) as server, outbound(upstream=[server.url()]) as client:
            got = await client.request("POST", server.url(), headers=KEY, json={})
    assert (got.status, got.headers["location"]) == (307, thief.url())
    assert thief.connections == 0


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "x-key", "Cookie", "X-Goog-Api-Key", "anything"])
async def test_a_key_never_leaves_the_operators_origins(name: str) -> None:
    async with (
        serving(answering(answer(200))) as server,
        serving(answering(answer(200))) as thief,
        outbound(upstream=[server.url()]) as client,
    ):
        error = await failure(client, thief.url("/status"), {name: "secret"}, method="GET")
        assert (error.kind, thief.connections) == (UNAVAILABLE, 0)
        assert "credentials" in error.message
        got = await client.request("GET", thief.url("/status"), headers={"Accept": "application/json"})
    assert (got.status, thief.connections) == (200, 1)


async def test_polls_share_a_connection_and_calls_that_cost_do_not() -> None:
    async with serving(answering(answer(200), close=False)) as server, outbound(upstream=[server.url()]) as client:
        for _ in range(3):
            await client.request("GET", server.url())
        assert server.connections == 1
        for _ in range(3):
            await client.request("POST", server.url(), json={})
    assert server.connections == 4


async def test_one_upstreams_key_does_not_go_to_another() -> None:
    async with (
        serving(answering(answer(200))) as ours,
        serving(answering(answer(200))) as other,
        outbound(upstream=[ours.url(), other.url()]) as client,
    ):
        narrow = is_http_client(client.for_upstream(ours.url("/base/")))
        assert (await narrow.request("GET", ours.url(), headers=KEY)).status == 200
        error = await failure(narrow, other.url(), KEY)
    assert (error.kind, other.connections) == (UNAVAILABLE, 0)


async def test_an_adapter_gets_a_client_for_its_origin_that_reads_answers_as_long_as_it_gives() -> None:
    class Wordy(FalProvider):
        largest_answer_bytes = 2_000_000

    async with (
        serving(answering(answer(200, b"x" * 1_500_000))) as server,
        serving(answering(answer(200))) as other,
        outbound() as client,
    ):
        wordy = is_http_client(client.for_provider(Wordy("key", server.url("/v1"))))
        assert len((await wordy.request("GET", server.url(), headers=KEY)).body) == 1_500_000
        usual = is_http_client(client.for_provider(FalProvider("key", server.url("/v1"))))
        assert "more than 1,000,000 bytes" in (await failure(usual, server.url(), KEY)).message
        assert (await failure(wordy, other.url(), KEY)).kind is UNAVAILABLE
    assert other.connections == 0


async def test_an_address_an_answer_named_is_held_to_the_policy() -> None:
    async with serving(answering(answer(200))) as server, serving(answering(answer(200))) as inside:
        resolver = FakeResolver(evil_example=[["127.0.0.1"]])
        async with outbound(CLOSED, upstream=[server.url()], resolver=resolver) as client:
            for url in (
                inside.url(),
                inside.url(host="evil.example"),
                server.url(host="user:pw@127.0.0.1"),
                server.url(scheme="https"),
                "file:///etc/passwd",
                "http://[",
                "",
            ):
                error = await failure(client, url, method="GET")
                assert error.kind is UNAVAILABLE
    assert (server.connections, inside.connections) == (0, 0)


async def test_where_surely_nothing_was_sent_the_upstream_is_unavailable(tmp_path: Path) -> None:
    server_tls, _ = make_tls(tmp_path, "upstream.example")
    resolver = FakeResolver(upstream_example=[["127.0.0.1"]])
    async with (
        serving(reset, reads=False) as resetting,
        serving(answering(b"not tls at all\r\n\r\n"), reads=False) as plain,
        serving(answering(answer(200)), tls=server_tls) as untrusted,
    ):
        urls = [
            "https://absent.example/",
            f"http://127.0.0.1:{closed_port()}/",
            *(server.url(scheme="https", host="upstream.example") for server in (resetting, plain, untrusted)),
        ]
        async with outbound(CLOSED, upstream=urls, resolver=resolver) as client:
            for url in urls:
                error = await failure(client, url)
                assert error.kind is UNAVAILABLE, url
                assert "nothing was sent" in error.message
                assert "127.0.0.1" not in error.message
    assert untrusted.requests == []


async def test_a_wait_for_a_connection_is_bounded_and_sent_nothing() -> None:
    async with serving(hang, reads=False) as silent:
        url = silent.url(scheme="https")
        async with outbound(upstream=[url]) as client:
            error = await failure(client, url, timeout_seconds=0.05)
    assert error.kind is UNAVAILABLE
    assert "in time" in error.message


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (reset, "without an answer"),
        (answering(b""), "without an answer"),
        (hang, "did not answer in time"),
        (answering(b"HTTP/1.1 200 OK\r\ncontent-le"), "without an answer"),
        (answering(b"not http\r\n\r\n"), "not valid HTTP"),
        (answering(answer(200, b'{"id": ', content_length="400")), "in the middle of its answer"),
        (answering(answer(200, b"5\r\nab", content_length="", transfer_encoding="chunked")), "in the middle"),
        (answering(answer(200, b"x" * 1_000_001)), "more than 1,000,000 bytes"),
        (answering(answer(200, b"xx", content_encoding="br")), "encoding that was not asked for"),
        (answering(answer(200, b"xx", content_encoding="gzip")), "broken compression"),
        (answering(answer(200, gzip.compress(b"a" * 99)[:-9], content_encoding="gzip")), "broken compression"),
    ],
)
async def test_where_bytes_may_have_left_the_outcome_is_unknown(script: object, told: str) -> None:
    assert callable(script)
    async with serving(script) as server, outbound(upstream=[server.url()]) as client:
        error = await failure(client, server.url(), timeout_seconds=0.1 if script is hang else 5)
    assert error.kind is UNKNOWN
    assert told in error.message
    assert len(server.requests) == 1, "a call that costs money is never repeated"


@pytest.mark.parametrize(("encoding", "encode"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compression_that_was_not_asked_for_is_undone(encoding: str, encode: object) -> None:
    assert callable(encode)
    raw = answer(200, encode(b'{"id": 1}'), content_encoding=encoding)
    async with serving(answering(raw)) as server, outbound(upstream=[server.url()]) as client:
        assert (await client.request("GET", server.url())).body == b'{"id": 1}'
    assert b"Accept-Encoding: identity\r\n" in server.requests[0]


async def test_a_compression_bomb_is_not_unpacked() -> None:
    bomb = answer(200, gzip.compress(bytes(50_000_000)), content_encoding="gzip")
    async with serving(answering(bomb)) as server, outbound(upstream=[server.url()]) as client:
        tracemalloc.start()
        error = await failure(client, server.url())
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert error.kind is UNKNOWN
    assert peak_bytes < 5_000_000


async def test_a_key_in_the_address_shows_in_no_error() -> None:
    async with serving(answering(b"not http\r\n\r\n")) as broken, serving(hang, reads=False) as silent:
        urls = [
            broken.url("/?key=hunter2"),
            silent.url("/?key=hunter2", scheme="https"),
            f"http://127.0.0.1:{closed_port()}/?key=hunter2",
        ]
        async with outbound(upstream=urls) as client:
            for url in urls:
                error = await failure(client, url, timeout_seconds=0.1)
                assert "hunter2" not in "".join(traceback.format_exception(error))
                assert error.__notes__


async def test_a_large_body_has_time_to_be_sent() -> None:
    begun = asyncio.get_running_loop().time()
    async with serving(hang) as server, outbound(upstream=[server.url()]) as client:
        with pytest.raises(UpstreamError, match="in time"):
            await client.request("POST", server.url(), body=bytes(100_000), timeout_seconds=0.01)
    assert asyncio.get_running_loop().time() - begun >= 0.4


async def test_an_answer_of_exactly_the_limit_is_whole() -> None:
    async with serving(answering(answer(200, b"x" * 1_000_000))) as server, outbound(upstream=[server.url()]) as client:
        assert len((await client.request("GET", server.url())).body) == 1_000_000


@pytest.mark.parametrize("base_url", ["", "api.example.com", "ftp://x/", "https://", "https://u:p@api.example.com/"])
async def test_an_upstream_address_that_is_none_stops_the_start(base_url: str) -> None:
    async with outbound() as client:
        with pytest.raises(ConfigurationError, match="upstream address"):
            client.for_upstream(base_url)
        with pytest.raises(ConfigurationError, match="upstream address"):
            OutboundClient(CLOSED, upstream_base_urls=[base_url])
