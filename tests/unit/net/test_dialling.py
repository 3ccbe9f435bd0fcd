"""The address that was checked is the address that is dialled: hostile vectors against a real server."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest
from tests.unit.net.loopback import CLOSED, OPEN, FakeResolver, Server, answer, answering, make_tls, outbound, serving

from pixeldojo.net.addresses import AddressPolicy, RefusedAddress
from pixeldojo.net.client import DeliveryFailed
from pixeldojo.net.fetch import Fetcher, FetchErrorKind, FetchFailed
from pixeldojo.net.resolver import FilteringResolver, SystemResolver, admit_any
from pixeldojo.net.sessions import Errand, Sessions

OK = answering(answer(200, b"reached"))

SPELLINGS = [
    "127.0.0.1", "localhost", "2130706433", "0x7f000001", "017700000001", "0177.0.0.1", "0x7f.1", "127.1", "127.0.1",
    "0", "0.0.0.0", "127.0.0.1.", "127.000.000.001", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[::ffff:0:127.0.0.1]",
    "user:password@127.0.0.1", "example.com@127.0.0.1", "①②⑦.⓪.⓪.①", "127。0。0。1", "127%2e0.0.1", "%31%32%37.0.0.1",
]  # fmt: skip

LEADS_TO = [
    ["127.0.0.1"],
    ["::1"],
    ["::ffff:127.0.0.1"],
    ["64:ff9b::7f00:1"],
    ["10.0.0.7", "127.0.0.1", "fd00::1"],
    ["169.254.169.254"],
    ["fe80::1%lo"],
    ["0.0.0.0"],
    ["::"],
]


@pytest.fixture
async def inside() -> AsyncIterator[Server]:
    """A service of the operator's own that no stranger may reach."""
    async with serving(OK) as server:
        yield server


@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_loopback_is_reached(inside: Server, host: str) -> None:
    resolver = FakeResolver(localhost=[["127.0.0.1"]])
    async with outbound(CLOSED, resolver=resolver) as client:
        with pytest.raises(RefusedAddress):
            await client.post(inside.url(host=host), b"{}", {}, 5)
        with pytest.raises(FetchFailed) as caught:
            await Fetcher(client).fetch_to(inside.url(host=host), discard, max_bytes=100, timeout_seconds=5)
    assert caught.value.kind is FetchErrorKind.REFUSED
    assert inside.connections == 0
    assert resolver.asked == []


@pytest.mark.parametrize("addresses", LEADS_TO)
async def test_no_name_that_leads_inside_is_dialled(inside: Server, addresses: list[str]) -> None:
    resolver = FakeResolver(evil_example=[addresses])
    async with outbound(CLOSED, resolver=resolver) as client:
        with pytest.raises(RefusedAddress) as refused:
            await client.post(inside.url(host="evil.example"), b"{}", {}, 5)
        with pytest.raises(FetchFailed) as failed:
            await Fetcher(client).fetch_to(inside.url(host="evil.example"), discard, max_bytes=100, timeout_seconds=5)
    assert inside.connections == 0
    assert len(resolver.asked) == 2
    for message in (str(refused.value), failed.value.message):
        assert not any(address in message for address in addresses)


async def test_the_same_server_is_reached_where_the_operator_opened_the_network(inside: Server) -> None:
    resolver = FakeResolver(good_example=[["127.0.0.1"]])
    async with outbound(OPEN, resolver=resolver) as client:
        assert (await client.post(inside.url(), b"{}", {}, 5)).body == b"reached"
        assert (await client.post(inside.url(host="good.example"), b"{}", {}, 5)).body == b"reached"
    assert inside.connections == 2
    assert b"Host: good.example:" in inside.requests[1]


async def test_a_literal_address_is_stopped_at_the_socket_too(inside: Server) -> None:
    # aiohttp asks no resolver for these: past the check of the URL, the gate at the socket must still hold.
    sessions = Sessions(CLOSED, user_agent="test", guarded_resolver=FakeResolver(), upstream_resolver=FakeResolver())
    for scheme in ("http", "https"):
        for errand in Errand:
            with pytest.raises(aiohttp.ClientConnectorError, match="address policy"):
                await sessions.guarded(scheme, errand).get(inside.url(scheme=scheme))
    assert inside.connections == 0
    await sessions.close()


@pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])
async def test_a_name_that_rebinds_reaches_only_the_address_that_was_checked() -> None:
    resolver = FakeResolver(rebinds_example=[["127.0.0.1"], ["127.0.0.2"]])
    async with (
        serving(OK) as outside,
        serving(OK, host="127.0.0.2", port=outside.port) as inside,
        outbound(OPEN, resolver=resolver) as client,
    ):
        url = outside.url(host="rebinds.example")
        await client.post(url, b"first", {}, 5)
        assert resolver.asked == ["rebinds.example"]
        with pytest.raises(RefusedAddress):
            await client.post(url, b"second", {}, 5)
    assert (outside.connections, inside.connections) == (1, 0)


@pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])
async def test_of_many_addresses_the_inner_ones_are_not_even_a_fallback(inside: Server) -> None:
    policy = AddressPolicy(allowed_networks=(ip_network("127.0.0.2/32"), ip_network("198.18.0.7/32")))
    resolver = FakeResolver(mixed_example=[["127.0.0.2", "127.0.0.1"]])
    async with outbound(policy, resolver=resolver) as client:
        with pytest.raises(DeliveryFailed):
            await client.post(inside.url(host="mixed.example"), b"{}", {}, 5)
    assert inside.connections == 0


async def test_a_connection_of_the_operators_zone_is_not_lent_to_strangers() -> None:
    resolver = FakeResolver(inner_example=[["127.0.0.1"]])
    async with serving(answering(answer(200, b"ok"), close=False)) as server:
        base = server.url(host="inner.example")
        async with outbound(CLOSED, upstream=[base], resolver=resolver) as client:
            assert (await client.request("GET", base)).status == 200
            with pytest.raises(RefusedAddress):
                await client.post(base, b"{}", {}, 5)
    assert server.connections == 1
    assert len(server.requests) == 1


async def test_http_by_name_goes_only_to_networks_the_operator_opened(inside: Server) -> None:
    policy = AddressPolicy(allowed_networks=(ip_network("192.0.2.0/24"),))
    resolver = FakeResolver(public_example=[["93.184.216.34"]])
    async with outbound(policy, resolver=resolver) as client:
        with pytest.raises(RefusedAddress, match="https"):
            await client.post("http://public.example/", b"{}", {}, 5)


async def test_the_proxy_of_the_environment_is_not_used(inside: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(OK) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        async with outbound(OPEN) as client:
            await client.post(inside.url(), b"{}", {}, 5)
    assert (proxy.connections, inside.connections) == (0, 1)


async def test_tls_is_held_with_the_name_though_the_address_is_dialled(tmp_path: Path) -> None:
    server_tls, client_tls = make_tls(tmp_path, "hooks.example")
    resolver = FakeResolver(hooks_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
    async with serving(OK, tls=server_tls) as server, outbound(OPEN, resolver=resolver, tls=client_tls) as client:
        url = server.url("/hook", host="hooks.example", scheme="https")
        assert (await client.post(url, b"{}", {}, 5)).body == b"reached"
        with pytest.raises(DeliveryFailed, match="certificate that is not valid"):
            await client.post(server.url(host="other.example", scheme="https"), b"{}", {}, 5)
    assert server.names == ["hooks.example", "other.example"]
    assert f"Host: hooks.example:{server.port}".encode() in server.requests[0]
    assert len(server.requests) == 1


async def test_a_flood_of_addresses_is_cut() -> None:
    resolver = FilteringResolver(FakeResolver(many_example=[[f"8.8.8.{n}" for n in range(1, 200)]]), admit_any)
    assert len(await resolver.resolve("many.example", 443)) <= 16


async def test_a_name_without_addresses_is_a_name_that_cannot_be_resolved() -> None:
    async with outbound(resolver=FakeResolver(empty_example=[[]])) as client:
        with pytest.raises(DeliveryFailed, match="name that cannot be resolved"):
            await client.post("https://empty.example/", b"{}", {}, 5)


async def test_the_system_resolver_knows_this_machine() -> None:
    resolver = SystemResolver()
    assert "127.0.0.1" in await resolver.resolve("127.0.0.1", 80)
    assert set(await resolver.resolve("localhost", 80)) & {"127.0.0.1", "::1"}
    await resolver.close()


async def test_closing_closes_the_resolvers() -> None:
    resolver = FakeResolver()
    async with outbound(resolver=resolver):
        assert resolver.closed == 0
    assert resolver.closed == 2


async def discard(_chunk: bytes) -> None:
    await asyncio.sleep(0)
