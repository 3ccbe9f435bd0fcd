"""Runware: its task API, over REST.

Facts: runware.ai/docs (task polling, webhooks, errors, media storage) and runware-sdk 1.8.0, November 2026. Everything
is a POST of a list of tasks to one address. An endpoint is a model's AIR id; the caller of the API chooses a task's
UUID, so a submit whose answer was lost may be sent again: the second is refused as a conflict, which proves that the
first arrived. Nothing can be cancelled. Callbacks are not signed; the documents advise a token in their address.
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID, uuid4

from pixeldojo.core.json_types import JsonObject, JsonValue
from pixeldojo.providers.answers import (
    find_object,
    kind_of_status,
    object_in,
    objects_in,
    output_files,
    plain,
    read_object,
    retry_after_seconds,
)
from pixeldojo.providers.contract import (
    Call,
    Callback,
    CancelOutcome,
    Finished,
    ForgedCallback,
    HttpAnswer,
    HttpClient,
    InputFile,
    Operation,
    OutputFile,
    Running,
    UpstreamError,
    UpstreamErrorKind,
)

_UPLOAD_SECONDS: Final = 120.0
_LARGEST_NUMBER: Final = 1e12

_RUNNING: Final = frozenset({"processing", "queued", "pending", "scheduled", "waiting"})
_CONFLICT: Final = "conflictTaskUUID"
# The documents call their codes unstable; these are the patterns by which Runware's own client sorts them, in order.
_KINDS: Final[Sequence[tuple[re.Pattern[str], UpstreamErrorKind]]] = (
    (
        re.compile(r"Credits|Quota|Balance|^quotaExceeded|^paymentRequired|^environmentPaused|(?i:ratelimit)"),
        UpstreamErrorKind.OVER_LIMIT,
    ),
    (
        re.compile(r"PolicyViolation|ContentDetected$|Blocked$|^moderationFailed|^invalidProviderContent"),
        UpstreamErrorKind.REFUSED_CONTENT,
    ),
    (
        re.compile(
            r"ApiKey|^unauthorized|^forbidden|[pP]ermission|^auth|Authentication$|^invalidCredentials|^token"
            r"|Suspended$|^(?:account|organization|workspace)Disabled"
        ),
        UpstreamErrorKind.UNAUTHORIZED,
    ),
    (
        re.compile(r"Timeout|^timeout|^internalServerError|^(?:standard|unknown|undefined|default)Error"),
        UpstreamErrorKind.UNKNOWN,
    ),
    (
        re.compile(
            r"NotFound$|Expired$|^unknownModel|^task|^serviceUnavailable|^serverUnavailable|^provider|^inferenceError"
            r"|^processingFailed|^(?:down|up)loadFailed|^noAvailableServer|^model(?:Unavailable|Disabled|NotReady)"
        ),
        UpstreamErrorKind.UNAVAILABLE,
    ),
    (
        re.compile(
            r"^(?:invalid|missing|conflict|duplicate|unsupported|value|array|max|validation|incompatible|mismatch)"
        ),
        UpstreamErrorKind.REJECTED_INPUT,
    ),
    (re.compile(r"^unknown(?:Parameter|ProviderSettings)"), UpstreamErrorKind.REJECTED_INPUT),
)
_GONE: Final = re.compile(r"^task(?:Failed|Cancelled|NotFound|Expired)")


class RunwareProvider:
    """The adapter."""

    name: str = "runware"
    is_resubmit_safe: bool = True

    def __init__(self, key: str, base_url: str = "https://api.runware.ai/v1") -> None:
        """Take the operator's key and the API's address with its version."""
        self.base_url = base_url.rstrip("/")
        self._key = key
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}

    async def submit(self, call: Call, http: HttpClient) -> Operation | Finished:
        """Hand the task over; the attempt decides its UUID."""
        task_id = _task_id(call.attempt_id)
        task: dict[str, JsonValue] = {
            **call.arguments,
            "taskUUID": task_id,
            "model": call.endpoint,
            "deliveryMethod": "async",
            "outputType": "URL",
            "includeCost": True,
        }
        if call.callback_url is not None:
            mark = "&" if "?" in call.callback_url else "?"
            task["webhookURL"] = f"{call.callback_url}{mark}token={self._token(call.job_id)}"
        answer = await self._post(task, http)
        body = find_object(answer) or {}
        errors = _errors(body)
        # One answer can hold both: a task that is named was taken, whatever else is said.
        is_taken = bool(_of_task(body, task_id)) or any(error.get("code") == _CONFLICT for error in errors)
        if not is_taken and (errors or answer.status >= 300):
            raise self._refusal(answer, errors)
        if not is_taken:
            raise UpstreamError(UpstreamErrorKind.UNKNOWN, "Runware answered without naming the task.")
        kind = str(call.output.get("kind"))
        return Operation(
            id=task_id,
            data={"kind": kind, "count": call.arguments.get("numberResults", 1)},
            calls_back=call.callback_url is not None,
        )

    async def check(self, operation: Operation, http: HttpClient) -> Running | Finished:
        """Ask for the task's results; each comes when it is done."""
        answer = await self._post({"taskType": "getResponse", "taskUUID": operation.id}, http)
        body = find_object(answer) or {}
        errors = _errors(body)
        failed = [error for error in errors if _is_of_the_task(error, answer.status)]
        if (errors and not failed) or (answer.status >= 300 and not failed):
            raise self._trouble(answer, errors)
        return self._news(operation, _of_task(read_object(answer), operation.id), failed)

    async def cancel(self, operation: Operation, http: HttpClient) -> CancelOutcome:
        """Runware has no way to; the work goes on and is charged."""
        return CancelOutcome.NOT_SUPPORTED

    def wants_upload(self, file: InputFile) -> bool:
        """Pictures may stand in the request; of other files the documents do not say so."""
        return file.kind != "image"

    async def upload(self, file: InputFile, content: bytes, endpoint: str, http: HttpClient) -> str:
        """Put the file into the account's media storage, where it stays until the operator deletes it."""
        media = f"data:{file.content_type};base64,{base64.b64encode(content).decode()}"
        task = {"taskType": "mediaStorage", "taskUUID": str(uuid4()), "operation": "upload", "media": media}
        answer = await self._post(task, http, timeout_seconds=_UPLOAD_SECONDS)
        errors = _errors(find_object(answer) or {})
        if errors or answer.status >= 300:
            raise self._refusal(answer, errors)
        stored = _of_task(read_object(answer), str(task["taskUUID"]))
        address = stored[0].get("mediaURL") if stored else None
        if not isinstance(address, str):
            raise UpstreamError(UpstreamErrorKind.UNAVAILABLE, "Runware took a file and did not say where it is.")
        return address

    async def callback_keys(self, http: HttpClient) -> Sequence[bytes]:
        """There are none: what proves a callback is the token in the address that only Runware was given."""
        return ()

    def verify_callback(self, callback: Callback, keys: Sequence[bytes]) -> None:
        """Check the token of the job's callback address."""
        if not hmac.compare_digest(callback.token.encode(), self._token(callback.job_id).encode()):
            raise ForgedCallback("The callback's address has not the token that Runware was given for this job.")

    def _token(self, job_id: str) -> str:
        """Return what a callback for a job is known by; the key cannot be found from it."""
        return hmac.digest(self._key.encode(), f"callback of {job_id}".encode(), "sha256").hex()[:32]

    async def _post(self, task: JsonObject, http: HttpClient, timeout_seconds: float = 30.0) -> HttpAnswer:
        body = json.dumps([task], separators=(",", ":"), allow_nan=False).encode()
        return await http.request(
            "POST", self.base_url, headers=self._headers, body=body, timeout_seconds=timeout_seconds
        )

    def _news(
        self, operation: Operation, items: Sequence[JsonObject], failed: Sequence[JsonObject]
    ) -> Running | Finished:
        """Return what a task's results say, or raise how it failed."""
        kind, count = str(operation.data.get("kind")), _number(operation.data.get("count")) or 1
        failed = [*failed, *(object_in(item.get("error")) for item in items if _status(item) == "error")]
        done = [item for item in items if _status(item) == "success"]
        waiting = [item for item in items if _status(item) not in {"success", "error"}]
        if not all(_status(item) in _RUNNING for item in waiting):
            raise UpstreamError(UpstreamErrorKind.UNKNOWN, "Runware answered with a status that is not known.")
        if waiting or (not failed and len(done) < count):
            return Running(_progress(done, waiting, count))
        if not done:
            raise self._failure(failed[0])
        return Finished(_outputs(done, kind), upstream_cost=_cost(done))

    def _failure(self, error: JsonObject) -> UpstreamError:
        kind = _kind_of(error)
        if kind not in {UpstreamErrorKind.REFUSED_CONTENT, UpstreamErrorKind.REJECTED_INPUT}:
            kind = UpstreamErrorKind.UNAVAILABLE
        said = self._told([error]) or "it did not say why"
        return UpstreamError(kind, f"The model at Runware failed: {said}", is_final=True)

    def _refusal(self, answer: HttpAnswer, errors: Sequence[JsonObject]) -> UpstreamError:
        """A request that was turned away."""
        by_status = UpstreamErrorKind.UNKNOWN if answer.status < 300 else kind_of_status(answer.status)
        kind = (_kind_of(errors[0]) if errors else None) or by_status
        if kind == UpstreamErrorKind.UNAUTHORIZED:
            return UpstreamError(kind, "Runware did not accept the operator's credentials.")
        said = self._told(errors)
        message = f"Runware refused the request ({answer.status}){f': {said}' if said else '.'}"
        return UpstreamError(kind, message, retry_after_seconds=retry_after_seconds(answer))

    def _trouble(self, answer: HttpAnswer, errors: Sequence[JsonObject]) -> UpstreamError:
        """A question that got no answer; it may be asked again."""
        kind = (_kind_of(errors[0]) if errors else None) or kind_of_status(answer.status)
        message = f"Runware did not say how it goes ({answer.status})."
        return UpstreamError(kind, message, retry_after_seconds=retry_after_seconds(answer))

    def _told(self, errors: Sequence[JsonObject]) -> str:
        return plain("; ".join(str(error["message"]) for error in errors if "message" in error), hide=self._key)


