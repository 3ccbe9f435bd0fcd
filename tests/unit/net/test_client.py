"""Posting webhooks: what counts as an answer, and what as none."""

import asyncio
from contextlib import suppress

import pytest
from tests.unit.net.loopback import FakeResolver, answer, answering, closed_port, hang, outbound, reset, serving

from pixeldojo.net.client import POST_ANSWER_BYTES, DeliveryFailed, DeliveryFailureKind
from pixeldojo.net.fetch import Fetcher, FetchFailed
from pixeldojo.net.sessions import Errand


async def test_the_body_and_the_headers_arrive_as_given() -> None:
    async with serving(answering(answer(204, content_length=""))) as server, outbound() as client:
        got = await client.post(server.url("/hook?x=1"), b'{"a": 1}', {"webhook-id": "whd_1"}, 5)
    assert (got.status, got.body) == (204, b"")
    [request] = server.requests
    assert request.startswith(b"POST /hook?x=1 HTTP/1.1\r\n")
    assert request.endswith(b'\r\n\r\n{"a": 1}')
    assert b"webhook-id: whd_1\r\n" in request
    assert b"User-Agent: PixelDojo/test\r\n" in request
    assert b"Accept-Encoding: identity\r\n" in request


@pytest.mark.parametrize("status", [200, 201, 301, 302, 307, 308, 400, 404, 410, 429, 500, 503])
async def test_every_status_is_an_answer_and_no_redirect_is_followed(status: int) -> None:
    async with serving(answering(answer(200))) as elsewhere:
        raw = answer(status, b"text", location=elsewhere.url(), retry_after="7")
        async with serving(answering(raw)) as server, outbound() as client:
            got = await client.post(server.url(), b"{}", {}, 5)
    assert (got.status, got.body, got.headers["retry-after"]) == (status, b"text", "7")
    assert elsewhere.connections == 0


async def test_headers_come_as_text_that_can_be_stored() -> None:
    raw = b"HTTP/1.1 200 OK\r\nX-Odd: a\xffb\r\nX-Twice: 1\r\nx-twice: 2\r\ncontent-length: 0\r\n\r\n"
    async with serving(answering(raw)) as server, outbound() as client:
        got = await client.post(server.url(), b"{}", {}, 5)
    assert (got.headers["x-odd"], got.headers["x-twice"]) == ("a?b", "1, 2")


async def test_a_long_answer_is_cut_and_the_rest_never_waited_for() -> None:
    body = b"x" * POST_ANSWER_BYTES + b"y"
    async with (
        serving(answering(answer(200, body, content_length="5000000"), close=False)) as server,
        outbound() as client,
    ):
        got = await client.post(server.url(), b"{}", {}, 5)
    assert got.body == b"x" * POST_ANSWER_BYTES


async def test_a_body_that_never_ends_does_not_undo_the_status() -> None:
    async with serving(answering(answer(200, b"", content_length="10"), close=False)) as server, outbound() as client:
        assert (await client.post(server.url(), b"{}", {}, 0.1)).status == 200


async def test_a_body_that_breaks_off_does_not_undo_the_status() -> None:
    async with serving(answering(answer(410, b"half", content_length="10"))) as server, outbound() as client:
        assert (await client.post(server.url(), b"{}", {}, 5)).status == 410


async def test_no_answer_in_time_is_a_timeout() -> None:
    async with serving(hang) as server, outbound() as client:
        with pytest.raises(DeliveryFailed, match=r"did not answer within 0\.05 s") as caught:
            await client.post(server.url(), b"{}", {}, 0.05)
    assert caught.value.kind is DeliveryFailureKind.TIMEOUT


async def test_a_name_that_takes_too_long_to_resolve_is_a_timeout() -> None:
    class Stuck(FakeResolver):
        async def resolve(self, host: str, port: int) -> list[str]:
            await asyncio.Event().wait()
            raise AssertionError

    async with outbound(resolver=Stuck()) as client:
        with pytest.raises(DeliveryFailed, match="did not accept a connection in time") as caught:
            await client.post("https://slow.example/", b"{}", {}, 0.05)
    assert caught.value.kind is DeliveryFailureKind.TIMEOUT


