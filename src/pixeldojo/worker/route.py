"""Which upstreams a job can go to: the sandbox in test mode, the catalog's upstreams with an adapter in live mode."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pixeldojo.catalog.bind import bind, choose_upstreams
from pixeldojo.catalog.schema import Model, Upstream
from pixeldojo.core.json_types import JsonObject
from pixeldojo.jobs.job import Job
from pixeldojo.providers.contract import Call, CallsBack, InputFile, Provider

SANDBOX = "sandbox"


@dataclass(frozen=True, slots=True)
class Route:
    """One upstream that can do the job; `upstream` is None for the sandbox, which takes our own words."""

    provider: Provider
    endpoint: str
    upstream: Upstream | None


class Router:
    """Finds the upstreams of a job, in the order of the catalog."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        self._providers = providers

    def routes(self, model: Model, job: Job, files: Sequence[InputFile]) -> tuple[Route, ...]:
        """Return the upstreams that can do the job; none when no credentials are configured for any."""
        if job.mode == "test":
            return (Route(self._providers[SANDBOX], model.id, None),)
        return tuple(
            Route(self._providers[upstream.provider], upstream.endpoint, upstream)
            for upstream in choose_upstreams(model, job.input, files)
            if upstream.provider in self._providers
        )


def next_turn(routes: Sequence[Route], turn: int, closed: Collection[str]) -> int | None:
    """Return whose turn it is after `turn`, going round, without providers that are closed; None when all are."""
    for distance in range(1, len(routes) + 1):
        candidate = (turn + distance) % len(routes)
        if routes[candidate].provider.name not in closed:
            return candidate
    return None


def build_call(
    route: Route,
    model: Model,
    job: Job,
    files: tuple[InputFile, ...],
    attempt_id: str,
    media_urls: Mapping[tuple[str, int], str],
    callback_base: str | None = None,
) -> Call:
    """Return the request to an upstream: our words, and for a real upstream its own.

    Args:
        media_urls: By parameter and index, the address under which the upstream can fetch a media input.
        callback_base: The public address that upstreams may call back; None where there is none.
    """
    calls_back = callback_base is not None and isinstance(route.provider, CallsBack)
    arguments: JsonObject = job.input
    if route.upstream is not None:
        arguments = bind(route.upstream, model, job.input, media_urls, files)
    return Call(
        job_id=job.id,
        attempt_id=attempt_id,
        model_id=model.id,
        task=model.task,
        endpoint=route.endpoint,
        arguments=arguments,
        input=job.input,
        output=model.output_json,
        files=files,
        callback_url=f"{callback_base}/{route.provider.name}/{job.id}" if calls_back else None,
        rehearsal=job.rehearsal,
    )
