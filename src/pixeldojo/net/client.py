"""Everything we send out: calls to upstreams, and webhooks to addresses that callers gave.

Owns the life of the connections and the posting of webhooks. Calls to upstreams are `upstream`'s, downloads are
`fetch`'s; both go through the connections opened here. When and how often to try is for the worker.
"""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

import aiohttp

from pixeldojo.core.json_types import JsonObject
from pixeldojo.net.addresses import AddressPolicy
from pixeldojo.net.failures import describe_failure, note_failure
from pixeldojo.net.resolver import Resolver
from pixeldojo.net.sessions import Errand, Sending, Sessions
from pixeldojo.net.upstream import MAX_ANSWER_BYTES, UpstreamClient, lower_case_headers, read_bounded, trusted_origins
from pixeldojo.providers.contract import AnswersWithFiles, HttpAnswer, HttpClient, RealProvider

POST_ANSWER_BYTES: Final = 4_096
_UNCONNECTED: Final = "did not accept a connection in time"


class DeliveryFailureKind(StrEnum):
    """Why a post got no answer."""

    NETWORK = "network"
    TIMEOUT = "timeout"


class DeliveryFailed(Exception):
    """A post got no answer; it may or may not have arrived.

    Attributes:
        kind: Which of the two.
        message: What happened, safe to show to the receiver's owner.
    """

    def __init__(self, kind: DeliveryFailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class OutboundClient:
    """The way out. Build one per process, inside the running event loop, and close it there."""

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        upstream_base_urls: Iterable[str] = (),
        user_agent: str = "PixelDojo",
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        """Open the connections' pools; nothing is contacted yet.

        Args:
            policy: Which addresses that others name may be reached.
            upstream_base_urls: What the operator configured: their origins are reached whatever their address, and
                are sent credentials. See `for_upstream` to narrow that to one adapter.
            user_agent: What we call ourselves.
            resolver: Looks up names, for both zones; the system's when None.
            ssl_context: Which certificates are trusted; those the system trusts when None.
            max_answer_bytes: The bound on the body of an upstream's answer.

        Raises:
            ConfigurationError: if a base URL is none.
        """
        origins = trusted_origins(upstream_base_urls)
        self.policy = policy
        self._max_answer_bytes = max_answer_bytes
        self.sessions = Sessions(
            policy,
            user_agent=user_agent,
            upstream_resolver=resolver,
            guarded_resolver=resolver,
            ssl_context=ssl_context,
        )
        self._upstreams = UpstreamClient(self.sessions, policy, origins, max_answer_bytes=max_answer_bytes)

    def for_upstream(self, *base_urls: str, max_answer_bytes: int | None = None) -> HttpClient:
        """Return a client that trusts these origins alone: what one adapter should be handed.

        So an answer of one upstream cannot send its key to another. It shares our connections, and ends with them.
        """
        origins = trusted_origins(base_urls)
        max_bytes = self._max_answer_bytes if max_answer_bytes is None else max_answer_bytes
        return UpstreamClient(self.sessions, self.policy, origins, max_answer_bytes=max_bytes)

    def for_provider(self, provider: RealProvider) -> HttpClient:
        """Return the client to hand to this adapter: its origin alone, and answers as long as it gives them."""
        max_bytes = provider.largest_answer_bytes if isinstance(provider, AnswersWithFiles) else None
        return self.for_upstream(provider.base_url, max_answer_bytes=max_bytes)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: JsonObject | None = None,
        body: bytes | None = None,
        timeout_seconds: float = 30.0,
    ) -> HttpAnswer:
        """Make one call, trusting every configured upstream; see `UpstreamClient.request`."""
        return await self._upstreams.request(
            method, url, headers=headers, json=json, body=body, timeout_seconds=timeout_seconds
        )

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float = 15.0
    ) -> HttpAnswer:
        """Post to an address that a caller gave and return the answer, whatever its status.

        Redirects are answers and are not followed. Of the answer's body the first `POST_ANSWER_BYTES` are kept, as
        they came; once the status is there, a body that breaks off or takes too long does not undo it.

        Raises:
            RefusedAddress: if the address is not one we talk to; nothing was sent.
            DeliveryFailed: if there was no connection or no answer in time.
        """
        target = self.policy.check_url(url)
        answer: HttpAnswer | None = None
        sending = Sending()
        try:
            async with (
                asyncio.timeout(timeout_seconds),
                self.sessions.guarded(target.scheme, Errand.WEBHOOK).post(
                    target, data=body, headers=headers, allow_redirects=False, trace_request_ctx=sending
                ) as response,
            ):
                answer = HttpAnswer(response.status, lower_case_headers(response), b"")
                answer = HttpAnswer(answer.status, answer.headers, await read_bounded(response, POST_ANSWER_BYTES))
        except (aiohttp.ClientError, OSError) as error:
            if answer is None:
                raise _not_delivered(error, sending, timeout_seconds) from None
        assert answer is not None
        return answer

    async def close(self) -> None:
        """Close every connection."""
        await self.sessions.close()


def _not_delivered(error: aiohttp.ClientError | OSError, sending: Sending, timeout_seconds: float) -> DeliveryFailed:
    kind, what = DeliveryFailureKind.NETWORK, describe_failure(error)
    if isinstance(error, TimeoutError):
        kind = DeliveryFailureKind.TIMEOUT
        what = f"did not answer within {timeout_seconds:g} s" if sending.may_have_left else _UNCONNECTED
    return note_failure(DeliveryFailed(kind, f"the server {what}"), error)
