"""The step that makes an upstream's outputs ours: copied, measured, kept; only then is the job completed."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from pixeldojo.assets.service import assets_folder
from pixeldojo.assets.store import Asset
from pixeldojo.blobs import BlobsUnavailable
from pixeldojo.catalog.load import Catalog
from pixeldojo.catalog.price import Quote, settle
from pixeldojo.core.clock import Clock
from pixeldojo.core.errors import JobFailure, JobFailureCode
from pixeldojo.core.ids import IdKind, new_id
from pixeldojo.jobs.claims import JobClaims
from pixeldojo.jobs.job import Job
from pixeldojo.media.facts import EXTENSIONS, MediaFacts, UnreadableMedia
from pixeldojo.net.fetch import FetchErrorKind, FetchFailed
from pixeldojo.providers.contract import Finished, OutputFile
from pixeldojo.worker.media_files import MediaFiles
from pixeldojo.worker.outage import through_outage
from pixeldojo.worker.outcome import Ended, GoOn, Outcome, Pause

_TRIES = 6
_LONGEST_PAUSE_SECONDS = 30.0
_TIMED_KINDS = frozenset({"video", "audio"})


class CollectStep:
    """Copies outputs, checks that they are what the model promises, and completes the job."""

    def __init__(
        self, *, catalog: Catalog, claims: JobClaims, files: MediaFiles, clock: Clock, log: FilteringBoundLogger
    ) -> None:
        self._catalog = catalog
        self._claims = claims
        self._files = files
        self._clock = clock
        self._log = log

    async def run(self, job: Job) -> Outcome:
        """Take the step on a job whose collecting was begun elsewhere: what the upstream gave is asked for again."""
        if job.operation is None:
            lost = "The upstream's answer was lost when a server of ours stopped. You were not charged."
            return Ended(await self._claims.fail(job, JobFailure(JobFailureCode.UPSTREAM_UNKNOWN, lost)))
        return GoOn(await self._claims.ask_again(job))

    async def collect(self, job: Job, finished: Finished) -> Outcome:
        """Copy what the upstream gave and complete the job."""
        try:
            job = await through_outage(self._clock, lambda: self._claims.begin_collect(job, finished.upstream_cost))
            if not finished.outputs:
                return await self._broken(job, "the upstream finished without an output")
            found = await self._copy(job, finished)
        except UnreadableMedia as error:
            return await self._broken(job, f"the upstream gave a file that cannot be used: {error}")
        except (FetchFailed, BlobsUnavailable) as error:
            return await self._not_copied(job, error)
        finally:
            _discard(finished)
        return await self._complete(job, found)

    async def _complete(self, job: Job, found: list[Asset]) -> Outcome:
        quote = Quote.from_json(job.quote)
        captured = settle(
            quote,
            outputs_delivered=len(found),
            measured_seconds=_measured_seconds(found),
            measured_pixels=max((one.width * one.height for one in found if one.width and one.height), default=None),
        )
        return Ended(await through_outage(self._clock, lambda: self._claims.complete(job, found, captured)))

    async def _copy(self, job: Job, finished: Finished) -> list[Asset]:
        """Copy the outputs, as many as were asked for; where they can be had only now, try a few times."""
        while True:
            try:
                return await self._copy_once(job, finished)
            except (FetchFailed, BlobsUnavailable) as error:
                if job.operation is not None or self._is_hopeless(job, error):
                    raise
            job = replace(job, failures=job.failures + 1)
            await self._clock.sleep(_pause_seconds(job.failures))

    async def _copy_once(self, job: Job, finished: Finished) -> list[Asset]:
        promised = self._catalog.find(job.model_id).output
        outputs = finished.outputs[: promised.count(job.input)]
        async with self._files.scratch_folder() as folder:
            return [
                await self._keep(job, promised.kind, output, position, folder)
                for position, output in enumerate(outputs)
            ]

    async def _keep(self, job: Job, expected: str, output: OutputFile, position: int, folder: Path) -> Asset:
        path, sha256 = await self._on_disk(output, folder / str(position))
        facts = await self._files.measure_output(path)
        if facts.kind != expected:
            raise UnreadableMedia(f"it is {facts.content_type}, and this model makes {expected}")
        asset = _describe(job, facts, position, sha256, self._clock)
        await self._files.blobs.put(asset.blob_key, path)
        return asset

    async def _on_disk(self, output: OutputFile, path: Path) -> tuple[Path, str]:
        """Return where an output lies on this machine, and its SHA-256."""
        if output.url is not None:
            return path, await self._files.fetch(output.url, path, output.headers)
        if output.path is not None:
            path = output.path
        elif output.content is not None:
            await asyncio.to_thread(path.write_bytes, output.content)
        return path, await self._files.digest(path)

    async def _not_copied(self, job: Job, error: FetchFailed | BlobsUnavailable) -> Outcome:
        """The upstream still has the outputs: ask for them again, a few times or while our own store is away."""
        self._log.warning("output could not be copied", job_id=job.id, why=str(error), failures=job.failures + 1)
        if job.operation is None or self._is_hopeless(job, error):
            return await self._broken(job, "the upstream's output could not be copied")
        failures = job.failures + 1
        job = await self._claims.change(await self._claims.ask_again(job), failures=failures)
        return Pause(job, _pause_seconds(failures))

    def _is_hopeless(self, job: Job, error: FetchFailed | BlobsUnavailable) -> bool:
        is_last_try = job.failures + 1 >= _TRIES
        if isinstance(error, BlobsUnavailable):
            return is_last_try and self._clock.now() >= job.deadline_at
        return is_last_try or error.kind in {FetchErrorKind.REFUSED, FetchErrorKind.TOO_LARGE}

    async def _broken(self, job: Job, what: str) -> Outcome:
        failure = JobFailure(JobFailureCode.UPSTREAM_ERROR, f"The job failed: {what}. You were not charged.")
        return Ended(await self._claims.fail(job, failure))


def _describe(job: Job, facts: MediaFacts, position: int, sha256: str, clock: Clock) -> Asset:
    asset_id = new_id(IdKind.ASSET, clock.now())
    extension = EXTENSIONS[facts.content_type]
    return Asset(
        id=asset_id,
        job_id=job.id,
        account_id=job.account_id,
        position=position,
        kind=facts.kind,
        content_type=facts.content_type,
        extension=extension,
        size_bytes=facts.size_bytes,
        sha256=sha256,
        width=facts.width,
        height=facts.height,
        duration_seconds=facts.duration_seconds,
        blob_key=f"{assets_folder(job.id)}/{asset_id}.{extension}",
        expires_at=job.expires_at,
    )


def _measured_seconds(found: list[Asset]) -> Decimal | None:
    """Return the mean length of what was made, by which models without a length input are charged."""
    lengths = [asset.duration_seconds for asset in found if asset.kind in _TIMED_KINDS]
    if not lengths or any(length is None for length in lengths):
        return None
    return sum((Decimal(str(length)) for length in lengths), Decimal(0)) / len(lengths)


def _pause_seconds(failures: int) -> float:
    return float(min(_LONGEST_PAUSE_SECONDS, 2**failures))


def _discard(finished: Finished) -> None:
    for output in finished.outputs:
        if output.path is not None:
            output.path.unlink(missing_ok=True)
