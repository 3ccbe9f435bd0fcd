"""The connections to the outside and each upstream's client on them, made when first needed.

Their library takes a tenth of a start to load, and no node's first answer needs it.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from pixeldojo.core.clock import Clock
from pixeldojo.metrics.meters import Meters
from pixeldojo.net.addresses import AddressPolicy
from pixeldojo.providers.contract import HttpClient, RealProvider

if TYPE_CHECKING:
    from pixeldojo.net.client import OutboundClient


class WayOut:
    """What a node reaches others through. Use it inside the running event loop, and close it there."""

    def __init__(
        self, policy: AddressPolicy, upstreams: Mapping[str, RealProvider], meters: Meters, clock: Clock
    ) -> None:
        self._policy = policy
        self._upstreams = upstreams
        self._meters = meters
        self._clock = clock

    @cached_property
    def http(self) -> "OutboundClient":
        """The connections."""
        from pixeldojo.net.client import OutboundClient  # noqa: PLC0415  see above

        return OutboundClient(self._policy)

    @cached_property
    def clients(self) -> Mapping[str, HttpClient]:
        """The client of each upstream that is set up here, by its name."""
        return {name: self._client(name, upstream) for name, upstream in self._upstreams.items()}

    def _client(self, name: str, upstream: RealProvider) -> HttpClient:
        from pixeldojo.worker.metered import MeteredClient  # noqa: PLC0415  see above

        return MeteredClient(name, self.http.for_provider(upstream), self._meters, self._clock)

    async def close(self) -> None:
        """Close every connection."""
        if "http" in self.__dict__:
            await self.http.close()