async def test_the_ways_to_have_no_answer_are_told_apart() -> None:
    async with outbound() as client:
        with pytest.raises(DeliveryFailed, match="name that cannot be resolved"):
            await client.post("https://absent.example/", b"{}", {}, 5)
        with pytest.raises(DeliveryFailed, match="did not accept a connection") as refused:
            await client.post(f"http://127.0.0.1:{closed_port()}/", b"{}", {}, 5)
        async with serving(answering(b"")) as server:
            with pytest.raises(DeliveryFailed, match="without an answer"):
                await client.post(server.url(), b"{}", {}, 5)
        async with serving(reset) as server:
            with pytest.raises(DeliveryFailed, match="without an answer"):
                await client.post(server.url(), b"{}", {}, 5)
        async with serving(answering(b"SSH-2.0-OpenSSH\r\n\r\n"), reads=False) as server:
            with pytest.raises(DeliveryFailed, match="not valid HTTP"):
                await client.post(server.url(), b"{}", {}, 5)
            with pytest.raises(DeliveryFailed, match="TLS handshake"):
                await client.post(server.url(scheme="https"), b"{}", {}, 5)
    assert refused.value.kind is DeliveryFailureKind.NETWORK
    assert "127.0.0.1" not in refused.value.message


async def test_every_post_is_a_connection_of_its_own() -> None:
    async with serving(answering(answer(200), close=False)) as server, outbound() as client:
        for _ in range(3):
            await client.post(server.url(), b"{}", {}, 5)
    assert server.connections == 3


async def test_cookies_are_not_kept() -> None:
    raw = answer(200, set_cookie="session=1; Path=/")
    async with serving(answering(raw, close=False)) as server, outbound() as client:
        for _ in range(2):
            await client.post(server.url(), b"{}", {}, 5)
    assert len(server.requests) == 2
    assert not any(b"cookie" in request.lower() for request in server.requests)


async def test_one_dead_receiver_does_not_hold_up_another() -> None:
    resolver = FakeResolver(dead_example=[["127.0.0.1"]], live_example=[["127.0.0.1"]])
    reached = asyncio.Event()

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await hang(reader, writer)

    async with serving(die) as dead, serving(answering(answer(200))) as live, outbound(resolver=resolver) as client:
        url = dead.url(host="dead.example")
        waiting = [asyncio.create_task(client.post(url, b"{}", {}, 60)) for _ in range(300)]
        await reached.wait()  # by now each of them has, or waits for, a connection
        assert (await client.post(live.url(host="live.example"), b"{}", {}, 5)).status == 200
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_inputs_that_hang_hold_up_neither_outputs_nor_webhooks() -> None:
    hosts = [f"slow{number}.example" for number in range(10)]
    resolver = FakeResolver(**{host.replace(".", "_"): [["127.0.0.1"]] for host in hosts})
    all_taken = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if slow.connections == 256:
            all_taken.set()
        await hang(reader, writer)

    async with serving(stall) as slow, serving(answering(answer(200))) as live, outbound(resolver=resolver) as client:
        fetcher = Fetcher(client, Errand.INPUT)

        async def fetch(host: str) -> None:
            with suppress(FetchFailed):
                await fetcher.fetch_to(slow.url(host=host), no_sink, max_bytes=10, timeout_seconds=60)

        async def no_sink(_chunk: bytes) -> None:
            raise AssertionError("an empty file has no chunks")

        waiting = [asyncio.create_task(fetch(host)) for host in hosts for _ in range(30)]
        await all_taken.wait()
        assert (await client.post(live.url(), b"{}", {}, 5)).status == 200
        got = await Fetcher(client).fetch_to(live.url(), no_sink, max_bytes=10, timeout_seconds=5)
        assert got.size_bytes == 0
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
