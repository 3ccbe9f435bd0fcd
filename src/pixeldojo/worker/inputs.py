"""A job's media inputs: fetched guarded, checked by content, kept as blobs before an upstream hears of the job."""

from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from pixeldojo.assets.service import AssetsService, inline_blob_key, inputs_folder
from pixeldojo.catalog.inputs import MediaValue, media_values
from pixeldojo.catalog.price import stated_length
from pixeldojo.catalog.schema import Model
from pixeldojo.core.errors import Expired, NotFound
from pixeldojo.jobs.claims import JobClaims
from pixeldojo.jobs.inline_media import inline_digest, place_of
from pixeldojo.jobs.job import Job
from pixeldojo.media.facts import MediaFacts, UnreadableMedia
from pixeldojo.net.fetch import FetchErrorKind, FetchFailed
from pixeldojo.providers.contract import InputFile
from pixeldojo.worker.media_files import MediaFiles

# Weights and transcripts go to the upstream as addresses; there is nothing for us to decode.
_OPAQUE_KIND = "file"
# A request timed out, came too early, or was one too many; from 500 on it is the server that is in trouble.
_PASSING_STATUSES = frozenset({408, 425, 429})
_SERVER_ERROR = 500
# A container runs a frame, or a packet of sound, past what players and editors call its length.
_OVERRUN_SECONDS = Decimal("0.1")


class UnusableInput(Exception):
    """A media input cannot be used; the message names the parameter and says why."""


class InputNotReady(Exception):
    """A media input could not be fetched now; another try may help."""


class InputCollector:
    """Gathers the files of a job once; a worker that takes the job over finds them gathered."""

    def __init__(self, *, claims: JobClaims, assets: AssetsService, files: MediaFiles) -> None:
        self._claims = claims
        self._assets = assets
        self._files = files

    async def collect(self, job: Job, model: Model) -> tuple[Job, tuple[InputFile, ...]]:
        """Return the job with its files, in the order of the model's parameters.

        Raises:
            UnusableInput: a file is missing, broken, too large, of another kind, at a refused address, or longer than
                the caller said to have less held.
            InputNotReady: its server does not answer now.
        """
        if job.input_files is not None:
            return job, tuple(InputFile(**cast("dict[str, Any]", kept)) for kept in job.input_files)
        wanted = [media for media in media_values(model, job.input) if media.kind != _OPAQUE_KIND]
        if not wanted:
            return job, ()
        found = tuple([await self._keep(job, media) for media in wanted])
        _refuse_understated(model, job, found)
        job = await self._claims.change(job, input_files=tuple(asdict(file) for file in found), failures=0)
        return job, found

    async def _keep(self, job: Job, media: MediaValue) -> InputFile:
        where = place_of(media, job.input)
        try:
            blob_key, facts = await self._fetch(job.id, media)
        except (UnreadableMedia, Expired, NotFound) as error:
            raise UnusableInput(f"{where}: {error}") from error
        except FetchFailed as error:
            if _may_pass(error):
                raise InputNotReady(f"{where}: {error.message}") from error
            raise UnusableInput(f"{where}: {error.message}") from error
        if facts.kind != media.kind:
            raise UnusableInput(
                f"{where}: this must be {_an(media.kind)}, but the file is {_an(facts.kind)} ({facts.content_type})"
            )
        return InputFile(
            parameter=media.parameter,
            index=media.index,
            source_url=None if media.value.startswith("data:") else media.value,
            blob_key=blob_key,
            kind=facts.kind,
            content_type=facts.content_type,
            size_bytes=facts.size_bytes,
            width=facts.width,
            height=facts.height,
            duration_seconds=facts.duration_seconds,
            frames_per_second=facts.frames_per_second,
            has_audio=facts.has_audio,
        )

    async def _fetch(self, job_id: str, media: MediaValue) -> tuple[str, MediaFacts]:
        """Return where the file lies and what it is; files we have already are not fetched."""
        digest = inline_digest(media.value)
        if digest is not None:
            return await self._measured(inline_blob_key(job_id, digest))
        own = self._assets.own_file_name(media.value)
        if own is not None:
            return await self._measured((await self._assets.open_asset(own)).blob_key)
        async with self._files.scratch_folder() as folder:
            path: Path = folder / "input"
            await self._files.fetch(media.value, path)
            facts = await self._files.measure(path)
            key = f"{inputs_folder(job_id)}/{media.parameter}-{media.index}"
            await self._files.blobs.put(key, path)
            return key, facts

    async def _measured(self, blob_key: str) -> tuple[str, MediaFacts]:
        async with self._files.blobs.local_path(blob_key) as path:
            return blob_key, await self._files.measure(path)


def _refuse_understated(model: Model, job: Job, files: tuple[InputFile, ...]) -> None:
    """Refuse a source that is longer than the length by which the caller lowered the hold: all of it would be paid."""
    stated = stated_length(model, job.input)
    if stated is None:
        return
    for file in files:
        seconds = Decimal(str(file.duration_seconds or 0))
        if file.parameter in stated.sources and seconds > stated.seconds + _OVERRUN_SECONDS:
            said, name = f"{stated.seconds.normalize():f}", stated.parameter
            raise UnusableInput(
                f"{file.parameter}: it is {seconds:.1f} seconds long, and {name} says {said}. "
                f"Give {name} its real length, or leave {name} out to have {stated.maximum} seconds held."
            )


def _may_pass(error: FetchFailed) -> bool:
    if error.kind in {FetchErrorKind.NETWORK, FetchErrorKind.TIMEOUT}:
        return True
    return error.status is not None and (error.status >= _SERVER_ERROR or error.status in _PASSING_STATUSES)


def _an(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" if kind != "model3d" else "a 3D model"
