"""What an adapter is: pure translation between our words and one upstream's.

An adapter makes one upstream call per method (one more to read a result that the service keeps apart from its
status). It never loops, sleeps, retries, downloads, logs, reads the environment or touches SQL: polling, back-off,
deadlines, failover and limits live once, in the worker. It answers with an `Operation` (come back later), `Running`
(not yet) or `Finished` (here are the outputs), or raises one of six `UpstreamError` kinds.

`Provider` is what every adapter has. `RealProvider` adds where its credentials go; `TakesUploads`, `TakesContent`,
`AnswersWithFiles` and `CallsBack` are for services that want files handed over, want them inside the request, put the
outputs into the answer, or announce the end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from pixeldojo.core.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class InputFile:
    """A media input, already fetched, checked by content and kept in our blobs.

    Attributes:
        parameter: The model's own parameter name, such as `image_urls`.
        index: Position within an array parameter; 0 for a scalar one.
        source_url: The public address the caller gave; None when the media came as a `data:` URI.
        blob_key: Where the bytes lie.
        kind: `image`, `video` or `audio`.
        content_type: By content, never by name.
        size_bytes: Length of the file.
        width: Pixels; None for audio.
        height: Pixels; None for audio.
        duration_seconds: None for images.
        frames_per_second: None unless video.
        has_audio: Whether a video carries a sound track.
    """

    parameter: str
    index: int
    source_url: str | None
    blob_key: str
    kind: str
    content_type: str
    size_bytes: int
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    frames_per_second: float | None = None
    has_audio: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an upstream, in the upstream's words and in ours.

    Attributes:
        job_id: The job this call serves.
        attempt_id: Unique per try; an upstream that knows client ids gets this one.
        model_id: Our id of the model.
        task: What the model does: `text-to-image`, `video-edit`, ….
        endpoint: The upstream's name for the model.
        arguments: The input in the upstream's words (renamed, with constants, units converted).
        input: The input in our words, validated, with defaults filled in.
        output: The catalog's `output` table of the model: kind, formats, sizes and the like.
        files: The media inputs, in the order of the parameters.
        callback_url: Where the upstream may announce the end; None where the operator has no public address.
        rehearsal: Test mode only: trouble that the caller asked the sandbox to rehearse.
    """

    job_id: str
    attempt_id: str
    model_id: str
    task: str
    endpoint: str
    arguments: JsonObject
    input: JsonObject
    output: JsonObject
    files: tuple[InputFile, ...] = ()
    callback_url: str | None = None
    rehearsal: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """The upstream's handle on work it accepted; JSON, so that any worker can go on with it.

    Attributes:
        id: The upstream's id, for the operator.
        data: Whatever `check` and `cancel` need.
        can_cancel: Whether `cancel` can stop it.
        poll_after_seconds: When the service suggests a first look; 0 if it may be done already, None if it leaves
            that to whoever asks.
        calls_back: Whether the upstream was given the call's `callback_url` and will announce the end there.
    """

    id: str
    data: JsonObject = field(default_factory=dict)
    can_cancel: bool = False
    poll_after_seconds: float | None = None
    calls_back: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """Not finished yet.

    Attributes:
        progress: 0..1, or None when the upstream does not say.
        poll_after_seconds: When the service suggests to look again; None if it leaves that to whoever asks, who
            then looks ever more rarely.
    """

    progress: float | None = None
    poll_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One output: exactly one of an address, the bytes themselves, or a file on this machine.

    A `path` belongs to whoever receives it: it is moved or deleted after use.

    Attributes:
        headers: What the address wants to see, credentials included: only for an address of the adapter's own origin
            that the adapter itself put together, never for one that an answer named. Not sent on to another origin.
    """

    url: str | None = None
    content: bytes | None = None
    path: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Finished:
    """The upstream is done.

    Attributes:
        outputs: In the order asked for; fewer than asked when the upstream gave a part.
        upstream_cost: What the upstream says it charges the operator, in its own words, for the record.
    """

    outputs: tuple[OutputFile, ...]
    upstream_cost: str | None = None


class CancelOutcome(StrEnum):
    """What came of asking the upstream to stop.

    CANCELED: it surely stopped. REQUESTED: it was asked, and `check` will tell whether it did.
    """

    CANCELED = "canceled"
    REQUESTED = "requested"
    TOO_LATE = "too_late"
    NOT_SUPPORTED = "not_supported"


class UpstreamErrorKind(StrEnum):
    """The six ways an upstream says no.

    REJECTED_INPUT: it will never take this input. REFUSED_CONTENT: its moderation refused.
    OVER_LIMIT: rate, quota or concurrency; later or elsewhere. UNAUTHORIZED: the operator's credentials.
    UNAVAILABLE: it is down or the request surely never reached it. UNKNOWN: it may or may not have taken the work.
    """

    REJECTED_INPUT = "rejected_input"
    REFUSED_CONTENT = "refused_content"
    OVER_LIMIT = "over_limit"
    UNAUTHORIZED = "unauthorized"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"


class UpstreamError(Exception):
    """An upstream's refusal or failure, already sorted into one of the six kinds.

    Attributes:
        kind: Which of the six.
        message: Safe to show to the caller: no addresses, credentials or stacks.
        retry_after_seconds: When the upstream says to come back, if it does.
        is_final: Whether the upstream reported that accepted work ended in failure: trying elsewhere would
            pay a second time, so the job fails.
        upstream_cost: What the upstream says it charges the operator all the same, in its own words, for the record.
    """

    def __init__(
        self,
        kind: UpstreamErrorKind,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        is_final: bool = False,
        upstream_cost: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.retry_after_seconds = retry_after_seconds
        self.is_final = is_final
        self.upstream_cost = upstream_cost


class HttpClient(Protocol):
    """The outbound client an adapter is handed: deadlines, address checks and redaction are done for it."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: JsonObject | None = None,
        body: bytes | None = None,
        timeout_seconds: float = 30.0,
    ) -> "HttpAnswer":
        """Make one call and return its answer, whatever its status.

        Args:
            timeout_seconds: For all of it, beside what a large body takes to be sent.

        Raises:
            UpstreamError: `UNAVAILABLE` when surely nothing was sent, `UNKNOWN` when bytes may have left and no
                answer came.
        """
        ...


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One HTTP answer, whole: status, headers with lower-case names, body bytes (bounded)."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Provider(Protocol):
    """One upstream service.

    Attributes:
        name: The word for it in catalog files, settings and records.
        is_resubmit_safe: Whether `submit` with an `attempt_id` it has seen before gives back the same work and
            costs nothing more. Only then may the worker repeat a submit whose answer was lost.
    """

    name: str
    is_resubmit_safe: bool

    async def submit(self, call: Call, http: HttpClient) -> Operation | Finished:
        """Ask the upstream to do the work."""
        ...

    async def check(self, operation: Operation, http: HttpClient) -> Running | Finished:
        """Ask how it goes."""
        ...

    async def cancel(self, operation: Operation, http: HttpClient) -> CancelOutcome:
        """Ask it to stop."""
        ...


