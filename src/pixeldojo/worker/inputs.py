"""A job's media inputs: fetched guarded, checked by content, kept as blobs before an upstream hears of the job."""

from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from pixeldojo.assets.service import AssetsService, inline_blob_key, inputs_folder
from pixeldojo.assets.store import Asset
from pixeldojo.blobs import BlobMissing
from pixeldojo.catalog.inputs import MediaValue, media_values
from pixeldojo.catalog.lengths import length_breach
from pixeldojo.catalog.price import stated_length
from pixeldojo.catalog.schema import Model
from pixeldojo.core.errors import Expired, NotFound
from pixeldojo.files.service import FilesService
from pixeldojo.files.store import File
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


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a file lies, what it is, and under which address an upstream can fetch it."""

    blob_key: str
    facts: MediaFacts
    source_url: str | None


class InputCollector:
    """Gathers the files of a job once; a worker that takes the job over finds them gathered."""

    def __init__(self, *, claims: JobClaims, assets: AssetsService, uploads: FilesService, files: MediaFiles) -> None:
        self._claims = claims
        self._assets = assets
        self._uploads = uploads
        self._files = files

    async def collect(self, job: Job, model: Model) -> tuple[Job, tuple[InputFile, ...]]:
        """Return the job with its files, in the order of the model's parameters.

        Raises:
            UnusableInput: a file is missing, broken, too large, of another kind, at a refused address, shorter or
                longer than the model takes, or longer than the caller said to have less held.
            InputNotReady: its server does not answer now.
        """
        if job.input_files is not None:
            return job, tuple(InputFile(**cast("dict[str, Any]", kept)) for kept in job.input_files)
        wanted = [media for media in media_values(model, job.input) if media.kind != _OPAQUE_KIND]
        if not wanted:
            return job, ()
        found = tuple([await self._keep(job, media) for media in wanted])
        if breach := length_breach(model, job.input, found):
            raise UnusableInput(breach)
        _refuse_understated(model, job, found)
        job = await self._claims.change(job, input_files=tuple(asdict(file) for file in found), failures=0)
        return job, found

    async def _keep(self, job: Job, media: MediaValue) -> InputFile:
        where = place_of(media, job.input)
        try:
            found = await self._find(job, media)
        except BlobMissing as error:
            raise UnusableInput(f"{where}: the file was deleted; give another") from error
        except (UnreadableMedia, Expired, NotFound) as error:
            raise UnusableInput(f"{where}: {error}") from error
        except FetchFailed as error:
            if _may_pass(error):
                raise InputNotReady(f"{where}: {error.message}") from error
            raise UnusableInput(f"{where}: {error.message}") from error
        facts = found.facts
        if facts.kind != media.kind:
            raise UnusableInput(
                f"{where}: this must be {_a(media.kind)}, but the file is {_a(facts.kind)} ({facts.content_type})"
            )
        return InputFile(
            parameter=media.parameter,
            index=media.index,
            source_url=found.source_url,
            blob_key=found.blob_key,
            kind=facts.kind,
            content_type=facts.content_type,
            size_bytes=facts.size_bytes,
            width=facts.width,
            height=facts.height,
            duration_seconds=facts.duration_seconds,
            frames_per_second=facts.frames_per_second,
            has_audio=facts.has_audio,
        )

    async def _find(self, job: Job, media: MediaValue) -> _Found:
        """Find a file where it lies already, or fetch it; every file but one sent inline is copied for this job."""
        digest = inline_digest(media.value)
        if digest is not None:
            blob_key = inline_blob_key(job.id, digest)
            return _Found(blob_key, await self._measured(blob_key), None)
        blob_key = f"{inputs_folder(job.id)}/{media.parameter}-{media.index}"
        ours = await self._ours(job, media.value)
        if ours is not None:
            await self._files.blobs.copy(ours.blob_key, blob_key)
            # The upstream may fetch it as late as the job may take.
            outlives = ours.expires_at >= job.deadline_at
            return _Found(blob_key, await self._measured(blob_key), media.value if outlives else None)
        async with self._files.scratch_folder() as folder:
            path: Path = folder / "input"
            await self._files.fetch(media.value, path)
            facts = await self._files.measure(path)
            await self._files.blobs.put(blob_key, path)
        return _Found(blob_key, facts, media.value)

    async def _ours(self, job: Job, url: str) -> Asset | File | None:
        """Return the file when the address is one of our own."""
        asset_name, upload_name = self._assets.own_file_name(url), self._uploads.own_file_name(url)
        if asset_name is not None:
            return await self._assets.open_asset(asset_name)
        if upload_name is not None:
            return await self._uploads.open_file(upload_name, at=job.created_at)
        return None

    async def _measured(self, blob_key: str) -> MediaFacts:
        async with self._files.blobs.local_path(blob_key) as path:
            return await self._files.measure(path)


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


def _a(kind: str) -> str:
    """Return a kind of file as one says it: there is no such thing as an audio."""
    return {"image": "an image", "video": "a video", "audio": "a sound file", "model3d": "a 3D model"}[kind]
