"""Callbacks of upstreams: whoever proves to be the upstream makes the workers look at a job now.

What a callback says is not used: the check that follows asks the upstream itself. So a callback that comes twice or for
a job that has ended does nothing, and a lost one only costs time. One that comes while a worker is just putting the job
aside is noted in the row, where that worker finds it: news and hints are only quicker. Leaves the signatures to the
adapters.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from structlog.typing import FilteringBoundLogger

from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import Forbidden, NotFound, ServiceUnavailable
from pixeldojo.engine import Engine, Hint
from pixeldojo.jobs.claims import JobClaims
from pixeldojo.providers.contract import (
    Callback,
    CallsBack,
    ForgedCallback,
    HttpClient,
    Provider,
    UpstreamError,
)

_KEYS_LAST = timedelta(hours=1)
# A signature that none of the kept keys made may be of a new one; forgers must not make us ask again and again.
_KEYS_SETTLE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keys of one upstream, and since when we have them."""

    keys: Sequence[bytes]
    since: datetime


class CallbackDesk:
    """Takes callbacks in."""

    def __init__(
        self,
        *,
        providers: Mapping[str, Provider],
        clients: Mapping[str, HttpClient],
        claims: JobClaims,
        engine: Engine,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._callers = {name: found for name, found in providers.items() if isinstance(found, CallsBack)}
        self._clients = clients
        self._claims = claims
        self._engine = engine
        self._clock = clock
        self._log = log
        self._kept: dict[str, _Keys] = {}
        self._fetching: dict[str, asyncio.Task[_Keys]] = {}

    async def take(self, provider_name: str, job_id: str, headers: Mapping[str, str], body: bytes, token: str) -> None:
        """Check who sent it and wake the job.

        Args:
            headers: With lower-case names.
            token: What stood as `token` in the address' query; empty if nothing did.

        Raises:
            NotFound: if that upstream is not set up here, or calls nobody back.
            Forbidden: if it does not prove to come from there.
            ServiceUnavailable: if that cannot be checked now; the upstream will send it again.
        """
        provider = self._callers.get(provider_name)
        if provider is None:
            raise NotFound(f"No upstream {provider_name!r} calls back here.")
        callback = Callback(headers, body, self._clock.now(), job_id, token)
        try:
            await self._verify(provider_name, provider, callback)
        except ForgedCallback as error:
            self._log.warning("callback refused", provider=provider_name, job_id=job_id, why=str(error))
            raise Forbidden(str(error)) from error
        except UpstreamError as error:
            self._log.warning("callback keys missing", provider=provider_name, why=error.message)
            raise ServiceUnavailable(
                "The callback's signature cannot be checked now; send it again later.", headers={"Retry-After": "60"}
            ) from error
        # Side by side, so that on SQLite the worker's claim can share the commit. Where it comes first it is none the
        # worse: the job is looked at, and the row says so once more.
        await asyncio.gather(self._claims.call_for(job_id), self._engine.announce(Hint.JOB, job_id))
        self._engine.notify(job_id)

    async def _verify(self, name: str, provider: CallsBack, callback: Callback) -> None:
        kept = self._kept.get(name)
        age = timedelta.max if kept is None else self._clock.now() - kept.since
        if kept is not None and age < _KEYS_LAST:
            try:
                provider.verify_callback(callback, kept.keys)
            except ForgedCallback:
                if age < _KEYS_SETTLE:
                    raise
            else:
                return
        provider.verify_callback(callback, (await self._renew(name, provider)).keys)

    async def _renew(self, name: str, provider: CallsBack) -> _Keys:
        """Fetch the keys, once for all who wait for them: they share what comes of it, be it that none can be had."""
        fetching = self._fetching.get(name)
        if fetching is None:
            fetching = asyncio.create_task(self._fetch(name, provider), name=f"callback keys of {name}")
            self._fetching[name] = fetching
            fetching.add_done_callback(lambda _: self._fetching.pop(name, None))
        # Whoever hangs up does not take the keys from the others.
        return await asyncio.shield(fetching)

    async def _fetch(self, name: str, provider: CallsBack) -> _Keys:
        keys = _Keys(tuple(await provider.callback_keys(self._clients[name])), self._clock.now())
        self._kept[name] = keys
        return keys