def _task_id(attempt_id: str) -> str:
    """Return a version 4 UUID that is always the same for an attempt, and of no other."""
    return str(UUID(bytes=hashlib.sha256(attempt_id.encode()).digest()[:16], version=4))


def _errors(body: JsonObject) -> list[JsonObject]:
    """Return the errors of an answer, which come as a list or alone."""
    alone = body.get("error")
    return objects_in(body.get("errors")) + ([alone] if isinstance(alone, Mapping) else [])


def _of_task(body: JsonObject, task_id: str) -> list[JsonObject]:
    return [item for item in objects_in(body.get("data")) if item.get("taskUUID") == task_id]


def _status(item: JsonObject) -> str:
    """Return an item's status; without one it is a result if it has a file, as those of synchronous tasks are."""
    has_file = any(name.endswith(("URL", "DataURI")) for name in item)
    return str(item.get("status") or ("success" if has_file else "processing"))


def _kind_of(error: JsonObject) -> UpstreamErrorKind | None:
    code = str(error.get("code") or "")
    return next((kind for pattern, kind in _KINDS if pattern.search(code)), None)


def _is_of_the_task(error: JsonObject, status: int) -> bool:
    """Whether an error says how the task ended, not that the question could not be answered."""
    is_gone = _GONE.match(str(error.get("code") or "")) is not None
    return is_gone or (status < 300 and error.get("taskType") not in {None, "getResponse"})