class RealProvider(Provider, Protocol):
    """A service out there.

    Attributes:
        base_url: The address that its calls begin with. Its credentials go to that origin and to no other.
    """

    base_url: str


@runtime_checkable
class TakesUploads(Protocol):
    """A service that wants files which have no public address handed over, where others take `data:` URIs."""

    def wants_upload(self, file: InputFile) -> bool:
        """Say whether this file is better uploaded than put into the request."""
        ...

    async def upload(self, file: InputFile, content: bytes, endpoint: str, http: HttpClient) -> str:
        """Hand a file over for use at an endpoint; return the address by which the service knows it. Costs nothing.

        Where the service says first where a file goes, this is two calls.

        Raises:
            UpstreamError: as `submit` does.
        """
        ...


@runtime_checkable
class TakesContent(Protocol):
    """A service that fetches nothing: files go inside the request, as `data:` URIs here, whatever address they have.

    Attributes:
        largest_media_bytes: What the files of one request may have together. What one file may have is in the catalog.
    """

    largest_media_bytes: int


@runtime_checkable
class AnswersWithFiles(Protocol):
    """A service whose answers hold the outputs themselves, and so are longer than others.

    Attributes:
        largest_answer_bytes: The longest that is read.
    """

    largest_answer_bytes: int


@dataclass(frozen=True, slots=True)
class Callback:
    """What somebody posted to a callback address; nobody has checked who.

    Attributes:
        headers: With lower-case names.
        body: As it came.
        received_at: When it did.
        job_id: The job whose address it was posted to.
        token: What stood as `token` in that address' query, where services that do not sign carry what proves them.
    """

    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    job_id: str = ""
    token: str = ""


class ForgedCallback(Exception):
    """The callback does not prove that it comes from the service; the message says what is missing."""


@runtime_checkable
class CallsBack(Protocol):
    """A service that announces the end of work, signed or at an address that only it was given."""

    async def callback_keys(self, http: HttpClient) -> Sequence[bytes]:
        """Return the keys that callbacks are signed with now; none where the address is the proof.

        Raises:
            UpstreamError: as `check` does.
        """
        ...

    def verify_callback(self, callback: Callback, keys: Sequence[bytes]) -> None:
        """Return if the service sent this. What it says is not used: the worker asks the service itself.

        Raises:
            ForgedCallback: if the signature, its age or its form is wrong.
        """
        ...