def _outputs(done: Sequence[JsonObject], kind: str) -> tuple[OutputFile, ...]:
    """Return the files, in the order asked for, without those whose content is flagged.

    Raises:
        UpstreamError: if that leaves none.
    """
    ordered = sorted(done, key=lambda item: _number(item.get("resultIndex")) or 0)
    kept = [item for item in ordered if item.get("NSFWContent") is not True]
    if not kept:
        flagged = "Runware's moderation flagged what was made."
        raise UpstreamError(UpstreamErrorKind.REFUSED_CONTENT, flagged, is_final=True, upstream_cost=_cost(done))
    names = (f"{kind}URL", f"{kind}DataURI", "mediaURL")
    return tuple(file for item in kept for name in names for file in output_files(item.get(name)))


def _progress(done: Sequence[JsonObject], waiting: Sequence[JsonObject], count: float) -> float | None:
    told = [percent for item in waiting if (percent := _number(item.get("progress"))) is not None]
    if not told:
        return None
    return min(max(sum(told) / 100 + len(done), 0.0) / max(count, len(done) + len(waiting)), 1.0)


def _cost(done: Sequence[JsonObject]) -> str | None:
    costs = [cost for item in done if (cost := _number(item.get("cost"))) is not None]
    return f"{sum(costs):.6g} USD" if costs else None


def _number(value: JsonValue) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _LARGEST_NUMBER else None
